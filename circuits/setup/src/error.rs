//! Why a file of a setup was refused.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What is wrong with the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The file does not begin with the letters of its kind.
    #[error("not a .{expected} file")]
    Magic {
        /// The kind that was asked for.
        expected: &'static str,
    },
    /// A version that this build does not know.
    #[error("version {found} of .{kind}, not 1")]
    Version {
        /// Kind of the file.
        kind: &'static str,
        /// The version found.
        found: u32,
    },
    /// Fewer bytes than the file or a section says.
    #[error("{what} at byte {offset}: {need} bytes, {have} left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where, from the file's or the section's beginning.
        offset: u64,
        /// Bytes needed.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// Bytes after the last section.
    #[error("{extra} bytes after the last section")]
    Trailing {
        /// How many.
        extra: u64,
    },
    /// A section that the file must have is not there.
    #[error("section {section} is missing")]
    Missing {
        /// Its type.
        section: u32,
    },
    /// A section that may be there once is there again.
    #[error("section {section} is there twice")]
    Twice {
        /// Its type.
        section: u32,
    },
    /// A section that the format does not have.
    #[error("section {section} is none of this format")]
    Unknown {
        /// Its type.
        section: u32,
    },
    /// A section of the wrong length.
    #[error("section {section}: {found} bytes, not {expected}")]
    Length {
        /// Its type.
        section: u32,
        /// What follows from the header.
        expected: u64,
        /// What the file says.
        found: u64,
    },
    /// Another curve or another proof system.
    #[error("{what}: not that of Groth16 over BN254")]
    Foreign {
        /// What differs.
        what: &'static str,
    },
    /// A number outside its range.
    #[error("{what}: {found} is outside {min}..={max}")]
    Range {
        /// What was being read.
        what: &'static str,
        /// The number found.
        found: u64,
        /// Least allowed.
        min: u64,
        /// Greatest allowed.
        max: u64,
    },
    /// A coefficient that is not below the order of the group.
    #[error("coefficient {index} is not below the order of the group")]
    Coefficient {
        /// Its place in the section.
        index: usize,
    },
    /// A point that is refused.
    #[error("section {section}, {what} {index}: {fault}")]
    Point {
        /// The section.
        section: u32,
        /// Which point.
        what: &'static str,
        /// Its place in its list; 0 if it is alone.
        index: usize,
        /// What is wrong with it.
        fault: PointFault,
    },
    /// Parameters of a contribution that are not in the one form that they can be written in.
    #[error("contribution {index}: {what}")]
    Contribution {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// What is wrong with a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PointFault {
    /// Not a point of the group: a coordinate not below p, off the curve or outside the subgroup.
    #[error("not a point of the group")]
    Invalid,
    /// The neutral element where it may not be.
    #[error("the neutral element")]
    Infinity,
}

/// Why a file could not be read, written or used.
#[derive(Debug, Error)]
pub enum FileError {
    /// The system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: FormatError,
    },
}

pub(crate) fn io_at(path: &Path) -> impl Fn(io::Error) -> FileError {
    move |source| FileError::Io { path: path.to_owned(), source }
}

pub(crate) fn format_at(path: &Path) -> impl Fn(FormatError) -> FileError {
    move |source| FileError::Format { path: path.to_owned(), source }
}
