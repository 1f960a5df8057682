//! What the state costs: starts, seals, memory and disk by the number of accounts.
//!
//! For each size a real `kerros-sequencer` process opens so many accounts for callers over gRPC, as
//! it would for anybody, and is killed. A second process starts on what is then on disk; that start
//! is measured, from the first instruction to the first answer. Then it seals batches that touch
//! many accounts spread over the whole ledger. In the end the database is read without it: its accounts
//! must commit, computed from nothing, to its commitments, and hold all the money deposited.

pub(super) mod database;
mod figure;
mod table;

pub use figure::figure;
pub use table::{json, text};

use super::accounts::{self, Holders, Name};
use super::load::{self, Client, Pace};
use super::measure::{self, Cost, Reading};
use super::parameters::{AMOUNT_MAX, FEE, OPENS_MAX};
use super::process::{Made, Place, SequencerProcess, Setting};
use super::workload::Workload;
use super::{BenchError, busy, compare, phase, sign};
use crate::progress::Bar;
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::batch::Shape;
use kerros_protocol::commitment::Root;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Places kept free: index 0 and what is reserved for deposits and fees.
const PLACES_SPARE: u32 = 16;
/// Transfers of a batch at most; half of the touched accounts pay the other half.
const BATCH_TRANSFERS: u32 = 1_024;
/// Accounts that are neither opened by a call nor pay: the depositor's and the fee account.
const OTHERS: u32 = 2;
/// Connections.
const STREAMS: usize = 8;
/// Transactions of a stream that wait for their answers.
const WINDOW: usize = 256;
/// Batches are sealed when they are full or when asked, not by age: what is measured must not depend
/// on how fast the machine is.
const ARGUMENTS: &[&str] = &["--operator-calls", "--batch-age-ms", "86400000"];

/// Parameters of `kerros bench state`.
#[derive(Debug, Clone)]
pub struct StateParameters {
    /// Where the stacks keep their data, one directory a size.
    pub dir: PathBuf,
    /// Where keys of all shapes are kept.
    pub keys: PathBuf,
    /// Accounts, one measurement each; 8 to 10^7.
    pub accounts: Vec<u32>,
    /// Accounts that pay or are paid in a measured batch, at most; 2 to 2,000.
    pub touched: u32,
    /// Measured seals.
    pub seals: u32,
    /// Transfers between touched accounts at the maximum rate.
    pub transfers: u32,
}

impl StateParameters {
    /// Of `accounts`, those that pay or are paid: an even number.
    fn touched(&self, accounts: u32) -> u32 {
        self.touched.min(accounts.saturating_sub(OTHERS)) & !1
    }
    fn setting(&self, accounts: u32) -> Result<Setting, BenchError> {
        let places = accounts.saturating_add(PLACES_SPARE).next_power_of_two();
        let k = u8::try_from(places.trailing_zeros()).unwrap_or(u8::MAX);
        let opens = OPENS_MAX.min(places / 2);
        let shape = Shape::new([opens, 4, BATCH_TRANSFERS, 4, 2])?;
        let dir = self.dir.join(format!("accounts-{accounts}"));
        Ok(Setting { dir, keys: self.keys.clone(), shape, k, arguments: ARGUMENTS })
    }
}

/// One start of a sequencer on a database.
#[derive(Debug, Clone)]
pub struct Start {
    /// From the start of the process to its first answer over gRPC.
    pub elapsed: Duration,
    /// Processor time of the process in it.
    pub cpu: Duration,
    /// Resident memory after it, in bytes.
    pub resident_bytes: u64,
    /// Greatest resident memory in it, in bytes.
    pub peak_bytes: u64,
}

/// What one size costs.
#[derive(Debug, Clone)]
pub struct Row {
    /// Accounts that exist.
    pub accounts: u32,
    /// Exponent of the ledger's size.
    pub k: u8,
    /// The reference string on disk.
    pub srs_bytes: u64,
    /// What the reference string took, if it was made by this run.
    pub srs_made: Option<Made>,
    /// The database when the sequencer was killed, log included.
    pub database_bytes: u64,
    /// The start on it.
    pub start: Start,
    /// Accounts that each measured batch changes, the fee account included.
    pub touched: u32,
    /// All measured seals together.
    pub seals: Cost,
    /// Transfers acknowledged at the maximum rate.
    pub acknowledged: usize,
    /// Those a second.
    pub per_second: f64,
    /// Accounts compared with the local replay.
    pub compared: usize,
    /// Root of the accounts on disk in the end, computed from nothing; equal to the sequencer's.
    pub root: Root,
}

/// Measures every size in turn. The sequencer's log is shown if one fails.
pub async fn state(parameters: &StateParameters) -> Result<Vec<Row>, BenchError> {
    let mut rows = Vec::with_capacity(parameters.accounts.len());
    for accounts in &parameters.accounts {
        eprintln!("{accounts} accounts");
        let place = Place::prepare(parameters.setting(*accounts)?).await?;
        let measured = tokio::select! {
            measured = measure(parameters, *accounts, &place) => measured,
            // Without signals nobody can interrupt.
            Ok(()) = tokio::signal::ctrl_c() => Err(BenchError::Interrupted),
        };
        if matches!(&measured, Err(error) if !matches!(error, BenchError::Interrupted)) {
            eprintln!("{}", place.log_tail());
        }
        place.shutdown().await?;
        rows.push(measured?);
    }
    Ok(rows)
}

/// A key that nobody can sign with, and an owner nobody knows: for accounts that only exist.
pub(super) fn nobody(position: usize) -> Result<(AccountKey, Address), BenchError> {
    let (mut key, mut owner) = ([0u8; 32], [0u8; 20]);
    let mut hash = blake3::Hasher::new();
    let mut bytes =
        hash.update(b"kerros.bench.nobody").update(&position.to_be_bytes()).finalize_xof();
    bytes.fill(&mut key);
    bytes.fill(&mut owner);
    // Below the modulus, and as long as a real one.
    key[0] &= 0x1f;
    let key = AccountKey::from_be(&key).map_err(crate::sequencer::SequencerError::from)?;
    Ok((key, Address(owner)))
}

/// Fills a new database and kills its sequencer; gives those that can pay, and the units deposited.
async fn fill(
    parameters: &StateParameters,
    accounts: u32,
    place: &Place,
) -> Result<(Arc<Holders>, u64, u64), BenchError> {
    let mut process = SequencerProcess::start(place).await?;
    let clients = load::connect(&process.url, STREAMS).await?;
    let touched = parameters.touched(accounts) as usize;
    let opened = (accounts - OTHERS) as usize;
    let (names, wanted, positions) = busy(move || {
        let names = Holders::derive(touched)?;
        let mut wanted = (0..opened).map(nobody).collect::<Result<Vec<_>, _>>()?;
        // Spread evenly over the whole ledger.
        let positions: Vec<usize> = (0..touched).map(|i| i * opened / touched).collect();
        for (Name { key, owner, .. }, position) in names.iter().zip(&positions) {
            wanted[*position] = (*key, *owner);
        }
        Ok::<_, BenchError>((names, wanted, positions))
    })
    .await??;
    let indices = accounts::open(place, &process, &clients, Arc::new(wanted)).await?;
    let indices: Vec<AccountIndex> = positions.iter().map(|position| indices[*position]).collect();
    let holders = Arc::new(Holders::new(names, indices));
    let transfers = u64::from(parameters.seals) + u64::from(parameters.transfers);
    let funds = transfers * (AMOUNT_MAX + FEE);
    accounts::fund(place, &process, &clients, &holders, funds, WINDOW).await?;
    let sequencer = process.sequencer()?;
    sequencer.seal().await?;
    require("the number of accounts", sequencer.info().await?.message.accounts, accounts.into())?;
    process.stop().await;
    Ok((holders, funds, (funds + FEE) * touched as u64))
}

pub(super) fn require<T: PartialEq + std::fmt::Debug>(
    what: &'static str,
    have: T,
    need: T,
) -> Result<(), BenchError> {
    if have == need {
        return Ok(());
    }
    Err(BenchError::Differs { what, have: format!("{have:?}"), need: format!("{need:?}") })
}

/// Starts a sequencer on what is there and waits for its first answer.
async fn start(place: &Place) -> Result<(SequencerProcess, Start), BenchError> {
    let bar = Bar::spinner("start");
    let started = Instant::now();
    let process = SequencerProcess::start(place).await?;
    process.sequencer()?.info().await?;
    let elapsed = started.elapsed();
    let start = Start {
        elapsed,
        cpu: Duration::from_micros(measure::process_us(process.id)?),
        resident_bytes: measure::resident_bytes(process.id)?,
        peak_bytes: measure::peak_bytes(process.id)?,
    };
    bar.done("the first answer");
    Ok((process, start))
}

async fn measure(
    parameters: &StateParameters,
    accounts: u32,
    place: &Place,
) -> Result<Row, BenchError> {
    let (holders, funds, units) = fill(parameters, accounts, place).await?;
    let database_bytes = database::bytes(&place.data())?;
    let (mut process, start) = start(place).await?;
    let count = process.sequencer()?.info().await?.message.accounts;
    require("the number of accounts after the start", count, accounts.into())?;

    let clients = load::connect(&process.url, STREAMS).await?;
    let mut workload = Workload::new(holders.len(), funds, StdRng::seed_from_u64(1));
    let seals = seals(parameters, &mut workload, &holders, place, &process, &clients).await?;
    let pairs = workload.draw(parameters.transfers);
    let ready = sign(pairs, &holders, place, "sign").await?;
    let closed = Pace::Closed { window: WINDOW };
    let load = phase::streamed("transfers", &process, &clients, ready, closed).await?;
    process.sequencer()?.seal().await?;
    let compared = compare(&workload, &holders, &process, 1).await?;
    process.stop().await;

    let (data, srs) = (place.data(), place.srs.clone());
    let found = busy(move || database::read(&data, &srs)).await??;
    require("the number of accounts on disk", found.accounts, u64::from(accounts))?;
    require("the units on disk", found.units, u128::from(units))?;
    Ok(Row {
        accounts,
        k: found.k,
        srs_bytes: database::bytes(&place.srs)?,
        srs_made: place.srs_made,
        database_bytes,
        start,
        touched: parameters.touched(accounts) + 1,
        seals,
        acknowledged: load.acknowledged,
        per_second: load.per_second(),
        compared,
        root: found.root,
    })
}

/// Batches in which one half of the holders pays the other, each sealed by itself.
async fn seals(
    parameters: &StateParameters,
    workload: &mut Workload,
    holders: &Arc<Holders>,
    place: &Place,
    process: &SequencerProcess,
    clients: &[Client],
) -> Result<Cost, BenchError> {
    let sequencer = process.sequencer()?;
    let mut cost = Cost::default();
    let rounds: Vec<_> = (0..parameters.seals).map(|_| workload.halves()).collect();
    let ready = sign(rounds.concat(), holders, place, "sign seals").await?;
    for round in ready.chunks(holders.len() / 2) {
        let (count, ready) = (round.len(), Arc::new(round.to_vec()));
        load::run(clients, &ready, Pace::Closed { window: WINDOW }, |_| ()).await?;
        let before = Reading::now(process.id, process.metrics).await?;
        let number = sequencer.seal().await?.ok_or(BenchError::Bug("the batch was empty"))?;
        let after = Reading::now(process.id, process.metrics).await?;
        let sealed = sequencer.batch(number, false).await?;
        let transfers = sealed.counts.map_or(0, |counts| counts.transfers);
        require("the transfers of a measured batch", transfers as usize, count)?;
        cost.add(&Cost::between(&before, &after));
    }
    Ok(cost)
}
