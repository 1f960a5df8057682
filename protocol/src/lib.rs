//! The rules that every part of Kerros shares, as SPEC.md states them.
//!
//! Core logic only: no I/O but reading the reference string, no clock, no randomness of its own.
//! Architecture invariant: this crate knows no circuit, no service and no main-chain client.

pub mod account;
pub mod amount;
pub mod batch;
pub mod commitment;
pub mod eddsa;
pub mod encoding;
pub mod ledger;
pub mod limits;
mod montgomery;
pub mod poseidon;
pub mod proto;
pub mod receipt;
pub mod rejection;
pub mod test_chains;
pub mod transaction;
pub mod transcript;
pub mod transition;
pub mod verification_key;
