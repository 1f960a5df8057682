//! Foundry's anvil, installed by npm, as a main chain that is not ours.
//!
//! Included by the sequencer's own tests too, which cannot depend on this crate.

use std::io::Write;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running node; killed when dropped.
pub struct Anvil {
    /// Where it speaks JSON-RPC.
    pub url: String,
    /// Private keys of its rich accounts, hexadecimal.
    pub keys: Vec<String>,
    _process: Child,
}

/// The binary that npm installed, if it did.
fn binary() -> Option<PathBuf> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/contracts/node_modules");
    let platform = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        _ => return None,
    };
    let path = modules.join(format!("@foundry-rs/anvil-linux-{platform}/bin/anvil"));
    path.exists().then_some(path)
}

impl Anvil {
    /// Starts a node on a free port. None, said loudly, if it is not installed.
    ///
    /// # Panics
    /// If it is not installed where `CI` is set, or does not start.
    pub async fn start() -> Option<Self> {
        let Some(binary) = binary() else {
            let notice = "SKIPPED: anvil is not installed (npm ci in verifier/contracts)";
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{notice}");
            // Not a print macro: the test harness would swallow it.
            writeln!(std::io::stderr(), "{notice}").expect("standard error");
            return None;
        };
        let mut process = Command::new(binary)
            .args(["--port", "0", "--host", "127.0.0.1"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("anvil starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut keys = Vec::new();
        let url = loop {
            let line = lines.next_line().await.expect("text");
            let line = line.expect("anvil ended before it listened");
            if let Some((_, key)) = line.split_once(") 0x").filter(|(_, rest)| rest.len() == 64) {
                keys.push(key.to_owned());
            }
            if let Some(place) = line.strip_prefix("Listening on ") {
                break format!("http://{place}");
            }
        };
        // A full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { url, keys, _process: process })
    }
}
