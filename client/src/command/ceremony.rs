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
use std::path::{Path, PathBuf};
use std::str::FromStr;
use thiserror::Error;
use zeroize::Zeroizing;

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
    /// Somebody's entropy could not be read.
    #[error("{path}: {source}", path = path.display())]
    Entropy {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
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
}

/// One contribution.
#[derive(Debug, Args)]
pub struct ContributeArgs {
    /// The key so far.
    from: PathBuf,
    /// The key with the contribution.
    to: PathBuf,
    /// Who contributes; public.
    #[arg(long)]
    name: String,
    /// Secret bytes to be mixed with the system's randomness: dice, noise, what you like.
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
Anybody may take each step with snarkjs 0.7 instead (groth16 setup, zkey contribute, zkey beacon, zkey verify): the
files are the same. Example:
  kerros setup ceremony new --shape 16,8,64,16,4 --ptau hez_final_19.ptau --r1cs kerros.r1cs kerros_0.zkey
  kerros setup ceremony contribute kerros_0.zkey kerros_1.zkey --name Ada
  kerros setup ceremony beacon kerros_1.zkey kerros.zkey --name 'block 23900000' --hash 0x… --iterations 20
  kerros setup ceremony verify --shape 16,8,64,16,4 --ptau hez_final_19.ptau kerros.zkey
  kerros setup ceremony import --shape 16,8,64,16,4 --ptau hez_final_19.ptau kerros.zkey --dir keys")]
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
    fn open(&self, say: &dyn Fn(&str)) -> Result<(Compiled, Ptau), StepError> {
        let phase1 = Ptau::open(&self.ptau)?;
        say("circuit");
        Ok((Compiled::new(&self.shape), phase1))
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
                let (circuit, phase1) = over.open(say)?;
                phase1.verify(&mut OsRng, say)?;
                let zkey = Zkey::initial(&circuit.constraints, circuit.variables, &phase1, say)?;
                if let Some(path) = &r1cs {
                    r1cs::save(path, &circuit.constraints, circuit.variables)?;
                }
                zkey.save(&to)?;
                let hash = &zkey.circuit_hash;
                Ok(Said {
                    text: format!("{}\ncircuit hash\n{}", to.display(), format_hash(hash)),
                    json: json!({ "circuit_hash": flat(hash), "constraints": circuit.constraints.len() }),
                })
            }
            Self::Contribute(arguments) => arguments.step(say),
            Self::Beacon(BeaconArgs { from, to, name, hash, iterations }) => {
                let beacon = Beacon { iterations_exponent: iterations, value: hash.0 };
                contributed(&to, &contribute::beacon(&from, &to, &name, &beacon, say)?)
            }
            Self::Verify { over, zkey, unfinished } => {
                let (circuit, phase1) = over.open(say)?;
                let stage = if unfinished { Stage::Any } else { Stage::Final };
                Ok(verified(&verify(&circuit, &phase1, &Zkey::open(&zkey)?, stage, say)?))
            }
            Self::Import { over, zkey, dir, k_genesis, k_max } => {
                let (circuit, phase1) = over.open(say)?;
                let key = Zkey::open(&zkey)?;
                let ceremony = verify(&circuit, &phase1, &key, Stage::Final, say)?;
                let all = import::Ceremony {
                    circuit: &circuit,
                    phase1: &phase1,
                    key: &key,
                    verified: true,
                };
                let files = all.import(&dir, k_genesis, k_max, say)?;
                let key = read_verification_key(&files.verification_key)?;
                let hash = format!("0x{}", hex::encode(key.hash()));
                let Said { text, mut json } = verified(&ceremony);
                json["vk_hash"] = hash.clone().into();
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
        let Self { from, to, name, entropy } = self;
        let entropy = entropy
            .map(|path| std::fs::read(&path).map_err(|source| StepError::Entropy { path, source }));
        let entropy = Zeroizing::new(entropy.transpose()?.unwrap_or_default());
        let hash = contribute::contribute(&from, &to, &name, &entropy, &mut OsRng, say)?;
        // Whatever went wrong on the way is found here and not by the next contributor.
        verify_extension(&Zkey::open(&from)?, &Zkey::open(&to)?, say)?;
        contributed(&to, &hash)
    }
}

fn contributed(to: &Path, hash: &[u8; 64]) -> Result<Said, StepError> {
    Ok(Said {
        text: format!(
            "{}\ncontribution hash, to be published\n{}",
            to.display(),
            format_hash(hash)
        ),
        json: json!({ "contribution_hash": flat(hash) }),
    })
}

fn verified(ceremony: &Report) -> Said {
    let Report { circuit_hash, contributions } = ceremony;
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
            "the ceremony holds\ncircuit hash\n{}\n{}",
            format_hash(circuit_hash),
            lines.collect::<Vec<_>>().join("\n")
        ),
        json: json!({ "circuit_hash": flat(circuit_hash), "contributions": list.collect::<Value>() }),
    }
}
