//! Unpacked public keys by their packed bytes, so that a holder who pays often costs one square
//! root.
//!
//! Direct-mapped and of fixed size: a key lives in one slot, a newcomer takes it. The slot comes
//! from a hash with secret random coefficients, so nobody can choose keys that evict another's;
//! the whole packed key is compared, so a collision costs time and never correctness.

use super::{Point, PointError};
use rand::{CryptoRng, RngCore};

/// A fixed number of unpacked keys.
pub struct KeyCache {
    slots: Vec<Option<([u8; 32], Point)>>,
    /// Secret coefficients of the multiply-shift hash, one per 64-bit limb.
    coefficients: [u128; 4],
    /// `128 − log2(slots)`.
    shift: u32,
}

impl KeyCache {
    /// Room for `slots` keys (about 100 bytes each), rounded up to a power of two from 2 to 2^24.
    pub fn new(slots: usize, rng: &mut (impl RngCore + CryptoRng)) -> Self {
        let slots = slots.clamp(2, 1 << 24).next_power_of_two();
        let mut coefficient = || (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
        Self {
            coefficients: std::array::from_fn(|_| coefficient()),
            shift: u128::BITS - slots.trailing_zeros(),
            slots: vec![None; slots],
        }
    }

    /// Multiply-shift over the limbs (Dietzfelbinger, 1996): two keys chosen without knowledge of
    /// the coefficients meet with probability 1/slots.
    fn slot(&self, packed: &[u8; 32]) -> usize {
        let limbs = super::from_le32(packed).0;
        let products = limbs.iter().zip(&self.coefficients);
        let sum = products.fold(0u128, |sum, (limb, coefficient)| {
            sum.wrapping_add(coefficient.wrapping_mul(u128::from(*limb)))
        });
        usize::try_from(sum >> self.shift).expect("at most 24 bits")
    }

    /// [`Point::unpack`], from the cache if it holds the key. What is no point is not kept.
    pub fn unpack(&mut self, packed: &[u8; 32]) -> Result<Point, PointError> {
        let slot = self.slot(packed);
        if let Some((held, point)) = &self.slots[slot]
            && held == packed
        {
            return Ok(*point);
        }
        let point = Point::unpack(packed)?;
        self.slots[slot] = Some((*packed, point));
        Ok(point)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_points::curve_points;
    use super::*;

    #[test]
    fn the_cache_answers_as_unpack_does_while_keys_evict_each_other() {
        let mut cache = KeyCache::new(4, &mut rand::thread_rng());
        let mut bad = [0xff; 32];
        bad[31] = 0x7f;
        let points = curve_points(20);
        for _ in 0..3 {
            for point in &points {
                assert_eq!(cache.unpack(&point.pack()), Ok(*point));
                assert_eq!(cache.unpack(&point.pack()), Ok(*point));
                let negated = Point { x: -point.x, y: point.y };
                assert_eq!(cache.unpack(&negated.pack()), Ok(negated));
                assert_eq!(cache.unpack(&bad), Point::unpack(&bad));
            }
        }
        assert_eq!(cache.slots.len(), 4);
    }

    #[test]
    fn keys_spread_over_the_slots() {
        let mut cache = KeyCache::new(1024, &mut rand::thread_rng());
        for point in curve_points(512) {
            assert_eq!(cache.unpack(&point.pack()), Ok(point));
        }
        let held = cache.slots.iter().flatten().count();
        assert!(held > 300, "{held} of 512 keys held in 1024 slots");
    }
}
