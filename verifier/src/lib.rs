//! Placeholder.
pub mod contract;
