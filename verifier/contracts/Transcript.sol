// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "./Bn254.sol";
import {Post} from "./Types.sol";

/// @title The transcript: what is hashed, in which order (protocol, sections 3, 4 and 5)
/// @notice Pure functions. Labels are ASCII; scalars, digests and coordinates take 32 bytes,
///         numbers and queue positions 8, the beneficiary 20, k one byte.
library Transcript {
    /// @dev Separates this contract on this chain, read live, from every other one.
    function domain(uint256 chainId, address rollup) internal pure returns (uint256) {
        return toScalar(keccak256(abi.encodePacked("kerros.v1", chainId, rollup)));
    }

    function root(uint256[6] memory commitments, uint8 k) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(commitments, k));
    }

    /// @dev beta from everything that is fixed before the proof.
    function beta(bytes32 ctx) internal pure returns (uint256) {
        return toScalar(keccak256(abi.encodePacked("kerros.v1.beta", ctx)));
    }

    /// @dev z after Q, so that Q cannot depend on it.
    function z(uint256 beta_, uint256[2] calldata quotient) internal pure returns (uint256) {
        return toScalar(keccak256(abi.encodePacked("kerros.v1.z", beta_, quotient)));
    }

    function gamma(uint256 z_) internal pure returns (uint256) {
        return toScalar(keccak256(abi.encodePacked("kerros.v1.gamma", z_)));
    }

    /// @dev Weighs the opening equation against the Groth16 equation: after all the prover sends.
    function rho(uint256 z_, Post calldata p) internal pure returns (uint256) {
        return toScalar(keccak256(abi.encodePacked("kerros.v1.rho", z_, p.proof, p.W, p.A, p.Delta, p.Z, p.h)));
    }

    /// @dev Batches the three growth equations; k is the size before growth.
    function growth(uint256[6] memory before, uint256[6] memory grown, uint8 k) internal pure returns (uint256) {
        return toScalar(keccak256(abi.encodePacked("kerros.v1.grow", before, grown, k)));
    }

    /// @dev Batches the three openings of an escape: all C (192 bytes), index (4 bytes), words (96 bytes).
    function escape(uint256[6] memory commitments, uint32 index, uint256[3] memory words)
        internal
        pure
        returns (uint256)
    {
        return toScalar(keccak256(abi.encodePacked(commitments, index, words)));
    }

    function toScalar(bytes32 digest) internal pure returns (uint256) {
        return uint256(digest) % Bn254.R;
    }
}
