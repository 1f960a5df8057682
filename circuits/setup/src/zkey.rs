//! A Groth16 key with its phase-2 transcript: snarkjs's `.zkey`.
//!
//! Reading checks everything that the file alone can tell: lengths, ranges, every point's curve and subgroup,
//! and that it is in the one form in which it can be written, so that `write` gives back the sections
//! that were read. Whether the key is one of a circuit and a phase 1 is for the ceremony's verification.

mod contribution;

pub use contribution::{Beacon, Contribution};

use crate::binfile::{Bytes, Reader, Sections, put_head, put_section, write_whole};
use crate::error::{FileError, FormatError, PointFault, format_at};
use crate::point::{self, Point};
use ark_bn254::{Fq, Fr, G1Affine, G2Affine};
use ark_ff::{BigInt, BigInteger, PrimeField};
use rayon::prelude::*;
use std::io::{self, Write};
use std::path::Path;

const KIND: &str = "zkey";
const GROTH16: u32 = 1;
const PROTOCOL: u32 = 1;
const HEADER: u32 = 2;
const IC: u32 = 3;
const COEFFICIENTS: u32 = 4;
const A: u32 = 5;
const B1: u32 = 6;
const B2: u32 = 7;
const C: u32 = 8;
const H: u32 = 9;
const TRANSCRIPT: u32 = 10;
/// Field elements are 32 bytes.
const WORD: u32 = 32;
const COEFFICIENT_LEN: u64 = 4 + 4 + 4 + WORD as u64;
const HEADER_LEN: u64 = 2 * (4 + WORD as u64) + 3 * 4 + 3 * G1 + 3 * G2;
const G1: u64 = <G1Affine as Point>::LEN as u64;
const G2: u64 = <G2Affine as Point>::LEN as u64;
/// Fr's two-adicity: no domain is larger.
const DOMAIN_MAX: u32 = 1 << 28;
/// `2^256 mod r`: coefficients are stored times its square.
const R: Fr = Fr::new(Fr::R);

/// A coefficient of A or B, which provers read. Those of C are not in a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coefficient {
    /// 0: of A; 1: of B.
    pub matrix: u32,
    /// Row; after the constraints come the rows of the inputs.
    pub constraint: u32,
    /// Variable.
    pub signal: u32,
    /// The coefficient.
    pub value: Fr,
}

/// A key and its transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zkey {
    /// `[α]_1`.
    pub alpha1: G1Affine,
    /// `[β]_1`.
    pub beta1: G1Affine,
    /// `[β]_2`.
    pub beta2: G2Affine,
    /// `[γ]_2`.
    pub gamma2: G2Affine,
    /// `[δ]_1`.
    pub delta1: G1Affine,
    /// `[δ]_2`.
    pub delta2: G2Affine,
    /// `[(βA_j(τ) + αB_j(τ) + C_j(τ))/γ]_1` of the constant and the public inputs.
    pub ic: Vec<G1Affine>,
    /// A and B.
    pub coefficients: Vec<Coefficient>,
    /// `[A_j(τ)]_1` of every variable.
    pub a: Vec<G1Affine>,
    /// `[B_j(τ)]_1` of every variable.
    pub b1: Vec<G1Affine>,
    /// `[B_j(τ)]_2` of every variable.
    pub b2: Vec<G2Affine>,
    /// `[(βA_j(τ) + αB_j(τ) + C_j(τ))/δ]_1` of every wire.
    pub c: Vec<G1Affine>,
    /// `[L_{2j+1}(τ)/δ]_1`, L the Lagrange polynomials of the domain of twice the size; as many as the
    /// domain has elements.
    pub h: Vec<G1Affine>,
    /// blake2b of the key before all contributions.
    pub circuit_hash: [u8; 64],
    /// The steps of phase 2.
    pub contributions: Vec<Contribution>,
}

fn single<P: Point>(
    reader: &mut Reader,
    section: u32,
    what: &'static str,
    index: usize,
) -> Result<P, FormatError> {
    let refused = |fault: PointFault| FormatError::Point { section, what, index, fault };
    point::decode_finite(reader.take(what, P::LEN as u64)?).map_err(refused)
}

/// A length and a modulus, which must be those of `F`.
pub(crate) fn modulus<F: PrimeField<BigInt = BigInt<4>>>(
    reader: &mut Reader,
    what: &'static str,
) -> Result<(), FormatError> {
    let foreign = FormatError::Foreign { what };
    let same = reader.u32(what)? == WORD
        && reader.take(what, WORD.into())? == F::MODULUS.to_bytes_le().as_slice();
    if same { Ok(()) } else { Err(foreign) }
}

fn range(what: &'static str, found: u32, min: u64, max: u64) -> Result<u64, FormatError> {
    let found = u64::from(found);
    if (min..=max).contains(&found) {
        Ok(found)
    } else {
        Err(FormatError::Range { what, found, min, max })
    }
}

impl Zkey {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::decode(&Bytes::map(path)?).map_err(format_at(path))
    }

    /// Reads the bytes of a file.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let sections = Sections::read(bytes, KIND)?;
        sections.only(|section| (PROTOCOL..=TRANSCRIPT).contains(&section))?;
        let protocol = sections.get_exact(bytes, PROTOCOL, 4)?;
        if protocol != GROTH16.to_le_bytes() {
            return Err(FormatError::Foreign { what: "proof system" });
        }
        let mut header = Reader::new(sections.get_exact(bytes, HEADER, HEADER_LEN)?);
        modulus::<Fq>(&mut header, "base field")?;
        modulus::<Fr>(&mut header, "scalar field")?;
        let variables = range("variables", header.u32("variables")?, 1, u32::MAX.into())?;
        let public = range("public inputs", header.u32("public inputs")?, 0, variables - 1)?;
        let domain = header.u32("domain")?;
        range("domain", domain, 1, DOMAIN_MAX.into())?;
        if !domain.is_power_of_two() {
            return Err(FormatError::Foreign { what: "domain" });
        }
        let g1 = |section, what, points: u64| {
            let content = sections.get_exact(bytes, section, points * G1)?;
            point::decode_all::<G1Affine>(section, what, content)
        };
        Ok(Self {
            alpha1: single(&mut header, HEADER, "alpha in G1", 0)?,
            beta1: single(&mut header, HEADER, "beta in G1", 0)?,
            beta2: single(&mut header, HEADER, "beta in G2", 0)?,
            gamma2: single(&mut header, HEADER, "gamma in G2", 0)?,
            delta1: single(&mut header, HEADER, "delta in G1", 0)?,
            delta2: single(&mut header, HEADER, "delta in G2", 0)?,
            ic: g1(IC, "IC", public + 1)?,
            coefficients: coefficients(&sections, bytes, variables, domain)?,
            a: g1(A, "A", variables)?,
            b1: g1(B1, "B in G1", variables)?,
            b2: {
                let content = sections.get_exact(bytes, B2, variables * G2)?;
                point::decode_all::<G2Affine>(B2, "B in G2", content)?
            },
            c: g1(C, "C", variables - public - 1)?,
            h: g1(H, "H", domain.into())?,
            circuit_hash: Reader::new(sections.get(bytes, TRANSCRIPT)?).array("circuit hash")?,
            contributions: contribution::read_all(sections.get(bytes, TRANSCRIPT)?)?,
        })
    }

    /// Number of public inputs, without the constant.
    pub fn public_inputs(&self) -> usize {
        self.ic.len().saturating_sub(1)
    }

    /// Number of variables: one, public inputs, wires.
    pub fn variables(&self) -> usize {
        self.a.len()
    }

    /// Size of the quotient's domain.
    pub fn domain_size(&self) -> usize {
        self.h.len()
    }

    /// Writes a file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        write_whole(path, |out| self.write(out))
    }

    /// Writes the bytes that snarkjs writes. It orders the sections of a key that nobody contributed to
    /// otherwise than after a contribution.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        put_head(out, KIND, TRANSCRIPT)?;
        put_section(out, PROTOCOL, 4)?;
        out.write_all(&GROTH16.to_le_bytes())?;
        self.put_header(out)?;
        let order = if self.contributions.is_empty() {
            [COEFFICIENTS, IC, H, C, A, B1, B2]
        } else {
            [IC, COEFFICIENTS, A, B1, B2, C, H]
        };
        for section in order {
            match section {
                IC => put_points(out, section, &self.ic)?,
                COEFFICIENTS => self.put_coefficients(out)?,
                A => put_points(out, section, &self.a)?,
                B1 => put_points(out, section, &self.b1)?,
                B2 => put_points(out, section, &self.b2)?,
                C => put_points(out, section, &self.c)?,
                _ => put_points(out, section, &self.h)?,
            }
        }
        let transcript = contribution::encode_all(&self.circuit_hash, &self.contributions);
        put_section(out, TRANSCRIPT, transcript.len() as u64)?;
        out.write_all(&transcript)
    }

    fn put_header(&self, out: &mut impl Write) -> io::Result<()> {
        put_section(out, HEADER, HEADER_LEN)?;
        for modulus in [Fq::MODULUS, Fr::MODULUS] {
            out.write_all(&WORD.to_le_bytes())?;
            out.write_all(&modulus.to_bytes_le())?;
        }
        for size in [self.variables(), self.public_inputs(), self.domain_size()] {
            out.write_all(&number(size)?)?;
        }
        point::put(out, &self.alpha1)?;
        point::put(out, &self.beta1)?;
        point::put(out, &self.beta2)?;
        point::put(out, &self.gamma2)?;
        point::put(out, &self.delta1)?;
        point::put(out, &self.delta2)
    }

    fn put_coefficients(&self, out: &mut impl Write) -> io::Result<()> {
        let count = self.coefficients.len();
        put_section(out, COEFFICIENTS, 4 + count as u64 * COEFFICIENT_LEN)?;
        out.write_all(&number(count)?)?;
        for coefficient in &self.coefficients {
            let Coefficient { matrix, constraint, signal, value } = coefficient;
            for number in [matrix, constraint, signal] {
                out.write_all(&number.to_le_bytes())?;
            }
            out.write_all(&(*value * R * R).into_bigint().to_bytes_le())?;
        }
        Ok(())
    }
}

fn number(value: usize) -> io::Result<[u8; 4]> {
    let number = u32::try_from(value).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(number.to_le_bytes())
}

fn put_points<P: Point>(out: &mut impl Write, section: u32, points: &[P]) -> io::Result<()> {
    put_section(out, section, (points.len() * P::LEN) as u64)?;
    points.iter().try_for_each(|point| point::put(out, point))
}

fn coefficients(
    sections: &Sections,
    bytes: &[u8],
    variables: u64,
    domain: u32,
) -> Result<Vec<Coefficient>, FormatError> {
    let count = Reader::new(sections.get(bytes, COEFFICIENTS)?).u32("number of coefficients")?;
    let length = 4 + u64::from(count) * COEFFICIENT_LEN;
    let content = sections.get_exact(bytes, COEFFICIENTS, length)?;
    let scale = R * R;
    let unscale = ark_ff::Field::inverse(&scale).unwrap_or_default();
    let one = |(index, bytes)| {
        let mut reader = Reader::new(bytes);
        let matrix = reader.u32("matrix")?;
        range("matrix", matrix, 0, 1)?;
        let constraint = reader.u32("constraint")?;
        range("constraint", constraint, 0, u64::from(domain) - 1)?;
        let signal = reader.u32("signal")?;
        range("signal", signal, 0, variables - 1)?;
        let words: [u64; 4] = bytemuck::pod_read_unaligned(reader.take("coefficient", 32)?);
        let value = Fr::from_bigint(BigInt(words)).ok_or(FormatError::Coefficient { index })?;
        Ok(Coefficient { matrix, constraint, signal, value: value * unscale })
    };
    content[4..].par_chunks_exact(COEFFICIENT_LEN as usize).enumerate().map(one).collect()
}
