//! Arithmetic of the circuit; each gadget states what it assumes and what it does not constrain.

pub mod bits;
pub mod curve;
pub mod eddsa;
pub mod field;
pub mod poseidon;
pub mod table;
