//! What all targets share: an allocator that counts, and inputs that reach behind a digest.

mod meter;

pub use meter::bounded;
use std::path::PathBuf;

/// Splits the byte that chooses a decoder from its input.
pub fn choose(data: &[u8], kinds: u8) -> Option<(u8, &[u8])> {
    let (kind, rest) = data.split_first()?;
    Some((kind % kinds, rest))
}

/// A place for a file of this process; `run` makes it one in memory.
pub fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{}.{name}", std::process::id()))
}

/// The input with the digest that its format wants behind it: no fuzzer finds one.
pub fn with_digest(body: &[u8]) -> Vec<u8> {
    [body, blake3::hash(body).as_bytes()].concat()
}

/// Requires that what was read from these bytes is written as these bytes.
#[track_caller]
pub fn canonical(read: &[u8], written: impl AsRef<[u8]>) {
    assert!(read == written.as_ref(), "read from other bytes than it is written as");
}
