//! `kerros bench audit`.

use super::Workplace;
use crate::bench::audit::{self, AuditParameters};
use crate::command::{Failure, Said};
use clap::Args;
use std::path::PathBuf;

/// Transfers of a short run.
const SMOKE_TRANSFERS: u32 = 2_048;

/// Arguments of `kerros bench audit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Puts the contract on an embedded main chain, opens and funds 256 accounts through its queue and posts so many
transfers in full batches. Then kerros-verifier audit and kerros-sequencer restore, each as a process that knows
the chain's JSON-RPC port and the key files, read every event and transaction, take the data apart, replay it, draw
every challenge, make every public input and check every proof; their figures count from the start of the process
to its end. Serving the chain runs beside them in this process, on the same processors, and is in no CPU figure.

Proofs are forged with a setup whose secrets are known; checking one costs what it costs for any other. Exit code 7
if the auditor refuses anything, or if either ends at another root than the posts. Examples:
  kerros bench audit
  kerros bench audit --transfers 1000000 --json")]
pub struct AuditArgs {
    /// Transfers to replay.
    #[arg(long, default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    transfers: u32,
    /// Transfers of a full batch.
    #[arg(long, value_name = "T", default_value_t = 1_024,
        value_parser = clap::value_parser!(u32).range(12..=32_768))]
    batch_transfers: u32,
    /// A short run: 2,048 transfers.
    #[arg(long, conflicts_with = "transfers")]
    smoke: bool,
    /// Where chain, keys and database are kept, afterwards too; a temporary directory if absent.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl AuditArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let place = Workplace::new(self.dir)?;
        let parameters = AuditParameters {
            dir: place.path().to_owned(),
            transfers: if self.smoke { SMOKE_TRANSFERS } else { self.transfers },
            batch_transfers: self.batch_transfers,
        };
        let report = audit::audit(&parameters).await;
        // The directory must outlive the processes.
        drop(place);
        let report = report?;
        Ok(Said { json: audit::json(&report), text: audit::text(&report) })
    }
}
