// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BatchData} from "./BatchData.sol";
import {Bn254} from "./Bn254.sol";
import {Escape} from "./Escape.sol";
import {KeyCode} from "./KeyCode.sol";
import {Queue} from "./Queue.sol";
import {Transcript} from "./Transcript.sol";
import {Key, Parameters, Post} from "./Types.sol";
import {Verification} from "./Verification.sol";

/// @title Kerros: a payment rollup's contract on the main chain
/// @notice Holds the root of the ledger and moves it forward by batches, each with its data in the
///         call and one proof (protocol, sections 4 and 5). No upgrade, no pause, no owner.
///
///         `post` refuses in this order: frozen; sender a contract; neither operator nor operator
///         silent; encoding; batch number; words out of range; root; growth; data layout; opens;
///         exits; queue; what a stranger must serve; room; empty records; proof.
contract Kerros is Escape {
    /// A stranger's batch must serve entries older than this, in seconds.
    uint256 internal constant STRANGER_ENTRY_AGE = 3600;
    /// Where `data` starts in a canonically encoded call: selector, offset, 38 words of head, length.
    uint256 internal constant DATA_PLACE = 4 + 32 + 38 * 32 + 32;

    /// Posts batches. Also the only one to post while it is not silent.
    address public immutable operator;
    /// The contract whose code holds the verification constants; layout in KeyCode.sol.
    address public immutable keyCode;
    /// Digest of the verification constants and the shape.
    bytes32 public immutable vkHash;

    uint32 private immutable _opensMax;
    uint32 private immutable _depositsMax;
    uint32 private immutable _transfersMax;
    uint32 private immutable _exitsMax;
    uint32 private immutable _collectsMax;

    constructor(Key memory key, Parameters memory parameters) Queue(parameters) {
        if (parameters.operator == address(0)) revert ZeroAddress();
        operator = parameters.operator;

        uint32[5] memory s = key.shape;
        bool fits = s[0] <= 0xffff && s[1] <= 0xffff && s[2] <= 0xffff && s[3] <= 0xffff && s[4] <= 0xffff;
        if (
            !fits || s[1] == 0 || s[3] == 0 || s[0] < s[1] || s[2] + s[3] > 1 << 16
                || s[0] + s[1] + 2 * s[2] + s[3] + s[4] >= 1 << 20
        ) revert BadShape(s[0], s[1], s[2], s[3], s[4]);
        (_opensMax, _depositsMax, _transfersMax, _exitsMax, _collectsMax) = (s[0], s[1], s[2], s[3], s[4]);
        if (uint256(1) << parameters.kGenesis < uint256(s[0]) + 1) {
            revert BadLedgerSize(parameters.kGenesis, parameters.kMax);
        }
        uint256 steps = parameters.kMax - parameters.kGenesis;
        if (key.tauPowers.length != steps) revert WrongTauPowerCount(steps, key.tauPowers.length);
        (keyCode, vkHash) = KeyCode.deploy(key);

        uint256[6] memory empty;
        root = Transcript.root(empty, parameters.kGenesis);
    }

    /// @notice Moves the ledger forward by one batch, after doubling its size if `grow`.
    function post(Post calldata p) external notFrozen {
        bool byOperator = _requireSender();
        uint256 padded = (p.data.length + 31) & ~uint256(31);
        bool canonical = BatchData.word(4) == 0x20 && _place(p.data) == DATA_PLACE
            && msg.data.length == DATA_PLACE + padded && BatchData.word(DATA_PLACE + p.data.length) == 0;
        if (!canonical) revert NonCanonicalCalldata();
        if (p.batchNumber != batchNumber + 1) revert WrongBatchNumber(batchNumber + 1, p.batchNumber);
        Verification.requireWords(p);

        (uint256[6] memory oldC, bytes32 oldRoot, uint8 size) = _opening(p);
        bytes32 newRoot = Transcript.root(p.newC, size);
        uint64 first = head;
        uint256[5] memory capacities = shape();
        BatchData.Layout memory l = BatchData.sections(p.data, capacities);
        uint64 end = _apply(l, first, p.beneficiary, byOperator);

        Verification.Challenges memory t;
        t.k = size;
        t.domain = domain();
        t.beta = Transcript.beta(
            keccak256(
                abi.encodePacked(
                    t.domain,
                    vkHash,
                    p.batchNumber,
                    oldRoot,
                    newRoot,
                    keccak256(p.data),
                    first,
                    end,
                    p.beneficiary,
                    p.h
                )
            )
        );
        t.z = Transcript.z(t.beta, p.Q);
        t.gamma = Transcript.gamma(t.z);
        t.y = BatchData.evaluate(l, capacities, t.z);
        Verification.requireBatch(keyCode, p, oldC, t);

        root = newRoot;
        batchNumber = p.batchNumber;
        head = end;
        k = size;
        if (byOperator) lastOperatorPost = uint64(block.timestamp);
        emit BatchPosted(p.batchNumber, newRoot, first, end, size, p.beneficiary);
    }

    /// @notice Capacities of the sections O, D, T, E, F.
    function shape() public view returns (uint256[5] memory) {
        return [uint256(_opensMax), _depositsMax, _transfersMax, _exitsMax, _collectsMax];
    }

    /// @notice The scalar that ties signatures and proofs to this contract on this chain.
    function domain() public view returns (uint256) {
        return Transcript.domain(block.chainid, address(this));
    }

    /// @notice [tau^(2^size)]_2, used to grow from size `size`, in EIP-197 order.
    function tauPower(uint8 size) external view returns (uint256[4] memory) {
        if (size < kGenesis || size >= kMax) revert LedgerAtMaximum(size);
        return KeyCode.tauPower(keyCode, size - kGenesis);
    }

    function _keyCode() internal view override returns (address) {
        return keyCode;
    }

    /// @dev Whether the operator posts; anybody else may only while the operator is silent. No
    ///      contract may: the data must be the input of the transaction itself.
    function _requireSender() private view returns (bool byOperator) {
        if (msg.sender != tx.origin || msg.sender.code.length != 0) revert SenderIsContract(msg.sender);
        byOperator = msg.sender == operator;
        if (!byOperator) {
            uint256 allowedFrom = uint256(lastOperatorPost) + silence;
            if (block.timestamp <= allowedFrom) revert OperatorNotSilent(allowedFrom, block.timestamp);
        }
    }

    /// @dev The state the batch starts from, after growth if there is any.
    function _opening(Post calldata p) private view returns (uint256[6] memory c, bytes32 current, uint8 size) {
        c = p.oldC;
        size = k;
        current = Transcript.root(c, size);
        if (current != root) revert WrongRoot(root, current);
        uint256[6] memory grown = p.grownC;
        if (!p.grow) {
            if (grown[0] | grown[1] | grown[2] | grown[3] | grown[4] | grown[5] != 0) revert GrownWithoutGrowth();
            return (c, current, size);
        }
        if (size >= kMax) revert LedgerAtMaximum(size);
        Verification.requireGrowth(KeyCode.tauPower(keyCode, size - kGenesis), c, grown, size);
        size += 1;
        return (grown, Transcript.root(grown, size), size);
    }

    /// @dev Checks and applies what the records mean on the main chain; returns one more than the
    ///      last entry served.
    function _apply(BatchData.Layout memory l, uint64 first, address beneficiary, bool byOperator)
        private
        returns (uint64 end)
    {
        _requireOpens(l);
        uint256 forced = _creditExits(l);
        uint256 served = l.deposits + forced;
        if (first + served > tail) revert QueueTooShort(uint64(first + served), tail);
        end = uint64(first + served);
        _creditEther(beneficiary, _serve(l, first, end));
        if (!byOperator) _requireOldServed(l, forced, end);
        opened += uint32(l.opens);
        pendingDeposits -= uint32(l.deposits);
        _requireRoom();
    }

    /// @dev Every open names a registered asset, a key and an owner.
    function _requireOpens(BatchData.Layout memory l) private view {
        uint256 known = assetCount;
        for (uint256 i = 0; i < l.opens; ++i) {
            uint256 place = l.opensAt + i * BatchData.O_BYTES;
            uint256 head_ = BatchData.word(place) >> 48; // index 4, asset 2, owner 20
            uint256 asset = (head_ >> 160) & 0xffff;
            uint256 key = BatchData.word(place + 26);
            if (asset == 0 || asset > known || uint160(head_) == 0 || key == 0 || key >= Bn254.R) revert BadOpen(i);
        }
    }

    /// @dev Credits every exit to its recipient; counts the forced ones.
    function _creditExits(BatchData.Layout memory l) private returns (uint256 forced) {
        for (uint256 i = 0; i < l.exits; ++i) {
            uint256 place = l.exitsAt + i * BatchData.E_BYTES;
            uint256 head_ = BatchData.word(place) >> 136; // from 4, amount 8, fee 2, forced 1
            uint256 rest = BatchData.word(place + 15) >> 80; // asset 2, recipient 20
            uint256 flag = head_ & 0xff;
            if (flag > 1) revert BadForcedFlag(i, flag);
            forced += flag;
            _credit(uint16(rest >> 160), address(uint160(rest)), uint64(head_ >> 24));
        }
    }

    /// @dev Walks the entries first..end-1: each must equal the next D record, or the next E record
    ///      with forced = 1. As many entries as such records are walked, so none is left over.
    ///      Returns the fees earned in wei.
    function _serve(BatchData.Layout memory l, uint64 first, uint64 end) private view returns (uint256 fees) {
        uint256 deposits = 0;
        uint256 exits = 0;
        for (uint64 index = first; index < end; ++index) {
            Entry storage e = _entries[index];
            if (e.kind == DEPOSIT) {
                if (deposits == l.deposits || !_matches(e, l.depositsAt + deposits * BatchData.D_BYTES)) {
                    revert QueueMismatch(index);
                }
                deposits += 1;
            } else {
                while (exits < l.exits && !_isForced(l, exits)) {
                    exits += 1;
                }
                if (exits == l.exits) revert QueueMismatch(index);
                uint256 place = l.exitsAt + exits * BatchData.E_BYTES;
                uint256 head_ = BatchData.word(place) >> 136; // from 4, amount 8, fee 2, forced 1
                uint256 recipient = uint160(BatchData.word(place + 15) >> 80);
                if (head_ >> 88 != e.amount || (head_ >> 8) & 0xffff != 0 || recipient != uint160(e.sender)) {
                    revert QueueMismatch(index);
                }
                exits += 1;
            }
            fees += SHARE_UNIT * e.share;
        }
    }

    /// @dev Amount, asset, key and owner of a D record against a deposit; the index is free.
    function _matches(Entry storage e, uint256 place) private view returns (bool) {
        uint256 head_ = BatchData.word(place) >> 144; // index 4, amount 8, asset 2
        return uint64(head_ >> 16) == e.amount && uint16(head_) == e.asset && BatchData.word(place + 14) == e.key
            && BatchData.word(place + 46) >> 96 == uint160(e.owner);
    }

    function _isForced(BatchData.Layout memory l, uint256 exit) private pure returns (bool) {
        return (BatchData.word(l.exitsAt + exit * BatchData.E_BYTES) >> 136) & 1 == 1;
    }

    /// @dev A stranger's batch must hold the longest prefix of old entries for which there is room.
    ///      Ages never rise along the queue, so it is enough that entry `end` is young or does not fit.
    function _requireOldServed(BatchData.Layout memory l, uint256 forced, uint64 end) private view {
        if (end == tail) return;
        Entry storage e = _entries[end];
        if (uint256(e.enqueuedAt) + STRANGER_ENTRY_AGE >= block.timestamp) return;
        bool fits = e.kind == DEPOSIT ? l.deposits < _depositsMax : forced < _exitsMax;
        if (fits) revert MustServe(end);
    }

    function _place(bytes calldata data) private pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := data.offset
        }
    }
}
