//! The single writer: takes commands, executes transactions by the ordering rule (`mempool`), writes
//! one synced group, and only then answers, each acknowledgement with a signed receipt.
//!
//! Runs on a thread of its own. Invariant: an answer is sent only after everything it rests on is
//! on disk. Any error here is fatal for the service: the disk is then ahead of or equal to what was
//! answered, and a restart resumes there.

mod group;
mod parts;

use crate::admission::{Answer, SubmitError};
use crate::execution::{
    Execution, ExecutionError, OpenError, Placed, QueueEntry, TransactionError,
};
use crate::journal::watermark::Watermark;
use crate::journal::{Checkpoint, Head, JournalError};
use crate::limits::GROUP_MAX;
use crate::mempool::{Command, Opened, Parked, Pending, Pool};
use crate::planted::{Bug, planted};
use crate::sealing::{self, GrowthError, SealerEnded};
use group::GroupWriter;
use kerros_protocol::rejection::Rejection;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

pub use group::{ReceiptSigner, Written};
pub use parts::{Clock, Parts, Shared};

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
    /// The sealer, which said why elsewhere.
    #[error(transparent)]
    Sealer(#[from] SealerEnded),
}

fn halted(pending: Pending) {
    pending.reply.send(Answer::Refused(SubmitError::SealingHalted));
}

/// The writer.
pub struct Ordering {
    parts: Parts,
    queue: VecDeque<(u64, QueueEntry)>,
    first_ms: Option<u64>,
    group: GroupWriter,
    /// Chunks that came before their turn.
    early: BTreeMap<u64, Vec<Pending>>,
    next_chunk: u64,
    pool: Pool,
    parked: Parked,
    stop: bool,
}

impl Ordering {
    /// The writer over a state that was restored.
    pub fn new(parts: Parts, watermark: Watermark) -> Result<Self, JournalError> {
        let last = match planted(Bug::ChainForgotten) {
            true => [0; 32],
            false => parts.journal.last_receipt()?,
        };
        let group = GroupWriter::new(last, parts.journal.last_opening()?, watermark);
        Ok(Self {
            parts,
            queue: VecDeque::new(),
            first_ms: None,
            group,
            early: BTreeMap::new(),
            next_chunk: 0,
            pool: Pool::default(),
            parked: Parked::default(),
            stop: false,
        })
    }

    /// Works until [`Command::Stop`] or until nobody can send any more.
    pub fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<(), OrderingError> {
        match self.work(&mut commands) {
            Err(OrderingError::Sealer(_)) if self.parts.lifecycle.halted().is_some() => {
                self.refuse_all(&mut commands);
                Ok(())
            }
            done => done,
        }
    }
    /// The sealer has halted: nothing new is executed. Everything that was is on disk, since
    /// the writer waits for the sealer only after a flush.
    fn refuse_all(&mut self, commands: &mut mpsc::Receiver<Command>) {
        std::mem::take(&mut self.early).into_values().flatten().for_each(halted);
        while let Some(pending) = self.pool.pop() {
            halted(pending);
        }
        while !self.stop {
            match commands.blocking_recv() {
                Some(command) => self.refuse(command),
                None => return,
            }
        }
    }
    fn refuse(&mut self, command: Command) {
        match command {
            Command::Transactions { transactions, .. } => transactions.into_iter().for_each(halted),
            Command::Chain { view, .. } => self.parts.shared.set_view(view),
            Command::Tick => self.parked.expire((self.parts.clock)()),
            Command::Stop => self.stop = true,
            // Dropped unanswered; their callers are refused before they get here.
            Command::Open { .. } | Command::Seal { .. } | Command::Grow { .. } => {}
        }
    }

    fn work(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), OrderingError> {
        self.begin()?;
        while !self.stop {
            let first = match self.pool.is_empty() {
                true => match commands.blocking_recv() {
                    Some(command) => Some(command),
                    None => break,
                },
                false => commands.try_recv().ok(),
            };
            self.turn(first, commands)?;
        }
        Ok(())
    }
    /// Before the first turn: a batch nothing was put into yet may start with growth.
    pub fn begin(&mut self) -> Result<(), OrderingError> {
        let execution = Arc::clone(&self.parts.shared.execution);
        let mut state = execution.blocking_write();
        // Restored operations are as old as this start.
        self.first_ms = (state.operations() > 0).then(|| (self.parts.clock)());
        self.grow_empty(&mut state, false)
    }
    /// Takes `first` and the commands queued now, executes what waits, writes, answers.
    pub fn turn(
        &mut self,
        first: Option<Command>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<(), OrderingError> {
        // Readers go on meanwhile.
        if let Err(ended) = self.parts.sealer.wait_for_room() {
            if let Some(command) = first.filter(|_| self.parts.lifecycle.halted().is_some()) {
                self.refuse(command);
            }
            return Err(ended.into());
        }
        let execution = Arc::clone(&self.parts.shared.execution);
        let mut state = execution.blocking_write();
        let mut next = first;
        // What is queued now, not what keeps coming.
        for _ in 0..=commands.len() {
            let Some(command) = next.take().or_else(|| commands.try_recv().ok()) else { break };
            self.command(&mut state, command)?;
        }
        self.execute(&mut state)?;
        self.flush(&state)?;
        let (pool, parked) = (self.pool.count(), self.parked.count());
        self.parts.shared.pulse.turned(self.first_ms, pool, parked);
        Ok(())
    }

    fn command(&mut self, state: &mut Execution, command: Command) -> Result<(), OrderingError> {
        let now = (self.parts.clock)();
        match command {
            Command::Transactions { chunk, transactions } => {
                if planted(Bug::ChunksAsTheyCome) {
                    transactions.into_iter().for_each(|pending| self.pool.push(pending));
                    return Ok(());
                }
                self.early.insert(chunk, transactions);
                while let Some(transactions) = self.early.remove(&self.next_chunk) {
                    self.next_chunk += 1;
                    transactions.into_iter().for_each(|pending| self.pool.push(pending));
                }
            }
            Command::Open { asset, owner, key, reply, seat } => {
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
                        Ok(Placed::Full(_)) => self.seal(state, now, None)?,
                    }
                };
                self.group.then(move || {
                    // Dropped if the caller has gone.
                    let _ = reply.send(result);
                    drop(seat);
                });
            }
            Command::Chain { entries, view } => {
                self.parts.shared.set_view(view);
                self.queue.extend(entries);
                self.serve(state, now)?;
            }
            Command::Seal { reply } => {
                if state.operations() > 0 {
                    self.seal(state, now, Some(reply))?;
                } else {
                    let _ = reply.send(0);
                }
            }
            Command::Grow { reply } => {
                self.grow_empty(state, true)?;
                let k_max = state.policy().k_max;
                let k = state.ledger().k() + u8::from(state.growth_asked());
                let _ = reply.send(k.min(k_max));
            }
            Command::Tick => {
                self.parked.expire(now);
                // Entries that had to wait for room.
                self.serve(state, now)?;
            }
            Command::Stop => self.stop = true,
        }
        self.seal_if_old(state, now)
    }

    fn seal_if_old(&mut self, state: &mut Execution, now: u64) -> Result<(), OrderingError> {
        if state.operations() == 0 {
            self.first_ms = None;
            return Ok(());
        }
        let first = self.first_ms.get_or_insert(now);
        // A clock that was set back must not make the batch wait until it is there again.
        *first = now.min(*first);
        if now - *first >= self.parts.batch_age_ms_max && self.parts.disk.has_room() {
            self.seal(state, now, None)?;
        }
        Ok(())
    }

    /// Executes waiting transactions until the group or the sealer has enough.
    fn execute(&mut self, state: &mut Execution) -> Result<(), OrderingError> {
        let now = (self.parts.clock)();
        let mut taken = 0;
        while taken < GROUP_MAX && self.parts.sealer.has_room() {
            let Some(mut pending) = self.pool.pop() else { break };
            loop {
                taken += 1;
                let transaction = &pending.signed.transaction;
                let (from, nonce) = (transaction.from(), transaction.nonce());
                if !self.submit(state, pending, now)? {
                    break;
                }
                if state.is_full() {
                    self.seal(state, now, None)?;
                }
                match nonce.checked_add(1).and_then(|next| self.parked.take(from, next)) {
                    Some(next) => pending = next,
                    None => break,
                }
            }
        }
        self.seal_if_old(state, now)
    }

    /// Executes, parks or refuses; whether it was executed.
    fn submit(
        &mut self,
        state: &mut Execution,
        pending: Pending,
        now: u64,
    ) -> Result<bool, OrderingError> {
        loop {
            let empty = state.operations() == 0;
            let operations = &mut self.group.operations;
            match state.submit(&pending.signed, pending.verified, operations) {
                Ok(Placed::Done(place)) => {
                    self.group.acknowledge(pending, place.order);
                    return Ok(true);
                }
                Ok(Placed::Full(full)) if empty => {
                    self.group.refuse(pending, TransactionError::NoRoom { full });
                    return Ok(false);
                }
                Ok(Placed::Full(_)) => self.seal(state, now, None)?,
                Err(TransactionError::Rule(Rejection::WrongNonce { have, need }))
                    if have > need && pending.verified.is_ok() =>
                {
                    self.parked.park(pending, need, now);
                    return Ok(false);
                }
                Err(error) => {
                    if matches!(error, TransactionError::Unprovable(_)) {
                        crate::metrics::evicted(&pending.id, &error);
                    }
                    let stale = match &error {
                        TransactionError::Rule(Rejection::WrongNonce { .. }) => true,
                        TransactionError::FeeTooLow { .. } => pending.verified.is_ok(),
                        _ => false,
                    };
                    match stale {
                        true => self.group.refuse_stale(pending, error),
                        false => self.group.refuse(pending, error),
                    }
                    return Ok(false);
                }
            }
        }
    }

    /// Takes queue entries while they fit, sealing as often as needed.
    fn serve(&mut self, state: &mut Execution, now: u64) -> Result<(), OrderingError> {
        while let Some((entry, content)) = self.queue.front().copied() {
            // They are bounded, and the main chain keeps them.
            if !self.parts.disk.has_room() {
                break;
            }
            if entry < state.queue_next() {
                self.queue.pop_front();
                continue;
            }
            match state.serve(entry, &content, &mut self.group.operations)? {
                Placed::Done(()) => {
                    self.queue.pop_front();
                }
                Placed::Full(_) if planted(Bug::EntrySkipped) => {
                    self.queue.pop_front();
                }
                Placed::Full(full) => {
                    assert!(state.operations() > 0, "an empty batch has room, but {full:?}");
                    self.close(state, now, None)?;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self, state: &Execution) -> Result<(), JournalError> {
        self.group.flush(&self.parts, state, (self.parts.clock)())
    }

    /// Closes the open batch, which is not empty, opens the next and lets the queue in first.
    fn seal(
        &mut self,
        state: &mut Execution,
        now: u64,
        reply: Option<oneshot::Sender<u64>>,
    ) -> Result<(), OrderingError> {
        self.close(state, now, reply)?;
        self.serve(state, now)
    }
    fn close(
        &mut self,
        state: &mut Execution,
        now: u64,
        reply: Option<oneshot::Sender<u64>>,
    ) -> Result<(), OrderingError> {
        self.flush(state)?;
        let grows = state.wants_growth();
        let closing = state.close()?;
        let (number, first) = (closing.head.number + 1, closing.end);
        let head = Head { number, k: closing.head.k, grows: false, first, opened_ms: now };
        self.parts.lifecycle.closed(&closing);
        self.parts.sealer.hand_over(closing, now, reply.into_iter().collect());
        state.begin(head);
        self.first_ms = None;
        if grows { self.grow(state) } else { Ok(()) }
    }

    /// Grows an empty open batch if that is due or asked for; a batch that is not empty only
    /// remembers that the next one has to.
    fn grow_empty(&mut self, state: &mut Execution, asked: bool) -> Result<(), OrderingError> {
        self.flush(state)?;
        if state.head().k >= state.policy().k_max || !(asked || state.wants_growth()) {
            return Ok(());
        }
        if state.operations() == 0 && !state.head().grows {
            return self.grow(state);
        }
        if asked && !state.growth_asked() {
            self.parts.journal.put_grow()?;
            state.ask_growth();
        }
        Ok(())
    }
    /// Doubles the ledger of the open batch, which is empty.
    fn grow(&mut self, state: &mut Execution) -> Result<(), OrderingError> {
        let Parts { sealer, srs, verifier, journal, .. } = &self.parts;
        // Rare, and the commitments of all batches before are needed.
        sealer.wait_until_idle()?;
        let mut book = sealer.book();
        let grown = sealing::grow(state, &book.commitments, srs, verifier.as_ref())?;
        let head = Head { k: state.head().k + 1, grows: true, ..state.head().clone() };
        let before_growth = Some(book.commitments);
        let commitments = grown.commitments;
        let checkpoint = Checkpoint { head: head.clone(), commitments, before_growth };
        journal.put_checkpoint(&checkpoint)?;
        book.lagrange = grown.lagrange;
        (book.commitments, book.before_growth) = (commitments, before_growth);
        drop(book);
        state.begin(head);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
