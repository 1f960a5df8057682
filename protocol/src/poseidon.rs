//! Poseidon over BN254's Fr exactly as circomlib has it, and the sponge that makes `h`.
//!
//! Parameters: 8 full rounds, `R_P` per width from the Poseidon paper's script (security 128),
//! α = 5, constants from the Grain LFSR. `hash(inputs)` has state `[0, inputs…]` and returns word
//! 0 (Grassi et al., USENIX Security 2021; circomlib `poseidon.circom`). The gadget in
//! `kerros-circuits` mirrors [`permute`] and [`sponge`].

use ark_bn254::Fr;
use ark_crypto_primitives::sponge::poseidon::find_poseidon_ark_and_mds;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use std::sync::OnceLock;

/// Full rounds of every width, half before and half after the partial rounds.
pub const FULL_ROUNDS: usize = 8;
/// Partial rounds for widths t = 2 … 17.
pub const PARTIAL_ROUNDS: [usize; 16] =
    [56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68];
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
pub fn sbox(x: Fr) -> Fr {
    x.square().square() * x
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
    fn permute<const T: usize>(&self, state: &mut [Fr; T]) {
        for (round, constants) in self.constants.iter().enumerate() {
            for (word, constant) in state.iter_mut().zip(constants) {
                *word += constant;
            }
            let boxes = if self.is_full(round) { T } else { 1 };
            for word in &mut state[..boxes] {
                *word = sbox(*word);
            }
            let mut next = [Fr::ZERO; T];
            for (word, row) in next.iter_mut().zip(&self.mds) {
                let row: &[Fr; T] = row[..].try_into().expect("the matrix is T by T");
                *word = Fr::sum_of_products(row, state);
            }
            *state = next;
        }
    }
}

fn first_word<const T: usize>(initial: Fr, inputs: &[Fr]) -> Fr {
    let mut state = [Fr::ZERO; T];
    state[0] = initial;
    state[1..].copy_from_slice(inputs);
    parameters(T).permute(&mut state);
    state[0]
}

/// Word 0 of the permutation of `[initial, inputs…]`, 1 ≤ inputs ≤ 16 (circomlib `PoseidonEx`
/// with one output).
pub fn permute(initial: Fr, inputs: &[Fr]) -> Fr {
    match inputs.len() {
        1 => first_word::<2>(initial, inputs),
        2 => first_word::<3>(initial, inputs),
        3 => first_word::<4>(initial, inputs),
        4 => first_word::<5>(initial, inputs),
        5 => first_word::<6>(initial, inputs),
        6 => first_word::<7>(initial, inputs),
        7 => first_word::<8>(initial, inputs),
        8 => first_word::<9>(initial, inputs),
        9 => first_word::<10>(initial, inputs),
        10 => first_word::<11>(initial, inputs),
        11 => first_word::<12>(initial, inputs),
        12 => first_word::<13>(initial, inputs),
        13 => first_word::<14>(initial, inputs),
        14 => first_word::<15>(initial, inputs),
        15 => first_word::<16>(initial, inputs),
        16 => first_word::<17>(initial, inputs),
        n => panic!("Poseidon takes 1 to {INPUTS_MAX} inputs, not {n}"),
    }
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
    use ark_ff::MontFp;

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
    fn the_sponge_pads_only_the_last_block() {
        let elements: Vec<Fr> = (1..=17u64).map(Fr::from).collect();
        let carried = permute(Fr::from(9u64), &elements[..16]);
        let mut last = [Fr::ZERO; 16];
        last[0] = elements[16];
        assert_eq!(sponge(Fr::from(9u64), &elements), permute(carried, &last));
    }
}
