//! `kerros-verifier`: the auditor's command. Reads only the main chain and a verification key.

mod auditor;
mod held;
mod settled;

use auditor::AuditArgs;
use clap::{Parser, Subcommand};
use kerros_protocol::batch::Shape;
use kerros_protocol::commitment::Srs;
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::snarkjs::{self, Groth16Key};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Checks every batch of a Kerros rollup from the main chain alone.
#[derive(Parser)]
#[command(name = "kerros-verifier", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replays every post: data, queue, transcript, proof and root; compares code, key, queue, supply and token
    /// balances. Exit code 0 only if all hold, and if no receipt given was broken.
    ///
    /// Example: kerros-verifier audit --rpc http://127.0.0.1:8545 --contract 0x… --key verification.key
    Audit(AuditArgs),
    /// Prints what a verification key file says.
    Key {
        /// Verification key file.
        file: PathBuf,
        /// Print it as snarkjs's verification_key.json instead.
        #[arg(long)]
        snarkjs: bool,
    },
    /// Makes a verification key file of snarkjs's verification_key.json and the rest of a setup. It counts as a
    /// development key: nothing here shows how it came about.
    ///
    /// Example: kerros-verifier import-key verification_key.json --shape 16,8,64,16,4 --srs srs.bin --to verification.key
    ImportKey {
        /// verification_key.json of snarkjs.
        json: PathBuf,
        /// Capacities of opens, deposits, transfers, exits and collects.
        #[arg(long, value_name = "O,D,T,E,F")]
        shape: Shape,
        /// Reference string file.
        #[arg(long)]
        srs: PathBuf,
        /// The file to write; it must not exist.
        #[arg(long)]
        to: PathBuf,
    },
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Audit(arguments) => arguments.run().await,
        Command::Key { file, snarkjs: true } => {
            read_key(&file).map(|key| println!("{:#}", snarkjs::verification_key(&key)))
        }
        Command::ImportKey { json, shape, srs, to } => import_key(&json, shape, &srs, &to),
        Command::Key { file, snarkjs: false } => read_key(&file).map(|key| {
            println!("shape O,D,T,E,F  {}", key.shape);
            println!("ledger           2^{} to 2^{}", key.k_genesis, key.k_max());
            println!("development      {}", key.development);
            println!("vkHash           0x{}", hex::encode(key.hash()));
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kerros-verifier: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn read_key(path: &Path) -> Result<VerificationKey, Failure> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(VerificationKey::decode(&bytes).map_err(|error| format!("{}: {error}", path.display()))?)
}

fn import_key(json: &Path, shape: Shape, srs: &Path, to: &Path) -> Result<(), Failure> {
    let at = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(json).map_err(|error| at(json, &error))?;
    let value = serde_json::from_slice(&bytes).map_err(|error| at(json, &error))?;
    let key = Groth16Key::read(&value).map_err(|error| at(json, &error))?;
    let srs = Srs::open(srs).map_err(|error| at(srs, &error))?;
    let bytes = key.with(shape, &srs.header).encode();
    // What its own reader refuses is no key: delta may be gamma, say.
    VerificationKey::decode(&bytes).map_err(|error| at(json, &error))?;
    let file = File::create_new(to).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    Ok(file.map_err(|error| at(to, &error))?)
}
