//! What a prover holds in memory: keys, constraint matrices and the reference string.

use ark_bn254::{Bn254, Fr, G1Affine};
use ark_groth16::ProvingKey;
use ark_relations::gr1cs::Matrix;
use kerros_circuits::groth16::Compiled;
use kerros_circuits::setup::{SetupError, SetupFiles, read_proving_key, read_verification_key};
use kerros_protocol::commitment::{Srs, SrsError};
use kerros_protocol::verification_key::VerificationKey;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Lagrange points of the last ledger size used.
type LagrangeCache = Mutex<Option<(u8, Arc<Vec<G1Affine>>)>>;

/// Everything loaded from a key directory.
pub struct ProverKeys {
    /// Key the proofs verify under.
    pub verification: VerificationKey,
    /// arkworks' proving key.
    pub proving: ProvingKey<Bn254>,
    /// A, B and C of the circuit.
    pub matrices: [Matrix<Fr>; 3],
    srs: Srs,
    lagrange: LagrangeCache,
}

impl ProverKeys {
    /// Loads `srs.bin`, `verification.key` and `proving.key`, and makes the circuit's matrices.
    pub fn load(dir: &Path) -> Result<Self, SetupError> {
        let files = SetupFiles::in_dir(dir);
        let verification = read_verification_key(&files.verification_key)?;
        let compiled = Compiled::new(&verification.shape);
        let proving = read_proving_key(&files.proving_key, &compiled, &verification)?;
        let srs = Srs::open(&files.srs)?;
        if srs.header.tau_powers != verification.tau_powers {
            return Err(SetupError::Foreign { path: files.srs, what: "verification key" });
        }
        let matrices = compiled.matrices();
        Ok(Self { verification, proving, matrices, srs, lagrange: Mutex::new(None) })
    }
    /// Constraints of the circuit.
    pub fn constraints(&self) -> usize {
        self.matrices[0].len()
    }
    /// `[L_i(τ)]_1` for a ledger of `2^k`, by index; kept for the next batch of the same size.
    pub fn lagrange(&self, k: u8) -> Result<Arc<Vec<G1Affine>>, SrsError> {
        let mut cache = self.lagrange.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cache {
            Some((size, points)) if *size == k => Ok(points.clone()),
            _ => {
                let points = Arc::new(self.srs.lagrange(k)?);
                *cache = Some((k, points.clone()));
                Ok(points)
            }
        }
    }
}
