//! Placeholder.
pub mod main_chain;
