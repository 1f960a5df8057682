//! The check of proofs before anything is stored or posted.
//!
//! A trait, so that the services around it can be tested without a circuit; [`KeyVerifier`] is the
//! only implementation that a deployment uses.

use kerros_protocol::batch::BatchData;
use kerros_protocol::commitment::Commitments;
use kerros_protocol::transcript::{BatchProof, Statement};
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::VerifyError;

/// Checks what the main chain will check.
pub trait BatchVerifier: Send + Sync {
    /// Checks a batch's proof.
    fn batch(
        &self,
        statement: &Statement,
        data: &BatchData,
        proof: &BatchProof,
    ) -> Result<(), VerifyError>;
    /// Checks a growth from `2^k_before`.
    fn growth(
        &self,
        before: &Commitments,
        after: &Commitments,
        k_before: u8,
    ) -> Result<(), VerifyError>;
}

/// Checks with a verification key, as the contract does.
pub struct KeyVerifier(pub VerificationKey);

impl BatchVerifier for KeyVerifier {
    fn batch(
        &self,
        statement: &Statement,
        data: &BatchData,
        proof: &BatchProof,
    ) -> Result<(), VerifyError> {
        kerros_verifier::verify_batch(&self.0, statement, data, proof)
    }
    fn growth(
        &self,
        before: &Commitments,
        after: &Commitments,
        k_before: u8,
    ) -> Result<(), VerifyError> {
        kerros_verifier::verify_growth(&self.0, before, after, k_before)
    }
}
