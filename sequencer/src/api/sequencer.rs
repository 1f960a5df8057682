//! `kerros.v1.SequencerService`.

use super::convert;
use super::listener::Peer;
use super::refusal::Refusal;
use super::submit::{self, Answers};
use super::watch;
use crate::admission::{Admission, Pace, Source, SubmitError};
use crate::disk::Disk;
use crate::journal::Journal;
use crate::lifecycle::Lifecycle;
use crate::limits::{
    LONG_CALLS_MAX, LONG_CALLS_PER_CONNECTION_MAX, PAGE_MAX, READS_MAX, RETRY_AFTER_MS,
    UNSETTLED_BATCHES_MAX,
};
use crate::ordering::{Shared, Written};
use kerros_protocol::account::{AccountIndex, Address};
use kerros_protocol::batch::{OpenRecord, SealedBatch};
use kerros_protocol::encoding::fr_to_be;
use kerros_protocol::proto::sequencer_service_server::SequencerService;
use kerros_protocol::proto::*;
use kerros_protocol::transaction::TransactionId;
use kerros_protocol::verification_key::VerificationKey;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

/// What is told about the deployment.
#[derive(Clone)]
pub struct Deployment {
    /// Main chain.
    pub chain_id: u64,
    /// Contract.
    pub contract: Address,
    /// Domain of signatures and proofs.
    pub domain: ark_bn254::Fr,
    /// Key.
    pub key: VerificationKey,
    /// Credited with entry fees.
    pub beneficiary: Address,
    /// Whose key signs receipts.
    pub receipt_signer: Address,
    /// From an acknowledgement to the deadline in its receipt, ms.
    pub promise_ms: u64,
}

/// The service.
#[derive(Clone)]
pub struct SequencerApi {
    /// Told to everybody.
    pub deployment: Arc<Deployment>,
    /// The door to the writer.
    pub admission: Admission,
    /// Executed state.
    pub shared: Shared,
    /// States of batches.
    pub lifecycle: Arc<Lifecycle>,
    /// Disk.
    pub journal: Arc<Journal>,
    /// Why settlement has stopped for good, if it has.
    pub halted: Arc<Mutex<Option<String>>>,
    /// Told after every group of operations that is on disk.
    pub written: Arc<Written>,
    /// How long checkers pause now.
    pub pace: Pace,
    /// Room on the disk.
    pub disk: Disk,
    /// Whether SealBatch and GrowLedger are answered.
    pub operator_calls: bool,
    /// Places for long calls.
    pub long_calls: LongCalls,
    /// Places for calls that read the executed state.
    pub reads: Arc<Semaphore>,
}

/// Places for long calls, each kind for itself.
#[derive(Clone)]
pub struct LongCalls {
    submit: Arc<Semaphore>,
    batches: Arc<Semaphore>,
    receipts: Arc<Semaphore>,
}

impl Default for LongCalls {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(LONG_CALLS_MAX));
        Self { submit: places(), batches: places(), receipts: places() }
    }
}

/// A long call's place among all and among those of its connection.
pub type Seats = (OwnedSemaphorePermit, OwnedSemaphorePermit);

fn long_call(places: &Arc<Semaphore>, source: &Source) -> Result<Seats, Refusal> {
    let own = source.long_call().ok_or_else(busy)?;
    let all = Arc::clone(places).try_acquire_owned().map_err(|_| busy())?;
    Ok((all, own))
}

impl SequencerApi {
    /// Accepting more than can be written or settled helps nobody.
    pub(super) fn check_room(&self) -> Result<(), SubmitError> {
        if !self.disk.has_room() {
            let (free, need) = (self.disk.free(), self.disk.reserve());
            return Err(SubmitError::DiskFull { free, need });
        }
        if self.lifecycle.halted().is_some() {
            return Err(SubmitError::SealingHalted);
        }
        if let Some(reason) = self.shared.pulse().reorganised() {
            return Err(SubmitError::QueueReorganised(reason));
        }
        let (waiting, max) = (self.lifecycle.unsettled(), UNSETTLED_BATCHES_MAX);
        if waiting >= max { Err(SubmitError::Overloaded { waiting, max }) } else { Ok(()) }
    }
    /// A place among those who wait until the writer lets them read.
    fn place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let (waiting, max) = (READS_MAX, READS_MAX);
        let refusal = |_| SubmitError::Overloaded { waiting, max }.into();
        self.reads.try_acquire().map_err(refusal)
    }
    fn operator_only(&self) -> Result<(), Refusal> {
        let message = "operator calls are not enabled on this sequencer";
        let refusal = || Refusal::new(Code::PermissionDenied, "OPERATOR_ONLY", message);
        if self.operator_calls { Ok(()) } else { Err(refusal()) }
    }
    fn no_batch(number: u64) -> Refusal {
        Refusal::new(Code::NotFound, "BATCH_NOT_FOUND", format!("no batch {number}"))
    }
}

/// The connection a request came over.
fn source<T>(request: &Request<T>) -> Arc<Source> {
    let peer = request.extensions().get::<Peer>();
    Arc::clone(&peer.expect("every connection is one of our listener's").source)
}

/// A refused long call.
pub(super) fn busy() -> Refusal {
    let message = format!(
        "{LONG_CALLS_MAX} long calls are open, or {LONG_CALLS_PER_CONNECTION_MAX} of this connection"
    );
    let mut refusal = Refusal::new(Code::ResourceExhausted, "OVERLOADED", message).transient();
    refusal.retry_after_ms = RETRY_AFTER_MS;
    refusal
}

fn page(size: u32) -> usize {
    let size = if size == 0 { PAGE_MAX } else { size.min(PAGE_MAX) };
    size as usize
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl SequencerService for SequencerApi {
    async fn get_info(&self, _: Request<GetInfoRequest>) -> Answer<GetInfoResponse> {
        let deployment = &self.deployment;
        let view = self.shared.view();
        let unsettled = self.lifecycle.unsettled() as u64;
        let final_batch = self.lifecycle.last_final();
        let halted = self.halted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _place = self.place()?;
        let execution = self.shared.read().await;
        let policy = execution.policy();
        Ok(Response::new(GetInfoResponse {
            chain_id: deployment.chain_id,
            contract: deployment.contract.0.to_vec(),
            domain: fr_to_be(&deployment.domain).to_vec(),
            vk_hash: deployment.key.hash().to_vec(),
            shape: Some(convert::shape(&policy.shape)),
            k: execution.ledger().k().into(),
            k_max: policy.k_max.into(),
            accounts: execution.allocated().into(),
            open_batch: execution.head().number,
            open_counts: Some(convert::sections(execution.counts())),
            unsettled_batches: unsettled,
            final_batch,
            queue_next: execution.queue_next(),
            queue_final: view.queue_final,
            backlog: self.admission.waiting() as u64,
            fee_min: policy.fee_min,
            beneficiary: deployment.beneficiary.0.to_vec(),
            settlement_halted: halted.unwrap_or_default(),
            verification_key: deployment.key.encode(),
            queue_seen: view.queue_seen,
            receipt_signer: deployment.receipt_signer.0.to_vec(),
            admission_pause_ms: (self.pace)(),
            promise_ms: deployment.promise_ms,
            sealing_halted: self.lifecycle.halted().unwrap_or_default().to_owned(),
            quarantined_batches: self.lifecycle.quarantined() as u64,
        }))
    }

    async fn open_account(
        &self,
        request: Request<OpenAccountRequest>,
    ) -> Answer<OpenAccountResponse> {
        let source = source(&request);
        let request = request.into_inner();
        let asset = convert::asset("asset", request.asset)?;
        let owner = convert::address("owner", &request.owner)?;
        let key = convert::key("key", &request.key)?;
        self.check_room().map_err(Refusal::from)?;
        let opened =
            self.admission.open(&source, asset, owner, key).await.map_err(Refusal::from)?;
        let record = OpenRecord { index: opened.index, asset, owner, key };
        let receipt = self.journal.opening(record).map_err(Refusal::internal)?;
        Ok(Response::new(OpenAccountResponse {
            index: opened.index.get(),
            batch_number: opened.batch,
            opened: opened.opened,
            receipt: receipt.map(convert::opening),
        }))
    }

    async fn submit_transaction(
        &self,
        request: Request<SubmitTransactionRequest>,
    ) -> Answer<SubmitTransactionResponse> {
        self.check_room().map_err(Refusal::from)?;
        let source = source(&request);
        let bytes = request.into_inner().transaction;
        let answer = self.admission.submit(&source, bytes).await.map_err(Refusal::from)?;
        let receipt = answer.resolve(&self.journal).map_err(Refusal::from)?;
        let receipt = Some(convert::receipt(receipt));
        Ok(Response::new(SubmitTransactionResponse { receipt }))
    }

    type SubmitTransactionsStream = Answers;

    async fn submit_transactions(
        &self,
        request: Request<Streaming<SubmitTransactionsRequest>>,
    ) -> Answer<Self::SubmitTransactionsStream> {
        let source = source(&request);
        let seat = long_call(&self.long_calls.submit, &source)?;
        Ok(Response::new(submit::stream(self.clone(), source, request.into_inner(), seat)))
    }

    async fn get_account(&self, request: Request<GetAccountRequest>) -> Answer<GetAccountResponse> {
        let missing = || Refusal::new(Code::NotFound, "ACCOUNT_NOT_FOUND", "no such account");
        let by = request.into_inner().by;
        let by = by.ok_or_else(|| Refusal::argument("by", "is missing"))?;
        let _place = self.place()?;
        let execution = self.shared.read().await;
        let index = match by {
            get_account_request::By::Index(index) => convert::index("index", index)?,
            get_account_request::By::Triple(triple) => {
                let key = convert::key("key", &triple.key)?;
                let asset = convert::asset("asset", triple.asset)?;
                let owner = convert::address("owner", &triple.owner)?;
                execution.find(key, asset.get(), owner).ok_or_else(missing)?
            }
        };
        let account = execution.ledger().get(index);
        if account.is_empty() {
            return Err(missing().into());
        }
        let account = Some(convert::account(index, &account));
        Ok(Response::new(GetAccountResponse { account }))
    }

    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Answer<ListAccountsResponse> {
        let request = request.into_inner();
        let key = convert::key("key", &request.key)?;
        let size = page(request.page_size);
        let Ok(first) = AccountIndex::new(request.after_index.saturating_add(1)) else {
            return Ok(Response::new(ListAccountsResponse::default()));
        };
        let _place = self.place()?;
        let execution = self.shared.read().await;
        // One more than is told: whether there is a next page.
        let mut indices: Vec<_> = execution.accounts_of(key, first).take(size + 1).collect();
        let more = indices.len() > size;
        indices.truncate(size);
        let next = indices.last().filter(|_| more).map_or(0, |index| index.get());
        let ledger = execution.ledger();
        let accounts =
            indices.iter().map(|index| convert::account(*index, &ledger.get(*index))).collect();
        Ok(Response::new(ListAccountsResponse { accounts, next_after_index: next }))
    }

    async fn get_transaction(
        &self,
        request: Request<GetTransactionRequest>,
    ) -> Answer<GetTransactionResponse> {
        let id = request.into_inner().transaction_id;
        let id = TransactionId(convert::bytes("transaction_id", &id)?);
        let missing =
            || Refusal::new(Code::NotFound, "TRANSACTION_NOT_FOUND", "no such transaction");
        let receipt = self.journal.receipt(&id).map_err(Refusal::internal)?.ok_or_else(missing)?;
        let signed = self.journal.signed(&id).map_err(Refusal::internal)?.ok_or_else(missing)?;
        let batch = self.lifecycle.record(receipt.promise.batch).map_err(Refusal::internal)?;
        Ok(Response::new(GetTransactionResponse {
            receipt: Some(convert::receipt(receipt)),
            state: batch.map_or(BatchState::Open.into(), |record| record.state),
            transaction: signed.encode(),
        }))
    }

    async fn get_batch(&self, request: Request<GetBatchRequest>) -> Answer<GetBatchResponse> {
        let GetBatchRequest { number, with_data } = request.into_inner();
        let _place = self.place()?;
        let record = self.lifecycle.record(number).map_err(Refusal::internal)?;
        let batch = match record {
            Some(record) if with_data && record.state() != BatchState::Open => {
                let sealed = self.journal.sealed(number).map_err(Refusal::internal)?;
                let sealed = sealed.ok_or_else(|| Self::no_batch(number))?;
                let sealed = SealedBatch::decode(&sealed, &self.deployment.key.shape);
                let data = sealed.map_err(Refusal::internal)?.data.encode();
                Batch { data, ..convert::batch_with_proof(record) }
            }
            Some(record) => convert::batch(record),
            None => {
                let open = convert::open_batch(&self.shared).await;
                if open.number != number {
                    return Err(Self::no_batch(number).into());
                }
                open
            }
        };
        Ok(Response::new(GetBatchResponse { batch: Some(batch) }))
    }

    async fn list_batches(
        &self,
        request: Request<ListBatchesRequest>,
    ) -> Answer<ListBatchesResponse> {
        let ListBatchesRequest { page_size, before_number } = request.into_inner();
        let _place = self.place()?;
        let above = self.shared.read().await.head().number + 1;
        let start = if before_number == 0 { above } else { before_number.min(above) };
        let mut batches = Vec::new();
        let mut next = start;
        for number in (1..start).rev().take(page(page_size)) {
            let batch = watch::view(&self.lifecycle, &self.shared, number).await;
            batches.extend(batch.map_err(Refusal::internal)?);
            next = number;
        }
        let next_before_number = if next > 1 { next } else { 0 };
        Ok(Response::new(ListBatchesResponse { batches, next_before_number }))
    }

    type WatchBatchesStream = ReceiverStream<Result<WatchBatchesResponse, Status>>;

    async fn watch_batches(
        &self,
        request: Request<WatchBatchesRequest>,
    ) -> Answer<Self::WatchBatchesStream> {
        let seat = long_call(&self.long_calls.batches, &source(&request))?;
        let from = request.into_inner().from_number;
        let (lifecycle, shared) = (Arc::clone(&self.lifecycle), self.shared.clone());
        Ok(Response::new(watch::watch_batches(lifecycle, shared, from, seat)))
    }

    type FollowReceiptsStream = ReceiverStream<Result<FollowReceiptsResponse, Status>>;

    async fn follow_receipts(
        &self,
        request: Request<FollowReceiptsRequest>,
    ) -> Answer<Self::FollowReceiptsStream> {
        let seat = long_call(&self.long_calls.receipts, &source(&request))?;
        let FollowReceiptsRequest { from_batch, from_order } = request.into_inner();
        let (journal, domain) = (Arc::clone(&self.journal), self.deployment.domain);
        let from = (from_batch, from_order);
        let lifecycle = Arc::clone(&self.lifecycle);
        let written = self.written.subscribe();
        let answers = watch::follow_receipts(journal, domain, lifecycle, written, from, seat);
        Ok(Response::new(answers))
    }

    async fn seal_batch(&self, _: Request<SealBatchRequest>) -> Answer<SealBatchResponse> {
        self.operator_only()?;
        let number = self.admission.seal().await.map_err(Refusal::from)?;
        Ok(Response::new(SealBatchResponse { number }))
    }

    async fn grow_ledger(&self, _: Request<GrowLedgerRequest>) -> Answer<GrowLedgerResponse> {
        self.operator_only()?;
        let k = self.admission.grow().await.map_err(Refusal::from)?;
        Ok(Response::new(GrowLedgerResponse { k: k.into() }))
    }
}
