//! The sequencer's process and what it needs: keys, a main chain with the contract, a directory.

use super::{BenchError, busy, io_at, measure};
use crate::devnet::{self, ServedChain, World};
use crate::keys::{self, Parameters};
use crate::progress::Bar;
use crate::sequencer::SequencerClient;
use ark_bn254::Fr;
use kerros_circuits::setup::read_verification_key;
use kerros_protocol::batch::Shape;
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;
use std::cell::RefCell;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Capacities of the circuit that the key is really for: the smallest that sets up quickly.
pub(super) const CIRCUIT: [u32; 5] = [2, 2, 4, 2, 2];
/// The stage of a setup that makes the reference string.
const REFERENCE_STRING: &str = "reference string";
/// The log's end that is shown after a failure, in bytes.
const TAIL_BYTES: usize = 4_000;
/// Time to get ready: a large ledger's reference string is read and checked.
const START_MAX: Duration = Duration::from_secs(600);

/// What a sequencer is made for.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// Where the stack keeps its data.
    pub dir: PathBuf,
    /// Where keys of all shapes are kept.
    pub keys: PathBuf,
    /// Capacities of a batch.
    pub shape: Shape,
    /// Exponent of the ledger's size, which does not change.
    pub k: u8,
    /// More arguments of the sequencer.
    pub arguments: &'static [&'static str],
}

/// What it took to make something.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// By the clock.
    pub seconds: f64,
    /// Processor time of this process.
    pub cpu_seconds: f64,
}

/// Everything a sequencer is started with.
pub(super) struct Place {
    /// Contract and tokens.
    pub world: World,
    /// The served chain.
    pub chain: ServedChain,
    /// Of the deployment.
    pub domain: Fr,
    /// The reference string's file.
    pub srs: PathBuf,
    /// What the reference string took, if it was made now.
    pub srs_made: Option<Made>,
    dir: PathBuf,
    arguments: &'static [&'static str],
}

impl Place {
    /// Finds or makes keys, writes the key file, deploys the contract and registers the tokens.
    pub async fn prepare(setting: Setting) -> Result<Self, BenchError> {
        let Setting { dir, keys: root, shape, k, arguments } = setting;
        let circuit = Shape::new(CIRCUIT)?;
        let setup = Parameters { shape: circuit, k_genesis: k, k_max: k };
        let made = busy(move || {
            let bar = Bar::spinner("setup");
            let stages = RefCell::new(Vec::new());
            let (_, files) = keys::ensure(&root, &setup, &|stage| {
                bar.say(stage);
                let us = measure::own_us().unwrap_or(0);
                stages.borrow_mut().push((stage.to_owned(), Instant::now(), us));
            })?;
            bar.done(&format!("reference string of 2^{k} places"));
            Ok::<_, keys::KeysError>((files, made(&stages.into_inner(), REFERENCE_STRING)))
        });
        let (files, srs_made) = made.await??;
        let small =
            read_verification_key(&files.verification_key).map_err(keys::KeysError::from)?;
        let key = VerificationKey { shape, ..small };
        std::fs::create_dir_all(&dir).map_err(io_at(dir.display()))?;
        let path = dir.join("verification.key");
        std::fs::write(&path, key.encode()).map_err(io_at(path.display()))?;

        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let chain = ServedChain::start(&dir.join("chain"), any).await?;
        let world = World::ensure(&dir, Arc::clone(&chain.chain), &key).await?;
        let domain = transcript::domain(world.chain_id, &world.contract);
        // The child has a directory of its own: make the path good from anywhere.
        let srs = std::path::absolute(&files.srs).map_err(io_at(files.srs.display()))?;
        Ok(Self { world, chain, domain, srs, srs_made, dir, arguments })
    }
    /// The sequencer's data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("sequencer")
    }
    fn log(&self) -> PathBuf {
        self.dir.join("sequencer.log")
    }
    /// The end of the sequencer's log.
    pub fn log_tail(&self) -> String {
        let bytes = std::fs::read(self.log()).unwrap_or_default();
        let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        format!("the sequencer's log ends:\n{}", String::from_utf8_lossy(tail))
    }
    /// Closes the chain's port.
    pub async fn shutdown(self) -> Result<(), BenchError> {
        Ok(self.chain.shutdown().await?)
    }
    fn command(&self) -> Result<Command, BenchError> {
        let operator = devnet::person_operator()?;
        let mut command = beside("kerros-sequencer")?;
        command
            .env("RUST_LOG", "info")
            .arg("--data-dir")
            .arg(self.data())
            .arg("--key")
            .arg(self.dir.join("verification.key"))
            .arg("--srs")
            .arg(&self.srs)
            .args(["--contract", &self.world.contract.to_string()])
            .args(["--main-chain", &self.chain.url])
            .args(["--fee-key", &hex::encode(operator.account_key().to_be())])
            .args(["--owner", &operator.address().to_string()])
            .args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .arg("--allow-development")
            .args(self.arguments);
        Ok(command)
    }
}

/// An executable that lies beside this one.
pub(super) fn beside(name: &str) -> Result<Command, BenchError> {
    let here = std::env::current_exe().map_err(io_at("this executable"))?;
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = here.parent().unwrap_or(Path::new(".")).join(name);
    if !path.is_file() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(io_at(path.display())(missing));
    }
    let mut command = Command::new(path);
    // Settings of another sequencer in this shell are not meant for this one.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KERROS_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// What a stage took, if there was one: until the next began.
fn made(stages: &[(String, Instant, u64)], stage: &str) -> Option<Made> {
    let number = stages.iter().position(|(name, ..)| name == stage)?;
    let ((_, from, before_us), (_, to, after_us)) = (&stages[number], stages.get(number + 1)?);
    let cpu_seconds = after_us.saturating_sub(*before_us) as f64 / 1e6;
    Some(Made { seconds: (*to - *from).as_secs_f64(), cpu_seconds })
}

/// A running `kerros-sequencer`; killed when dropped.
pub(super) struct SequencerProcess {
    /// Its gRPC endpoint.
    pub url: String,
    /// Its Prometheus page.
    pub metrics: SocketAddr,
    /// Its process.
    pub id: u32,
    child: Child,
    // Kept open: the process may still print.
    _said: Lines<BufReader<ChildStdout>>,
}

impl SequencerProcess {
    /// Starts it and waits until it serves.
    pub async fn start(place: &Place) -> Result<Self, BenchError> {
        let path = place.log();
        let log = File::create(&path).map_err(io_at(path.display()))?;
        let mut child = place
            .command()?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(io_at("kerros-sequencer"))?;
        let out = child.stdout.take().ok_or(BenchError::Bug("standard output is piped"))?;
        let mut said = BufReader::new(out).lines();
        let ready = tokio::time::timeout(START_MAX, ready(&mut said)).await;
        let ready = ready.map_err(|_| BenchError::TimeOut("the sequencer to get ready"))??;
        let Some((address, metrics)) = ready else {
            let status = child.wait().await.map_err(io_at("kerros-sequencer"))?;
            return Err(BenchError::Ended(status));
        };
        let id = child.id().ok_or(BenchError::Bug("a running process has an id"))?;
        Ok(Self { url: format!("http://{address}"), metrics, id, child, _said: said })
    }
    /// A client of its own connection.
    pub fn sequencer(&self) -> Result<SequencerClient, BenchError> {
        Ok(SequencerClient::new(&self.url)?)
    }
    /// Kills it: nothing is asked of it any more.
    pub async fn stop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill().await;
    }
}

/// Reads where it serves and where its metrics are; none if it ended before it was ready.
async fn ready(
    said: &mut Lines<BufReader<ChildStdout>>,
) -> Result<Option<(SocketAddr, SocketAddr)>, BenchError> {
    let (mut address, mut metrics) = (None, None);
    while let Some(line) = said.next_line().await.map_err(io_at("kerros-sequencer"))? {
        match line.split_once(' ') {
            Some(("sequencer", text)) => address = text.parse().ok(),
            Some(("metrics", text)) => metrics = text.parse().ok(),
            _ if line == "ready" => {
                let both = address.zip(metrics);
                return both.map(Some).ok_or(BenchError::Bug("ready without addresses"));
            }
            _ => {}
        }
    }
    Ok(None)
}
