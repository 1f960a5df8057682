//! The single writer: takes commands in order of arrival, executes them, writes one synced group,
//! and only then answers.
//!
//! Runs on a thread of its own. Invariant: an answer is sent only after everything it rests on is
//! on disk. Any error here is fatal for the service: the disk is then ahead of or equal to what was
//! answered, and a restart resumes there.

use crate::execution::{
    Execution, ExecutionError, OpenError, Place, Placed, QueueEntry, TransactionError,
};
use crate::journal::{Head, Journal, JournalError, Operation, SealWrite, TransactionRecord};
use crate::lifecycle::Lifecycle;
use crate::limits::GROUP_MAX;
use crate::mempool::{ChainView, Command, Opened};
use crate::sealing::{self, GrowthError};
use crate::verification::BatchVerifier;
use ark_bn254::G1Affine;
use kerros_protocol::account::Address;
use kerros_protocol::commitment::Srs;
use kerros_protocol::eddsa::SignatureError;
use kerros_protocol::rejection::Rejection;
use kerros_protocol::transaction::{SignedTransaction, TransactionId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;
use thiserror::Error;
use tokio::sync::mpsc;

/// Why the writer stopped.
#[derive(Debug, Error)]
pub enum OrderingError {
    /// The disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The rules or the main chain.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// Growth.
    #[error(transparent)]
    Growth(#[from] GrowthError),
}

/// The executed state, shared with readers.
#[derive(Clone)]
pub struct Shared {
    execution: Arc<RwLock<Execution>>,
    view: Arc<RwLock<ChainView>>,
}

impl Shared {
    /// Shares a state.
    pub fn new(execution: Execution) -> Self {
        Self { execution: Arc::new(RwLock::new(execution)), view: Arc::default() }
    }
    /// The state as executed. It may be ahead of the disk by the group being written, which holds
    /// the lock, and by the collects and forced exits of a seal in progress.
    pub fn execution(&self) -> RwLockReadGuard<'_, Execution> {
        // A poisoned lock means that the writer has panicked: the service is about to end.
        self.execution.read().unwrap_or_else(PoisonError::into_inner)
    }
    /// Replaces what the main chain said.
    pub fn set_view(&self, view: ChainView) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
    }
    /// What the main chain said last.
    pub fn view(&self) -> ChainView {
        *self.view.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What the writer needs.
pub struct Parts {
    /// The executed state.
    pub shared: Shared,
    /// The log.
    pub journal: Arc<Journal>,
    /// Told about seals.
    pub lifecycle: Arc<Lifecycle>,
    /// Reference string.
    pub srs: Srs,
    /// `[L_i(τ)]_1` of the open batch's size.
    pub lagrange: Vec<G1Affine>,
    /// For growth.
    pub verifier: Arc<dyn BatchVerifier>,
    /// Credited with entry fees.
    pub beneficiary: Address,
    /// Age at which a batch that is not empty is sealed, ms.
    pub batch_age_ms_max: u64,
    /// Time.
    pub clock: Clock,
}

/// The writer.
pub struct Ordering {
    parts: Parts,
    queue: VecDeque<(u64, QueueEntry)>,
    first_ms: Option<u64>,
    group: Group,
}

#[derive(Default)]
struct Group {
    operations: Vec<Operation>,
    transactions: BTreeMap<TransactionId, TransactionRecord>,
    replies: Vec<Box<dyn FnOnce() + Send>>,
}

type State<'a> = RwLockWriteGuard<'a, Execution>;

impl Ordering {
    /// The writer over a state that was restored.
    pub fn new(parts: Parts) -> Self {
        let now = (parts.clock)();
        let first_ms = (parts.shared.execution().operations() > 0).then_some(now);
        Self { parts, queue: VecDeque::new(), first_ms, group: Group::default() }
    }

    /// Works until [`Command::Stop`] or until nobody can send any more.
    pub fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<(), OrderingError> {
        let execution = Arc::clone(&self.parts.shared.execution);
        let lock = || execution.write().unwrap_or_else(PoisonError::into_inner);
        // A batch nothing was put into yet may start with growth.
        drop(self.grow_empty(lock(), false)?);
        while let Some(first) = commands.blocking_recv() {
            let mut next = Some(first);
            let mut taken = 0;
            let mut state = lock();
            let mut stop = false;
            while let Some(command) = next.take() {
                stop |= matches!(command, Command::Stop);
                state = self.command(&execution, state, command)?;
                taken += 1;
                if taken < GROUP_MAX && !stop {
                    next = commands.try_recv().ok();
                }
            }
            self.flush(&state)?;
            drop(state);
            if stop {
                return Ok(());
            }
        }
        Ok(())
    }

    fn command<'a>(
        &mut self,
        execution: &'a RwLock<Execution>,
        mut state: State<'a>,
        command: Command,
    ) -> Result<State<'a>, OrderingError> {
        let now = (self.parts.clock)();
        match command {
            Command::Submit { signed, verified, reply, permit } => {
                let result;
                (state, result) = self.submit(execution, state, &signed, verified, now)?;
                self.group.replies.push(Box::new(move || {
                    // Dropped if the caller has gone: the transaction stays executed.
                    let _ = reply.send(result);
                    drop(permit);
                }));
                if state.is_full() {
                    state = self.seal(execution, state, now)?;
                }
            }
            Command::Open { asset, owner, key, reply, permit } => {
                let view = self.parts.shared.view();
                let shape = state.policy().shape;
                let reserved = u64::from(view.pending_deposits)
                    + u64::from(shape.deposits)
                    + u64::from(shape.collects);
                let result = loop {
                    let operations = &mut self.group.operations;
                    let last = view.last_asset;
                    match state.open_account(asset, owner, key, last, reserved, operations) {
                        Err(error) => break Err(error),
                        Ok(Placed::Done((index, opened))) => {
                            let here = opened || state.opened_here(index);
                            let batch = if here { state.head().number } else { 0 };
                            break Ok(Opened { index, batch, opened });
                        }
                        Ok(Placed::Full(_)) if state.operations() == 0 => {
                            break Err(OpenError::LedgerFull { free: 0, reserved });
                        }
                        Ok(Placed::Full(_)) => state = self.seal(execution, state, now)?,
                    }
                };
                self.group.replies.push(Box::new(move || {
                    let _ = reply.send(result);
                    drop(permit);
                }));
            }
            Command::Chain { entries, view } => {
                self.parts.shared.set_view(view);
                self.queue.extend(entries);
                state = self.serve(execution, state, now)?;
            }
            Command::Seal { reply } => {
                let number = state.head().number;
                let sealed = state.operations() > 0;
                if sealed {
                    state = self.seal(execution, state, now)?;
                }
                let _ = reply.send(if sealed { number } else { 0 });
            }
            Command::Grow { reply } => {
                state = self.grow_empty(state, true)?;
                let k_max = state.policy().k_max;
                let k = state.ledger().k() + u8::from(state.head().grow_next);
                let _ = reply.send(k.min(k_max));
            }
            Command::Tick | Command::Stop => {}
        }
        if state.operations() == 0 {
            self.first_ms = None;
        } else {
            let first = *self.first_ms.get_or_insert(now);
            if now.saturating_sub(first) >= self.parts.batch_age_ms_max {
                state = self.seal(execution, state, now)?;
            }
        }
        Ok(state)
    }

    fn submit<'a>(
        &mut self,
        execution: &'a RwLock<Execution>,
        mut state: State<'a>,
        signed: &SignedTransaction,
        verified: Result<(), SignatureError>,
        now: u64,
    ) -> Result<(State<'a>, Result<Place, TransactionError>), OrderingError> {
        loop {
            let empty = state.operations() == 0;
            match state.submit(signed, verified, &mut self.group.operations) {
                Ok(Placed::Done(place)) => {
                    let record = TransactionRecord {
                        batch: place.batch,
                        order: place.order,
                        bytes: signed.encode(),
                    };
                    self.group.transactions.insert(signed.transaction.id(), record);
                    return Ok((state, Ok(place)));
                }
                Ok(Placed::Full(full)) if empty => {
                    return Ok((state, Err(TransactionError::NoRoom { full })));
                }
                Ok(Placed::Full(_)) => state = self.seal(execution, state, now)?,
                Err(error) => {
                    let known = match &error {
                        TransactionError::Rule(Rejection::WrongNonce { have, need }) => have < need,
                        TransactionError::FeeTooLow { .. } => verified.is_ok(),
                        _ => false,
                    };
                    let known = if known { self.known(&signed.transaction.id())? } else { None };
                    return Ok((state, known.ok_or(error)));
                }
            }
        }
    }
    fn known(&self, id: &TransactionId) -> Result<Option<Place>, JournalError> {
        let record = match self.group.transactions.get(id) {
            Some(record) => Some(record.clone()),
            None => self.parts.journal.transaction(id)?,
        };
        Ok(record.map(|record| Place { batch: record.batch, order: record.order }))
    }

    /// Takes queue entries while they fit, sealing as often as needed.
    fn serve<'a>(
        &mut self,
        execution: &'a RwLock<Execution>,
        mut state: State<'a>,
        now: u64,
    ) -> Result<State<'a>, OrderingError> {
        while let Some((entry, content)) = self.queue.front().copied() {
            if entry < state.queue_next() {
                self.queue.pop_front();
                continue;
            }
            match state.serve(entry, &content, &mut self.group.operations)? {
                Placed::Done(()) => {
                    self.queue.pop_front();
                }
                Placed::Full(full) => {
                    assert!(state.operations() > 0, "an empty batch has room, but {full:?}");
                    state = self.seal_open(execution, state, now)?;
                }
            }
        }
        Ok(state)
    }

    /// Writes the group and answers.
    fn flush(&mut self, state: &Execution) -> Result<(), JournalError> {
        let Group { operations, transactions, replies } = std::mem::take(&mut self.group);
        if !operations.is_empty() {
            let started = Instant::now();
            let count = u32::try_from(operations.len()).unwrap_or(u32::MAX);
            let sequence = state.operations() - count;
            let transactions: Vec<_> = transactions.into_iter().collect();
            let number = state.head().number;
            self.parts.journal.append(number, sequence, &operations, &transactions)?;
            crate::metrics::group_written(&transactions, started.elapsed());
        }
        replies.into_iter().for_each(|reply| reply());
        Ok(())
    }

    /// Seals the open batch, which is not empty, opens the next and lets the queue in first.
    fn seal<'a>(
        &mut self,
        execution: &'a RwLock<Execution>,
        state: State<'a>,
        now: u64,
    ) -> Result<State<'a>, OrderingError> {
        let state = self.seal_open(execution, state, now)?;
        self.serve(execution, state, now)
    }
    fn seal_open<'a>(
        &mut self,
        execution: &'a RwLock<Execution>,
        mut state: State<'a>,
        now: u64,
    ) -> Result<State<'a>, OrderingError> {
        self.flush(&state)?;
        let started = Instant::now();
        let grows = state.wants_growth();
        let closing = state.close()?;
        // Readers may go on: only this thread changes the state.
        drop(state);
        let parts = &mut self.parts;
        let (sealed, record) = sealing::seal(&closing, &parts.lagrange, parts.beneficiary, now);
        let grown = if grows {
            let state = parts.shared.execution();
            Some(sealing::grow(&state, &sealed.new, &parts.srs, parts.verifier.as_ref())?)
        } else {
            None
        };
        let (number, end) = (sealed.number + 1, sealed.end);
        let head = sealing::next_head(number, sealed.k, sealed.new, grown.as_ref(), end, now);
        parts.journal.seal(&SealWrite {
            sealed: &sealed.encode(),
            record: &record,
            accounts: &closing.accounts,
            head: &head,
        })?;
        if let Some(grown) = grown {
            parts.lagrange = grown.lagrange;
        }
        let mut state = execution.write().unwrap_or_else(PoisonError::into_inner);
        state.begin(head);
        crate::metrics::sealed(&record, started.elapsed());
        tracing::info!(batch = record.number, counts = ?record.counts, "Sealed");
        parts.lifecycle.sealed(record);
        self.first_ms = None;
        Ok(state)
    }

    /// Grows an empty open batch if that is due or asked for; a batch that is not empty only
    /// remembers that the next one has to.
    fn grow_empty<'a>(
        &mut self,
        mut state: State<'a>,
        asked: bool,
    ) -> Result<State<'a>, OrderingError> {
        self.flush(&state)?;
        let old = state.head().clone();
        if old.k >= state.policy().k_max || !(asked || state.wants_growth()) {
            return Ok(state);
        }
        if state.operations() > 0 || old.before_growth.is_some() {
            if asked && !old.grow_next {
                let head = Head { grow_next: true, ..old };
                self.parts.journal.put_head(&head)?;
                state.rehead(head);
            }
            return Ok(state);
        }
        let parts = &mut self.parts;
        let verifier = parts.verifier.as_ref();
        let grown = sealing::grow(&state, &old.commitments, &parts.srs, verifier)?;
        let next = Some(&grown);
        let head =
            sealing::next_head(old.number, old.k, old.commitments, next, old.first, old.opened_ms);
        parts.journal.put_head(&head)?;
        parts.lagrange = grown.lagrange;
        state.rehead(head);
        Ok(state)
    }
}
