//! The real snarkjs, run by node.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

const CLI: &str = "node_modules/snarkjs/build/cli.cjs";

/// The checkout, of whichever package the test is.
fn checkout() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let with_lock = |dir: &&Path| dir.join("Cargo.lock").exists();
    package.ancestors().find(with_lock).expect("a package of the workspace")
}

/// `tests/interop` with its node_modules; says loudly that it is missing, and fails where CI is set.
pub fn scripts() -> Option<PathBuf> {
    let dir = checkout().join("tests/interop");
    if dir.join("node_modules/snarkjs").exists() {
        return Some(dir);
    }
    assert!(env::var_os("CI").is_none(), "run `npm ci` in tests/interop first");
    eprintln!("SKIPPED: run `npm ci` in tests/interop to hold ceremonies with snarkjs");
    None
}

fn node(arguments: &[&str]) -> Output {
    let dir = scripts().expect("asked for before");
    Command::new("node").current_dir(dir).args(arguments).output().expect("node")
}

/// A command of snarkjs that must do its work. Paths must be absolute.
pub fn snarkjs(arguments: &[&str]) {
    let output = node(&[&[CLI], arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{arguments:?}: {text}");
}

/// A script of `tests/interop`; gives what it prints.
pub fn script(arguments: &[&str]) -> String {
    let output = node(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// What `snarkjs zkey verify` shows of a key that it accepts.
pub fn verify(r1cs: &Path, ptau: &Path, zkey: &Path) -> Option<String> {
    let [r1cs, ptau, zkey] = [r1cs, ptau, zkey].map(text);
    let output = node(&[CLI, "zkey", "verify", r1cs, ptau, zkey]);
    let shown = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.success(), shown.contains("ZKey Ok!"), "{shown}");
    output.status.success().then_some(shown)
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Powers of tau for domains of half of 2^`power`, made by snarkjs with a beacon of `seed` once and
/// kept under target/.
pub fn powers_of_tau(power: u32, seed: &str) -> PathBuf {
    let dir = checkout().join("target/kerros-ptau");
    fs::create_dir_all(&dir).expect("writable");
    let ready = dir.canonicalize().expect("made").join(format!("{power}-{seed}.ptau"));
    if ready.exists() {
        return ready;
    }
    let work = tempfile::TempDir::new_in(&dir).expect("writable");
    let [empty, contributed, ended, prepared] =
        ["empty", "contributed", "ended", "prepared"].map(|name| work.path().join(name));
    let [empty, contributed, ended] = [&empty, &contributed, &ended].map(|path| text(path));
    snarkjs(&["powersoftau", "new", "bn128", &power.to_string(), empty]);
    snarkjs(&["powersoftau", "contribute", empty, contributed, "--name=one", "-e=some text"]);
    snarkjs(&["powersoftau", "beacon", contributed, ended, seed, "10"]);
    snarkjs(&["powersoftau", "prepare", "phase2", ended, text(&prepared)]);
    fs::rename(&prepared, &ready).expect("same directory");
    ready
}
