// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What an observer of Kerros sees
/// @notice Amounts are in the asset's units (10^k base units), times in seconds, fees in wei.
interface KerrosEvents {
    event AssetRegistered(uint16 indexed asset, address indexed token, uint8 unitExponent);
    event DepositQueued(
        uint64 indexed entry,
        address indexed depositor,
        uint16 indexed asset,
        uint64 amount,
        uint256 key,
        address owner,
        uint256 fee,
        uint64 deadline
    );
    event ForcedExitQueued(
        uint64 indexed entry, address indexed requester, uint32 indexed index, uint256 fee, uint64 deadline
    );
    event BatchPosted(
        uint64 indexed number, bytes32 newRoot, uint64 first, uint64 end, uint8 k, address beneficiary
    );
    /// The account may claim `amount` more units than before.
    event Withdrawable(uint16 indexed asset, address indexed account, uint64 amount);
    /// `amount` in units left for `account`.
    event Claimed(uint16 indexed asset, address indexed account, uint256 amount);
    /// `account` may claim this much more ether (entry fees served, excess sent, fees returned).
    event EtherCredited(address indexed account, uint256 amount);
    event EtherClaimed(address indexed account, uint256 amount);
    event Frozen(uint64 indexed entry, uint64 deadline);
    event Escaped(uint32 indexed index, uint16 indexed asset, address indexed owner, uint64 amount);
    event Refunded(uint64 indexed entry, address indexed depositor, uint16 indexed asset, uint64 amount);
}
