//! Affine additions on any processor, by arkworks' field arithmetic, that share one inversion.
//!
//! Crates with a faster multi-scalar multiplication than arkworks' do not serve: halo2curves has
//! field types of its own, and taceo-ark-algebra takes arkworks' points, not points mapped from a
//! file, which would be copied at every call. With a Pippenger already there for the vector path
//! this file is all that is missing.

use crate::kernel::{Entry, Kernel, Sum};
use crate::point::{Addition, Prepared, addition};
use ark_ec::CurveConfig;
use ark_ec::short_weierstrass::Affine;
use ark_ff::{Field, Zero};

/// Runs everywhere.
#[derive(Clone, Copy)]
pub struct Portable;

type BaseField<P> = <<P as Prepared>::Curve as CurveConfig>::BaseField;

/// What the second pass needs of each sum.
pub struct Scratch<P: Prepared> {
    steps: Vec<Step<BaseField<P>>>,
    resolved: Vec<(u32, P)>,
}

struct Step<F> {
    numerator: F,
    denominator: F,
    /// Of the denominators before.
    product: F,
}

impl<P: Prepared> Default for Scratch<P> {
    fn default() -> Self {
        Self { steps: Vec::new(), resolved: Vec::new() }
    }
}

impl<P: Prepared> Kernel<P> for Portable {
    type Scratch = Scratch<P>;

    /// Montgomery's trick: the product of all denominators is inverted, and each inverse taken out
    /// of it. Sums that have no slope are noted and compute something harmless.
    fn add_all(self, from: &[P], into: &mut [P], sums: &[Sum], scratch: &mut Scratch<P>) {
        let Scratch { steps, resolved } = scratch;
        steps.clear();
        resolved.clear();
        let mut product = BaseField::<P>::ONE;
        for sum in sums {
            let ([x1, y1], [x2, y2]) = (operand(from, sum.left), operand(from, sum.right));
            let (mut numerator, mut denominator) = (y2 - y1, x2 - x1);
            // Only infinity is kept as x = 0 on these curves; any other such point passes too.
            if denominator.is_zero() || x1.is_zero() || x2.is_zero() {
                match addition(&affine::<P>([x1, y1]), &affine::<P>([x2, y2])) {
                    Addition::Line(up, along) => (numerator, denominator) = (up, along),
                    Addition::Known(point) => {
                        denominator = BaseField::<P>::ONE;
                        resolved.push((sum.into, point.into()));
                    }
                }
            }
            steps.push(Step { numerator, denominator, product });
            product *= denominator;
        }
        let Some(mut inverse) = product.inverse() else {
            unreachable!("no denominator is 0");
        };
        for (sum, step) in sums.iter().zip(steps).rev() {
            let slope = inverse * step.product * step.numerator;
            inverse *= step.denominator;
            let ([x1, y1], [x2, _]) = (operand(from, sum.left), operand(from, sum.right));
            let x = slope.square() - x1 - x2;
            let y = slope * (x1 - x) - y1;
            into[sum.into as usize] = P::from(Affine::new_unchecked(x, y));
        }
        for (at, point) in resolved {
            into[*at as usize] = *point;
        }
    }
}

#[inline]
fn operand<P: Prepared>(from: &[P], entry: Entry) -> [BaseField<P>; 2] {
    let [x, y] = from[entry.index()].coordinates();
    [x, if entry.sign() == 1 { -y } else { y }]
}

fn affine<P: Prepared>([x, y]: [BaseField<P>; 2]) -> Affine<P::Curve> {
    if x.is_zero() && y.is_zero() { Affine::identity() } else { Affine::new_unchecked(x, y) }
}
