//! Every refusal's stable code, gRPC status and whether it is transient: one list.

use crate::admission::{OpenRequestError, SubmitError};
use crate::execution::{OpenError, TransactionError};
use crate::jobs::LeaseError;
use crate::limits::{RETRY_AFTER_DISK_MS, RETRY_AFTER_MS};
use crate::proving::{LeaseBatchError, ProofError};
use kerros_protocol::proto::RejectionDetail;
use kerros_protocol::rejection::Rejection;
use std::collections::BTreeMap;
use tonic::{Code, Status};

/// A refused call, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// gRPC status.
    pub code: Code,
    /// Stable code.
    pub reason: &'static str,
    /// Whether the same call may succeed later.
    pub transient: bool,
    /// For humans.
    pub message: String,
    /// Numbers that explain it.
    pub values: BTreeMap<String, String>,
    /// When to try again; 0 if that is not known.
    pub retry_after_ms: u64,
}

impl Refusal {
    /// A refusal that stays.
    pub fn new(code: Code, reason: &'static str, message: impl ToString) -> Self {
        let message = message.to_string();
        let values = BTreeMap::new();
        Self { code, reason, transient: false, message, values, retry_after_ms: 0 }
    }
    /// The same, transient.
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }
    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }
    /// A field of a request that cannot be read.
    pub fn argument(field: &str, problem: impl std::fmt::Display) -> Self {
        let message = format!("{field}: {problem}");
        Self::new(Code::InvalidArgument, "INVALID_ARGUMENT", message).with("field", field)
    }
    /// Something of ours failed; details go to the log, not to the caller.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "call failed");
        Self::new(Code::Internal, "INTERNAL", "internal error").transient()
    }
    /// The detail for a stream's answer.
    pub fn detail(self) -> RejectionDetail {
        crate::metrics::refused(self.reason);
        let Self { reason, transient, message, values, retry_after_ms, .. } = self;
        let reason = reason.to_owned();
        RejectionDetail { reason, transient, message, values, retry_after_ms }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = refusal.code;
        refusal.detail().into_status(code)
    }
}

fn stopping() -> Refusal {
    Refusal::new(Code::Unavailable, "STOPPING", "the sequencer is stopping").transient()
}
fn overloaded(error: &impl std::fmt::Display, waiting: usize, max: usize) -> Refusal {
    let mut refusal = Refusal::new(Code::ResourceExhausted, "OVERLOADED", error).transient();
    refusal.retry_after_ms = RETRY_AFTER_MS;
    refusal.with("waiting", waiting).with("max", max)
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let mut refusal = Self::new(Code::FailedPrecondition, rejection.code(), rejection);
        refusal.transient = rejection.is_transient();
        match rejection {
            Rejection::IndexBeyondLedger { index, size } => {
                refusal.with("index", index).with("size", size)
            }
            Rejection::WrongNonce { have, need } => refusal.with("have", have).with("need", need),
            Rejection::InsufficientBalance { have, need } => {
                refusal.with("have", have).with("need", need)
            }
            Rejection::AssetMismatch { have, need } => {
                refusal.with("have", have).with("need", need)
            }
            Rejection::AccountEmpty { index }
            | Rejection::WrongKey { index }
            | Rejection::NonceExhausted { index }
            | Rejection::PayeeEmpty { index }
            | Rejection::PayeeMismatch { index }
            | Rejection::BalanceOverflow { index }
            | Rejection::AlreadyOpen { index }
            | Rejection::DepositMismatch { index, .. } => refusal.with("index", index),
            Rejection::Signature(_) => refusal,
        }
    }
}

impl From<TransactionError> for Refusal {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Rule(rejection) => rejection.into(),
            TransactionError::FeeTooLow { have, need } => {
                let refusal = Self::new(Code::FailedPrecondition, "FEE_TOO_LOW", &error);
                refusal.with("have", have).with("need", need)
            }
            TransactionError::FeeNotCollectable { asset } => {
                let refusal = Self::new(Code::FailedPrecondition, "FEE_NOT_COLLECTABLE", &error);
                refusal.with("asset", asset)
            }
            TransactionError::Unprovable(_) => Self::new(Code::Internal, "UNPROVABLE", &error),
            TransactionError::NoRoom { .. } => {
                Self::new(Code::FailedPrecondition, "NO_ROOM_IN_ANY_BATCH", &error)
            }
        }
    }
}

impl From<SubmitError> for Refusal {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::TooLarge { have, max } => {
                let refusal = Self::new(Code::InvalidArgument, "TRANSACTION_TOO_LARGE", &error);
                refusal.with("have", have).with("max", max)
            }
            SubmitError::Malformed(_) => {
                Self::new(Code::InvalidArgument, "TRANSACTION_MALFORMED", &error)
            }
            SubmitError::Overloaded { waiting, max } => overloaded(&error, waiting, max),
            SubmitError::DiskFull { free, need } => {
                let refusal = Self::new(Code::ResourceExhausted, "DISK_FULL", &error).transient();
                let refusal = Self { retry_after_ms: RETRY_AFTER_DISK_MS, ..refusal };
                refusal.with("free", free).with("need", need)
            }
            SubmitError::SealingHalted => {
                let refusal = Self::new(Code::Unavailable, "SEALING_HALTED", &error).transient();
                Self { retry_after_ms: RETRY_AFTER_DISK_MS, ..refusal }
            }
            SubmitError::QueueReorganised(_) => {
                let refusal = Self::new(Code::Unavailable, "QUEUE_REORGANISED", &error);
                Self { retry_after_ms: RETRY_AFTER_DISK_MS, ..refusal.transient() }
            }
            SubmitError::Refused(error) => error.into(),
            SubmitError::NonceTaken { index, nonce } => {
                let refusal = Self::new(Code::FailedPrecondition, "NONCE_TAKEN", &error);
                refusal.with("index", index).with("nonce", nonce)
            }
            SubmitError::Internal => {
                Self::new(Code::Internal, "INTERNAL", "internal error").transient()
            }
            SubmitError::Stopping => stopping(),
        }
    }
}

impl From<OpenRequestError> for Refusal {
    fn from(error: OpenRequestError) -> Self {
        match error {
            OpenRequestError::Overloaded { waiting, max } => overloaded(&error, waiting, max),
            OpenRequestError::Stopping => stopping(),
            OpenRequestError::Refused(OpenError::AssetUnknown { have, last }) => {
                // It may be registered, or reach the confirmation depth, later.
                let refusal = Self::new(Code::FailedPrecondition, "ASSET_UNKNOWN", error);
                refusal.transient().with("have", have).with("last", last)
            }
            OpenRequestError::Refused(OpenError::OwnerZero) => {
                Self::new(Code::InvalidArgument, "OWNER_ZERO", error)
            }
            OpenRequestError::Refused(OpenError::LedgerFull { free, reserved }) => {
                let refusal = Self::new(Code::FailedPrecondition, "LEDGER_FULL", error);
                refusal.with("free", free).with("reserved", reserved)
            }
        }
    }
}

impl From<LeaseError> for Refusal {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Stale { have, last, .. } => {
                let refusal = Self::new(Code::FailedPrecondition, "STALE_LEASE", error);
                refusal.with("have", have).with("last", last)
            }
            LeaseError::Verifying { .. } => {
                Self::new(Code::FailedPrecondition, "PROOF_BEING_VERIFIED", error).transient()
            }
        }
    }
}

impl From<LeaseBatchError> for Refusal {
    fn from(error: LeaseBatchError) -> Self {
        Self::internal(error)
    }
}

impl From<ProofError> for Refusal {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::NoBatch { number } => {
                Self::new(Code::NotFound, "BATCH_NOT_FOUND", error).with("number", number)
            }
            ProofError::Lease(lease) => lease.into(),
            ProofError::Malformed(_) => Self::new(Code::InvalidArgument, "PROOF_MALFORMED", error),
            ProofError::Invalid { .. } => Self::new(Code::InvalidArgument, "PROOF_INVALID", error),
            ProofError::Stopping => stopping(),
            ProofError::Journal(_) | ProofError::Sealed(_) => Self::internal(error),
        }
    }
}
