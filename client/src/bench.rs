//! How many transfers a sequencer acknowledges in a second, and what one costs it; in `state`, what
//! accounts cost it; in `gas`, what a batch costs on the main chain; in `audit`, what replaying it from
//! there costs; in `prove`, what a proof costs.
//!
//! A real `kerros-sequencer` process beside this one serves accounts and transfers over gRPC, with
//! the contract on a main chain in this process. No batch is proved: the sequencer executes, commits,
//! seals and writes exactly as it does otherwise, and provers are separate processes that only lease
//! what is sealed. That is why a small development key may be given the capacities of a large batch
//! here: of the key, this path uses the capacities, the hash and the reference string, which are
//! real; only a proof could tell that the circuit behind it is smaller.
//!
//! Client and sequencer share the machine: what the client costs is measured and told as well.

mod accounts;
pub mod audit;
mod flood;
pub mod gas;
mod latency;
mod load;
mod measure;
mod parameters;
mod phase;
mod plot;
mod process;
pub mod prove;
mod records;
mod rollup;
pub mod state;
mod table;
mod unary;
mod workload;

pub use latency::Latencies;
pub use measure::Cost;
pub use parameters::IngestParameters;
pub use phase::Phase;
pub use plot::PlotError;
pub use process::Made;
pub use table::{json, text};

use crate::command::failure;
use crate::contract::ContractError;
use crate::devnet::DevnetError;
use crate::keys::KeysError;
use crate::progress::Bar;
use crate::sequencer::SequencerError;
use crate::wallet::WalletError;
use accounts::Holders;
use flood::{Content, Flood, Flooded};
use kerros_protocol::account::AccountIndex;
use kerros_protocol::batch::ShapeError;
use kerros_protocol::commitment::SrsError;
use kerros_protocol::transaction::TransactionId;
use kerros_sequencer::journal::JournalError;
use kerros_sequencer::main_chain::MainChainError;
use kerros_verifier::trapdoor::TrapdoorError;
use load::Pace;
use process::{Place, SequencerProcess};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;
use workload::{Pair, Ready, Workload};

/// Signatures checked to measure the raw rate, at most: enough for seconds of work.
const RAW_MAX: usize = 50_000;

/// Connections of the honest clients beside a flood.
const HONEST: usize = 2;
/// What they send, in percent of the maximum rate.
const HONEST_PERCENT: f64 = 10.0;
/// Connections that flood.
const FLOODING: usize = 8;
/// What they send together, as a multiple of what the honest ones send.
const FLOOD_TIMES: f64 = 10.0;

/// Why a benchmark failed.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A file, a port or a process.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The capacities are none.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// More batches than a sequencer seals without a prover.
    #[error(
        "about {need} batches, a sequencer seals {max} without a prover: raise --batch-transfers"
    )]
    TooManyBatches {
        /// Expected.
        need: u64,
        /// The sequencer's bound.
        max: u64,
    },
    /// The sequencer did not get ready, or ended.
    #[error("the sequencer ended before it was ready: {0}")]
    Ended(ExitStatus),
    /// A command that replays refused what it found.
    #[error("{command} ended with {status}: {said}")]
    Refused {
        /// Which.
        command: &'static str,
        /// How.
        status: ExitStatus,
        /// What it said last.
        said: String,
    },
    /// Something did not happen in time.
    #[error("waited too long for {0}")]
    TimeOut(&'static str),
    /// The sequencer's answer to a call.
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    /// A receipt that is not the transaction's.
    #[error("transaction {expected}: the answer is not its receipt")]
    Receipt {
        /// What was sent.
        expected: TransactionId,
    },
    /// A stream ended with answers outstanding.
    #[error("the sequencer ended a stream, {outstanding} transactions were not answered")]
    Cut {
        /// Sent and not answered.
        outstanding: usize,
    },
    /// A pre-signed transfer does not verify.
    #[error("a pre-signed transfer does not verify")]
    Signature,
    /// An acknowledged transfer is missing in the sequencer's balances.
    #[error(
        "account {index} has balance {} and nonce {}, acknowledged were balance {} and nonce {}",
        have.0, have.1, need.0, need.1
    )]
    Lost {
        /// The account.
        index: AccountIndex,
        /// The sequencer's.
        have: (u64, u32),
        /// By local replay.
        need: (u64, u32),
    },
    /// Something else than what must have come of everything acknowledged.
    #[error("{what}: {have}, it must be {need}")]
    Differs {
        /// What.
        what: &'static str,
        /// The sequencer's.
        have: String,
        /// By what it acknowledged.
        need: String,
    },
    /// The database that a sequencer left behind.
    #[error(transparent)]
    Database(#[from] JournalError),
    /// The reference string.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// A path that this processor does not have.
    #[error("this processor cannot run the path {0}")]
    Path(kerros_kernels::Path),
    /// A batch that could not be proved.
    #[error(transparent)]
    Prove(#[from] kerros_prover::prove::ProveError),
    /// A proof that does not verify.
    #[error(transparent)]
    Verify(#[from] kerros_verifier::VerifyError),
    /// The picture.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The process's figures cannot be read.
    #[error("cannot measure: {0}")]
    Measure(&'static str),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// A bug of ours.
    #[error("{0}")]
    Bug(&'static str),
    /// Keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A forged proof.
    #[error(transparent)]
    Trapdoor(#[from] TrapdoorError),
    /// Main chain and contract.
    #[error(transparent)]
    Devnet(#[from] DevnetError),
    /// The deposit.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The main chain.
    #[error(transparent)]
    Chain(#[from] MainChainError),
    /// Keys of the depositor.
    #[error(transparent)]
    Wallet(#[from] WalletError),
}

impl BenchError {
    /// The process's exit code, see `kerros --help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Sequencer(SequencerError::Refused { .. }) => failure::REFUSED,
            Self::Sequencer(SequencerError::Unavailable { .. }) | Self::Cut { .. } => {
                failure::UNAVAILABLE
            }
            Self::Receipt { .. }
            | Self::Lost { .. }
            | Self::Differs { .. }
            | Self::Refused { .. } => failure::DOES_NOT_HOLD,
            _ => failure::FAILED,
        }
    }
}

fn io_at(what: impl ToString) -> impl FnOnce(io::Error) -> BenchError {
    move |source| BenchError::Io { what: what.to_string(), source }
}

/// Runs `work` on threads that may be kept busy.
async fn busy<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BenchError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BenchError::Bug("computing panicked"))
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Report {
    /// Accounts that sent and received.
    pub accounts: u32,
    /// Processors of this machine.
    pub cores: usize,
    /// Signatures decoded and verified a second on all processors, nothing else running.
    pub raw_per_second: f64,
    /// Processor time of one of them, in microseconds. If rate and time multiply to less than all
    /// processors, something else was running beside the benchmark.
    pub raw_cpu_us: f64,
    /// As fast as answers allow.
    pub max: Phase,
    /// At a share of that rate, by a schedule.
    pub paced: Phase,
    /// One call a transfer.
    pub unary: Phase,
    /// A few honest clients by a schedule, nothing else.
    pub calm: Phase,
    /// The same schedule beside a tenfold flood.
    pub flooded: Phase,
    /// What the flood sent in a second, and what was answered of it.
    pub flood_per_second: [f64; 2],
    /// Greatest resident memory of the sequencer.
    pub peak_bytes: u64,
    /// Accounts compared with the local replay in the end.
    pub compared: usize,
}

/// Runs the benchmark. The sequencer's log is shown if it fails.
pub async fn ingest(parameters: &IngestParameters) -> Result<Report, BenchError> {
    let place = Place::prepare(parameters.setting()?).await?;
    let bar = Bar::spinner("sequencer");
    let mut process = match SequencerProcess::start(&place).await {
        Ok(process) => process,
        Err(error) => {
            eprintln!("{}", place.log_tail());
            return Err(error);
        }
    };
    bar.done(&format!("process {}, {}", process.id, process.url));
    let measured = tokio::select! {
        measured = measure_all(parameters, &place, &process) => measured,
        // Without signals nobody can interrupt.
        Ok(()) = tokio::signal::ctrl_c() => Err(BenchError::Interrupted),
    };
    if matches!(&measured, Err(error) if !matches!(error, BenchError::Interrupted)) {
        eprintln!("{}", place.log_tail());
    }
    process.stop().await;
    place.shutdown().await?;
    measured
}

async fn measure_all(
    parameters: &IngestParameters,
    place: &Place,
    process: &SequencerProcess,
) -> Result<Report, BenchError> {
    let streams = usize::from(parameters.streams);
    let clients = load::connect(&process.url, streams).await?;
    let count = parameters.accounts as usize;
    let names = busy(move || Holders::derive(count)).await??;
    let wanted = names.iter().map(|name| (name.key, name.owner)).collect();
    let indices = accounts::open(place, process, &clients, Arc::new(wanted)).await?;
    let holders = Arc::new(Holders::new(names, indices));
    let (funds, window) = (parameters.funds(), parameters.window);
    accounts::fund(place, process, &clients, &holders, funds, window).await?;

    let rng = StdRng::seed_from_u64(parameters.seed);
    let mut workload = Workload::new(holders.len(), parameters.funds(), rng);
    let [max, paced, unary, calm, flooded] = parameters.counts();
    let max = sign(workload.draw(max), &holders, place, "sign").await?;
    let paced = sign(workload.draw(paced), &holders, place, "sign paced").await?;
    let unary = sign(workload.draw(unary), &holders, place, "sign unary").await?;
    let calm = sign(workload.draw(calm), &holders, place, "sign calm").await?;
    let flooded = sign(workload.draw(flooded), &holders, place, "sign flooded").await?;
    let (raw_per_second, raw_cpu_us) = raw(&max, place).await?;

    let closed = Pace::Closed { window: parameters.window };
    let old = Arc::clone(&max);
    let max = phase::streamed("maximum", process, &clients, max, closed).await?;
    let per_second = max.per_second() * f64::from(parameters.load_percent) / 100.0;
    let open = Pace::open(per_second);
    let paced = phase::streamed("paced", process, &clients, paced, open).await?;
    let unary = phase::unary(process, &clients, unary, parameters.unary).await?;

    // A few honest clients, alone and then beside a flood that takes all it can get.
    let honest = load::connect(&process.url, HONEST).await?;
    let modest = max.per_second() * HONEST_PERCENT / 100.0;
    let calm = phase::streamed("calm", process, &honest, calm, Pace::open(modest)).await?;
    let content = Content { old, fresh: Arc::clone(&flooded) };
    let flood = Flood::start(&process.url, FLOODING, modest * FLOOD_TIMES, content)?;
    let flooded = phase::streamed("flooded", process, &honest, flooded, Pace::open(modest)).await?;
    let Flooded { sent, answered } = flood.end().await?;
    let flood_per_second = [sent, answered].map(|count| count as f64 / flooded.seconds);

    let compared = compare(&workload, &holders, process, parameters.seed).await?;
    Ok(Report {
        accounts: parameters.accounts,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        raw_per_second,
        raw_cpu_us,
        max,
        paced,
        unary,
        calm,
        flooded,
        flood_per_second,
        peak_bytes: measure::peak_bytes(process.id)?,
        compared,
    })
}

async fn sign(
    pairs: Vec<Pair>,
    holders: &Arc<Holders>,
    place: &Place,
    stage: &str,
) -> Result<Arc<Vec<Ready>>, BenchError> {
    let count = pairs.len();
    let bar = Bar::steps(stage, count as u64);
    let counter = bar.counter();
    let (holders, domain) = (Arc::clone(holders), place.domain);
    let signed = busy(move || workload::sign(&holders, &pairs, domain, counter)).await?;
    bar.done(&format!("{count} transfers signed"));
    Ok(Arc::new(signed))
}

/// Signatures a second on all processors, by the code that admits transactions, and the processor
/// time of one in microseconds.
async fn raw(ready: &Arc<Vec<Ready>>, place: &Place) -> Result<(f64, f64), BenchError> {
    let bar = Bar::spinner("verify");
    let (ready, domain) = (Arc::clone(ready), place.domain);
    let (per_second, cpu_us) = busy(move || {
        let some = &ready[..ready.len().min(RAW_MAX)];
        let (started, before_us) = (Instant::now(), measure::own_us()?);
        let good = workload::verify_all(some, domain);
        let seconds = started.elapsed().as_secs_f64();
        let cpu_us = measure::own_us()?.saturating_sub(before_us);
        let count = some.len() as f64;
        good.then(|| (count / seconds, cpu_us as f64 / count)).ok_or(BenchError::Signature)
    })
    .await??;
    bar.done(&format!("{per_second:.0} signatures a second on all processors"));
    Ok((per_second, cpu_us))
}

/// Compares a sample of accounts with what must have come of everything acknowledged.
async fn compare(
    workload: &Workload,
    holders: &Holders,
    process: &SequencerProcess,
    seed: u64,
) -> Result<usize, BenchError> {
    let bar = Bar::spinner("compare");
    let sequencer = process.sequencer()?;
    let sample = workload.sample(&mut StdRng::seed_from_u64(seed));
    for position in &sample {
        let index = holders.index(*position);
        let account = sequencer.account(index).await?.account;
        let (have, need) = ((account.balance, account.nonce), workload.expected(*position));
        if have != need {
            return Err(BenchError::Lost { index, have, need });
        }
    }
    bar.done(&format!("{} accounts are as acknowledged", sample.len()));
    Ok(sample.len())
}
