//! `kerros setup ceremony`: keys whose secrets nobody knows, in the formats of snarkjs.

use super::{Failure, Said};
use crate::progress::Bar;
use clap::{Args, Subcommand};
use kerros_circuits::groth16::Compiled;
use kerros_circuits::setup::{SetupError, read_verification_key};
use kerros_protocol::batch::Shape;
use kerros_setup::chain::format_hash;
use kerros_setup::contribute::{self, ContributeError};
use kerros_setup::error::FileError;
use kerros_setup::import::{self, ImportError};
use kerros_setup::initial::InitialError;
use kerros_setup::ptau::{Ptau, PtauError};
use kerros_setup::r1cs;
use kerros_setup::verify::{CeremonyError, Report, Stage, verify, verify_extension};
use kerros_setup::zkey::{Beacon, Zkey};
use rand::rngs::OsRng;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of entropy taken at most: /dev/urandom never ends.
const ENTROPY_MAX: u64 = 1 << 20;

/// Why a step of a ceremony failed.
#[derive(Debug, Error)]
pub enum StepError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Phase 1.
    #[error("powers of tau: {0}")]
    Phase1(#[from] PtauError),
    /// The key that circuit and phase 1 give.
    #[error("first key: {0}")]
    Initial(#[from] InitialError),
    /// The contribution was not made.
    #[error("contribution: {0}")]
    Contribute(#[from] ContributeError),
    /// The transcript is wrong.
    #[error("ceremony: {0}")]
    Ceremony(#[from] CeremonyError),
    /// No keys could be made of the result.
    #[error("import: {0}")]
    Import(#[from] ImportError),
    /// The files just made.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Other powers of tau than those that were published.
    #[error("powers of tau: hash {found}, not the one given: this is another file")]
    OtherPtau {
        /// BLAKE2b-512 of the file.
        found: String,
    },
    /// The powers of tau were changed while they were imported.
    #[error(
        "powers of tau: the file changed while it was read; the verification key was taken away again"
    )]
    Changed,
    /// A file would be overwritten.
    #[error("{path}: exists already; name another file", path = .0.display())]
    Exists(PathBuf),
    /// Somebody's entropy could not be read.
    #[error("{path}: {source}", path = path.display())]
    Entropy {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The circuit, and the powers of tau that it is set up with.
#[derive(Debug, Args)]
pub struct OverArgs {
    /// Capacities of opens, deposits, transfers, exits and collects.
    #[arg(long, value_name = "O,D,T,E,F")]
    shape: Shape,
    /// Powers of tau, prepared for phase 2, at least one power larger than the circuit needs.
    #[arg(long, value_name = "FILE.ptau")]
    ptau: PathBuf,
    /// BLAKE2b-512 of that file, as its ceremony published it, in hexadecimal: who made the powers of tau nothing else says.
    #[arg(long, value_name = "HEX")]
    ptau_hash: Option<HexBytes>,
}

/// One contribution.
#[derive(Debug, Args)]
pub struct ContributeArgs {
    #[command(flatten)]
    over: OverArgs,
    /// The key so far. It is verified first: in a key that somebody prepared, your secret would help him.
    from: PathBuf,
    /// The key with the contribution.
    to: PathBuf,
    /// Who contributes; public.
    #[arg(long)]
    name: String,
    /// Secret bytes to be mixed with the system's randomness, at most 1 MiB: dice, noise, what you like.
    #[arg(long, value_name = "FILE")]
    entropy: Option<PathBuf>,
}

/// The end of a ceremony.
#[derive(Debug, Args)]
pub struct BeaconArgs {
    /// The key so far.
    from: PathBuf,
    /// The final key.
    to: PathBuf,
    /// What the beacon is, e.g. which block's hash; public.
    #[arg(long)]
    name: String,
    /// The public value that nobody could foresee, in hexadecimal.
    #[arg(long, value_name = "HEX")]
    hash: HexBytes,
    /// It is hashed 2^N times.
    #[arg(long, value_name = "N", default_value_t = 20)]
    iterations: u8,
}

/// Steps of a ceremony.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Anybody may take each step with snarkjs 0.7 instead (groth16 setup, zkey contribute, zkey beacon): the files are the same. Who
contributes with snarkjs must verify what he got first (`verify --unfinished` here; snarkjs's own check leaves a gap), or
his contribution protects nobody. `import` marks keys as made for development unless --ptau-hash is given. Example:
  over='--shape 16,8,64,16,4 --ptau phase1.ptau --ptau-hash 0x…'
  kerros setup ceremony new $over --r1cs kerros.r1cs kerros_0.zkey
  kerros setup ceremony contribute $over kerros_0.zkey kerros_1.zkey --name Ada
  kerros setup ceremony beacon kerros_1.zkey kerros.zkey --name 'block 23900000' --hash 0x… --iterations 20
  kerros setup ceremony verify $over kerros.zkey
  kerros setup ceremony import $over kerros.zkey --dir keys")]
pub enum CeremonyCommand {
    /// Make the key that circuit and powers of tau determine: nobody's secret is in it yet.
    New {
        /// What the key is for.
        #[command(flatten)]
        over: OverArgs,
        /// The key to write.
        to: PathBuf,
        /// Also write the circuit, for snarkjs.
        #[arg(long, value_name = "FILE")]
        r1cs: Option<PathBuf>,
    },
    /// Put a secret of your own into the key, and forget it.
    Contribute(ContributeArgs),
    /// End the ceremony with a public value that nobody could foresee.
    Beacon(BeaconArgs),
    /// Check powers of tau, circuit, every contribution and every point of a key.
    Verify {
        /// What the key is for.
        #[command(flatten)]
        over: OverArgs,
        /// The key.
        zkey: PathBuf,
        /// Also take a ceremony that has not ended.
        #[arg(long)]
        unfinished: bool,
    },
    /// Verify a finished ceremony and make srs.bin, verification.key and proving.key of it.
    Import {
        /// What the key is for.
        #[command(flatten)]
        over: OverArgs,
        /// The final key.
        zkey: PathBuf,
        /// Directory of the keys.
        #[arg(long)]
        dir: PathBuf,
        /// The ledger begins with 2^K places.
        #[arg(long, value_name = "K", default_value_t = 6)]
        k_genesis: u8,
        /// The ledger may grow to 2^K places: less than the power of the powers of tau.
        #[arg(long, value_name = "K", default_value_t = 12)]
        k_max: u8,
    },
}

/// Bytes of any number in hexadecimal, with or without 0x. (Of a plain `Vec` clap would make a list.)
#[derive(Debug, Clone)]
pub struct HexBytes(Vec<u8>);

impl FromStr for HexBytes {
    type Err = hex::FromHexError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::decode(text.strip_prefix("0x").unwrap_or(text)).map(Self)
    }
}

/// A hash on one line.
fn flat(hash: &[u8; 64]) -> String {
    format!("0x{}", hex::encode(hash))
}

impl OverArgs {
    fn open(&self, say: &dyn Fn(&str)) -> Result<(Compiled, Ptau, [u8; 64]), StepError> {
        let phase1 = Ptau::open(&self.ptau)?;
        say("digest of the powers of tau");
        let digest = phase1.digest();
        if self.ptau_hash.as_ref().is_some_and(|published| published.0 != digest) {
            return Err(StepError::OtherPtau { found: flat(&digest) });
        }
        say("circuit");
        Ok((Compiled::new(&self.shape), phase1, digest))
    }
    /// What to say of powers of tau that nothing but themselves vouches for.
    fn caution(&self) -> &'static str {
        if self.ptau_hash.is_some() {
            return "";
        }
        "\nnobody vouches for the powers of tau: compare their hash with the published one (--ptau-hash)"
    }
}

impl CeremonyCommand {
    /// Runs the command.
    pub fn run(self) -> Result<Said, Failure> {
        let bar = Bar::spinner("ceremony");
        let said = self.step(&|stage: &str| bar.say(stage))?;
        bar.done("done");
        Ok(said)
    }

    fn step(self, say: &dyn Fn(&str)) -> Result<Said, StepError> {
        match self {
            Self::New { over, to, r1cs } => {
                let (circuit, phase1, digest) = over.open(say)?;
                absent(&to)?;
                phase1.verify(&mut OsRng, say)?;
                let zkey = Zkey::initial(&circuit.constraints, circuit.variables, &phase1, say)?;
                if let Some(path) = &r1cs {
                    r1cs::save(path, &circuit.constraints, circuit.variables)?;
                }
                zkey.save(&to)?;
                let hash = &zkey.circuit_hash;
                Ok(Said {
                    text: format!(
                        "{}\ncircuit hash\n{}\nhash of the powers of tau\n{}{}",
                        to.display(),
                        format_hash(hash),
                        format_hash(&digest),
                        over.caution()
                    ),
                    json: json!({
                        "circuit_hash": flat(hash),
                        "ptau_hash": flat(&digest),
                        "constraints": circuit.constraints.len(),
                    }),
                })
            }
            Self::Contribute(arguments) => arguments.step(say),
            Self::Beacon(BeaconArgs { from, to, name, hash, iterations }) => {
                let beacon = Beacon { iterations_exponent: iterations, value: hash.0 };
                absent(&to)?;
                let hash = contribute::beacon(Zkey::open(&from)?, &to, &name, &beacon, say)?;
                Ok(contributed(&to, &hash))
            }
            Self::Verify { over, zkey, unfinished } => {
                let (circuit, phase1, digest) = over.open(say)?;
                let stage = if unfinished { Stage::Any } else { Stage::Final };
                let report = verify(&circuit, &phase1, &Zkey::open(&zkey)?, stage, say)?;
                Ok(verified(&report, &digest, &over))
            }
            Self::Import { over, zkey, dir, k_genesis, k_max } => {
                let (circuit, phase1, digest) = over.open(say)?;
                let key = Zkey::open(&zkey)?;
                let report = verify(&circuit, &phase1, &key, Stage::Final, say)?;
                let all = import::Ceremony {
                    circuit: &circuit,
                    phase1: &phase1,
                    key: &key,
                    // Powers of tau that nobody vouches for may be anybody's.
                    verified: over.ptau_hash.is_some(),
                };
                let files = all.import(&dir, k_genesis, k_max, say)?;
                // The file is mapped, and was read once to be verified and once more to be imported.
                if phase1.digest() != digest {
                    let _ = std::fs::remove_file(&files.verification_key);
                    return Err(StepError::Changed);
                }
                let key = read_verification_key(&files.verification_key)?;
                let hash = format!("0x{}", hex::encode(key.hash()));
                let Said { text, mut json } = verified(&report, &digest, &over);
                json["vk_hash"] = hash.clone().into();
                json["development"] = key.development.into();
                json["dir"] = dir.display().to_string().into();
                Ok(Said {
                    text: format!("{text}\nkeys in {}\nvk hash {hash}", dir.display()),
                    json,
                })
            }
        }
    }
}

impl ContributeArgs {
    fn step(self, say: &dyn Fn(&str)) -> Result<Said, StepError> {
        let Self { over, from, to, name, entropy } = self;
        absent(&to)?;
        let entropy = entropy
            .map(|path| read_entropy(&path).map_err(|source| StepError::Entropy { path, source }));
        let entropy = entropy.transpose()?.unwrap_or_default();
        let (circuit, phase1, _) = over.open(say)?;
        let before = Zkey::open(&from)?;
        verify(&circuit, &phase1, &before, Stage::Any, say)?;
        let hash = contribute::contribute(before.clone(), &to, &name, &entropy, &mut OsRng, say)?;
        // Whatever went wrong on the way is found here and not by the next contributor.
        verify_extension(&before, &Zkey::open(&to)?, say)?;
        Ok(contributed(&to, &hash))
    }
}

/// A file's bytes, in memory that does not move while it grows and is wiped.
fn read_entropy(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut entropy = Zeroizing::new(Vec::with_capacity(ENTROPY_MAX as usize + 1));
    File::open(path)?.take(ENTROPY_MAX + 1).read_to_end(&mut entropy)?;
    if entropy.len() as u64 > ENTROPY_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
    }
    Ok(entropy)
}

/// Nothing is overwritten: a step's result is somebody's only copy.
fn absent(path: &Path) -> Result<(), StepError> {
    if path.exists() { Err(StepError::Exists(path.to_owned())) } else { Ok(()) }
}

fn contributed(to: &Path, hash: &[u8; 64]) -> Said {
    Said {
        text: format!(
            "{}\ncontribution hash, to be published\n{}",
            to.display(),
            format_hash(hash)
        ),
        json: json!({ "contribution_hash": flat(hash) }),
    }
}

fn verified(report: &Report, ptau_hash: &[u8; 64], over: &OverArgs) -> Said {
    let Report { circuit_hash, contributions } = report;
    let lines = contributions.iter().enumerate().map(|(index, contribution)| {
        let kind = if contribution.beacon.is_some() { "beacon" } else { "contribution" };
        // Nobody vouches for a name: it is shown with its quotes and escapes.
        format!(
            "{:>3} {kind} {:?}\n{}",
            index + 1,
            contribution.name,
            format_hash(&contribution.hash)
        )
    });
    let list = contributions.iter().map(|contribution| {
        json!({
            "name": contribution.name,
            "hash": flat(&contribution.hash),
            "beacon": contribution.beacon.as_ref().map(|beacon| json!({
                "value": format!("0x{}", hex::encode(&beacon.value)),
                "iterations_exponent": beacon.iterations_exponent,
            })),
        })
    });
    Said {
        text: format!(
            "the ceremony holds; it is sound if somebody whom you trust made one of these contributions\n\
             circuit hash\n{}\n{}\nhash of the powers of tau\n{}{}",
            format_hash(circuit_hash),
            lines.collect::<Vec<_>>().join("\n"),
            format_hash(ptau_hash),
            over.caution()
        ),
        json: json!({
            "circuit_hash": flat(circuit_hash),
            "ptau_hash": flat(ptau_hash),
            "contributions": list.collect::<Value>(),
        }),
    }
}
