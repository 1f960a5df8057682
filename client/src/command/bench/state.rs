//! `kerros bench state`.

use super::{Workplace, io};
use crate::bench::state::{self, StateParameters};
use crate::command::{Failure, Said};
use crate::keys;
use clap::Args;
use std::path::PathBuf;

/// Sizes of a short run.
const SMOKE_ACCOUNTS: [u32; 2] = [100, 1_000];
/// Transfers of a short run.
const SMOKE_TRANSFERS: u32 = 1_000;
/// Measured seals of a short run.
const SMOKE_SEALS: u32 = 2;

/// Arguments of `kerros bench state`.
#[derive(Debug, Args)]
#[command(after_help = "\
For each size: opens so many accounts through a real kerros-sequencer process, kills it, starts another one on
its database and measures that start up to the first answer; then seals batches in which 1,000 accounts spread
over the ledger pay each other, and acknowledges transfers as fast as they are answered. In the end the accounts
are read from disk and committed to from nothing: exit code 7 if the root or the money is not the sequencer's.

The key is a small one made once a size, with the reference string of a ledger that holds the accounts; both are
kept under target/kerros-keys. Memory is resident memory. Pages of the database are warm in the system's cache.
Examples:
  kerros bench state
  kerros bench state --accounts 1000000 --json
  kerros bench state --plot tests/figures/state.svg")]
pub struct StateArgs {
    /// Accounts, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000, 1_000_000],
        value_parser = clap::value_parser!(u32).range(8..=10_000_000))]
    accounts: Vec<u32>,
    /// A short run: 100 and 1,000 accounts.
    #[arg(long, conflicts_with_all = ["accounts", "transfers", "seals"])]
    smoke: bool,
    /// Transfers at the maximum rate.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    transfers: u32,
    /// Accounts that pay or are paid in a measured batch, fewer if there are fewer.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(2..=2_000))]
    touched: u32,
    /// Measured seals.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    seals: u32,
    /// Draws the result into this file, in SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Where keys of all shapes are kept.
    #[arg(long = "keys", value_name = "DIR")]
    root: Option<PathBuf>,
    /// Where the stacks keep their data, kept afterwards; a temporary directory if absent.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl StateArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let place = Workplace::new(self.dir)?;
        let mut parameters = StateParameters {
            dir: place.path().to_owned(),
            keys: self.root.unwrap_or_else(keys::default_root),
            accounts: self.accounts,
            touched: self.touched,
            seals: self.seals,
            transfers: self.transfers,
        };
        if self.smoke {
            parameters.accounts = SMOKE_ACCOUNTS.to_vec();
            (parameters.seals, parameters.transfers) = (SMOKE_SEALS, SMOKE_TRANSFERS);
        }
        let rows = state::state(&parameters).await;
        // The directory must outlive the sequencer's process.
        drop(place);
        let rows = rows?;
        if let Some(path) = self.plot {
            let picture = state::figure(&rows).map_err(crate::bench::BenchError::from)?;
            std::fs::write(&path, picture).map_err(io(path.display()))?;
        }
        Ok(Said { json: state::json(&rows), text: state::text(&rows) })
    }
}
