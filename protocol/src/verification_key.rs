//! The verification key: everything that verifier and contract take from the key file.
//!
//! `vkHash = keccak(α1 ‖ β2 ‖ γ2 ‖ δ2 ‖ IC… ‖ [τ]_2 ‖ shape as five uint32)`. A key must have
//! `γ2 = [1]_2`, `δ2 ≠ ±γ2` and no constant at infinity (SPEC.md section 5): decoding refuses any
//! other, as the contract does.

use crate::batch::Shape;
use crate::encoding::{DecodeError, Reader, g1_to_be, g2_to_be, keccak256};
use crate::limits::LEDGER_K_MAX;
use crate::transcript::PUBLIC_INPUTS;
use ark_bn254::{G1Affine, G2Affine};
use ark_ec::AffineRepr;

/// Points in `IC`: one for the constant and one a public input.
pub const IC_LEN: usize = PUBLIC_INPUTS.len() + 1;
const MAGIC: &[u8; 8] = b"KERROSVK";
const VERSION: u32 = 1;

/// A checked verification key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey {
    /// Made with secrets somebody knew: refused by production configurations.
    pub development: bool,
    /// Capacities the circuit was made for.
    pub shape: Shape,
    /// `[α]_1`.
    pub alpha1: G1Affine,
    /// `[β]_2`.
    pub beta2: G2Affine,
    /// `[δ]_2`.
    pub delta2: G2Affine,
    /// `gamma_abc_g1` of arkworks, `IC` of snarkjs.
    pub ic: [G1Affine; IC_LEN],
    /// Exponent of the ledger's size at genesis.
    pub k_genesis: u8,
    /// `tau_powers[k] = [τ^(2^k)]_2`, k = 0 … k_max.
    pub tau_powers: Vec<G2Affine>,
}

impl VerificationKey {
    /// `[γ]_2 = [1]_2`, in every key.
    pub fn gamma2(&self) -> G2Affine {
        G2Affine::generator()
    }
    /// `[τ]_2`.
    pub fn tau2(&self) -> G2Affine {
        self.tau_powers[0]
    }
    /// Exponent of the greatest ledger.
    pub fn k_max(&self) -> u8 {
        u8::try_from(self.tau_powers.len() - 1).expect("at most 29 powers")
    }
    /// The hash that stands in every transcript.
    pub fn hash(&self) -> [u8; 32] {
        let mut bytes = g1_to_be(&self.alpha1).to_vec();
        for point in [self.beta2, self.gamma2(), self.delta2] {
            bytes.extend_from_slice(&g2_to_be(&point));
        }
        self.ic.iter().for_each(|point| bytes.extend_from_slice(&g1_to_be(point)));
        bytes.extend_from_slice(&g2_to_be(&self.tau2()));
        bytes.extend_from_slice(&self.shape.to_be());
        keccak256(&[&bytes])
    }
    /// magic 8 ‖ version 4 ‖ development 1 ‖ shape 20 ‖ k_genesis 1 ‖ k_max 1 ‖ α1 ‖ β2 ‖ δ2 ‖ IC ‖
    /// powers of τ ‖ blake3 of all this 32.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.push(u8::from(self.development));
        out.extend_from_slice(&self.shape.to_be());
        out.extend_from_slice(&[self.k_genesis, self.k_max()]);
        out.extend_from_slice(&g1_to_be(&self.alpha1));
        out.extend_from_slice(&g2_to_be(&self.beta2));
        out.extend_from_slice(&g2_to_be(&self.delta2));
        self.ic.iter().for_each(|point| out.extend_from_slice(&g1_to_be(point)));
        self.tau_powers.iter().for_each(|point| out.extend_from_slice(&g2_to_be(point)));
        let digest = blake3::hash(&out);
        out.extend_from_slice(digest.as_bytes());
        out
    }
    /// Reads [`VerificationKey::encode`]; checks digest, every point, `δ ≠ ±γ`, and infinity.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let what = "verification key";
        let short = DecodeError::Short { what, need: 32, have: bytes.len() };
        let (body, digest) = bytes.split_last_chunk::<32>().ok_or(short)?;
        if blake3::hash(body).as_bytes() != digest {
            return Err(DecodeError::Digest { what });
        }
        let mut reader = Reader::new(body);
        if reader.take(what, 8)? != MAGIC || reader.take_u32(what)? != VERSION {
            return Err(DecodeError::UnknownFormat { what });
        }
        let development = reader.take_flag("development")?;
        let mut sections = [0u32; 5];
        for section in &mut sections {
            *section = reader.take_u32("shape")?;
        }
        let shape = Shape::new(sections).map_err(|_| DecodeError::UnknownFormat { what })?;
        let (k_genesis, k_max) = (reader.take_u8("k_genesis")?, reader.take_u8("k_max")?);
        if k_max > LEDGER_K_MAX || k_genesis > k_max {
            let (value, max) = (k_max.into(), LEDGER_K_MAX.into());
            return Err(DecodeError::OutOfRange { what: "k_max", value, min: 0, max });
        }
        let alpha1 = reader.take_g1("alpha1")?;
        let (beta2, delta2) = (reader.take_g2("beta2")?, reader.take_g2("delta2")?);
        let mut ic = [G1Affine::identity(); IC_LEN];
        for point in &mut ic {
            *point = reader.take_g1("IC")?;
        }
        let tau_powers =
            (0..=k_max).map(|_| reader.take_g2("power of tau")).collect::<Result<Vec<_>, _>>()?;
        reader.finish(what)?;
        // As the contract refuses to be deployed with: equal x is γ or its negative.
        if delta2.x() == G2Affine::generator().x() {
            return Err(DecodeError::UnknownFormat { what: "verification key with delta = gamma" });
        }
        let g2 = [beta2, delta2];
        if alpha1.is_zero() || g2.iter().chain(&tau_powers).any(AffineRepr::is_zero) {
            let what = "verification key with a constant at infinity";
            return Err(DecodeError::UnknownFormat { what });
        }
        Ok(Self { development, shape, alpha1, beta2, delta2, ic, k_genesis, tau_powers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fr;
    use ark_ec::CurveGroup;

    fn key() -> VerificationKey {
        let g1 = |n: u64| (G1Affine::generator() * Fr::from(n)).into_affine();
        let g2 = |n: u64| (G2Affine::generator() * Fr::from(n)).into_affine();
        let mut ic = [G1Affine::identity(); IC_LEN];
        ic.iter_mut().zip(20..).for_each(|(point, n)| *point = g1(n));
        VerificationKey {
            development: true,
            shape: "2,1,4,3,5".parse().expect("a good shape"),
            alpha1: g1(3),
            beta2: g2(4),
            delta2: g2(5),
            ic,
            k_genesis: 2,
            tau_powers: vec![g2(7), g2(8), g2(9)],
        }
    }

    /// The bytes with one changed and the digest made anew.
    fn changed(at: usize, to: u8) -> Vec<u8> {
        let mut bytes = key().encode();
        bytes[at] = to;
        let body = bytes.len() - 32;
        let digest = *blake3::hash(&bytes[..body]).as_bytes();
        bytes[body..].copy_from_slice(&digest);
        bytes
    }

    #[test]
    fn a_key_is_read_back_and_every_part_of_it_is_checked() {
        let what = "verification key";
        let key = key();
        assert_eq!(key.k_max(), 2);
        for key in [VerificationKey { development: false, ..key.clone() }, key.clone()] {
            assert_eq!(VerificationKey::decode(&key.encode()), Ok(key));
        }
        let mut damaged = key.encode();
        damaged[12] ^= 1;
        assert_eq!(VerificationKey::decode(&damaged), Err(DecodeError::Digest { what }));
        assert!(VerificationKey::decode(&damaged[..31]).is_err());
        for at in [0, 11] {
            let refused = Err(DecodeError::UnknownFormat { what });
            assert_eq!(VerificationKey::decode(&changed(at, 0xff)), refused);
        }
        // k_genesis above k_max; k_max above what any ledger has; a power more or less than k_max.
        for (at, to) in [(33, 3), (34, LEDGER_K_MAX + 1), (34, LEDGER_K_MAX), (34, 3)] {
            assert!(VerificationKey::decode(&changed(at, to)).is_err(), "{at} {to}");
        }
        let fewer = VerificationKey { k_genesis: 1, ..key.clone() }.encode();
        let mut fewer = [&fewer[..34], &[1], &fewer[35..fewer.len() - 32]].concat();
        fewer.extend_from_slice(blake3::hash(&fewer).as_bytes());
        assert!(matches!(VerificationKey::decode(&fewer), Err(DecodeError::Trailing { .. })));
        let gamma = VerificationKey { delta2: key.gamma2(), ..key };
        assert!(VerificationKey::decode(&gamma.encode()).is_err());
    }

    #[test]
    fn a_key_for_the_greatest_ledger_is_read() {
        let powers = vec![key().tau2(); usize::from(LEDGER_K_MAX) + 1];
        let greatest = VerificationKey { tau_powers: powers, ..key() };
        assert_eq!(VerificationKey::decode(&greatest.encode()), Ok(greatest));
    }

    #[test]
    fn the_hash_covers_every_point_and_the_shape() {
        let key = key();
        let other = G2Affine::identity();
        let mut ic = key.ic;
        ic[IC_LEN - 1] = G1Affine::identity();
        let others = [
            VerificationKey { alpha1: G1Affine::identity(), ..key.clone() },
            VerificationKey { beta2: other, ..key.clone() },
            VerificationKey { delta2: other, ..key.clone() },
            VerificationKey { ic, ..key.clone() },
            VerificationKey { tau_powers: vec![other], ..key.clone() },
            VerificationKey { shape: "2,1,4,3,6".parse().expect("good"), ..key.clone() },
        ];
        for other in others {
            assert_ne!(other.hash(), key.hash());
        }
        let same = VerificationKey { development: false, k_genesis: 1, ..key.clone() };
        assert_eq!(same.hash(), key.hash());
    }
}
