//! `kerros-sequencer restore`: a sequencer's database from the main chain alone.
//!
//! The main chain has every batch's data, commitments and proof, hence all accounts and all that
//! settlement needs, should a reorganisation take a post back. What it does not have is lost: what was
//! acknowledged and not posted, signatures, receipts, leases, measurements of provers.
//!
//! Batches are written as they come; the last write makes them a database (`journal::published`).

use super::failure::StartError;
use super::restore::deployment_bytes;
use super::{check_chain, check_files, system_clock};
use crate::config::Config;
use crate::execution::QueueEntry;
use crate::journal::watermark::{self, Found, Mark, Watermark, WatermarkError};
use crate::journal::{
    BatchRecord, Checkpoint, Ending, Head, Journal, JournalError, Origin, ProofRecord, Published,
    SettlementRecord,
};
use kerros_protocol::account::AssetId;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::commitment::{Srs, SrsError};
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::proto::BatchState;
use kerros_protocol::receipt::{Opening, Promise, anchor};
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::audit;
use kerros_verifier::chain::{
    ChainError, Deployment, Event, History, Item, Place, PostedEvent, Proofs, Reader, Replay,
    ReplayFailure, ReplayFault, Standing,
};
use kerros_verifier::post::ReadPost;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::task::JoinSet;

/// Batches of one write, and questions about their places at once.
const BATCHES_AT_ONCE: usize = 16;
/// Accounts of one write.
const ACCOUNTS_AT_ONCE: usize = 1 << 16;
/// Pause between lines about progress.
const PROGRESS: Duration = Duration::from_secs(5);
/// Stands as the prover of proofs that came from the main chain.
const PROVER: &str = "main chain";

/// Why nothing was restored.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Settings or files.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is something that a restore would destroy.
    #[error("{path} holds {what}: name an empty data directory, and keep that one")]
    Occupied {
        /// The data directory.
        path: String,
        /// What.
        what: &'static str,
    },
    /// No batch can follow.
    #[error(
        "contract {contract} is frozen for ever and takes no batch any more: a sequencer has nothing to go on \
         with, `kerros escape` takes the accounts out"
    )]
    Frozen {
        /// Its address.
        contract: alloy::primitives::Address,
    },
    /// The nodes are behind: what was posted since would be missing.
    #[error("the newest block, {block}, is {age_ms} ms old, above {limit_ms} ms (head_age_ms)")]
    OldHead {
        /// Its number.
        block: u64,
        /// Its age.
        age_ms: u64,
        /// The setting.
        limit_ms: u64,
    },
    /// What waits may be the lost sequencer's next post, and would then be lost or come in between.
    #[error(
        "{count} transactions of the operator {operator} wait to be included, posts of the lost sequencer \
         perhaps: wait for them, or replace them; --accept-pending restores all the same"
    )]
    Pending {
        /// Who posts.
        operator: alloy::primitives::Address,
        /// How many.
        count: u64,
    },
    /// The main chain could not be read, or contradicts itself or the key.
    #[error(transparent)]
    Replay(#[from] ReplayFailure),
    /// A queue entry that the contract should have refused.
    #[error("queue entry {entry}: {source}")]
    Entry {
        /// Number.
        entry: u64,
        /// What is wrong.
        source: DecodeError,
    },
    /// The accounts are not those under the root.
    #[error(
        "the accounts after batch {batch} do not commit, with this reference string, to what was posted \
         (word {word})"
    )]
    OtherAccounts {
        /// Last batch.
        batch: u64,
        /// Which of the three words, from 0.
        word: usize,
    },
    /// The reference string.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// The disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The file beside the database.
    #[error(transparent)]
    Watermark(#[from] WatermarkError),
    /// A blocking part was cancelled.
    #[error("the restore was cancelled")]
    Cancelled,
}

impl From<ChainError> for RestoreError {
    fn from(error: ChainError) -> Self {
        Self::Replay(error.into())
    }
}
impl From<ReplayFault> for RestoreError {
    fn from(fault: ReplayFault) -> Self {
        Self::Replay(Box::new(fault).into())
    }
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// Batches.
    pub batches: u64,
    /// Of these, fewer than the confirmations deep: a reorganisation may still take them back.
    pub shallow: u64,
    /// Accounts.
    pub accounts: usize,
    /// Transfers in all batches.
    pub transfers: u64,
    /// Queue entries that no batch has served.
    pub waiting: usize,
    /// Newest block read.
    pub block: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// What is believed instead of being checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// Whose equations are checked.
    pub proofs: Proofs,
    /// That no waiting transaction of the operator is a post.
    pub pending: bool,
}

/// Builds the database of `config.data_dir` from what these nodes say, all of them the same.
///
/// Everything that the contract checked is checked again, equations according to `trust`; in the end the
/// accounts must commit to the posted commitments.
pub async fn restore_from_chain(
    config: &Config,
    urls: &[String],
    key: &VerificationKey,
    srs: &Srs,
    trust: Trust,
) -> Result<RestoreReport, RestoreError> {
    let started = Instant::now();
    check_files(config, key, srs)?;
    let occupied = |what| {
        let path = config.data_dir.display().to_string();
        RestoreError::Occupied { path, what }
    };
    // The tail of what was acknowledged is worth keeping even where its database is gone.
    match watermark::read(&config.data_dir)? {
        Found::Missing => {}
        Found::Mark(mark) if mark == Mark::default() => {}
        _ => return Err(occupied("a watermark of acknowledged operations")),
    }
    // The newest block: what is not deep yet is kept as Posted.
    let reader = Arc::new(Reader::connect(urls, 0).await?);
    let (block, limit_ms) = (reader.head(), config.head_age_ms_max);
    let age_ms = system_clock()().saturating_sub(block.timestamp.saturating_mul(1_000));
    if limit_ms > 0 && age_ms > limit_ms {
        return Err(RestoreError::OldHead { block: block.number, age_ms, limit_ms });
    }
    let contract = alloy::primitives::Address::from(config.contract.0);
    let deployment = Deployment::read(&reader, contract, None).await?;
    check_chain(config, key, deployment.chain_id)?;
    let replay = Replay::new(key.clone(), &deployment, trust.proofs)?;
    let operator = deployment.operator;
    let count = reader.waiting(operator).await?;
    if count > 0 && !trust.pending {
        return Err(RestoreError::Pending { operator, count });
    }
    let standing = Standing::read(&reader, contract).await?;
    if standing.frozen {
        return Err(RestoreError::Frozen { contract });
    }
    let journal =
        Journal::begin_restore(&config.data_dir)?.ok_or_else(|| occupied("a database"))?;

    let history = History::start(Arc::clone(&reader), contract, deployment.block);
    let mut rebuild = Rebuild {
        journal,
        reader: Arc::clone(&reader),
        replay,
        confirmations: config.confirmations,
        goal: standing.number,
        told: started,
        origins: VecDeque::new(),
        unwritten: Vec::new(),
        shallow: 0,
        transfers: 0,
        head_ms: reader.head().timestamp.saturating_mul(1_000),
    };
    rebuild.follow(history).await?;
    rebuild.replay.settled(&standing)?;
    reader.still_there().await?;

    let Rebuild { journal, replay, shallow, transfers, .. } = rebuild;
    let (batches, waiting) = (replay.state.number, replay.waiting.len());
    let (config, key, srs) = (config.clone(), key.clone(), srs.clone());
    let end = move || end(&journal, replay, &config, &key, &srs);
    let accounts =
        tokio::task::spawn_blocking(end).await.map_err(|_| RestoreError::Cancelled)??;
    let (block, elapsed) = (reader.head().number, started.elapsed());
    Ok(RestoreReport { batches, shallow, accounts, transfers, waiting, block, elapsed })
}

/// Checks and writes the accounts, then what makes it a database; gives their number.
fn end(
    journal: &Journal,
    replay: Replay,
    config: &Config,
    key: &VerificationKey,
    srs: &Srs,
) -> Result<usize, RestoreError> {
    let (ledger, batch) = (&replay.state.ledger, replay.state.number);
    let (k, commitments) = (ledger.k(), replay.commitments);
    let computed = ledger.commit(&srs.lagrange(k)?);
    if let Some(word) = (0..3).find(|word| computed.0[*word] != commitments.0[*word]) {
        return Err(RestoreError::OtherAccounts { batch, word });
    }
    let mut existing = ledger.existing().peekable();
    while existing.peek().is_some() {
        journal.put_accounts(existing.by_ref().take(ACCOUNTS_AT_ONCE))?;
    }
    Watermark::open(&config.data_dir, &Mark::default())?;
    let domain = replay.deployment().domain;
    let opened_ms = system_clock()();
    let head = Head { number: batch + 1, k, grows: false, first: replay.state.head, opened_ms };
    journal.end_restore(&Ending {
        deployment: &deployment_bytes(domain, key),
        next: &Checkpoint { head, commitments, before_growth: None },
        last_receipt: anchor::<Promise>(domain, batch),
        last_opening: anchor::<Opening>(domain, batch),
    })?;
    Ok(ledger.existing().count())
}

/// A batch, whose place on the main chain is not known in full yet.
struct Unwritten {
    batch: Published,
    place: Place,
    calldata_len: u64,
}

struct Rebuild {
    journal: Journal,
    reader: Arc<Reader>,
    replay: Replay,
    confirmations: u64,
    /// Batches there will be.
    goal: u64,
    /// When progress was told last.
    told: Instant,
    /// Of entries that no written batch has.
    origins: VecDeque<(u64, Origin)>,
    unwritten: Vec<Unwritten>,
    shallow: u64,
    transfers: u64,
    /// Time of the newest block, Unix ms: when deep batches were seen to be final.
    head_ms: u64,
}

impl Rebuild {
    async fn follow(&mut self, mut history: History) -> Result<(), RestoreError> {
        while let Some(item) = history.next().await? {
            let step = self.replay.apply(&item)?;
            match (&step.event, step.post) {
                (Event::Queued(queued), _) => {
                    let (entry, place) = (queued.entry, item.log.place);
                    let content = content(&queued.content);
                    let content =
                        content.map_err(|source| RestoreError::Entry { entry, source })?;
                    let (block, block_hash, log_index) =
                        (place.block, place.block_hash, place.index);
                    let origin = Origin { block, block_hash, log_index, content };
                    self.origins.push_back((entry, origin));
                }
                (Event::Posted(posted), Some(post)) => self.take(&item, posted, post).await?,
                _ => {}
            }
        }
        self.write().await
    }

    async fn take(
        &mut self,
        item: &Item,
        posted: &PostedEvent,
        post: ReadPost,
    ) -> Result<(), RestoreError> {
        let calldata_len = item.post.as_ref().map_or(0, |post| post.input.len() as u64);
        self.transfers += post.data.transfers.len() as u64;
        let batch = published(posted, post);
        self.unwritten.push(Unwritten { batch, place: item.log.place, calldata_len });
        if self.unwritten.len() == BATCHES_AT_ONCE {
            self.write().await?;
        }
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            tracing::info!(batch = posted.number, of = self.goal, "replayed");
        }
        Ok(())
    }

    /// Writes what has gathered, with times and gas.
    async fn write(&mut self) -> Result<(), RestoreError> {
        let mut tasks = JoinSet::new();
        for (i, Unwritten { place, .. }) in self.unwritten.iter().enumerate() {
            let (reader, place) = (Arc::clone(&self.reader), *place);
            tasks.spawn(async move {
                let block = reader.block(place.block).await?;
                let gas_used = reader.gas_used(place.transaction).await?;
                Ok::<_, ChainError>((i, block.timestamp.saturating_mul(1_000), gas_used))
            });
        }
        let answers: Result<Vec<_>, ChainError> = tasks.join_all().await.into_iter().collect();
        let mut answers = answers?;
        answers.sort_unstable_by_key(|(i, ..)| *i);
        let mut batches = Vec::new();
        for (Unwritten { mut batch, place, calldata_len }, (_, posted_ms, gas_used)) in
            self.unwritten.drain(..).zip(answers)
        {
            let deep = self.reader.head().number.saturating_sub(place.block) >= self.confirmations;
            self.shallow += u64::from(!deep);
            let record = &mut batch.record;
            // What happened before the post is not published.
            (record.opened_ms, record.sealed_ms) = (posted_ms, posted_ms);
            if let Some(proof) = &mut record.proof {
                proof.verified_ms = posted_ms;
            }
            record.settlement = Some(SettlementRecord {
                transaction: place.transaction.to_vec(),
                block: place.block,
                block_hash: place.block_hash.to_vec(),
                gas_used,
                posted_ms,
                final_ms: if deep { self.head_ms } else { 0 },
                calldata_len,
            });
            record.set_state(if deep { BatchState::Final } else { BatchState::Posted });
            batches.push(batch);
        }
        // Of all entries that a batch has: a reorganisation is measured against them.
        let served = batches.last().map_or(0, |batch| batch.record.end);
        let count = self.origins.iter().take_while(|(entry, _)| *entry < served).count();
        let origins: Vec<_> = self.origins.drain(..count).collect();
        Ok(self.journal.put_published(&batches, &origins)?)
    }
}

/// A post as the sealer would have written it, without authorisations and without its place.
fn published(posted: &PostedEvent, post: ReadPost) -> Published {
    let ReadPost { number, stored, grown, new, proof, beneficiary, data } = post;
    let k = posted.k;
    let (first, end) = (posted.first, posted.end);
    let (old, before_growth) = match grown {
        Some(grown) => (grown, Some(stored)),
        None => (stored, None),
    };
    let record = BatchRecord {
        number,
        counts: data.counts().map(|n| u32::try_from(n).unwrap_or(u32::MAX)).to_vec(),
        k: k.into(),
        grows: before_growth.is_some(),
        old_root: old.root(k).0.to_vec(),
        new_root: new.root(k).0.to_vec(),
        first,
        end,
        data_len: data.encode().len() as u64,
        // A reorganisation that takes the post back leaves it Verified: posted again as it is.
        proof: Some(ProofRecord {
            prover_id: PROVER.to_owned(),
            proof: proof.encode(),
            ..ProofRecord::default()
        }),
        ..BatchRecord::default()
    };
    let (transfers, exits) = (Vec::new(), Vec::new());
    let sealed = SealedBatch {
        number,
        k,
        before_growth,
        old,
        new,
        first,
        end,
        beneficiary,
        data,
        transfers,
        exits,
    };
    Published { sealed: sealed.encode(), record }
}

fn content(entry: &audit::QueueEntry) -> Result<QueueEntry, DecodeError> {
    Ok(match *entry {
        audit::QueueEntry::Deposit { amount, asset, key, owner } => {
            QueueEntry::Deposit { amount, asset: AssetId::new(asset)?, key, owner }
        }
        audit::QueueEntry::ForcedExit { index, requester } => {
            QueueEntry::ForcedExit { from: index, requester }
        }
    })
}
