//! Who waits for an acknowledgement, and what they get.

use super::SubmitError;
use crate::journal::{Journal, Receipts};
use kerros_protocol::receipt::Receipt;
use kerros_protocol::transaction::TransactionId;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What a submitter is told, before it is put into words: whoever reads it does that work, not the
/// writer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Executed and on disk.
    Acknowledged {
        /// Of its group, shared.
        receipts: Arc<Receipts>,
        /// Its place in the group.
        index: u32,
    },
    /// Refused, unless this very transaction was acknowledged before: then its receipt again.
    Stale {
        /// The transaction.
        id: TransactionId,
        /// Why another one would be refused.
        error: SubmitError,
    },
    /// Refused.
    Refused(SubmitError),
}

impl Answer {
    /// The receipt or the refusal.
    pub fn resolve(self, journal: &Journal) -> Result<Receipt, SubmitError> {
        match self {
            Self::Acknowledged { receipts, index } => {
                Ok(receipts.get(index).expect("an index of the group"))
            }
            Self::Stale { id, error } => match journal.receipt(&id) {
                Ok(Some(receipt)) => Ok(receipt),
                Ok(None) => Err(error),
                Err(error) => {
                    tracing::error!(%error, "a receipt cannot be read");
                    Err(SubmitError::Internal)
                }
            },
            Self::Refused(error) => Err(error),
        }
    }
}

/// Who waits.
#[derive(Debug)]
pub enum Reply {
    /// A single call.
    Once(oneshot::Sender<Answer>),
    /// A place in a stream. As many can be under way as the connection has seats.
    Stream {
        /// Place of the request in the stream, from 0.
        sequence: u64,
        /// The stream's answers, in any order.
        answers: mpsc::UnboundedSender<(u64, Answer)>,
    },
}

impl Reply {
    /// Answers; a caller that has gone misses it, the transaction stays what it is.
    pub fn send(self, answer: Answer) {
        match self {
            Self::Once(reply) => {
                let _ = reply.send(answer);
            }
            Self::Stream { sequence, answers } => {
                let _ = answers.send((sequence, answer));
            }
        }
    }
}
