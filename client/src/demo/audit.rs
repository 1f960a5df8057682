//! The state as the main chain alone tells it: every posted batch read from its transaction and
//! judged again by the verifier's audit; the ledger committed anew; and the money that moved, from
//! the contract's events.
//!
//! Asks neither sequencer nor prover.

use crate::contract::{Contract, ContractError};
use alloy::primitives::B256;
use alloy::sol_types::{SolCall, SolEvent};
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::batch::{BatchData, BatchDataError};
use kerros_protocol::commitment::{Root, Srs, SrsError};
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::{LogEntry, LogQuery, MainChainError};
use kerros_verifier::audit::{ChainState, PostRejection, QueueEntry, check_post};
use kerros_verifier::contract::{Kerros, Post};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why what is on the main chain does not hold together.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] MainChainError),
    /// The reference string.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// An event or a call is not what the contract's interface says.
    #[error("main chain: {0}")]
    Nonsense(&'static str),
    /// An event's field is out of range.
    #[error("main chain: {0}")]
    Decode(#[from] DecodeError),
    /// Batch data cannot be read.
    #[error(transparent)]
    Data(#[from] BatchDataError),
    /// A post that the contract accepted does not stand.
    #[error("batch {number}: {source}")]
    Post {
        /// The batch.
        number: u64,
        /// Why.
        source: PostRejection,
    },
    /// The replayed ledger, committed anew, has another root.
    #[error("root {posted}, the replayed ledger has {replayed}")]
    Root {
        /// On the main chain.
        posted: Root,
        /// Computed here.
        replayed: Root,
    },
}

/// Amounts of one asset, in units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Queued on the main chain, ever.
    pub deposited: u128,
    /// Left layer 2 towards the main chain.
    pub withdrawn: u128,
    /// Claimed there.
    pub claimed: u128,
    /// Collected as fees by batches.
    pub fees: u128,
}

/// What the main chain tells.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Root, queue, ledger after the last batch.
    pub state: ChainState,
    /// Data of every batch, from batch 1.
    pub batches: Vec<BatchData>,
    /// By asset id.
    pub flows: BTreeMap<u16, Flow>,
}

impl Audit {
    /// Reads everything since genesis. For chains of a demo's length.
    pub async fn run(
        contract: &Contract,
        key: &VerificationKey,
        srs: &Srs,
    ) -> Result<Self, AuditError> {
        let chain = contract.chain();
        let to = chain.head().await?.number;
        let address = contract.address().0.into();
        let query = LogQuery { from: 0, to, address, topic0: Vec::new() };
        let domain = transcript::domain(chain.chain_id().await?, &contract.address());
        let state = ChainState::genesis(key);
        let mut audit = Self { state, batches: Vec::new(), flows: BTreeMap::new() };
        for log in chain.logs(query).await? {
            if audit.record(&log)? {
                let number = audit.state.number + 1;
                let post = fetch(contract, log.transaction).await?;
                check_post(key, domain, &mut audit.state, &post)
                    .map_err(|source| AuditError::Post { number, source })?;
                let data = BatchData::decode(&post.data, &key.shape)?;
                for record in &data.collects {
                    let asset = audit.state.ledger.get(record.to).asset;
                    audit.flow(asset).fees += u128::from(record.amount);
                }
                audit.batches.push(data);
            }
        }
        let ledger = &audit.state.ledger;
        let (k, posted) = (ledger.k(), audit.state.root);
        let replayed = ledger.commit(&srs.lagrange(k)?).root(k);
        if replayed != posted {
            return Err(AuditError::Root { posted, replayed });
        }
        Ok(audit)
    }

    /// Takes an event in; true if it is a posted batch.
    fn record(&mut self, log: &LogEntry) -> Result<bool, AuditError> {
        if let Some(event) = event::<Kerros::AssetRegistered>(log)? {
            self.state.asset_count = event.asset;
        } else if let Some(event) = event::<Kerros::DepositQueued>(log)? {
            self.flow(event.asset).deposited += u128::from(event.amount);
            self.state.queue.push_back(QueueEntry::Deposit {
                amount: event.amount,
                asset: event.asset,
                key: AccountKey::from_be(&event.key.to_be_bytes())?,
                owner: Address(event.owner.into_array()),
            });
        } else if let Some(event) = event::<Kerros::ForcedExitQueued>(log)? {
            let index = AccountIndex::new(event.index)?;
            let requester = Address(event.requester.into_array());
            self.state.queue.push_back(QueueEntry::ForcedExit { index, requester });
        } else if let Some(event) = event::<Kerros::Withdrawable>(log)? {
            self.flow(event.asset).withdrawn += u128::from(event.amount);
        } else if let Some(event) = event::<Kerros::Claimed>(log)? {
            let units = u128::try_from(event.amount);
            let units = units.map_err(|_| AuditError::Nonsense("a claim above 2^128 units"))?;
            self.flow(event.asset).claimed += units;
        }
        Ok(event::<Kerros::BatchPosted>(log)?.is_some())
    }

    fn flow(&mut self, asset: u16) -> &mut Flow {
        self.flows.entry(asset).or_default()
    }
}

/// The event, if the log is one of these.
fn event<E: SolEvent>(log: &LogEntry) -> Result<Option<E>, AuditError> {
    if log.topics.first() != Some(&E::SIGNATURE_HASH) {
        return Ok(None);
    }
    let decoded = E::decode_raw_log_validate(log.topics.iter().copied(), &log.data);
    decoded.map(Some).map_err(|_| AuditError::Nonsense("an event that cannot be decoded"))
}

/// The post inside a transaction.
async fn fetch(contract: &Contract, transaction: B256) -> Result<Post, AuditError> {
    let found = contract.chain().transaction(transaction).await?;
    let found = found.ok_or(AuditError::Nonsense("a post's transaction is missing"))?;
    let call = Kerros::postCall::abi_decode_validate(&found.input);
    Ok(call.map_err(|_| AuditError::Nonsense("a post's transaction is no post"))?.p)
}
