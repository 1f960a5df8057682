//! Phase 1, the powers of tau: snarkjs's `.ptau`, prepared for phase 2.
//!
//! The file is mapped; points are decoded, and thereby checked to be of their group, whenever they are
//! taken. That they are the powers they should be is for [`Ptau::verify`]. Who contributed is not looked at:
//! `snarkjs powersoftau verify` does that, and a ceremony publishes the digests of its files.

mod verify;

pub use verify::PtauError;

use crate::binfile::{Bytes, Reader, Sections};
use crate::error::{FileError, FormatError, PointFault, format_at};
use crate::point::{self, Point};
use crate::zkey::modulus;
use ark_bn254::{Fq, G1Affine, G2Affine};
use blake2::{Blake2b512, Digest};
use std::path::Path;

const KIND: &str = "ptau";
const HEADER: u32 = 1;
const HEADER_LEN: u64 = 4 + 32 + 4 + 4;
const TAU_G1: u32 = 2;
const TAU_G2: u32 = 3;
const ALPHA_TAU: u32 = 4;
const BETA_TAU: u32 = 5;
const BETA_G2: u32 = 6;
const CONTRIBUTIONS: u32 = 7;
/// Fr's two-adicity.
const POWER_MAX: u8 = 28;

/// A list of points with its powers and its Lagrange forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// `[τ^i]_1`.
    TauG1,
    /// `[τ^i]_2`.
    TauG2,
    /// `[α·τ^i]_1`.
    AlphaTau,
    /// `[β·τ^i]_1`.
    BetaTau,
}

impl Series {
    const ALL: [Self; 4] = [Self::TauG1, Self::TauG2, Self::AlphaTau, Self::BetaTau];

    /// Its name in errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::TauG1 => "tau in G1",
            Self::TauG2 => "tau in G2",
            Self::AlphaTau => "alpha tau",
            Self::BetaTau => "beta tau",
        }
    }
    /// The section of its powers.
    pub fn powers_section(self) -> u32 {
        match self {
            Self::TauG1 => TAU_G1,
            Self::TauG2 => TAU_G2,
            Self::AlphaTau => ALPHA_TAU,
            Self::BetaTau => BETA_TAU,
        }
    }
    /// The section of its Lagrange forms.
    pub fn lagrange_section(self) -> u32 {
        self.powers_section() + 10
    }
    fn point_len(self) -> u64 {
        if self == Self::TauG2 { G2Affine::LEN as u64 } else { G1Affine::LEN as u64 }
    }
    /// How many powers there are.
    fn powers(self, power: u8) -> u64 {
        if self == Self::TauG1 { (2 << power) - 1 } else { 1 << power }
    }
    /// The greatest level of Lagrange forms.
    fn top_level(self, power: u8) -> u8 {
        if self == Self::TauG1 { power + 1 } else { power }
    }
}

/// A phase 1.
pub struct Ptau {
    bytes: Bytes,
    sections: Sections,
    power: u8,
}

impl Ptau {
    /// Maps a file and checks its header and the lengths of its sections.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::from_bytes(Bytes::map(path)?).map_err(format_at(path))
    }

    /// BLAKE2b-512 of the whole file, as ceremonies publish it: the only thing here that says whose powers
    /// these are. The list of contributors in the file is not verified.
    pub fn digest(&self) -> [u8; 64] {
        Blake2b512::digest(&*self.bytes).into()
    }

    /// The same of bytes.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, FormatError> {
        let sections = Sections::read(&bytes, KIND)?;
        sections
            .only(|section| (HEADER..=CONTRIBUTIONS).contains(&section) || is_lagrange(section))?;
        let mut header = Reader::new(sections.get_exact(&bytes, HEADER, HEADER_LEN)?);
        modulus::<Fq>(&mut header, "base field")?;
        let (power, ceremony) = (header.u32("power")?, header.u32("power of the ceremony")?);
        let max = POWER_MAX.into();
        let range = |what, found: u32, min: u64| match u64::from(found) {
            found if (min..=max).contains(&found) => Ok(()),
            found => Err(FormatError::Range { what, found, min, max }),
        };
        range("power", power, 1)?;
        range("power of the ceremony", ceremony, power.into())?;
        let power = power as u8;
        for series in Series::ALL {
            let length = series.powers(power) * series.point_len();
            sections.get_exact(&bytes, series.powers_section(), length)?;
            let points = (2u64 << series.top_level(power)) - 1;
            sections.get_exact(&bytes, series.lagrange_section(), points * series.point_len())?;
        }
        sections.get_exact(&bytes, BETA_G2, G2Affine::LEN as u64)?;
        sections.get(&bytes, CONTRIBUTIONS)?;
        Ok(Self { bytes, sections, power })
    }

    /// There are powers of τ in G2 up to `2^power − 1`.
    pub fn power(&self) -> u8 {
        self.power
    }

    fn slice<P: Point>(
        &self,
        section: u32,
        what: &'static str,
        start: u64,
        count: u64,
    ) -> Result<&[u8], FormatError> {
        let mut reader = Reader::new(self.sections.get(&self.bytes, section)?);
        reader.take(what, start.saturating_mul(P::LEN as u64))?;
        reader.take(what, count.saturating_mul(P::LEN as u64))
    }

    /// `count` powers from the `start`-th on.
    pub fn powers<P: Point>(
        &self,
        series: Series,
        start: u64,
        count: u64,
    ) -> Result<Vec<P>, FormatError> {
        let section = series.powers_section();
        let content = self.slice::<P>(section, series.name(), start, count)?;
        point::decode_all(section, series.name(), content)
    }

    /// A power, which is not infinity.
    pub fn single<P: Point>(&self, series: Series, index: usize) -> Result<P, FormatError> {
        let (section, what) = (series.powers_section(), series.name());
        let content = self.slice::<P>(section, what, index as u64, 1)?;
        let refused = |fault: PointFault| FormatError::Point { section, what, index, fault };
        point::decode_finite(content).map_err(refused)
    }

    /// `[β]_2`.
    pub fn beta_g2(&self) -> Result<G2Affine, FormatError> {
        let (section, what) = (BETA_G2, "beta in G2");
        let content = self.slice::<G2Affine>(section, what, 0, 1)?;
        let refused = |fault: PointFault| FormatError::Point { section, what, index: 0, fault };
        point::decode_finite(content).map_err(refused)
    }

    /// The Lagrange form over the domain of `2^level` elements, in the order of powers of its root.
    ///
    /// The greatest level of τ in G1, one above the file's power, needs a power of τ that no phase 1 has; tools put 0
    /// or the true power in its place and nobody can check it. Nothing may rest on that level.
    pub fn lagrange<P: Point>(&self, series: Series, level: u8) -> Result<Vec<P>, FormatError> {
        let max = series.top_level(self.power);
        if level > max {
            let (found, max) = (level.into(), max.into());
            return Err(FormatError::Range {
                what: "level of a Lagrange form",
                found,
                min: 0,
                max,
            });
        }
        let section = series.lagrange_section();
        let start = (1u64 << level) - 1;
        let content = self.slice::<P>(section, series.name(), start, 1 << level)?;
        point::decode_all(section, series.name(), content)
    }
}

fn is_lagrange(section: u32) -> bool {
    Series::ALL.iter().any(|series| series.lagrange_section() == section)
}
