//! What can go wrong with the log.

use super::store::StoreError;
use kerros_protocol::encoding::DecodeError;
use thiserror::Error;

/// Why the database failed or was refused.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The store: RocksDB.
    #[error("database: {0}")]
    Database(#[from] StoreError),
    /// The watermark, whose group is on disk and must not be answered.
    #[error("watermark: {0}")]
    Watermark(std::io::Error),
    /// An earlier write has failed: what is on disk is unknown until a restart reads it.
    #[error("database: nothing is written after a write that failed")]
    Failed,
    /// A value that this build cannot have written.
    #[error("database, {family}: {source}")]
    Decode {
        /// Column family.
        family: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
    /// A protobuf value that cannot be read.
    #[error("database, {family}: {source}")]
    Message {
        /// Column family.
        family: &'static str,
        /// What is wrong.
        source: prost::DecodeError,
    },
    /// A restore from the main chain was interrupted.
    #[error("the database is half built: run `kerros-sequencer restore` again")]
    HalfBuilt,
    /// The database belongs to another chain, contract or key.
    #[error("the database belongs to another deployment")]
    OtherDeployment,
    /// Fees of a batch that is not sealed go to other accounts than the configured ones.
    #[error(
        "batch {batch} is open and collects fees for another key or owner: seal it with those first"
    )]
    OtherFeeAccounts {
        /// The first batch that is not sealed.
        batch: u64,
    },
    /// A key that should exist.
    #[error("database, {family}: {what} is missing")]
    Missing {
        /// Column family.
        family: &'static str,
        /// What.
        what: &'static str,
    },
}
