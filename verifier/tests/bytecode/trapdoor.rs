//! A setup whose secrets the tests know: proofs that verify without a circuit.

use alloy::primitives::U256;
use ark_bn254::Fr;
use ark_ff::PrimeField;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::transcript::BatchProof;
use kerros_protocol::verification_key::VerificationKey;
pub use kerros_verifier::trapdoor::key;

/// tau of that setup.
pub fn tau() -> Fr {
    Fr::from(kerros_verifier::trapdoor::TAU)
}

/// The field element of a word, reduced.
pub fn scalar(word: U256) -> Fr {
    Fr::from_be_bytes_mod_order(&word.to_be_bytes::<32>())
}

/// A proof that the contract accepts.
pub fn prove(key: &VerificationKey, domain: Fr, batch: &SealedBatch) -> BatchProof {
    kerros_verifier::trapdoor::prove(key, domain, batch).expect("no secret is drawn")
}
