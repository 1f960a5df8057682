//! Poseidon with three constraints an S-box and none for the linear layers.
//!
//! Mirrors [`kerros_protocol::poseidon::permute`]. During the partial rounds only one word passes an
//! S-box; the others are linear combinations of earlier S-box outputs whose coefficients depend on
//! the width alone. They are computed once a width (see `Template`). S-boxes of constants cost
//! nothing: 240 constraints for two inputs, 609 for sixteen with a constant first word.

use crate::builder::{Builder, Num};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::poseidon::{FULL_ROUNDS, INPUTS_MAX, Parameters, parameters};
use std::sync::OnceLock;

/// An affine combination of the S-box outputs known so far.
#[derive(Clone)]
struct Affine {
    coefficients: Vec<Fr>,
    constant: Fr,
}

/// Inputs of the partial rounds' S-boxes and of the state after them, over the basis: outputs of
/// the last full round of the first half, then of each partial round.
struct Template {
    partial_inputs: Vec<Affine>,
    after: Vec<Affine>,
}

fn mixed(parameters: &Parameters, state: &[Affine]) -> Vec<Affine> {
    let len = state.iter().map(|word| word.coefficients.len()).max().unwrap_or(0);
    let row = |row: &Vec<Fr>| {
        let mut out = Affine { coefficients: vec![Fr::ZERO; len], constant: Fr::ZERO };
        for (word, factor) in state.iter().zip(row) {
            out.constant += word.constant * factor;
            for (slot, c) in out.coefficients.iter_mut().zip(&word.coefficients) {
                *slot += *c * factor;
            }
        }
        out
    };
    parameters.mds.iter().map(row).collect()
}

fn template(width: usize) -> &'static Template {
    static CACHE: [OnceLock<Template>; INPUTS_MAX] = [const { OnceLock::new() }; INPUTS_MAX];
    CACHE[width - 2].get_or_init(|| {
        let parameters = parameters(width);
        let unit = |i: usize| {
            let mut coefficients = vec![Fr::ZERO; i + 1];
            coefficients[i] = Fr::ONE;
            Affine { coefficients, constant: Fr::ZERO }
        };
        let mut state = mixed(parameters, &(0..width).map(unit).collect::<Vec<_>>());
        let mut partial_inputs = Vec::new();
        for partial in 0..parameters.partial_rounds {
            let constants = &parameters.constants[FULL_ROUNDS / 2 + partial];
            for (word, constant) in state.iter_mut().zip(constants) {
                word.constant += constant;
            }
            partial_inputs.push(std::mem::replace(&mut state[0], unit(width + partial)));
            state = mixed(parameters, &state);
        }
        Template { partial_inputs, after: state }
    })
}

#[track_caller]
fn sbox(b: &mut Builder, x: &Num) -> Num {
    b.within(|b| {
        if x.is_constant() {
            return Num::constant(kerros_protocol::poseidon::sbox(x.value));
        }
        let square = b.mul(x, x);
        let fourth = b.mul(&square, &square);
        b.mul(&fourth, x)
    })
}

#[track_caller]
fn full_round(b: &mut Builder, parameters: &Parameters, round: usize, state: &[Num]) -> Vec<Num> {
    b.within(|b| {
        let constants = &parameters.constants[round];
        state.iter().zip(constants).map(|(word, constant)| sbox(b, &(word + *constant))).collect()
    })
}

fn mix(parameters: &Parameters, state: &[Num]) -> Vec<Num> {
    parameters.mds.iter().map(|row| Num::dot(state, row, Fr::ZERO)).collect()
}

/// Word 0 of the permutation of `[initial, inputs…]`.
#[track_caller]
pub fn permute(b: &mut Builder, initial: &Num, inputs: &[Num]) -> Num {
    b.within(|b| {
        let width = inputs.len() + 1;
        let (parameters, template) = (parameters(width), template(width));
        let half = FULL_ROUNDS / 2;
        let mut state = vec![initial.clone()];
        state.extend_from_slice(inputs);
        for round in 0..half - 1 {
            let boxes = full_round(b, parameters, round, &state);
            state = mix(parameters, &boxes);
        }
        let mut basis = full_round(b, parameters, half - 1, &state);
        for input in &template.partial_inputs {
            let x = Num::dot(&basis, &input.coefficients, input.constant);
            let output = sbox(b, &x);
            basis.push(output);
        }
        let word = |word: &Affine| Num::dot(&basis, &word.coefficients, word.constant);
        state = template.after.iter().map(word).collect();
        for round in half + parameters.partial_rounds..parameters.rounds() {
            let boxes = full_round(b, parameters, round, &state);
            state = if round + 1 < parameters.rounds() {
                mix(parameters, &boxes)
            } else {
                vec![Num::dot(&boxes, &parameters.mds[0], Fr::ZERO)]
            };
        }
        state.swap_remove(0)
    })
}

/// Mirrors [`kerros_protocol::poseidon::hash`].
#[track_caller]
pub fn hash(b: &mut Builder, inputs: &[Num]) -> Num {
    b.within(|b| permute(b, &Num::zero(), inputs))
}

/// Mirrors [`kerros_protocol::poseidon::sponge`].
pub fn sponge(b: &mut Builder, initial: Fr, elements: &[Num]) -> Num {
    elements.chunks(INPUTS_MAX).fold(Num::constant(initial), |carried, chunk| {
        let mut block = chunk.to_vec();
        block.resize(INPUTS_MAX, Num::zero());
        permute(b, &carried, &block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::first_violated;
    use kerros_protocol::poseidon as native;

    #[test]
    fn agrees_with_native_code_at_the_known_cost() {
        for (inputs, cost) in [(2usize, 240), (4, 297), (5, 321), (16, 609)] {
            let values: Vec<Fr> = (1..=inputs as u64).map(Fr::from).collect();
            let mut b = Builder::recording();
            let wires: Vec<Num> = values.iter().map(|v| b.wire(*v)).collect();
            let out = hash(&mut b, &wires);
            assert_eq!(out.value, native::hash(&values));
            assert_eq!(b.constraint_count(), cost, "{inputs} inputs");
            assert_eq!(first_violated(b.constraints(), b.assignment()), None);
        }
    }

    #[test]
    fn every_wire_of_a_hash_is_determined_by_its_inputs() {
        let mut b = Builder::recording();
        let wires = [b.wire(Fr::from(3u64)), b.wire(Fr::from(4u64))];
        let out = hash(&mut b, &wires);
        let public = b.wire(out.value);
        b.enforce_equal(&public, &out);
        for position in crate::builder::INPUT_COUNT..b.assignment().len() {
            let mut assignment = b.assignment().to_vec();
            assignment[position] += Fr::ONE;
            assert!(first_violated(b.constraints(), &assignment).is_some(), "wire {position}");
        }
    }

    #[test]
    fn the_sponge_agrees_with_native_code() {
        let values: Vec<Fr> = (1..=35u64).map(Fr::from).collect();
        let mut b = Builder::recording();
        let wires: Vec<Num> = values.iter().map(|v| b.wire(*v)).collect();
        let out = sponge(&mut b, Fr::from(99u64), &wires);
        assert_eq!(out.value, native::sponge(Fr::from(99u64), &values));
    }
}
