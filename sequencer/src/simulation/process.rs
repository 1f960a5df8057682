//! One life of a sequencer, from a start to a crash: the production code, with its threads and
//! tasks taken apart into steps that the simulation takes in any order.

use super::chain::{CHAIN_ID, CONFIRMATIONS, CONTRACT, FEE_MAX, SimulatedChain, good};
use super::setup::{Setup, poster, receipt_key};
use super::store::Disk;
use crate::admission::intake::{Intake, Raw};
use crate::admission::{Hall, Source, check};
use crate::config::Config;
use crate::jobs::{Jobs, Lease};
use crate::journal::Journal;
use crate::journal::watermark::{self, Mark, Watermark};
use crate::lifecycle::Lifecycle;
use crate::limits::COMMANDS_MAX;
use crate::mempool::Command;
use crate::ordering::{Clock, Ordering, Parts, ReceiptSigner, Shared};
use crate::proving::{Proving, Submission};
use crate::sealing::{Sealer, Sealing, inline_sealer};
use crate::service::restore::recover;
use crate::settlement::contract::Contract;
use crate::settlement::finality::Finality;
use crate::settlement::post::Poster;
use crate::settlement::queue::{Cursor, QueueError, QueueFollower};
use crate::settlement::view::Watched;
use crate::settlement::{StepError, is_curable};
use crate::verification::BatchVerifier;
use kerros_protocol::batch::BatchData;
use kerros_protocol::commitment::Commitments;
use kerros_protocol::eddsa::KeyCache;
use kerros_protocol::transcript::{BatchProof, Statement};
use kerros_verifier::VerifyError;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Leases are short, so that they often end.
pub const LEASE_MS: u64 = 4_000;

/// Posts that wait are soon replaced.
const BUMP_MS: u64 = 3_000;

/// Accepts what [`good`] says.
pub struct Oracle;

impl BatchVerifier for Oracle {
    fn batch(
        &self,
        statement: &Statement,
        _: &BatchData,
        proof: &BatchProof,
    ) -> Result<(), VerifyError> {
        if proof.h == good(statement) { Ok(()) } else { Err(VerifyError::Pairing) }
    }
    fn growth(&self, _: &Commitments, _: &Commitments, _: u8) -> Result<(), VerifyError> {
        Ok(())
    }
}

type Task<S, E> = Pin<Box<dyn Future<Output = (S, Result<(), E>)> + Send>>;

/// A task that is called again and again, and may be suspended at any question to the chain.
enum Loop<S, E> {
    Idle(S),
    Running(Task<S, E>),
    /// It panicked.
    Gone,
}

impl<S: 'static, E: 'static> Loop<S, E> {
    /// Begins a step or goes on with one that was suspended; what came of it if it has ended.
    fn drive<T>(&mut self, step: impl FnOnce(S) -> T) -> Result<(), E>
    where
        T: Future<Output = (S, Result<(), E>)> + Send + 'static,
    {
        let mut task: Task<S, E> = match std::mem::replace(self, Self::Gone) {
            Self::Idle(state) => Box::pin(step(state)),
            Self::Running(task) => task,
            Self::Gone => return Ok(()),
        };
        match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready((state, result)) => {
                *self = Self::Idle(state);
                result
            }
            Poll::Pending => {
                *self = Self::Running(task);
                Ok(())
            }
        }
    }
}

/// The parts of a running sequencer.
pub struct Process {
    pub journal: Arc<Journal>,
    pub shared: Shared,
    pub lifecycle: Arc<Lifecycle>,
    pub proving: Arc<Proving>,
    pub hall: Hall,
    pub commands: mpsc::Sender<Command>,
    intake: Arc<Intake>,
    inbox: mpsc::Receiver<Command>,
    ordering: Ordering,
    sealer: Arc<Sealer>,
    checked: VecDeque<Command>,
    keys: KeyCache,
    dice: StdRng,
    submissions: Vec<(Submission, Lease)>,
    posting: Loop<Poster, StepError>,
    looking: Loop<Finality, StepError>,
    following: Loop<QueueFollower, QueueError>,
}

/// Why a process ended by itself.
#[derive(Debug)]
pub enum End {
    /// The disk failed: it has to end.
    Disk,
    /// It must not have.
    Wrong(String),
}

/// The marks that a start compares; refuses a log that lacks what was acknowledged.
pub fn check_watermark(disk: &Disk, setup: &Setup) -> Result<(), String> {
    let bytes = disk.slots();
    let found = match bytes.is_empty() {
        true => watermark::Found::Missing,
        false => watermark::found(&bytes),
    };
    let journal = Journal::over(disk.clone());
    let domain = setup.domain;
    let end = journal.end(domain).map_err(|error| error.to_string())?;
    let here = std::path::Path::new("disk");
    watermark::check(here, found, end, false, |mark: &Mark| {
        Ok::<_, watermark::WatermarkError>(
            journal.mark_at(mark.batch, mark.sequence, domain).expect("readable"),
        )
    })
    .map_err(|error: watermark::WatermarkError| error.to_string())
}

pub fn config() -> Config {
    let owner = super::setup::owner();
    Config {
        batch_age_ms_max: 2_000,
        confirmations: CONFIRMATIONS,
        lease_ms: LEASE_MS,
        ..Config::new(
            "/".into(),
            kerros_protocol::account::Address(CONTRACT.into_array()),
            super::setup::key_of(0),
            owner,
        )
    }
}

impl Process {
    /// Starts from what the disk holds.
    pub fn start(
        disk: &Disk,
        chain: &SimulatedChain,
        setup: &Setup,
        now: &Arc<AtomicU64>,
        seed: u64,
    ) -> Result<Self, End> {
        check_watermark(disk, setup).map_err(End::Wrong)?;
        let time = Arc::clone(now);
        let clock: Clock = Arc::new(move || time.load(Atomic::Relaxed));
        let journal = Arc::new(Journal::over(disk.clone()));
        let failed = |what: &str, error: String| match journal.failed() {
            true => End::Disk,
            false => End::Wrong(format!("{what}: {error}")),
        };
        journal.bind(b"simulation").map_err(|e| failed("binding", e.to_string()))?;
        if disk.slots().is_empty() {
            disk.make_slots(vec![0; 8_192]);
        }
        let mut mark = Watermark::over(disk.clone(), &disk.slots());
        let end = journal.end(setup.domain).expect("readable");
        mark.advance(&end).map_err(|_| End::Disk)?;
        let config = config();
        let state = recover(&journal, &config, &setup.key, &setup.srs, &clock)
            .map_err(|e| failed("recovering", e.to_string()))?;
        let verifier: Arc<dyn BatchVerifier> = Arc::new(Oracle);
        let lifecycle = state.lifecycle;
        let proving = Proving::new(
            Jobs::new(config.lease_ms, config.quarantine_after),
            Arc::clone(&lifecycle),
            Arc::clone(&journal),
            setup.key.clone(),
            setup.domain,
            Arc::clone(&verifier),
            Arc::clone(&clock),
        );
        let proving = Arc::new(proving.map_err(|e| failed("leases", e.to_string()))?);
        let shared = Shared::new(state.execution);
        let sealing = Sealing {
            journal: Arc::clone(&journal),
            lifecycle: Arc::clone(&lifecycle),
            beneficiary: config.beneficiary,
            shape: setup.key.shape,
        };
        let (handle, sealer) = inline_sealer(sealing, state.book);
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let parts = Parts {
            shared: shared.clone(),
            journal: Arc::clone(&journal),
            lifecycle: Arc::clone(&lifecycle),
            sealer: handle,
            srs: setup.srs.clone(),
            verifier,
            signer: ReceiptSigner { key: receipt_key(), domain: setup.domain, promise_ms: 1_000 },
            repeats: Arc::default(),
            written: Arc::new(watch::Sender::new(0)),
            disk: crate::disk::Disk::new("/".into(), 0),
            batch_age_ms_max: config.batch_age_ms_max,
            clock: Arc::clone(&clock),
        };
        let mut ordering = Ordering::new(parts, mark).expect("readable");
        ordering.begin().map_err(|e| failed("the first batch", e.to_string()))?;
        let contract = Contract { chain: Arc::new(chain.clone()), address: CONTRACT };
        let poster = Poster {
            watched: Watched {
                contract: contract.clone(),
                chain_id: CHAIN_ID,
                confirmations: CONFIRMATIONS,
                head_age_ms_max: 0,
                clock: Arc::clone(&clock),
                highest: 0,
                waits: Arc::default(),
            },
            wallet: poster(),
            lifecycle: Arc::clone(&lifecycle),
            journal: Arc::clone(&journal),
            key: setup.key.clone(),
            clock: Arc::clone(&clock),
            bump_ms: BUMP_MS,
            fee_max: FEE_MAX,
            resent: None,
            doubted: 0,
            contradicted: None,
        };
        let finality = Finality {
            contract: contract.clone(),
            lifecycle: Arc::clone(&lifecycle),
            journal: Arc::clone(&journal),
            confirmations: CONFIRMATIONS,
            clock,
        };
        let next = shared.execution().queue_next();
        let follower = QueueFollower {
            contract,
            shared: shared.clone(),
            commands: commands.clone(),
            journal: Arc::clone(&journal),
            confirmations: CONFIRMATIONS,
            poll_ms: 1,
            cursor: Cursor::new(&journal, next).map_err(|e| failed("the queue", e.to_string()))?,
        };
        let mut dice = StdRng::seed_from_u64(seed);
        Ok(Self {
            journal,
            shared,
            lifecycle,
            proving,
            hall: Hall::default(),
            commands,
            intake: Arc::default(),
            inbox,
            ordering,
            sealer,
            checked: VecDeque::new(),
            keys: KeyCache::new(64, &mut dice),
            dice,
            submissions: Vec::new(),
            posting: Loop::Idle(poster),
            looking: Loop::Idle(finality),
            following: Loop::Idle(follower),
        })
    }
    fn ended(&self, what: &str, error: impl std::fmt::Display) -> End {
        match self.journal.failed() {
            true => End::Disk,
            false => End::Wrong(format!("{what}: {error}")),
        }
    }
    /// A request arrives.
    pub fn push(&self, raw: Raw) {
        self.intake.push(raw);
    }
    /// A connection.
    pub fn source(&self) -> Arc<Source> {
        self.hall.source()
    }
    /// A checker takes a chunk and checks it.
    pub fn check(&mut self, setup: &Setup) {
        // Small chunks: a stream's transactions are often in several.
        let most = self.dice.gen_range(1..5);
        if let Some(chunk) = self.intake.take_now(most) {
            let suspect = chunk.suspect;
            let command = check(chunk, setup.domain, &mut self.keys, &mut self.dice);
            if suspect {
                self.intake.rest(Duration::ZERO);
            }
            self.checked.push_back(command);
        }
    }
    /// A checker hands its chunk over, not always the one that took first.
    pub fn deliver(&mut self) {
        if self.checked.is_empty() || self.commands.capacity() == 0 {
            return;
        }
        let place = self.dice.gen_range(0..self.checked.len().min(3));
        let command = self.checked.remove(place).expect("in range");
        self.send(command);
    }
    /// A command, if there is room.
    pub fn send(&self, command: Command) {
        // No room: the caller of a real one waits; here it is as if it had not come.
        let _ = self.commands.try_send(command);
    }
    /// The writer's turn.
    pub fn write(&mut self) -> Result<(), End> {
        let result = self.ordering.turn(None, &mut self.inbox);
        result.map_err(|error| self.ended("writer", error))
    }
    /// The sealer's turn.
    pub fn seal(&mut self) -> Result<(), End> {
        let result = self.sealer.step();
        result.map(|_| ()).map_err(|error| self.ended("sealer", error))
    }
    /// Time passes.
    pub fn tick(&mut self) -> Result<(), End> {
        self.proving.expire().map_err(|error| self.ended("leases", error))?;
        self.send(Command::Tick);
        Ok(())
    }
    /// A proof comes in; it is checked later.
    pub fn submit(&mut self, submission: Submission) -> Result<(), End> {
        match self.proving.accept(&submission) {
            Ok(crate::proving::Accepted::Lease(lease)) => {
                self.submissions.push((submission, lease))
            }
            Ok(crate::proving::Accepted::Known(_)) => {}
            Err(error) if self.journal.failed() => return Err(self.ended("proof", error)),
            // Stale, or already being verified.
            Err(_) => {}
        }
        Ok(())
    }
    /// A proof that came in is checked; gives batch and epoch if it was stored.
    pub fn verify(&mut self) -> Result<Option<(u64, u64)>, End> {
        let Some((submission, lease)) = self.submissions.pop() else { return Ok(None) };
        let (number, epoch) = (submission.number, submission.epoch);
        match self.proving.finish(submission, lease) {
            Ok(_) => Ok(Some((number, epoch))),
            Err(error) if self.journal.failed() => Err(self.ended("proof", error)),
            Err(_) => Ok(None),
        }
    }
    /// Posting goes on.
    pub fn post(&mut self) -> Result<(), End> {
        let result = self.posting.drive(|mut poster| async move {
            let result = poster.step().await.map(|_| ());
            (poster, result)
        });
        self.settled("posting", result)
    }
    /// Finality goes on.
    pub fn look(&mut self) -> Result<(), End> {
        let result = self.looking.drive(|finality| async move {
            let result = finality.step().await;
            (finality, result)
        });
        self.settled("finality", result)
    }
    fn settled(&self, what: &str, result: Result<(), StepError>) -> Result<(), End> {
        match result {
            Err(StepError::Chain(error)) if is_curable(&error) => Ok(()),
            result => result.map_err(|error| self.ended(what, error)),
        }
    }
    /// Following the queue goes on.
    pub fn follow(&mut self) -> Result<(), End> {
        let result = self.following.drive(|mut follower| async move {
            let result = follower.step().await.map(|_| ());
            (follower, result)
        });
        match result {
            Err(QueueError::Chain(error)) if is_curable(&error) => Ok(()),
            result => result.map_err(|error| self.ended("queue", error)),
        }
    }
}
