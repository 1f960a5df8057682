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

/// Bits below the index in a ledger row's composite: class (3) ‖ t (16) ‖ side (1).
pub const COMPOSITE_INDEX_SHIFT: u32 = 20;
/// Bits below the class in a composite.
pub const COMPOSITE_CLASS_SHIFT: u32 = 17;
/// Bits of a whole composite.
pub const COMPOSITE_BITS: u32 = INDEX_BITS + COMPOSITE_INDEX_SHIFT;

/// Exclusive bound on ledger rows of a shape: an inactive row's composite is its row number and
/// must stay below every active composite, which is at least `2^20`.
pub const LEDGER_ROWS_MAX: u32 = 1 << COMPOSITE_INDEX_SHIFT;
/// Bound on transfers plus exits of a shape, so that `t` can number them all.
pub const ORDERED_MAX: u32 = 1 << ORDER_BITS;

const _: () = assert!(COMPOSITE_BITS == 48);
const _: () = assert!(ORDER_BITS + 1 == COMPOSITE_CLASS_SHIFT);
const _: () = assert!(INDEX_BITS == LEDGER_K_MAX as u32);
