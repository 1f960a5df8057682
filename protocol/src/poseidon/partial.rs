//! The partial rounds as a linear recurrence, derived from the plain parameters at first use.
//!
//! A partial round passes only word 0 through the S-box; with `M = [[c, D], [b, A]]` it is
//! `y = (x + k)^5`, `(x, w) ← (c·y + D·w, b·y + A·w)`: a linear system with state w, input y and
//! output x, the same in every round. The Poseidon paper (appendix B) factors the matrix into
//! sparse ones, 2t − 1 products a round of which t are reduced alone. Here the state is written in
//! the controller canonical form instead: in the basis P with `P⁻¹b = e_1` and `P⁻¹AP` the
//! companion matrix of A's characteristic polynomial, w is a shift register of the recurrence
//! `new = y + Σ a_k·w_k`, and `x ← c·y + Σ (DP)_k·w_k`. Scaling x by γ and the register's newest
//! word by γ^5, with `γ' = c·γ^5` for the next round, turns c into 1: a round is two scalar
//! products of t − 1 terms with constants of its own, neither of which waits for the S-box. The
//! change of basis into P joins the matrix of the full round before, the one back joins the last
//! partial round. Round constants on w move into word 0 of the following rounds and into the full
//! round behind.

use super::{FULL_ROUNDS, Parameters};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};

/// A partial round but the last: `y = (x + constant)^5`, `x = y + Σ output_k·w_k`,
/// `new = y + Σ feedback_k·w_k`.
pub(super) struct Round<const N: usize> {
    pub(super) constant: Fr,
    pub(super) output: [Fr; N],
    pub(super) feedback: [Fr; N],
}

/// Constants of one width `T = N + 1` in controller form.
pub(super) struct Recurrence<const T: usize, const N: usize> {
    /// Replaces the matrix of the full round before the partial ones.
    pub(super) entry: [[Fr; T]; T],
    pub(super) rounds: Vec<Round<N>>,
    /// What word 0 gains before the last partial round's S-box.
    pub(super) last_constant: Fr,
    /// Replaces the matrix of the last partial round.
    pub(super) exit: [[Fr; T]; T],
    /// Replaces the constants of the full round behind the partial ones.
    pub(super) exit_constants: [Fr; T],
}

type Matrix = Vec<Vec<Fr>>;

fn times_vector(matrix: &Matrix, vector: &[Fr]) -> Vec<Fr> {
    matrix.iter().map(|row| dot(row, vector)).collect()
}

fn dot(a: &[Fr], b: &[Fr]) -> Fr {
    a.iter().zip(b).map(|(a, b)| *a * b).sum()
}

/// The matrix with these columns.
fn from_columns(columns: &[Vec<Fr>]) -> Matrix {
    (0..columns.len()).map(|i| columns.iter().map(|column| column[i]).collect()).collect()
}

/// Solves `matrix·X = right` by elimination.
fn solve(mut matrix: Matrix, mut right: Matrix) -> Matrix {
    let size = matrix.len();
    for column in 0..size {
        let pivot = (column..size)
            .find(|row| matrix[*row][column] != Fr::ZERO)
            .expect("every width's matrix is controllable from word 0, which a test checks");
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let inverse = matrix[column][column].inverse().expect("the pivot is not 0");
        for value in matrix[column].iter_mut().chain(&mut right[column]) {
            *value *= inverse;
        }
        let (pivot_row, pivot_right) = (matrix[column].clone(), right[column].clone());
        for row in (0..size).filter(|row| *row != column) {
            let factor = matrix[row][column];
            for (value, pivot) in matrix[row].iter_mut().zip(&pivot_row) {
                *value -= factor * pivot;
            }
            for (value, pivot) in right[row].iter_mut().zip(&pivot_right) {
                *value -= factor * pivot;
            }
        }
    }
    right
}

impl<const T: usize, const N: usize> Recurrence<T, N> {
    pub(super) fn derive(parameters: &Parameters) -> Self {
        const { assert!(T == N + 1) };
        let mds = &parameters.mds;
        let a: Matrix = mds[1..].iter().map(|row| row[1..].to_vec()).collect();
        let b: Vec<Fr> = mds[1..].iter().map(|row| row[0]).collect();
        let (c, d) = (mds[0][0], &mds[0][1..]);

        // Cayley–Hamilton: A^N b = Σ a_k·A^(N−k) b.
        let mut krylov = vec![b.clone()];
        for power in 0..N {
            krylov.push(times_vector(&a, &krylov[power]));
        }
        let highest = krylov.pop().expect("N + 1 vectors");
        krylov.reverse();
        let target = highest.into_iter().map(|value| vec![value]).collect();
        let feedback: Vec<Fr> = solve(from_columns(&krylov), target).concat();
        // P·e_1 = b and A·P·e_k = P·(a_k·e_1 + e_(k+1)).
        let mut columns = vec![b.clone()];
        for k in 0..N - 1 {
            let next = times_vector(&a, &columns[k]);
            columns.push(next.iter().zip(&b).map(|(next, b)| *next - feedback[k] * b).collect());
        }
        let basis = from_columns(&columns);

        let lower = solve(basis, mds[1..].to_vec());
        let entry = std::iter::once(mds[0].clone()).chain(lower).collect();
        let output = std::iter::once(c).chain(columns.iter().map(|column| dot(d, column)));
        let output: Vec<Fr> = output.collect();
        let images: Vec<Vec<Fr>> = columns.iter().map(|column| times_vector(&a, column)).collect();
        let exit_lower = from_columns(&images).into_iter().zip(&b);
        let exit_lower = exit_lower.map(|(row, b)| std::iter::once(*b).chain(row).collect());
        let mut exit: Matrix = std::iter::once(output.clone()).chain(exit_lower).collect();

        let half = FULL_ROUNDS / 2;
        let plain = &parameters.constants[half..=half + parameters.partial_rounds];
        let (mut on_x, mut on_w) = (Fr::ZERO, vec![Fr::ZERO; N]);
        let mut constants = Vec::with_capacity(parameters.partial_rounds);
        for round in &plain[..parameters.partial_rounds] {
            constants.push(on_x + round[0]);
            let gained: Vec<Fr> = on_w.iter().zip(&round[1..]).map(|(w, k)| *w + k).collect();
            on_x = dot(d, &gained);
            on_w = times_vector(&a, &gained);
        }
        let offset = std::iter::once(on_x).chain(on_w);
        let exit_constants: Vec<Fr> =
            offset.zip(&plain[parameters.partial_rounds]).map(|(w, k)| w + k).collect();

        // Scale of x, and scales of the register's words, newest first.
        let (mut gamma, mut scales) = (Fr::ONE, vec![Fr::ONE; N]);
        let last = constants.len() - 1;
        let mut rounds = Vec::with_capacity(last);
        for constant in &constants[..last] {
            let scale = super::sbox(gamma);
            let next_gamma = c * scale;
            let scaled = |row: &[Fr], by: Fr| {
                let by = by.inverse().expect("a scale is a product of powers of c, which is not 0");
                array(row.iter().zip(&scales).map(|(value, scale)| *value * scale * by).collect())
            };
            rounds.push(Round {
                constant: *constant / gamma,
                output: scaled(&output[1..], next_gamma),
                feedback: scaled(&feedback, scale),
            });
            scales.insert(0, scale);
            scales.truncate(N);
            gamma = next_gamma;
        }
        scales.insert(0, super::sbox(gamma));
        for row in &mut exit {
            for (value, scale) in row.iter_mut().zip(&scales) {
                *value *= scale;
            }
        }
        Self {
            entry: square(entry),
            rounds,
            last_constant: constants[last] / gamma,
            exit: square(exit),
            exit_constants: array(exit_constants),
        }
    }
}

pub(super) fn array<const N: usize>(values: Vec<Fr>) -> [Fr; N] {
    values.try_into().expect("as many values as words")
}

pub(super) fn square<const T: usize>(matrix: Matrix) -> [[Fr; T]; T] {
    let rows: Vec<[Fr; T]> = matrix.into_iter().map(array).collect();
    rows.try_into().expect("as many rows as words")
}
