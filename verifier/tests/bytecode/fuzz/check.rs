//! The contract's state against the model's after each call.

use crate::fuzz::model::{Model, Nature};
use crate::machine::Machine;
use crate::rollup::GWEI;
use alloy::primitives::{Address, U256};
use kerros_verifier::contract::{Kerros, TestToken};

/// What may have changed; everything if `all`.
pub fn after(machine: &mut Machine, kerros: Address, before: &Model, now: &Model, all: bool) {
    now.assert_conserved();
    assert!(now.frozen || !before.frozen, "frozen is a latch");
    if all {
        return whole(machine, kerros, now);
    }
    standing(machine, kerros, now);
    money(machine, kerros, now);
    for ((asset, account), units) in &now.withdrawable {
        if before.withdrawable.get(&(*asset, *account)) != Some(units) {
            withdrawable(machine, kerros, (*asset, *account), *units);
        }
    }
    for (account, wei) in &now.credit {
        if before.credit.get(account) != Some(wei) {
            let found = machine.ask(kerros, &Kerros::etherCreditCall(*account));
            assert_eq!(found, U256::from(*wei), "ether of {account}");
        }
    }
    if now.tail() > before.tail() {
        let entry = now.entries.last().expect("one more");
        let index = now.tail() - 1;
        let found = machine.ask(kerros, &Kerros::queueEntryCall { index });
        let share = u128::from(found.entry.share) * u128::from(GWEI);
        assert_eq!((found.deadline, share, found.pending), (entry.deadline, entry.share, true));
        assert_eq!(found.entry.sender, entry.sender);
    }
}

/// Everything the contract tells.
pub fn whole(machine: &mut Machine, kerros: Address, now: &Model) {
    now.assert_conserved();
    standing(machine, kerros, now);
    money(machine, kerros, now);
    for ((asset, account), units) in &now.withdrawable {
        withdrawable(machine, kerros, (*asset, *account), *units);
    }
    for (account, wei) in &now.credit {
        let found = machine.ask(kerros, &Kerros::etherCreditCall(*account));
        assert_eq!(found, U256::from(*wei), "ether of {account}");
    }
    for index in now.book.accounts.keys() {
        let found = machine.ask(kerros, &Kerros::escapedCall(*index));
        assert_eq!(found, now.escaped.contains(index), "account {index} escaped");
    }
}

fn withdrawable(
    machine: &mut Machine,
    kerros: Address,
    (asset, account): (u16, Address),
    units: u128,
) {
    let found = machine.ask(kerros, &Kerros::withdrawableCall { _0: asset, _1: account });
    assert_eq!(found, U256::from(units), "asset {asset} of {account}");
}

/// Root, numbers and latch: only accepted posts, requests and freezes move them.
fn standing(machine: &mut Machine, kerros: Address, now: &Model) {
    assert_eq!(machine.ask(kerros, &Kerros::rootCall {}), now.root, "root");
    assert_eq!(machine.ask(kerros, &Kerros::batchNumberCall {}), now.number, "batch number");
    assert_eq!(machine.ask(kerros, &Kerros::headCall {}), now.head, "head");
    assert_eq!(machine.ask(kerros, &Kerros::tailCall {}), now.tail(), "tail");
    assert_eq!(machine.ask(kerros, &Kerros::kCall {}), now.book.k, "k");
    assert_eq!(machine.ask(kerros, &Kerros::frozenCall {}), now.frozen, "frozen");
    assert_eq!(machine.ask(kerros, &Kerros::openedCall {}), now.opened, "opened");
    assert_eq!(machine.ask(kerros, &Kerros::pendingDepositsCall {}), now.pending, "pending");
    let last = machine.ask(kerros, &Kerros::lastOperatorPostCall {});
    assert_eq!(last, now.last_operator_post, "operator's last post");
}

/// Tokens and ether held are what the books say, to the base unit and to the wei.
fn money(machine: &mut Machine, kerros: Address, now: &Model) {
    for (id, asset) in (1u16..).zip(&now.assets) {
        let supply = machine.ask(kerros, &Kerros::assetsCall(id)).supply;
        assert_eq!(supply, asset.supply, "supply of asset {id}");
        let token = &now.tokens[asset.token];
        let held = machine.ask(token.address, &TestToken::balanceOfCall(kerros));
        let units = asset.deposited - asset.claimed;
        assert_eq!(held, U256::from(units) * asset.unit, "tokens of asset {id}");
        if matches!(token.nature, Nature::Refuses | Nature::Fee) {
            assert_eq!(held, U256::ZERO, "nobody can deposit these");
        }
    }
    assert_eq!(machine.balance(kerros), U256::from(now.ether_held()), "ether");
}
