//! SDK of Kerros and the `kerros` command.
//!
//! [`wallet`] holds keys, [`sequencer`] speaks to layer 2, [`contract`] to the main chain;
//! [`deployment`] puts a contract there; [`rescue`] needs no operator. The `kerros` command is built from the same pieces.

pub mod bench;
pub mod command;
pub mod contract;
pub mod demo;
pub mod deployment;
pub mod devnet;
pub mod keys;
pub mod progress;
pub mod receipt;
pub mod rescue;
pub mod sequencer;
pub mod temporary;
pub mod wallet;
pub mod watch;
