// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {KerrosErrors} from "./Errors.sol";

/// @title BN254 through the precompiles
/// @notice Scalars, coordinates, running sums of multiples of points, and the pairing check. The
///         success flag and the size of the returned data are checked on every call. On-curve and
///         subgroup checks are the precompiles' own (EIP-196, EIP-197). Knows nothing of batches.
library Bn254 {
    /// Order of the groups.
    uint256 internal constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    /// The base field's prime.
    uint256 internal constant Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;

    /// The standard generator of G2 in EIP-197 order.
    uint256 internal constant G2_X1 = 11559732032986387107991004021392285783925812861821192530917403151452391805634;
    uint256 internal constant G2_X0 = 10857046999023057135944570762232829481370756359578518086990519993285655852781;
    uint256 internal constant G2_Y1 = 4082367875863433681332203403145435568316851327593401208105741076214120093531;
    uint256 internal constant G2_Y0 = 8495653923123431417604973247489272438418190587263600148770280649306958101930;

    function requireScalar(uint256 value) internal pure {
        if (value >= R) revert KerrosErrors.NotFieldElement(value);
    }

    function requireCoordinate(uint256 value) internal pure {
        if (value >= Q) revert KerrosErrors.NotCoordinate(value);
    }

    /// @dev The y of the negative of a point with coordinate y < q. Keeps infinity (0, 0).
    function negateY(uint256 y) internal pure returns (uint256) {
        return y == 0 ? 0 : Q - y;
    }

    /// @dev sum[0..2] += s * (x, y). sum[2..5] is scratch. Refuses what is not on the curve, also
    ///      when s is zero. s may be any word; the precompile reduces it modulo r.
    function addProduct(uint256[5] memory sum, uint256 x, uint256 y, uint256 s) internal view {
        bool ok;
        assembly ("memory-safe") {
            let scratch := add(sum, 0x40)
            mstore(scratch, x)
            mstore(add(scratch, 0x20), y)
            mstore(add(scratch, 0x40), s)
            ok := staticcall(gas(), 7, scratch, 0x60, scratch, 0x40)
            ok := and(eq(returndatasize(), 0x40), ok)
            if ok {
                ok := staticcall(gas(), 6, sum, 0x80, sum, 0x40)
                ok := and(eq(returndatasize(), 0x40), ok)
            }
        }
        if (!ok) revert KerrosErrors.NotOnCurve(x, y);
    }

    /// @dev Whether the product of the pairings of `pairs` (G1, G2) couples, six words each, is one.
    ///      `words` is the first word's place in memory.
    function productIsOne(uint256 words, uint256 pairs) internal view returns (bool one) {
        bool ok;
        assembly ("memory-safe") {
            ok := staticcall(gas(), 8, words, mul(pairs, 0xc0), 0x00, 0x20)
            ok := and(eq(returndatasize(), 0x20), ok)
            one := eq(mload(0x00), 1)
        }
        if (!ok) revert KerrosErrors.PairingRefused();
    }

    /// @dev base^exponent modulo r.
    function power(uint256 base, uint256 exponent) internal pure returns (uint256 result) {
        result = 1;
        while (exponent != 0) {
            if (exponent & 1 == 1) result = mulmod(result, base, R);
            base = mulmod(base, base, R);
            exponent >>= 1;
        }
    }

    /// @dev value^(2^k) modulo r.
    function squareTimes(uint256 value, uint256 k) internal pure returns (uint256) {
        for (uint256 i = 0; i < k; ++i) {
            value = mulmod(value, value, R);
        }
        return value;
    }
}
