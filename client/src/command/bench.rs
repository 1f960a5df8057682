//! `kerros bench`: what the system does under load.

mod audit;
mod gas;
mod prove;
mod state;

pub use audit::AuditArgs;
pub use gas::GasArgs;
pub use prove::ProveArgs;
pub use state::StateArgs;

use super::{Failure, Said};
use crate::bench::{self, BenchError, IngestParameters};
use crate::keys;
use crate::temporary::TemporaryDir;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Accounts of a short run.
const SMOKE_ACCOUNTS: u32 = 256;
/// Transfers of a short run.
const SMOKE_TRANSFERS: u32 = 2_000;

/// Benchmarks.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Acknowledged transfers per second of a sequencer process on this machine.
    Ingest(IngestArgs),
    /// Starts, seals, memory and disk of a sequencer process by the number of accounts.
    State(StateArgs),
    /// What a batch costs on the main chain, part by part.
    Gas(GasArgs),
    /// How fast an auditor and a restore replay what is on the main chain.
    Audit(AuditArgs),
    /// What a proof costs, by our prover and by arkworks' own.
    Prove(ProveArgs),
}

impl BenchCommand {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        match self {
            Self::Ingest(args) => args.run().await,
            Self::State(args) => args.run().await,
            Self::Gas(args) => args.run().await,
            Self::Audit(args) => args.run().await,
            Self::Prove(args) => args.run().await,
        }
    }
}

fn io(what: impl ToString) -> impl FnOnce(std::io::Error) -> BenchError {
    move |source| BenchError::Io { what: what.to_string(), source }
}

/// Where a benchmark keeps its data.
enum Workplace {
    /// Kept afterwards.
    Kept(PathBuf),
    /// Removed when dropped.
    Temporary(TemporaryDir),
}

impl Workplace {
    /// Refuses a directory with anything in it: a benchmark begins with an empty one.
    fn new(dir: Option<PathBuf>) -> Result<Self, BenchError> {
        let Some(dir) = dir else {
            let made = TemporaryDir::new("bench").map_err(io("temporary directory"))?;
            return Ok(Self::Temporary(made));
        };
        if std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
            let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(io(dir.display())(exists));
        }
        Ok(Self::Kept(dir))
    }
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(dir) => dir.path(),
        }
    }
}

/// Arguments of `kerros bench ingest`.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts a main chain and a real kerros-sequencer process, opens and funds the accounts, signs all transfers
beforehand, measures raw signature verification, and then sends: as fast as answers allow (--transfers); half
as many by a fixed schedule at --load percent of that rate, with latency from the scheduled time; a tenth as
many by single calls; and by a few honest clients at a tenth of the rate, alone and then beside a flood of
repeated transactions and wrong signatures that sends all it can. Every acknowledgement is on the sequencer's disk. In the end
accounts are compared with what was acknowledged: exit code 7 if anything was lost.

No proof is made: sequencers do not prove, they execute, commit, seal and write, and that is what is
measured. So a small key, made once and kept under target/kerros-keys, is given the capacities of a large
batch. Examples:
  kerros bench ingest
  kerros bench ingest --accounts 1000000 --transfers 500000 --json
  kerros bench ingest --smoke --json")]
pub struct IngestArgs {
    /// Accounts that send and receive; the ledger has room for them from the start.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    accounts: u32,
    /// Transfers at the maximum rate.
    #[arg(long, default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    transfers: u32,
    /// A short run: 256 accounts, 2,000 transfers.
    #[arg(long, conflicts_with_all = ["accounts", "transfers"])]
    smoke: bool,
    /// Transfers of a batch.
    #[arg(long, value_name = "T", default_value_t = 1_024,
        value_parser = clap::value_parser!(u32).range(1..=65_000))]
    batch_transfers: u32,
    /// Connections, each with one stream.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    streams: u16,
    /// Transactions of a stream that wait for their answers, at most.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    window: u32,
    /// Rate of the second load, in percent of the maximum.
    #[arg(long, value_name = "PERCENT", default_value_t = 80,
        value_parser = clap::value_parser!(u8).range(1..=100))]
    load: u8,
    /// Single calls at once in the third load.
    #[arg(long, value_name = "CALLS", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=4_096))]
    unary: u32,
    /// Decides who pays whom.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where keys of all shapes are kept.
    #[arg(long = "keys", value_name = "DIR")]
    root: Option<PathBuf>,
    /// Where the stack keeps its data, kept afterwards; a temporary directory if absent.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl IngestArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let place = Workplace::new(self.dir)?;
        let (accounts, transfers) = match self.smoke {
            true => (SMOKE_ACCOUNTS, SMOKE_TRANSFERS),
            false => (self.accounts, self.transfers),
        };
        let parameters = IngestParameters {
            dir: place.path().to_owned(),
            keys: self.root.unwrap_or_else(keys::default_root),
            accounts,
            transfers,
            batch_transfers: self.batch_transfers,
            streams: self.streams,
            window: self.window as usize,
            load_percent: self.load,
            unary: self.unary as usize,
            seed: self.seed,
        };
        let report = bench::ingest(&parameters).await;
        // The directory must outlive the sequencer's process.
        drop(place);
        let report = report?;
        Ok(Said { json: bench::json(&report), text: bench::text(&report) })
    }
}
