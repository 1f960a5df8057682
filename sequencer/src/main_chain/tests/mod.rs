//! The contract driven through the embedded chain, the chain itself, and the same life of a rollup
//! on every kind of node.

#![allow(clippy::unwrap_used)]

#[path = "../../../../tests/src/anvil.rs"]
mod anvil;
mod assets;
mod chain;
mod data;
mod deployment;
mod escape;
mod forge;
mod nodes;
mod posting;
mod queue;
mod refusals;
mod world;
