//! What must hold of a log and of the books, found without the code that wrote them.

use super::chain::SimulatedChain;
use super::client::Told;
use super::process::Process;
use super::setup::Setup;
use crate::journal::{Journal, Operation};
use kerros_protocol::account::Account;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::receipt::Promised;
use kerros_protocol::transaction::TransactionId;
use std::collections::{BTreeMap, BTreeSet};

/// Everything acknowledged is in the log where its receipt says, nothing is in it twice, and the
/// receipts form one chain, each to be had by its transaction's id; so do those of the openings, each
/// to be had by its account's index.
pub fn check_log(journal: &Journal, setup: &Setup, told: &Told) -> Result<(), String> {
    let (mut batch, mut sequence) = (0, 0);
    let (mut previous, mut last_opening) = ([0u8; 32], [0u8; 32]);
    let mut last_index = None;
    let mut seen: BTreeSet<TransactionId> = BTreeSet::new();
    let mut order = 0u32;
    while let Some(group) = journal.next_group(batch, sequence).map_err(|e| e.to_string())? {
        if group.batch != batch {
            (batch, sequence, order) = (group.batch, 0, 0);
        }
        if group.sequence != sequence {
            return Err(format!("batch {batch}: operation {sequence} is missing"));
        }
        sequence += u32::try_from(group.operations.len()).expect("bounded");
        for record in group.opened() {
            let receipt = journal.opening(*record).map_err(|error| error.to_string())?;
            let promise = receipt.ok_or_else(|| format!("{record:?} has no receipt"))?.promise;
            if (promise.batch, promise.previous) != (batch, last_opening) {
                return Err(format!("{promise:?} is in batch {batch} or follows another one"));
            }
            let index = record.index.get();
            if last_index.replace(index).is_some_and(|last| index != last + 1) {
                return Err(format!("{promise:?} comes after index {last_index:?}"));
            }
            last_opening = promise.hash(setup.domain);
        }
        for receipt in group.receipts(setup.domain).iter().flat_map(|receipts| receipts.iter()) {
            let promise = receipt.promise;
            let id = promise.id;
            if !seen.insert(id) {
                return Err(format!("{id:?} is in the log twice"));
            }
            if (promise.batch, u32::from(promise.order)) != (batch, order) {
                return Err(format!("{promise:?} is at place {order} of batch {batch}"));
            }
            order += 1;
            if promise.previous != previous {
                return Err(format!("{promise:?} does not follow the receipt before it"));
            }
            previous = promise.hash(setup.domain);
            let kept = journal.receipt(&id).map_err(|error| error.to_string())?;
            if kept.as_ref() != Some(&receipt) {
                return Err(format!("{id:?} is in the log, its receipt is {kept:?}"));
            }
            if told.receipts.get(&id).is_some_and(|told| *told != receipt) {
                return Err(format!("{id:?} was acknowledged with another receipt"));
            }
        }
    }
    match told.receipts.keys().find(|id| !seen.contains(id)) {
        Some(id) => Err(format!("{id:?} was acknowledged and is not in the log")),
        None => Ok(()),
    }
}

/// The contract's own ledger is the sequencer's, commitments are those of its accounts, and no unit
/// came from nowhere or went there.
pub fn check_books(process: &Process, chain: &SimulatedChain, setup: &Setup) -> Result<(), String> {
    let state = process.shared.execution();
    let contract = chain.state();
    let accounts = |ledger: &kerros_protocol::ledger::Ledger| -> Vec<Account> {
        ledger.existing().map(|(_, account)| *account).collect()
    };
    if accounts(state.ledger()) != accounts(&contract.ledger) {
        return Err("the contract's ledger is another one".to_owned());
    }
    let mut units: BTreeMap<u16, i128> = BTreeMap::new();
    let mut signed = 0;
    let mut last = None;
    for number in 1..=contract.number {
        let bytes = process.journal.sealed(number).map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or_else(|| format!("batch {number} is missing"))?;
        let batch = SealedBatch::decode(&bytes, &setup.key.shape).map_err(|e| e.to_string())?;
        for deposit in &batch.data.deposits {
            *units.entry(deposit.asset.get()).or_default() += i128::from(deposit.amount);
        }
        for exit in &batch.data.exits {
            *units.entry(exit.asset).or_default() -= i128::from(exit.amount);
        }
        signed += batch.transfers.len() + batch.exits.iter().flatten().count();
        last = Some(batch);
    }
    for account in accounts(state.ledger()) {
        *units.entry(account.asset).or_default() -= i128::from(account.balance);
    }
    if let Some((asset, left)) = units.iter().find(|(_, left)| **left != 0) {
        return Err(format!("{left} units of asset {asset} are nowhere"));
    }
    let mut logged = 0;
    for number in 1..=contract.number {
        let operations = process.journal.operations(number).map_err(|error| error.to_string())?;
        logged += operations.iter().filter(|o| matches!(o, Operation::Signed(_))).count();
    }
    if signed != logged {
        return Err(format!("{logged} transactions in the log, {signed} in batches"));
    }
    if let Some(batch) = last {
        let lagrange = setup.srs.lagrange(batch.k).map_err(|error| error.to_string())?;
        let mut ledger = contract.ledger;
        if ledger.k() != batch.k {
            return Err("the contract's ledger has another size".to_owned());
        }
        let whole = ledger.commit(&lagrange);
        ledger.grow();
        if whole != batch.new {
            return Err("the last batch's commitments are not those of its accounts".to_owned());
        }
    }
    Ok(())
}
