//! Poseidon over BN254's Fr exactly as circomlib has it, and the sponge that makes `h`.
//!
//! Parameters: 8 full rounds, `R_P` per width from the Poseidon paper's script (security 128),
//! α = 5, constants from the Grain LFSR. `hash(inputs)` has state `[0, inputs…]` and returns word
//! 0 (Grassi et al., USENIX Security 2021; circomlib `poseidon.circom`). The gadget in
//! `kerros-circuits` mirrors [`permute`] and [`sponge`]. Native hashing rearranges the partial rounds
//! (`partial`), with equal output.

mod partial;

use crate::montgomery::{fifth_power, sum_of_products};
use ark_bn254::Fr;
use ark_crypto_primitives::sponge::poseidon::find_poseidon_ark_and_mds;
use ark_ff::{AdditiveGroup, PrimeField};
use partial::Recurrence;
use std::sync::OnceLock;

/// Full rounds of every width, half before and half after the partial rounds.
pub const FULL_ROUNDS: usize = 8;
/// Partial rounds for widths t = 2 … 17.
pub const PARTIAL_ROUNDS: [usize; 16] =
    [56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68];
/// The greatest of [`PARTIAL_ROUNDS`].
const PARTIAL_ROUNDS_MAX: usize = 70;
/// Greatest number of inputs of one permutation.
pub const INPUTS_MAX: usize = 16;

/// Constants of one width.
pub struct Parameters {
    /// Width of the state.
    pub width: usize,
    /// Number of partial rounds.
    pub partial_rounds: usize,
    /// Round constants, `round[width]`.
    pub constants: Vec<Vec<Fr>>,
    /// MDS matrix; `new[i] = Σ_j mds[i][j]·old[j]`.
    pub mds: Vec<Vec<Fr>>,
}

/// The constants for a state of `width` words, 2 ≤ width ≤ 17.
pub fn parameters(width: usize) -> &'static Parameters {
    static CACHE: [OnceLock<Parameters>; 16] = [const { OnceLock::new() }; 16];
    assert!((2..=INPUTS_MAX + 1).contains(&width), "no Poseidon of width {width}");
    CACHE[width - 2].get_or_init(|| {
        let partial_rounds = PARTIAL_ROUNDS[width - 2];
        let (constants, mds) = find_poseidon_ark_and_mds::<Fr>(
            u64::from(Fr::MODULUS_BIT_SIZE),
            width - 1,
            FULL_ROUNDS as u64,
            partial_rounds as u64,
            0,
        );
        Parameters { width, partial_rounds, constants, mds }
    })
}

/// x^5.
#[inline]
pub fn sbox(x: Fr) -> Fr {
    fifth_power(x)
}

impl Parameters {
    /// Whether `round` applies the S-box to the whole state.
    pub fn is_full(&self, round: usize) -> bool {
        let half = FULL_ROUNDS / 2;
        round < half || round >= half + self.partial_rounds
    }
    /// Rounds of the permutation.
    pub fn rounds(&self) -> usize {
        FULL_ROUNDS + self.partial_rounds
    }
    /// The permutation as the paper states it: the oracle of the tests.
    #[cfg(test)]
    fn permute_plainly(&self, state: &mut [Fr]) {
        for (round, constants) in self.constants.iter().enumerate() {
            for (word, constant) in state.iter_mut().zip(constants) {
                *word += constant;
            }
            let boxes = if self.is_full(round) { self.width } else { 1 };
            for word in &mut state[..boxes] {
                *word = sbox(*word);
            }
            let dot = |row: &Vec<Fr>| row.iter().zip(&*state).map(|(m, word)| *m * word).sum();
            let next: Vec<Fr> = self.mds.iter().map(dot).collect();
            state.copy_from_slice(&next);
        }
    }
}

/// The permutation of one width `T = N + 1`, arranged for speed; equal to the plain rounds.
struct Permutation<const T: usize, const N: usize> {
    mds: [[Fr; T]; T],
    /// Constants of the full rounds; those behind the partial rounds come from the recurrence.
    full: [[Fr; T]; FULL_ROUNDS],
    partial: Recurrence<T, N>,
}

impl<const T: usize, const N: usize> Permutation<T, N> {
    fn derive(parameters: &Parameters) -> Self {
        let partial = Recurrence::derive(parameters);
        let half = FULL_ROUNDS / 2;
        let full = std::array::from_fn(|round| match round {
            round if round < half => partial::array(parameters.constants[round].clone()),
            round if round == half => partial.exit_constants,
            round => {
                partial::array(parameters.constants[round + parameters.partial_rounds].clone())
            }
        });
        Self { mds: partial::square(parameters.mds.clone()), full, partial }
    }

    /// Constants and S-boxes of a full round.
    fn substitute(&self, round: usize, state: &mut [Fr; T]) {
        for (word, constant) in state.iter_mut().zip(&self.full[round]) {
            *word = sbox(*word + constant);
        }
    }

    /// Word 0 of the permuted state.
    fn first_word(&self, mut state: [Fr; T]) -> Fr {
        let half = FULL_ROUNDS / 2;
        for round in 0..half {
            self.substitute(round, &mut state);
            state = mix(if round + 1 < half { &self.mds } else { &self.partial.entry }, &state);
        }
        state = self.partial_rounds(&state);
        for round in half..FULL_ROUNDS - 1 {
            self.substitute(round, &mut state);
            state = mix(&self.mds, &state);
        }
        self.substitute(FULL_ROUNDS - 1, &mut state);
        sum_of_products(&self.mds[0], &state)
    }

    fn partial_rounds(&self, state: &[Fr; T]) -> [Fr; T] {
        // The shift register grows downwards through `register`, so that nothing is moved:
        // `register[at..at + N]` holds it.
        let mut register = [Fr::ZERO; INPUTS_MAX + PARTIAL_ROUNDS_MAX];
        let mut at = self.partial.rounds.len() + 1;
        register[at..at + N].copy_from_slice(&state[1..]);
        let mut x = state[0];
        for round in &self.partial.rounds {
            let held: &[Fr; N] = window(&register, at);
            let output = sum_of_products(held, &round.output);
            let feedback = sum_of_products(held, &round.feedback);
            let y = sbox(x + round.constant);
            x = y + output;
            at -= 1;
            register[at] = y + feedback;
        }
        at -= 1;
        register[at] = sbox(x + self.partial.last_constant);
        mix(&self.partial.exit, window(&register, at))
    }
}

fn window<const N: usize>(register: &[Fr], at: usize) -> &[Fr; N] {
    register[at..at + N].try_into().expect("N words")
}

fn mix<const T: usize>(matrix: &[[Fr; T]; T], state: &[Fr; T]) -> [Fr; T] {
    matrix.each_ref().map(|row| sum_of_products(row, state))
}

macro_rules! permutations {
    ($initial:ident, $inputs:ident, $($n:literal $t:literal),*) => {
        match $inputs.len() {
            $($n => {
                static CACHE: OnceLock<Permutation<$t, $n>> = OnceLock::new();
                let permutation = CACHE.get_or_init(|| Permutation::derive(parameters($t)));
                let mut state = [Fr::ZERO; $t];
                state[0] = $initial;
                state[1..].copy_from_slice($inputs);
                permutation.first_word(state)
            })*
            n => panic!("Poseidon takes 1 to {INPUTS_MAX} inputs, not {n}"),
        }
    };
}

/// Word 0 of the permutation of `[initial, inputs…]`, 1 ≤ inputs ≤ 16 (circomlib `PoseidonEx`
/// with one output).
pub fn permute(initial: Fr, inputs: &[Fr]) -> Fr {
    permutations!(
        initial, inputs, 1 2, 2 3, 3 4, 4 5, 5 6, 6 7, 7 8, 8 9, 9 10, 10 11, 11 12, 12 13, 13 14,
        14 15, 15 16, 16 17
    )
}

/// circomlib's `Poseidon(n)`.
pub fn hash(inputs: &[Fr]) -> Fr {
    permute(Fr::ZERO, inputs)
}

/// Absorbs `elements` 16 at a time, carrying word 0; zero-padded at the end only. The number of
/// elements must be fixed by whatever `initial` names (SPEC.md section 6).
pub fn sponge(initial: Fr, elements: &[Fr]) -> Fr {
    elements.chunks(INPUTS_MAX).fold(initial, |carried, chunk| {
        let mut block = [Fr::ZERO; INPUTS_MAX];
        block[..chunk.len()].copy_from_slice(chunk);
        permute(carried, &block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::{Field, MontFp, UniformRand};

    #[test]
    fn agrees_with_circomlibjs_at_two_and_sixteen_inputs() {
        let inputs: Vec<Fr> = (1..=16u64).map(Fr::from).collect();
        let sixteen: Fr =
            MontFp!("9989051620750914585850546081941653841776809718687451684622678807385399211877");
        let two: Fr =
            MontFp!("7853200120776062878684798364095072458815029376092732009249414926327459813530");
        assert_eq!(hash(&inputs), sixteen);
        assert_eq!(hash(&inputs[..2]), two);
    }

    #[test]
    fn the_fast_rounds_equal_the_plain_ones_at_every_width() {
        let mut rng = rand::thread_rng();
        let greatest = -Fr::ONE;
        for width in 2..=INPUTS_MAX + 1 {
            assert!(parameters(width).partial_rounds <= PARTIAL_ROUNDS_MAX);
            for case in 0..50 {
                let mut state: Vec<Fr> = match case {
                    0 => vec![Fr::ZERO; width],
                    1 => vec![greatest; width],
                    _ => (0..width).map(|_| Fr::rand(&mut rng)).collect(),
                };
                let fast = permute(state[0], &state[1..]);
                parameters(width).permute_plainly(&mut state);
                assert_eq!(fast, state[0], "width {width}, case {case}");
            }
        }
    }

    #[test]
    fn the_sponge_pads_only_the_last_block() {
        let elements: Vec<Fr> = (1..=17u64).map(Fr::from).collect();
        let carried = permute(Fr::from(9u64), &elements[..16]);
        let mut last = [Fr::ZERO; 16];
        last[0] = elements[16];
        assert_eq!(sponge(Fr::from(9u64), &elements), permute(carried, &last));
    }

    #[test]
    fn extreme_words_at_every_width() {
        use ark_ff::BigInteger256;
        let raw = |l: [u64; 4]| Fr::new_unchecked(BigInteger256::new(l));
        let m = Fr::MODULUS.0;
        let special = [
            Fr::ZERO,
            Fr::ONE,
            -Fr::ONE,
            raw([1, 0, 0, 0]),
            raw([m[0] - 1, m[1], m[2], m[3]]),
            raw([u64::MAX, u64::MAX, u64::MAX, m[3] - 1]),
            raw([0, 0, 0, m[3]]),
            raw([u64::MAX, 0, u64::MAX, 0]),
            raw([0, u64::MAX, 0, m[3] - 1]),
            raw([m[0] / 2 + 1, m[1], m[2], m[3] / 2]),
        ];
        let mut rng = rand::thread_rng();
        for width in 2..=INPUTS_MAX + 1 {
            // minus the round constants too: S-boxes at 0
            let minus: Vec<Fr> = parameters(width).constants[0].iter().map(|c| -*c).collect();
            let mut states: Vec<Vec<Fr>> = special.iter().map(|s| vec![*s; width]).collect();
            states.push(minus);
            for k in 0..200usize {
                use rand::Rng;
                let mut state = vec![Fr::ZERO; width];
                for w in &mut state {
                    *w = if k % 3 == 0 && rng.gen_bool(0.3) {
                        Fr::rand(&mut rng)
                    } else {
                        special[rng.gen_range(0..special.len())]
                    };
                }
                states.push(state);
            }
            for state in states {
                let mut plain = state.clone();
                parameters(width).permute_plainly(&mut plain);
                let fast = permute(state[0], &state[1..]);
                assert_eq!(fast.0, plain[0].0);
                assert!(fast.into_bigint() < Fr::MODULUS && fast.0 < Fr::MODULUS);
            }
        }
    }
}
