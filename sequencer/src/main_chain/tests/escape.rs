//! Freezing, escaping and refunds.

use super::data::Data;
use super::world::{ENTRY_FEE, FORCE_WINDOW, World, deposit_call, refusal};
use alloy::primitives::{Address, U256};
use kerros_verifier::contract::{Kerros, KerrosErrors as E};

fn words(key: u64, balance: u64, asset: u16, owner: Address) -> [U256; 3] {
    let second = U256::from(balance)
        | (U256::from(3) << 64) // nonce
        | (U256::from(asset) << 96);
    [U256::from(key), second, U256::from_be_slice(owner.as_slice())]
}

/// One batch, then a deposit and a forced exit that nobody serves.
async fn abandoned() -> World {
    let mut world = World::embedded().await;
    let (asset, alice) = (world.asset, world.alice.address());
    world.deposit(&world.alice, 70, 9).await;
    let data = Data {
        opens: vec![(1, asset, alice, U256::from(9))],
        deposits: vec![(1, 70, asset, U256::from(9), alice)],
        ..Data::default()
    };
    world.advance(&data, true).await;
    world.deposit(&world.bob, 30, 10).await;
    world.force(&world.alice, 1).await;
    world
}

async fn freeze(world: &World) {
    (world.time)(FORCE_WINDOW + 1_000).await;
    let call = Kerros::freezeCall { entry: 1 };
    world.send(&world.bob, world.kerros, call).await.unwrap();
}

#[tokio::test]
async fn only_an_overdue_waiting_entry_freezes() {
    let world = abandoned().await;
    let freeze = |entry| Kerros::freezeCall { entry };
    for entry in [0, 3, u64::MAX] {
        let refused = refusal(world.send(&world.bob, world.kerros, freeze(entry)).await);
        assert!(matches!(refused, E::EntryNotPending(_)));
    }
    let refused = refusal(world.send(&world.bob, world.kerros, freeze(1)).await);
    assert!(matches!(refused, E::DeadlineNotPassed(_)));
    let call = Kerros::refundCall { entry: 1 };
    let refused = refusal(world.send(&world.bob, world.kerros, call).await);
    assert!(matches!(refused, E::NotFrozen(_)));
}

#[tokio::test]
async fn frozen_means_frozen_for_ever() {
    let mut world = abandoned().await;
    freeze(&world).await;
    assert!(world.read(Kerros::frozenCall {}).await);
    let alice = world.alice.clone();
    let call = deposit_call(world.asset, 1, 1, alice.address());
    let refused = refusal(world.pay(&alice, world.kerros, call, 10 * ENTRY_FEE).await);
    assert!(matches!(refused, E::IsFrozen(_)));
    let call = Kerros::forceExitCall { index: 1 };
    let refused = refusal(world.pay(&alice, world.kerros, call, 10 * ENTRY_FEE).await);
    assert!(matches!(refused, E::IsFrozen(_)));
    let refused = refusal(world.send(&alice, world.kerros, Kerros::freezeCall { entry: 1 }).await);
    assert!(matches!(refused, E::IsFrozen(_)));
    let operator = world.operator.clone();
    let data = Data::default();
    let post = world.ledger.forge(&*world.chain, &data, true, operator.address()).await;
    assert!(matches!(refusal(world.post(&operator, post).await), E::IsFrozen(_)));
}

#[tokio::test]
async fn an_account_escapes_once_with_its_own_words() {
    let world = abandoned().await;
    let (asset, alice) = (world.asset, world.alice.address());
    let right = words(9, 70, asset, alice);
    let (commitments, witness) = world.ledger.open(&*world.chain, 5, right).await;
    let call = Kerros::escapeCall { commitments, index: 5, words: right, witness };
    let refused = refusal(world.send(&world.bob, world.kerros, call.clone()).await);
    assert!(matches!(refused, E::NotFrozen(_)));
    freeze(&world).await;

    type Change = fn(&mut Kerros::escapeCall);
    let tampered: [Change; 6] = [
        |c| c.index = 6,
        |c| c.words[0] += U256::from(1),
        |c| c.words[1] += U256::from(1),
        |c| c.words[2] += U256::from(1),
        |c| (c.witness[0], c.witness[1]) = (U256::from(1), U256::from(2)),
        |c| c.witness = [U256::ZERO; 2],
    ];
    for change in tampered {
        let mut bad = call.clone();
        change(&mut bad);
        let refused = refusal(world.send(&world.bob, world.kerros, bad).await);
        assert!(matches!(refused, E::OpeningRejected(_)), "{refused:?}");
    }
    let mut bad = call.clone();
    bad.commitments[0] = U256::from(1);
    let refused = refusal(world.send(&world.bob, world.kerros, bad).await);
    assert!(matches!(refused, E::WrongRoot(_)));
    // Words that no account has, with a perfectly valid opening, and indexes beyond the domain.
    let shifted = |i: usize, bits: u32| {
        let mut words = right;
        words[i] |= U256::from(1) << bits;
        words
    };
    for bad_words in [shifted(1, 112), shifted(2, 160), words(9, 70, 0, alice)] {
        let (commitments, witness) = world.ledger.open(&*world.chain, 5, bad_words).await;
        let bad = Kerros::escapeCall { commitments, index: 5, words: bad_words, witness };
        let refused = refusal(world.send(&world.bob, world.kerros, bad).await);
        assert!(matches!(refused, E::BadAccountWords(_)));
    }
    for index in [0, 8, 9] {
        let (commitments, witness) = world.ledger.open(&*world.chain, index, right).await;
        let bad = Kerros::escapeCall { commitments, index, words: right, witness };
        let refused = refusal(world.send(&world.bob, world.kerros, bad).await);
        assert!(matches!(refused, E::BadIndex(_)));
    }
    let mut bad = call.clone();
    bad.words[0] = U256::MAX;
    let refused = refusal(world.send(&world.bob, world.kerros, bad).await);
    assert!(matches!(refused, E::NotFieldElement(_)));

    world.send(&world.bob, world.kerros, call.clone()).await.unwrap();
    assert_eq!(world.withdrawable(alice).await, U256::from(70));
    let refused = refusal(world.send(&world.bob, world.kerros, call).await);
    assert!(matches!(refused, E::AlreadyEscaped(_)));
    let claim = Kerros::claimCall { asset, account: alice };
    world.send(&world.bob, world.kerros, claim).await.unwrap();
}

#[tokio::test]
async fn waiting_entries_are_refunded_once() {
    let world = abandoned().await;
    freeze(&world).await;
    let bob = world.bob.address();
    let refund = |entry| Kerros::refundCall { entry };
    for entry in [0, 3] {
        let refused = refusal(world.send(&world.alice, world.kerros, refund(entry)).await);
        assert!(matches!(refused, E::EntryNotPending(_)));
    }
    let before = world.read(Kerros::etherCreditCall(bob)).await;
    world.send(&world.alice, world.kerros, refund(1)).await.unwrap();
    assert_eq!(world.withdrawable(bob).await, U256::from(30));
    let back = world.read(Kerros::etherCreditCall(bob)).await - before;
    assert_eq!(back, U256::from(ENTRY_FEE / 2));
    let refused = refusal(world.send(&world.alice, world.kerros, refund(1)).await);
    assert!(matches!(refused, E::EntryNotPending(_)));
    // A forced exit has no tokens to return, only the fee that nobody earned.
    world.send(&world.bob, world.kerros, refund(2)).await.unwrap();
    let claim = Kerros::claimCall { asset: world.asset, account: bob };
    world.send(&world.alice, world.kerros, claim).await.unwrap();
}
