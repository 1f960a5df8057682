//! Every bound of the prover service in one place.

/// Bytes of a gRPC message, at most; a sealed batch of the largest shape fits.
pub const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// How long the sequencer may hold a request for a lease, in milliseconds.
pub const LEASE_WAIT_MS: u32 = 5_000;
/// Time-out of a call that is not held by the server, in milliseconds.
pub const CALL_MS_MAX: u64 = 30_000;
/// Time-out of connecting, in milliseconds.
pub const CONNECT_MS_MAX: u64 = 5_000;
/// First pause after a failure, in milliseconds; it doubles up to [`BACKOFF_MS_MAX`].
pub const BACKOFF_MS_MIN: u64 = 200;
/// Longest pause after a failure, in milliseconds.
pub const BACKOFF_MS_MAX: u64 = 10_000;
/// Heartbeats are sent at least this often, whatever the server suggests, in milliseconds.
pub const HEARTBEAT_MS_MAX: u64 = 10_000;
/// Heartbeats are never sent more often, in milliseconds.
pub const HEARTBEAT_MS_MIN: u64 = 50;
/// Attempts to return one proof before the lease is given up.
pub const SUBMIT_ATTEMPTS_MAX: u32 = 6;
/// Phases reported with a proof, at most (a bound of the protocol).
pub const PHASES_MAX: usize = 32;
/// Bytes of a prover's name, at most (a bound of the protocol).
pub const ID_BYTES_MAX: usize = 64;
/// Bytes of the reason sent with a release, at most (a bound of the protocol).
pub const REASON_BYTES_MAX: usize = 256;
/// Stack of the proving thread in bytes: constraint synthesis nests deeply.
pub const PROVING_STACK_BYTES: usize = 64 << 20;

const _: () = assert!(BACKOFF_MS_MIN < BACKOFF_MS_MAX);
const _: () = assert!(LEASE_WAIT_MS as u64 + 1_000 < CALL_MS_MAX);
