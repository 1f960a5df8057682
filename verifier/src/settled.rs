//! What the auditor compares once everything is replayed: the contract's storage and the money it holds,
//! with what its history leads to. Every function tells what is wrong, if anything.

use alloy::primitives::{Address as ChainAddress, U256};
use kerros_verifier::chain::{ChainError, Queued, Reader, Replay, Standing, StoredEntry};
use kerros_verifier::contract::{Kerros, TestToken};
use std::collections::BTreeMap;

type Wrong = Result<Option<String>, ChainError>;

/// Root, number, sizes, counts, latch; the time of the operator's last batch.
pub async fn state(reader: &Reader, replay: &Replay, standing: &Standing) -> Wrong {
    if let Err(fault) = replay.settled(standing) {
        return Ok(Some(fault.to_string()));
    }
    let deployment = replay.deployment();
    let block = match replay.operator_posted {
        Some(block) => block,
        None if deployment.block_is_exact => deployment.block,
        None => return Ok(None),
    };
    let (stored, implied) = (standing.last_operator_post, reader.block(block).await?.timestamp);
    Ok((stored != implied).then(|| {
        format!("lastOperatorPost is {stored}, the block of that transaction has time {implied}")
    }))
}

/// Every entry that ever came, field by field.
pub async fn queue(reader: &Reader, replay: &Replay, queued: &[Queued]) -> Wrong {
    let deployment = replay.deployment();
    for entry in queued {
        let stored = StoredEntry::read(reader, deployment.contract, entry.entry).await?;
        let windows = deployment.entry_window.saturating_mul(stored.ahead);
        let due =
            windows.saturating_add(deployment.force_window).saturating_add(stored.enqueued_at);
        if due != stored.deadline {
            let what = format!("entry {}: due at {due} by its own fields: {stored:?}", entry.entry);
            return Ok(Some(what));
        }
        let refunded = replay.refunded.contains(&entry.entry);
        let implied = StoredEntry {
            sender: entry.sender,
            content: entry.content.clone(),
            refunded,
            deadline: entry.deadline,
            pending: entry.entry >= replay.state.head,
            share: entry.share(),
            enqueued_at: stored.enqueued_at,
            ahead: stored.ahead,
        };
        if stored != implied {
            return Ok(Some(format!("entry {}: {implied:?}, storage {stored:?}", entry.entry)));
        }
    }
    Ok(None)
}

/// What may be claimed.
pub async fn claims(reader: &Reader, replay: &Replay) -> Wrong {
    let contract = replay.deployment().contract;
    for ((asset, account), units) in &replay.withdrawable {
        let call = Kerros::withdrawableCall { _0: *asset, _1: account.0.into() };
        let stored = reader.call(contract, &call).await?;
        if stored != U256::from(*units) {
            let what = format!("asset {asset}, {account}: {stored} stored, {units} replayed");
            return Ok(Some(what));
        }
    }
    for (account, wei) in &replay.ether {
        let stored = reader.call(contract, &Kerros::etherCreditCall(account.0.into())).await?;
        if stored != *wei {
            return Ok(Some(format!("ether of {account}: {stored} stored, {wei} in events")));
        }
    }
    Ok(None)
}

/// Supplies against accounts and queue, tokens and ether held against what is owed.
pub async fn money(reader: &Reader, replay: &Replay) -> Wrong {
    let contract: ChainAddress = replay.deployment().contract;
    let held = balances(replay);
    for (id, asset) in (1u16..).zip(&replay.assets) {
        let waiting = replay.deposits().filter(|(asset, _)| *asset == id);
        let waiting: u128 = waiting.map(|(_, units)| u128::from(units)).sum();
        let units = held.get(&id).copied().unwrap_or(0) + waiting;
        let stored = reader.call(contract, &Kerros::assetsCall(id)).await?;
        let fixed = (stored.token.into_array(), stored.unitExponent);
        if fixed != (asset.token.0, asset.unit_exponent) {
            let what = format!("asset {id}: storage and event name different tokens or units");
            return Ok(Some(what));
        }
        if u128::from(stored.supply) != units {
            let supply = stored.supply;
            let what = format!("asset {id}: supply {supply}, accounts and queue hold {units}");
            return Ok(Some(what));
        }
        let owed = replay.withdrawable.iter().filter(|((asset, _), _)| *asset == id);
        let owed = units + owed.map(|(_, units)| *units).sum::<u128>();
        let unit = U256::from(10).pow(U256::from(asset.unit_exponent));
        let need = U256::from(owed) * unit;
        let call = TestToken::balanceOfCall(contract);
        let have = match reader.call(asset.token.0.into(), &call).await {
            Ok(have) => have,
            // The token's fault, not the contract's, and no reason to tell nothing of the others.
            Err(ChainError::NotKerros { .. }) => {
                return Ok(Some(format!("asset {id}: its token does not say what is held of it")));
            }
            Err(other) => return Err(other),
        };
        if have < need {
            return Ok(Some(format!("asset {id}: {have} base units held, {need} owed")));
        }
    }
    let credits = replay.ether.values().copied();
    let waiting = replay.waiting.iter().filter(|it| !replay.refunded.contains(&it.entry));
    let need = credits.chain(waiting.map(Queued::share_wei)).fold(U256::ZERO, U256::saturating_add);
    let have = reader.balance(contract).await?;
    Ok((have < need).then(|| format!("ether: {have} wei held, {need} owed")))
}

/// Units in accounts that did not escape, by asset.
pub fn balances(replay: &Replay) -> BTreeMap<u16, u128> {
    let mut balances: BTreeMap<u16, u128> = BTreeMap::new();
    for (index, account) in replay.state.ledger.existing() {
        if !replay.escaped.contains(&index) {
            *balances.entry(account.asset).or_default() += u128::from(account.balance);
        }
    }
    balances
}
