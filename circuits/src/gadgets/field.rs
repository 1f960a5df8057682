//! Domain point of an index, and the value of a fee float.

use crate::builder::{Builder, Num};
use ark_bn254::Fr;
use ark_ff::Field;
use kerros_protocol::commitment::roots;

/// `x(i) = Π_j (1 + i_j·(ω_{2^{j+1}} − 1))` from the bits of an index (low first): mirrors
/// [`kerros_protocol::commitment::point`]. Assumes that the bits are boolean.
#[track_caller]
pub fn point(b: &mut Builder, index_bits: &[Num]) -> Num {
    b.within(|b| {
        let mut x = Num::one();
        for (bit, root) in index_bits.iter().zip(roots()) {
            let factor = &Num::one() + &(bit * (*root - Fr::ONE));
            x = b.mul(&x, &factor);
        }
        x
    })
}

/// `mantissa·10^exponent` from the 16 bits of a fee (low first; the exponent is the low 5): mirrors
/// [`kerros_protocol::amount::Fee::value`]. Assumes that the bits are boolean; below 2^115.
#[track_caller]
pub fn fee_value(b: &mut Builder, fee_bits: &[Num]) -> Num {
    b.within(|b| {
        let (exponent, mantissa) = fee_bits.split_at(5);
        let mut power = Num::one();
        let mut ten = Fr::from(10u64);
        for bit in exponent {
            let factor = &Num::one() + &(bit * (ten - Fr::ONE));
            power = b.mul(&power, &factor);
            ten.square_in_place();
        }
        b.mul(&power, &Num::from_bits(mantissa))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gadgets::bits::number;
    use kerros_protocol::amount::Fee;
    use kerros_protocol::commitment;

    #[test]
    fn points_and_fees_agree_with_native_code() {
        for i in [1u32, 2, 5, 1000, (1 << 28) - 1] {
            let mut b = Builder::recording();
            let (_, bits) = number(&mut b, Fr::from(i), 28);
            assert_eq!(point(&mut b, &bits).value, commitment::point(i));
        }
        for float in [0u16, 1, 33, 0xffff, 0x1234] {
            let mut b = Builder::recording();
            let (_, bits) = number(&mut b, Fr::from(float), 16);
            let value = fee_value(&mut b, &bits).value;
            assert_eq!(value, Fr::from(Fee::from_float(float).value()));
        }
    }
}
