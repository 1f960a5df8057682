//! A chain with the contract, two assets, and a sequencer on it.

use alloy::primitives::{Address as ChainAddress, Bytes, U256};
use alloy::sol_types::SolCall;
use kerros_protocol::account::{Account, AccountIndex, AccountKey, Address};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{BatchData, SealedBatch, Shape};
use kerros_protocol::commitment::{Commitments, Srs};
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::proto::prover_service_client::ProverServiceClient;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{self, BatchState};
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::journal::{BatchRecord, Checkpoint, Head, Journal, SealWrite};
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{
    Embedded, Genesis, MainChain, Wallet, deploy, entry_fee_offer, submit,
};
use kerros_sequencer::{Config, Sequencer, SequencerHandle};
use kerros_verifier::contract::{Kerros, Parameters, TestToken, deployment_code, test_token_code};
use kerros_verifier::post::key_words;
use kerros_verifier::trapdoor;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;

pub const WALLETS: u32 = 4;
/// Wei of an entry that meets an empty queue, beside its gas.
const ENTRY_FEE: u128 = 1_000;

pub struct Rig {
    pub dir: TempDir,
    pub chain: Embedded,
    pub contract: ChainAddress,
    pub key: VerificationKey,
    pub srs: Srs,
}

pub struct Running {
    pub handle: SequencerHandle,
    pub client: SequencerServiceClient<Channel>,
    pub prover: ProverServiceClient<Channel>,
}

pub fn secret(name: u8) -> PrivateKey {
    PrivateKey::from_bytes([name; 32])
}
pub fn account_key(name: u8) -> AccountKey {
    AccountKey::new(secret(name).public_key().0.x).unwrap()
}
pub fn wallet(index: u32) -> Wallet {
    Wallet::new(development_wallet(index))
}
pub fn owner(index: u32) -> Address {
    Address(wallet(index).address().into_array())
}
pub fn at(index: u32) -> AccountIndex {
    AccountIndex::new(index).unwrap()
}
/// The operator of every rig: key 0xee, wallet 0.
pub const OPERATOR: u8 = 0xee;

impl Rig {
    pub async fn new(shape: &str, k_genesis: u8, k_max: u8) -> Self {
        let shape: Shape = shape.parse().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let key = trapdoor::key(shape, k_genesis, k_max);
        std::fs::write(dir.path().join("key"), key.encode()).unwrap();
        let srs = trapdoor::srs(&key, &dir.path().join("srs")).unwrap();
        let genesis = Genesis::development(WALLETS);
        let clock = Arc::new(|| 1_800_000_000);
        let chain = Embedded::open(&dir.path().join("chain"), &genesis, clock).unwrap();
        let admin = wallet(0);
        let parameters = Parameters {
            operator: admin.address(),
            admin: admin.address(),
            kGenesis: k_genesis,
            kMax: k_max,
            forceWindow: 86_400,
            entryWindow: 60,
            silence: 3_600,
            entryFee: ENTRY_FEE,
        };
        let code = deployment_code(key_words(&key).into(), parameters);
        let contract = deploy(&chain, &admin, code).await.unwrap();
        let rig = Self { dir, chain, contract, key, srs };
        for name in ["A", "B"] {
            let token = deploy(&rig.chain, &admin, test_token_code(name, name, 18)).await.unwrap();
            let (to, amount) = (admin.address(), U256::from(u64::MAX));
            rig.send(0, token, U256::ZERO, TestToken::mintCall { to, amount }).await;
            let (spender, amount) = (contract, U256::MAX);
            rig.send(0, token, U256::ZERO, TestToken::approveCall { spender, amount }).await;
            let register = Kerros::registerAssetCall { token, unitExponent: 0 };
            rig.send(0, contract, U256::ZERO, register).await;
        }
        rig
    }
    pub async fn send<C: SolCall>(&self, from: u32, to: ChainAddress, value: U256, call: C) {
        let input: Bytes = call.abi_encode().into();
        let receipt = submit(&self.chain, &wallet(from), Some(to), value, input).await.unwrap();
        assert!(receipt.succeeded);
    }
    /// Queues a deposit.
    pub async fn deposit(&self, asset: u16, amount: u64, name: u8, owner: Address) {
        let key = U256::from_be_bytes(account_key(name).to_be());
        let owner = ChainAddress::from(owner.0);
        let value = entry_fee_offer(&self.chain, self.contract).await.unwrap();
        let call = Kerros::depositCall { asset, baseAmount: U256::from(amount), key, owner };
        self.send(0, self.contract, value, call).await;
    }
    /// Queues a forced exit asked for by a wallet.
    pub async fn force_exit(&self, from: u32, index: u32) {
        let value = entry_fee_offer(&self.chain, self.contract).await.unwrap();
        self.send(from, self.contract, value, Kerros::forceExitCall { index }).await;
    }
    pub fn contract_address(&self) -> Address {
        Address(self.contract.into_array())
    }
    pub fn domain(&self) -> ark_bn254::Fr {
        transcript::domain(self.chain.chain().chain_id(), &self.contract_address())
    }
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("sequencer")
    }
    /// Seals by hand only, unless changed.
    pub fn config(&self) -> Config {
        Config {
            batch_age_ms_max: 3_600_000,
            poll_ms: 5,
            operator_calls: true,
            allow_development: true,
            admission_threads: 2,
            ..Config::new(self.data_dir(), self.contract_address(), account_key(OPERATOR), owner(0))
        }
    }
    pub async fn start(&self, config: Config) -> Running {
        let chain: Arc<dyn MainChain> = Arc::new(self.chain.clone());
        let (key, srs) = (self.key.clone(), self.srs.clone());
        let handle = Sequencer::start(config, chain, key, srs).await.unwrap();
        Running::new(handle).await
    }
    /// Writes a database in which these accounts exist at indices 1, 2, … as if batch 1 had opened
    /// them.
    pub fn craft(&self, accounts: &[Account]) {
        let journal = Journal::open(&self.data_dir()).unwrap();
        let (empty, k) = (Commitments::empty(), self.key.k_genesis);
        let accounts: Vec<_> = (1u32..).map(at).zip(accounts.iter().copied()).collect();
        let mut ledger = Ledger::new(k);
        accounts.iter().for_each(|(index, account)| ledger.set(*index, *account));
        let commitments = ledger.commit(&self.srs.lagrange(k).unwrap());
        let sealed = SealedBatch {
            number: 1,
            k,
            before_growth: None,
            old: empty,
            new: commitments,
            first: 0,
            end: 0,
            beneficiary: owner(0),
            data: BatchData::default(),
            transfers: Vec::new(),
            exits: Vec::new(),
        };
        let mut record = BatchRecord { number: 1, ..BatchRecord::default() };
        record.set_state(BatchState::Sealed);
        let head = Head { number: 2, k, grows: false, first: 0, opened_ms: 0 };
        let next = Checkpoint { head, commitments, before_growth: None };
        let write = SealWrite {
            sealed: &sealed.encode(),
            record: &record,
            accounts: &accounts,
            next: &next,
        };
        journal.seal(&write).unwrap();
    }
    pub fn sign(&self, transaction: Transaction, name: u8) -> Vec<u8> {
        SignedTransaction::sign(transaction, &secret(name), self.domain()).encode()
    }
    /// A transfer between accounts that the names' keys and wallet 0 own.
    pub fn transfer(&self, from: (u32, u8), to: (u32, u8), amount: u64, nonce: u32) -> Vec<u8> {
        self.sign(transfer(from.0, to, amount, 0, nonce), from.1)
    }
}

pub fn transfer(from: u32, to: (u32, u8), amount: u64, fee: u64, nonce: u32) -> Transaction {
    Transaction::Transfer(Transfer {
        from: at(from),
        to: at(to.0),
        amount,
        fee: Fee::exact(fee).unwrap(),
        nonce,
        payee_key: account_key(to.1),
        payee_owner: owner(0),
    })
}
pub fn exit(from: u32, asset: u16, amount: u64, fee: u64, nonce: u32) -> Transaction {
    Transaction::Exit(Exit {
        from: at(from),
        amount,
        fee: Fee::exact(fee).unwrap(),
        nonce,
        asset: kerros_protocol::account::AssetId::new(asset).unwrap(),
        recipient: owner(1),
    })
}
/// An account owned by wallet 0.
pub fn account(name: u8, asset: u16, balance: u64, nonce: u32) -> Account {
    Account { key: account_key(name).get(), balance, nonce, asset, owner: owner(0) }
}

/// A writer that cannot turn.
pub struct Stall {
    release: std::sync::mpsc::Sender<()>,
    reader: std::thread::JoinHandle<()>,
}

impl Stall {
    pub fn end(self) {
        self.release.send(()).unwrap();
        self.reader.join().unwrap();
    }
}

impl Running {
    /// The writer needs the state for itself; a reader that does not let go keeps it from turning,
    /// and once the writer waits, everybody else who wants to read waits too.
    pub fn stall(&self) -> Stall {
        let shared = self.handle.shared().clone();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (reads, reading) = std::sync::mpsc::channel::<()>();
        let reader = std::thread::spawn(move || {
            let _state = shared.execution();
            reads.send(()).unwrap();
            // Not for ever: a runtime that is held up could not end it.
            let _ = released.recv_timeout(Duration::from_secs(25));
        });
        reading.recv().unwrap();
        Stall { release, reader }
    }
    pub async fn new(handle: SequencerHandle) -> Self {
        let url = format!("http://{}", handle.address);
        let client = SequencerServiceClient::connect(url).await.unwrap();
        let url = format!("http://{}", handle.prover_address);
        let prover = ProverServiceClient::connect(url).await.unwrap();
        Self { handle, client, prover }
    }
    pub async fn stop(self) {
        let Self { handle, client, prover } = self;
        drop((client, prover));
        handle.shutdown().await.unwrap();
    }
    pub async fn submit(&mut self, transaction: Vec<u8>) -> Result<proto::Receipt, Status> {
        let request = proto::SubmitTransactionRequest { transaction };
        let answer = self.client.submit_transaction(request).await?;
        Ok(answer.into_inner().receipt.unwrap())
    }
    pub async fn open(&mut self, asset: u16, owner: Address, name: u8) -> Result<u32, Status> {
        let key = account_key(name).to_be().to_vec();
        let request =
            proto::OpenAccountRequest { asset: asset.into(), owner: owner.0.to_vec(), key };
        Ok(self.client.open_account(request).await?.into_inner().index)
    }
    pub async fn seal(&mut self) -> u64 {
        let answer = self.client.seal_batch(proto::SealBatchRequest {}).await.unwrap();
        answer.into_inner().number
    }
    pub async fn info(&mut self) -> proto::GetInfoResponse {
        self.client.get_info(proto::GetInfoRequest {}).await.unwrap().into_inner()
    }
    pub async fn account(&mut self, index: u32) -> proto::Account {
        let by = Some(proto::get_account_request::By::Index(index));
        let answer = self.client.get_account(proto::GetAccountRequest { by }).await.unwrap();
        answer.into_inner().account.unwrap()
    }
    pub async fn batch(&mut self, number: u64) -> proto::Batch {
        let request = proto::GetBatchRequest { number, with_data: true };
        self.client.get_batch(request).await.unwrap().into_inner().batch.unwrap()
    }
    pub async fn sealed(&mut self, number: u64, shape: &Shape) -> SealedBatch {
        let request = proto::GetBatchDataRequest { batch_number: number };
        let answer = self.prover.get_batch_data(request).await.unwrap().into_inner();
        SealedBatch::decode(&answer.sealed_batch, shape).unwrap()
    }
    /// Waits until the sequencer has taken so many queue entries.
    pub async fn served(&mut self, entries: u64) {
        for _ in 0..2_000 {
            if self.info().await.queue_next >= entries {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the queue was not served: {:?}", self.info().await);
    }
    /// Waits until a batch has reached a state.
    pub async fn reached(&mut self, number: u64, state: BatchState) -> proto::Batch {
        for _ in 0..8_000 {
            let batch = self.batch(number).await;
            if batch.state() >= state {
                return batch;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("not {state:?}: {:?}, {:?}", self.batch(number).await, self.info().await);
    }
    pub async fn lease(&mut self, prover: &str) -> Option<proto::Lease> {
        let request = proto::LeaseBatchRequest { prover_id: prover.to_owned(), wait_ms: 0 };
        self.prover.lease_batch(request).await.unwrap().into_inner().lease
    }
    pub async fn submit_proof(
        &mut self,
        lease: &proto::Lease,
        proof: Vec<u8>,
    ) -> Result<BatchState, Status> {
        let phases = vec![proto::Phase { name: "simulated".to_owned(), micros: 1 }];
        let request = proto::SubmitProofRequest {
            batch_number: lease.batch_number,
            epoch: lease.epoch,
            proof,
            phases,
            constraints: 1,
        };
        Ok(self.prover.submit_proof(request).await?.into_inner().state())
    }
    pub async fn release(&mut self, lease: &proto::Lease, failed: bool) -> Result<(), Status> {
        let request = proto::ReleaseLeaseRequest {
            batch_number: lease.batch_number,
            epoch: lease.epoch,
            reason: "going home".to_owned(),
            failed,
        };
        self.prover.release_lease(request).await.map(|_| ())
    }
    /// Leases and proves the next batch.
    pub async fn prove(&mut self, rig: &Rig) -> u64 {
        let lease = self.lease("simulator").await.expect("a sealed batch");
        let batch = SealedBatch::decode(&lease.sealed_batch, &rig.key.shape).unwrap();
        let proof = trapdoor::prove(&rig.key, rig.domain(), &batch).unwrap().encode();
        self.submit_proof(&lease, proof).await.unwrap();
        lease.batch_number
    }
}

/// Asks `grpc.health.v1.Health`.
pub async fn health_client(address: &str) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}
/// A page that is served over HTTP: status and body.
pub async fn page(address: &str, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
/// The codes of what makes a service unhealthy; none if it is healthy.
pub async fn unhealthy(address: &str) -> Vec<String> {
    let (status, body) = page(address, "/health/ready").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let reasons = body["reasons"].as_array().unwrap();
    let codes: Vec<_> = reasons.iter().map(|reason| reason["reason"].as_str().unwrap()).collect();
    assert_eq!(status, if codes.is_empty() { 200 } else { 503 });
    assert_eq!(body["status"], if codes.is_empty() { "ready" } else { "unready" });
    codes.into_iter().map(str::to_owned).collect()
}
/// Waits until health is as it should be.
pub async fn becomes(address: &str, right: impl Fn(&[String]) -> bool) {
    let mut codes = Vec::new();
    for _ in 0..1_200 {
        codes = unhealthy(address).await;
        if right(&codes) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("unhealthy because of {codes:?}");
}

/// The stable code of a refusal, checked to be the same in both places it travels in.
#[track_caller]
pub fn reason(status: &Status) -> String {
    let detail = proto::RejectionDetail::from_status(status)
        .unwrap_or_else(|| panic!("no detail in {status:?}"));
    let entry = status.metadata().get(proto::REASON_METADATA).unwrap();
    assert_eq!(entry, detail.reason.as_str());
    detail.reason
}
pub fn transient(status: &Status) -> bool {
    proto::RejectionDetail::from_status(status).unwrap().transient
}
