//! A sequencer as a process of its own, clients that keep an independent journal of what they were
//! told, and the oracle: all of it is part of what a restart brings back, once, in the same order,
//! with balanced books and the same root.

use crate::rig::{OPERATOR, Rig, account_key, owner};
use crate::simulator;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::commitment::Srs;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::proto::prover_service_client::ProverServiceClient;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{self, GetInfoRequest, RejectionDetail};
use kerros_protocol::transaction::SignedTransaction;
use kerros_protocol::transition::replay;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::journal::Journal;
use kerros_sequencer::main_chain::embedded::development_wallet;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Channel;

pub const BINARY: &str = env!("CARGO_BIN_EXE_kerros-sequencer");
pub const PAYERS: u8 = 4;
const BALANCE: u64 = 1_000_000;

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

/// Time in which a process has to become ready, in seconds.
const READY_SECONDS_MAX: u64 = 60;
/// Time in which its database has to open, in milliseconds.
const OPEN_LIMIT_MS: u64 = 10_000;

/// What a client was told.
#[derive(Default, Clone)]
pub struct Told {
    /// Signed bytes and receipt.
    pub transactions: Vec<(Vec<u8>, proto::Receipt)>,
    /// Key name and index.
    pub accounts: Vec<(u8, u32)>,
}

/// Pays from one account until the connection breaks; never skips a nonce that may be used.
pub async fn pay(
    rig_domain: ark_bn254::Fr,
    payer: u8,
    mut client: SequencerServiceClient<Channel>,
    told: Arc<Mutex<Told>>,
) {
    let index = u32::from(payer);
    let by = Some(proto::get_account_request::By::Index(index));
    let Ok(account) = client.get_account(proto::GetAccountRequest { by }).await else { return };
    let first = account.into_inner().account.unwrap().nonce;
    for nonce in first.. {
        let payee = payer % PAYERS + 1;
        let transaction = crate::rig::transfer(index, (payee.into(), payee), 1, 0, nonce);
        let secret = crate::rig::secret(payer);
        let bytes = SignedTransaction::sign(transaction, &secret, rig_domain).encode();
        let request = proto::SubmitTransactionRequest { transaction: bytes.clone() };
        match client.submit_transaction(request).await {
            Ok(answer) => {
                let receipt = answer.into_inner().receipt.unwrap();
                told.lock().unwrap().transactions.push((bytes, receipt));
            }
            // The process is gone.
            Err(_) => return,
        }
    }
}

/// Proves whatever is sealed until the connection breaks.
pub async fn prove(key: VerificationKey, domain: ark_bn254::Fr, address: String) {
    let Ok(mut client) = ProverServiceClient::connect(format!("http://{address}")).await else {
        return;
    };
    loop {
        let request = proto::LeaseBatchRequest { prover_id: "p".to_owned(), wait_ms: 1_000 };
        let Ok(answer) = client.lease_batch(request).await else { return };
        let Some(lease) = answer.into_inner().lease else { continue };
        let batch = SealedBatch::decode(&lease.sealed_batch, &key.shape).unwrap();
        let request = proto::SubmitProofRequest {
            batch_number: lease.batch_number,
            epoch: lease.epoch,
            proof: simulator::prove(&key, domain, &batch).encode(),
            phases: Vec::new(),
            constraints: 0,
        };
        match client.submit_proof(request).await {
            Ok(_) => {}
            Err(status) if RejectionDetail::from_status(&status).is_some() => {
                assert_eq!(crate::rig::reason(&status), "STALE_LEASE");
            }
            Err(_) => return,
        }
    }
}

pub async fn open_accounts(
    first: u8,
    mut client: SequencerServiceClient<Channel>,
    told: Arc<Mutex<Told>>,
) {
    for name in first..first.saturating_add(3) {
        let request = proto::OpenAccountRequest {
            asset: 1,
            owner: owner(1).0.to_vec(),
            key: account_key(name).to_be().to_vec(),
        };
        let Ok(answer) = client.open_account(request).await else { return };
        told.lock().unwrap().accounts.push((name, answer.into_inner().index));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Payers, who go on until the connection breaks.
pub async fn load(
    site: &Site,
    process: &Process,
    told: &Arc<Mutex<Told>>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let url = format!("http://{}", process.address);
    let Ok(client) = SequencerServiceClient::connect(url).await else { return Vec::new() };
    let pay = |payer| tokio::spawn(pay(site.domain, payer, client.clone(), Arc::clone(told)));
    (1..=PAYERS).map(pay).collect()
}

/// Why a check against a running sequencer did not come to its end.
#[derive(Debug)]
pub enum Unsound {
    /// The process died meanwhile: nothing is shown.
    Gone,
    /// Something acknowledged is not there, or was changed.
    Lost(String),
}

fn unsound(status: &tonic::Status) -> Unsound {
    match RejectionDetail::from_status(status) {
        Some(detail) => Unsound::Lost(detail.reason),
        None => Unsound::Gone,
    }
}

/// Whether a running sequencer knows everything told from number `from` on and its books balance.
pub async fn check(process: &Process, told: &Told, from: usize) -> Result<(), Unsound> {
    let url = format!("http://{}", process.address);
    let client = SequencerServiceClient::connect(url).await;
    let mut client = client.map_err(|_| Unsound::Gone)?;
    loop {
        let info = client.get_info(GetInfoRequest {}).await.map_err(|status| unsound(&status))?;
        if info.into_inner().queue_next >= PAYERS.into() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (n, (bytes, receipt)) in told.transactions.iter().enumerate().skip(from) {
        let request =
            proto::GetTransactionRequest { transaction_id: receipt.transaction_id.clone() };
        let found = client.get_transaction(request).await.map_err(|status| unsound(&status))?;
        let found = found.into_inner();
        if found.receipt.as_ref() != Some(receipt) || &found.transaction != bytes {
            return Err(Unsound::Lost(format!("{receipt:?} became {:?}", found.receipt)));
        }
        if n.is_multiple_of(16) {
            let request = proto::SubmitTransactionRequest { transaction: bytes.clone() };
            let again = client.submit_transaction(request).await;
            let again = again.map_err(|status| unsound(&status))?.into_inner();
            if again.receipt.as_ref() != Some(receipt) {
                return Err(Unsound::Lost(format!("{receipt:?} again is {:?}", again.receipt)));
            }
        }
    }
    let mut acknowledged = HashMap::new();
    for (bytes, _) in &told.transactions {
        *acknowledged.entry(bytes[1..5].to_vec()).or_insert(0u32) += 1;
    }
    let mut total = 0;
    for index in 1..=u32::from(PAYERS) {
        let by = Some(proto::get_account_request::By::Index(index));
        let found = client.get_account(proto::GetAccountRequest { by }).await;
        let account = found.map_err(|status| unsound(&status))?.into_inner().account.unwrap();
        total += account.balance;
        let count = acknowledged.get(index.to_be_bytes().as_slice()).copied().unwrap_or(0);
        if account.nonce < count {
            let nonce = account.nonce;
            return Err(Unsound::Lost(format!("account {index}: {count} told, nonce {nonce}")));
        }
    }
    assert_eq!(total, u64::from(PAYERS) * BALANCE, "money is neither made nor lost");
    Ok(())
}

/// The log of a stopped sequencer, read without it: receipts chain, nothing is there twice, what was
/// told is there in the order it was told in, and sealed batches replay to the same root.
pub fn audit(site: &Site, told: &Told) {
    let journal = Journal::open(&site.data()).unwrap();
    let (mut at, mut previous, mut places) = ((1, 0), [0; 32], HashMap::new());
    while let Some(group) = journal.next_group(at.0, at.1).unwrap() {
        assert!(
            (group.batch, group.sequence) == at || (group.batch, group.sequence) == (at.0 + 1, 0)
        );
        assert_eq!(group.seal.previous, previous, "receipts chain");
        for signed in group.transactions() {
            let place = places.len();
            let before = places.insert(signed.transaction.id().0.to_vec(), place);
            assert_eq!(before, None, "executed twice");
        }
        let mark = group.mark(site.domain);
        (at, previous) = ((mark.batch, mark.sequence), mark.receipt);
    }
    let mut last = HashMap::new();
    for (bytes, receipt) in &told.transactions {
        let place = places.get(&receipt.transaction_id).expect("acknowledged, so in the log");
        let before = last.insert(&bytes[1..5], *place);
        assert!(before.is_none_or(|before| before < *place), "told in another order");
    }
    let checkpoint = journal.checkpoint().unwrap().unwrap();
    let mut ledger = Ledger::new(site.key.k_genesis);
    for number in 1..checkpoint.head.number {
        let sealed = journal.sealed(number).unwrap().expect("before the checkpoint");
        let batch = SealedBatch::decode(&sealed, &site.key.shape).unwrap();
        if batch.before_growth.is_some() {
            ledger.grow();
        }
        replay(&mut ledger, &batch.data).unwrap();
    }
    if checkpoint.before_growth.is_some() {
        ledger.grow();
    }
    let lagrange = site.srs.lagrange(checkpoint.head.k).unwrap();
    assert_eq!(ledger.commit(&lagrange), checkpoint.commitments, "the same root");
    println!(
        "{} acknowledged, {} in the log, {} batches",
        told.transactions.len(),
        places.len(),
        checkpoint.head.number - 1
    );
}
