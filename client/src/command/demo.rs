//! `kerros demo`: the main job, checked.

use super::setup::KeyArgs;
use super::{Failure, Said};
use crate::demo::{self, DemoConfig, plan, table};
use crate::devnet::{DevnetConfig, io_at};
use crate::temporary::TemporaryDir;
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Arguments of `kerros demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts a main chain, a sequencer and provers, deposits, opens accounts, transfers, withdraws, proves
and posts the batches, claims, and then checks everything against the main chain alone. Progress goes
to standard error, the result to standard output. Exit code 0 only if every check holds, 7 if one
does not. The first run makes keys and keeps them under target/kerros-keys. Examples:
  kerros demo
  kerros demo --shape 32,16,64,16,4 --transfers 200 --provers 2 --json")]
pub struct DemoArgs {
    #[command(flatten)]
    keys: KeyArgs,
    /// Where keys of all shapes are kept.
    #[arg(long = "keys", value_name = "DIR")]
    root: Option<PathBuf>,
    /// Where the stack keeps its data, kept afterwards; a temporary directory if absent.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Number of transfers.
    #[arg(long, default_value_t = plan::TRANSFERS_DEFAULT,
        value_parser = clap::value_parser!(u32).range(i64::from(plan::TRANSFERS_MIN)..=10_000))]
    transfers: u32,
    /// Prover services.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    provers: u16,
}

/// Batches close when they are full; this is for the last deposits only.
const BATCH_AGE_MS_MAX: u64 = 60_000;

impl DemoArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let keys = self.keys.ensure(self.root).await?;
        let (dir, temporary) = match self.dir {
            Some(dir) => (dir, None),
            None => {
                let dir = TemporaryDir::new("demo").map_err(io_at("temporary directory"))?;
                (dir.path().to_owned(), Some(dir))
            }
        };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = DemoConfig {
            devnet: DevnetConfig {
                dir,
                keys,
                grpc: any,
                rpc: any,
                metrics: None,
                provers: self.provers,
                batch_age_ms_max: BATCH_AGE_MS_MAX,
                fee_min: plan::FEE_UNITS,
            },
            transfers: self.transfers,
        };
        let report = demo::run(&config).await;
        drop(temporary);
        let report = report?;
        let (json, text) = (table::json(&report), table::text(&report));
        if report.holds() {
            return Ok(Said { json, text });
        }
        Err(Failure::DoesNotHold(Box::new(Said { json, text })))
    }
}
