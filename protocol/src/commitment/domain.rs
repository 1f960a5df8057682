//! Where account i sits: `x(i) = Π_j (ω_{2^{j+1}})^{i_j}`, the same in every ledger size.

use crate::limits::INDEX_BITS;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, FftField, Field};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use std::sync::OnceLock;

/// `roots()[j]` is the primitive `2^(j+1)`-th root of unity that bit j of an index contributes;
/// `ω_{2^28} = 5^((r−1)/2^28)` and each is the square of the next.
pub fn roots() -> &'static [Fr; INDEX_BITS as usize] {
    static ROOTS: OnceLock<[Fr; INDEX_BITS as usize]> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut out = [Fr::ZERO; INDEX_BITS as usize];
        let mut root = Fr::TWO_ADIC_ROOT_OF_UNITY;
        for slot in out.iter_mut().rev() {
            *slot = root;
            root.square_in_place();
        }
        out
    })
}

/// The domain point of index `i < 2^28`.
pub fn point(i: u32) -> Fr {
    roots()
        .iter()
        .enumerate()
        .filter(|(j, _)| i >> j & 1 == 1)
        .fold(Fr::ONE, |x, (_, root)| x * root)
}

/// `bitrev_k(i)`: account i of a ledger of `2^k` sits at `ω_n^bitrev_k(i)`.
pub fn bit_reverse(i: usize, k: u8) -> usize {
    if k == 0 {
        return 0;
    }
    i.reverse_bits() >> (usize::BITS - u32::from(k))
}

/// The domain of `2^k` points in the order of powers of `ω_n`.
pub fn evaluation_domain(k: u8) -> Radix2EvaluationDomain<Fr> {
    Radix2EvaluationDomain::new(1 << k).expect("k is at most 28, BN254's two-adicity")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::PrimeField;

    #[test]
    fn the_largest_root_is_five_to_the_cofactor() {
        let exponent = -Fr::ONE / Fr::from(1u64 << 28);
        assert_eq!(roots()[27], Fr::from(5u64).pow(exponent.into_bigint()));
    }

    #[test]
    fn an_account_keeps_its_point_when_the_ledger_grows() {
        for k in [3u8, 4, 10] {
            let domain = evaluation_domain(k);
            for i in [1usize, 2, 3, 5, 7] {
                assert_eq!(domain.element(bit_reverse(i, k)), point(i as u32));
            }
        }
    }
}
