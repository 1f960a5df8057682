//! A setup whose secrets the tests know: proofs that verify without a circuit.

use alloy::primitives::U256;
use ark_bn254::Fr;
use ark_ff::PrimeField;
pub use kerros_verifier::trapdoor::{key, prove};

/// tau of the simulator's setup.
pub fn tau() -> Fr {
    Fr::from(0x5eed_0001u64)
}

/// The field element of a word, reduced.
pub fn scalar(word: U256) -> Fr {
    Fr::from_be_bytes_mod_order(&word.to_be_bytes::<32>())
}
