//! Serves the queue of a rollup whose operator is silent: one batch of deposits and forced exits,
//! proved here and posted by anybody (SPEC.md section 7).

use super::{Rebuilt, RescueError};
use crate::contract::Contract;
use kerros_protocol::account::{AccountIndex, Address, AssetId};
use kerros_protocol::batch::{OpenRecord, SealedBatch};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::{self, BatchProof};
use kerros_prover::keys::ProverKeys;
use kerros_prover::prove::prove_batch;
use kerros_sequencer::execution::{
    Closing, Execution, ExecutionError, Full, Placed, Policy, QueueEntry,
};
use kerros_sequencer::journal::{Head, Operation};
use kerros_sequencer::main_chain::{Receipt, Wallet};
use kerros_verifier::audit;
use kerros_verifier::{verify_batch, verify_growth};
use rand::rngs::OsRng;

/// A batch ready to be posted.
pub struct Ready {
    /// The batch.
    pub batch: SealedBatch,
    /// Its proof, verified.
    pub proof: BatchProof,
}

/// Makes and proves the batch that serves the longest prefix of the queue that fits; `beneficiary` is
/// credited with the entries' fees.
pub fn prepare(
    rebuilt: &Rebuilt,
    keys: &ProverKeys,
    beneficiary: Address,
) -> Result<Ready, RescueError> {
    let replay = &rebuilt.replay;
    let key = replay.key();
    if keys.verification.hash() != key.hash() {
        return Err(RescueError::OtherSrs);
    }
    // A stranger's batch must serve every old entry that fits, so it grows the ledger for one.
    let closing = match fill(rebuilt, false)? {
        Some(closing) => closing,
        None => fill(rebuilt, true)?.ok_or(RescueError::NothingToServe)?,
    };
    let before = &replay.state.ledger;
    let grows = closing.head.grows;
    let (mut old, before_growth) = (replay.commitments, grows.then_some(replay.commitments));
    let points = keys.lagrange(closing.head.k)?;
    if grows {
        old = before.commit(&points);
        verify_growth(key, &replay.commitments, &old, before.k())?;
    }
    let changes: Vec<_> = closing
        .accounts
        .iter()
        .map(|(index, account)| {
            let (old, new) = (before.get(*index).words(), account.words());
            (index.position(), [0, 1, 2].map(|j| new[j] - old[j]))
        })
        .collect();
    let batch = SealedBatch {
        number: closing.head.number,
        k: closing.head.k,
        before_growth,
        old,
        new: old.updated(&points, &changes),
        first: closing.head.first,
        end: closing.end,
        beneficiary,
        data: closing.data,
        transfers: closing.transfers,
        exits: closing.exits,
    };
    let domain = replay.deployment().domain;
    let proof = prove_batch(keys, before, &batch, domain, &mut OsRng)?.proof;
    verify_batch(key, &transcript::statement(key, domain, &batch), &batch.data, &proof)?;
    Ok(Ready { batch, proof })
}

/// Whether it is the operator who posts: at any time, and beside a sequencer that may be running.
pub fn is_operator(rebuilt: &Rebuilt, poster: &Wallet) -> bool {
    poster.address() == rebuilt.replay.deployment().operator
}

/// Whether this account may post now.
pub fn may_post(rebuilt: &Rebuilt, poster: &Wallet) -> Result<(), RescueError> {
    let Rebuilt { replay, standing, head } = rebuilt;
    if standing.frozen {
        return Err(RescueError::Frozen);
    }
    let (last, silence) = (standing.last_operator_post, replay.deployment().silence);
    let now = head.timestamp;
    match is_operator(rebuilt, poster) || now > last.saturating_add(silence) {
        true => Ok(()),
        false => Err(RescueError::NotSilent { last, silence, now }),
    }
}

/// Posts it; fails with the contract's reason if another batch came first.
pub async fn post(
    ready: &Ready,
    contract: &Contract,
    poster: &Wallet,
) -> Result<Receipt, RescueError> {
    Ok(contract.post(poster, kerros_verifier::post::post(&ready.batch, &ready.proof)).await?)
}

/// The batch; none if an entry needs a larger ledger than it would have.
fn fill(rebuilt: &Rebuilt, grows: bool) -> Result<Option<Closing>, RescueError> {
    let replay = &rebuilt.replay;
    let key = replay.key();
    let mut ledger: Ledger = replay.state.ledger.clone();
    if grows {
        ledger.grow();
    }
    // Without transfers there are no fees and no fee accounts: any key and owner do.
    let Some(first) = replay.waiting.front() else { return Err(RescueError::NothingToServe) };
    let policy = Policy {
        shape: key.shape,
        k_max: key.k_max(),
        transactions_max: key.shape.transfers + key.shape.exits,
        fee_min: 0,
        fee_key: kerros_protocol::account::AccountKey::new(ark_bn254::Fr::from(1u64))
            .expect("not 0"),
        fee_owner: first.sender,
        grow_at_percent: 100,
    };
    let (number, first) = (replay.state.number + 1, replay.state.head);
    let head = Head { number, k: ledger.k(), grows, first, opened_ms: 0 };
    let mut execution = Execution::new(policy, head, ledger);
    // Accounts are opened one behind the other, but a batch of somebody else may have taken the last
    // index: there is room before it, which the contract counts.
    let mut holes = holes(&replay.state.ledger);
    for queued in &replay.waiting {
        let content = match &queued.content {
            audit::QueueEntry::Deposit { amount, asset, key, owner } => {
                // The replay compares assets with what is registered.
                let asset = AssetId::new(*asset).map_err(|_| RescueError::NothingToServe)?;
                QueueEntry::Deposit { amount: *amount, asset, key: *key, owner: *owner }
            }
            audit::QueueEntry::ForcedExit { index, requester } => {
                QueueEntry::ForcedExit { from: *index, requester: *requester }
            }
        };
        let mut placed = execution.serve(queued.entry, &content, &mut Vec::new());
        if let (QueueEntry::Deposit { asset, key, owner, .. }, true) = (content, no_index(&placed))
            && let Some(index) = holes.next()
        {
            let open = OpenRecord { index, asset, owner, key };
            execution.replay(vec![Operation::Open(open)])?;
            placed = execution.serve(queued.entry, &content, &mut Vec::new());
        }
        match placed? {
            Placed::Done(()) => {}
            Placed::Full(Full::Ledger) if !grows => return Ok(None),
            Placed::Full(_) => break,
        }
    }
    Ok(Some(execution.close()?))
}

/// Indices below the last one opened at which there is no account.
fn holes(ledger: &Ledger) -> impl Iterator<Item = AccountIndex> + '_ {
    let places = (0u32..).zip(ledger.accounts());
    let free = places.filter(|(_, account)| account.is_empty());
    free.filter_map(|(index, _)| AccountIndex::new(index).ok())
}

/// Whether a deposit's account finds no index behind the others.
fn no_index(placed: &Result<Placed<()>, ExecutionError>) -> bool {
    matches!(placed, Ok(Placed::Full(Full::Ledger)) | Err(ExecutionError::QueueLedgerFull { .. }))
}
