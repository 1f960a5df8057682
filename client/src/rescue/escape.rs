//! The escape hatch: freeze over an overdue entry, open accounts against the last root, take back
//! deposits that no batch served, and pay everything out.
//!
//! Every step asks the main chain what is left, so that it can be broken off and run again, and many
//! people can run it at once: what another has done already is passed over.

use super::{Rebuilt, RescueError, lagrange};
use crate::contract::{Contract, ContractError};
use kerros_protocol::account::{Account, AccountIndex, Address, AssetId};
use kerros_protocol::commitment::{Opening, Srs, open};
use kerros_sequencer::main_chain::{MainChainError, Refusal, Wallet};
use kerros_verifier::contract::{KerrosErrors, Revert};
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
    /// Who was not paid: a token or the address itself refused, or wanted too much of the payer's gas.
    /// The money waits in the contract.
    pub unpaid: Vec<(Option<AssetId>, Address, String)>,
    /// Gas of all of it.
    pub gas: u64,
}

/// Freezes the contract over the first overdue entry; none if it is frozen already. It is for ever, so
/// what could fail afterwards is tried before: there is something to take, and it can be opened.
pub async fn freeze(
    rebuilt: &Rebuilt,
    contract: &Contract,
    payer: &Wallet,
    srs: &Srs,
    whose: Whose,
) -> Result<Option<u64>, RescueError> {
    if rebuilt.standing.frozen {
        return Ok(None);
    }
    let left = left(rebuilt, whose);
    if let (Whose::Of(owner), true) = (whose, left.is_empty())
        && !rebuilt.replay.waiting.iter().any(|queued| queued.sender == owner)
    {
        return Err(RescueError::NothingToTake { owner });
    }
    if let Some((index, _)) = left.first() {
        opened(rebuilt, *index, &points(rebuilt, srs)?)?;
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

/// Takes everything of these people out of a frozen contract and pays it to them, each payout for `gas_max`
/// gas at most: the payer must not pay for whatever a recipient does when it is called.
pub async fn escape(
    rebuilt: &Rebuilt,
    contract: &Contract,
    payer: &Wallet,
    srs: &Srs,
    whose: Whose,
    gas_max: u64,
    told: impl Fn(&str),
) -> Result<Done, RescueError> {
    if !rebuilt.standing.frozen {
        return Err(RescueError::FreezeNotSeen { looks: 1, block: rebuilt.head.number });
    }
    let replay = &rebuilt.replay;
    let mut done = Done::default();
    // Whoever may have something to claim.
    let mut people: BTreeSet<(Option<u16>, Address)> = BTreeSet::new();
    let credited = replay.withdrawable.keys().map(|(asset, address)| (Some(*asset), *address));
    people.extend(credited.chain(replay.ether.keys().map(|address| (None, *address))));

    let left = left(rebuilt, whose);
    if !left.is_empty() {
        let points = points(rebuilt, srs)?;
        for (index, account) in left {
            told(&format!("account {index}"));
            let opening = opened(rebuilt, index, &points)?;
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
    // Tokens first: ether, `None`, is the least of it.
    for (asset, address) in people.into_iter().rev().filter(|(_, address)| whose.is(*address)) {
        told(&format!("paying {address}"));
        let asset = asset.and_then(|asset| AssetId::new(asset).ok());
        let paid = match asset {
            Some(asset) => contract.claim(payer, asset, address, gas_max).await,
            None => contract.claim_ether(payer, address, gas_max).await,
        };
        let paid = match paid {
            Ok(paid) => paid,
            Err(ContractError::NothingToClaim) => continue,
            Err(error) if says(&error, |e| matches!(e, KerrosErrors::NothingToClaim(_))) => {
                continue;
            }
            // A token or an address that refuses must not keep back what others let go.
            Err(error) if refuses(&error) => {
                if let ContractError::Failed { gas_used, .. } = error {
                    done.gas += gas_used;
                }
                done.unpaid.push((asset, address, error.to_string()));
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

/// Accounts that have not left.
fn left(rebuilt: &Rebuilt, whose: Whose) -> Vec<(AccountIndex, Account)> {
    let replay = &rebuilt.replay;
    let left = replay.state.ledger.existing().filter(|(index, account)| {
        whose.is(account.owner) && account.balance > 0 && !replay.escaped.contains(index)
    });
    left.map(|(index, account)| (index, *account)).collect()
}

/// The points of the ledger's size, if the rebuilt accounts are the root's with them.
fn points(rebuilt: &Rebuilt, srs: &Srs) -> Result<Vec<ark_bn254::G1Affine>, RescueError> {
    let points = lagrange(rebuilt, srs)?;
    match rebuilt.replay.state.ledger.commit(&points) == rebuilt.replay.commitments {
        true => Ok(points),
        false => Err(RescueError::OtherAccounts),
    }
}

/// An opening that the contract will accept.
fn opened(
    rebuilt: &Rebuilt,
    index: AccountIndex,
    points: &[ark_bn254::G1Affine],
) -> Result<Opening, RescueError> {
    let replay = &rebuilt.replay;
    let opening = open(&replay.state.ledger, &replay.commitments, index, points);
    match opening_holds(replay.key(), &replay.commitments, &opening) {
        true => Ok(opening),
        false => Err(RescueError::Opening { index: index.get() }),
    }
}

/// Whether the contract refused for this reason, before the transaction was sent or in its block.
fn says(error: &ContractError, which: impl Fn(&KerrosErrors) -> bool) -> bool {
    match error {
        ContractError::Chain(error) => error.contract_error().is_some_and(which),
        ContractError::Failed { reason: Revert::Kerros(error), .. } => which(error),
        _ => false,
    }
}

/// Whether the call itself cannot be made: it reverts, or needs more gas than there is or may be used.
fn refuses(error: &ContractError) -> bool {
    // A limit of the node's own says nothing about the call.
    if let ContractError::Chain(MainChainError::Answered { code: -32005 | 429, .. }) = error {
        return false;
    }
    matches!(
        error,
        ContractError::Failed { .. }
            | ContractError::GasAbove { .. }
            | ContractError::Chain(
                MainChainError::Reverted { .. }
                    | MainChainError::Halted { .. }
                    | MainChainError::Answered { .. }
                    | MainChainError::Refused(Refusal::GasLimit { .. })
            )
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
