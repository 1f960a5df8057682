//! Affine additions on any processor that share one inversion.
//!
//! Crates with a faster multi-scalar multiplication than arkworks' do not serve: halo2curves has
//! field types of its own, and taceo-ark-algebra takes arkworks' points, not points mapped from a
//! file, which would be copied at every call. With a Pippenger already there for the vector path
//! this file is all that is missing.

use crate::kernel::{Entry, Kernel, Sum};
use crate::point::{Addition, Prepared, PreparedG1, PreparedG2, addition};
use crate::words::Coordinate;
use ark_ec::CurveConfig;
use ark_ec::short_weierstrass::Affine;
use ark_ff::Field;

/// How many additions ahead points are asked for.
#[cfg(target_arch = "x86_64")]
const PREFETCH: usize = 16;

/// Runs everywhere.
#[derive(Clone, Copy)]
pub struct Portable;

type BaseField<P> = <<P as Prepared>::Curve as CurveConfig>::BaseField;

/// Memory that is used again by the next batch.
pub struct Scratch<P, const D: usize> {
    steps: Vec<Step<D>>,
    resolved: Vec<(u32, P)>,
}

/// What the backward pass needs of each sum.
struct Step<const D: usize> {
    numerator: Coordinate<D>,
    denominator: Coordinate<D>,
    /// Of the denominators before.
    product: Coordinate<D>,
}

impl<P, const D: usize> Default for Scratch<P, D> {
    fn default() -> Self {
        Self { steps: Vec::new(), resolved: Vec::new() }
    }
}

impl Kernel<PreparedG1> for Portable {
    type Scratch = Scratch<PreparedG1, 1>;

    fn add_all(
        self,
        from: &[PreparedG1],
        into: &mut [PreparedG1],
        sums: &[Sum],
        scratch: &mut Self::Scratch,
    ) {
        add_all(from, into, sums, scratch);
    }
}

impl Kernel<PreparedG2> for Portable {
    type Scratch = Scratch<PreparedG2, 2>;

    fn add_all(
        self,
        from: &[PreparedG2],
        into: &mut [PreparedG2],
        sums: &[Sum],
        scratch: &mut Self::Scratch,
    ) {
        add_all(from, into, sums, scratch);
    }
}

/// Montgomery's trick: the product of all denominators is inverted, and each inverse taken out of
/// it. Sums that have no slope are noted and compute something harmless.
fn add_all<P: Prepared, const D: usize>(
    from: &[P],
    into: &mut [P],
    sums: &[Sum],
    scratch: &mut Scratch<P, D>,
) {
    let Scratch { steps, resolved } = scratch;
    steps.clear();
    resolved.clear();
    let mut product = coordinate::<P, D>(BaseField::<P>::ONE);
    for (i, sum) in sums.iter().enumerate() {
        #[cfg(target_arch = "x86_64")]
        if let Some(ahead) = sums.get(i + PREFETCH) {
            crate::lanes::prefetch(&from[ahead.left.index()]);
            crate::lanes::prefetch(&from[ahead.right.index()]);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = i;
        let ([x1, y1], [x2, y2]) = (operand(from, sum.left), operand(from, sum.right));
        let (mut numerator, mut denominator) = (y2.sub(&y1), x2.sub(&x1));
        // No point of the curves has x = 0, only infinity as it is kept here; were there one, it
        // would only take the slower way.
        if denominator.may_be_zero() || x1.may_be_zero() || x2.may_be_zero() {
            match addition(&affine(from, sum.left), &affine(from, sum.right)) {
                Addition::Line(up, along) => {
                    (numerator, denominator) = (coordinate::<P, D>(up), coordinate::<P, D>(along));
                }
                Addition::Known(point) => {
                    denominator = coordinate::<P, D>(BaseField::<P>::ONE);
                    resolved.push((sum.into, point.into()));
                }
            }
        }
        steps.push(Step { numerator, denominator, product });
        product = product.mul(&denominator);
    }
    let product = BaseField::<P>::from_base_prime_field_elems(product.elements());
    let inverse = product.and_then(|product| product.inverse()).expect("no denominator is 0");
    let mut inverse = coordinate::<P, D>(inverse);
    for (sum, step) in sums.iter().zip(steps).rev() {
        let slope = inverse.mul(&step.product).mul(&step.numerator);
        inverse = inverse.mul(&step.denominator);
        let ([x1, y1], [x2, _]) = (operand(from, sum.left), operand(from, sum.right));
        let x = slope.square().sub(&x1).sub(&x2);
        let y = slope.mul(&x1.sub(&x)).sub(&y1);
        let words = into[sum.into as usize].lines_mut().as_flattened_mut().as_chunks_mut::<4>().0;
        for (words, coefficient) in words.iter_mut().zip(x.0.iter().chain(&y.0)) {
            *words = *coefficient;
        }
    }
    for (at, point) in resolved {
        into[*at as usize] = *point;
    }
}

#[inline(always)]
fn operand<P: Prepared, const D: usize>(from: &[P], entry: Entry) -> [Coordinate<D>; 2] {
    let words = from[entry.index()].lines().as_flattened().as_chunks::<4>().0;
    let (mut x, mut y) = ([[0; 4]; D], [[0; 4]; D]);
    x.copy_from_slice(&words[..D]);
    y.copy_from_slice(&words[D..2 * D]);
    [Coordinate(x), Coordinate(y).signed(entry.sign())]
}

fn affine<P: Prepared>(from: &[P], entry: Entry) -> Affine<P::Curve> {
    let point = from[entry.index()].to_affine();
    if entry.sign() == 1 { -point } else { point }
}

fn coordinate<P: Prepared, const D: usize>(element: BaseField<P>) -> Coordinate<D> {
    let mut coefficients = [[0; 4]; D];
    for (words, one) in coefficients.iter_mut().zip(element.to_base_prime_field_elements()) {
        *words = one.0.0;
    }
    Coordinate(coefficients)
}
