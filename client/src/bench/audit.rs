//! How fast a history is replayed from the main chain: by the auditor, and by a sequencer whose database is
//! lost.
//!
//! The contract on an embedded chain gets so many transfers in posts that it checks and accepts, their proofs forged
//! (`rollup`): checking a proof costs the same whoever made it. Then `kerros-verifier audit` and
//! `kerros-sequencer restore` run as processes that know a JSON-RPC port and the key files, and must find what was
//! posted.

mod table;

pub use table::{json, text};

use super::process::beside;
use super::records::Holders;
use super::rollup::Rollup;
use super::state::{database, require};
use super::{BenchError, busy, io_at, measure};
use crate::devnet::{ServedChain, person_operator};
use crate::progress::Bar;
use kerros_protocol::batch::Shape;
use kerros_verifier::trapdoor;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Accounts that pay each other, all opened and funded by the first batch.
const ACCOUNTS: u32 = 256;
/// The ledger has 2^14 places.
const K: u8 = 14;
/// Capacities of signed and forced exits and of collects.
const OTHERS: [u32; 2] = [4, 2];
/// Pause between looks at a process's memory.
const LOOK: Duration = Duration::from_millis(10);

/// Parameters of `kerros bench audit`.
#[derive(Debug, Clone)]
pub struct AuditParameters {
    /// Where chain, keys and database are kept.
    pub dir: PathBuf,
    /// All of them.
    pub transfers: u32,
    /// Of a full batch; 12 to 32,768.
    pub batch_transfers: u32,
}

/// What a command took, from its start as a process to its end.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// By the clock.
    pub seconds: f64,
    /// Processor time.
    pub cpu_seconds: f64,
    /// Greatest resident memory that was seen.
    pub peak_bytes: u64,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Report {
    /// Replayed.
    pub transfers: u32,
    /// Of a full batch.
    pub batch_transfers: u32,
    /// The one that opens the accounts included.
    pub batches: u64,
    /// Calldata of all posts.
    pub calldata_bytes: u64,
    /// Processors of this machine.
    pub cores: usize,
    /// `kerros-verifier audit`.
    pub audit: Run,
    /// `kerros-sequencer restore`.
    pub restore: Run,
}

/// Posts, then replays twice.
pub async fn audit(parameters: &AuditParameters) -> Result<Report, BenchError> {
    tokio::select! {
        report = measure_all(parameters) => report,
        // Without signals nobody can interrupt.
        Ok(()) = tokio::signal::ctrl_c() => Err(BenchError::Interrupted),
    }
}

async fn measure_all(parameters: &AuditParameters) -> Result<Report, BenchError> {
    let AuditParameters { dir, transfers, batch_transfers } = parameters;
    let (transfers, batch_transfers) = (*transfers, *batch_transfers);
    let [exits, collects] = OTHERS;
    let shape = Shape::new([ACCOUNTS, ACCOUNTS, batch_transfers, exits, collects])?;
    let bar = Bar::spinner("contract");
    let mut rollup = Rollup::deploy(shape, [K, K], dir.clone()).await?;
    bar.done(&format!("shape {shape}"));
    let mut rng = StdRng::seed_from_u64(transfers.into());
    let holders = Holders::draw(ACCOUNTS, K, transfers, &mut rng)?;
    let bar = Bar::spinner("deposits");
    rollup.deposit(&holders).await?;
    bar.done(&format!("{ACCOUNTS} accounts"));

    let bar = Bar::steps("posts", u64::from(transfers.div_ceil(batch_transfers)) + 1);
    let mut calldata_bytes = rollup.post(holders.opening()).await?.input.len() as u64;
    let (mut batches, mut left) = (1, transfers);
    while left > 0 {
        let count = left.min(batch_transfers);
        let posted = rollup.post(holders.payments(count, &mut rng)?).await?;
        calldata_bytes += posted.input.len() as u64;
        (batches, left) = (batches + 1, left - count);
        bar.step();
    }
    bar.done(&format!("{transfers} transfers in {batches} batches, {calldata_bytes} bytes"));

    let files = Files::write(&rollup, dir).await?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let chain = ServedChain::serve(rollup.chain.clone(), any).await?;
    let audit = audited(&files, &chain.url, &rollup, batches).await?;
    let restore = restored(&files, &chain.url, &rollup, &holders).await?;
    chain.shutdown().await?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Report { transfers, batch_transfers, batches, calldata_bytes, cores, audit, restore })
}

/// The deployment's public files.
struct Files {
    key: PathBuf,
    srs: PathBuf,
    data: PathBuf,
}

impl Files {
    async fn write(rollup: &Rollup, dir: &Path) -> Result<Self, BenchError> {
        let bar = Bar::spinner("key files");
        let path = |name| std::path::absolute(dir.join(name)).map_err(io_at(dir.display()));
        let files =
            Self { key: path("verification.key")?, srs: path("srs.bin")?, data: path("restored")? };
        std::fs::write(&files.key, rollup.key.encode()).map_err(io_at(files.key.display()))?;
        let (key, srs) = (rollup.key.clone(), files.srs.clone());
        busy(move || trapdoor::srs(&key, &srs)).await??;
        bar.done(&format!("reference string of 2^{K} places"));
        Ok(files)
    }
}

async fn audited(
    files: &Files,
    url: &str,
    rollup: &Rollup,
    batches: u64,
) -> Result<Run, BenchError> {
    let mut command = beside("kerros-verifier")?;
    let contract = rollup.world.contract.to_string();
    command.args(["audit", "--json", "--rpc", url, "--contract", &contract]);
    command.arg("--key").arg(&files.key);
    let (run, said) = run("kerros-verifier audit", command).await?;
    let report: Value = serde_json::from_slice(&said)
        .map_err(|_| BenchError::Measure("the auditor's report is no JSON"))?;
    require("batches audited", report["batches"].as_u64(), Some(batches))?;
    require("root audited", report["root"].as_str(), Some(rollup.root().to_string().as_str()))?;
    Ok(run)
}

async fn restored(
    files: &Files,
    url: &str,
    rollup: &Rollup,
    holders: &Holders,
) -> Result<Run, BenchError> {
    let operator = person_operator()?;
    let mut command = beside("kerros-sequencer")?;
    command
        .args(["restore", "--allow-development", "--main-chain", url])
        .args(["--contract", &rollup.world.contract.to_string()])
        .args(["--fee-key", &hex::encode(operator.account_key().to_be())])
        .args(["--owner", &operator.address().to_string()]);
    let paths = [("--key", &files.key), ("--srs", &files.srs), ("--data-dir", &files.data)];
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    let (run, _) = run("kerros-sequencer restore", command).await?;
    let (data, srs) = (files.data.clone(), files.srs.clone());
    let found = busy(move || database::read(&data, &srs)).await??;
    require("root restored", found.root, rollup.root())?;
    require("accounts restored", found.accounts, holders.deposits().count() as u64)?;
    let units = holders.deposits().map(|record| u128::from(record.amount)).sum();
    require("units restored", found.units, units)?;
    Ok(run)
}

/// Runs a command to its end, which must be a good one; what it took and what it said.
async fn run(name: &'static str, mut command: Command) -> Result<(Run, Vec<u8>), BenchError> {
    let bar = Bar::spinner(name);
    let (started, before_us) = (Instant::now(), measure::ended_us()?);
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = piped.kill_on_drop(true).spawn().map_err(io_at(name))?;
    let id = child.id().ok_or(BenchError::Bug("a running process has an id"))?;
    let mut peak_bytes = 0;
    let mut ended = pin!(child.wait_with_output());
    let output = loop {
        tokio::select! {
            output = &mut ended => break output.map_err(io_at(name))?,
            () = tokio::time::sleep(LOOK) => {
                // A process that has just ended has no memory.
                peak_bytes = measure::peak_bytes(id).unwrap_or(0).max(peak_bytes);
            }
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = measure::ended_us()?.saturating_sub(before_us) as f64 / 1e6;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().last().unwrap_or_default().to_owned();
        return Err(BenchError::Refused { command: name, status: output.status, said });
    }
    bar.done(&format!("{cpu_seconds:.2} s of processor time"));
    Ok((Run { seconds, cpu_seconds, peak_bytes }, output.stdout))
}
