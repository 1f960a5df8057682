//! What differs between the paths and groups of the one Pippenger.

use crate::point::Prepared;

/// Adds many pairs of points at once.
pub trait Kernel<P: Prepared>: Copy + Send + Sync {
    /// Memory that is used again by the next batch.
    type Scratch: Default + Send;

    /// `into[sum.into] = sum.left + sum.right` for all sums; operands are taken from `from`.
    fn add_all(self, from: &[P], into: &mut [P], sums: &[Sum], scratch: &mut Self::Scratch);
}

/// A point's index, and in the lowest bit whether its opposite is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u32);

impl Entry {
    /// How many points can be told apart.
    pub const POINTS_MAX: usize = 1 << 31;

    /// The index must be below [`Self::POINTS_MAX`].
    #[inline]
    pub const fn new(index: u32, opposite: bool) -> Self {
        Self(index << 1 | opposite as u32)
    }
    /// The point's index.
    #[inline]
    pub const fn index(self) -> usize {
        (self.0 >> 1) as usize
    }
    /// 1 if the point's opposite is meant.
    #[inline]
    pub const fn sign(self) -> u32 {
        self.0 & 1
    }
}

/// One addition of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The first operand.
    pub left: Entry,
    /// The second operand.
    pub right: Entry,
    /// Index of the result.
    pub into: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{PreparedG1, PreparedG2};
    use crate::portable::Portable;
    use ark_ec::CurveGroup;
    use ark_ec::short_weierstrass::{Affine, Projective};
    use ark_ff::{AdditiveGroup, UniformRand};
    use rand::thread_rng;

    /// Runs a test of a kernel for both groups on every path.
    macro_rules! on_all {
        ($test:ident) => {
            println!("portable, G1 and G2");
            $test::<PreparedG1, _>(Portable);
            $test::<PreparedG2, _>(Portable);
            #[cfg(target_arch = "x86_64")]
            match crate::lanes::Lanes::detect() {
                Some(lanes) => {
                    println!("ifma, G1 and G2");
                    $test::<PreparedG1, _>(lanes);
                    $test::<PreparedG2, _>(lanes);
                }
                None => println!("ifma not run: this processor does not have it"),
            }
        };
    }

    fn sum(left: usize, right: usize, into: usize) -> Sum {
        let entry = |i: usize| Entry::new(i as u32, false);
        Sum { left: entry(left), right: entry(right), into: into as u32 }
    }

    fn random<P: Prepared>() -> Affine<P::Curve> {
        Projective::rand(&mut thread_rng()).into_affine()
    }

    #[test]
    fn all_pairs_of_special_and_random_points_add_as_in_arkworks() {
        fn test<P: Prepared, K: Kernel<P>>(kernel: K) {
            let point = Projective::<P::Curve>::rand(&mut thread_rng());
            let mut affine: Vec<Affine<P::Curve>> =
                [point, -point, point.double(), Projective::ZERO].map(|p| p.into_affine()).to_vec();
            affine.extend((0..7).map(|_| random::<P>()));
            let prepared: Vec<P> = affine.iter().map(|point| P::from(*point)).collect();
            let entries: Vec<(Entry, Affine<P::Curve>)> = (0..affine.len() as u32)
                .flat_map(|i| [false, true].map(|opposite| Entry::new(i, opposite)))
                .map(|entry| {
                    let point = affine[entry.index()];
                    (entry, if entry.sign() == 1 { -point } else { point })
                })
                .collect();
            let n = entries.len();
            let pairs: Vec<_> = (0..n * n).map(|i| (entries[i / n], entries[i % n])).collect();
            let sums = pairs.iter().zip(0..);
            let sums: Vec<Sum> = sums
                .map(|((left, right), into)| Sum { left: left.0, right: right.0, into })
                .collect();
            let mut scratch = K::Scratch::default();
            let mut first = vec![P::INFINITY; n * n];
            kernel.add_all(&prepared, &mut first, &sums, &mut scratch);
            for ((left, right), result) in pairs.iter().zip(&first) {
                assert_eq!(result.to_affine(), (left.1 + right.1).into_affine());
            }
            // Results are operands again, though not fully reduced.
            let again: Vec<Sum> = (0..n * n).map(|i| sum(i, i * 7 % (n * n), i)).collect();
            let mut second = vec![P::INFINITY; n * n];
            kernel.add_all(&first, &mut second, &again, &mut scratch);
            for i in 0..n * n {
                let expected = first[i].to_affine() + first[i * 7 % (n * n)].to_affine();
                assert_eq!(second[i].to_affine(), expected.into_affine());
            }
        }
        on_all!(test);
    }

    #[test]
    fn batches_of_any_length_write_their_results_only() {
        fn test<P: Prepared, K: Kernel<P>>(kernel: K) {
            let mut scratch = K::Scratch::default();
            for len in (0..40).chain([100, 1_000]) {
                let affine: Vec<Affine<P::Curve>> = (0..2 * len).map(|_| random::<P>()).collect();
                let points: Vec<P> = affine.iter().map(|point| P::from(*point)).collect();
                let sums: Vec<Sum> = (0..len).map(|i| sum(2 * i, 2 * i + 1, i)).collect();
                let mut results = vec![P::INFINITY; len + 5];
                kernel.add_all(&points, &mut results, &sums, &mut scratch);
                for (pair, result) in affine.chunks(2).zip(&results) {
                    assert_eq!(result.to_affine(), (pair[0] + pair[1]).into_affine(), "of {len}");
                }
                assert!(results[len..].iter().all(P::is_infinity));
            }
        }
        on_all!(test);
    }
}
