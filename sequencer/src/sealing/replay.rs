//! A second opinion on every closed batch before it is sealed: what its published bytes do to the
//! accounts on disk must be what was executed, and nothing the circuit will ask may be missing.
//!
//! The replay is the one that provers and auditors make (`transition::effect`): net sums over decoded
//! data, another way than executing one by one. Its deltas, not the executed state, move the
//! commitments.

use super::SealFault;
use crate::execution::Closing;
use ark_bn254::Fr;
use kerros_protocol::account::{Account, AccountIndex};
use kerros_protocol::batch::{Authorisation, BatchData, Shape};
use kerros_protocol::transition::effect;
use std::collections::{BTreeMap, BTreeSet};

/// Indices that a batch's records name.
pub fn named(data: &BatchData) -> BTreeSet<AccountIndex> {
    let mut named = BTreeSet::new();
    named.extend(data.opens.iter().map(|record| record.index));
    named.extend(data.deposits.iter().map(|record| record.index));
    named.extend(data.transfers.iter().flat_map(|record| [record.from, record.to]));
    named.extend(data.exits.iter().map(|record| record.from));
    named.extend(data.collects.iter().map(|record| record.to));
    named
}

/// Replays a closed batch over `before`, all accounts it names as the batch before left them (those
/// that do not exist may be missing). Gives the word deltas by account position.
pub fn replay(
    closing: &Closing,
    shape: &Shape,
    before: &BTreeMap<AccountIndex, Account>,
) -> Result<Vec<(usize, [Fr; 3])>, SealFault> {
    let data = BatchData::decode(&closing.data.encode(), shape)?;
    if data != closing.data {
        return Err(SealFault::OtherData);
    }
    let get = |index| before.get(&index).copied().unwrap_or(Account::EMPTY);
    let mut changes = effect(1 << closing.head.k, get, &data)?;
    let after: BTreeMap<_, _> = changes.iter().map(|(index, _, after)| (*index, *after)).collect();
    changes.retain(|(_, old, new)| old != new);
    let executed = closing.accounts.iter().map(|(index, account)| (*index, account));
    let replayed: BTreeMap<_, _> = changes.iter().map(|(index, _, new)| (*index, new)).collect();
    let executed: BTreeMap<_, _> = executed.collect();
    let both = replayed.keys().chain(executed.keys());
    if let Some(index) = both.copied().find(|index| replayed.get(index) != executed.get(index)) {
        return Err(SealFault::OtherAccount { index });
    }
    authorised(closing, &after)?;
    balanced(&data, &after)?;
    let delta = |(index, old, new): &(AccountIndex, Account, Account)| {
        let (old, new) = (old.words(), new.words());
        (index.position(), [0, 1, 2].map(|j| new[j] - old[j]))
    };
    Ok(changes.iter().map(delta).collect())
}

/// Every signed record has the authorisation of its account's key, in places 0, 1, … each once.
fn authorised(closing: &Closing, after: &BTreeMap<AccountIndex, Account>) -> Result<(), SealFault> {
    let Closing { data, transfers, exits, .. } = closing;
    if (transfers.len(), exits.len()) != (data.transfers.len(), data.exits.len()) {
        return Err(SealFault::Authorisations);
    }
    let payers = data.transfers.iter().map(|record| record.from);
    let mut signed: Vec<(AccountIndex, &Authorisation)> = payers.zip(transfers).collect();
    for (record, authorisation) in data.exits.iter().zip(exits) {
        match authorisation {
            Some(_) if record.forced => return Err(SealFault::Authorisations),
            Some(authorisation) => signed.push((record.from, authorisation)),
            None if record.forced => {}
            None => return Err(SealFault::Authorisations),
        }
    }
    let mut places: Vec<usize> = signed.iter().map(|(_, by)| by.order.into()).collect();
    places.sort_unstable();
    let in_turn = places.iter().enumerate().all(|(place, have)| place == *have);
    let key = |index: &AccountIndex| after.get(index).map(|account| account.key);
    let own = signed.iter().all(|(index, by)| key(index) == Some(by.public_key.0.x));
    if in_turn && own { Ok(()) } else { Err(SealFault::Authorisations) }
}

/// Fees are collected asset by asset, and a forced exit takes everything or nothing.
fn balanced(data: &BatchData, after: &BTreeMap<AccountIndex, Account>) -> Result<(), SealFault> {
    let account = |index| after.get(&index).copied().unwrap_or(Account::EMPTY);
    let mut fees: BTreeMap<u16, i128> = BTreeMap::new();
    let paid = data.transfers.iter().map(|record| (record.from, record.fee));
    for (index, fee) in paid.chain(data.exits.iter().map(|record| (record.from, record.fee))) {
        *fees.entry(account(index).asset).or_default() += fee.value().cast_signed();
    }
    for record in &data.collects {
        *fees.entry(account(record.to).asset).or_default() -= i128::from(record.amount);
    }
    if let Some((asset, _)) = fees.iter().find(|(_, sum)| **sum != 0) {
        return Err(SealFault::Fees { asset: *asset });
    }
    for record in data.exits.iter().filter(|record| record.forced) {
        let (index, left) = (record.from, account(record.from));
        let whole =
            if left.owner == record.recipient { left.balance == 0 } else { record.amount == 0 };
        if !whole || left.asset != record.asset || record.fee.value() != 0 {
            return Err(SealFault::ForcedExit { index });
        }
    }
    Ok(())
}
