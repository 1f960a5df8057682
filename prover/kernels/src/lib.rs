//! stub
use ark_bn254::*;
use ark_ec::*;
use ark_ff::*;
use ark_poly::*;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Path {
    Portable,
    Ifma,
}
#[allow(missing_docs)]
impl Path {
    pub fn detect() -> Self {
        Self::Portable
    }
    pub fn available() -> &'static [Path] {
        &[Path::Portable]
    }
}
impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("portable")
    }
}
impl std::str::FromStr for Path {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s == "portable" { Ok(Path::Portable) } else { Err("no".into()) }
    }
}
#[derive(
    Clone,
    Copy,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
#[repr(C, align(64))]
pub struct PreparedG1([u64; 8]);
#[derive(
    Clone,
    Copy,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
#[repr(C, align(64))]
pub struct PreparedG2([u64; 16]);
fn f(w: &[u64]) -> Fq {
    Fq::new_unchecked(BigInt([w[0], w[1], w[2], w[3]]))
}
impl From<G1Affine> for PreparedG1 {
    fn from(p: G1Affine) -> Self {
        let mut w = [0; 8];
        if !p.is_zero() {
            w[..4].copy_from_slice(&p.x.0.0);
            w[4..].copy_from_slice(&p.y.0.0);
        }
        Self(w)
    }
}
impl From<PreparedG1> for G1Affine {
    fn from(p: PreparedG1) -> Self {
        if p.0 == [0; 8] {
            return Self::identity();
        }
        Self::new_unchecked(f(&p.0[..4]), f(&p.0[4..]))
    }
}
impl From<G2Affine> for PreparedG2 {
    fn from(p: G2Affine) -> Self {
        let mut w = [0; 16];
        if !p.is_zero() {
            w[..4].copy_from_slice(&p.x.c0.0.0);
            w[4..8].copy_from_slice(&p.x.c1.0.0);
            w[8..12].copy_from_slice(&p.y.c0.0.0);
            w[12..].copy_from_slice(&p.y.c1.0.0);
        }
        Self(w)
    }
}
impl From<PreparedG2> for G2Affine {
    fn from(p: PreparedG2) -> Self {
        if p.0 == [0; 16] {
            return Self::identity();
        }
        Self::new_unchecked(
            Fq2::new(f(&p.0[..4]), f(&p.0[4..8])),
            Fq2::new(f(&p.0[8..12]), f(&p.0[12..])),
        )
    }
}
impl PreparedG1 {
    pub fn is_valid(&self) -> bool {
        true
    }
}
impl PreparedG2 {
    pub fn is_valid(&self) -> bool {
        true
    }
}
pub fn msm_g1(_: Path, b: &[PreparedG1], s: &[BigInt<4>]) -> G1Projective {
    let b: Vec<G1Affine> = b.iter().map(|p| (*p).into()).collect();
    G1Projective::msm_bigint(&b, s)
}
pub fn msm_g2(_: Path, b: &[PreparedG2], s: &[BigInt<4>]) -> G2Projective {
    let b: Vec<G2Affine> = b.iter().map(|p| (*p).into()).collect();
    G2Projective::msm_bigint(&b, s)
}
pub fn batch_inverse(_: Path, v: &mut [Fr]) {
    batch_inversion(v)
}
pub struct Domain(Radix2EvaluationDomain<Fr>, Radix2EvaluationDomain<Fr>);
impl Domain {
    pub fn new(_: Path, k: u32) -> Self {
        let d = Radix2EvaluationDomain::new(1 << k).unwrap();
        Self(d, d.get_coset(Fr::GENERATOR).unwrap())
    }
    pub fn fft(&self, v: &mut [Fr]) {
        let r = self.0.fft(v);
        v.copy_from_slice(&r);
    }
    pub fn ifft(&self, v: &mut [Fr]) {
        let r = self.0.ifft(v);
        v.copy_from_slice(&r);
    }
    pub fn coset_fft(&self, v: &mut [Fr]) {
        let r = self.1.fft(v);
        v.copy_from_slice(&r);
    }
    pub fn coset_ifft(&self, v: &mut [Fr]) {
        let r = self.1.ifft(v);
        v.copy_from_slice(&r);
    }
}
pub struct QuotientDomain(Domain);
impl QuotientDomain {
    pub fn new(p: Path, k: u32) -> Self {
        Self(Domain::new(p, k))
    }
    pub fn quotient(&self, mut a: Vec<Fr>, mut b: Vec<Fr>, mut c: Vec<Fr>) -> Vec<Fr> {
        for v in [&mut a, &mut b, &mut c] {
            self.0.ifft(v);
            self.0.coset_fft(v);
        }
        let z = self.0.0.evaluate_vanishing_polynomial(Fr::GENERATOR).inverse().unwrap();
        for i in 0..a.len() {
            a[i] = (a[i] * b[i] - c[i]) * z;
        }
        self.0.coset_ifft(&mut a);
        a
    }
}
