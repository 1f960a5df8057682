//! A deployment's history, read from main-chain nodes alone: what the auditor, a restored sequencer,
//! the escape command and a stranger's post have in common.
//!
//! [`Reader`] asks one or more nodes, all at one fixed head, and compares their answers.
//! [`Deployment`] is what the contract says about itself, [`History`] streams its events with the
//! transactions of its posts, [`Replay`] follows them: the contract's own checks again, batch by
//! batch. Nothing here sends a transaction, keeps a file or knows a sequencer.
//!
//! ```text
//! let reader = Arc::new(Reader::connect(&urls, confirmations).await?);
//! let deployment = Deployment::read(&reader, contract, None).await?;
//! let mut history = History::start(reader.clone(), contract, deployment.block);
//! let mut replay = Replay::new(key, &deployment, Proofs::From(1))?;
//! replay.follow(&mut history, |replay, step| …).await?;
//! replay.settled(&Standing::read(&reader, contract).await?)?;
//! reader.still_there().await?;
//! ```

// Public for the fuzzer, which has no node.
#[doc(hidden)]
pub mod answers;
mod calldata;
mod creation;
mod deployment;
mod event;
mod failure;
mod fault;
mod history;
mod node;
mod reader;
mod replay;

pub use creation::CreatedBy;
pub use deployment::{Deployment, Standing, StoredEntry};
pub use event::{Event, EventError, LogEntry, Place, PostedEvent, Queued};
pub use failure::ChainError;
pub use fault::{ReplayFailure, ReplayFault};
pub use history::{History, Item};
pub use node::{Node, NodeError, without_url};
pub use reader::{Head, PostTransaction, Reader};
pub use replay::{Asset, Frozen, Proofs, Replay, Step};
