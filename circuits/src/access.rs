//! Accesses: what a record does to one account, and how they are linked (SPEC.md section 6).
//!
//! An access holds its account before and after it. It reads what the access before it wrote, at an
//! earlier time; the first of an account reads the state. [`enforce_linked`] compares all that is
//! read with all that is written, as multisets: together with [`crate::touched`] this leaves one
//! path an account, in the order of time. Everything it uses was fixed before β and z.

use crate::builder::{Builder, Num};
use crate::gadgets::bits::number;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::account::two_to;
use kerros_protocol::limits::{BALANCE_BITS, NONCE_BITS, ORDER_BITS, PLACE_INDEX_SHIFT, TIME_BITS};

/// When a record runs (SPEC.md section 4, "Order"): the times of an account's path ascend.
pub mod time {
    use super::ORDER_BITS;
    /// All opens: they can only be first.
    pub const OPEN: u64 = 0;
    /// Deposits, plus the slot.
    pub const DEPOSIT: u64 = 1;
    /// Transfers and signed exits, plus `2·t + side`; side: debit 0, credit 1.
    pub const SIGNED: u64 = 1 << ORDER_BITS;
    /// Collects, plus the slot.
    pub const COLLECT: u64 = 3 << ORDER_BITS;
    /// Forced exits, plus twice the slot.
    pub const FORCED: u64 = 4 << ORDER_BITS;
}

/// Where an access stands in its account's path; field elements so that tests can put in what an
/// honest builder never would.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkWitness {
    /// 1 for the first access to its account.
    pub first: Fr,
    /// 1 for the last one.
    pub last: Fr,
    /// Times left out since the access before; 0 for the first.
    pub gap: Fr,
}

/// A link's wires.
pub struct Link {
    /// The access reads the state and not another access.
    pub first: Num,
    /// No access reads it.
    pub last: Num,
    /// Its time minus the time it reads, minus one.
    pub gap: Num,
}

/// Bits of [`Link::packed`].
pub const LINK_BITS: u32 = 2 + TIME_BITS;

/// 0, or 1 where `active` is 1: `f·(active − f) = 0`.
#[track_caller]
fn flag(b: &mut Builder, name: &str, value: Fr, active: &Num) -> Num {
    b.within(|b| {
        let flag = b.wire(value);
        b.name(name, &flag);
        b.enforce(&flag, &(active - &flag), &Num::zero());
        flag
    })
}

impl Link {
    /// Makes a link; `prefix` is for the wires' names.
    #[track_caller]
    pub fn new(b: &mut Builder, prefix: &str, active: &Num, w: &LinkWitness) -> Self {
        b.within(|b| {
            let first = flag(b, &format!("{prefix}first"), w.first, active);
            let last = flag(b, &format!("{prefix}last"), w.last, active);
            let (gap, _) = number(b, w.gap, TIME_BITS);
            Self { first, last, gap }
        })
    }
    /// The link of an open: always first.
    pub fn opening(b: &mut Builder, active: &Num, last: Fr) -> Self {
        let last = flag(b, "last", last, active);
        Self { first: active.clone(), last, gap: Num::zero() }
    }
    /// `first + 2·last + 4·gap`.
    pub fn packed(&self) -> Num {
        self.first.clone().plus(&self.last, two_to(1)).plus(&self.gap, two_to(2))
    }
}

/// `balance + 2^64·nonce + 2^96·asset`.
pub fn word(balance: &Num, nonce: &Num, asset: &Num) -> Num {
    balance.clone().plus(nonce, two_to(BALANCE_BITS)).plus(asset, two_to(BALANCE_BITS + NONCE_BITS))
}

/// What an access does to its account's words (key, word, owner).
pub enum Change {
    /// They were 0 before and are these now.
    Open,
    /// `word` grows by this.
    Word(Num),
}

/// One account in one record.
pub struct Access {
    /// 0 in unused slots: the access then counts for nothing.
    pub active: Num,
    /// The account's index, of 28 bits.
    pub index: Num,
    /// Domain point of the index.
    pub x: Num,
    /// When, below 2^19.
    pub time: Num,
    /// Place in the account's path.
    pub link: Link,
    /// The account's key.
    pub key: Num,
    /// Balance, nonce and asset in one, each in its range: before the access, but what an open
    /// makes of them.
    pub word: Num,
    /// The account's owner.
    pub owner: Num,
    /// What happens; 0 in unused slots.
    pub change: Change,
}

/// What A, Δ and Z are made of.
pub struct Openings {
    /// `Σ o_i·x_i/(z − x_i)`.
    pub a: Num,
    /// `Σ δ_i·x_i/(z − x_i)`.
    pub delta: Num,
    /// `Π (z − x_i)`.
    pub z_s: Num,
}

/// `product·(z + tuple)` where the boolean `counts` is 1, else `product`.
#[track_caller]
fn times(b: &mut Builder, product: &Num, counts: &Num, z: &Num, tuple: &Num) -> Num {
    b.within(|b| {
        let factor = b.mul(counts, &(&(z + tuple) + -Fr::ONE));
        b.mul(product, &(&factor + Fr::ONE))
    })
}

/// Requires that what accesses read is what accesses write, as multisets of
/// `place + β·key + β²·word + β³·owner`, `place = 2^20·index + time`; gives A, Δ and Z. A first
/// access enters A and Z; Δ takes the changes of all, which telescope along a path.
pub fn enforce_linked(b: &mut Builder, beta: &Num, z: &Num, accesses: &[Access]) -> Openings {
    let (mut reads, mut writes) = (Num::one(), Num::one());
    let (mut a, mut delta, mut z_s) = (Num::zero(), Num::zero(), Num::one());
    for Access { active, index, x, time, link, key, word, owner, change } in accesses {
        b.part("accesses: links");
        let inner = &b.mul(beta, owner) + word;
        let words = &b.mul(beta, &inner) + key;
        let held = b.mul(beta, &words);
        let place = time.clone().plus(index, two_to(PLACE_INDEX_SHIFT));
        let (opening, change, left) = match change {
            Change::Open => (None, words, held),
            Change::Word(change) => {
                let earlier = &(&place - &link.gap) + -Fr::ONE;
                reads = times(b, &reads, &(active - &link.first), z, &(&earlier + &held));
                let change = b.mul(beta, change);
                let left = &held + &b.mul(beta, &change);
                (Some(words), change, left)
            }
        };
        writes = times(b, &writes, &(active - &link.last), z, &(&place + &left));

        b.part("accesses: openings");
        // f = x/(z − x): determined, because z ≠ x but with negligible probability, and then
        // nothing satisfies it (x ≠ 0).
        let distance = z - x;
        let inverse = distance.value.inverse().unwrap_or(Fr::ZERO);
        let f = b.wire(x.value * inverse);
        b.enforce(&f, &distance, x);
        if let Some(words) = opening {
            let opening = b.mul(&link.first, &words);
            a = a.plus(&b.mul(&opening, &f), Fr::ONE);
        }
        delta = delta.plus(&b.mul(&change, &f), Fr::ONE);
        let factor = b.mul(&link.first, &(&distance + -Fr::ONE));
        z_s = b.mul(&z_s, &(&factor + Fr::ONE));
    }
    b.part("accesses: links");
    b.enforce_equal(&reads, &writes);
    Openings { a, delta, z_s }
}
