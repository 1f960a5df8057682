// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Arguments of the contract. The Rust side mirrors them field by field.
// G1 points are x, y; G2 points are in EIP-197 order: x.c1, x.c0, y.c1, y.c0. Infinity is all zero.

/// The verification constants, out of the key file of one shape.
struct Key {
    uint256[2] alpha1;
    uint256[4] beta2;
    uint256[4] gamma2;
    uint256[4] delta2;
    /// IC[0..10], x and y of each: constant term, then h, beta, z, y, A, Delta, Z, n, domain.
    uint256[20] ic;
    /// [tau]_2
    uint256[4] tau2;
    /// Capacities of the sections O, D, T, E, F.
    uint32[5] shape;
    /// [tau^(2^k)]_2 for k = kGenesis, ..., kMax - 1.
    uint256[4][] tauPowers;
}

/// Everything about a deployment that is not mathematics. Times in seconds.
struct Parameters {
    address operator;
    /// Registers assets; has no other power.
    address admin;
    uint8 kGenesis;
    uint8 kMax;
    /// T_force: the time in which an entry that met an empty queue must be served.
    uint64 forceWindow;
    /// What every entry before adds to the deadline.
    uint64 entryWindow;
    /// T_silent: the operator's silence after which anybody may post.
    uint64 silence;
    /// Fee in wei of an entry that meets an empty queue, on top of twice the gas of serving it.
    uint128 entryFee;
}

/// One batch, with its growth step if it has one.
struct Post {
    /// The next number; the genesis root is number 0, the first batch is 1.
    uint64 batchNumber;
    /// The commitments under the stored root (before growth).
    uint256[6] oldC;
    /// The commitments after growth; all zero unless `grow`.
    uint256[6] grownC;
    bool grow;
    uint256[6] newC;
    uint256 h;
    uint256 A;
    uint256 Delta;
    uint256 Z;
    uint256[2] Q;
    uint256[2] W;
    /// A.x A.y | B in EIP-197 order | C.x C.y
    uint256[8] proof;
    address beneficiary;
    bytes data;
}
