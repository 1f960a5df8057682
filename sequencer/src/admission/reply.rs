//! Who waits for an acknowledgement, and what they get.

use super::SubmitError;
use crate::journal::Receipts;
use kerros_protocol::receipt::Receipt;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A receipt, made when it is sent: groups share their tree.
#[derive(Debug, Clone)]
pub enum Acknowledged {
    /// One of a group just written.
    InGroup {
        /// The group.
        receipts: Arc<Receipts>,
        /// Its place.
        index: u32,
    },
    /// An earlier one, read again.
    Known(Box<Receipt>),
}

impl Acknowledged {
    /// The receipt.
    pub fn receipt(&self) -> Receipt {
        match self {
            Self::InGroup { receipts, index } => {
                receipts.get(*index).expect("an index of the group")
            }
            Self::Known(receipt) => (**receipt).clone(),
        }
    }
}

/// What a submitter is told.
pub type Answer = Result<Acknowledged, SubmitError>;

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
