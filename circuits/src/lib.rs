//! The journal-and-ledger circuit of Kerros: gadgets, outline, witness, setup (SPEC.md section 6).
//!
//! Architecture invariant: this crate knows no network, no database and no main chain.

pub mod batch;
pub mod builder;
pub mod gadgets;
pub mod groth16;
pub mod journal;
pub mod ledger;
pub mod matrix;
pub mod posting;
pub mod proving_key;
pub mod report;
pub mod setup;
pub mod witness;
