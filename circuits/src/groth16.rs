//! Groth16 over the recorded constraints: key generation and proof, with concrete types.
//!
//! arkworks does the work; this file only hands it our matrices. Variable order is the builder's:
//! one, public inputs, wires.

use crate::batch::{BatchWitness, synthesize};
use crate::builder::{Builder, Constraint, INPUT_COUNT, Part, Terms};
use ark_bn254::{Bn254, Fr, G1Projective, G2Projective};
use ark_ec::PrimeGroup;
use ark_ff::{AdditiveGroup, Field, PrimeField, UniformRand};
use ark_groth16::r1cs_to_qap::{LibsnarkReduction, R1CSToQAP};
use ark_groth16::{Groth16, ProvingKey};
use ark_poly::EvaluationDomain;
use ark_relations::gr1cs::{
    ConstraintSynthesizer, ConstraintSystemRef, LinearCombination, Matrix, SynthesisError, Variable,
};
use kerros_protocol::batch::Shape;
use kerros_protocol::transcript::Groth16Proof;
use rand::{CryptoRng, RngCore};
use std::cell::Cell;
use std::convert::Infallible;
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// The constraints of a shape.
pub struct Compiled {
    /// Capacities.
    pub shape: Shape,
    /// All constraints in order.
    pub constraints: Vec<Constraint>,
    /// How many under each label.
    pub parts: Vec<Part>,
    /// Variables: one, public inputs and wires.
    pub variables: usize,
}

impl Compiled {
    /// Records the circuit of a shape.
    pub fn new(shape: &Shape) -> Self {
        let mut b = Builder::recording();
        let witness = BatchWitness::empty(shape, 4, Fr::ZERO);
        let challenges = |_| Ok::<_, Infallible>((Fr::from(7u64), Fr::from(11u64)));
        match synthesize(&mut b, shape, &witness, challenges) {
            Ok(_) => {}
            Err(never) => match never {},
        }
        let (constraints, parts, variables) = b.into_constraints();
        Self { shape: *shape, constraints, parts, variables }
    }
    /// blake3 over all matrices: the circuit's identity.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.shape.to_be());
        for constraint in &self.constraints {
            for terms in [&constraint.a, &constraint.b, &constraint.c] {
                hasher.update(&(terms.len() as u64).to_be_bytes());
                for (variable, coefficient) in terms {
                    hasher.update(&variable.to_be_bytes());
                    hasher.update(&kerros_protocol::encoding::fr_to_be(coefficient));
                }
            }
        }
        *hasher.finalize().as_bytes()
    }
    /// A, B and C as arkworks' prover takes them.
    pub fn matrices(&self) -> [Matrix<Fr>; 3] {
        let rows = |pick: fn(&Constraint) -> &Terms| -> Matrix<Fr> {
            let row = |terms: &Terms| terms.iter().map(|(v, c)| (*c, *v as usize)).collect();
            self.constraints.iter().map(|constraint| row(pick(constraint))).collect()
        };
        [rows(|c| &c.a), rows(|c| &c.b), rows(|c| &c.c)]
    }
}

impl ConstraintSynthesizer<Fr> for &Compiled {
    fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
        for _ in 1..INPUT_COUNT {
            let _ = cs.new_input_variable(|| Err(SynthesisError::AssignmentMissing))?;
        }
        for _ in INPUT_COUNT..self.variables {
            let _ = cs.new_witness_variable(|| Err(SynthesisError::AssignmentMissing))?;
        }
        let variable = |v: u32| match v as usize {
            0 => Variable::one(),
            i if i < INPUT_COUNT => Variable::instance(i),
            i => Variable::witness(i - INPUT_COUNT),
        };
        let sum = |terms: &Terms| {
            LinearCombination(terms.iter().map(|(v, c)| (*c, variable(*v))).collect())
        };
        for constraint in &self.constraints {
            cs.enforce_r1cs_constraint(
                || sum(&constraint.a),
                || sum(&constraint.b),
                || sum(&constraint.c),
            )?;
        }
        Ok(())
    }
}

/// Makes a key with random α, β, δ that are forgotten, and `γ = 1` on the standard generators, so
/// that `γ2 = [1]_2` (SPEC.md section 5).
pub fn generate(
    compiled: &Compiled,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<ProvingKey<Bn254>, SynthesisError> {
    let mut secrets = [Fr::rand(rng), Fr::rand(rng), Fr::rand(rng)];
    let [alpha, beta, delta] = secrets;
    assert!(secrets.iter().all(|s| *s != Fr::ZERO) && delta != Fr::ONE, "probability 2^-252");
    let key = Groth16::<Bn254>::generate_parameters_with_qap(
        compiled,
        alpha,
        beta,
        Fr::ONE,
        delta,
        G1Projective::generator(),
        G2Projective::generator(),
        rng,
    );
    secrets.zeroize();
    key
}

/// arkworks' reduction with a stopwatch, so that a proof can report its phases.
struct Timed;

thread_local! {
    static QUOTIENT_TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

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
        let start = Instant::now();
        let quotient = LibsnarkReduction::witness_map_from_matrices::<F, D>(
            matrices,
            num_inputs,
            num_constraints,
            full_assignment,
        );
        QUOTIENT_TIME.set(start.elapsed());
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

type QapInstance<F> = (Vec<F>, Vec<F>, Vec<F>, F, usize, usize);

/// A proof and how long its two phases took.
pub struct Timing {
    /// Sparse products and FFTs.
    pub quotient: Duration,
    /// Multi-scalar multiplications.
    pub msm: Duration,
}

/// A zero-knowledge proof of a full assignment. That the assignment satisfies the constraints is
/// not checked here: the caller verifies the proof.
pub fn prove(
    key: &ProvingKey<Bn254>,
    matrices: &[Matrix<Fr>; 3],
    assignment: &[Fr],
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<(Groth16Proof, Timing), SynthesisError> {
    let (r, s) = (Fr::rand(rng), Fr::rand(rng));
    let start = Instant::now();
    let proof = Groth16::<Bn254, Timed>::create_proof_with_reduction_and_matrices(
        key,
        r,
        s,
        matrices,
        INPUT_COUNT,
        matrices[0].len(),
        assignment,
    )?;
    let quotient = QUOTIENT_TIME.get();
    let timing = Timing { quotient, msm: start.elapsed().saturating_sub(quotient) };
    Ok((Groth16Proof { a: proof.a, b: proof.b, c: proof.c }, timing))
}
