//! The structured reference string on disk and in memory.
//!
//! The file holds the Lagrange form `[L_i(τ)]_1` of every ledger size from `k_genesis` to
//! `k_max` in the order of account indices, and `[τ^(2^k)]_2` for k = 0 … k_max. The monomial form
//! is not kept: nothing in Kerros commits by coefficients. Reading checks the digest of the header,
//! and every point it hands out: range, curve, subgroup.
//!
//! Layout, big-endian: magic 8 ‖ version 4 ‖ development 1 ‖ k_genesis 1 ‖ k_max 1 ‖
//! (k_max+1)·128 bytes G2 ‖ blake3 of all this 32 ‖ for each k: 2^k·64 bytes G1 ‖ blake3 of it 32.

use crate::encoding::{DecodeError, Reader, g1_from_be, g1_to_be, g2_to_be};
use crate::limits::LEDGER_K_MAX;
use ark_bn254::{G1Affine, G2Affine};
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"KERROSRS";
const VERSION: u32 = 1;

/// Why a reference string could not be read.
#[derive(Debug, Error)]
pub enum SrsError {
    /// The file could not be read.
    #[error("reference string: {0}")]
    Io(#[from] io::Error),
    /// The file is not what it should be.
    #[error("reference string: {0}")]
    Decode(#[from] DecodeError),
    /// The file has no such ledger size.
    #[error("reference string covers ledgers of 2^{from} to 2^{to}, not 2^{k}")]
    NoSuchSize {
        /// Size asked for.
        k: u8,
        /// Least size in the file.
        from: u8,
        /// Greatest size in the file.
        to: u8,
    },
}

/// The small part: who made it, for which sizes, and the points in G2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrsHeader {
    /// Made with a secret somebody knew: refused by production configurations.
    pub development: bool,
    /// Least ledger size.
    pub k_genesis: u8,
    /// Greatest ledger size.
    pub k_max: u8,
    /// `tau_powers[k] = [τ^(2^k)]_2`.
    pub tau_powers: Vec<G2Affine>,
}

impl SrsHeader {
    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&[u8::from(self.development), self.k_genesis, self.k_max]);
        for power in &self.tau_powers {
            out.extend_from_slice(&g2_to_be(power));
        }
        out
    }
    /// Reads what a file begins with, strictly. Needs memory for the sizes that exist, whatever the file says.
    pub fn read(from: &mut impl Read) -> Result<Self, SrsError> {
        let mut start = [0u8; 15];
        from.read_exact(&mut start)?;
        let mut reader = Reader::new(&start);
        let what = "reference string header";
        if reader.take(what, 8)? != MAGIC || reader.take_u32(what)? != VERSION {
            return Err(DecodeError::UnknownFormat { what }.into());
        }
        let development = reader.take_flag(what)?;
        let (k_genesis, k_max) = (reader.take_u8(what)?, reader.take_u8(what)?);
        if k_max > LEDGER_K_MAX || k_genesis > k_max {
            let (value, max) = (k_max.into(), LEDGER_K_MAX.into());
            return Err(DecodeError::OutOfRange { what: "k_max", value, min: 0, max }.into());
        }
        let mut rest = vec![0u8; Self::encoded_len(k_max) - start.len() + 32];
        from.read_exact(&mut rest)?;
        let (body, digest) = rest.split_at(rest.len() - 32);
        if blake3::Hasher::new().update(&start).update(body).finalize().as_bytes() != digest {
            return Err(DecodeError::Digest { what }.into());
        }
        let mut reader = Reader::new(body);
        let tau_powers = (0..=k_max)
            .map(|_| reader.take_g2("power of tau in G2"))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { development, k_genesis, k_max, tau_powers })
    }
    fn encoded_len(k_max: u8) -> usize {
        8 + 4 + 3 + (usize::from(k_max) + 1) * 128
    }
    /// `[τ]_2`.
    pub fn tau(&self) -> G2Affine {
        self.tau_powers[0]
    }
}

/// An open reference string.
#[derive(Debug, Clone)]
pub struct Srs {
    path: PathBuf,
    /// The small part.
    pub header: SrsHeader,
}

impl Srs {
    /// Opens a file and checks its header.
    pub fn open(path: &Path) -> Result<Self, SrsError> {
        let header = SrsHeader::read(&mut File::open(path)?)?;
        Ok(Self { path: path.to_owned(), header })
    }
    /// Reads `[L_i(τ)]_1` of the ledger of `2^k` accounts, in the order of indices; about
    /// `2^k·64` bytes, every point checked.
    pub fn lagrange(&self, k: u8) -> Result<Vec<G1Affine>, SrsError> {
        let (from, to) = (self.header.k_genesis, self.header.k_max);
        if !(from..=to).contains(&k) {
            return Err(SrsError::NoSuchSize { k, from, to });
        }
        let mut offset = SrsHeader::encoded_len(to) as u64 + 32;
        offset += (from..k).map(|size| (64u64 << size) + 32).sum::<u64>();
        let mut file = File::open(&self.path)?;
        let (what, need) = ("Lagrange points", (64usize << k) + 32);
        let have = file.metadata()?.len().saturating_sub(offset);
        if have < need as u64 {
            // Before memory is taken for what the header only says: 16 GiB at most.
            let have = usize::try_from(have).unwrap_or(usize::MAX);
            return Err(DecodeError::Short { what, need, have }.into());
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0u8; need];
        file.read_exact(&mut bytes)?;
        let (body, digest) = bytes.split_at(64 << k);
        let what = "Lagrange point";
        if blake3::hash(body).as_bytes() != digest {
            return Err(DecodeError::Digest { what }.into());
        }
        let points = body.par_chunks_exact(64).map(|chunk| {
            let chunk: &[u8; 64] = chunk.try_into().expect("chunks of 64");
            g1_from_be(what, chunk)
        });
        Ok(points.collect::<Result<_, _>>()?)
    }
}

/// Writes a reference string, size by size.
pub struct SrsWriter<W: Write> {
    out: W,
}

impl<W: Write> SrsWriter<W> {
    /// Writes the header.
    pub fn new(mut out: W, header: &SrsHeader) -> io::Result<Self> {
        let bytes = header.encode();
        out.write_all(&bytes)?;
        out.write_all(blake3::hash(&bytes).as_bytes())?;
        Ok(Self { out })
    }
    /// Writes the next size; points in the order of indices.
    pub fn lagrange(&mut self, points: &[G1Affine]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(points.len() * 64);
        for point in points {
            bytes.extend_from_slice(&g1_to_be(point));
        }
        self.out.write_all(&bytes)?;
        self.out.write_all(blake3::hash(&bytes).as_bytes())
    }
    /// The underlying writer.
    pub fn finish(self) -> W {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::AffineRepr;

    #[test]
    fn no_memory_is_taken_for_points_that_the_file_does_not_have() {
        let tau_powers = vec![G2Affine::generator(); usize::from(LEDGER_K_MAX) + 1];
        let header =
            SrsHeader { development: true, k_genesis: 28, k_max: LEDGER_K_MAX, tau_powers };
        let bytes = SrsWriter::new(Vec::new(), &header).expect("memory").finish();
        assert_eq!(SrsHeader::read(&mut bytes.as_slice()).expect("own form"), header);
        let path = std::env::temp_dir().join(format!("kerros-srs-{}", std::process::id()));
        std::fs::write(&path, &bytes).expect("written");
        let srs = Srs::open(&path).expect("the header is whole");
        // 16 GiB by the header's word.
        let refused = srs.lagrange(28);
        std::fs::remove_file(&path).expect("there");
        let Err(SrsError::Decode(DecodeError::Short { need, have, .. })) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((need, have), ((64 << 28) + 32, 0));
        let mut other = bytes;
        other[12] = 2;
        let refused = SrsHeader::read(&mut other.as_slice());
        assert!(matches!(refused, Err(SrsError::Decode(DecodeError::OutOfRange { value: 2, .. }))));
    }
}
