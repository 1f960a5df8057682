//! What the end-to-end tests share: wallets and hand-sealed batches.
//!
//! [`World`] is the smallest honest operator: a ledger, wallets and a queue, sealing batches as the
//! sequencer does but without services around it, so that tests can bend each step.

pub mod anvil;
pub mod chain;
pub mod command;
pub mod keys;
pub mod node;
pub mod proxy;
pub mod world;

pub use chain::Chain;
pub use world::World;
