//! A directory that a command works in and leaves nothing of.

use std::io;
use std::path::{Path, PathBuf};

/// A directory of this process, removed when dropped.
#[derive(Debug)]
pub struct TemporaryDir {
    path: PathBuf,
}

impl TemporaryDir {
    /// Makes one in the system's temporary directory; `purpose` is part of its name.
    pub fn new(purpose: &str) -> io::Result<Self> {
        let name = format!("kerros-{purpose}-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(Self { path })
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
