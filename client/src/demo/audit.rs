//! The state as the main chain alone tells it: every posted batch read from its transaction,
//! verified again, replayed; and the money that moved, from the contract's events.
//!
//! Asks neither sequencer nor prover.

use crate::contract::{Contract, ContractError};
use alloy::primitives::B256;
use alloy::sol_types::{SolCall, SolEvent};
use kerros_protocol::batch::{BatchData, SealedBatch};
use kerros_protocol::commitment::{Commitments, Root, Srs, SrsError};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::statement;
use kerros_protocol::transition::{ReplayError, replay};
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::{LogEntry, LogQuery, MainChainError};
use kerros_verifier::contract::Kerros;
use kerros_verifier::post::{PostError, ReadPost, read};
use kerros_verifier::{VerifyError, verify_batch, verify_growth};
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
    #[error("batch {number}: {what}")]
    Nonsense {
        /// The batch; 0 for other events.
        number: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A post cannot be read.
    #[error("batch {number}: {source}")]
    Post {
        /// The batch.
        number: u64,
        /// Why.
        source: PostError,
    },
    /// A proof does not verify.
    #[error("batch {number}: {source}")]
    Verify {
        /// The batch.
        number: u64,
        /// Why.
        source: VerifyError,
    },
    /// The data breaks the rules.
    #[error("batch {number}: {source}")]
    Replay {
        /// The batch.
        number: u64,
        /// Why.
        source: ReplayError,
    },
    /// The root posted is not that of the replayed ledger.
    #[error("batch {number}: root {posted}, the replayed ledger has {replayed}")]
    Root {
        /// The batch.
        number: u64,
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
    /// Credited on layer 2 by batches.
    pub credited: u128,
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
    /// The ledger after the last batch.
    pub ledger: Ledger,
    /// Its root.
    pub root: Root,
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
        let head = chain.head().await?.number;
        let address = contract.address().0.into();
        let query = LogQuery { from: 0, to: head, address, topic0: Vec::new() };
        let logs = chain.logs(query).await?;
        let domain = kerros_protocol::transcript::domain(
            chain.chain_id().await?,
            &contract.address(),
        );
        let k = key.k_genesis;
        let mut audit = Self {
            ledger: Ledger::new(k),
            root: Commitments::empty().root(k),
            batches: Vec::new(),
            flows: BTreeMap::new(),
        };
        let mut commitments = Commitments::empty();
        for log in &logs {
            if let Some(event) = event::<Kerros::DepositQueued>(log)? {
                audit.flow(event.asset).deposited += u128::from(event.amount);
            } else if let Some(event) = event::<Kerros::Withdrawable>(log)? {
                audit.flow(event.asset).withdrawn += u128::from(event.amount);
            } else if let Some(event) = event::<Kerros::Claimed>(log)? {
                let nonsense = |_| AuditError::Nonsense { number: 0, what: "claim above 2^128" };
                audit.flow(event.asset).claimed += u128::try_from(event.amount).map_err(nonsense)?;
            } else if let Some(event) = event::<Kerros::BatchPosted>(log)? {
                let number = event.number;
                let post = fetch(contract, log.transaction, number, key).await?;
                let sealed = audit.apply(post, &event, commitments, srs, key)?;
                let post = statement(key, domain, &sealed.0);
                verify_batch(key, &post, &sealed.0.data, &sealed.1)
                    .map_err(|source| AuditError::Verify { number, source })?;
                commitments = sealed.0.new;
                audit.batches.push(sealed.0.data);
            }
        }
        Ok(audit)
    }

    /// Replays one post and checks growth, commitments and root.
    fn apply(
        &mut self,
        post: ReadPost,
        event: &Kerros::BatchPosted,
        stored: Commitments,
        srs: &Srs,
        key: &VerificationKey,
    ) -> Result<(SealedBatch, kerros_protocol::transcript::BatchProof), AuditError> {
        let number = event.number;
        let nonsense = |what| AuditError::Nonsense { number, what };
        if post.number != number || number != self.batches.len() as u64 + 1 {
            return Err(nonsense("not the next batch"));
        }
        if post.stored != stored {
            return Err(nonsense("does not start from the batch before"));
        }
        if let Some(grown) = &post.grown {
            verify_growth(key, &stored, grown, self.ledger.k())
                .map_err(|source| AuditError::Verify { number, source })?;
            self.ledger.grow();
        }
        replay(&mut self.ledger, &post.data)
            .map_err(|source| AuditError::Replay { number, source })?;
        let k = self.ledger.k();
        let replayed = self.ledger.commit(&srs.lagrange(k)?).root(k);
        let posted = Root(event.newRoot.0);
        if replayed != posted || post.new.root(k) != posted || event.k != k {
            return Err(AuditError::Root { number, posted, replayed });
        }
        self.root = replayed;
        for record in &post.data.deposits {
            self.flow(record.asset.get()).credited += u128::from(record.amount);
        }
        for record in &post.data.collects {
            let asset = self.ledger.get(record.to).asset;
            self.flow(asset).fees += u128::from(record.amount);
        }
        let sealed = SealedBatch {
            number,
            k,
            before_growth: post.grown.map(|_| stored),
            old: post.grown.unwrap_or(stored),
            new: post.new,
            first: event.first,
            end: event.end,
            beneficiary: post.beneficiary,
            data: post.data,
            transfers: Vec::new(),
            exits: Vec::new(),
        };
        Ok((sealed, post.proof))
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
    let nonsense = |_| AuditError::Nonsense { number: 0, what: "an event cannot be decoded" };
    decoded.map(Some).map_err(nonsense)
}

/// The post inside a transaction.
async fn fetch(
    contract: &Contract,
    transaction: B256,
    number: u64,
    key: &VerificationKey,
) -> Result<ReadPost, AuditError> {
    let nonsense = |what| AuditError::Nonsense { number, what };
    let found = contract.chain().transaction(transaction).await?;
    let found = found.ok_or(nonsense("its transaction is not there"))?;
    let call = Kerros::postCall::abi_decode_validate(&found.input)
        .map_err(|_| nonsense("its transaction is no post"))?;
    read(key, &call.p).map_err(|source| AuditError::Post { number, source })
}
