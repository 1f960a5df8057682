//! The sequencer: orders, executes, acknowledges, seals, takes proofs, settles.
//!
//! A batch's life is `Open → Sealed → Proved → Verified → Posted → Final`. Core logic (`execution`,
//! `sealing`, `jobs`) is pure; `ordering` is the single writer around it. Architecture invariant:
//! this crate knows neither circuits nor prover.

pub mod admission;
pub mod api;
pub mod config;
pub mod disk;
pub mod execution;
pub mod health;
pub mod jobs;
pub mod journal;
pub mod lifecycle;
pub mod limits;
pub mod main_chain;
pub mod mempool;
pub mod metrics;
pub mod ordering;
mod planted;
pub mod proving;
pub mod sealing;
pub mod service;
pub mod settlement;
#[cfg(test)]
mod simulation;
pub mod verification;

pub use config::Config;
pub use service::{
    RestoreError, RestoreReport, Sequencer, SequencerError, SequencerHandle, StartError, Trust,
    restore_from_chain,
};
