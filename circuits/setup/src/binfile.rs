//! The container of iden3's binary formats.
//!
//! `magic 4 ‖ version 4 ‖ number of sections 4`, then each section as `type 4 ‖ length 8 ‖ content`, all
//! little-endian. Sections may come in any order.

use crate::error::{FileError, FormatError, io_at};
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::{Deref, Range};
use std::path::Path;

const VERSION: u32 = 1;

/// The bytes of a file: mapped, or in memory.
pub enum Bytes {
    /// Mapped from a file.
    Mapped(Mmap),
    /// In memory.
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps a file. It must not be changed in place meanwhile: tools write such files anew.
    pub fn map(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(io_at(path))?;
        #[allow(unsafe_code)]
        // Safety: nothing of Kerros changes these files in place, and what another process changes can only
        // change numbers that are read as any bytes and checked.
        let map = unsafe { Mmap::map(&file) }.map_err(io_at(path))?;
        Ok(Self::Mapped(map))
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A bounded reader of little-endian numbers that knows where it is.
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }
    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }
    /// Takes `len` bytes.
    pub fn take(&mut self, what: &'static str, len: u64) -> Result<&'a [u8], FormatError> {
        let (offset, have) = (self.position as u64, self.remaining() as u64);
        let short = FormatError::Truncated { what, offset, need: len, have };
        let end = usize::try_from(len).ok().and_then(|len| self.position.checked_add(len));
        let taken = end.and_then(|end| self.bytes.get(self.position..end)).ok_or(short)?;
        self.position += taken.len();
        Ok(taken)
    }
    /// Takes a fixed array.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FormatError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(what, N as u64)?);
        Ok(out)
    }
    /// Takes one byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, FormatError> {
        Ok(self.array::<1>(what)?[0])
    }
    /// Takes a u32.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }
    /// Takes a u64.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }
}

/// Where the sections of a file lie.
pub struct Sections {
    places: BTreeMap<u32, Range<usize>>,
    end: usize,
    len: usize,
}

impl Sections {
    /// Reads the heads of all sections of a file of this kind.
    pub fn read(bytes: &[u8], kind: &'static str) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        if reader.take("magic", 4)? != kind.as_bytes() {
            return Err(FormatError::Magic { expected: kind });
        }
        let found = reader.u32("version")?;
        if found != VERSION {
            return Err(FormatError::Version { kind, found });
        }
        let mut places = BTreeMap::new();
        for _ in 0..reader.u32("number of sections")? {
            let section = reader.u32("type of a section")?;
            let length = reader.u64("length of a section")?;
            let start = reader.position;
            reader.take("section", length)?;
            if places.insert(section, start..reader.position).is_some() {
                return Err(FormatError::Twice { section });
            }
        }
        Ok(Self { places, end: reader.position, len: bytes.len() })
    }
    /// Requires that there are no sections but these, and nothing behind them.
    pub fn only(&self, known: impl Fn(u32) -> bool) -> Result<(), FormatError> {
        if let Some(section) = self.places.keys().find(|section| !known(**section)) {
            return Err(FormatError::Unknown { section: *section });
        }
        match (self.len - self.end) as u64 {
            0 => Ok(()),
            extra => Err(FormatError::Trailing { extra }),
        }
    }
    /// The content of a section, out of the bytes that were read.
    pub fn get<'a>(&self, bytes: &'a [u8], section: u32) -> Result<&'a [u8], FormatError> {
        let place = self.places.get(&section).ok_or(FormatError::Missing { section })?;
        bytes.get(place.clone()).ok_or(FormatError::Missing { section })
    }
    /// The content of a section that must have `expected` bytes.
    pub fn get_exact<'a>(
        &self,
        bytes: &'a [u8],
        section: u32,
        expected: u64,
    ) -> Result<&'a [u8], FormatError> {
        let content = self.get(bytes, section)?;
        let found = content.len() as u64;
        if found != expected {
            return Err(FormatError::Length { section, expected, found });
        }
        Ok(content)
    }
}

/// Writes the head of a file.
pub fn put_head(out: &mut impl Write, kind: &'static str, sections: u32) -> io::Result<()> {
    out.write_all(kind.as_bytes())?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&sections.to_le_bytes())
}

/// Writes the head of a section of `length` bytes, which the caller writes next.
pub fn put_section(out: &mut impl Write, section: u32, length: u64) -> io::Result<()> {
    out.write_all(&section.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())
}

/// Writes through a temporary name, so that a half-written file never has the real one.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".part");
    let at = io_at(path);
    let mut out = BufWriter::new(File::create(&temporary).map_err(&at)?);
    write(&mut out).map_err(&at)?;
    let file = out.into_inner().map_err(|error| at(error.into_error()))?;
    file.sync_all().map_err(&at)?;
    fs::rename(&temporary, path).map_err(&at)
}
