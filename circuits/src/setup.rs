//! Setup: development keys and reference strings.
//!
//! A development setup draws its secrets from the given randomness and forgets them; the files say
//! so in their headers and production configurations refuse them (SPEC.md section 8).

use crate::groth16::{Compiled, generate};
use crate::proving_key;
use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Projective};
use ark_ec::scalar_mul::BatchMulPreprocessing;
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{Field, UniformRand};
use ark_poly::EvaluationDomain;
use kerros_protocol::batch::Shape;
use kerros_protocol::commitment::{
    Srs, SrsError, SrsHeader, SrsWriter, bit_reverse, evaluation_domain,
};
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::limits::LEDGER_K_MAX;
use kerros_protocol::verification_key::VerificationKey;
use rand::{CryptoRng, RngCore};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroize;

/// Names of the files in a key directory.
pub struct SetupFiles {
    /// `srs.bin`.
    pub srs: PathBuf,
    /// `verification.key`.
    pub verification_key: PathBuf,
    /// `proving.key`.
    pub proving_key: PathBuf,
}

impl SetupFiles {
    /// The files of a directory.
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            srs: dir.join("srs.bin"),
            verification_key: dir.join("verification.key"),
            proving_key: dir.join("proving.key"),
        }
    }
}

/// Why a setup failed or its files were refused.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {source}")]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: DecodeError,
    },
    /// The reference string was refused.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// The key belongs to another circuit or another verification key.
    #[error("{path}: made for another {what}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// "circuit" or "verification key".
        what: &'static str,
    },
    /// Ledger sizes out of order.
    #[error(
        "ledger sizes 2^{k_genesis} to 2^{k_max}: at most 2^{LEDGER_K_MAX}, genesis must hold {opens} opens and index 0"
    )]
    LedgerSize {
        /// Least exponent.
        k_genesis: u8,
        /// Greatest exponent.
        k_max: u8,
        /// O of the shape.
        opens: u32,
    },
    /// arkworks refused the circuit.
    #[error("key generation: {0}")]
    Generation(#[from] ark_relations::gr1cs::SynthesisError),
}

pub(crate) fn io_at(path: &Path) -> impl Fn(io::Error) -> SetupError {
    move |source| SetupError::Io { path: path.to_owned(), source }
}

pub(crate) fn decode_at(path: &Path) -> impl Fn(DecodeError) -> SetupError {
    move |source| SetupError::Decode { path: path.to_owned(), source }
}

/// Writes through a temporary name, so that a half-written file never has the real one.
pub(crate) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), SetupError> {
    let temporary = path.with_extension("part");
    let at = io_at(path);
    let mut out = BufWriter::new(File::create(&temporary).map_err(&at)?);
    write(&mut out).map_err(&at)?;
    let file = out.into_inner().map_err(|error| at(error.into_error()))?;
    file.sync_all().map_err(&at)?;
    fs::rename(&temporary, path).map_err(&at)
}

/// Makes a development setup in `dir`, or finds the one that is there. `progress` is told each stage.
pub fn development(
    dir: &Path,
    shape: &Shape,
    k_genesis: u8,
    k_max: u8,
    rng: &mut (impl RngCore + CryptoRng),
    progress: &dyn Fn(&str),
) -> Result<SetupFiles, SetupError> {
    check_ledger_sizes(shape, k_genesis, k_max)?;
    fs::create_dir_all(dir).map_err(io_at(dir))?;
    let files = SetupFiles::in_dir(dir);
    if let Ok(key) = read_verification_key(&files.verification_key)
        && (key.shape, key.k_genesis, key.k_max()) == (*shape, k_genesis, k_max)
        && proving_key::is_for(&files.proving_key, &key)
        && Srs::open(&files.srs).is_ok_and(|srs| srs.header.tau_powers == key.tau_powers)
    {
        progress("setup found");
        return Ok(files);
    }
    progress("reference string");
    let header = reference_string(&files.srs, k_genesis, k_max, rng)?;
    progress("circuit");
    let compiled = Compiled::new(shape);
    progress("proving key");
    let proving = generate(&compiled, rng)?;
    let ic = proving.vk.gamma_abc_g1.as_slice().try_into();
    let key = VerificationKey {
        development: true,
        shape: *shape,
        alpha1: proving.vk.alpha_g1,
        beta2: proving.vk.beta_g2,
        delta2: proving.vk.delta_g2,
        ic: ic.expect("one point a public input and one for the constant"),
        k_genesis,
        tau_powers: header.tau_powers,
    };
    assert_eq!(proving.vk.gamma_g2, key.gamma2(), "γ is 1 on the standard generator");
    assert_ne!(key.delta2, key.gamma2(), "δ is not γ");
    progress("writing keys");
    write_keys(&files, &proving, &compiled, &key)?;
    Ok(files)
}

/// Writes the proving key, then the verification key.
pub fn write_keys(
    files: &SetupFiles,
    proving: &ark_groth16::ProvingKey<Bn254>,
    compiled: &Compiled,
    key: &VerificationKey,
) -> Result<(), SetupError> {
    proving_key::write(&files.proving_key, proving, compiled, key)?;
    write_whole(&files.verification_key, |out| out.write_all(&key.encode()))
}

/// Whether ledgers of these sizes serve a shape.
pub fn check_ledger_sizes(shape: &Shape, k_genesis: u8, k_max: u8) -> Result<(), SetupError> {
    let holds = 1u64 << k_genesis.min(LEDGER_K_MAX) > u64::from(shape.opens);
    if k_genesis > k_max || k_max > LEDGER_K_MAX || !holds {
        return Err(SetupError::LedgerSize { k_genesis, k_max, opens: shape.opens });
    }
    Ok(())
}

fn reference_string(
    path: &Path,
    k_genesis: u8,
    k_max: u8,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<SrsHeader, SetupError> {
    let mut tau = Fr::rand(rng);
    let mut power = tau;
    let mut tau_powers = Vec::new();
    for _ in 0..=k_max {
        tau_powers.push((G2Projective::generator() * power).into_affine());
        power.square_in_place();
    }
    let header = SrsHeader { development: true, k_genesis, k_max, tau_powers };
    let table = BatchMulPreprocessing::new(G1Projective::generator(), 1 << k_max);
    write_reference_string(path, &header, |k| {
        Ok(table.batch_mul(&evaluation_domain(k).evaluate_all_lagrange_coefficients(tau)))
    })?;
    tau.zeroize();
    power.zeroize();
    Ok(header)
}

/// Writes a reference string. `lagrange` gives the points of a size in the order of powers of its root.
pub fn write_reference_string(
    path: &Path,
    header: &SrsHeader,
    lagrange: impl Fn(u8) -> io::Result<Vec<G1Affine>>,
) -> Result<(), SetupError> {
    write_whole(path, |out| {
        let mut writer = SrsWriter::new(out, header)?;
        for k in header.k_genesis..=header.k_max {
            let natural = lagrange(k)?;
            let by_index: Vec<G1Affine> =
                (0..1usize << k).map(|i| natural[bit_reverse(i, k)]).collect();
            writer.lagrange(&by_index)?;
        }
        Ok(())
    })
}

/// Reads and checks a verification key file.
pub fn read_verification_key(path: &Path) -> Result<VerificationKey, SetupError> {
    let bytes = fs::read(path).map_err(io_at(path))?;
    VerificationKey::decode(&bytes).map_err(decode_at(path))
}

/// Where a development setup is cached: `base/<blake3 of shape and sizes>`.
pub fn cache_dir(base: &Path, shape: &Shape, k_genesis: u8, k_max: u8) -> PathBuf {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"kerros.v1.setup").update(&shape.to_be()).update(&[k_genesis, k_max]);
    base.join(&hasher.finalize().to_hex()[..16])
}
