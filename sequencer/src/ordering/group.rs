//! What was executed and is not on disk yet, and the answers that wait for it.

use super::Parts;
use crate::admission::{Answer, Digest, Reply, Seat};
use crate::execution::{Execution, TransactionError};
use crate::journal::watermark::{Mark, Watermark};
use crate::journal::{Group, GroupSeal, JournalError, OpeningsWrite, Operation, Receipts};
use crate::mempool::Pending;
use crate::planted::{Bug, planted};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use ark_bn254::Fr;
use kerros_protocol::transaction::TransactionId;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Sees a new value after every group that is on disk.
pub type Written = watch::Sender<u64>;

/// Signs receipts.
#[derive(Clone)]
pub struct ReceiptSigner {
    /// The key; its address is told to clients.
    pub key: PrivateKeySigner,
    /// The deployment's domain.
    pub domain: Fr,
    /// From acknowledgement to the promised deadline, ms.
    pub promise_ms: u64,
}

impl ReceiptSigner {
    fn sign(&self, digest: [u8; 32]) -> [u8; 65] {
        let signature = self.key.sign_hash_sync(&digest.into());
        signature.expect("a local key signs every digest").as_bytes()
    }
}

enum Outcome {
    /// Transaction number so many of this group.
    New(u32),
    Other(Answer),
}

type Then = Box<dyn FnOnce() + Send>;

/// The group under construction.
pub struct GroupWriter {
    /// Executed and not on disk.
    pub operations: Vec<Operation>,
    ids: Vec<TransactionId>,
    digests: Vec<Digest>,
    first_order: u16,
    replies: Vec<(Reply, Seat, Outcome)>,
    then: Vec<Then>,
    last_receipt: [u8; 32],
    last_opening: [u8; 32],
    watermark: Watermark,
}

impl GroupWriter {
    /// Empty; `last_receipt` is the hash of the last one on disk, which `watermark` names,
    /// `last_opening` that of the last opening's.
    pub fn new(last_receipt: [u8; 32], last_opening: [u8; 32], watermark: Watermark) -> Self {
        Self {
            operations: Vec::new(),
            ids: Vec::new(),
            digests: Vec::new(),
            first_order: 0,
            replies: Vec::new(),
            then: Vec::new(),
            last_receipt,
            last_opening,
            watermark,
        }
    }
    /// To be done when the group is on disk.
    pub fn then(&mut self, work: impl FnOnce() + Send + 'static) {
        self.then.push(Box::new(work));
    }
    /// A transaction was executed in place `order`.
    pub fn acknowledge(&mut self, pending: Pending, order: u16) {
        if self.ids.is_empty() {
            self.first_order = order;
        }
        let index = u32::try_from(self.ids.len()).expect("groups are bounded");
        self.ids.push(pending.id);
        self.digests.push(pending.digest);
        self.replies.push((pending.reply, pending.seat, Outcome::New(index)));
    }
    /// A transaction was refused. Refusals rest on what is executed: they wait for the disk too.
    pub fn refuse(&mut self, pending: Pending, error: TransactionError) {
        let outcome = Outcome::Other(Answer::Refused(error.into()));
        self.replies.push((pending.reply, pending.seat, outcome));
    }
    /// The same for one that may have been acknowledged before, in this group or an earlier one:
    /// when it is answered, that one is on disk.
    pub fn refuse_stale(&mut self, pending: Pending, error: TransactionError) {
        let outcome = Outcome::Other(Answer::Stale { id: pending.id, error: error.into() });
        self.replies.push((pending.reply, pending.seat, outcome));
    }

    /// Writes the group and answers.
    pub fn flush(
        &mut self,
        parts: &Parts,
        state: &Execution,
        now: u64,
    ) -> Result<(), JournalError> {
        let mut receipts = None;
        if !self.operations.is_empty() {
            let started = Instant::now();
            let operations = std::mem::take(&mut self.operations);
            let count = u32::try_from(operations.len()).unwrap_or(u32::MAX);
            let seal = GroupSeal {
                first_order: self.first_order,
                previous: self.last_receipt,
                deadline_ms: now.saturating_add(parts.signer.promise_ms),
                signature: [0; 65],
            };
            let sequence = state.operations() - count;
            let mut group = Group { batch: state.head().number, sequence, operations, seal };
            let domain = parts.signer.domain;
            let signed = group.sign(domain, |digest| parts.signer.sign(digest)).map(Arc::new);
            let openings = self.openings(&group, parts);
            let last = signed.as_ref().and_then(|receipts| receipts.last(domain));
            self.last_receipt = last.unwrap_or(self.last_receipt);
            let mark =
                Mark { batch: group.batch, sequence: sequence + count, receipt: self.last_receipt };
            if planted(Bug::MarkFirst) {
                self.mark(parts, &mark)?;
            }
            if planted(Bug::AnswerFirst) {
                self.answer(signed.as_ref());
            }
            let writing = Instant::now();
            parts.journal.append(&group, &self.ids, signed.as_deref(), last, openings.as_ref())?;
            let synced = writing.elapsed();
            let marking = Instant::now();
            // Whatever is answered from here on is under the mark.
            if !planted(Bug::NoMark) {
                self.mark(parts, &mark)?;
            }
            receipts = signed;
            crate::metrics::group_written(
                self.ids.len(),
                started.elapsed(),
                synced,
                marking.elapsed(),
            );
            parts.written.send_modify(|groups| *groups += 1);
        }
        self.ids.clear();
        parts.repeats.remember(self.digests.drain(..));
        self.answer(receipts.as_ref());
        Ok(())
    }
    /// Signs for the accounts that the group opens.
    fn openings(&mut self, group: &Group, parts: &Parts) -> Option<OpeningsWrite> {
        let domain = parts.signer.domain;
        let (previous, signature) = (self.last_opening, [0; 65]);
        let mut seal = GroupSeal { first_order: 0, previous, signature, ..group.seal.clone() };
        let sign = |digest| parts.signer.sign(digest);
        let receipts = group.sign_openings(domain, &mut seal, sign)?;
        self.last_opening = receipts.last(domain)?;
        Some(OpeningsWrite { stored: receipts.store(&seal), last: self.last_opening })
    }
    fn mark(&mut self, parts: &Parts, mark: &Mark) -> Result<(), JournalError> {
        self.watermark.advance(mark).map_err(|error| {
            // The sealer must not go on either.
            parts.journal.fail();
            JournalError::Watermark(error)
        })
    }
    fn answer(&mut self, receipts: Option<&Arc<Receipts>>) {
        for (reply, seat, outcome) in self.replies.drain(..) {
            reply.send(match outcome {
                Outcome::New(index) => {
                    let receipts = receipts.cloned().expect("the group has this transaction");
                    Answer::Acknowledged { receipts, index }
                }
                Outcome::Other(answer) => answer,
            });
            drop(seat);
        }
        self.then.drain(..).for_each(|work| work());
    }
}
