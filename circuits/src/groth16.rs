//! The recorded constraints of a shape, and Groth16's key generation over them.
//!
//! arkworks makes the key; this file only hands it our matrices. Variable order is the builder's:
//! one, public inputs, wires.

use crate::batch::{BatchWitness, synthesize};
use crate::builder::{Builder, Constraint, INPUT_COUNT, Part, Terms};
use crate::matrix::SparseMatrix;
use ark_bn254::{Bn254, Fr, G1Projective, G2Projective};
use ark_ec::PrimeGroup;
use ark_ff::{AdditiveGroup, Field, UniformRand};
use ark_groth16::{Groth16, ProvingKey};
use ark_relations::gr1cs::{
    ConstraintSynthesizer, ConstraintSystemRef, LinearCombination, SynthesisError, Variable,
};
use kerros_protocol::batch::Shape;
use rand::{CryptoRng, RngCore};
use std::convert::Infallible;
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
    /// Size of the quotient's domain: a row for every constraint and every input.
    pub fn domain_size(&self) -> usize {
        (self.constraints.len() + INPUT_COUNT).next_power_of_two()
    }
    /// A, B and C.
    pub fn matrices(&self) -> [SparseMatrix; 3] {
        let rows =
            |pick: fn(&Constraint) -> &Terms| SparseMatrix::new(self.constraints.iter().map(pick));
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
