//! The circuit of a Kerros batch: gadgets, outline, witness, setup (SPEC.md section 6).
//!
//! Architecture invariant: this crate knows no network, no database and no main chain.

pub mod access;
pub mod batch;
pub mod builder;
pub mod fees;
pub mod gadgets;
pub mod groth16;
pub mod journal;
pub mod matrix;
pub mod proving_key;
pub mod report;
pub mod setup;
pub mod sites;
pub mod touched;
pub mod witness;
