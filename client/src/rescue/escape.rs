//! The escape hatch: freeze over an overdue entry, open accounts against the last root, take back
//! deposits that no batch served, and pay everything out.
//!
//! Every step asks the main chain what is left, so that it can be broken off and run again, and many
//! people can run it at once: what another has done already is passed over.

use super::{Rebuilt, RescueError, lagrange};
use crate::contract::{Contract, ContractError};
use kerros_protocol::account::{Account, AccountIndex, Address, AssetId};
use kerros_protocol::commitment::{Srs, open};
use kerros_sequencer::main_chain::{MainChainError, Wallet};
use kerros_verifier::contract::KerrosErrors;
use kerros_verifier::opening::opening_holds;
use std::collections::BTreeSet;

/// Who is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Accounts, deposits and credits of one address.
    Of(Address),
    /// Everybody's: they are paid, the caller pays the gas.
    Everybody,
}

impl Whose {
    fn is(self, address: Address) -> bool {
        match self {
            Self::Of(one) => one == address,
            Self::Everybody => true,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Accounts that left, as they were.
    pub accounts: Vec<(AccountIndex, Account)>,
    /// Entries given back.
    pub refunded: Vec<u64>,
    /// Units paid out, by asset and address.
    pub paid: Vec<(AssetId, Address, u128)>,
    /// Wei paid out, by address.
    pub ether: Vec<(Address, u128)>,
    /// Gas of all of it.
    pub gas: u64,
}

/// Freezes the contract over the first overdue entry; none if it is frozen already.
pub async fn freeze(
    rebuilt: &Rebuilt,
    contract: &Contract,
    payer: &Wallet,
) -> Result<Option<u64>, RescueError> {
    if rebuilt.standing.frozen {
        return Ok(None);
    }
    let (waiting, now) = (&rebuilt.replay.waiting, rebuilt.head.timestamp);
    let Some(overdue) = waiting.iter().find(|queued| queued.deadline < now) else {
        let deadline = waiting.iter().map(|queued| queued.deadline).min().unwrap_or(0);
        return Err(RescueError::NothingOverdue { waiting: waiting.len(), deadline, now });
    };
    match contract.freeze(payer, overdue.entry).await {
        Ok(_) => Ok(Some(overdue.entry)),
        Err(error) if says(&error, |e| matches!(e, KerrosErrors::IsFrozen(_))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes everything of these people out of a frozen contract and pays it to them.
pub async fn escape(
    rebuilt: &Rebuilt,
    contract: &Contract,
    payer: &Wallet,
    srs: &Srs,
    whose: Whose,
    told: impl Fn(&str),
) -> Result<Done, RescueError> {
    let replay = &rebuilt.replay;
    let ledger = &replay.state.ledger;
    let mut done = Done::default();
    // Whoever may have something to claim.
    let mut people: BTreeSet<(Option<u16>, Address)> = BTreeSet::new();
    let credited = replay.withdrawable.keys().map(|(asset, address)| (Some(*asset), *address));
    people.extend(credited.chain(replay.ether.keys().map(|address| (None, *address))));

    let left = ledger.existing().filter(|(index, account)| {
        whose.is(account.owner) && account.balance > 0 && !replay.escaped.contains(index)
    });
    let left: Vec<(AccountIndex, Account)> = left.map(|(index, it)| (index, *it)).collect();
    if !left.is_empty() {
        let points = lagrange(rebuilt, srs)?;
        if ledger.commit(&points) != replay.commitments {
            return Err(RescueError::OtherAccounts);
        }
        for (index, account) in left {
            told(&format!("account {index}"));
            let opening = open(ledger, &replay.commitments, index, &points);
            if !opening_holds(replay.key(), &replay.commitments, &opening) {
                return Err(RescueError::Opening { index: index.get() });
            }
            people.insert((Some(account.asset), account.owner));
            let sent = contract.escape(payer, &replay.commitments, &opening).await;
            if let Some(gas) = unless(sent, |e| matches!(e, KerrosErrors::AlreadyEscaped(_)))? {
                done.gas += gas;
                done.accounts.push((index, account));
            }
        }
    }
    for queued in &replay.waiting {
        if !whose.is(queued.sender) {
            continue;
        }
        if let kerros_verifier::audit::QueueEntry::Deposit { asset, .. } = &queued.content {
            people.insert((Some(*asset), queued.sender));
        }
        people.insert((None, queued.sender));
        if replay.refunded.contains(&queued.entry) {
            continue;
        }
        told(&format!("queue entry {}", queued.entry));
        let sent = contract.refund(payer, queued.entry).await;
        if let Some(gas) = unless(sent, |e| matches!(e, KerrosErrors::EntryNotPending(_)))? {
            done.gas += gas;
            done.refunded.push(queued.entry);
        }
    }
    for (asset, address) in people.into_iter().filter(|(_, address)| whose.is(*address)) {
        told(&format!("paying {address}"));
        let asset = asset.and_then(|asset| AssetId::new(asset).ok());
        let paid = match asset {
            Some(asset) => contract.claim(payer, asset, address).await,
            None => contract.claim_ether(payer, address).await,
        };
        let paid = match paid {
            Ok(paid) => paid,
            Err(ContractError::NothingToClaim) => continue,
            // Somebody's token or address that refuses must not keep the others from their money.
            Err(error) if whose == Whose::Everybody && refuses(&error) => {
                told(&format!("{address} cannot be paid: {error}"));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        done.gas += paid.receipt.gas_used;
        let amount = u128::try_from(paid.value).unwrap_or(u128::MAX);
        match asset {
            Some(asset) => done.paid.push((asset, address, amount)),
            None => done.ether.push((address, amount)),
        }
    }
    Ok(done)
}

fn says(error: &ContractError, which: impl Fn(&KerrosErrors) -> bool) -> bool {
    matches!(error, ContractError::Chain(error) if error.contract_error().is_some_and(which))
}

fn refuses(error: &ContractError) -> bool {
    matches!(
        error,
        ContractError::Failed { .. } | ContractError::Chain(MainChainError::Reverted { .. })
    )
}

/// The gas of a call; none if somebody else has done it already.
fn unless(
    sent: Result<kerros_sequencer::main_chain::Receipt, ContractError>,
    done: impl Fn(&KerrosErrors) -> bool,
) -> Result<Option<u64>, ContractError> {
    match sent {
        Ok(receipt) => Ok(Some(receipt.gas_used)),
        Err(error) if says(&error, done) => Ok(None),
        Err(error) => Err(error),
    }
}
