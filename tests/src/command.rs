//! The built executables.

use std::path::PathBuf;

/// An executable beside this test's own: `cargo test --workspace` builds all of them.
///
/// # Panics
/// If it was not built.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let dir = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps");
    let path = dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: cargo build --release --workspace", path.display());
    path
}
