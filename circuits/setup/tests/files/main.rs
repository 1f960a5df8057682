//! Files of public ceremonies: what snarkjs makes is read, what Kerros makes of it is what snarkjs makes,
//! and what was tampered with is refused.
//!
//! Needs `npm ci` in `tests/interop` (which `.ci/run` does). Without it these tests say loudly that
//! they did not run, and fail where CI is set.

mod import;
mod key;
mod known;
mod phase1;
mod scene;
#[path = "../ceremony/snarkjs.rs"]
mod snarkjs;
