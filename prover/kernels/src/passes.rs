//! FFTs as two passes over a matrix, and the quotient of Groth16 as four.
//!
//! `n = R·C` elements are R rows of C columns. From natural order, the first pass transforms eight
//! columns at a time (each lane one column) and puts frequency k1 into row k1; the second
//! transforms eight rows at a time (each lane one row) to frequencies `k1 + R·k2`. The way
//! back starts with rows. Between passes elements lie in memory reduced below `1.6 p`.
//!
//! Nothing but the factors tells columns or rows from whole transforms: those of a lane are the
//! shared ones times powers of the lane's own root, made anew for each eight lanes.

use crate::butterflies::{natural_to_reversed, reversed_to_natural, shift};
use crate::eights::{Factor, gather, scatter};
use crate::field::{Loose, mul};
use ark_bn254::Fr;
use ark_ff::Field;

/// Rows and columns.
#[derive(Clone, Copy)]
pub struct Shape {
    /// log2 R.
    pub log_rows: u32,
    /// log2 C.
    pub log_columns: u32,
}

impl Shape {
    /// Of `2^log_n` elements, at least 64.
    pub fn new(log_n: u32) -> Self {
        Self { log_rows: log_n / 2, log_columns: log_n.div_ceil(2) }
    }
    /// R.
    pub fn rows(self) -> usize {
        1 << self.log_rows
    }
    /// C.
    pub fn columns(self) -> usize {
        1 << self.log_columns
    }
    /// log2 n.
    pub fn log_n(self) -> u32 {
        self.log_rows + self.log_columns
    }
}

/// Factors of a transform that starts in natural order.
pub struct Order {
    columns: Vec<Factor<1>>,
    rows: Vec<Factor<1>>,
    starts: Vec<Factor<8>>,
}

impl Order {
    /// Evaluates at `offset · root^k`, where root has order n.
    pub fn new(shape: Shape, root: Fr, offset: Fr) -> Self {
        Self {
            columns: heap(shape.log_n(), shape.log_rows, root, offset, reversed),
            rows: heap(shape.log_n(), shape.log_columns, root, Fr::ONE, reversed),
            starts: eights(offset, root, shape.rows()),
        }
    }
}

/// Factors of a transform that starts with bit-reversed rows.
pub struct Coset {
    rows: Vec<Factor<1>>,
    columns: Vec<Factor<1>>,
    starts: Vec<Factor<8>>,
    /// What makes `a·b` as much too large as c: both come from transforms without `1/n`, and
    /// multiplying Montgomery forms divides by `2^4` too much.
    product: Factor<1>,
}

impl Coset {
    /// Evaluates at `offset · root^k`, where root has order n.
    pub fn new(shape: Shape, root: Fr, offset: Fr, size_inverse: Fr) -> Self {
        Self {
            rows: heap(shape.log_n(), shape.log_columns, root, offset, |i, _| i),
            columns: heap(shape.log_n(), shape.log_rows, root, Fr::ONE, |i, _| i),
            starts: eights(offset, root, shape.columns()),
            product: Factor::new([size_inverse * Fr::from(16u64)]),
        }
    }
}

/// Multiplies coefficient k by `first · base^k`.
pub struct Scale {
    rows: Vec<Factor<8>>,
    /// None if base is 1.
    columns: Option<Vec<Factor<1>>>,
}

impl Scale {
    /// See [`Scale`].
    pub fn new(shape: Shape, first: Fr, base: Fr) -> Self {
        let columns = (base != Fr::ONE).then(|| {
            let mut columns = vec![Factor::ZERO; shape.columns()];
            for (k, power) in
                powers(Fr::ONE, base.pow([1 << shape.log_rows])).take(columns.len()).enumerate()
            {
                columns[reversed(k, shape.log_columns)] = Factor::new([power]);
            }
            columns
        });
        Self { rows: eights(first, base, shape.rows()), columns }
    }
}

/// The lowest bits in opposite order.
pub fn reversed(i: usize, bits: u32) -> usize {
    if bits == 0 { 0 } else { i.reverse_bits() >> (usize::BITS - bits) }
}

fn powers(first: Fr, base: Fr) -> impl Iterator<Item = Fr> {
    std::iter::successors(Some(first), move |power| Some(*power * base))
}

/// `first · base^i` for i < len, eight at a time.
fn eights(first: Fr, base: Fr, len: usize) -> Vec<Factor<8>> {
    let powers: Vec<Fr> = powers(first, base).take(len).collect();
    powers.as_chunks().0.iter().map(|eight| Factor::new(*eight)).collect()
}

/// For each layer k: `(offset · root^i)^(n / 2^(k+1))` for `i < 2^k`, at `2^k + place(i, k)`.
fn heap(
    log_n: u32,
    layers: u32,
    root: Fr,
    offset: Fr,
    place: fn(usize, u32) -> usize,
) -> Vec<Factor<1>> {
    let mut factors = vec![Factor::ZERO; 1 << layers];
    for layer in 0..layers {
        let exponent = [1 << (log_n - layer - 1)];
        let powers = powers(offset.pow(exponent), root.pow(exponent));
        for (i, power) in powers.take(1 << layer).enumerate() {
            factors[(1 << layer) + place(i, layer)] = Factor::new([power]);
        }
    }
    factors
}

/// Memory that one thread uses again and again; it stays in the cache.
#[derive(Default)]
pub struct Scratch {
    data: Vec<Loose<Fr>>,
    other: Vec<Loose<Fr>>,
    factors: Vec<Factor<8>>,
}

/// The first pass, over columns: `tile` has the same few of each row.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn columns_first(tile: &mut [&mut [Fr]], order: &Order, scratch: &mut Scratch) {
    scratch.data.resize(tile.len(), Loose::zero());
    for first in (0..tile[0].len()).step_by(8) {
        for (element, row) in scratch.data.iter_mut().zip(tile.iter()) {
            *element = gather(eight(row, first).each_ref()).loose();
        }
        finish_columns(tile, first, order, &mut scratch.data);
    }
}

/// Transforms columns in natural order and writes frequency k1 into row k1.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn finish_columns(tile: &mut [&mut [Fr]], first: usize, order: &Order, data: &mut [Loose<Fr>]) {
    natural_to_reversed(data, &order.columns, 1);
    let bits = tile.len().ilog2();
    for (i, element) in data.iter().enumerate() {
        scatter(eight_mut(tile[reversed(i, bits)], first).each_mut(), element.settle());
    }
}

/// The second pass, over eight rows from `8 · group` on: `out` has the same eight of each of C rows
/// of R, where the result is in natural order, reduced.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn rows_last(
    rows: &[Fr],
    out: &mut [&mut [Fr]],
    order: &Order,
    group: usize,
    scale: Option<&Scale>,
    scratch: &mut Scratch,
) {
    scratch.factors.resize(out.len(), Factor::ZERO);
    shift::<Fr>(&order.rows, &order.starts[group], &mut scratch.factors);
    load_rows(rows, &mut scratch.data);
    natural_to_reversed(&mut scratch.data, &scratch.factors, 1);
    let bits = out.len().ilog2();
    for (i, element) in scratch.data.iter().enumerate() {
        let settled = match scale {
            None => element.settle(),
            Some(scale) => {
                let scaled = mul(&element.carry(), &scale.rows[group].get());
                scale.columns.as_ref().map_or(scaled, |columns| mul(&scaled, &columns[i].get()))
            }
        };
        scatter(eight_mut(out[reversed(i, bits)], 0).each_mut(), settled.canonical());
    }
}

/// The second pass of a transform and the first of the next, over eight rows of each.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn rows_between(
    rows: [&mut [Fr]; 3],
    inverse: &Order,
    coset: &Coset,
    group: usize,
    scratch: &mut Scratch,
) {
    scratch.factors.resize(coset.rows.len(), Factor::ZERO);
    shift::<Fr>(&inverse.rows, &inverse.starts[group], &mut scratch.factors);
    for rows in rows {
        load_rows(rows, &mut scratch.data);
        natural_to_reversed(&mut scratch.data, &scratch.factors, 1);
        reversed_to_natural(&mut scratch.data, &coset.rows);
        let mut rows = eight_rows_mut(rows);
        for (i, element) in scratch.data.iter().enumerate() {
            scatter(rows.each_mut().map(|row| &mut row[i]), element.settle());
        }
    }
}

/// The last pass of the transforms of a, b and c, `a·b - c`, and the first pass of the next
/// transform, over columns from `first` on: `tile` has those of a, which is replaced.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn columns_between(
    tile: &mut [&mut [Fr]],
    [b, c]: [&[Fr]; 2],
    (inverse, coset): (&Order, &Coset),
    first: usize,
    scratch: &mut Scratch,
) {
    let (rows, bits) = (tile.len(), tile.len().ilog2());
    let columns = b.len() / rows;
    scratch.factors.resize(rows, Factor::ZERO);
    scratch.data.resize(rows, Loose::zero());
    scratch.other.resize(rows, Loose::zero());
    for at in (0..tile[0].len()).step_by(8) {
        let from = first + at;
        shift::<Fr>(&coset.columns, &coset.starts[from / 8], &mut scratch.factors);
        let (data, other) = (&mut scratch.data, &mut scratch.other);
        for (i, element) in data.iter_mut().enumerate() {
            *element = gather(eight(tile[reversed(i, bits)], at).each_ref()).loose();
        }
        reversed_to_natural(data, &scratch.factors);
        load_columns(b, columns, from, other);
        reversed_to_natural(other, &scratch.factors);
        for (a, b) in data.iter_mut().zip(other.iter()) {
            // Below (1.6 + 2 · 12)² p² / 84.6 p + p < 9 p.
            *a = mul(&a.carry(), &b.carry()).loose();
        }
        load_columns(c, columns, from, other);
        reversed_to_natural(other, &scratch.factors);
        for (ab, c) in data.iter_mut().zip(other.iter()) {
            // From 0.4 p to 27.2 p.
            *ab = mul(&ab.carry(), &coset.product.get()).loose().sub(c).plus_p::<26>();
        }
        finish_columns(tile, at, inverse, data);
    }
}

/// Eight columns, row k1 in the place that has k1's bits reversed.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn load_columns(matrix: &[Fr], columns: usize, first: usize, data: &mut [Loose<Fr>]) {
    let bits = data.len().ilog2();
    for (i, element) in data.iter_mut().enumerate() {
        let at = reversed(i, bits) * columns + first;
        *element = gather(eight(matrix, at).each_ref()).loose();
    }
}

/// Eight rows.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn load_rows(rows: &[Fr], data: &mut Vec<Loose<Fr>>) {
    let columns = rows.len() / 8;
    data.resize(columns, Loose::zero());
    let rows: [&[Fr]; 8] = std::array::from_fn(|lane| &rows[lane * columns..(lane + 1) * columns]);
    for (i, element) in data.iter_mut().enumerate() {
        *element = gather(rows.map(|row| &row[i])).loose();
    }
}

fn eight_rows_mut(rows: &mut [Fr]) -> [&mut [Fr]; 8] {
    let columns = rows.len() / 8;
    let mut rest = rows;
    std::array::from_fn(|_| {
        let (row, others) = std::mem::take(&mut rest).split_at_mut(columns);
        rest = others;
        row
    })
}

#[inline]
fn eight(row: &[Fr], first: usize) -> &[Fr; 8] {
    row[first..].first_chunk().expect("rows are cut into eights")
}

#[inline]
fn eight_mut(row: &mut [Fr], first: usize) -> &mut [Fr; 8] {
    row[first..].first_chunk_mut().expect("rows are cut into eights")
}
