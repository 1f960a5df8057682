//! The gRPC services: bytes in, bytes out, typed refusals. No rules here.

// Public for the fuzzer, which has no transport: what a request is checked with.
#[doc(hidden)]
pub mod convert;
mod health;
mod listener;
mod prover;
mod refusal;
mod sequencer;
mod server;
mod submit;
mod watch;

pub use listener::{BoundedIncoming, Connection, Peer};
pub use prover::ProverApi;
pub use refusal::Refusal;
pub use sequencer::{Deployment, LongCalls, SequencerApi};
pub use server::{ServeError, Services, bind, serve};
