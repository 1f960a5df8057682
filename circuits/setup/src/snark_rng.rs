//! snarkjs's random generator, bit for bit: the order in which ffjavascript takes words from
//! ChaCha20, and how it makes scalars and points of them. Proofs of knowledge are checked against
//! points that come out of it, and a beacon's secret is what it yields.

use ark_bn254::{Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, PrimeField};
use blake2::{Blake2b512, Digest};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{CryptoRng, RngCore, SeedableRng};
use sha2::Sha256;
use std::hint::black_box;
use zeroize::{Zeroize, Zeroizing};

/// ChaCha20 as ffjavascript reads it. Its state gives away the secret and is wiped when dropped.
pub struct SnarkRng(Box<ChaCha20Rng>);

impl SnarkRng {
    /// Eight big-endian words are the key; counter and nonce begin at 0.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut key = Zeroizing::new(*seed);
        for word in key.chunks_exact_mut(4) {
            word.reverse();
        }
        Self(Box::new(ChaCha20Rng::from_seed(*key)))
    }

    /// For a contribution: the system's randomness, and whatever text its owner adds to it.
    pub fn from_entropy(rng: &mut (impl RngCore + CryptoRng), entropy: &[u8]) -> Self {
        let mut random = Zeroizing::new([0; 64]);
        rng.fill_bytes(random.as_mut());
        let mut digest =
            Blake2b512::new().chain_update(random.as_ref()).chain_update(entropy).finalize();
        let generator = Self::from_digest(&digest.into());
        digest[..].zeroize();
        generator
    }

    /// For a beacon: SHA-256 iterated 2^`iterations_exp` times over a public value.
    pub fn from_beacon(hash: &[u8], iterations_exp: u8) -> Self {
        let mut digest = Sha256::digest(hash);
        for _ in 1..1u64 << iterations_exp {
            digest = Sha256::digest(digest);
        }
        Self::from_seed(&digest.into())
    }

    fn from_digest(digest: &[u8; 64]) -> Self {
        let (seed, _) = digest.split_first_chunk().expect("64 bytes begin with 32");
        Self::from_seed(seed)
    }

    /// Below `modulus`, by rejection. Of two words the first is the upper half.
    fn below(&mut self, modulus: &BigInt<4>) -> BigInt<4> {
        loop {
            let limbs = std::array::from_fn(|i| {
                let limb = u64::from(self.word()) << 32 | u64::from(self.word());
                if i == 3 { limb & (u64::MAX >> 2) } else { limb }
            });
            let value = BigInt::new(limbs);
            if value < *modulus {
                return value;
            }
        }
    }

    /// A scalar. ffjavascript takes the random number for its Montgomery form.
    pub fn fr(&mut self) -> Fr {
        Fr::new_unchecked(self.below(&Fr::MODULUS))
    }

    fn fq(&mut self) -> Fq {
        Fq::new_unchecked(self.below(&Fq::MODULUS))
    }

    /// The next word of the stream.
    pub fn word(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn bool(&mut self) -> bool {
        self.word() & 1 == 1
    }

    /// A point of G1 whose logarithm nobody knows.
    pub fn g1(&mut self) -> G1Affine {
        loop {
            let (x, greatest) = (self.fq(), self.bool());
            if let Some(point) = G1Affine::get_point_from_x_unchecked(x, greatest) {
                return point;
            }
        }
    }

    /// A point of G2's subgroup whose logarithm nobody knows.
    pub fn g2(&mut self) -> G2Affine {
        loop {
            let (x, greatest) = (Fq2::new(self.fq(), self.fq()), self.bool());
            if let Some(point) = G2Affine::get_point_from_x_unchecked(x, greatest) {
                return point.mul_by_cofactor();
            }
        }
    }
}

impl Drop for SnarkRng {
    fn drop(&mut self) {
        *self.0 = ChaCha20Rng::from_seed([0; 32]);
        // Without it the store above is dead to the compiler.
        black_box(&*self.0);
    }
}

/// The point of G2 that a transcript stands for: the base of a proof of knowledge.
pub fn hash_to_g2(digest: &[u8; 64]) -> G2Affine {
    SnarkRng::from_digest(digest).g2()
}
