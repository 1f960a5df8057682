//! Transactions acknowledged not long ago, by all their bytes: sent again, they get their receipt
//! without another check of their signature, which is the dearest part of a transaction.
//!
//! Only bytes that are equal to the last one count: the same transaction with another signature is
//! checked like any other. What has been forgotten is checked again and then gets its
//! receipt too.

use crate::limits::REPEATS_REMEMBERED;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The first half of the bytes' blake3 hash: nobody finds two that agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Of a signed transaction's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut half = [0; 16];
        blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut half);
        Self(half)
    }
}

/// Two generations: when the newer one is full it becomes the older, which is forgotten.
pub struct Repeats {
    generations: Mutex<[HashSet<Digest>; 2]>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { generations: Mutex::new(generations(REPEATS_REMEMBERED)) }
    }
}

fn generations(each: usize) -> [HashSet<Digest>; 2] {
    // All room at once: growing would hold up the writer.
    [HashSet::with_capacity(each), HashSet::with_capacity(each)]
}

impl Repeats {
    fn lock(&self) -> MutexGuard<'_, [HashSet<Digest>; 2]> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Remembers transactions whose receipts are on disk.
    pub fn remember(&self, digests: impl Iterator<Item = Digest>) {
        let mut generations = self.lock();
        for digest in digests {
            if generations[0].len() >= REPEATS_REMEMBERED {
                generations.swap(0, 1);
                generations[0].clear();
            }
            generations[0].insert(digest);
        }
    }
    /// Whether exactly these bytes were acknowledged.
    pub fn knows(&self, digest: &Digest) -> bool {
        self.lock().iter().any(|generation| generation.contains(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    #[test]
    fn at_least_the_last_generation_is_known_and_memory_is_bounded() {
        let repeats = Repeats::default();
        let count = REPEATS_REMEMBERED * 5 / 2;
        repeats.remember((0..count).map(digest));
        assert!((count - REPEATS_REMEMBERED..count).all(|n| repeats.knows(&digest(n))));
        assert!(!repeats.knows(&digest(0)) && !repeats.knows(&digest(count)));
        let sizes = repeats.lock().each_ref().map(HashSet::len);
        assert!(sizes.iter().all(|size| *size <= REPEATS_REMEMBERED), "{sizes:?}");
    }

    #[test]
    fn one_other_bit_is_another_transaction() {
        let repeats = Repeats::default();
        repeats.remember([Digest::of(&[7; 171])].into_iter());
        for bit in 0..171 * 8 {
            let mut other = [7; 171];
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!repeats.knows(&Digest::of(&other)), "bit {bit}");
        }
        assert!(repeats.knows(&Digest::of(&[7; 171])));
    }
}
