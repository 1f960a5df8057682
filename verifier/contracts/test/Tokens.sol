// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Tokens for tests and the local chain. Each departs from ERC-20 in the one way its name says.

interface Receiver {
    function tokensMoving() external;
}

/// @title A plain token that anybody can mint
contract TestToken {
    string public name;
    string public symbol;
    uint8 public decimals;
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    error InsufficientBalance(uint256 have, uint256 need);
    error InsufficientAllowance(uint256 have, uint256 need);

    constructor(string memory name_, string memory symbol_, uint8 decimals_) {
        name = name_;
        symbol = symbol_;
        decimals = decimals_;
    }

    function mint(address to, uint256 amount) external {
        totalSupply += amount;
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external virtual returns (bool) {
        _spend(from, amount);
        _move(from, to, amount);
        return true;
    }

    function _spend(address from, uint256 amount) internal {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < amount) revert InsufficientAllowance(allowed, amount);
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - amount;
    }

    function _move(address from, address to, uint256 amount) internal {
        uint256 balance = balanceOf[from];
        if (balance < amount) revert InsufficientBalance(balance, amount);
        balanceOf[from] = balance - amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }
}

/// @title Returns nothing from its transfers
contract SilentToken is TestToken("Silent", "SIL", 6) {
    function transfer(address to, uint256 amount) external override returns (bool) {
        _move(msg.sender, to, amount);
        assembly {
            return(0, 0)
        }
    }

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        _spend(from, amount);
        _move(from, to, amount);
        assembly {
            return(0, 0)
        }
    }
}

/// @title Keeps one base unit of every transferFrom
contract FeeToken is TestToken("Fee", "FEE", 6) {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        _spend(from, amount);
        _move(from, to, amount - 1);
        _move(from, address(1), 1);
        return true;
    }
}

/// @title Returns false and moves nothing
contract FalseToken is TestToken("False", "FLS", 6) {
    function transfer(address, uint256) external pure override returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) external pure override returns (bool) {
        return false;
    }
}

/// @title Calls whoever's tokens it moves, and whoever gets them by a transfer
contract HookToken is TestToken("Hook", "HOK", 6) {
    function transfer(address to, uint256 amount) external override returns (bool) {
        _move(msg.sender, to, amount);
        if (to.code.length != 0) Receiver(to).tokensMoving();
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        _spend(from, amount);
        if (from.code.length != 0) Receiver(from).tokensMoving();
        _move(from, to, amount);
        return true;
    }
}

/// @title Plain until told otherwise: what a token may do after it was registered
contract MoodyToken is TestToken("Moody", "MDY", 6) {
    enum Mood { Plain, Reverts, False, Nonsense, Short, Idle, Fee }

    Mood public mood;

    error Moody();

    function setMood(Mood to) external {
        mood = to;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        _moodily(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        _spend(from, amount);
        _moodily(from, to, amount);
        return true;
    }

    function _moodily(address from, address to, uint256 amount) private {
        Mood now_ = mood;
        if (now_ == Mood.Reverts) revert Moody();
        if (now_ == Mood.Plain || now_ == Mood.Nonsense || now_ == Mood.Short) _move(from, to, amount);
        if (now_ == Mood.Fee) {
            _move(from, to, amount - 1);
            _move(from, address(1), 1);
        }
        if (now_ == Mood.False || now_ == Mood.Nonsense || now_ == Mood.Short) {
            assembly {
                mstore(0, mul(2, eq(now_, 3)))
                return(0, sub(32, mul(31, eq(now_, 4))))
            }
        }
    }
}
