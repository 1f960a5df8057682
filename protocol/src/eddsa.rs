//! EdDSA-Poseidon on Baby Jubjub exactly as circomlib and circomlibjs do it.
//!
//! Coordinates here are circomlib's (a = 168700, d = 168696); arithmetic runs on arkworks' curve,
//! `x_ark = √168700·x_circom`. The signature equation is `S·B8 = R8 + 8h·A`, `h = Poseidon(R8.x,
//! R8.y, A.x, A.y, M)`, with `S < ℓ` strictly and `8A ≠ 0` (SPEC.md section 4).

pub mod batch;
mod key_cache;
mod residues;
mod subgroup;
mod sum;
#[cfg(test)]
mod test_points;

use crate::account::AccountKey;
use crate::encoding::DecodeError;
use crate::poseidon;
use ark_bn254::Fr;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ed_on_bn254::{EdwardsAffine, EdwardsProjective, Fr as Scalar};
use ark_ff::{AdditiveGroup, BigInteger, BigInteger256, Field, MontFp, PrimeField, Zero};
use blake_hash::{Blake512, Digest};
pub use key_cache::KeyCache;
use residues::sqrt_of_ratio;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// a of circomlib's curve `a·x² + y² = 1 + d·x²y²`.
pub const A: Fr = MontFp!("168700");
/// d of circomlib's curve.
pub const D: Fr = MontFp!("168696");
/// √168700, the factor from circomlib's x to arkworks'.
const X_SCALE: Fr =
    MontFp!("7214280148105020021932206872019688659210616427216992810330019057549499971851");
/// circomlib's Base8.
pub const BASE8: Point = Point {
    x: MontFp!("5299619240641551281634865583518297030282874472190772894086521144482721001553"),
    y: MontFp!("16950150798460657717958625567821834550301663161624707787222815936182638968203"),
};

/// A point of the curve in circomlib coordinates; always on the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Point {
    /// x-coordinate.
    pub x: Fr,
    /// y-coordinate.
    pub y: Fr,
}

/// Why a packed point, signature or key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PointError {
    /// The packed y is not below r.
    #[error("packed point: y is not below the field's modulus")]
    NotCanonical,
    /// No point of the curve has this y, or the sign bit is set on x = 0.
    #[error("packed point: no curve point has this encoding")]
    NotOnCurve,
}

/// Why a signature does not verify, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// `S ≥ ℓ`.
    #[error("S is not below the order of the base point")]
    ScalarNotReduced,
    /// `8A = 0`: a key of low order.
    #[error("the public key has low order")]
    LowOrderKey,
    /// The equation does not hold.
    #[error("the signature equation does not hold")]
    Equation,
}

impl Point {
    /// From coordinates; refuses points off the curve.
    pub fn new(x: Fr, y: Fr) -> Result<Self, PointError> {
        let (x2, y2) = (x.square(), y.square());
        if A * x2 + y2 == Fr::ONE + D * x2 * y2 {
            Ok(Self { x, y })
        } else {
            Err(PointError::NotOnCurve)
        }
    }
    /// The same point of arkworks' curve, whose x is √a times this one's.
    pub fn to_ark(self) -> EdwardsAffine {
        // On the curve by construction; the map x ↦ √a·x is an isomorphism.
        EdwardsAffine::new_unchecked(self.x * X_SCALE, self.y)
    }
    fn from_ark(point: EdwardsAffine) -> Self {
        static INVERSE: std::sync::OnceLock<Fr> = std::sync::OnceLock::new();
        let inverse = INVERSE.get_or_init(|| X_SCALE.inverse().expect("√a is not 0"));
        Self { x: point.x * inverse, y: point.y }
    }
    /// `8·self`, none if that is the neutral element.
    pub fn times_eight(self) -> Option<Self> {
        let eight = self.to_ark().into_group().double().double().double();
        (!eight.is_zero()).then(|| Self::from_ark(eight.into_affine()))
    }
    /// `scalar·self`.
    pub fn times(self, scalar: Scalar) -> Self {
        Self::from_ark((self.to_ark().into_group() * scalar).into_affine())
    }
    /// circomlib's `packPoint`: y little-endian, top bit set if `x > (q−1)/2`.
    pub fn pack(&self) -> [u8; 32] {
        let mut out = le32(self.y.into_bigint());
        if is_high(self.x) {
            out[31] |= 0x80;
        }
        out
    }
    /// circomlib's `unpackPoint`, strict.
    pub fn unpack(bytes: &[u8; 32]) -> Result<Self, PointError> {
        let mut y_bytes = *bytes;
        let high = y_bytes[31] & 0x80 != 0;
        y_bytes[31] &= 0x7f;
        let y = Fr::from_bigint(from_le32(&y_bytes)).ok_or(PointError::NotCanonical)?;
        // a·x² + y² = 1 + d·x²y²  ⇒  x² = (1 − y²)/(a − d·y²); a/d is no square, so never 0.
        let y2 = y.square();
        let root = sqrt_of_ratio(Fr::ONE - y2, A - D * y2).ok_or(PointError::NotOnCurve)?;
        let x = if is_high(root) == high { root } else { -root };
        if is_high(x) != high {
            return Err(PointError::NotOnCurve); // the sign bit on x = 0
        }
        Ok(Self { x, y })
    }
    /// A point that has this x, if there is one; the other one has y negated.
    pub fn with_x(x: Fr) -> Option<Self> {
        let x2 = x.square();
        let y2 = (Fr::ONE - A * x2) * (Fr::ONE - D * x2).inverse()?;
        Some(Self { x, y: y2.sqrt()? })
    }
}

fn le32(value: BigInteger256) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(&value.to_bytes_le());
    out
}

fn from_le32(bytes: &[u8; 32]) -> BigInteger256 {
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    }
    BigInteger256::new(limbs)
}

fn is_high(x: Fr) -> bool {
    x.into_bigint() > Fr::MODULUS_MINUS_ONE_DIV_TWO
}

/// A holder's public key: any point of the curve; low order is refused at verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub Point);

impl PublicKey {
    /// The x-coordinate that stands in the account.
    pub fn account_key(&self) -> Result<AccountKey, DecodeError> {
        AccountKey::new(self.0.x)
    }
}

/// A signature `(R8, S)`; S is any 256-bit number until verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The commitment point.
    pub r8: Point,
    /// The response, little-endian in the packed form.
    pub s: BigInteger256,
}

impl Signature {
    /// circomlib's `packSignature`: packed R8 (32) ‖ S little-endian (32).
    pub fn pack(&self) -> [u8; 64] {
        let mut out = [0u8; 64];
        out[..32].copy_from_slice(&self.r8.pack());
        out[32..].copy_from_slice(&le32(self.s));
        out
    }
    /// Reads [`Signature::pack`].
    pub fn unpack(bytes: &[u8; 64]) -> Result<Self, PointError> {
        let (r8, s) = bytes.split_at(32);
        let half = |half: &[u8]| -> [u8; 32] { half.try_into().expect("half of 64 bytes") };
        Ok(Self { r8: Point::unpack(&half(r8))?, s: from_le32(&half(s)) })
    }
}

/// `h = Poseidon(R8.x, R8.y, A.x, A.y, M)`.
pub fn challenge(r8: &Point, key: &Point, message: Fr) -> Fr {
    poseidon::hash(&[r8.x, r8.y, key.x, key.y, message])
}

/// `s·p + t·q` by one chain of doublings (Shamir's trick). Not constant time: for public values. A
/// multi-scalar multiplication would be slower for two points, and its nested parallel tasks can
/// pile up on the stack of a pool that verifies many signatures at once.
fn double_multiple(p: EdwardsAffine, s: Scalar, q: EdwardsAffine, t: Scalar) -> EdwardsAffine {
    let both = (p.into_group() + q).into_affine();
    let (s, t) = (s.into_bigint(), t.into_bigint());
    let mut sum = EdwardsProjective::zero();
    for bit in (0..Scalar::MODULUS_BIT_SIZE as usize).rev() {
        sum.double_in_place();
        match (s.get_bit(bit), t.get_bit(bit)) {
            (true, true) => sum += both,
            (true, false) => sum += p,
            (false, true) => sum += q,
            (false, false) => {}
        }
    }
    sum.into_affine()
}

/// The scalar that an element of Fr stands for: reduced mod ℓ, which is right in front of points
/// of the subgroup only.
fn reduced(element: Fr) -> Scalar {
    let mut value = element.into_bigint();
    for shift in [2, 1, 0] {
        // r < 8ℓ, so taking away 4ℓ, 2ℓ and ℓ where possible leaves less than ℓ.
        let multiple = Scalar::MODULUS << shift;
        if value >= multiple {
            value.sub_with_borrow(&multiple);
        }
    }
    Scalar::from_bigint(value).expect("below ℓ")
}

/// `S·B8 = R8 + h·8A`, for h reduced mod ℓ: 8A lies in the subgroup of order ℓ.
fn equation_holds(key: &PublicKey, signature: &Signature, s: Scalar, h: Scalar) -> bool {
    let eight = key.0.to_ark().into_group().double().double().double().into_affine();
    double_multiple(BASE8.to_ark(), s, eight, -h) == signature.r8.to_ark()
}

/// Checks a signature over the field element `message`.
pub fn verify(key: &PublicKey, message: Fr, signature: &Signature) -> Result<(), SignatureError> {
    let s = Scalar::from_bigint(signature.s).ok_or(SignatureError::ScalarNotReduced)?;
    if key.0.has_low_order() {
        return Err(SignatureError::LowOrderKey);
    }
    let h = reduced(challenge(&signature.r8, &key.0, message));
    if equation_holds(key, signature, s, h) { Ok(()) } else { Err(SignatureError::Equation) }
}

/// A 32-byte private key as circomlibjs takes it; wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PrivateKey([u8; 32]);

impl PrivateKey {
    /// Any 32 bytes are a private key.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// The bytes, for writing to an encrypted or protected file.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }
    /// Draws a key.
    pub fn generate(rng: &mut (impl rand::RngCore + rand::CryptoRng)) -> Self {
        let mut bytes = [0u8; 32];
        rng.fill_bytes(&mut bytes);
        let key = Self(bytes);
        bytes.zeroize();
        key
    }
    /// `(s, second half of the hash)`: BLAKE-512 of the key, pruned as circomlibjs does.
    fn expand(&self) -> (BigInteger256, [u8; 32]) {
        let mut digest = Blake512::digest(&self.0);
        let (head, tail) = digest.split_at_mut(32);
        head[0] &= 0xf8;
        head[31] &= 0x7f;
        head[31] |= 0x40;
        let mut limbs = [0u64; 4];
        for (limb, chunk) in limbs.iter_mut().zip(head.chunks_exact(8)) {
            *limb = chunk.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        }
        let mut prefix = [0u8; 32];
        prefix.copy_from_slice(tail);
        digest.zeroize();
        (BigInteger256::new(limbs), prefix)
    }
    /// `A = (s >> 3)·B8`.
    pub fn public_key(&self) -> PublicKey {
        let (s, mut prefix) = self.expand();
        prefix.zeroize();
        let scalar = Scalar::from_le_bytes_mod_order(&(s >> 3).to_bytes_le());
        PublicKey(BASE8.times(scalar))
    }
    /// circomlibjs `signPoseidon`: deterministic,
    /// `r = BLAKE-512(prefix ‖ M little-endian) mod ℓ`, `S = r + h·s`.
    pub fn sign(&self, message: Fr) -> Signature {
        let (s, mut prefix) = self.expand();
        let mut hasher = Blake512::new();
        hasher.update(prefix);
        hasher.update(le32(message.into_bigint()));
        prefix.zeroize();
        let mut r = Scalar::from_le_bytes_mod_order(&hasher.finalize());
        let r8 = BASE8.times(r);
        let h = challenge(&r8, &self.public_key().0, message);
        let mut secret = Scalar::from_le_bytes_mod_order(&s.to_bytes_le());
        let response = r + Scalar::from_le_bytes_mod_order(&h.into_bigint().to_bytes_le()) * secret;
        secret.zeroize();
        r.zeroize();
        Signature { r8, s: response.into_bigint() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_point_is_on_the_curve_and_has_order_l() {
        assert_eq!(Point::new(BASE8.x, BASE8.y), Ok(BASE8));
        let last = BASE8.times(-Scalar::ONE);
        assert_eq!(last, Point { x: -BASE8.x, y: BASE8.y });
    }

    #[test]
    fn signatures_verify_and_each_defect_has_its_error() {
        let secret = PrivateKey::from_bytes([7; 32]);
        let key = secret.public_key();
        let message = Fr::from(1234u64);
        let signature = secret.sign(message);
        assert_eq!(verify(&key, message, &signature), Ok(()));
        assert_eq!(Signature::unpack(&signature.pack()), Ok(signature));
        assert_eq!(verify(&key, message + Fr::ONE, &signature), Err(SignatureError::Equation));
        let mut high = signature;
        high.s.add_with_carry(&Scalar::MODULUS);
        assert_eq!(verify(&key, message, &high), Err(SignatureError::ScalarNotReduced));
        let low = PublicKey(Point { x: Fr::ZERO, y: -Fr::ONE });
        assert_eq!(verify(&low, message, &signature), Err(SignatureError::LowOrderKey));
    }

    #[test]
    fn many_signatures_verified_on_one_pool_do_not_pile_up_on_its_stacks() {
        use rayon::prelude::*;
        let secret = PrivateKey::from_bytes([7; 32]);
        let (key, message) = (secret.public_key(), Fr::from(1u64));
        let signature = secret.sign(message);
        let good = (0..20_000u32).into_par_iter();
        assert!(good.all(|_| verify(&key, message, &signature).is_ok()));
    }

    #[test]
    fn unpacking_agrees_with_the_plain_formula_on_any_bytes() {
        use rand::Rng;
        let plain = |bytes: &[u8; 32]| {
            let mut y_bytes = *bytes;
            y_bytes[31] &= 0x7f;
            let y = Fr::from_le_bytes_mod_order(&y_bytes);
            if le32(y.into_bigint()) != y_bytes {
                return Err(PointError::NotCanonical);
            }
            let x2 = (Fr::ONE - y.square()) / (A - D * y.square());
            let root = x2.sqrt().ok_or(PointError::NotOnCurve)?;
            let high = bytes[31] & 0x80 != 0;
            let x = if is_high(root) == high { root } else { -root };
            if is_high(x) == high { Ok(Point { x, y }) } else { Err(PointError::NotOnCurve) }
        };
        let mut rng = rand::thread_rng();
        let mut seen = [0; 3];
        let random = (0..3_000).map(|_| {
            let mut bytes: [u8; 32] = rng.r#gen();
            bytes[31] &= 0xbf; // half of the values below 2^254 are below r
            bytes
        });
        let low = test_points::low_order_points();
        let flipped = low.iter().map(|point| {
            let mut bytes = point.pack();
            bytes[31] ^= 0x80;
            bytes
        });
        for bytes in random.chain(low.iter().map(Point::pack)).chain(flipped) {
            let point = Point::unpack(&bytes);
            assert_eq!(point, plain(&bytes));
            seen[match point {
                Ok(point) => {
                    assert!(Point::new(point.x, point.y).is_ok());
                    0
                }
                Err(PointError::NotOnCurve) => 1,
                Err(PointError::NotCanonical) => 2,
            }] += 1;
        }
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
    }

    #[test]
    fn packing_is_strict() {
        let mut over = [0xff; 32];
        over[31] = 0x7f;
        assert_eq!(Point::unpack(&over), Err(PointError::NotCanonical));
        // y = 1 has x = 0: the sign bit must be clear.
        let mut one = [0u8; 32];
        one[0] = 1;
        assert!(Point::unpack(&one).is_ok());
        one[31] = 0x80;
        assert_eq!(Point::unpack(&one), Err(PointError::NotOnCurve));
        assert_eq!(Point::unpack(&BASE8.pack()), Ok(BASE8));
    }
}
