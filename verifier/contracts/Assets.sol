// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {KerrosErrors} from "./Errors.sol";
import {KerrosEvents} from "./Events.sol";
import {IERC20} from "./IERC20.sol";

/// @title Assets, their supply on layer 2, and what may be withdrawn
/// @notice Amounts on layer 2 are counted in units of 10^unitExponent base units. A payout is
///         credited here and claimed later, by anybody, to the recorded address: no recipient can
///         make a batch fail. The same holds for ether (entry fees). Knows no batch and no queue.
///         Entry fees that are burnt simply stay: no function moves them.
abstract contract Assets is KerrosErrors, KerrosEvents {
    struct Asset {
        IERC20 token;
        /// k in unit = 10^k base units.
        uint8 unitExponent;
        /// Units on layer 2 or queued to get there; always below 2^64.
        uint64 supply;
    }

    /// 2^64 units of 10^36 base units are far below 2^256.
    uint8 internal constant UNIT_EXPONENT_MAX = 36;

    /// Registers assets. Can neither remove nor change them, nor touch anything else.
    address public immutable admin;

    /// The highest asset id in use; ids start at 1.
    uint16 public assetCount;
    /// Asset id to asset. Empty for id 0 and for ids above `assetCount`.
    mapping(uint16 => Asset) public assets;
    /// Token to asset id; 0 if not registered.
    mapping(address => uint16) public assetOfToken;
    /// Units that an account may claim, by asset.
    mapping(uint16 => mapping(address => uint256)) public withdrawable;
    /// Wei that an account may claim.
    mapping(address => uint256) public etherCredit;

    /// EIP-1153 slot of the lock around calls to tokens and recipients.
    uint256 private constant LOCK = uint256(keccak256("kerros.v1.lock"));

    modifier nonReentrant() {
        _lock();
        _;
        _unlock();
    }

    constructor(address admin_) {
        if (admin_ == address(0)) revert ZeroAddress();
        admin = admin_;
    }

    /// @notice Makes a token usable. Its unit is 10^unitExponent of its base units.
    /// @return asset the new id
    function registerAsset(address token, uint8 unitExponent) external returns (uint16 asset) {
        if (msg.sender != admin) revert OnlyAdmin(msg.sender);
        if (token == address(0)) revert ZeroAddress();
        if (token.code.length == 0 || token == address(this)) revert TokenHasNoCode(token);
        if (assetOfToken[token] != 0) revert TokenKnown(token, assetOfToken[token]);
        if (unitExponent > UNIT_EXPONENT_MAX) revert UnitTooLarge(unitExponent);
        if (assetCount == type(uint16).max) revert TooManyAssets();
        asset = ++assetCount;
        assets[asset] = Asset({token: IERC20(token), unitExponent: unitExponent, supply: 0});
        assetOfToken[token] = asset;
        emit AssetRegistered(asset, token, unitExponent);
    }

    /// @notice Pays all that `account` may withdraw of `asset` to `account`. Anybody may call.
    function claim(uint16 asset, address account) external nonReentrant {
        uint256 units = withdrawable[asset][account];
        if (units == 0) revert NothingToClaim();
        withdrawable[asset][account] = 0;
        emit Claimed(asset, account, units);
        Asset storage a = assets[asset];
        IERC20 token = a.token;
        uint256 baseAmount = units * 10 ** a.unitExponent;
        uint256 before = token.balanceOf(address(this));
        _callToken(token, abi.encodeCall(IERC20.transfer, (account, baseAmount)));
        _requireMoved(baseAmount, before, token.balanceOf(address(this)));
    }

    /// @notice Pays all the ether credited to `account` to `account`. Anybody may call.
    function claimEther(address account) external nonReentrant {
        uint256 amount = etherCredit[account];
        if (amount == 0) revert NothingToClaim();
        etherCredit[account] = 0;
        emit EtherClaimed(account, amount);
        (bool ok,) = account.call{value: amount}("");
        if (!ok) revert EtherTransferFailed(account);
    }

    /// @dev Whole units in an amount of base units; refuses zero, remainders and an overflow of
    ///      the supply bound, and raises the supply.
    function _mint(uint16 asset, uint256 baseAmount) internal returns (uint64 units) {
        Asset storage a = assets[asset];
        if (address(a.token) == address(0)) revert UnknownAsset(asset);
        uint256 unit = 10 ** a.unitExponent;
        if (baseAmount == 0) revert ZeroAmount();
        if (baseAmount % unit != 0) revert NotMultipleOfUnit(baseAmount, unit);
        uint256 wide = baseAmount / unit;
        if (wide > type(uint64).max - a.supply) revert SupplyBound(asset, a.supply, wide);
        units = uint64(wide);
        a.supply += units;
    }

    /// @dev Moves base units from the caller to here and refuses a token that moves another amount.
    function _pull(uint16 asset, uint256 baseAmount) internal {
        IERC20 token = assets[asset].token;
        uint256 before = token.balanceOf(address(this));
        _callToken(token, abi.encodeCall(IERC20.transferFrom, (msg.sender, address(this), baseAmount)));
        _requireMoved(baseAmount, token.balanceOf(address(this)), before);
    }

    /// @dev Units leave layer 2 towards `account`. A zero amount touches nothing at all.
    function _credit(uint16 asset, address account, uint64 units) internal {
        if (units == 0) return;
        Asset storage a = assets[asset];
        uint64 supply = a.supply;
        if (units > supply) revert SupplyUnderflow(asset, supply, units);
        a.supply = supply - units;
        withdrawable[asset][account] += units;
        emit Withdrawable(asset, account, units);
    }

    function _creditEther(address account, uint256 amount) internal {
        if (amount == 0) return;
        etherCredit[account] += amount;
        emit EtherCredited(account, amount);
    }

    /// @dev Whatever a token says, its own books count: a claim that paid nothing or too much is undone.
    function _requireMoved(uint256 expected, uint256 more, uint256 less) private pure {
        uint256 moved = more > less ? more - less : 0;
        if (moved != expected) revert MovedAmount(expected, moved);
    }

    /// @dev Accepts no returned data, or one word that says true.
    function _callToken(IERC20 token, bytes memory call) private {
        (bool ok, bytes memory result) = address(token).call(call);
        if (ok && result.length != 0) {
            uint256 word;
            if (result.length >= 32) {
                assembly ("memory-safe") {
                    word := mload(add(result, 0x20))
                }
            }
            ok = word == 1;
        }
        if (!ok || address(token).code.length == 0) revert TransferFailed(address(token));
    }

    function _lock() private {
        uint256 slot = LOCK;
        uint256 locked;
        assembly ("memory-safe") {
            locked := tload(slot)
        }
        if (locked != 0) revert Reentered();
        assembly ("memory-safe") {
            tstore(slot, 1)
        }
    }

    function _unlock() private {
        uint256 slot = LOCK;
        assembly ("memory-safe") {
            tstore(slot, 0)
        }
    }
}
