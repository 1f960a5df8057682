//! The key of a circuit before anybody contributed to phase 2: δ is 1.
//!
//! It follows from the circuit and phase 1 alone, byte by byte as `snarkjs groth16 setup` makes it, so that
//! everybody can make it again.

use crate::error::FormatError;
use crate::point::Point;
use crate::ptau::{Ptau, Series};
use crate::zkey::{Coefficient, Zkey};
use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, PrimeField};
use blake2::{Blake2b512, Digest};
use kerros_circuits::builder::{Constraint, INPUT_COUNT, Terms};
use kerros_protocol::encoding::{g1_to_be, g2_to_be};
use rayon::prelude::*;
use thiserror::Error;

/// snarkjs hashes the points of H in pieces of this many, and the last piece whole.
const HASHED_AT_ONCE: usize = 1 << 14;
/// From so many terms on a sum is one multi-scalar multiplication.
const MANY: usize = 64;

/// Why there is no such key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InitialError {
    /// Phase 1's bytes are wrong.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Phase 1 is too small.
    #[error("the circuit needs powers of tau up to 2^{need}, the file has 2^{have}")]
    TooSmall {
        /// Least power.
        need: u8,
        /// Power of the file.
        have: u8,
    },
}

/// A column of a matrix: rows with their coefficients.
type Column = Vec<(u32, Fr)>;

fn columns<'a>(rows: impl Iterator<Item = &'a Terms>, variables: usize) -> Vec<Column> {
    let mut columns = vec![Column::new(); variables];
    for (row, terms) in (0u32..).zip(rows) {
        for (variable, value) in terms {
            columns[*variable as usize].push((row, *value));
        }
    }
    columns
}

/// `Σ value·lagrange[row]`.
fn compose<P: Point<ScalarField = Fr, Group: VariableBaseMSM<MulBase = P>>>(
    column: &Column,
    lagrange: &[P],
) -> P::Group {
    if column.len() >= MANY {
        let (bases, scalars): (Vec<P>, Vec<Fr>) =
            column.iter().map(|(row, value)| (lagrange[*row as usize], *value)).unzip();
        return P::Group::msm_unchecked(&bases, &scalars);
    }
    column.iter().fold(P::Group::ZERO, |sum, (row, value)| {
        // Most coefficients are small numbers or their negatives.
        let (point, opposite) = (lagrange[*row as usize], -*value);
        if opposite.into_bigint() < value.into_bigint() {
            sum - point.mul_bigint(opposite.into_bigint())
        } else {
            sum + point.mul_bigint(value.into_bigint())
        }
    })
}

fn affine<P: Point>(points: Vec<P::Group>) -> Vec<P>
where
    P::Group: CurveGroup<Affine = P>,
{
    P::Group::normalize_batch(&points)
}

impl Zkey {
    /// The key of these constraints over a phase 1 that was verified.
    ///
    /// snarkjs would also take a phase 1 of just the domain's size. H is then of the one Lagrange form that cannot be
    /// checked (see [`Ptau::lagrange`]), so this is refused.
    pub fn initial(
        constraints: &[Constraint],
        variables: usize,
        phase1: &Ptau,
        progress: &dyn Fn(&str),
    ) -> Result<Self, InitialError> {
        let rows = constraints.len() + INPUT_COUNT;
        let domain = rows.next_power_of_two();
        let level = domain.trailing_zeros() as u8;
        if level >= phase1.power() {
            return Err(InitialError::TooSmall { need: level + 1, have: phase1.power() });
        }
        progress("Lagrange points");
        let tau1 = phase1.lagrange::<G1Affine>(Series::TauG1, level)?;
        let tau2 = phase1.lagrange::<G2Affine>(Series::TauG2, level)?;
        let alpha = phase1.lagrange::<G1Affine>(Series::AlphaTau, level)?;
        let beta = phase1.lagrange::<G1Affine>(Series::BetaTau, level)?;
        let twice = phase1.lagrange::<G1Affine>(Series::TauG1, level + 1)?;

        let mut a = columns(constraints.iter().map(|c| &c.a), variables);
        let b = columns(constraints.iter().map(|c| &c.b), variables);
        let c = columns(constraints.iter().map(|c| &c.c), variables);
        for (column, row) in a.iter_mut().zip(constraints.len()..rows) {
            column.push((row as u32, Fr::ONE));
        }
        let one = |points: &[G1Affine], columns: &[Column]| {
            affine(columns.par_iter().map(|column| compose(column, points)).collect())
        };
        progress("A");
        let a1 = one(&tau1, &a);
        progress("B");
        let b1 = one(&tau1, &b);
        let b2 = affine(b.par_iter().map(|column| compose(column, &tau2)).collect());
        progress("C");
        let of_variable = |j: usize| -> G1Projective {
            compose(&a[j], &beta) + compose(&b[j], &alpha) + compose(&c[j], &tau1)
        };
        let mut ic: Vec<G1Affine> =
            affine((0..variables).into_par_iter().map(of_variable).collect());
        let c = ic.split_off(INPUT_COUNT);
        let generator2 = G2Affine::generator();
        let mut key = Self {
            alpha1: phase1.single(Series::AlphaTau, 0)?,
            beta1: phase1.single(Series::BetaTau, 0)?,
            beta2: phase1.beta_g2()?,
            gamma2: generator2,
            delta1: G1Affine::generator(),
            delta2: generator2,
            ic,
            coefficients: coefficients(constraints),
            a: a1,
            b1,
            b2,
            c,
            h: twice.into_iter().skip(1).step_by(2).collect(),
            circuit_hash: [0; 64],
            contributions: Vec::new(),
        };
        progress("hash of the circuit");
        key.circuit_hash = key.hash_of_circuit(phase1)?;
        Ok(key)
    }

    /// What snarkjs calls the circuit's hash.
    fn hash_of_circuit(&self, phase1: &Ptau) -> Result<[u8; 64], FormatError> {
        let mut hasher = Blake2b512::new();
        hasher.update(g1_to_be(&self.alpha1));
        hasher.update(g1_to_be(&self.beta1));
        for point in [&self.beta2, &self.gamma2] {
            hasher.update(g2_to_be(point));
        }
        hasher.update(g1_to_be(&self.delta1));
        hasher.update(g2_to_be(&self.delta2));
        hash_g1(&mut hasher, &self.ic, self.ic.len());
        // Of H the hash has τ^(n+i) − τ^i instead: n − 1 of them, or n if they fill pieces.
        let domain = self.domain_size();
        let hashed = if domain > HASHED_AT_ONCE { domain } else { domain - 1 } as u64;
        let low = phase1.powers::<G1Affine>(Series::TauG1, 0, hashed)?;
        let high = phase1.powers::<G1Affine>(Series::TauG1, domain as u64, hashed)?;
        let vanishing: Vec<G1Affine> =
            affine(high.par_iter().zip(&low).map(|(high, low)| *high - low).collect());
        hash_g1(&mut hasher, &vanishing, domain - 1);
        hash_g1(&mut hasher, &self.c, self.c.len());
        hash_g1(&mut hasher, &self.a, self.a.len());
        hash_g1(&mut hasher, &self.b1, self.b1.len());
        hasher.update((self.b2.len() as u32).to_be_bytes());
        self.b2.iter().for_each(|point| hasher.update(g2_to_be(point)));
        Ok(hasher.finalize().into())
    }
}

/// Hashes points after a count, which in snarkjs is not always theirs.
fn hash_g1(hasher: &mut Blake2b512, points: &[G1Affine], count: usize) {
    hasher.update((count as u32).to_be_bytes());
    points.iter().for_each(|point| hasher.update(g1_to_be(point)));
}

/// A and B as provers read them: by constraint, and A's rows of the inputs last.
pub(crate) fn coefficients(constraints: &[Constraint]) -> Vec<Coefficient> {
    let mut out = Vec::new();
    let mut push = |matrix, constraint, terms: &Terms| {
        for (signal, value) in terms {
            out.push(Coefficient { matrix, constraint, signal: *signal, value: *value });
        }
    };
    for (row, constraint) in (0u32..).zip(constraints) {
        push(0, row, &constraint.a);
        push(1, row, &constraint.b);
    }
    let first = constraints.len() as u32;
    for input in 0..INPUT_COUNT as u32 {
        push(0, first + input, &vec![(input, Fr::ONE)]);
    }
    out
}
