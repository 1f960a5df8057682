//! A sequencer for tests: hands out given batches, remembers what provers say. And the batches.

use ark_bn254::{Fr, G1Affine};
use kerros_circuits::setup::{SetupFiles, development, read_verification_key};
use kerros_protocol::account::{AccountIndex, Address, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::*;
use kerros_protocol::commitment::{Commitments, Srs};
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::encoding::fr_to_be;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::proto::prover_service_server::{ProverService, ProverServiceServer};
use kerros_protocol::proto::sequencer_service_server::{SequencerService, SequencerServiceServer};
use kerros_protocol::proto::*;
use kerros_protocol::transaction::{SignedTransaction, Transaction, Transfer};
use kerros_protocol::transcript;
use kerros_protocol::transition::replay;
use kerros_protocol::verification_key::VerificationKey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status};

const CHAIN_ID: u64 = 31_337;
const CONTRACT: Address = Address([0x77; 20]);
const WAIT_MS: u64 = 60_000;

/// Keys of a tiny shape, made once a test run.
pub fn development_keys() -> &'static Path {
    static KEYS: OnceLock<PathBuf> = OnceLock::new();
    KEYS.get_or_init(|| {
        let dir = std::env::temp_dir().join(format!("kerros-prover-tests-{}", std::process::id()));
        let shape = Shape::new([2, 2, 2, 1, 1]).expect("valid");
        development(&dir, &shape, 3, 5, &mut rand::thread_rng(), &|_| ()).expect("setup");
        dir
    })
}

/// Makes batches that follow one another.
pub struct World {
    pub key: VerificationKey,
    pub srs: Srs,
    pub domain: Fr,
    ledger: Ledger,
    commitments: Commitments,
    lagrange: Vec<G1Affine>,
    number: u64,
    first: u64,
}

fn secret(i: u8) -> PrivateKey {
    PrivateKey::from_bytes([i; 32])
}

fn index(i: u32) -> AccountIndex {
    AccountIndex::new(i).expect("in range")
}

impl World {
    pub fn new() -> Self {
        let files = SetupFiles::in_dir(development_keys());
        let key = read_verification_key(&files.verification_key).expect("key");
        let srs = Srs::open(&files.srs).expect("srs");
        let k = key.k_genesis;
        Self {
            lagrange: srs.lagrange(k).expect("points"),
            domain: transcript::domain(CHAIN_ID, &CONTRACT),
            ledger: Ledger::new(k),
            commitments: Commitments::empty(),
            number: 0,
            first: 0,
            key,
            srs,
        }
    }
    /// Accounts 1 and 2, each with 1,000 units.
    pub fn open_and_deposit(&mut self) -> SealedBatch {
        let mut data = BatchData::default();
        for i in [1u8, 2] {
            let key = secret(i).public_key().account_key().expect("key");
            let (asset, owner) = (AssetId::new(1).expect("not 0"), Address([i; 20]));
            let index = index(i.into());
            data.opens.push(OpenRecord { index, asset, owner, key });
            data.deposits.push(DepositRecord { index, amount: 1_000, asset, key, owner });
        }
        self.seal(data, Vec::new(), None)
    }
    /// 1 pays 2.
    pub fn transfer(&mut self) -> SealedBatch {
        self.transfer_after(None)
    }
    /// The ledger doubles, then 1 pays 2.
    pub fn grow_and_transfer(&mut self) -> SealedBatch {
        let before = self.commitments;
        self.ledger.grow();
        self.lagrange = self.srs.lagrange(self.ledger.k()).expect("points");
        self.commitments = self.ledger.commit(&self.lagrange);
        self.transfer_after(Some(before))
    }
    fn transfer_after(&mut self, before_growth: Option<Commitments>) -> SealedBatch {
        let (payer, payee) = (self.ledger.get(index(1)), self.ledger.get(index(2)));
        let transfer = Transfer {
            from: index(1),
            to: index(2),
            amount: 10,
            fee: Fee::ZERO,
            nonce: payer.nonce,
            payee_key: kerros_protocol::account::AccountKey::new(payee.key).expect("open"),
            payee_owner: payee.owner,
        };
        let transaction = Transaction::Transfer(transfer);
        let signed = SignedTransaction::sign(transaction, &secret(1), self.domain);
        let authorisation =
            Authorisation { order: 0, public_key: signed.public_key, signature: signed.signature };
        let Transfer { from, to, amount, fee, .. } = transfer;
        let mut data = BatchData::default();
        data.transfers.push(TransferRecord { from, to, amount, fee });
        self.seal(data, vec![authorisation], before_growth)
    }
    fn seal(
        &mut self,
        data: BatchData,
        transfers: Vec<Authorisation>,
        before_growth: Option<Commitments>,
    ) -> SealedBatch {
        let touched = replay(&mut self.ledger, &data).expect("valid");
        let changes: Vec<_> = touched
            .iter()
            .map(|(index, before)| {
                let (old, new) = (before.words(), self.ledger.get(*index).words());
                (index.position(), std::array::from_fn(|j| new[j] - old[j]))
            })
            .collect();
        let old = self.commitments;
        self.commitments = old.updated(&self.lagrange, &changes);
        self.number += 1;
        let first = self.first;
        self.first += data.deposits.len() as u64;
        SealedBatch {
            number: self.number,
            k: self.ledger.k(),
            before_growth,
            old,
            new: self.commitments,
            first,
            end: self.first,
            beneficiary: Address([9; 20]),
            data,
            transfers,
            exits: Vec::new(),
        }
    }
}

#[derive(Default)]
struct State {
    batches: Vec<Vec<u8>>,
    proofs: BTreeMap<u64, Vec<u8>>,
    held: BTreeMap<u64, u64>,
    epochs: BTreeMap<u64, u64>,
    released: Vec<(u64, u64, String, bool)>,
    heartbeats: u64,
}

/// The sequencer. Stops with its runtime.
pub struct Fake {
    pub url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
struct Service {
    state: Arc<Mutex<State>>,
    info: GetInfoResponse,
}

pub async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    listener.local_addr().expect("address").port()
}

impl Fake {
    pub async fn serve(world: &World, batches: &[SealedBatch], port: Option<u16>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await.expect("bound");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let batches = batches.iter().map(SealedBatch::encode).collect();
        let state = Arc::new(Mutex::new(State { batches, ..State::default() }));
        let info = GetInfoResponse {
            chain_id: CHAIN_ID,
            contract: CONTRACT.0.to_vec(),
            domain: fr_to_be(&world.domain).to_vec(),
            vk_hash: world.key.hash().to_vec(),
            ..GetInfoResponse::default()
        };
        let service = Service { state: state.clone(), info };
        let server = tonic::transport::Server::builder()
            .add_service(ProverServiceServer::new(service.clone()))
            .add_service(SequencerServiceServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        Self { url, state }
    }
    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        for _ in 0..WAIT_MS / 10 {
            if let Some(found) = look(&mut self.state.lock().expect("lock")) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing within {WAIT_MS} ms");
    }
    pub async fn proof(&self, number: u64) -> Vec<u8> {
        self.until(|state| state.proofs.get(&number).cloned()).await
    }
    pub async fn release(&self) -> String {
        self.until(|state| state.released.first().map(|(_, _, reason, _)| reason.clone())).await
    }
    pub async fn heartbeat(&self) {
        let seen = self.state.lock().expect("lock").heartbeats;
        self.until(|state| (state.heartbeats > seen).then_some(())).await
    }
    pub async fn leased(&self, epoch: u64) {
        self.until(|state| (state.held.get(&1) == Some(&epoch)).then_some(())).await
    }
    pub fn revoke(&self) {
        self.state.lock().expect("lock").held.clear();
    }
    pub fn mark_proved(&self, number: u64) {
        self.state.lock().expect("lock").proofs.insert(number, Vec::new());
    }
    pub fn proofs(&self) -> BTreeMap<u64, Vec<u8>> {
        self.state.lock().expect("lock").proofs.clone()
    }
    /// Batch, epoch, reason, whether it counts as failed.
    pub fn released(&self) -> Vec<(u64, u64, String, bool)> {
        self.state.lock().expect("lock").released.clone()
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    fn require(&self, number: u64, epoch: u64) -> Result<std::sync::MutexGuard<'_, State>, Status> {
        let state = self.state.lock().expect("lock");
        if state.held.get(&number) == Some(&epoch) {
            return Ok(state);
        }
        let reason = "STALE_LEASE".to_owned();
        let detail = RejectionDetail { reason, ..RejectionDetail::default() };
        Err(detail.into_status(Code::FailedPrecondition))
    }
}

#[tonic::async_trait]
impl ProverService for Service {
    type FollowBatchesStream = Answers<FollowBatchesResponse>;

    async fn lease_batch(
        &self,
        _: Request<LeaseBatchRequest>,
    ) -> Result<Response<LeaseBatchResponse>, Status> {
        let lease = {
            let mut state = self.state.lock().expect("lock");
            let count = state.batches.len() as u64;
            let free = (1..=count).find(|number| {
                !state.proofs.contains_key(number) && !state.held.contains_key(number)
            });
            free.map(|batch_number| {
                let epoch = state.epochs.entry(batch_number).or_default();
                *epoch += 1;
                let epoch = *epoch;
                state.held.insert(batch_number, epoch);
                let sealed_batch = state.batches[batch_number as usize - 1].clone();
                Lease { batch_number, epoch, expires_ms: 0, sealed_batch, heartbeat_ms: 50 }
            })
        };
        if lease.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Response::new(LeaseBatchResponse { lease }))
    }
    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        let HeartbeatRequest { batch_number, epoch, .. } = request.into_inner();
        self.require(batch_number, epoch)?.heartbeats += 1;
        Ok(Response::new(HeartbeatResponse { expires_ms: 0 }))
    }
    async fn submit_proof(
        &self,
        request: Request<SubmitProofRequest>,
    ) -> Result<Response<SubmitProofResponse>, Status> {
        let SubmitProofRequest { batch_number, epoch, proof, .. } = request.into_inner();
        let mut state = self.require(batch_number, epoch)?;
        state.proofs.insert(batch_number, proof);
        state.held.remove(&batch_number);
        Ok(Response::new(SubmitProofResponse { state: BatchState::Verified.into() }))
    }
    async fn release_lease(
        &self,
        request: Request<ReleaseLeaseRequest>,
    ) -> Result<Response<ReleaseLeaseResponse>, Status> {
        let ReleaseLeaseRequest { batch_number, epoch, reason, failed } = request.into_inner();
        let mut state = self.require(batch_number, epoch)?;
        state.held.remove(&batch_number);
        state.released.push((batch_number, epoch, reason, failed));
        Ok(Response::new(ReleaseLeaseResponse {}))
    }
    async fn get_batch_data(
        &self,
        _: Request<GetBatchDataRequest>,
    ) -> Result<Response<GetBatchDataResponse>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn follow_batches(
        &self,
        request: Request<FollowBatchesRequest>,
    ) -> Result<Response<Self::FollowBatchesStream>, Status> {
        let from = request.into_inner().from_number;
        let batches = self.state.lock().expect("lock").batches.clone();
        let messages = (1u64..).zip(batches).filter(move |(number, _)| *number >= from);
        let messages = messages.map(|(batch_number, sealed_batch)| {
            Ok(FollowBatchesResponse { batch_number, sealed_batch })
        });
        let endless = tokio_stream::iter(messages).chain(tokio_stream::pending());
        Ok(Response::new(Box::pin(endless)))
    }
}

macro_rules! unused {
    ($($name:ident: $request:ty => $response:ty;)*) => {
        #[tonic::async_trait]
        impl SequencerService for Service {
            type SubmitTransactionsStream = Answers<SubmitTransactionsResponse>;
            type WatchBatchesStream = Answers<WatchBatchesResponse>;
            type FollowReceiptsStream = Answers<FollowReceiptsResponse>;
            async fn get_info(
                &self,
                _: Request<GetInfoRequest>,
            ) -> Result<Response<GetInfoResponse>, Status> {
                Ok(Response::new(self.info.clone()))
            }
            $(async fn $name(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(Status::unimplemented("not used"))
            })*
        }
    };
}

unused! {
    open_account: OpenAccountRequest => OpenAccountResponse;
    submit_transaction: SubmitTransactionRequest => SubmitTransactionResponse;
    submit_transactions: tonic::Streaming<SubmitTransactionsRequest>
        => Answers<SubmitTransactionsResponse>;
    get_account: GetAccountRequest => GetAccountResponse;
    list_accounts: ListAccountsRequest => ListAccountsResponse;
    get_transaction: GetTransactionRequest => GetTransactionResponse;
    get_batch: GetBatchRequest => GetBatchResponse;
    list_batches: ListBatchesRequest => ListBatchesResponse;
    watch_batches: WatchBatchesRequest => Answers<WatchBatchesResponse>;
    follow_receipts: FollowReceiptsRequest => Answers<FollowReceiptsResponse>;
    seal_batch: SealBatchRequest => SealBatchResponse;
    grow_ledger: GrowLedgerRequest => GrowLedgerResponse;
}
