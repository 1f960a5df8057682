//! Development keys on disk, made once a shape and shared by all runs: `kerros setup`, `demo` and
//! `devnet` find what an earlier run made.

use kerros_circuits::setup::{SetupError, SetupFiles, cache_dir, development};
use kerros_protocol::batch::Shape;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why keys could not be made or found.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The directory cannot be written or locked.
    #[error("key directory {path}: {source}", path = path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The setup.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// What a setup is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Capacities of a batch.
    pub shape: Shape,
    /// The ledger begins with 2^k_genesis places.
    pub k_genesis: u8,
    /// And may grow to 2^k_max.
    pub k_max: u8,
}

/// Where keys are kept unless told otherwise: `target/kerros-keys` of the workspace, if the command
/// runs in one, else `kerros-keys` here.
pub fn default_root() -> PathBuf {
    let here = Path::new("target");
    if here.is_dir() || Path::new("Cargo.toml").is_file() {
        here.join("kerros-keys")
    } else {
        PathBuf::from("kerros-keys")
    }
}

/// Makes a development setup in a directory of its own under `root`, or finds it there. One process
/// at a time makes keys; others wait. `progress` is told each stage.
pub fn ensure(
    root: &Path,
    parameters: &Parameters,
    progress: &dyn Fn(&str),
) -> Result<(PathBuf, SetupFiles), KeysError> {
    let Parameters { shape, k_genesis, k_max } = *parameters;
    ensure_in(&cache_dir(root, &shape, k_genesis, k_max), parameters, progress)
}

/// The same in exactly this directory.
pub fn ensure_in(
    dir: &Path,
    parameters: &Parameters,
    progress: &dyn Fn(&str),
) -> Result<(PathBuf, SetupFiles), KeysError> {
    let at = |source| KeysError::Directory { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(at)?;
    let lock = File::create(dir.join("lock")).map_err(at)?;
    lock.lock().map_err(at)?;
    let Parameters { shape, k_genesis, k_max } = parameters;
    let rng = &mut rand::rngs::OsRng;
    let files = development(dir, shape, *k_genesis, *k_max, rng, progress)?;
    Ok((dir.to_owned(), files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_second_run_finds_the_keys_of_the_first() {
        let root = tempfile::tempdir().expect("directory");
        let shape = Shape::new([1, 1, 1, 1, 1]).expect("valid");
        let parameters = Parameters { shape, k_genesis: 2, k_max: 3 };
        let stages = Mutex::new(Vec::new());
        let progress = |stage: &str| stages.lock().expect("lock").push(stage.to_owned());
        let (first, _) = ensure(root.path(), &parameters, &progress).expect("made");
        assert!(stages.lock().expect("lock").len() > 1);
        stages.lock().expect("lock").clear();
        let (second, _) = ensure(root.path(), &parameters, &progress).expect("found");
        assert_eq!(first, second);
        assert_eq!(*stages.lock().expect("lock"), vec!["setup found".to_owned()]);
    }
}
