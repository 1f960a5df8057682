// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title A contract that makes calls for its caller
/// @notice Posts in nobody's transaction data, deposits inside a deposit, refuses ether.
contract Relay {
    address private _hookTarget;
    bytes private _hookCall;
    bool private _tolerant;

    event Tried(bool ok);

    error EtherRefused();

    /// Passes a call on, with its reason if it fails.
    function relay(address target, bytes calldata data) external payable returns (bytes memory) {
        return _forward(target, data, msg.value);
    }

    /// What to call when a token says that it moves.
    function onTokensMoving(address target, bytes calldata data) external {
        _hookTarget = target;
        _hookCall = data;
    }

    /// The same, also when ether comes, which is refused before; a call that fails is told and forgiven.
    function onMoneyMoving(address target, bytes calldata data) external {
        _hookTarget = target;
        _hookCall = data;
        _tolerant = true;
    }

    receive() external payable {
        if (!_tolerant) revert EtherRefused();
        tokensMoving();
    }

    function tokensMoving() public {
        if (_hookTarget == address(0)) return;
        if (_tolerant) {
            (bool ok,) = _hookTarget.call(_hookCall);
            emit Tried(ok);
        } else {
            _forward(_hookTarget, _hookCall, 0);
        }
    }

    function _forward(address target, bytes memory data, uint256 value) private returns (bytes memory) {
        (bool ok, bytes memory result) = target.call{value: value}(data);
        if (!ok) {
            assembly {
                revert(add(result, 0x20), mload(result))
            }
        }
        return result;
    }
}
