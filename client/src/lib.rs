//! SDK of Kerros and the `kerros` command.

pub mod wallet;
