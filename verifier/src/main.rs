//! `kerros-verifier`: the auditor's command. Reads only the main chain and a verification key.

mod auditor;
mod held;

use auditor::AuditArgs;
use clap::{Parser, Subcommand};
use kerros_protocol::verification_key::VerificationKey;
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
    },
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Audit(arguments) => arguments.run().await,
        Command::Key { file } => read_key(&file).map(|key| {
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
