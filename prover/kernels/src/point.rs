//! Points as the kernels take them: plain words that can be mapped from a file.

use crate::modulus::Modulus;
use ark_bn254::{Fq, Fq2, G1Affine, G2Affine, g1, g2};
use ark_ec::AffineRepr;
use ark_ec::short_weierstrass::{Affine, SWCurveConfig};
use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField, Zero};
use bytemuck::{Pod, Zeroable};

/// A point of G1: x and y, each the four words of arkworks' Montgomery form (`x · 2^256 mod p`),
/// the lowest first. All zero: infinity. One cache line, one vector register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct PreparedG1([u64; 8]);

/// A point of G2: x and y, each the two coefficients over the base field, in words as in
/// [`PreparedG1`]. All zero: infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct PreparedG2([u64; 16]);

/// What the multi-scalar multiplication needs of a point. While kernels work on points of their
/// own, coordinates may be integers that are not reduced, below `2 p`.
pub trait Prepared: Copy + Send + Sync + From<Affine<Self::Curve>> {
    /// The curve.
    type Curve: SWCurveConfig<BaseField: Field<BasePrimeField = Fq>>;
    /// The neutral element.
    const INFINITY: Self;
    /// All words, in cache lines: for G1 x and y in one line, for G2 a line each.
    fn lines(&self) -> &[[u64; 8]];
    /// The same, to be written.
    fn lines_mut(&mut self) -> &mut [[u64; 8]];
    /// x and y; zeros for infinity.
    fn coordinates(&self) -> [<Self::Curve as ark_ec::CurveConfig>::BaseField; 2];

    /// Whether this is the neutral element.
    fn is_infinity(&self) -> bool {
        self.lines().iter().flatten().all(|word| *word == 0)
    }

    /// As arkworks has it.
    fn to_affine(&self) -> Affine<Self::Curve> {
        let [x, y] = self.coordinates();
        if x.is_zero() && y.is_zero() { Affine::identity() } else { Affine::new_unchecked(x, y) }
    }
}

impl Prepared for PreparedG1 {
    type Curve = g1::Config;
    const INFINITY: Self = Self([0; 8]);

    fn lines(&self) -> &[[u64; 8]] {
        std::slice::from_ref(&self.0)
    }
    fn lines_mut(&mut self) -> &mut [[u64; 8]] {
        std::slice::from_mut(&mut self.0)
    }
    fn coordinates(&self) -> [Fq; 2] {
        let [x0, x1, x2, x3, y0, y1, y2, y3] = self.0;
        [element([x0, x1, x2, x3]), element([y0, y1, y2, y3])]
    }
}

impl Prepared for PreparedG2 {
    type Curve = g2::Config;
    const INFINITY: Self = Self([0; 16]);

    fn lines(&self) -> &[[u64; 8]] {
        self.0.as_chunks().0
    }
    fn lines_mut(&mut self) -> &mut [[u64; 8]] {
        self.0.as_chunks_mut().0
    }
    fn coordinates(&self) -> [Fq2; 2] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.0;
        let x = Fq2::new(element([a, b, c, d]), element([e, f, g, h]));
        [x, Fq2::new(element([i, j, k, l]), element([m, n, o, p]))]
    }
}

impl From<G1Affine> for PreparedG1 {
    fn from(point: G1Affine) -> Self {
        if point.is_zero() {
            return Self::INFINITY;
        }
        let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (point.x.0.0, point.y.0.0);
        Self([x0, x1, x2, x3, y0, y1, y2, y3])
    }
}

impl From<G2Affine> for PreparedG2 {
    fn from(point: G2Affine) -> Self {
        if point.is_zero() {
            return Self::INFINITY;
        }
        let mut words = [0; 16];
        let coefficients = [point.x.c0, point.x.c1, point.y.c0, point.y.c1];
        for (out, coefficient) in words.as_chunks_mut::<4>().0.iter_mut().zip(coefficients) {
            *out = coefficient.0.0;
        }
        Self(words)
    }
}

impl From<PreparedG1> for G1Affine {
    fn from(point: PreparedG1) -> Self {
        point.to_affine()
    }
}

impl From<PreparedG2> for G2Affine {
    fn from(point: PreparedG2) -> Self {
        point.to_affine()
    }
}

impl PreparedG1 {
    /// Whether the words are those of a point of the curve, coordinates below p. (The curve's order is
    /// prime.)
    pub fn is_valid(&self) -> bool {
        are_reduced(&self.0) && self.to_affine().is_on_curve()
    }
}

impl PreparedG2 {
    /// Whether the words are those of a point of the curve's subgroup of prime order, coordinates
    /// below p.
    pub fn is_valid(&self) -> bool {
        let point = self.to_affine();
        are_reduced(&self.0)
            && point.is_on_curve()
            && point.is_in_correct_subgroup_assuming_on_curve()
    }
}

fn are_reduced(words: &[u64]) -> bool {
    words.as_chunks().0.iter().all(|words| BigInt(*words) < Fq::MODULUS)
}

/// The element whose Montgomery form is congruent to an integer that may exceed p a few times.
#[inline]
pub fn element<M: Modulus>(words: [u64; 4]) -> M {
    let mut integer = BigInt(words);
    // Nearly always the highest word tells.
    if words[3] >= M::MODULUS.0[3] {
        while integer >= M::MODULUS {
            integer.sub_with_borrow(&M::MODULUS);
        }
    }
    let mut element = M::ZERO;
    *element.words_mut() = integer.0;
    element
}

/// How the sum of two points comes about.
pub enum Addition<C: SWCurveConfig> {
    /// By the slope of a line: its numerator and denominator.
    Line(C::BaseField, C::BaseField),
    /// Without one: a point is infinity, or the points are opposite.
    Known(Affine<C>),
}

/// What to do for a sum of any two points of the curve.
pub fn addition<C: SWCurveConfig>(left: &Affine<C>, right: &Affine<C>) -> Addition<C> {
    if left.is_zero() {
        Addition::Known(*right)
    } else if right.is_zero() {
        Addition::Known(*left)
    } else if left.x != right.x {
        Addition::Line(right.y - left.y, right.x - left.x)
    } else if left.y == right.y && left.y != C::BaseField::ZERO {
        // The tangent.
        let square = left.x.square();
        Addition::Line(square.double() + square + C::COEFF_A, left.y.double())
    } else {
        Addition::Known(Affine::identity())
    }
}
