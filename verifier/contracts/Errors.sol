// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Every way in which Kerros refuses
/// @notice One error per reason, carrying the values that explain it. Libraries revert with these
///         too, so that the contract's ABI is the complete list. Holds no logic.
interface KerrosErrors {
    // ---- deployment ------------------------------------------------------------------------
    /// gamma2 of the proving key must be the standard generator of G2: both checks share it.
    error GammaNotGenerator();
    /// delta2 equals gamma2 or its negative: anybody could forge proofs.
    error DeltaEqualsGamma();
    /// A constant that must not be the point at infinity is.
    error ConstantAtInfinity();
    /// A G2 constant is not a point of the right subgroup.
    error NotInG2();
    /// The shape breaks D, E >= 1, O >= D, T + E <= 2^16, L < 2^20 or a count's 16 bits.
    error BadShape(uint32 opens, uint32 deposits, uint32 transfers, uint32 exits, uint32 collects);
    /// Needs kGenesis <= kMax <= 28 and 2^kGenesis >= O + 1.
    error BadLedgerSize(uint8 kGenesis, uint8 kMax);
    /// One [tau^(2^k)]_2 for each k in kGenesis..kMax-1.
    error WrongTauPowerCount(uint256 expected, uint256 got);
    /// T_silent must be below T_force and neither zero; windows fit 32 bits.
    error BadWindows(uint64 forceWindow, uint64 entryWindow, uint64 silence);
    /// Operator, admin or token is the zero address.
    error ZeroAddress();

    // ---- fields and points -----------------------------------------------------------------
    /// A word standing for a scalar is not below r.
    error NotFieldElement(uint256 value);
    /// A coordinate is not below q.
    error NotCoordinate(uint256 value);
    /// The precompile refused a G1 point (or the call failed).
    error NotOnCurve(uint256 x, uint256 y);
    /// The pairing precompile refused its input (a point off the curve or out of its subgroup).
    error PairingRefused();

    // ---- assets ----------------------------------------------------------------------------
    error OnlyAdmin(address caller);
    error TokenHasNoCode(address token);
    error TokenKnown(address token, uint16 asset);
    error UnitTooLarge(uint8 unitExponent);
    error TooManyAssets();
    error UnknownAsset(uint16 asset);
    /// The token's transfer or transferFrom reverted, returned false or returned nonsense.
    error TransferFailed(address token);
    error NothingToClaim();
    error EtherTransferFailed(address account);
    /// More leaves than was ever put in: only a broken proof system gets here.
    error SupplyUnderflow(uint16 asset, uint64 supply, uint64 amount);

    // ---- queue -----------------------------------------------------------------------------
    /// The account key is 0 or not below r.
    error BadKey(uint256 key);
    error ZeroOwner();
    error ZeroAmount();
    error NotMultipleOfUnit(uint256 amount, uint256 unit);
    /// supply + units would reach 2^64.
    error SupplyBound(uint16 asset, uint64 supply, uint256 units);
    /// The token moved another amount to or from here than asked for (a fee on transfer, a lie).
    error MovedAmount(uint256 expected, uint256 got);
    /// opened + unprocessed deposits would exceed 2^kMax - 1.
    error LedgerFull(uint256 needed, uint256 limit);
    error BadIndex(uint256 index, uint256 limit);
    error EntryFeeTooLow(uint256 required, uint256 sent);
    /// More entries wait than an entry can count.
    error QueueFull(uint256 waiting);
    error EntryNotPending(uint64 entry);
    error Reentered();

    // ---- posting ---------------------------------------------------------------------------
    /// The rollup is frozen for ever.
    error IsFrozen();
    /// A contract (or an account with code) posts, and the data might not be the transaction's input.
    error SenderIsContract(address sender);
    /// Not the operator, and the operator has not been silent for long enough.
    error OperatorNotSilent(uint256 allowedFrom, uint256 nowSeconds);
    /// A stranger's batch must also serve this old entry, for which it has room.
    error MustServe(uint64 entry);
    /// The call is not encoded exactly as the ABI's canonical encoder does it.
    error NonCanonicalCalldata();
    error WrongBatchNumber(uint64 expected, uint64 got);
    error WrongRoot(bytes32 expected, bytes32 got);
    /// grownC must be all zero unless the batch grows the ledger.
    error GrownWithoutGrowth();
    error LedgerAtMaximum(uint8 k);
    error GrowthRejected();
    error ProofRejected();

    // ---- batch data ------------------------------------------------------------------------
    /// Sections are numbered O = 0, D = 1, T = 2, E = 3, F = 4.
    error CountAboveCapacity(uint256 section, uint256 count, uint256 capacity);
    error WrongDataLength(uint256 expected, uint256 got);
    /// The first element of a record within its section's count is zero.
    error EmptyRecord(uint256 section, uint256 record);
    error BadForcedFlag(uint256 record, uint256 flag);
    /// An open names an unknown asset, a key 0 or >= r, or owner 0.
    error BadOpen(uint256 record);
    /// The batch's records claim more entries than wait.
    error QueueTooShort(uint64 end, uint64 tail);
    /// The record that should serve this entry differs from it or is missing.
    error QueueMismatch(uint64 entry);

    // ---- freeze and escape -----------------------------------------------------------------
    error NotFrozen();
    error DeadlineNotPassed(uint256 deadline, uint256 nowSeconds);
    error AlreadyEscaped(uint32 index);
    /// w1 >= 2^112, w2 >= 2^160 or asset 0: no account has these words.
    error BadAccountWords();
    error OpeningRejected();
}
