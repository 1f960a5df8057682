//! Auditors and sequencers live on events: every call says exactly what it did, and nothing twice.

use crate::machine::Outcome;
use crate::price::{forced, served};
use crate::rollup::{
    ENTRY_WINDOW, FORCE_WINDOW, GWEI, Rollup, account_words, operator, owner, person,
};
use alloy::primitives::{Address, U256};
use alloy::sol_types::SolEventInterface;
use kerros_protocol::account::Account;
use kerros_protocol::batch::BatchData;
use kerros_verifier::contract::{Kerros, KerrosEvents as Event, test_token_code};

/// The contract's own events.
fn said(rollup: &Rollup, outcome: Outcome) -> Vec<Event> {
    outcome.result.as_ref().expect("accepted");
    let own = outcome.logs.iter().filter(|log| log.address == rollup.kerros);
    own.map(|log| Event::decode_log(log).expect("in its ABI").data).collect()
}

fn deposit(rollup: &mut Rollup, user: Address, units: u64, excess: u64) -> (Vec<Event>, U256) {
    let fee = rollup.entry_fee();
    let (amount, key) = (U256::from(units), U256::from(9));
    let call = Kerros::depositCall { asset: 1, baseAmount: amount, key, owner: user };
    let outcome = rollup.send(user, fee + U256::from(excess), &call);
    (said(rollup, outcome), fee)
}

fn queued(user: Address, entry: u64, units: u64, fee: U256, deadline: u64) -> Event {
    Event::DepositQueued(Kerros::DepositQueued {
        entry,
        depositor: user,
        asset: 1,
        amount: units,
        key: U256::from(9),
        owner: user,
        fee,
        deadline,
    })
}

fn force(rollup: &mut Rollup, user: Address, index: u32, entry: u64, ahead: u64) {
    let fee = rollup.entry_fee();
    let deadline = rollup.machine.now() + FORCE_WINDOW + ENTRY_WINDOW * ahead;
    let outcome = rollup.send(user, fee, &Kerros::forceExitCall { index });
    let event = Kerros::ForcedExitQueued { entry, requester: user, index, fee, deadline };
    assert_eq!(said(rollup, outcome), [Event::ForcedExitQueued(event)]);
}

fn withdrawable(account: Address, amount: u64) -> Event {
    Event::Withdrawable(Kerros::Withdrawable { asset: 1, account, amount })
}

fn credited(account: Address, amount: U256) -> Event {
    Event::EtherCredited(Kerros::EtherCredited { account, amount })
}

fn share(rollup: &mut Rollup, entry: u64) -> U256 {
    let found = rollup.read(Kerros::queueEntryCall { index: entry }).entry;
    U256::from(found.share) * U256::from(GWEI)
}

#[test]
fn every_call_says_exactly_what_it_did() {
    let mut rollup = Rollup::new("4,4,8,4,2", 3, 6, |_| ());
    let (alice, bob, carol) = (person(1), person(2), person(3));

    let token = rollup.machine.create(operator(), test_token_code("U", "U", 6)).unwrap();
    let call = Kerros::registerAssetCall { token, unitExponent: 3 };
    let outcome = rollup.send(operator(), U256::ZERO, &call);
    let event = Kerros::AssetRegistered { asset: 2, token, unitExponent: 3 };
    assert_eq!(said(&rollup, outcome), [Event::AssetRegistered(event)]);

    // The queue: ether above the fee is credited, none is not.
    let first = rollup.machine.now() + FORCE_WINDOW;
    let (events, fee) = deposit(&mut rollup, alice, 100, 5);
    assert_eq!(events, [credited(alice, U256::from(5)), queued(alice, 0, 100, fee, first)]);
    let (events, fee) = deposit(&mut rollup, alice, 7, 0);
    assert_eq!(events, [queued(alice, 1, 7, fee, first + ENTRY_WINDOW)]);
    force(&mut rollup, alice, 1, 2, 2);
    force(&mut rollup, carol, 1, 3, 3);

    // A batch that serves all four; the last one moves nothing.
    let mut data = served(1, alice, 100, 9);
    data.deposits.push(served(1, alice, 7, 9).deposits[0]);
    let mut signed = forced(1, bob, 30);
    signed.forced = false;
    data.exits = vec![signed, forced(1, alice, 57), forced(1, carol, 0)];
    let kept = Account { key: 9u64.into(), balance: 20, nonce: 1, asset: 1, owner: owner(alice) };
    let mut new = rollup.book.clone();
    new.set(1, kept);
    new.set(2, Account { key: 10u64.into(), balance: 0, ..kept });
    let shares = (0..4).map(|entry| share(&mut rollup, entry)).sum();
    let post = rollup.forge(data, &new, carol);
    let outcome = rollup.post(operator(), &post, new.clone(), 4);
    let posted = Kerros::BatchPosted {
        number: 1,
        newRoot: new.root(),
        first: 0,
        end: 4,
        k: 3,
        beneficiary: carol,
    };
    let events = said(&rollup, outcome);
    let (credits, last) =
        ([withdrawable(bob, 30), withdrawable(alice, 57)], credited(carol, shares));
    assert_eq!(events[..2], credits);
    assert_eq!(events[2..], [last, Event::BatchPosted(posted)]);

    // One that serves nothing, and grows.
    let mut new = rollup.book.clone();
    new.grow();
    let post = rollup.forge(BatchData::default(), &new, carol);
    let outcome = rollup.post(operator(), &post, new.clone(), 0);
    let posted = Kerros::BatchPosted {
        number: 2,
        newRoot: new.root(),
        first: 4,
        end: 4,
        k: 4,
        beneficiary: carol,
    };
    assert_eq!(said(&rollup, outcome), [Event::BatchPosted(posted)]);

    // What was credited is paid.
    let call = Kerros::claimCall { asset: 1, account: bob };
    let outcome = rollup.send(carol, U256::ZERO, &call);
    let event = Kerros::Claimed { asset: 1, account: bob, amount: U256::from(30) };
    assert_eq!(said(&rollup, outcome), [Event::Claimed(event)]);
    let outcome = rollup.send(bob, U256::ZERO, &Kerros::claimEtherCall { account: carol });
    let event = Kerros::EtherClaimed { account: carol, amount: shares };
    assert_eq!(said(&rollup, outcome), [Event::EtherClaimed(event)]);

    // The end.
    let deadline = rollup.machine.now() + FORCE_WINDOW;
    let (events, fee) = deposit(&mut rollup, bob, 50, 0);
    assert_eq!(events, [queued(bob, 4, 50, fee, deadline)]);
    force(&mut rollup, bob, 1, 5, 1);
    rollup.machine.advance(FORCE_WINDOW + 1);
    let outcome = rollup.send(carol, U256::ZERO, &Kerros::freezeCall { entry: 4 });
    let event = Kerros::Frozen { entry: 4, deadline };
    assert_eq!(said(&rollup, outcome), [Event::Frozen(event)]);
    for (index, amount) in [(1, 20), (2, 0)] {
        let words = account_words(&rollup.book.get(index));
        let call = rollup.book.escape(index, words);
        let outcome = rollup.send(carol, U256::ZERO, &call);
        let event = Kerros::Escaped { index, asset: 1, owner: alice, amount };
        let mut expected = vec![Event::Escaped(event)];
        expected.extend((amount > 0).then(|| withdrawable(alice, amount)));
        assert_eq!(said(&rollup, outcome), expected);
    }
    for (entry, asset, amount) in [(4, 1, 50), (5, 0, 0)] {
        let share = share(&mut rollup, entry);
        let outcome = rollup.send(carol, U256::ZERO, &Kerros::refundCall { entry });
        let event = Kerros::Refunded { entry, depositor: bob, asset, amount };
        let mut expected = vec![Event::Refunded(event)];
        expected.extend((amount > 0).then(|| withdrawable(bob, amount)));
        expected.push(credited(bob, share));
        assert_eq!(said(&rollup, outcome), expected);
    }
}
