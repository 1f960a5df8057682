//! The sequencer as its users meet it: real gRPC, real RocksDB, the real contract on the embedded
//! chain. Proofs come from a setup whose secrets the tests know (`kerros_verifier::trapdoor`).

#![allow(clippy::unwrap_used)]

mod child;
mod durability;
mod faults;
mod faults_clock;
mod faults_disk;
mod faults_power;
mod faults_tail;
mod health;
mod hostile;
mod kill;
mod nodes;
mod openings;
mod operations;
mod proving;
mod quarantine;
mod reads;
mod receipts;
mod rejections;
mod restore;
mod rig;
mod rpc_faults;
mod sealing;
mod settings;
mod settlement;
mod told;
mod versions;
mod watching;
