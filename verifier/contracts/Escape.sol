// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "./Bn254.sol";
import {Queue} from "./Queue.sol";
import {Transcript} from "./Transcript.sol";
import {Verification} from "./Verification.sol";

/// @title The way out when the operator fails (protocol, section 7)
/// @notice One overdue entry lets anybody freeze the rollup for ever. From then on no batch is
///         accepted, so the last root is final: every account is opened against it once, every
///         waiting entry refunded once. Needs nothing from the operator.
abstract contract Escape is Queue {
    /// Accounts that have left through the escape hatch.
    mapping(uint32 => bool) public escaped;

    uint8 private constant REFUNDED = 3;

    /// @dev Place and constants of the verification key.
    function _keyCode() internal view virtual returns (address);

    /// @notice Freezes the rollup for ever because a waiting entry is past its deadline.
    function freeze(uint64 entry) external notFrozen {
        if (entry < head || entry >= tail) revert EntryNotPending(entry);
        uint64 deadline = _deadline(_entries[entry]);
        if (block.timestamp <= deadline) revert DeadlineNotPassed(deadline, block.timestamp);
        frozen = true;
        emit Frozen(entry, deadline);
    }

    /// @notice Proves the words of account `index` under the last root and credits its whole balance
    ///         to its owner. Once per index; anybody may call.
    /// @param commitments the three commitments under the root
    /// @param words key; balance + 2^64 nonce + 2^96 asset; owner
    /// @param witness the opening W
    function escape(
        uint256[6] calldata commitments,
        uint32 index,
        uint256[3] calldata words,
        uint256[2] calldata witness
    ) external {
        if (!frozen) revert NotFrozen();
        uint256[6] memory c = commitments;
        bytes32 given = Transcript.root(c, k);
        if (given != root) revert WrongRoot(root, given);
        uint256 limit = uint256(1) << k;
        if (index == 0 || index >= limit) revert BadIndex(index, limit);
        if (escaped[index]) revert AlreadyEscaped(index);
        Bn254.requireScalar(words[0]);
        uint16 asset = uint16(words[1] >> 96);
        if (words[1] >> 112 != 0 || words[2] >> 160 != 0 || asset == 0) revert BadAccountWords();
        Bn254.requireCoordinate(witness[0]);
        Bn254.requireCoordinate(witness[1]);
        Verification.requireWordsAt(_keyCode(), c, index, words, witness);

        escaped[index] = true;
        address owner = address(uint160(words[2]));
        uint64 balance = uint64(words[1]);
        emit Escaped(index, asset, owner, balance);
        _credit(asset, owner, balance);
    }

    /// @notice Returns a deposit that no batch served to its depositor, and the part of the entry
    ///         fee that nobody earned; for a forced exit, the latter only. Once per entry.
    function refund(uint64 entry) external {
        if (!frozen) revert NotFrozen();
        Entry memory e = _entries[entry];
        if (entry < head || entry >= tail || e.kind == REFUNDED) revert EntryNotPending(entry);
        _entries[entry].kind = REFUNDED;
        uint64 amount = 0;
        if (e.kind == DEPOSIT) {
            amount = e.amount;
            pendingDeposits -= 1;
        }
        emit Refunded(entry, e.sender, e.asset, amount);
        _credit(e.asset, e.sender, amount);
        _creditEther(e.sender, SHARE_UNIT * e.share);
    }
}
