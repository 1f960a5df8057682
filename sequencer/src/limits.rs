//! Every bound of the service in one place: queues, bodies, groups, leases, retries, ages.
//!
//! Protocol bounds live in `kerros_protocol::limits`. Units come last in names.

/// Longest accepted signed transaction: a transfer of 75 bytes, key 32 and signature 64.
pub const TRANSACTION_BYTES_MAX: usize = 75 + 32 + 64;
/// Longest request that a wallet may send, in bytes.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024;
/// Longest request that a prover may send (a proof and its phases), in bytes.
pub const PROVER_REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Longest answer, in bytes: a sealed batch of the greatest shape (`T + E ≤ 2^16`, about 120 bytes
/// each) with room to spare.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Header block of a request, in bytes.
pub const HEADER_BYTES_MAX: u32 = 8 * 1024;
/// Streams (calls) at once on one connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Connections at once, each listener for itself.
pub const CONNECTIONS_MAX: usize = 1024;
/// Pings on idle connections, in ms; a peer that does not answer as long again is gone.
pub const KEEPALIVE_MS: u64 = 30_000;
/// A call that is not a stream ends after this, in ms.
pub const CALL_MS_MAX: u64 = 30_000;

/// Requests between arrival and answer that all connections share.
pub const BACKLOG_MAX: usize = 8 * 1024;
/// Requests that one connection may have between arrival and answer whatever the others do.
pub const SEATS_OWN: usize = 8;
/// Requests that one connection may have between arrival and answer at most.
pub const SEATS_MAX: usize = 1024;
/// Signatures checked together; more would cost a little less each and make the others wait longer.
pub const CHUNK_MAX: usize = 64;
/// A connection that had nothing waiting has so many checked before the others' turns.
pub const FRESH_MAX: usize = 8;
/// Signatures checked together if there are such connections, unless they alone fill more.
pub const FRESH_CHUNK: usize = 16;
/// Signatures checked together of connections that sent a wrong one not long ago.
pub const SUSPECT_CHUNK_MAX: usize = 8;
/// After a chunk of such connections their next one waits so many times as long as it took, and
/// there is one at a time: they get a quarter of one thread.
pub const SUSPECT_REST: u32 = 3;
/// Acknowledged transactions whose bytes are remembered, to answer them again without a check; twice
/// as many for a while (about 20 bytes each).
pub const REPEATS_REMEMBERED: usize = 7 << 15;
/// Public keys that each checking thread remembers unpacked (about 100 bytes each).
pub const KEYS_REMEMBERED: usize = 1 << 16;
/// Commands queued for the writer, chunks of checked transactions among them.
pub const COMMANDS_MAX: usize = 64;
/// Transactions that share one synced write and one signature of their receipts.
pub const GROUP_MAX: usize = 1024;
/// Closed batches that wait for the sealer.
pub const SEALS_AHEAD_MAX: usize = 2;
/// Transactions parked until the nonces before theirs have come.
pub const PARKED_MAX: usize = 4096;
/// The same of one account; also how far a nonce may be ahead.
pub const PARKED_PER_ACCOUNT_MAX: u32 = 64;
/// How long a transaction is parked, in ms.
pub const PARKED_MS_MAX: u64 = 5_000;
/// When a refused client should try again, in ms.
pub const RETRY_AFTER_MS: u64 = 250;
/// The same if the disk is full, in ms.
pub const RETRY_AFTER_DISK_MS: u64 = 5_000;
/// Connections that sent a wrong signature are checked apart until so many good ones came.
pub const SUSPICION: u32 = 512;
/// Requests of a stream that were read and whose answers have not left.
pub const STREAM_UNREAD_MAX: usize = 1024;
/// Streams of transactions, of batches, of receipts at once, each kind for itself.
pub const LONG_CALLS_MAX: usize = 256;
/// The same of one connection, all kinds together.
pub const LONG_CALLS_PER_CONNECTION_MAX: usize = 16;

/// Queue entries of the main chain held in memory until a batch takes them.
pub const QUEUE_PREFETCH_MAX: usize = 1024;
/// Queue entries fetched in one poll.
pub const QUEUE_POLL_MAX: u64 = 128;

/// Batches sealed and not final; beyond, new transactions are refused as overload.
pub const UNSETTLED_BATCHES_MAX: usize = 4096;
/// Longest pause of a signature checker because batches wait for settlement, in ms a chunk.
pub const PACE_MS_MAX: u64 = 100;
/// Calls that read the executed state at once, those that wait for it among them; more are refused
/// as overload.
pub const READS_MAX: usize = 8 * 1024;
/// Readers before whom the writer may have to wait in one turn; the other calls wait for these.
pub const READERS_MAX: usize = 64;
/// Answers per page.
pub const PAGE_MAX: u32 = 100;

/// A prover's name, in bytes.
pub const PROVER_ID_BYTES_MAX: usize = 64;
/// A heartbeat's phase, in bytes.
pub const PHASE_BYTES_MAX: usize = 64;
/// Phases reported with a proof.
pub const PHASES_MAX: usize = 32;
/// A release's reason, in bytes.
pub const REASON_BYTES_MAX: usize = 256;
/// Longest wait for a lease, in ms; below [`CALL_MS_MAX`].
pub const LEASE_WAIT_MS_MAX: u64 = 20_000;
/// Longest pause between the leases of a quarantined batch, in ms.
pub const QUARANTINE_PAUSE_MS_MAX: u64 = 600_000;
/// A lease is extended by heartbeats to so many times its length at most.
pub const LEASE_EXTENSIONS_MAX: u64 = 120;
/// Proofs verified at once.
pub const VERIFICATIONS_MAX: usize = 2;

/// First pause after a failure of the main chain, in ms; doubles up to the next.
pub const RETRY_MS_MIN: u64 = 200;
/// Longest pause between attempts, in ms.
pub const RETRY_MS_MAX: u64 = 30_000;
/// A post that the chain seems not to know is not sent again sooner than this, in ms.
pub const RESEND_MS: u64 = 2_000;
/// Posts of one batch that may revert in a block before an operator has to look.
pub const REVERTS_MAX: usize = 3;
/// A head that is lower than one before by more blocks than this, and than `confirmations`, is stale.
pub const REORG_BLOCKS_MAX: u64 = 64;
/// Halts of settlement in a row that are put down to a chain that moved between two questions.
pub const DOUBTED_HALTS_MAX: u32 = 5;
/// Blocks asked for logs at once.
pub const LOG_BLOCKS_MAX: u64 = 2_000;

/// Time to finish open calls when stopping, in ms.
pub const SHUTDOWN_MS_MAX: u64 = 5_000;
/// How often the room on the disk is looked at, in ms.
pub const DISK_LOOK_MS: u64 = 250;
/// How often the observer looks at everything that should move, in ms.
pub const HEALTH_LOOK_MS: u64 = 250;
/// How often the poster's balance is asked for, in ms.
pub const BALANCE_LOOK_MS: u64 = 10_000;
/// How often the writer looks at the open batch's age, in ms.
pub const TICK_MS: u64 = 50;

const _: () = assert!(LEASE_WAIT_MS_MAX < CALL_MS_MAX);
const _: () = assert!(GROUP_MAX as u32 <= kerros_protocol::receipt::GROUP_RECEIPTS_MAX);
const _: () = assert!(TRANSACTION_BYTES_MAX < REQUEST_BYTES_MAX);
const _: () = assert!(kerros_protocol::transcript::BatchProof::LEN < PROVER_REQUEST_BYTES_MAX);
