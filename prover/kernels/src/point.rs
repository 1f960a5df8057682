//! A point as the vector code keeps it: 64 bytes, one cache line, one vector register.

use crate::field::Modulus;
use ark_bn254::{Fq, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, BigInt, BigInteger};

/// Set in the last word: the point stands for its opposite. Coordinates stay below `2^255`.
pub const OPPOSITE: u64 = 1 << 63;

/// x and y, each the integer of arkworks' Montgomery form (`x · 2^256 mod p`) in four words, not
/// necessarily reduced, but below `5/3 p` (exactly reduced with [`OPPOSITE`]). All zero: infinity.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Point(pub [u64; 8]);

impl Point {
    /// The neutral element.
    pub const INFINITY: Self = Self([0; 8]);

    /// The opposite of a reduced point other than infinity, or the point.
    pub const fn signed(mut self, opposite: bool) -> Self {
        self.0[7] |= (opposite as u64) << 63;
        self
    }

    /// As arkworks has it.
    pub fn to_affine(self) -> G1Affine {
        let [x0, x1, x2, x3, y0, y1, y2, y3] = self.0;
        let x: Fq = element([x0, x1, x2, x3]);
        let y: Fq = element([y0, y1, y2, y3 & !OPPOSITE]);
        if x == Fq::ZERO && y == Fq::ZERO {
            return G1Affine::identity();
        }
        G1Affine::new_unchecked(x, if y3 & OPPOSITE == 0 { y } else { -y })
    }
}

impl From<G1Affine> for Point {
    fn from(point: G1Affine) -> Self {
        if point.is_zero() {
            return Self::INFINITY;
        }
        let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (point.x.0.0, point.y.0.0);
        Self([x0, x1, x2, x3, y0, y1, y2, y3])
    }
}

/// The element whose Montgomery form is congruent to an integer that may exceed p a few times.
pub fn element<M: Modulus>(words: [u64; 4]) -> M {
    let mut integer = BigInt(words);
    while integer >= M::MODULUS {
        integer.sub_with_borrow(&M::MODULUS);
    }
    let mut element = M::ZERO;
    *element.words_mut() = integer.0;
    element
}
