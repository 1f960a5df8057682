// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "./Bn254.sol";
import {KerrosErrors} from "./Errors.sol";

/// @title A batch's data: where its records are, and its polynomial (protocol, section 4)
/// @notice Five big-endian uint16 counts, then the records of sections O, D, T, E, F. Parses
///         calldata in place. Does not know the queue, nor what the records mean.
library BatchData {
    uint256 internal constant COUNTS_BYTES = 10;
    uint256 internal constant O_BYTES = 58; // index 4, asset 2, owner 20, key 32
    uint256 internal constant D_BYTES = 66; // index 4, amount 8, asset 2, key 32, owner 20
    uint256 internal constant T_BYTES = 18; // from 4, to 4, amount 8, fee 2
    uint256 internal constant E_BYTES = 37; // from 4, amount 8, fee 2, forced 1, asset 2, recipient 20
    uint256 internal constant F_BYTES = 12; // to 4, amount 8

    /// Number of records of each section and the place of each section in calldata.
    struct Layout {
        uint256 opens;
        uint256 deposits;
        uint256 transfers;
        uint256 exits;
        uint256 collects;
        uint256 opensAt;
        uint256 depositsAt;
        uint256 transfersAt;
        uint256 exitsAt;
        uint256 collectsAt;
    }

    /// @dev Reads the counts, each at most its capacity; the length must match them exactly.
    function sections(bytes calldata data, uint256[5] memory shape) internal pure returns (Layout memory l) {
        if (data.length < COUNTS_BYTES) revert KerrosErrors.WrongDataLength(COUNTS_BYTES, data.length);
        uint256 counts = word(_offset(data)) >> 176;
        l.opens = _count(counts >> 64, shape, 0);
        l.deposits = _count(counts >> 48, shape, 1);
        l.transfers = _count(counts >> 32, shape, 2);
        l.exits = _count(counts >> 16, shape, 3);
        l.collects = _count(counts, shape, 4);
        l.opensAt = _offset(data) + COUNTS_BYTES;
        l.depositsAt = l.opensAt + l.opens * O_BYTES;
        l.transfersAt = l.depositsAt + l.deposits * D_BYTES;
        l.exitsAt = l.transfersAt + l.transfers * T_BYTES;
        l.collectsAt = l.exitsAt + l.exits * E_BYTES;
        uint256 length = l.collectsAt + l.collects * F_BYTES - _offset(data);
        if (length != data.length) revert KerrosErrors.WrongDataLength(length, data.length);
    }

    /// @dev The 32 bytes of calldata at a place, zeros past the end.
    function word(uint256 place) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(place)
        }
    }

    /// @dev y = sum of d_j * z^j, j from 0, by Horner's rule from the last record of F to the first
    ///      of O. Refuses an empty first element within a count. The padding between a section's
    ///      count and its capacity only multiplies by a power of z. Elements are below 2^208, keys
    ///      below r (checked by whoever reads them), so that the running value stays below 2^256.
    function evaluate(Layout memory l, uint256[5] memory shape, uint256 z) internal pure returns (uint256 y) {
        y = _collects(l, z);
        y = mulmod(y, Bn254.power(z, 2 * (shape[3] - l.exits)), Bn254.R);
        y = _exits(l, z, y);
        y = mulmod(y, Bn254.power(z, shape[2] - l.transfers), Bn254.R);
        y = _transfers(l, z, y);
        y = mulmod(y, Bn254.power(z, 3 * (shape[1] - l.deposits)), Bn254.R);
        y = _deposits(l, z, y);
        y = mulmod(y, Bn254.power(z, 2 * (shape[0] - l.opens)), Bn254.R);
        y = _opens(l, z, y) % Bn254.R;
    }

    function _collects(Layout memory l, uint256 z) private pure returns (uint256 y) {
        uint256 empty;
        uint256 start = l.collectsAt;
        uint256 count = l.collects;
        uint256 r = Bn254.R;
        assembly ("memory-safe") {
            for { let place := add(start, mul(12, count)) } gt(place, start) {} {
                place := sub(place, 12)
                let first := shr(160, calldataload(place))
                if iszero(first) { empty := place }
                y := add(mulmod(y, z, r), first)
            }
        }
        if (empty != 0) revert KerrosErrors.EmptyRecord(4, (empty - start) / F_BYTES);
    }

    function _exits(Layout memory l, uint256 z, uint256 y) private pure returns (uint256) {
        uint256 empty;
        uint256 start = l.exitsAt;
        uint256 count = l.exits;
        uint256 r = Bn254.R;
        assembly ("memory-safe") {
            for { let place := add(start, mul(37, count)) } gt(place, start) {} {
                place := sub(place, 37)
                let first := shr(136, calldataload(place))
                if iszero(first) { empty := place }
                y := add(mulmod(y, z, r), shr(80, calldataload(add(place, 15))))
                y := add(mulmod(y, z, r), first)
            }
        }
        if (empty != 0) revert KerrosErrors.EmptyRecord(3, (empty - start) / E_BYTES);
        return y;
    }

    /// @dev Most of a batch: four records at a time, the rest (the last ones) first. Emptiness is
    ///      only noted on the way, and looked up if there is any.
    function _transfers(Layout memory l, uint256 z, uint256 y) private pure returns (uint256) {
        uint256 start = l.transfersAt;
        uint256 count = l.transfers;
        uint256 r = Bn254.R;
        bool empty;
        assembly ("memory-safe") {
            let place := add(start, mul(18, count))
            for { let fours := add(start, mul(72, shr(2, count))) } gt(place, fours) {} {
                place := sub(place, 18)
                let first := shr(112, calldataload(place))
                empty := or(empty, iszero(first))
                y := add(mulmod(y, z, r), first)
            }
            for {} gt(place, start) {} {
                place := sub(place, 72)
                let first := shr(112, calldataload(add(place, 54)))
                empty := or(empty, iszero(first))
                y := add(mulmod(y, z, r), first)
                first := shr(112, calldataload(add(place, 36)))
                empty := or(empty, iszero(first))
                y := add(mulmod(y, z, r), first)
                first := shr(112, calldataload(add(place, 18)))
                empty := or(empty, iszero(first))
                y := add(mulmod(y, z, r), first)
                first := shr(112, calldataload(place))
                empty := or(empty, iszero(first))
                y := add(mulmod(y, z, r), first)
            }
        }
        if (empty) {
            uint256 record = 0;
            while (word(start + record * T_BYTES) >> 112 != 0) record += 1;
            revert KerrosErrors.EmptyRecord(2, record);
        }
        return y;
    }

    /// @dev The key was compared with the queue's entry, hence is below r.
    function _deposits(Layout memory l, uint256 z, uint256 y) private pure returns (uint256) {
        uint256 empty;
        uint256 start = l.depositsAt;
        uint256 count = l.deposits;
        uint256 r = Bn254.R;
        assembly ("memory-safe") {
            for { let place := add(start, mul(66, count)) } gt(place, start) {} {
                place := sub(place, 66)
                let first := shr(144, calldataload(place))
                if iszero(first) { empty := place }
                y := add(mulmod(y, z, r), shr(96, calldataload(add(place, 46))))
                y := add(mulmod(y, z, r), calldataload(add(place, 14)))
                y := add(mulmod(y, z, r), first)
            }
        }
        if (empty != 0) revert KerrosErrors.EmptyRecord(1, (empty - start) / D_BYTES);
        return y;
    }

    /// @dev The key was checked to be below r with the rest of the open.
    function _opens(Layout memory l, uint256 z, uint256 y) private pure returns (uint256) {
        uint256 empty;
        uint256 start = l.opensAt;
        uint256 count = l.opens;
        uint256 r = Bn254.R;
        assembly ("memory-safe") {
            for { let place := add(start, mul(58, count)) } gt(place, start) {} {
                place := sub(place, 58)
                let first := shr(48, calldataload(place))
                if iszero(first) { empty := place }
                y := add(mulmod(y, z, r), calldataload(add(place, 26)))
                y := add(mulmod(y, z, r), first)
            }
        }
        if (empty != 0) revert KerrosErrors.EmptyRecord(0, (empty - start) / O_BYTES);
        return y;
    }

    function _count(uint256 word_, uint256[5] memory shape, uint256 section) private pure returns (uint256 count) {
        count = word_ & 0xffff;
        if (count > shape[section]) revert KerrosErrors.CountAboveCapacity(section, count, shape[section]);
    }

    function _offset(bytes calldata data) private pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := data.offset
        }
    }
}
