//! What a prover holds in memory: keys, constraint matrices and the reference string.

use crate::basis::Kernels;
use crate::groth16::Groth16;
use ark_bn254::G1Affine;
use kerros_circuits::groth16::Compiled;
use kerros_circuits::proving_key;
use kerros_circuits::setup::{SetupError, SetupFiles, read_verification_key};
use kerros_kernels::Path;
use kerros_protocol::commitment::{Srs, SrsError};
use kerros_protocol::verification_key::VerificationKey;
use std::sync::{Arc, Mutex, PoisonError};

/// `[L_i(τ)]_1` for a ledger size, by index.
pub struct Points {
    /// As the protocol's commitments take them.
    pub lagrange: Arc<Vec<G1Affine>>,
    /// As the openings' arithmetic takes them.
    pub kernels: Kernels,
}

/// Points of the last ledger size used.
type Cache = Mutex<Option<(u8, Arc<Points>)>>;

/// Everything loaded from a key directory.
pub struct ProverKeys {
    /// Key the proofs verify under.
    pub verification: VerificationKey,
    /// Proving key and matrices.
    pub groth16: Groth16,
    srs: Srs,
    points: Cache,
}

impl ProverKeys {
    /// Loads `srs.bin`, `verification.key` and `proving.key`, and makes the circuit's matrices; proofs
    /// are computed on the best path of this processor.
    pub fn load(dir: &std::path::Path) -> Result<Self, SetupError> {
        Self::load_for(dir, Path::detect())
    }
    /// The same for a path that this processor has.
    pub fn load_for(dir: &std::path::Path, path: Path) -> Result<Self, SetupError> {
        let files = SetupFiles::in_dir(dir);
        let verification = read_verification_key(&files.verification_key)?;
        let compiled = Compiled::new(&verification.shape);
        let proving = proving_key::read(&files.proving_key, &compiled, &verification)?;
        let srs = Srs::open(&files.srs)?;
        if srs.header.tau_powers != verification.tau_powers {
            return Err(SetupError::Foreign { path: files.srs, what: "verification key" });
        }
        let groth16 = Groth16::new(path, proving, compiled.matrices());
        Ok(Self { verification, groth16, srs, points: Mutex::new(None) })
    }
    /// Constraints of the circuit.
    pub fn constraints(&self) -> usize {
        self.groth16.matrices[0].rows()
    }
    /// `[L_i(τ)]_1` for a ledger of `2^k`, by index.
    pub fn lagrange(&self, k: u8) -> Result<Arc<Vec<G1Affine>>, SrsError> {
        Ok(Arc::clone(&self.points(k)?.lagrange))
    }
    /// Points for a ledger of `2^k`; kept for the next batch of the same size.
    pub fn points(&self, k: u8) -> Result<Arc<Points>, SrsError> {
        let mut cache = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cache {
            Some((size, points)) if *size == k => Ok(points.clone()),
            _ => {
                let lagrange = Arc::new(self.srs.lagrange(k)?);
                let kernels = Kernels::new(self.groth16.path, k, &lagrange);
                let points = Arc::new(Points { lagrange, kernels });
                *cache = Some((k, points.clone()));
                Ok(points)
            }
        }
    }
}
