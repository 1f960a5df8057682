//! FFTs over BN254's scalar field, with arkworks' values in arkworks' order.

use crate::Path;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, FftField, Field};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use rayon::prelude::*;
#[cfg(target_arch = "x86_64")]
use vectors::Vectors;

/// The `2^log_n`-th roots of unity and their coset by [`Fr::GENERATOR`].
///
/// Vectors transform 2^6 to 2^24 elements, arkworks any others. A domain keeps about
/// `2^(log_n / 2)` KiB, and each thread at work as much. A transform needs a second vector while it
/// runs, [`Self::quotient`] nothing beside its three.
pub struct Domain {
    plain: Radix2EvaluationDomain<Fr>,
    coset: Radix2EvaluationDomain<Fr>,
    #[cfg(target_arch = "x86_64")]
    vectors: Option<Vectors>,
}

impl Domain {
    /// `None` if the field has no such root: above 28.
    pub fn new(path: Path, log_n: u32) -> Option<Self> {
        let plain = Radix2EvaluationDomain::<Fr>::new(1usize.checked_shl(log_n)?)?;
        Some(Self {
            plain,
            coset: plain.get_coset(Fr::GENERATOR)?,
            #[cfg(target_arch = "x86_64")]
            vectors: Vectors::new(path, &plain),
        })
    }

    /// How many elements.
    pub fn size(&self) -> usize {
        self.plain.size()
    }

    /// Coefficients to values at the roots. As everywhere here, the vector is brought to the
    /// domain's size, with zeros if it is short.
    pub fn fft(&self, values: &mut Vec<Fr>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = &self.vectors {
            return vectors.fft(values);
        }
        self.plain.fft_in_place(values);
    }

    /// Values at the roots to coefficients.
    pub fn ifft(&self, values: &mut Vec<Fr>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = &self.vectors {
            return vectors.ifft(values);
        }
        self.plain.ifft_in_place(values);
    }

    /// Coefficients to values on the coset.
    pub fn coset_fft(&self, values: &mut Vec<Fr>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = &self.vectors {
            return vectors.coset_fft(values);
        }
        self.coset.fft_in_place(values);
    }

    /// Values on the coset to coefficients.
    pub fn coset_ifft(&self, values: &mut Vec<Fr>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = &self.vectors {
            return vectors.coset_ifft(values);
        }
        self.coset.ifft_in_place(values);
    }

    /// The coefficients of `(a·b - c) / (X^n - 1)`, as Groth16 takes them, from the values of a, b
    /// and c at the roots: what arkworks' `LibsnarkReduction` does after its sparse products.
    pub fn quotient(&self, mut a: Vec<Fr>, mut b: Vec<Fr>, mut c: Vec<Fr>) -> Vec<Fr> {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = &self.vectors {
            return vectors.quotient(a, b, c);
        }
        for values in [&mut a, &mut b, &mut c] {
            self.plain.ifft_in_place(values);
            self.coset.fft_in_place(values);
        }
        let inverse = vanishing_inverse(&self.plain);
        a.par_iter_mut().zip(&b).zip(&c).for_each(|((a, b), c)| *a = (*a * b - c) * inverse);
        self.coset.ifft_in_place(&mut a);
        a
    }
}

/// `1 / (X^n - 1)` on the coset.
fn vanishing_inverse(plain: &Radix2EvaluationDomain<Fr>) -> Fr {
    let vanishing = plain.evaluate_vanishing_polynomial(Fr::GENERATOR);
    vanishing.inverse().expect("the generator of the group is no root of unity")
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use super::*;
    use crate::butterflies::LAYERS_MAX;
    use crate::lanes::Lanes;
    use crate::passes::{Coset, Order, Scale, Scratch, Shape};

    /// Rows and columns are at least eight.
    const LOG_MIN: u32 = 6;
    /// Columns that are read and written together.
    const TILE: usize = 16;

    /// The factors of the vector code.
    pub struct Vectors {
        lanes: Lanes,
        shape: Shape,
        forward: Order,
        inverse: Order,
        coset: Order,
        coset_from_reversed: Coset,
        size_inverse: Scale,
        coset_inverse: Scale,
        quotient: Scale,
    }

    impl Vectors {
        pub fn new(path: Path, plain: &Radix2EvaluationDomain<Fr>) -> Option<Self> {
            let log_n = plain.log_size_of_group;
            if path != Path::Ifma || !(LOG_MIN..=LAYERS_MAX).contains(&log_n) {
                return None;
            }
            let shape = Shape::new(log_n);
            let (root, one, size_inverse) = (plain.group_gen, Fr::ONE, plain.size_inv);
            let back = Fr::GENERATOR.inverse()?;
            Some(Self {
                lanes: Lanes::detect()?,
                shape,
                forward: Order::new(shape, root, one),
                inverse: Order::new(shape, plain.group_gen_inv, one),
                coset: Order::new(shape, root, Fr::GENERATOR),
                coset_from_reversed: Coset::new(shape, root, Fr::GENERATOR, size_inverse),
                size_inverse: Scale::new(shape, size_inverse, one),
                coset_inverse: Scale::new(shape, size_inverse, back),
                quotient: Scale::new(shape, size_inverse.square() * vanishing_inverse(plain), back),
            })
        }

        pub fn fft(&self, values: &mut Vec<Fr>) {
            self.transform(values, &self.forward, None);
        }

        pub fn ifft(&self, values: &mut Vec<Fr>) {
            self.transform(values, &self.inverse, Some(&self.size_inverse));
        }

        pub fn coset_fft(&self, values: &mut Vec<Fr>) {
            self.transform(values, &self.coset, None);
        }

        pub fn coset_ifft(&self, values: &mut Vec<Fr>) {
            self.transform(values, &self.inverse, Some(&self.coset_inverse));
        }

        pub fn quotient(&self, mut a: Vec<Fr>, mut b: Vec<Fr>, mut c: Vec<Fr>) -> Vec<Fr> {
            let eight_rows = 8 * self.shape.columns();
            for values in [&mut a, &mut b, &mut c] {
                self.pad(values);
                self.columns_first(values, &self.inverse);
            }
            a.par_chunks_exact_mut(eight_rows)
                .zip(b.par_chunks_exact_mut(eight_rows))
                .zip(c.par_chunks_exact_mut(eight_rows))
                .enumerate()
                .for_each_init(Scratch::default, |scratch, (group, ((a, b), c))| {
                    let (inverse, coset) = (&self.inverse, &self.coset_from_reversed);
                    self.lanes.rows_between([a, b, c], inverse, coset, group, scratch);
                });
            tiles(&mut a, self.shape.columns(), TILE).into_par_iter().enumerate().for_each_init(
                Scratch::default,
                |scratch, (i, mut tile)| {
                    let tables = (&self.inverse, &self.coset_from_reversed);
                    self.lanes.columns_between(&mut tile, [&b, &c], tables, i * TILE, scratch);
                },
            );
            self.rows_last(&a, &mut b, &self.inverse, Some(&self.quotient));
            b
        }

        fn transform(&self, values: &mut Vec<Fr>, order: &Order, scale: Option<&Scale>) {
            self.pad(values);
            self.columns_first(values, order);
            let mut out = vec![Fr::ZERO; values.len()];
            self.rows_last(values, &mut out, order, scale);
            *values = out;
        }

        fn pad(&self, values: &mut Vec<Fr>) {
            values.resize(1 << self.shape.log_n(), Fr::ZERO);
        }

        fn columns_first(&self, values: &mut [Fr], order: &Order) {
            tiles(values, self.shape.columns(), TILE)
                .into_par_iter()
                .for_each_init(Scratch::default, |scratch, mut tile| {
                    self.lanes.columns_first(&mut tile, order, scratch)
                });
        }

        fn rows_last(&self, rows: &[Fr], out: &mut [Fr], order: &Order, scale: Option<&Scale>) {
            rows.par_chunks_exact(8 * self.shape.columns())
                .zip(tiles(out, self.shape.rows(), 8))
                .enumerate()
                .for_each_init(Scratch::default, |scratch, (group, (rows, mut out))| {
                    self.lanes.rows_last(rows, &mut out, order, group, scale, scratch);
                });
        }
    }

    /// A matrix cut into bands of `width` columns: each has its part of every row.
    fn tiles(matrix: &mut [Fr], columns: usize, width: usize) -> Vec<Vec<&mut [Fr]>> {
        let rows = matrix.len() / columns;
        let mut tiles: Vec<Vec<&mut [Fr]>> = Vec::new();
        tiles.resize_with(columns.div_ceil(width), || Vec::with_capacity(rows));
        for row in matrix.chunks_exact_mut(columns) {
            for (tile, part) in tiles.iter_mut().zip(row.chunks_mut(width)) {
                tile.push(part);
            }
        }
        tiles
    }
}
