//! Why a sequencer did not start, and why one ended.

use crate::api::ServeError;
use crate::config::ConfigError;
use crate::execution::ExecutionError;
use crate::journal::JournalError;
use crate::journal::watermark::WatermarkError;
use crate::main_chain::MainChainError;
use crate::ordering::OrderingError;
use crate::sealing::SealError;
use crate::settlement::queue::QueueError;
use kerros_protocol::commitment::SrsError;
use thiserror::Error;

/// Why the service did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Configuration.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The key or reference string is a development one, which the configuration does not allow.
    #[error("{what} is a development file: somebody knows its secrets")]
    Development {
        /// Which file.
        what: &'static str,
    },
    /// A development key on a main chain that is not known as a test chain.
    #[error(
        "chain {chain_id} is not a test chain, and somebody knows the secrets of this verification key: what is \
         deposited can be taken; if nothing has value there, test_chain = {chain_id} says so"
    )]
    DevelopmentOnChain {
        /// The main chain.
        chain_id: u64,
    },
    /// Key and reference string do not belong together.
    #[error("the reference string does not belong to the verification key")]
    OtherSetup,
    /// Nothing at the contract's address.
    #[error("no contract at {address}")]
    NoContract {
        /// Address.
        address: String,
    },
    /// The contract was made with another key.
    #[error("the contract was deployed with another verification key")]
    OtherKey,
    /// The contract has batches that this database does not: it was lost, or is another's.
    #[error(
        "the contract has {have} batches, the database {ours}; `kerros-sequencer restore` builds a lost \
         database from the main chain, in an empty data directory"
    )]
    Behind {
        /// On the chain.
        have: u64,
        /// Sealed here.
        ours: u64,
    },
    /// The main chain.
    #[error(transparent)]
    Chain(#[from] MainChainError),
    /// The contract's queue cannot be read.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The database.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The database does not open: its log is damaged so that RocksDB reads it for ever, or the disk
    /// is very slow.
    #[error(
        "the database in {path} did not open within {limit_ms} ms: either the disk is too slow, then \
         raise --open-limit-ms, or its log is damaged so that reading it never ends, then keep a \
         copy of the directory and restore it from a backup"
    )]
    OpenLimit {
        /// Its directory.
        path: String,
        /// The limit.
        limit_ms: u64,
    },
    /// The thread that opens the database could not be started.
    #[error("thread: {0}")]
    OpenThread(std::io::Error),
    /// The database lacks what was acknowledged, or nothing says what was.
    #[error(transparent)]
    Watermark(#[from] WatermarkError),
    /// The journal cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ExecutionError),
    /// A batch of the log cannot be sealed: only another build can help.
    #[error("{0}; the log has everything that was acknowledged")]
    Seal(#[from] SealError),
    /// Balances, nonces and assets in the database are not those that its checkpoint commits to, or the
    /// reference string is not the one they were committed with.
    #[error(
        "the balances in the database do not commit, with this reference string, to what batch \
         {batch} starts from"
    )]
    OtherAccounts {
        /// The first batch that is not sealed.
        batch: u64,
    },
    /// The reference string.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// Listening.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The metrics' address cannot be listened on.
    #[error("metrics: {0}")]
    Metrics(std::io::Error),
    /// The file of the key that signs receipts.
    #[error("receipt key {path}: {problem}")]
    ReceiptKey {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The blocking part of the start was cancelled.
    #[error("start was cancelled")]
    Cancelled,
}

/// Why a task ended.
#[derive(Debug, Error)]
pub enum TaskError {
    /// The writer.
    #[error(transparent)]
    Ordering(#[from] OrderingError),
    /// gRPC.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The disk, seen from settlement.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The metrics page.
    #[error("metrics: {0}")]
    Metrics(std::io::Error),
    /// Its thread could not be started.
    #[error("thread: {0}")]
    Thread(std::io::Error),
    /// It ended although nobody had told it to.
    #[error("ended too early")]
    Early,
    /// It panicked: a bug.
    #[error("panicked")]
    Panicked,
    /// It did not end in time.
    #[error("did not end in time")]
    Late,
}

/// What ended the service.
#[derive(Debug, Error)]
#[error("{task}: {source}")]
pub struct SequencerError {
    /// Name of the task.
    pub task: &'static str,
    /// Why.
    pub source: TaskError,
}
