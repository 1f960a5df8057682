//! The contract's own tests: its deployed bytecode in revm, nothing around it. Proofs are made from
//! the secrets of a test setup; the tests with real proofs are in `tests/tests/contract.rs`, those
//! over nodes in `sequencer/src/main_chain/tests`.

#![allow(clippy::unwrap_used, missing_docs)]

mod differential;
mod edges;
mod events;
mod flood;
mod fuzz;
mod machine;
mod price;
mod rollup;
mod tokens;
mod trapdoor;
mod words;
