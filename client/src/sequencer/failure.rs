//! Why a call of the sequencer failed, read from gRPC's status and the details the API adds to it.

use crate::receipt::ReceiptFault;
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::proto::{REASON_METADATA, RejectionDetail};
use thiserror::Error;
use tonic::{Code, Status};

/// Why a call failed.
#[derive(Debug, Error)]
pub enum SequencerError {
    /// The URL is none.
    #[error("sequencer URL: {0}")]
    Url(tonic::transport::Error),
    /// The sequencer refused; `reason` is stable, for example `WRONG_NONCE`.
    #[error("{reason}: {message}")]
    Refused {
        /// Stable SCREAMING_SNAKE_CASE code.
        reason: String,
        /// Whether the same bytes could be accepted later.
        transient: bool,
        /// For humans.
        message: String,
    },
    /// What was asked for does not exist.
    #[error("not found: {message}")]
    NotFound {
        /// For humans.
        message: String,
    },
    /// No answer, in time or at all.
    #[error("sequencer not available: {message}")]
    Unavailable {
        /// For humans.
        message: String,
    },
    /// The answer does not decode.
    #[error("sequencer's answer: {0}")]
    Decode(#[from] DecodeError),
    /// The receipt does not hold against the sequencer.
    #[error("sequencer's receipt: {0}")]
    Receipt(#[from] ReceiptFault),
    /// A field that must be there is missing, or contradicts another.
    #[error("sequencer's answer: {0}")]
    Nonsense(&'static str),
}

impl SequencerError {
    /// The stable code, if the sequencer refused.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused { reason, .. } => Some(reason),
            _ => None,
        }
    }
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { transient: true, .. })
    }
}

impl From<Status> for SequencerError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        let metadata = status.metadata().get(REASON_METADATA).and_then(|v| v.to_str().ok());
        let detail = RejectionDetail::from_status(&status);
        let transient = detail.as_ref().is_some_and(|detail| detail.transient);
        let reason = detail.map(|detail| detail.reason).or(metadata.map(str::to_owned));
        match (status.code(), reason) {
            (Code::NotFound, _) => Self::NotFound { message },
            (_, Some(reason)) => Self::Refused { reason, transient, message },
            (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown, _) => {
                Self::Unavailable { message }
            }
            (code, None) => Self::Refused {
                reason: format!("{code:?}").to_uppercase(),
                transient: code == Code::ResourceExhausted,
                message,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_their_stable_code() {
        let detail = RejectionDetail {
            reason: "INSUFFICIENT_BALANCE".to_owned(),
            transient: true,
            message: "balance 1, amount and fee need 2".to_owned(),
            values: Default::default(),
            retry_after_ms: 0,
        };
        let error = SequencerError::from(detail.into_status(Code::FailedPrecondition));
        assert_eq!(error.reason(), Some("INSUFFICIENT_BALANCE"));
        assert!(error.is_transient());
    }

    #[test]
    fn the_metadata_alone_names_the_reason() {
        let mut status = Status::failed_precondition("nonce 1, account expects 2");
        status.metadata_mut().insert(REASON_METADATA, "WRONG_NONCE".parse().expect("ascii"));
        let error = SequencerError::from(status);
        assert_eq!(error.reason(), Some("WRONG_NONCE"));
        assert!(!error.is_transient());
    }

    #[test]
    fn transport_failures_are_transient_and_missing_things_are_not_found() {
        assert!(SequencerError::from(Status::unavailable("x")).is_transient());
        let error = SequencerError::from(Status::not_found("x"));
        assert!(matches!(error, SequencerError::NotFound { .. }));
    }
}
