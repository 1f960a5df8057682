//! A sequencer as a process of its own.

use crate::rig::{OPERATOR, Rig, account_key, owner};
use kerros_protocol::commitment::Srs;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::embedded::development_wallet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Channel;

pub const BINARY: &str = env!("CARGO_BIN_EXE_kerros-sequencer");
pub const PAYERS: u8 = 4;
/// Of each payer's deposit.
pub const BALANCE: u64 = 1_000_000;
/// Time in which a process has to become ready, in seconds.
const READY_SECONDS_MAX: u64 = 60;
/// Time in which its database has to open, in milliseconds.
const OPEN_LIMIT_MS: u64 = 10_000;

/// A seed to repeat a run with: KERROS_SEED.
pub fn seed() -> u64 {
    let seed = std::env::var("KERROS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("KERROS_SEED={seed}");
    seed
}

/// Says that a test cannot run here; in CI that is a failure.
pub fn skipped(why: &str) {
    println!("SKIPPED: {why}");
    eprintln!("SKIPPED: {why}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must not skip: {why}");
}

/// Everything a sequencer process needs, with payers whose deposits are queued.
pub struct Site {
    /// Holds `sequencer` and `chain`.
    pub root: PathBuf,
    pub contract: alloy::primitives::Address,
    pub domain: ark_bn254::Fr,
    pub key: VerificationKey,
    pub srs: Srs,
    /// Further arguments.
    pub arguments: Vec<String>,
    dir: TempDir,
}

pub struct Process {
    pub child: Child,
    /// Of the sequencer: the child may be a tracer.
    pub pid: u32,
    pub address: String,
    pub prover: String,
    /// Where metrics and health are served, if asked for.
    pub metrics: Option<String>,
}

impl Process {
    pub fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        // Fails if it has ended already.
        let _ = kill.args([signal, &self.pid.to_string()]).stderr(Stdio::null()).status();
    }
    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.signal("-KILL");
        self.child.wait().unwrap();
    }
    /// Waits until it ends by itself; its success, if it did in time.
    pub async fn ended(&mut self, within: Duration) -> Option<bool> {
        let start = Instant::now();
        while start.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status.success());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that fails leaves nobody behind.
        if self.child.try_wait().ok().flatten().is_none() {
            self.signal("-KILL");
            let _ = self.child.wait();
        }
    }
}

impl Site {
    pub async fn new() -> Self {
        let rig = Rig::new("8,4,16,4,2", 5, 9).await;
        for name in 1..=PAYERS {
            rig.deposit(1, BALANCE, name, owner(0)).await;
        }
        let domain = rig.domain();
        // The binary opens the chain itself: the rig's handle goes.
        let Rig { dir, key, srs, contract, .. } = rig;
        let poster = hex::encode(development_wallet(0).to_bytes());
        std::fs::write(dir.path().join("poster"), poster).unwrap();
        let root = dir.path().to_owned();
        Self { root, contract, domain, key, srs, arguments: Vec::new(), dir }
    }
    pub fn data(&self) -> PathBuf {
        self.root.join("sequencer")
    }
    /// What the process says on standard error.
    pub fn said(&self) -> PathBuf {
        self.root.join("stderr")
    }
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
    /// Another directory with the same contents.
    pub fn copy(&self, name: &str) -> Site {
        let root = self.path().join(name);
        for part in ["sequencer", "chain"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
            for entry in std::fs::read_dir(self.root.join(part)).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), root.join(part).join(entry.file_name())).unwrap();
            }
        }
        let dir = tempfile::tempdir().unwrap();
        for file in ["key", "srs", "poster"] {
            std::fs::copy(self.path().join(file), dir.path().join(file)).unwrap();
        }
        Site {
            root,
            contract: self.contract,
            domain: self.domain,
            key: self.key.clone(),
            srs: self.srs.clone(),
            arguments: self.arguments.clone(),
            dir,
        }
    }
    /// What the binary is told, as flags without their dashes; it opens the embedded chain itself.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let file = |name| self.path().join(name).display().to_string();
        vec![
            ("data-dir", self.data().display().to_string()),
            ("key", file("key")),
            ("srs", file("srs")),
            ("contract", hex::encode(self.contract)),
            ("main-chain", format!("embedded:{}", self.root.join("chain").display())),
            ("embedded-wallets", crate::rig::WALLETS.to_string()),
            ("fee-key", hex::encode(account_key(OPERATOR).to_be())),
            ("owner", hex::encode(owner(0).0)),
            ("listen", "127.0.0.1:0".to_owned()),
            ("poll-ms", "20".to_owned()),
            ("poster-key-file", file("poster")),
            ("prover-listen", "127.0.0.1:0".to_owned()),
            ("lease-ms", "1000".to_owned()),
            ("open-limit-ms", OPEN_LIMIT_MS.to_string()),
            ("allow-development", "true".to_owned()),
        ]
    }
    /// Starts the binary.
    pub fn start(&self) -> Process {
        self.start_under(&[]).expect("the sequencer starts")
    }
    /// The same by another program's command line; what it said if it did not become ready.
    pub fn start_under(&self, tracer: &[String]) -> Result<Process, String> {
        let settings = self.settings().into_iter().map(|(name, value)| format!("--{name}={value}"));
        let mut command = match tracer {
            [] => Command::new(BINARY),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(BINARY);
                command
            }
        };
        command.args(settings).args(&self.arguments);
        self.launch(command, !tracer.is_empty())
    }
    /// Starts this command, which is or traces a sequencer, and waits until it is ready.
    pub fn launch(&self, mut command: Command, traced: bool) -> Result<Process, String> {
        let said = self.said();
        let mut child = command
            .env("RUST_LOG", "error")
            .env("KERROS_BATCH_AGE_MS", "60")
            .stdout(Stdio::piped())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        // RocksDB 11.8 can loop for ever over some damaged logs (seen with flipped bits): that process
        // serves nobody, but the test must not wait for it.
        let (done, waiting) = std::sync::mpsc::channel::<()>();
        let pid = child.id().to_string();
        let watchdog = std::thread::spawn(move || {
            let late = waiting.recv_timeout(Duration::from_secs(READY_SECONDS_MAX)).is_err();
            late && Command::new("kill").args(["-KILL", &pid]).status().is_ok()
        });
        let (mut address, mut prover, mut metrics, mut ready) = (None, None, None, false);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let Ok(line) = line else { break };
            if let Some(at) = line.strip_prefix("sequencer ") {
                address = Some(at.to_owned());
            }
            if let Some(at) = line.strip_prefix("prover ") {
                prover = Some(at.to_owned());
            }
            if let Some(at) = line.strip_prefix("metrics ") {
                metrics = Some(at.to_owned());
            }
            if line == "ready" {
                ready = true;
                break;
            }
        }
        // Fails if the watchdog was quicker.
        let _ = done.send(());
        let late = watchdog.join().unwrap();
        let (Some(address), Some(prover), true) = (address, prover, ready) else {
            let status = child.wait().unwrap();
            assert!(!late, "neither ready nor refused in time");
            return Err(format!("{}{status}", std::fs::read_to_string(said).unwrap()));
        };
        let mut pid = child.id();
        if traced {
            let children = format!("/proc/{pid}/task/{pid}/children");
            let children = std::fs::read_to_string(children).unwrap_or_default();
            // Nothing if it is dead already: then any signal goes to the tracer, which ends too.
            let first = children.split_whitespace().next();
            pid = first.and_then(|first| first.parse().ok()).unwrap_or(pid);
        }
        Ok(Process { child, pid, address, prover, metrics })
    }
}

pub async fn connect(process: &Process) -> SequencerServiceClient<Channel> {
    SequencerServiceClient::connect(format!("http://{}", process.address)).await.unwrap()
}
