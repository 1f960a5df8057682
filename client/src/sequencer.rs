//! The sequencer over gRPC: accounts, transactions, batches.
//!
//! Answers are decoded strictly. A refusal is [`SequencerError::Refused`] with the stable code of
//! the API (`kerros_protocol::rejection`, and those of admission), so that callers can match on it.

mod failure;

pub use failure::SequencerError;

use crate::receipt::{self, ReceiptCheck, ReceiptFault};
use crate::watch::BatchWatch;
use ark_bn254::Fr;
use kerros_protocol::account::{Account, AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::batch::OpenRecord;
use kerros_protocol::encoding::fr_from_be;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{self, BatchState};
use kerros_protocol::receipt::{Opening, Receipt};
use kerros_protocol::transaction::{SignedTransaction, TransactionId};
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;
use tonic::transport::{Channel, Endpoint};

/// Time-out of one call, in milliseconds.
pub const CALL_MS_MAX: u64 = 20_000;
/// Time-out of connecting, in milliseconds.
pub const CONNECT_MS_MAX: u64 = 5_000;
/// Bytes of an answer, at most.
pub const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// An account that is open.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its index.
    pub index: AccountIndex,
    /// Whether this call opened it.
    pub opened: bool,
    /// The sequencer's promise that a batch opens it; none if an earlier batch did and the sequencer
    /// does not have the promise.
    pub receipt: Option<Receipt<Opening>>,
}

/// The deployment a sequencer serves, as it says; compare with what you know yourself.
#[derive(Debug, Clone)]
pub struct Info {
    /// Main chain's id.
    pub chain_id: u64,
    /// Kerros contract.
    pub contract: Address,
    /// Signed in every transaction; computed here from chain id and contract.
    pub domain: Fr,
    /// The verification key, decoded and checked against its hash.
    pub verification_key: Option<VerificationKey>,
    /// Everything else.
    pub message: proto::GetInfoResponse,
}

impl Info {
    /// Reads an answer, strictly: its parts must fit each other.
    pub fn read(message: proto::GetInfoResponse) -> Result<Self, SequencerError> {
        let contract = Address(array(&message.contract, "contract is no address")?);
        let domain = transcript::domain(message.chain_id, &contract);
        if fr_from_be("domain", &array(&message.domain, "domain is not 32 bytes")?)? != domain {
            return Err(SequencerError::Nonsense("domain is not that of its chain and contract"));
        }
        let verification_key = match message.verification_key.as_slice() {
            [] => None,
            bytes => {
                let key = VerificationKey::decode(bytes)?;
                if key.hash().as_slice() != message.vk_hash {
                    return Err(SequencerError::Nonsense("vk_hash is not that of the key"));
                }
                Some(key)
            }
        };
        Ok(Self { chain_id: message.chain_id, contract, domain, verification_key, message })
    }
    /// Whose key signs receipts, as the sequencer says.
    pub fn receipt_signer(&self) -> Result<Address, SequencerError> {
        array(&self.message.receipt_signer, "receipt signer is no address").map(Address)
    }
}

/// An account with its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountView {
    /// The index.
    pub index: AccountIndex,
    /// Its fields; balance in asset units.
    pub account: Account,
}

/// A connection to a sequencer. Clones share it; it reconnects by itself.
#[derive(Debug, Clone)]
pub struct SequencerClient {
    inner: SequencerServiceClient<Channel>,
    /// Believed whatever the sequencer says.
    trusted: Option<ReceiptCheck>,
    receipts: Arc<OnceCell<Terms>>,
}

/// What receipts are held to.
#[derive(Debug, Clone, Copy)]
struct Terms {
    check: ReceiptCheck,
    /// From acknowledgement to deadline, as announced, ms; 0 if it was not.
    promise_ms: u64,
}

fn timed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(Duration::from_millis(CALL_MS_MAX));
    request
}

fn array<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], SequencerError> {
    bytes.try_into().map_err(|_| SequencerError::Nonsense(what))
}

impl AccountView {
    /// Reads an account of an answer, strictly.
    pub fn read(account: Option<proto::Account>) -> Result<Self, SequencerError> {
        let account = account.ok_or(SequencerError::Nonsense("no account in the answer"))?;
        let asset = u16::try_from(account.asset);
        Ok(Self {
            index: AccountIndex::new(account.index)?,
            account: Account {
                key: fr_from_be("key", &array(&account.key, "key is not 32 bytes")?)?,
                balance: account.balance,
                nonce: account.nonce,
                asset: asset.map_err(|_| SequencerError::Nonsense("asset id above 65535"))?,
                owner: Address(array(&account.owner, "owner is no address")?),
            },
        })
    }
}

impl SequencerClient {
    /// Does not connect yet: every call does if need be.
    pub fn new(url: &str) -> Result<Self, SequencerError> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(SequencerError::Url)?
            .connect_timeout(Duration::from_millis(CONNECT_MS_MAX));
        let inner = SequencerServiceClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { inner, trusted: None, receipts: Arc::default() })
    }
    /// Believes receipts of this signer in this deployment only, for instance of the contract's
    /// operator. Without this the sequencer is believed whose receipts are its own.
    pub fn trusting(self, check: ReceiptCheck) -> Self {
        Self { trusted: Some(check), receipts: Arc::default(), ..self }
    }
    async fn terms(&self) -> Result<Terms, SequencerError> {
        let ask = || async {
            let info = self.info().await?;
            let signer = info.receipt_signer()?.0.into();
            let check = self.trusted.unwrap_or(ReceiptCheck { domain: info.domain, signer });
            Ok(Terms { check, promise_ms: info.message.promise_ms })
        };
        self.receipts.get_or_try_init(ask).await.copied()
    }
    /// Whose receipts are believed.
    pub async fn receipts(&self) -> Result<ReceiptCheck, SequencerError> {
        Ok(self.terms().await?.check)
    }
    async fn checked(
        &self,
        receipt: Option<proto::Receipt>,
        id: TransactionId,
    ) -> Result<Receipt, SequencerError> {
        let receipt = receipt.ok_or(SequencerError::Nonsense("no receipt"))?;
        let receipt = receipt::decode(&receipt)?;
        if receipt.promise.id != id {
            return Err(SequencerError::Nonsense("the receipt is another transaction's"));
        }
        self.receipts().await?.check(&receipt)?;
        Ok(receipt)
    }

    /// Deployment, limits and load.
    pub async fn info(&self) -> Result<Info, SequencerError> {
        let request = timed(proto::GetInfoRequest {});
        let message = self.inner.clone().get_info(request).await?.into_inner();
        Info::read(message)
    }

    /// Opens an account, or gives the index of the one that has this triple. The receipt's signature and
    /// deadline are checked; an account opened by this call has one.
    pub async fn open(
        &self,
        asset: AssetId,
        owner: Address,
        key: AccountKey,
    ) -> Result<Opened, SequencerError> {
        let request = proto::OpenAccountRequest {
            asset: asset.get().into(),
            owner: owner.0.to_vec(),
            key: key.to_be().to_vec(),
        };
        let answer = self.inner.clone().open_account(timed(request)).await?.into_inner();
        let (index, opened) = (AccountIndex::new(answer.index)?, answer.opened);
        let Some(message) = answer.receipt else {
            // Of an open batch nothing is on the main chain that could stand in for a promise.
            return match opened || answer.batch_number > 0 {
                true => Err(SequencerError::Nonsense("no receipt")),
                false => Ok(Opened { index, opened, receipt: None }),
            };
        };
        let receipt = receipt::decode_opening(&message, OpenRecord { index, asset, owner, key })?;
        self.receipts().await?.check(&receipt)?;
        let Opening { batch, deadline_ms, .. } = receipt.promise;
        if answer.batch_number > 0 && answer.batch_number != batch {
            return Err(SequencerError::Nonsense("the receipt is for another batch"));
        }
        self.check_deadline(deadline_ms, batch).await?;
        Ok(Opened { index, opened, receipt: Some(receipt) })
    }

    /// Submits a transaction. The receipt, whose signature and deadline are checked, means: executed,
    /// and on the sequencer's disk. Submitting the same transaction again gives the same receipt.
    pub async fn submit(&self, signed: &SignedTransaction) -> Result<Receipt, SequencerError> {
        let request = proto::SubmitTransactionRequest { transaction: signed.encode() };
        let answer = self.inner.clone().submit_transaction(timed(request)).await?.into_inner();
        let receipt = self.checked(answer.receipt, signed.transaction.id()).await?;
        self.check_deadline(receipt.promise.deadline_ms, receipt.promise.batch).await?;
        Ok(receipt)
    }
    async fn check_deadline(&self, deadline_ms: u64, batch: u64) -> Result<(), SequencerError> {
        let promise_ms = self.terms().await?.promise_ms;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        match receipt::check_deadline(deadline_ms, now, promise_ms) {
            // Asked for again after a long time: no promise any more, but one that was kept.
            Err(ReceiptFault::DeadlinePast { .. })
                if self.batch(batch, false).await?.state() >= BatchState::Posted =>
            {
                Ok(())
            }
            checked => Ok(checked?),
        }
    }

    /// An account by its index.
    pub async fn account(&self, index: AccountIndex) -> Result<AccountView, SequencerError> {
        let by = proto::get_account_request::By::Index(index.get());
        let request = timed(proto::GetAccountRequest { by: Some(by) });
        let found =
            AccountView::read(self.inner.clone().get_account(request).await?.into_inner().account)?;
        if found.index != index {
            return Err(SequencerError::Nonsense("another account than asked for"));
        }
        Ok(found)
    }

    /// The account with this triple; none if there is none.
    pub async fn account_of(
        &self,
        asset: AssetId,
        owner: Address,
        key: AccountKey,
    ) -> Result<Option<AccountView>, SequencerError> {
        let by = proto::get_account_request::By::Triple(proto::AccountTriple {
            key: key.to_be().to_vec(),
            asset: asset.get().into(),
            owner: owner.0.to_vec(),
        });
        let request = timed(proto::GetAccountRequest { by: Some(by) });
        let answer = match self.inner.clone().get_account(request).await.map_err(Into::into) {
            Ok(answer) => answer.into_inner(),
            Err(SequencerError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = AccountView::read(answer.account)?;
        let triple = (found.account.key, found.account.asset, found.account.owner);
        if triple != (key.get(), asset.get(), owner) {
            return Err(SequencerError::Nonsense("another account than asked for"));
        }
        Ok(Some(found))
    }

    /// All accounts of a key, ascending by index.
    pub async fn accounts(&self, key: AccountKey) -> Result<Vec<AccountView>, SequencerError> {
        let (mut found, mut after_index) = (Vec::new(), 0);
        loop {
            let key = key.to_be().to_vec();
            let request = timed(proto::ListAccountsRequest { key, page_size: 0, after_index });
            let page = self.inner.clone().list_accounts(request).await?.into_inner();
            for account in page.accounts {
                found.push(AccountView::read(Some(account))?);
            }
            if page.next_after_index <= after_index {
                return Ok(found);
            }
            after_index = page.next_after_index;
        }
    }

    /// An acknowledged transaction with the state of its batch.
    pub async fn transaction(
        &self,
        id: TransactionId,
    ) -> Result<(SignedTransaction, Receipt, BatchState), SequencerError> {
        let request = timed(proto::GetTransactionRequest { transaction_id: id.0.to_vec() });
        let answer = self.inner.clone().get_transaction(request).await?.into_inner();
        let signed = SignedTransaction::decode(&answer.transaction)?;
        if signed.transaction.id() != id {
            return Err(SequencerError::Nonsense("another transaction than asked for"));
        }
        let state = answer.state();
        let receipt = self.checked(answer.receipt, id).await?;
        Ok((signed, receipt, state))
    }

    /// One batch, on request with its data and proof.
    pub async fn batch(
        &self,
        number: u64,
        with_data: bool,
    ) -> Result<proto::Batch, SequencerError> {
        let request = timed(proto::GetBatchRequest { number, with_data });
        let answer = self.inner.clone().get_batch(request).await?.into_inner();
        answer.batch.ok_or(SequencerError::Nonsense("no batch in the answer"))
    }

    /// The newest batches in descending order, the open one first.
    pub async fn batches(&self, count: u32) -> Result<Vec<proto::Batch>, SequencerError> {
        let request = timed(proto::ListBatchesRequest { page_size: count, before_number: 0 });
        Ok(self.inner.clone().list_batches(request).await?.into_inner().batches)
    }

    /// Every batch from a number on (0: the open one) in its present state, then every change. To
    /// go on after a break, ask from [`BatchWatch::resume_number`] on.
    pub async fn watch(&self, from_number: u64) -> Result<BatchWatch, SequencerError> {
        let request = proto::WatchBatchesRequest { from_number };
        let answers = self.inner.clone().watch_batches(request).await?.into_inner();
        Ok(BatchWatch::new(answers, from_number))
    }

    /// Seals the open batch now; the number sealed, none if it was empty. For operators and tests.
    pub async fn seal(&self) -> Result<Option<u64>, SequencerError> {
        let request = timed(proto::SealBatchRequest {});
        let number = self.inner.clone().seal_batch(request).await?.into_inner().number;
        Ok((number != 0).then_some(number))
    }

    /// Doubles the ledger with the next batch that is opened; k from then on. For operators.
    pub async fn grow(&self) -> Result<u32, SequencerError> {
        let request = timed(proto::GrowLedgerRequest {});
        Ok(self.inner.clone().grow_ledger(request).await?.into_inner().k)
    }
}
