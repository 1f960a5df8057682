//! The prover of Kerros: leases a batch, proves it, checks its own proof, returns it.
//!
//! Architecture invariant: knows the sequencer only through its API, and no main chain.

pub mod keys;
pub mod openings;
pub mod prove;
pub mod workload;
