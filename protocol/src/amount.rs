//! Fees as decimal floats.
//!
//! Amounts and balances are plain `u64` in asset units: every value is valid. A fee is a 16-bit
//! float, because it is published with every transfer (SPEC.md section 4).

/// A fee: 11-bit mantissa (high bits) and 5-bit decimal exponent (low bits); its value is
/// `mantissa · 10^exponent` asset units. Several floats may have one value; the float is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Fee(u16);

impl Fee {
    /// No fee.
    pub const ZERO: Fee = Fee(0);

    /// Any 16 bits are a fee.
    pub const fn from_float(float: u16) -> Self {
        Self(float)
    }
    /// The published 16 bits.
    pub const fn float(self) -> u16 {
        self.0
    }
    /// Value in asset units; at most `2047 · 10^31 < 2^115`.
    pub fn value(self) -> u128 {
        u128::from(self.0 >> 5) * 10u128.pow(u32::from(self.0 & 31))
    }
    /// The fee of exactly this value, with the least exponent, if a float has it.
    pub fn exact(value: u64) -> Option<Self> {
        let (mut mantissa, mut exponent) = (value, 0u16);
        while mantissa > 2047 {
            if mantissa % 10 != 0 {
                return None;
            }
            mantissa /= 10;
            exponent += 1;
        }
        let mantissa = u16::try_from(mantissa).ok()?;
        Some(Self((mantissa << 5) | exponent))
    }
    /// The greatest fee not above `value`.
    pub fn at_most(value: u64) -> Self {
        let (mut mantissa, mut exponent) = (value, 0u16);
        while mantissa > 2047 {
            mantissa /= 10;
            exponent += 1;
        }
        Self((u16::try_from(mantissa).expect("at most 2047") << 5) | exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_fees_have_their_value_and_others_are_refused() {
        for value in [0, 1, 2047, 2050, 20470, 1_000_000_000_000, 2047 * 10u64.pow(15)] {
            let fee = Fee::exact(value).expect("representable");
            assert_eq!(fee.value(), u128::from(value));
        }
        assert_eq!(Fee::exact(2048), None);
        assert_eq!(Fee::at_most(2047).value(), 2047);
        assert_eq!(Fee::at_most(2048).value(), 2040);
        assert_eq!(Fee::at_most(u64::MAX).value(), 18_440_000_000_000_000_000);
        assert_eq!(Fee::from_float(u16::MAX).value(), 2047 * 10u128.pow(31));
    }
}
