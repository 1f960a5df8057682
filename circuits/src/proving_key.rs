//! The proving key's file, read where it lies: mapped, not copied.
//!
//! `magic 8 ‖ version 4 ‖ development 1 ‖ circuit digest 32 ‖ vkHash 32 ‖ blake3 of the body 32 ‖ zeros to
//! 128 ‖ body`. The body is `variables 8 ‖ domain size 8 ‖ zeros to 64`, then points as the kernels take
//! them (little-endian words of arkworks' Montgomery form, 64 bytes in G1, 128 in G2, infinity all zero): α, β, δ in
//! G1 and one of padding; β, δ in G2; the queries A and B in G1, L, H, and B in G2. Integers of the headers are
//! big-endian.
//!
//! The body's points are validated once: the digest of a validated body is noted beside it, and a later
//! load trusts that note's digest only.

use crate::builder::INPUT_COUNT;
use crate::groth16::Compiled;
use crate::setup::{SetupError, decode_at, io_at, write_whole};
use ark_bn254::{Bn254, G1Affine, G2Affine};
use ark_groth16::VerifyingKey;
use bytemuck::Pod;
use kerros_kernels::{PreparedG1, PreparedG2};
use kerros_protocol::encoding::{DecodeError, Reader};
use kerros_protocol::verification_key::VerificationKey;
use memmap2::Mmap;
use rayon::prelude::*;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

const WHAT: &str = "proving key";
const MAGIC: &[u8; 8] = b"KERROSPK";
const VERSION: u32 = 2;
/// Of the file's header, with its padding.
const HEADER_LEN: usize = 128;
const HEADER_USED: usize = 8 + 4 + 1 + 32 + 32 + 32;
/// Of the body's two sizes, with their padding.
const SIZES_LEN: usize = 64;
/// Points before the queries, in each group.
const SINGLES_G1: usize = 4;
const SINGLES_G2: usize = 2;
/// No circuit has more variables, and no domain is larger.
const SIZE_MAX: u64 = 1 << 28;

struct Header {
    circuit: [u8; 32],
    vk_hash: [u8; 32],
    body: [u8; 32],
}

fn read_header(bytes: &[u8]) -> Result<Header, DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.take(WHAT, 8)? != MAGIC || reader.take_u32(WHAT)? != VERSION {
        return Err(DecodeError::UnknownFormat { what: WHAT });
    }
    reader.take_u8(WHAT)?;
    Ok(Header {
        circuit: reader.take_array(WHAT)?,
        vk_hash: reader.take_array(WHAT)?,
        body: reader.take_array(WHAT)?,
    })
}

/// Where each part of a body lies, in bytes.
struct Layout {
    variables: usize,
    domain: usize,
    singles_g1: Range<usize>,
    singles_g2: Range<usize>,
    a: Range<usize>,
    b_g1: Range<usize>,
    l: Range<usize>,
    h: Range<usize>,
    b_g2: Range<usize>,
}

impl Layout {
    /// Of a body of `len` bytes that begins with these.
    fn read(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut size = || reader.take_u64(WHAT).map(|size| size.min(SIZE_MAX) as usize);
        let (variables, domain) = (size()?, size()?);
        let mut end = SIZES_LEN;
        let mut part = |points: usize, bytes: usize| {
            let start = end;
            end += points * bytes;
            start..end
        };
        let (g1, g2) = (size_of::<PreparedG1>(), size_of::<PreparedG2>());
        let layout = Self {
            variables,
            domain,
            singles_g1: part(SINGLES_G1, g1),
            singles_g2: part(SINGLES_G2, g2),
            a: part(variables, g1),
            b_g1: part(variables, g1),
            l: part(variables.saturating_sub(INPUT_COUNT), g1),
            h: part(domain.saturating_sub(1), g1),
            b_g2: part(variables, g2),
        };
        if body.len() != end || variables < INPUT_COUNT || domain < 2 {
            return Err(DecodeError::UnknownFormat { what: WHAT });
        }
        Ok(layout)
    }
}

/// Header, digest of the body and layout of a whole file's bytes: variables, and size of the domain. What
/// [`read`] checks before it looks at points; public for the fuzzer.
#[doc(hidden)]
pub fn check_form(bytes: &[u8]) -> Result<(usize, usize), DecodeError> {
    let header = read_header(bytes)?;
    let layout = read_body(&header, bytes.get(HEADER_LEN..).unwrap_or_default())?;
    Ok((layout.variables, layout.domain))
}

/// The layout of a body that the header names.
fn read_body(header: &Header, body: &[u8]) -> Result<Layout, DecodeError> {
    if blake3::hash(body).as_bytes() != &header.body {
        return Err(DecodeError::Digest { what: WHAT });
    }
    Layout::read(body)
}

/// Points of a body whose layout was read: parts lie at multiples of 64 bytes.
fn points<P: Pod>(bytes: &[u8]) -> &[P] {
    bytemuck::cast_slice(bytes)
}

/// A proving key, mapped from its file. Nothing of it is copied; the system keeps of it in memory what is
/// used.
pub struct ProvingKey {
    map: Mmap,
    layout: Layout,
}

impl ProvingKey {
    fn body(&self) -> &[u8] {
        &self.map[HEADER_LEN..]
    }
    fn g1(&self, part: &Range<usize>) -> &[PreparedG1] {
        points(&self.body()[part.clone()])
    }
    fn g2(&self, part: &Range<usize>) -> &[PreparedG2] {
        points(&self.body()[part.clone()])
    }
    /// One, public inputs and wires of the circuit.
    pub fn variables(&self) -> usize {
        self.layout.variables
    }
    /// Size of the domain of the quotient.
    pub fn domain_size(&self) -> usize {
        self.layout.domain
    }
    /// `[α, β, δ]_1`.
    pub fn singles_g1(&self) -> [G1Affine; 3] {
        let points = self.g1(&self.layout.singles_g1);
        [0, 1, 2].map(|i| G1Affine::from(points[i]))
    }
    /// `[β, δ]_2`.
    pub fn singles_g2(&self) -> [G2Affine; 2] {
        let points = self.g2(&self.layout.singles_g2);
        [0, 1].map(|i| G2Affine::from(points[i]))
    }
    /// `[A_j(τ)]_1` for every variable.
    pub fn a(&self) -> &[PreparedG1] {
        self.g1(&self.layout.a)
    }
    /// `[B_j(τ)]_1` for every variable.
    pub fn b_g1(&self) -> &[PreparedG1] {
        self.g1(&self.layout.b_g1)
    }
    /// `[B_j(τ)]_2` for every variable.
    pub fn b_g2(&self) -> &[PreparedG2] {
        self.g2(&self.layout.b_g2)
    }
    /// `[(βA_j(τ) + αB_j(τ) + C_j(τ))/δ]_1` for every wire.
    pub fn l(&self) -> &[PreparedG1] {
        self.g1(&self.layout.l)
    }
    /// `[τ^i·t(τ)/δ]_1`, one fewer than the domain has elements.
    pub fn h(&self) -> &[PreparedG1] {
        self.g1(&self.layout.h)
    }
    /// As arkworks' prover takes it, copied.
    pub fn to_arkworks(&self, key: &VerificationKey) -> ark_groth16::ProvingKey<Bn254> {
        let g1 = |points: &[PreparedG1]| points.iter().map(|p| G1Affine::from(*p)).collect();
        let [alpha_g1, beta_g1, delta_g1] = self.singles_g1();
        let [beta_g2, delta_g2] = self.singles_g2();
        let gamma_abc_g1 = key.ic.to_vec();
        ark_groth16::ProvingKey {
            vk: VerifyingKey { alpha_g1, beta_g2, gamma_g2: key.gamma2(), delta_g2, gamma_abc_g1 },
            beta_g1,
            delta_g1,
            a_query: g1(self.a()),
            b_g1_query: g1(self.b_g1()),
            b_g2_query: self.b_g2().iter().map(|p| G2Affine::from(*p)).collect(),
            h_query: g1(self.h()),
            l_query: g1(self.l()),
        }
    }
    /// All points are on their curves, those of G2 in the right subgroup, and those that the verification
    /// key has too are the same.
    fn validate(&self, key: &VerificationKey) -> Result<(), DecodeError> {
        let g1 = |part: &Range<usize>| self.g1(part).par_iter().all(PreparedG1::is_valid);
        let g2 = |part: &Range<usize>| self.g2(part).par_iter().all(PreparedG2::is_valid);
        let Layout { singles_g1, singles_g2, a, b_g1, l, h, b_g2, .. } = &self.layout;
        if ![singles_g1, a, b_g1, l, h].into_iter().all(g1)
            || ![singles_g2, b_g2].into_iter().all(g2)
        {
            return Err(DecodeError::NotOnCurve { what: WHAT });
        }
        let same =
            self.singles_g1()[0] == key.alpha1 && self.singles_g2() == [key.beta2, key.delta2];
        if same { Ok(()) } else { Err(DecodeError::UnknownFormat { what: WHAT }) }
    }
}

/// Gives the body in pieces.
fn put_body(proving: &ark_groth16::ProvingKey<Bn254>, out: &mut impl Write) -> io::Result<()> {
    let mut sizes = [0; SIZES_LEN];
    sizes[..8].copy_from_slice(&(proving.a_query.len() as u64).to_be_bytes());
    sizes[8..16].copy_from_slice(&(proving.h_query.len() as u64 + 1).to_be_bytes());
    out.write_all(&sizes)?;
    let g1 = |points: &[G1Affine], out: &mut _| put(points, PreparedG1::from, out);
    let singles = [proving.vk.alpha_g1, proving.beta_g1, proving.delta_g1, G1Affine::identity()];
    g1(&singles, out)?;
    put(&[proving.vk.beta_g2, proving.vk.delta_g2], PreparedG2::from, out)?;
    for query in [&proving.a_query, &proving.b_g1_query, &proving.l_query, &proving.h_query] {
        g1(query, out)?;
    }
    put(&proving.b_g2_query, PreparedG2::from, out)
}

fn put<A: Copy, P: Pod>(
    points: &[A],
    prepare: impl Fn(A) -> P,
    out: &mut impl Write,
) -> io::Result<()> {
    points.iter().try_for_each(|point| out.write_all(bytemuck::bytes_of(&prepare(*point))))
}

/// Writes the key's file.
pub(crate) fn write(
    path: &Path,
    proving: &ark_groth16::ProvingKey<Bn254>,
    compiled: &Compiled,
    key: &VerificationKey,
) -> Result<(), SetupError> {
    let mut hasher = blake3::Hasher::new();
    put_body(proving, &mut hasher).expect("hashing writes nowhere");
    let digest = *hasher.finalize().as_bytes();
    write_whole(path, |out| {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_be_bytes())?;
        out.write_all(&[u8::from(key.development)])?;
        out.write_all(&compiled.digest())?;
        out.write_all(&key.hash())?;
        out.write_all(&digest)?;
        out.write_all(&[0; HEADER_LEN - HEADER_USED])?;
        put_body(proving, out)
    })?;
    note_validated(path, &digest)
}

fn note_path(path: &Path) -> PathBuf {
    path.with_extension("validated")
}

fn note_validated(path: &Path, digest: &[u8; 32]) -> Result<(), SetupError> {
    write_whole(&note_path(path), |out| out.write_all(digest))
}

/// Whether the file's header says that it is for this key and this circuit.
pub(crate) fn is_for(path: &Path, key: &VerificationKey) -> bool {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = vec![0u8; HEADER_LEN];
        io::Read::read_exact(&mut File::open(path)?, &mut bytes)?;
        Ok(bytes)
    };
    let Ok(Ok(header)) = read().map(|bytes| read_header(&bytes)) else { return false };
    header.vk_hash == key.hash() && header.circuit == Compiled::new(&key.shape).digest()
}

/// Maps a proving key for `compiled` and `key`; checks digest, circuit and verification key, and
/// validates all points unless this very body was validated before.
pub fn read(
    path: &Path,
    compiled: &Compiled,
    key: &VerificationKey,
) -> Result<ProvingKey, SetupError> {
    let file = File::open(path).map_err(io_at(path))?;
    #[allow(unsafe_code)]
    // Safety: key files are written whole under another name and renamed, never in place.
    let map = unsafe { Mmap::map(&file) }.map_err(io_at(path))?;
    let header = read_header(&map).map_err(decode_at(path))?;
    for (what, have, need) in [
        ("circuit", header.circuit, compiled.digest()),
        ("verification key", header.vk_hash, key.hash()),
    ] {
        if have != need {
            return Err(SetupError::Foreign { path: path.to_owned(), what });
        }
    }
    let body = map.get(HEADER_LEN..).unwrap_or_default();
    let layout = read_body(&header, body).map_err(decode_at(path))?;
    let digest = header.body;
    let proving = ProvingKey { map, layout };
    let sizes = (proving.variables(), proving.domain_size());
    if sizes != (compiled.variables, compiled.domain_size()) {
        return Err(SetupError::Foreign { path: path.to_owned(), what: "circuit" });
    }
    if !fs::read(note_path(path)).is_ok_and(|note| note == digest) {
        proving.validate(key).map_err(decode_at(path))?;
        note_validated(path, &digest)?;
    }
    Ok(proving)
}
