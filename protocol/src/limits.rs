//! Every bound of the protocol in one place, with the assertions that tie them together.
//!
//! Service limits (queues, time-outs, message sizes) live with the service; these are the
//! numbers that circuit, contract and native code must share. See SPEC.md section 2 and 4.

/// Bits of an account index; also the largest `k`, so that every index fits every ledger.
pub const INDEX_BITS: u32 = 28;
/// Largest exponent `k` of a ledger of `n = 2^k` accounts.
pub const LEDGER_K_MAX: u8 = 28;
/// Bits of a balance or an amount, in asset units.
pub const BALANCE_BITS: u32 = 64;
/// Bits of an account's nonce.
pub const NONCE_BITS: u32 = 32;
/// Bits of an asset id.
pub const ASSET_BITS: u32 = 16;
/// Bits of a main-chain address.
pub const OWNER_BITS: u32 = 160;
/// Bits of a fee float (11-bit mantissa, 5-bit decimal exponent).
pub const FEE_BITS: u32 = 16;
/// Bits of `t`, the place of a transfer or signed exit in the sequencer's order.
pub const ORDER_BITS: u32 = 16;
/// The last nonce: an account that has reached it can sign nothing more.
pub const NONCE_LAST: u32 = u32::MAX;

/// Bits of a time, an access's place in the order of execution (SPEC.md section 6).
pub const TIME_BITS: u32 = 19;
/// Bits below the index in an access's place. One more than a time has: a time that a gap takes
/// below 0 must not reach the times of another index.
pub const PLACE_INDEX_SHIFT: u32 = TIME_BITS + 1;

/// Exclusive bound on accesses of a shape: one a record, two a transfer.
pub const ACCESSES_MAX: u32 = 1 << 20;
/// Bound on transfers plus exits of a shape, so that `t` can number them all.
pub const ORDERED_MAX: u32 = 1 << ORDER_BITS;

const _: () = assert!(6 << ORDER_BITS <= 1 << TIME_BITS);
const _: () = assert!(INDEX_BITS == LEDGER_K_MAX as u32);
