//! arkworks' own prover behind the same interface: what ours is compared with. The service never runs it.

use crate::basis::Basis;
use crate::groth16::Groth16 as Groth16Keys;
use crate::keys::ProverKeys;
use crate::phases::{Groth16Phases, Spent, Watch};
use crate::prove::{Backend, ProveError};
use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Projective};
use ark_ec::{CurveGroup, VariableBaseMSM};
use ark_ff::{FftField, PrimeField, batch_inversion};
use ark_groth16::r1cs_to_qap::{LibsnarkReduction, R1CSToQAP};
use ark_groth16::{Groth16, ProvingKey};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use ark_relations::gr1cs::{ConstraintSystemRef, Matrix, SynthesisError};
use kerros_circuits::builder::INPUT_COUNT;
use kerros_protocol::commitment::{SrsError, evaluation_domain};
use kerros_protocol::transcript::Groth16Proof;
use std::cell::Cell;

/// Key, matrices and Lagrange points as arkworks has them.
pub struct Stock {
    key: ProvingKey<Bn254>,
    matrices: [Matrix<Fr>; 3],
    basis: StockBasis,
}

/// The openings' arithmetic by arkworks.
pub struct StockBasis {
    domain: Radix2EvaluationDomain<Fr>,
    coset: Radix2EvaluationDomain<Fr>,
    lagrange: Vec<G1Affine>,
}

impl StockBasis {
    /// For a ledger of `2^k`, with `[L_i(τ)]_1` by index.
    pub fn new(k: u8, lagrange: Vec<G1Affine>) -> Self {
        let domain = evaluation_domain(k);
        let coset = domain.get_coset(Fr::GENERATOR).expect("the generator is not 0");
        Self { domain, coset, lagrange }
    }
}

impl Basis for StockBasis {
    fn fft(&self, values: &mut Vec<Fr>) {
        self.domain.fft_in_place(values);
    }
    fn ifft(&self, values: &mut Vec<Fr>) {
        self.domain.ifft_in_place(values);
    }
    fn coset_fft(&self, values: &mut Vec<Fr>) {
        self.coset.fft_in_place(values);
    }
    fn coset_ifft(&self, values: &mut Vec<Fr>) {
        self.coset.ifft_in_place(values);
    }
    fn invert(&self, values: &mut [Fr]) {
        batch_inversion(values);
    }
    fn commit(&self, values: &[Fr]) -> G1Affine {
        G1Projective::msm_unchecked(&self.lagrange, values).into_affine()
    }
}

/// arkworks' reduction with a stopwatch.
struct Timed;

thread_local! {
    static QUOTIENT: Cell<Spent> = const { Cell::new(Spent::NONE) };
}

type QapInstance<F> = (Vec<F>, Vec<F>, Vec<F>, F, usize, usize);

impl R1CSToQAP for Timed {
    fn instance_map_with_evaluation<F: PrimeField, D: EvaluationDomain<F>>(
        cs: ConstraintSystemRef<F>,
        t: &F,
    ) -> Result<QapInstance<F>, SynthesisError> {
        LibsnarkReduction::instance_map_with_evaluation::<F, D>(cs, t)
    }
    fn witness_map_from_matrices<F: PrimeField, D: EvaluationDomain<F>>(
        matrices: &[Matrix<F>],
        num_inputs: usize,
        num_constraints: usize,
        full_assignment: &[F],
    ) -> Result<Vec<F>, SynthesisError> {
        let (quotient, spent) = Watch::of(|| {
            LibsnarkReduction::witness_map_from_matrices::<F, D>(
                matrices,
                num_inputs,
                num_constraints,
                full_assignment,
            )
        });
        QUOTIENT.set(spent);
        quotient
    }
    fn h_query_scalars<F: PrimeField, D: EvaluationDomain<F>>(
        max_power: usize,
        t: F,
        zt: F,
        delta_inverse: F,
    ) -> Result<Vec<F>, SynthesisError> {
        LibsnarkReduction::h_query_scalars::<F, D>(max_power, t, zt, delta_inverse)
    }
}

impl Stock {
    /// The same key, matrices and points in arkworks' types, copied; for ledgers of `2^k`.
    pub fn of(keys: &ProverKeys, k: u8) -> Result<Self, SrsError> {
        let Groth16Keys { key, matrices, .. } = &keys.groth16;
        Ok(Self {
            key: key.to_arkworks(&keys.verification),
            matrices: [0, 1, 2].map(|i| matrices[i].to_arkworks()),
            basis: StockBasis::new(k, keys.points(k)?.lagrange.to_vec()),
        })
    }
    /// What each multiplication of a proof takes by itself, in the order of [`Groth16Phases::EACH`]:
    /// arkworks does not tell them apart.
    pub fn multiplications(&self, assignment: &[Fr]) -> Result<[Spent; 5], SynthesisError> {
        let h = LibsnarkReduction::witness_map_from_matrices::<Fr, Radix2EvaluationDomain<Fr>>(
            &self.matrices,
            INPUT_COUNT,
            self.matrices[0].len(),
            assignment,
        )?;
        let (key, wires) = (&self.key, &assignment[INPUT_COUNT..]);
        let g1 = |points: &[G1Affine], scalars: &[Fr]| {
            Watch::of(|| G1Projective::msm_unchecked(points, scalars)).1
        };
        Ok([
            g1(&key.a_query, assignment),
            g1(&key.b_g1_query, assignment),
            Watch::of(|| G2Projective::msm_unchecked(&key.b_g2_query, assignment)).1,
            g1(&key.l_query, wires),
            g1(&key.h_query, &h),
        ])
    }
}

impl Backend for Stock {
    fn basis(&self) -> &dyn Basis {
        &self.basis
    }
    fn groth16(
        &self,
        assignment: &[Fr],
        [r, s]: [Fr; 2],
    ) -> Result<(Groth16Proof, Groth16Phases), ProveError> {
        let (proof, spent) = Watch::of(|| {
            Groth16::<Bn254, Timed>::create_proof_with_reduction_and_matrices(
                &self.key,
                r,
                s,
                &self.matrices,
                INPUT_COUNT,
                self.matrices[0].len(),
                assignment,
            )
        });
        let (proof, fft) = (proof?, QUOTIENT.get());
        let proof = Groth16Proof { a: proof.a, b: proof.b, c: proof.c };
        Ok((proof, Groth16Phases { fft, msm: spent.without(fft), each: None }))
    }
}
