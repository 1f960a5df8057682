//! A batch: its shape, its five kinds of record, the bytes the main chain sees and the field
//! elements `d_j` that the proof speaks about (SPEC.md section 4).
//!
//! Decoding here and in the contract accept exactly the same bytes, but for what needs storage
//! (queue, registered assets), which only the contract sees.

mod record;
mod sealed;
#[cfg(test)]
mod tests;

pub use record::{CollectRecord, DepositRecord, ExitRecord, OpenRecord, TransferRecord};
pub use sealed::{Authorisation, SealedBatch, ledger_exponent};

use crate::encoding::{DecodeError, Reader};
use crate::limits::{ACCESSES_MAX, ORDERED_MAX};
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use thiserror::Error;

/// Capacities of the five sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// O: opens.
    pub opens: u32,
    /// D: deposits, at least 1.
    pub deposits: u32,
    /// T: transfers.
    pub transfers: u32,
    /// E: exits, signed and forced, at least 1.
    pub exits: u32,
    /// F: collects of fees.
    pub collects: u32,
}

/// Why a shape cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// Deposits and forced exits must always find a place.
    #[error("a shape needs at least one deposit and one exit")]
    NoQueue,
    /// Every deposit of a batch may need an account opened.
    #[error("{opens} opens are fewer than {deposits} deposits")]
    OpensBelowDeposits {
        /// O.
        opens: u32,
        /// D.
        deposits: u32,
    },
    /// The order `t` has 16 bits.
    #[error("{have} transfers and exits, at most {ORDERED_MAX}")]
    TooManyOrdered {
        /// T + E.
        have: u64,
    },
    /// Accesses are numbered below `2^20`; counts are uint16.
    #[error("{have} accesses, fewer than {ACCESSES_MAX} allowed, and no section above 65535")]
    TooManyAccesses {
        /// L.
        have: u64,
    },
    /// Text that is no shape.
    #[error("a shape is five numbers O,D,T,E,F")]
    Syntax,
}

impl Shape {
    /// Checks the bounds of SPEC.md section 4.
    pub fn new(sections: [u32; 5]) -> Result<Self, ShapeError> {
        let [opens, deposits, transfers, exits, collects] = sections;
        if deposits == 0 || exits == 0 {
            return Err(ShapeError::NoQueue);
        }
        if opens < deposits {
            return Err(ShapeError::OpensBelowDeposits { opens, deposits });
        }
        let ordered = u64::from(transfers) + u64::from(exits);
        if ordered > u64::from(ORDERED_MAX) {
            return Err(ShapeError::TooManyOrdered { have: ordered });
        }
        let accesses = sections.iter().map(|n| u64::from(*n)).sum::<u64>() + u64::from(transfers);
        if accesses >= u64::from(ACCESSES_MAX) || sections.iter().any(|n| *n > 0xffff) {
            return Err(ShapeError::TooManyAccesses { have: accesses });
        }
        Ok(Self { opens, deposits, transfers, exits, collects })
    }
    /// O, D, T, E, F.
    pub fn sections(&self) -> [u32; 5] {
        [self.opens, self.deposits, self.transfers, self.exits, self.collects]
    }
    /// L, the number of accesses to accounts: one a record, two a transfer.
    pub fn accesses(&self) -> usize {
        self.sections().iter().sum::<u32>() as usize + self.transfers as usize
    }
    /// Number of elements `d_j`.
    pub fn element_count(&self) -> usize {
        let [o, d, t, e, f] = self.sections().map(|n| n as usize);
        2 * o + 3 * d + t + 2 * e + f
    }
    /// Five uint32, as in `vkHash`.
    pub fn to_be(&self) -> [u8; 20] {
        let mut out = [0u8; 20];
        for (slot, n) in out.chunks_exact_mut(4).zip(self.sections()) {
            slot.copy_from_slice(&n.to_be_bytes());
        }
        out
    }
}

impl std::str::FromStr for Shape {
    type Err = ShapeError;
    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let numbers = text
            .split(',')
            .map(|part| part.trim().parse::<u32>().map_err(|_| ShapeError::Syntax))
            .collect::<Result<Vec<_>, _>>()?;
        Shape::new(numbers.try_into().map_err(|_| ShapeError::Syntax)?)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [o, d, t, e, c] = self.sections();
        write!(f, "{o},{d},{t},{e},{c}")
    }
}

/// Why batch data was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchDataError {
    /// A section holds more records than its capacity.
    #[error("section {section}: {have} records, capacity {capacity}")]
    SectionFull {
        /// O, D, T, E or F.
        section: char,
        /// Records.
        have: usize,
        /// Capacity.
        capacity: u32,
    },
    /// Bytes that are no record.
    #[error("section {section}, record {record}: {source}")]
    Record {
        /// O, D, T, E or F.
        section: char,
        /// Number of the record in its section.
        record: usize,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Bytes missing or left over.
    #[error("{0}")]
    Length(#[from] DecodeError),
}

/// The records of a batch; what is published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchData {
    /// Section O.
    pub opens: Vec<OpenRecord>,
    /// Section D.
    pub deposits: Vec<DepositRecord>,
    /// Section T.
    pub transfers: Vec<TransferRecord>,
    /// Section E.
    pub exits: Vec<ExitRecord>,
    /// Section F.
    pub collects: Vec<CollectRecord>,
}

/// Letters of the sections, in order.
pub const SECTIONS: [char; 5] = ['O', 'D', 'T', 'E', 'F'];

impl BatchData {
    /// Records in each section.
    pub fn counts(&self) -> [usize; 5] {
        [
            self.opens.len(),
            self.deposits.len(),
            self.transfers.len(),
            self.exits.len(),
            self.collects.len(),
        ]
    }
    /// Queue entries this data consumes: all deposits and the forced exits.
    pub fn queue_entries(&self) -> u64 {
        let forced = self.exits.iter().filter(|exit| exit.forced).count();
        (self.deposits.len() + forced) as u64
    }
    /// Requires every section to be within its capacity.
    pub fn check_capacity(&self, shape: &Shape) -> Result<(), BatchDataError> {
        for ((section, have), capacity) in
            SECTIONS.into_iter().zip(self.counts()).zip(shape.sections())
        {
            if have > capacity as usize {
                return Err(BatchDataError::SectionFull { section, have, capacity });
            }
        }
        Ok(())
    }
    /// The bytes on chain: five uint16 counts, then the records section by section. The data must
    /// be within a shape, so that counts fit.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for count in self.counts() {
            let count = u16::try_from(count).expect("a shape's sections are uint16");
            out.extend_from_slice(&count.to_be_bytes());
        }
        self.opens.iter().for_each(|record| record.write(&mut out));
        self.deposits.iter().for_each(|record| record.write(&mut out));
        self.transfers.iter().for_each(|record| record.write(&mut out));
        self.exits.iter().for_each(|record| record.write(&mut out));
        self.collects.iter().for_each(|record| record.write(&mut out));
        out
    }
    /// Reads [`BatchData::encode`], strictly.
    pub fn decode(bytes: &[u8], shape: &Shape) -> Result<Self, BatchDataError> {
        let mut reader = Reader::new(bytes);
        let mut counts = [0usize; 5];
        for (section, (count, capacity)) in counts.iter_mut().zip(shape.sections()).enumerate() {
            *count = reader.take_u16("section count")?.into();
            if *count > capacity as usize {
                let (section, have) = (SECTIONS[section], *count);
                return Err(BatchDataError::SectionFull { section, have, capacity });
            }
        }
        let data = Self {
            opens: section('O', counts[0], || OpenRecord::take(&mut reader))?,
            deposits: section('D', counts[1], || DepositRecord::take(&mut reader))?,
            transfers: section('T', counts[2], || TransferRecord::take(&mut reader))?,
            exits: section('E', counts[3], || ExitRecord::take(&mut reader))?,
            collects: section('F', counts[4], || CollectRecord::take(&mut reader))?,
        };
        reader.finish("batch data")?;
        Ok(data)
    }
    /// All `d_j`: record by record, every section at its fixed offset, padding 0.
    pub fn elements(&self, shape: &Shape) -> Vec<Fr> {
        fn fill<R, const N: usize>(
            out: &mut Vec<Fr>,
            records: &[R],
            capacity: u32,
            elements: impl Fn(&R) -> [Fr; N],
        ) {
            let end = out.len() + N * capacity as usize;
            records.iter().for_each(|record| out.extend(elements(record)));
            assert!(out.len() <= end, "records were checked against the shape");
            out.resize(end, Fr::ZERO);
        }
        let mut out = Vec::with_capacity(shape.element_count());
        fill(&mut out, &self.opens, shape.opens, OpenRecord::elements);
        fill(&mut out, &self.deposits, shape.deposits, DepositRecord::elements);
        fill(&mut out, &self.transfers, shape.transfers, |record| [record.element()]);
        fill(&mut out, &self.exits, shape.exits, ExitRecord::elements);
        fill(&mut out, &self.collects, shape.collects, |record| [record.element()]);
        out
    }
}

fn section<R>(
    section: char,
    count: usize,
    mut take: impl FnMut() -> Result<R, DecodeError>,
) -> Result<Vec<R>, BatchDataError> {
    (0..count)
        .map(|record| take().map_err(|source| BatchDataError::Record { section, record, source }))
        .collect()
}

/// `Σ_j d_j·z^j`.
pub fn evaluate(elements: &[Fr], z: Fr) -> Fr {
    elements.iter().rev().fold(Fr::ZERO, |sum, d| sum * z + d)
}
