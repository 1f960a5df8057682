//! All keys of the sequencer's database, by column family, and how they are encoded.
//!
//! Numbers are big-endian, so that iteration is in numeric order.

use kerros_protocol::account::AccountIndex;
use kerros_protocol::transaction::TransactionId;

/// `"deployment"`, `"checkpoint"`, `"grow"`, `"halted"`, `"fees"`, `"receipt"`, `"opening"`,
/// `"restoring"`.
pub const META: &str = "meta";
/// batch number 8 ‖ sequence 4 of the first operation → operations written together. Kept for ever:
/// receipts are read from here.
pub const GROUPS: &str = "groups";
/// index 4 → the account after the last sealed batch.
pub const ACCOUNTS: &str = "accounts";
/// batch number 8 → `SealedBatch::encode`.
pub const SEALED: &str = "sealed";
/// batch number 8 → a batch's record (state, proof, settlement).
pub const RECORDS: &str = "records";
/// as in [`GROUPS`] → the tree of the group's receipts, so that one is read without the others.
pub const RECEIPTS: &str = "receipts";
/// as in [`GROUPS`] → the tree of the receipts for accounts that the group opened.
pub const OPENINGS: &str = "openings";
/// index 4 → the place of the account's opening in the log.
pub const OPENED: &str = "opened";
/// transaction id 32 → its place in the log.
pub const TRANSACTIONS: &str = "transactions";
/// batch number 8 → the last lease.
pub const LEASES: &str = "leases";
/// batch number 8 → the last signed main-chain transaction that posts it: as versions before
/// [`ATTEMPTS`] left it, never written any more.
pub const POSTS: &str = "posts";
/// batch number 8 ‖ attempt 4, from 1 ‖ event 4, from 0 → what was learnt about an attempt to post it.
/// Never changed, never deleted. Batch 0: transactions that fill gaps between the poster's numbers.
pub const ATTEMPTS: &str = "attempts";
/// entry number 8 → where on the main chain a queue entry came from, and what it said.
pub const ORIGINS: &str = "origins";

/// All column families.
pub const FAMILIES: [&str; 13] = [
    META,
    GROUPS,
    RECEIPTS,
    OPENINGS,
    OPENED,
    ACCOUNTS,
    SEALED,
    RECORDS,
    TRANSACTIONS,
    LEASES,
    POSTS,
    ATTEMPTS,
    ORIGINS,
];

/// In [`META`]: what this database belongs to.
pub const DEPLOYMENT: &[u8] = b"deployment";
/// In [`META`]: where the first batch that is not sealed starts.
pub const CHECKPOINT: &[u8] = b"checkpoint";
/// In [`META`]: present if the next batch has to double the ledger.
pub const GROW: &[u8] = b"grow";
/// In [`META`]: number 8 of the batch that could not be sealed.
pub const HALTED: &[u8] = b"halted";
/// In [`META`]: key 32 ‖ owner 20 of the operator's fee accounts.
pub const FEES: &[u8] = b"fees";
/// In [`META`]: hash of the last receipt.
pub const RECEIPT: &[u8] = b"receipt";

/// In [`META`]: hash of the last opening's receipt.
pub const OPENING: &[u8] = b"opening";

/// In [`META`]: present while the database is being built from the main chain.
pub const RESTORING: &[u8] = b"restoring";

/// Key of a batch.
pub fn batch(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}
/// Key of a group by its first operation.
pub fn group(batch: u64, sequence: u32) -> [u8; 12] {
    let mut key = [0u8; 12];
    key[..8].copy_from_slice(&batch.to_be_bytes());
    key[8..].copy_from_slice(&sequence.to_be_bytes());
    key
}
/// Key of an event of an attempt.
pub fn attempt(batch: u64, attempt: u32, event: u32) -> [u8; 16] {
    let mut key = [0u8; 16];
    key[..8].copy_from_slice(&batch.to_be_bytes());
    key[8..12].copy_from_slice(&attempt.to_be_bytes());
    key[12..].copy_from_slice(&event.to_be_bytes());
    key
}
/// Key of an account.
pub fn account(index: AccountIndex) -> [u8; 4] {
    index.get().to_be_bytes()
}
/// Key of a transaction.
pub fn transaction(id: &TransactionId) -> [u8; 32] {
    id.0
}
