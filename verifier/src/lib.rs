//! Checks a batch: Groth16 proof, KZG opening and update, transcript and batch data.
//!
//! Everything the check needs besides the proof is derived from data the verifier has itself.
//! Architecture invariant: this crate knows neither circuits nor prover.

pub mod audit;
pub mod batch;
pub mod chain;
pub mod contract;
pub mod deployed;
pub mod opening;
pub mod post;
pub mod promise;
pub mod receipt;
pub mod snarkjs;
pub mod trapdoor;

pub use batch::{VerifyError, pairing_check, verify_batch, verify_growth};
