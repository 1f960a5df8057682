//! Setup of Kerros from public ceremonies, in the formats of the field's standard tool, snarkjs.
//!
//! Phase 1 is a `.ptau` file, the circuit is handed out as `.r1cs`, phase 2 and its transcript are a
//! `.zkey`: anybody can contribute and check with snarkjs or with Kerros. All bytes here come from
//! outside; nothing is allocated by a length that the file does not have, and every point is checked.

pub mod binfile;
pub mod chain;
pub mod contribute;
pub mod error;
pub mod import;
pub mod initial;
pub mod point;
pub mod ptau;
pub mod r1cs;
pub mod snark_rng;
pub mod verify;
pub mod zkey;
