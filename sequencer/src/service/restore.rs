//! Before serving: is the contract ours, and what did the database hold when it was left?

use super::StartError;
use super::opening::within_limit;
use crate::config::Config;
use crate::execution::{Execution, Policy};
use crate::journal::watermark::{self, Mark, Watermark};
use crate::journal::{Checkpoint, Head, Journal, JournalError};
use crate::lifecycle::Lifecycle;
use crate::main_chain::At;
use crate::ordering::Clock;
use crate::sealing::{Book, Sealing};
use crate::settlement::contract::Contract;
use kerros_protocol::commitment::{Commitments, Srs};
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::contract::Kerros;
use std::sync::Arc;

/// Chain id and number of batches, after checking that the contract is the key's.
pub async fn check_contract(
    contract: &Contract,
    key: &VerificationKey,
) -> Result<(u64, u64), StartError> {
    let chain_id = contract.chain.chain_id().await?;
    if contract.chain.code(contract.address, At::Latest).await?.is_empty() {
        return Err(StartError::NoContract { address: contract.address.to_string() });
    }
    let vk_hash = contract.read(Kerros::vkHashCall {}, At::Latest).await?;
    let k_genesis = contract.read(Kerros::kGenesisCall {}, At::Latest).await?;
    let k_max = contract.read(Kerros::kMaxCall {}, At::Latest).await?;
    if vk_hash.as_slice() != key.hash() || (k_genesis, k_max) != (key.k_genesis, key.k_max()) {
        return Err(StartError::OtherKey);
    }
    Ok((chain_id, contract.batch_number().await?))
}

/// What a database is bound to.
pub fn deployment_bytes(domain: ark_bn254::Fr, key: &VerificationKey) -> Vec<u8> {
    [kerros_protocol::encoding::fr_to_be(&domain), key.hash()].concat()
}

/// The state the database was left in.
pub struct Restored {
    /// Database.
    pub journal: Arc<Journal>,
    /// At the end of the log.
    pub watermark: Watermark,
    /// What it holds.
    pub state: State,
}

/// What a journal holds.
pub struct State {
    /// Ledger and open batch.
    pub execution: Execution,
    /// Commitments before the open batch.
    pub book: Book,
    /// States of batches.
    pub lifecycle: Arc<Lifecycle>,
}

/// Refuses a database that lacks something acknowledged, before anything in it is changed: opening
/// it for writing throws a damaged tail away.
fn check_watermark(
    config: &Config,
    deployment: &[u8],
    domain: ark_bn254::Fr,
) -> Result<(), StartError> {
    let found = watermark::read(&config.data_dir)?;
    let path = config.data_dir.clone();
    let journal = within_limit(config, move || Journal::look(&path))??;
    let mut end = Mark::default();
    if let Some(journal) = &journal {
        // Receipts of another deployment would only look like another history.
        if journal.deployment()?.is_some_and(|known| known != deployment) {
            return Err(JournalError::OtherDeployment.into());
        }
        end = journal.end(domain)?;
    }
    let accept = config.accept_missing_watermark;
    watermark::check(&config.data_dir, found, end, accept, |mark| match &journal {
        Some(journal) => Ok(journal.mark_at(mark.batch, mark.sequence, domain)?),
        None => Ok(None),
    })
}

/// Opens the database and brings back the state it was left in: batches that were closed and not
/// sealed are sealed here, the last one is left open.
///
/// Balances, nonces and assets read must be what the checkpoint commits to (`C_1`) with the points of
/// the reference string. Not checked: keys and owners against `C_0` and `C_2`, only the database's
/// checksums guard these; and that the string is the verification key's, which a proof shows.
pub fn restore(
    config: &Config,
    key: &VerificationKey,
    srs: &Srs,
    domain: ark_bn254::Fr,
    clock: &Clock,
) -> Result<Restored, StartError> {
    let deployment = deployment_bytes(domain, key);
    check_watermark(config, &deployment, domain)?;
    let path = config.data_dir.clone();
    let journal = Arc::new(within_limit(config, move || Journal::open(&path))??);
    journal.bind(&deployment)?;
    // RocksDB has flushed and synced what it recovered.
    let watermark = Watermark::open(&config.data_dir, &journal.end(domain)?)?;
    let state = recover(&journal, config, key, srs, clock)?;
    Ok(Restored { journal, watermark, state })
}

/// Brings back the state a journal was left in.
pub fn recover(
    journal: &Arc<Journal>,
    config: &Config,
    key: &VerificationKey,
    srs: &Srs,
    clock: &Clock,
) -> Result<State, StartError> {
    let checkpoint = match journal.checkpoint()? {
        Some(checkpoint) => checkpoint,
        None => {
            let (number, k) = (1, key.k_genesis);
            let head = Head { number, k, grows: false, first: 0, opened_ms: clock() };
            let commitments = Commitments::empty();
            let checkpoint = Checkpoint { head, commitments, before_growth: None };
            journal.put_checkpoint(&checkpoint)?;
            checkpoint
        }
    };
    let shape = key.shape;
    let ordered = shape.transfers + shape.exits;
    let policy = Policy {
        shape,
        k_max: key.k_max(),
        transactions_max: config.batch_transactions_max.unwrap_or(ordered),
        fee_min: config.fee_min,
        fee_key: config.fee_key,
        fee_owner: config.fee_owner,
        grow_at_percent: config.grow_at_percent,
    };
    let Checkpoint { head, commitments, before_growth } = checkpoint;
    let mut fees = config.fee_key.to_be().to_vec();
    fees.extend_from_slice(&config.fee_owner.0);
    journal.bind_fees(&fees, head.number)?;
    // Accounts from the disk and points from the file, at once.
    let (ledger, lagrange) = rayon::join(|| journal.ledger(head.k), || srs.lagrange(head.k));
    let (ledger, lagrange) = (ledger?, lagrange?);
    // Of these the sum is short; that of keys and owners, which never change, takes several times longer
    // than all the rest of the start.
    if ledger.commit_word(1, &lagrange) != commitments.0[1] {
        return Err(StartError::OtherAccounts { batch: head.number });
    }
    let mut book = Book { commitments, before_growth, lagrange };
    let lifecycle = Arc::new(Lifecycle::load(Arc::clone(journal), head.number)?);
    let sealing = Sealing {
        journal: Arc::clone(journal),
        lifecycle: Arc::clone(&lifecycle),
        beneficiary: config.beneficiary,
        shape,
    };
    let mut execution = Execution::new(policy, head, ledger);
    if journal.grow()? {
        execution.ask_growth();
    }
    loop {
        let number = execution.head().number;
        execution.replay(journal.operations(number)?)?;
        // Closed if there is anything after it, or if sealing it has failed.
        if journal.next_group(number + 1, 0)?.is_none() && !journal.is_halted(number)? {
            break;
        }
        let closing = execution.close()?;
        let (k, first, opened_ms) = (closing.head.k, closing.end, clock());
        lifecycle.closed(&closing);
        sealing.run(closing, &mut book, opened_ms)?;
        execution.begin(Head { number: number + 1, k, grows: false, first, opened_ms });
    }
    tracing::info!(
        batch = execution.head().number,
        operations = execution.operations(),
        accounts = execution.allocated(),
        "restored"
    );
    Ok(State { execution, book, lifecycle })
}
