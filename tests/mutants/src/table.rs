//! The table of all mutants of a build, and where the tool keeps its state.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One mutant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mutant {
    /// The number that switches it on, from 1.
    pub id: u32,
    /// The same in every build of the same code, whatever its number.
    pub key: String,
    /// File in the workspace.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// Type and function.
    pub function: String,
    /// Kind of change.
    pub operator: String,
    /// The text mutated.
    pub original: String,
    /// What it becomes; empty if it is dropped.
    pub replacement: String,
    /// Whether it compiles; one that does not is no mutant.
    pub compiles: bool,
}

/// A test executable of the build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Executable {
    /// As in the plan.
    pub name: String,
    /// The program.
    pub path: PathBuf,
    /// The package's directory in the copy, where its tests run.
    pub directory: PathBuf,
}

/// A build.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Table {
    /// By id, without gaps.
    pub mutants: Vec<Mutant>,
    /// In the plan's order.
    pub executables: Vec<Executable>,
}

/// Where things are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The checkout that is mutated.
    pub workspace: PathBuf,
    /// `tests/mutants`.
    pub home: PathBuf,
    /// Everything the tool writes.
    pub state: PathBuf,
    /// cargo's target directory for the copy.
    pub target: PathBuf,
}

impl Places {
    /// The mutated copy.
    pub fn tree(&self) -> PathBuf {
        self.state.join("tree")
    }
    /// One file of the tool's state.
    pub fn file(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }
}

/// Reads one of the tool's files; the default if it is absent.
pub fn load<T: serde::de::DeserializeOwned + Default>(path: &Path) -> Result<T> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Writes one of the tool's files.
pub fn store<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    std::fs::write(path, serde_json::to_vec(value)?).with_context(|| path.display().to_string())
}

/// Keys of mutants that did not compile in an earlier build.
pub type Uncompiled = BTreeSet<String>;
