//! `kerros bench prove`.

use super::io;
use crate::bench::BenchError;
use crate::bench::prove::{self, ProveParameters};
use crate::command::{Failure, Said};
use crate::keys;
use clap::{Args, ValueEnum};
use kerros_kernels::Path;
use std::path::PathBuf;

/// Transfers, ledger and openings of a short run.
const SMOKE: (u32, u8, [u8; 2]) = (4, 6, [5, 6]);

/// Another prover to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Against {
    /// ark-groth16 and arkworks' KZG arithmetic.
    Stock,
}

/// Arguments of `kerros bench prove`.
#[derive(Debug, Args)]
#[command(after_help = "\
Proves a batch of so many signed transfers between accounts of a full ledger, several times, and verifies every
proof. With --against stock, arkworks' own prover proves the same batch with the same key and the same constraints
in turn, its matrices ready as ours are. Both take the witness from the same generator; CPU time, wall time and
ratio of a proof are without it. The prover's memory is measured before anything of stock is loaded, and counts the
pages of the mapped key that were used.

Keys are made once a shape and kept under target/kerros-keys. With --openings, the KZG openings alone are measured on
full ledgers of these sizes. Examples:
  kerros bench prove --transfers 64 --against stock
  kerros bench prove --transfers 1024 --json
  kerros bench prove --transfers 16,64,256,1024 --openings 12,14,16,18,20 --plot tests/figures/prove.svg")]
pub struct ProveArgs {
    /// Transfers of a batch, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64, 256],
        value_parser = clap::value_parser!(u32).range(1..=8_192))]
    transfers: Vec<u32>,
    /// Another prover to run in turn.
    #[arg(long, value_enum)]
    against: Option<Against>,
    /// Code that computes: ifma (AVX-512) or portable; the best that the processor has if absent.
    #[arg(long, env = "KERROS_PROVER_PATH")]
    path: Option<Path>,
    /// Exponent of the ledger's size.
    #[arg(long, value_name = "K", default_value_t = 12,
        value_parser = clap::value_parser!(u8).range(4..=24))]
    ledger: u8,
    /// Exponents of ledger sizes on which the openings alone are measured.
    #[arg(long, value_name = "K", value_delimiter = ',',
        value_parser = clap::value_parser!(u8).range(4..=24))]
    openings: Vec<u8>,
    /// Proofs of each batch by each prover; the median by CPU time is reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    /// A short run: 4 transfers, a ledger of 2^6 places, openings on 2^5 and 2^6, one proof each.
    #[arg(long, conflicts_with_all = ["transfers", "ledger", "openings", "repeats"])]
    smoke: bool,
    /// Writes a picture of it all (SVG).
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Where keys of all shapes are kept.
    #[arg(long = "keys", value_name = "DIR")]
    root: Option<PathBuf>,
}

impl ProveArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let path = self.path.unwrap_or_else(Path::detect);
        if Path::available().all(|available| available != path) {
            return Err(BenchError::Path(path).into());
        }
        let mut parameters = ProveParameters {
            keys: self.root.unwrap_or_else(keys::default_root),
            transfers: self.transfers,
            k: self.ledger,
            openings: self.openings,
            against_stock: self.against.is_some(),
            path,
            repeats: self.repeats,
        };
        if self.smoke {
            let (transfers, k, openings) = SMOKE;
            parameters.transfers = vec![transfers];
            (parameters.k, parameters.openings, parameters.repeats) = (k, openings.to_vec(), 1);
        }
        let report = prove::prove(parameters).await?;
        if let Some(path) = self.plot {
            let picture = prove::figure(&report).map_err(BenchError::from)?;
            std::fs::write(&path, picture).map_err(io(path.display()))?;
        }
        Ok(Said { json: prove::json(&report), text: prove::text(&report) })
    }
}
