// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "./Bn254.sol";
import {KerrosErrors} from "./Errors.sol";
import {Key} from "./Types.sol";

/// @title A contract whose code is data
/// @notice Its code is one STOP byte and then the words given. It can never be called to any effect.
contract DataCode {
    constructor(bytes memory content) {
        bytes memory code = abi.encodePacked(uint8(0), content);
        assembly ("memory-safe") {
            return(add(code, 0x20), mload(code))
        }
    }
}

/// @title The verification constants, kept as code
/// @notice Reading 38 storage words would cost about 80,000 gas per batch, EXTCODECOPY about 2,800.
///         Layout after the STOP byte, in words: alpha1 0, beta2 2, gamma2 6, delta2 10, IC 14,
///         [tau]_2 34, then [tau^(2^k)]_2 from 38 on, four words each, k from kGenesis.
library KeyCode {
    uint256 internal constant ALPHA = 0;
    uint256 internal constant BETA = 2;
    uint256 internal constant GAMMA = 6;
    uint256 internal constant DELTA = 10;
    uint256 internal constant IC = 14;
    uint256 internal constant TAU = 34;
    /// Number of words that every batch needs; the powers of tau for growth follow.
    uint256 internal constant WORDS = 38;

    /// @dev Checks the constants, deploys them and returns their place and vkHash.
    function deploy(Key memory key) internal returns (address code, bytes32 vkHash) {
        _check(key);
        bytes memory content =
            abi.encodePacked(key.alpha1, key.beta2, key.gamma2, key.delta2, key.ic, key.tau2);
        vkHash = keccak256(
            abi.encodePacked(content, key.shape[0], key.shape[1], key.shape[2], key.shape[3], key.shape[4])
        );
        for (uint256 i = 0; i < key.tauPowers.length; ++i) {
            content = abi.encodePacked(content, key.tauPowers[i]);
        }
        code = address(new DataCode(content));
    }

    /// @dev The words every batch needs.
    function load(address code) internal view returns (uint256[38] memory words) {
        assembly ("memory-safe") {
            extcodecopy(code, words, 1, 1216)
        }
    }

    /// @dev [tau^(2^k)]_2, where `step` is k - kGenesis. The caller knows that the step exists.
    function tauPower(address code, uint256 step) internal view returns (uint256[4] memory point) {
        assembly ("memory-safe") {
            extcodecopy(code, point, add(1217, mul(128, step)), 128)
        }
    }

    function _check(Key memory key) private view {
        if (
            key.gamma2[0] != Bn254.G2_X1 || key.gamma2[1] != Bn254.G2_X0 || key.gamma2[2] != Bn254.G2_Y1
                || key.gamma2[3] != Bn254.G2_Y0
        ) revert KerrosErrors.GammaNotGenerator();
        // Equal x: delta is gamma or its negative. Either way C of a proof could cancel the inputs.
        if (key.delta2[0] == key.gamma2[0] && key.delta2[1] == key.gamma2[1]) {
            revert KerrosErrors.DeltaEqualsGamma();
        }

        uint256[5] memory sum;
        _requireFinite(key.alpha1[0], key.alpha1[1]);
        Bn254.addProduct(sum, key.alpha1[0], key.alpha1[1], 1);
        for (uint256 i = 0; i < 20; i += 2) {
            Bn254.addProduct(sum, key.ic[i], key.ic[i + 1], 1);
        }

        _requireG2(key.beta2);
        _requireG2(key.delta2);
        _requireG2(key.tau2);
        for (uint256 i = 0; i < key.tauPowers.length; ++i) {
            _requireG2(key.tauPowers[i]);
        }
    }

    /// @dev Pairs the point with infinity: the precompile checks curve and subgroup all the same.
    function _requireG2(uint256[4] memory p) private view {
        _requireFinite(p[0] | p[1], p[2] | p[3]);
        uint256[6] memory couple = [0, 0, p[0], p[1], p[2], p[3]];
        uint256 words;
        assembly ("memory-safe") {
            words := couple
        }
        if (!Bn254.productIsOne(words, 1)) revert KerrosErrors.NotInG2();
    }

    function _requireFinite(uint256 x, uint256 y) private pure {
        if (x | y == 0) revert KerrosErrors.ConstantAtInfinity();
    }
}
