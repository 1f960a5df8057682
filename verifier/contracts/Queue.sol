// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Assets} from "./Assets.sol";
import {Bn254} from "./Bn254.sol";
import {Parameters} from "./Types.sol";

/// @title The queue of deposits and forced exits (protocol, sections 4 and 7)
/// @notice First in, first out. Whatever could not be proved later is refused here. An entry's
///         deadline and fee are fixed when it comes, by the time, the base fee and the number of entries
///         it meets: entries served before it never push its deadline away. Does not know how batches
///         serve entries.
abstract contract Queue is Assets {
    uint8 internal constant DEPOSIT = 1;
    uint8 internal constant FORCED_EXIT = 2;

    /// With so many entries waiting the fee is twice that of the first; it grows with them in proportion.
    uint256 internal constant FEE_BACKLOG = 16;
    /// Gas that serving one entry adds to a batch, at the most and with a margin: a deposit with its
    /// open, or a forced exit with its payout, calldata at the floor price of EIP-7623. A test measures it.
    uint256 internal constant ENTRY_GAS = 60_000;
    /// Wei in which the part of the fee is counted that serving an entry earns.
    uint256 internal constant SHARE_UNIT = 1 gwei;

    /// Three words. A forced exit uses `amount` for the account's index; asset, key and owner are 0.
    struct Entry {
        address owner;
        uint64 amount;
        uint16 asset;
        uint8 kind;
        uint256 key;
        /// Depositor of a deposit, requester of a forced exit.
        address sender;
        uint40 enqueuedAt;
        /// Unprocessed entries before this one when it came.
        uint24 ahead;
        /// Gwei that whoever serves it earns; goes back to the sender if nobody does.
        uint32 share;
    }

    uint8 public immutable kGenesis;
    uint8 public immutable kMax;
    uint64 public immutable forceWindow;
    uint64 public immutable entryWindow;
    uint64 public immutable silence;
    uint128 public immutable entryFeeBase;

    /// Root of the ledger: keccak of the three commitments and k.
    bytes32 public root;

    /// Number of the last batch; the genesis root is number 0.
    uint64 public batchNumber;
    /// The first unprocessed entry, and one more than the last entry. Entries count from 0.
    uint64 public head;
    uint64 public tail;
    /// Size of the ledger: n = 2^k indexes, of which 0 is never used.
    uint8 public k;
    /// The latch. Once set, set for ever.
    bool public frozen;

    /// Accounts opened by batches so far, and deposits waiting: each may need an open.
    uint32 public opened;
    uint32 public pendingDeposits;
    /// Time in seconds of the operator's own last batch, or of the deployment.
    uint64 public lastOperatorPost;

    mapping(uint64 => Entry) internal _entries;

    modifier notFrozen() {
        if (frozen) revert IsFrozen();
        _;
    }

    constructor(Parameters memory parameters) Assets(parameters.admin) {
        if (parameters.kGenesis > parameters.kMax || parameters.kMax > 28) {
            revert BadLedgerSize(parameters.kGenesis, parameters.kMax);
        }
        uint64 limit = type(uint32).max;
        if (
            parameters.silence == 0 || parameters.silence >= parameters.forceWindow || parameters.forceWindow > limit
                || parameters.entryWindow == 0 || parameters.entryWindow > limit
        ) revert BadWindows(parameters.forceWindow, parameters.entryWindow, parameters.silence);
        kGenesis = parameters.kGenesis;
        kMax = parameters.kMax;
        forceWindow = parameters.forceWindow;
        entryWindow = parameters.entryWindow;
        silence = parameters.silence;
        entryFeeBase = parameters.entryFee;
        k = parameters.kGenesis;
        lastOperatorPost = uint64(block.timestamp);
    }

    /// @notice Pulls `baseAmount` base units of the asset from the caller and queues a deposit to an
    ///         account with this key, asset and owner. Ether above the fee is credited back.
    /// @return entry its place in the queue
    function deposit(uint16 asset, uint256 baseAmount, uint256 key, address owner)
        external
        payable
        notFrozen
        nonReentrant
        returns (uint64 entry)
    {
        if (key == 0 || key >= Bn254.R) revert BadKey(key);
        if (owner == address(0)) revert ZeroOwner();
        uint64 units = _mint(asset, baseAmount);
        pendingDeposits += 1;
        _requireRoom();
        Entry memory e;
        e.owner = owner;
        e.amount = units;
        e.asset = asset;
        e.kind = DEPOSIT;
        e.key = key;
        uint256 fee;
        (entry, fee) = _enqueue(e);
        emit DepositQueued(entry, msg.sender, asset, units, key, owner, fee, _deadline(e));
        _pull(asset, baseAmount);
    }

    /// @notice Asks that the whole balance of account `index` leave to the caller. Takes effect if
    ///         the caller is the account's owner, and is a provable no-op otherwise.
    /// @return entry its place in the queue
    function forceExit(uint32 index) external payable notFrozen nonReentrant returns (uint64 entry) {
        uint256 limit = uint256(1) << k;
        if (index == 0 || index >= limit) revert BadIndex(index, limit);
        Entry memory e;
        e.amount = index;
        e.kind = FORCED_EXIT;
        uint256 fee;
        (entry, fee) = _enqueue(e);
        emit ForcedExitQueued(entry, msg.sender, index, fee, _deadline(e));
    }

    /// @notice The fee in wei of an entry that comes next, in a block with this base fee. The base fee
    ///         is an argument because many nodes answer calls as if it were 0.
    function entryFeeAt(uint256 baseFee) external view returns (uint256) {
        return 2 * SHARE_UNIT * _halfFee(tail - head, baseFee);
    }

    /// @notice An entry of the queue with its deadline in seconds and whether it still waits.
    function queueEntry(uint64 index) external view returns (Entry memory entry, uint64 deadline, bool pending) {
        if (index >= tail) revert EntryNotPending(index);
        entry = _entries[index];
        return (entry, _deadline(entry), index >= head);
    }

    function _enqueue(Entry memory e) private returns (uint64 entry, uint256 fee) {
        entry = tail;
        uint256 ahead = entry - head;
        // Out of reach: so many entries take 28,000 blocks' whole gas, and the last of them costs a
        // million times what the first did.
        if (ahead > type(uint24).max) revert QueueFull(ahead);
        uint256 half = _halfFee(ahead, block.basefee);
        fee = 2 * SHARE_UNIT * half;
        if (msg.value < fee) revert EntryFeeTooLow(fee, msg.value);
        e.sender = msg.sender;
        e.enqueuedAt = uint40(block.timestamp);
        e.ahead = uint24(ahead);
        // More than 4 ether are not earned but burnt: they pay ENTRY_GAS up to 70,000 gwei a gas.
        e.share = half > type(uint32).max ? type(uint32).max : uint32(half);
        _entries[entry] = e;
        tail = entry + 1;
        _creditEther(msg.sender, msg.value - fee);
    }

    /// @dev Half of an entry's fee in gwei, rounded up: serving it costs ENTRY_GAS at the base fee of the
    ///      block it came in, and the deployment's own price is on top; more entries before it, more of
    ///      both. This half is earned by whoever serves it, the other half is burnt.
    function _halfFee(uint256 ahead, uint256 baseFee) private view returns (uint256) {
        uint256 alone = uint256(entryFeeBase) + 2 * ENTRY_GAS * baseFee;
        uint256 divisor = 2 * FEE_BACKLOG * SHARE_UNIT;
        return (alone * (FEE_BACKLOG + ahead) + divisor - 1) / divisor;
    }

    function _deadline(Entry memory e) internal view returns (uint64) {
        return e.enqueuedAt + forceWindow + entryWindow * e.ahead;
    }

    /// @dev Every deposit that waits may need an account of its own, for ever.
    function _requireRoom() internal view {
        uint256 needed = uint256(opened) + pendingDeposits;
        uint256 limit = (uint256(1) << kMax) - 1;
        if (needed > limit) revert LedgerFull(needed, limit);
    }
}
