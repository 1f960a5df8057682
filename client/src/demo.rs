//! The main job, end to end: deposits on the main chain, accounts, transfers, withdrawals, batches
//! proved, verified and posted, withdrawals claimed; then everything checked against the main chain
//! alone.

pub mod audit;
pub mod books;
pub mod plan;
mod story;
pub mod table;

use crate::contract::ContractError;
use crate::devnet::{Devnet, DevnetConfig, DevnetError, OPERATOR};
use crate::progress::Bar;
use crate::sequencer::SequencerError;
use crate::wallet::WalletError;
use alloy::primitives::Address as ChainAddress;
use audit::{Audit, AuditError};
use books::Books;
use kerros_circuits::setup::{SetupError, SetupFiles, read_verification_key};
use kerros_protocol::account::Address;
use kerros_protocol::commitment::{Srs, SrsError};
use kerros_protocol::proto::{Batch, BatchState};
use kerros_sequencer::main_chain::embedded::development_wallet;
use plan::{DEPOSITORS, Holder, NEWCOMERS, payment};
use std::time::Instant;
use story::Story;
use thiserror::Error;

/// Longest wait for one thing to happen, in milliseconds: a proof on a slow machine.
const WAIT_MS_MAX: u64 = 900_000;

/// What the demo runs on.
#[derive(Debug, Clone)]
pub struct DemoConfig {
    /// The stack; its directory must not hold one already.
    pub devnet: DevnetConfig,
    /// Transfers, at least [`plan::TRANSFERS_MIN`].
    pub transfers: u32,
}

/// Why the demo did not reach its end. (If it does, and something does not hold, the report says
/// so.)
#[derive(Debug, Error)]
pub enum DemoError {
    /// The directory has been used.
    #[error("{0} holds a devnet already: the demo wants a new directory")]
    Used(String),
    /// The stack.
    #[error(transparent)]
    Devnet(#[from] DevnetError),
    /// The sequencer.
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    /// The contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A wallet.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The audit failed.
    #[error("audit: {0}")]
    Audit(#[from] AuditError),
    /// Keys.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Reference string.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// Nothing happened for too long.
    #[error("waited too long for {what}")]
    TimeOut {
        /// For what.
        what: &'static str,
    },
    /// The sequencer stopped settling.
    #[error("settlement halted: {0}")]
    Halted(String),
    /// The demo's own plan went wrong.
    #[error("{0}")]
    Story(&'static str),
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Report {
    /// Final batches in order.
    pub batches: Vec<Batch>,
    /// Per asset.
    pub books: Vec<Books>,
    /// Everything that must hold, and whether it does.
    pub checks: Vec<(String, bool)>,
    /// Accounts of holders.
    pub accounts: usize,
    /// Transfers acknowledged.
    pub transfers: u32,
    /// Root on the main chain.
    pub root: String,
    /// Wall time without setup, in seconds.
    pub seconds: f64,
}

impl Report {
    /// Whether all of it holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|(_, holds)| *holds)
    }
}

/// Runs the demo.
pub async fn run(config: &DemoConfig) -> Result<Report, DemoError> {
    if config.devnet.dir.join("devnet.json").exists() {
        return Err(DemoError::Used(config.devnet.dir.display().to_string()));
    }
    let started = Instant::now();
    let bar = Bar::spinner("start");
    let devnet = Devnet::start(&config.devnet, &|stage| bar.say(stage)).await?;
    bar.done(&format!("sequencer {}, main chain {}", devnet.sequencer_url, devnet.rpc_url));
    let told = tell(config, &devnet).await;
    // Stopped in any case; what went wrong first is what counts.
    let stopped = devnet.shutdown().await;
    let mut report = told?;
    stopped?;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

async fn tell(config: &DemoConfig, devnet: &Devnet) -> Result<Report, DemoError> {
    let mut story = Story::begin(devnet).await?;
    story.deposit().await?;
    story.transfer(config.transfers).await?;
    let last = story.withdraw().await?;
    let batches = story.settle(last).await?;
    let mut checks = promises(config.transfers, &batches);
    checks.extend(story.claim().await?);

    let bar = Bar::spinner("audit");
    bar.say("replaying the main chain");
    let files = SetupFiles::in_dir(&config.devnet.keys);
    let key = read_verification_key(&files.verification_key)?;
    let srs = Srs::open(&files.srs)?;
    let audit = Audit::run(story.contract(), &key, &srs).await?;
    let state = story.contract().state().await?;
    checks.push(("the audit's root is the contract's".to_owned(), audit.state.root == state.root));
    let count = batches.len() as u64;
    let all = (audit.state.number, state.batch_number) == (count, count);
    checks.push((format!("the contract has all {count} batches"), all));
    checks.push(("the queue is served".to_owned(), state.head == state.tail));
    let as_planned = story.accounts.values().all(|expected| {
        let account = audit.state.ledger.get(expected.index);
        (account.balance, account.nonce) == (expected.balance, expected.nonce)
    });
    checks.push(("every account ends as planned".to_owned(), as_planned));
    let mut alike = true;
    for (index, account) in audit.state.ledger.existing() {
        alike &= story.sequencer().account(index).await?.account == *account;
    }
    checks.push(("the sequencer says the same of every account".to_owned(), alike));

    let operator: ChainAddress = development_wallet(OPERATOR).address();
    let operator = Address(operator.into_array());
    let mut books = Vec::new();
    for test in &devnet.world.assets {
        let of = Books::of(&audit, story.contract(), &test.asset, test.symbol, operator).await?;
        let planned = story.fees.get(&of.asset).copied().unwrap_or_default();
        checks.extend(of.checks());
        let name = format!("{}: fees are what was signed", of.symbol);
        checks.push((name, of.fees == u128::from(planned)));
        books.push(of);
    }
    bar.done("replayed from the main chain alone");
    Ok(Report {
        batches,
        books,
        checks,
        accounts: story.accounts.len(),
        transfers: config.transfers,
        root: state.root.to_string(),
        seconds: 0.0,
    })
}

/// What the demo promises about its own size.
fn promises(transfers: u32, batches: &[Batch]) -> Vec<(String, bool)> {
    let payments: Vec<_> = (0..transfers).map(payment).collect();
    let newcomer = |holder: &Holder| NEWCOMERS.contains(holder);
    let accounts = DEPOSITORS.len() + NEWCOMERS.len();
    let published: u32 =
        batches.iter().map(|batch| batch.counts.unwrap_or_default().transfers).sum();
    let proved = |batch: &Batch| {
        let posted = batch.settlement.as_ref().is_some_and(|posted| posted.gas_used > 0);
        batch.proof.is_some() && posted && batch.state() == BatchState::Final
    };
    vec![
        (format!("at least {} transfers", plan::TRANSFERS_MIN), transfers >= plan::TRANSFERS_MIN),
        ("all of them are in batches".to_owned(), published == transfers),
        ("between at least 10 accounts".to_owned(), accounts >= 10),
        (
            "in two assets".to_owned(),
            [1, 2].iter().all(|a| payments.iter().any(|p| p.from.1 == *a)),
        ),
        ("one to itself".to_owned(), payments.iter().any(|p| p.from == p.to)),
        ("some to new accounts".to_owned(), payments.iter().any(|p| newcomer(&p.to))),
        ("at least two batches".to_owned(), batches.len() >= 2),
        ("each proved, verified, posted, final".to_owned(), batches.iter().all(proved)),
    ]
}
