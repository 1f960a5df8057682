//! The prover service of Kerros: leases a sealed batch, proves it, checks the proof, returns it.
//!
//! Architecture invariant: a prover trusts the sequencer with nothing but the order of batches; it
//! rebuilds the state from their data.

pub mod backoff;
pub mod client;
pub mod engine;
pub mod limits;
mod measure;
pub mod replica;
pub mod worker;
