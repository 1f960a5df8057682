//! `kerros bench gas`.

use super::Workplace;
use crate::bench::gas::{self, GasParameters};
use crate::command::{Failure, Said};
use clap::Args;
use std::path::PathBuf;

/// Sizes of a short run.
const SMOKE_TRANSFERS: [u32; 2] = [16, 64];

/// Arguments of `kerros bench gas`.
#[derive(Debug, Args)]
#[command(after_help = "\
For each size: puts the contract on an embedded main chain (rules of Osaka), opens and funds 64 accounts through
its queue, posts a batch of so many transfers with indices, amounts and fees as long as in practice, runs its
transaction again step by step and tells what its gas went to. The parts add up to the receipt's gas.

Gas does not depend on who made the proof: it is forged with a setup whose secrets are known, so that no circuit
has to be made for large batches. The contract, its key's form and every check are real.

One call checks five pairs: 45,000 gas and 34,000 a pair. KZG has one pair of it, Groth16 what it would need
alone. gas_data is calldata, evaluation and hashing of the records; gas_verification is everything else. Exit code
7 if verification is above 480,000 gas, or a transfer above 18 bytes or 100 gas of evaluation. Examples:
  kerros bench gas
  kerros bench gas --transfers 16,1024 --json")]
pub struct GasArgs {
    /// Transfers of a batch, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64, 256, 1_024],
        value_parser = clap::value_parser!(u32).range(12..=32_768))]
    transfers: Vec<u32>,
    /// A short run: 16 and 64 transfers.
    #[arg(long, conflicts_with = "transfers")]
    smoke: bool,
    /// Where the chains are kept, afterwards too; a temporary directory if absent.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl GasArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let place = Workplace::new(self.dir)?;
        let transfers = if self.smoke { SMOKE_TRANSFERS.to_vec() } else { self.transfers };
        let rows = gas::gas(&GasParameters { dir: place.path().to_owned(), transfers }).await?;
        let said = Said { json: gas::json(&rows), text: gas::text(&rows) };
        if rows.iter().all(gas::Row::holds) {
            return Ok(said);
        }
        Err(Failure::DoesNotHold(Box::new(said)))
    }
}
