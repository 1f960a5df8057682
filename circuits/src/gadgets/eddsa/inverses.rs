//! What the chain of a signature will be divided by, inverted all at once.
//!
//! The chain in Montgomery form divides some 570 times, one division needing the result of the one before. In
//! projective Edwards coordinates its points come without divisions, and with them all denominators: one
//! inversion and some multiplications (Montgomery's trick) serve the whole signature. Whatever is wrong here
//! only costs time: [`Builder::inverse`](crate::builder::Builder::inverse) checks what is foreseen.

use super::{Digits, constants};
use ark_bn254::Fr;
use ark_ec::{AdditiveGroup, CurveGroup};
use ark_ed_on_bn254::{EdwardsAffine, EdwardsProjective};
use ark_ff::{Field, batch_inversion};
use kerros_protocol::eddsa::Point;

/// `u = (1+y)/(1−y)` as a fraction.
#[derive(Clone, Copy)]
struct U {
    up: Fr,
    down: Fr,
}

impl U {
    fn of(point: &EdwardsProjective) -> Self {
        Self { up: point.z + point.y, down: point.z - point.y }
    }
    fn of_affine(point: &EdwardsAffine) -> Self {
        Self { up: Fr::ONE + point.y, down: Fr::ONE - point.y }
    }
}

/// Differences of u, as fractions turned upside down.
#[derive(Default)]
struct Differences {
    ups: Vec<Fr>,
    downs: Vec<Fr>,
}

impl Differences {
    fn push(&mut self, left: U, right: U) {
        self.ups.push(left.down * right.down);
        self.downs.push(left.up * right.down - right.up * left.down);
    }
    fn inverses(mut self) -> Vec<Fr> {
        batch_inversion(&mut self.downs);
        self.ups.iter().zip(&self.downs).map(|(up, down)| *up * down).collect()
    }
}

/// 1, 3, … 15 times a point.
pub(super) type Multiples = [EdwardsAffine; 8];

pub(super) fn multiples(point: &Point) -> Multiples {
    let once = EdwardsProjective::from(point.to_ark());
    let double = once.double();
    let odd = std::iter::successors(Some(once), |multiple| Some(*multiple + double));
    let multiples: Vec<_> = odd.take(8).collect();
    let affine = EdwardsProjective::normalize_batch(&multiples);
    affine.try_into().expect("eight points")
}

/// The inverses that `commitment` asks for in its additions, in order.
pub(super) fn inverses(key: &Point, digits: &Digits) -> Vec<Fr> {
    let p = -EdwardsProjective::from(key.to_ark()).double().double();
    let p = p.into_affine();
    let at_p = U::of_affine(&p);
    let signed = |point: EdwardsAffine, negative: bool| if negative { -point } else { point };
    let mut differences = Differences::default();
    let mut sum = EdwardsProjective::from(constants().offset_point.to_ark());
    let mut meet = |left, right| differences.push(left, right);
    let (last, lower) = digits.challenge.split_last().expect("251 digits");
    meet(at_p, U::of(&sum));
    sum += signed(p, *last);
    for digit in lower.iter().rev() {
        meet(at_p, U::of(&sum));
        let middle = sum + signed(p, !*digit);
        meet(U::of(&sum), U::of(&middle));
        sum += middle;
    }
    for (multiples, digit) in constants().multiples.iter().zip(digits.response) {
        let entry = multiples[usize::from(digit.unsigned_abs() / 2)];
        meet(U::of_affine(&entry), U::of(&sum));
        sum += signed(entry, digit < 0);
    }
    meet(at_p, U::of(&sum));
    differences.inverses()
}
