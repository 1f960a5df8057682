//! The prover of Kerros: leases a sealed batch, proves it, checks its own proof, returns it.
//!
//! Architecture invariant: knows the sequencer only through its API, trusts it with nothing but the
//! order of batches (the state is rebuilt from their data), and knows no main chain.

pub mod backoff;
pub mod basis;
pub mod client;
pub mod config;
pub mod engine;
pub mod groth16;
pub mod keys;
pub mod limits;
mod measure;
pub mod openings;
pub mod phases;
pub mod prove;
pub mod replica;
pub mod stock;
pub mod worker;
pub mod workload;
