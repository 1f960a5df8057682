//! What enters the queue, at what price and with what deadline.

use super::data::Data;
use super::world::{
    ENTRY_FEE, ENTRY_FEE_BASE, ENTRY_WINDOW, FORCE_WINDOW, UNIT, World, deposit_call, refusal,
};
use crate::main_chain::At;
use crate::main_chain::embedded::BASE_FEE;
use alloy::primitives::{Address, U256};
use alloy::sol_types::SolEvent;
use kerros_verifier::contract::{Kerros, KerrosErrors as E, TestToken};

#[tokio::test]
async fn deposits_that_could_never_be_proved_are_refused() {
    let world = World::embedded().await;
    let (kerros, alice) = (world.kerros, world.alice.clone());
    let good = || deposit_call(world.asset, 5, 9, alice.address());
    let r: U256 = "21888242871839275222246405745257275088548364400416034343698204186575808495617"
        .parse()
        .unwrap();
    for key in [U256::ZERO, r, U256::MAX] {
        let call = Kerros::depositCall { key, ..good() };
        assert!(matches!(refusal(world.pay(&alice, kerros, call, ENTRY_FEE).await), E::BadKey(_)));
    }
    let call = Kerros::depositCall { owner: Address::ZERO, ..good() };
    assert!(matches!(refusal(world.pay(&alice, kerros, call, ENTRY_FEE).await), E::ZeroOwner(_)));
    for asset in [0, 2, u16::MAX] {
        let call = Kerros::depositCall { asset, ..good() };
        let refused = refusal(world.pay(&alice, kerros, call, ENTRY_FEE).await);
        assert!(matches!(refused, E::UnknownAsset(_)));
    }
    let call = Kerros::depositCall { baseAmount: U256::ZERO, ..good() };
    assert!(matches!(refusal(world.pay(&alice, kerros, call, ENTRY_FEE).await), E::ZeroAmount(_)));
    let call = Kerros::depositCall { baseAmount: U256::from(UNIT + 1), ..good() };
    let refused = refusal(world.pay(&alice, kerros, call, ENTRY_FEE).await);
    assert!(matches!(refused, E::NotMultipleOfUnit(_)));
    let call =
        Kerros::depositCall { baseAmount: (U256::from(1) << 64) * U256::from(UNIT), ..good() };
    let refused = refusal(world.pay(&alice, kerros, call, ENTRY_FEE).await);
    assert!(matches!(refused, E::SupplyBound(_)));
    let refused = refusal(world.pay(&alice, kerros, good(), ENTRY_FEE_BASE - 1).await);
    assert!(matches!(refused, E::EntryFeeTooLow(_)));
    let broke = Kerros::depositCall { baseAmount: U256::from(10_000_000 * UNIT), ..good() };
    let refused = refusal(world.pay(&alice, kerros, broke, ENTRY_FEE).await);
    assert!(matches!(refused, E::TransferFailed(_)));
    world
        .pay(&alice, kerros, Kerros::depositCall { key: r - U256::from(1), ..good() }, ENTRY_FEE)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_supply_of_an_asset_stays_below_two_to_the_64() {
    let world = World::embedded().await;
    let alice = world.alice.clone();
    let most = U256::from(u64::MAX) * U256::from(UNIT);
    let mint = TestToken::mintCall { to: alice.address(), amount: most };
    world.send(&alice, world.token, mint).await.unwrap();
    let call = Kerros::depositCall {
        baseAmount: most,
        ..deposit_call(world.asset, 1, 9, alice.address())
    };
    world.pay(&alice, world.kerros, call, ENTRY_FEE).await.unwrap();
    let one_more = deposit_call(world.asset, 1, 9, alice.address());
    let refused = refusal(world.pay(&alice, world.kerros, one_more, 2 * ENTRY_FEE).await);
    assert!(matches!(refused, E::SupplyBound(_)));
}

#[tokio::test]
async fn entries_keep_what_they_bind_and_their_deadline_counts_those_before() {
    let world = World::embedded().await;
    let receipt = world.deposit(&world.alice, 7, 9).await;
    let signature = Kerros::DepositQueued::SIGNATURE_HASH;
    let log = receipt.logs.iter().find(|log| log.topics[0] == signature).unwrap();
    let queued = Kerros::DepositQueued::decode_raw_log(log.topics.clone(), &log.data).unwrap();
    let now = world.chain.block(receipt.block).await.unwrap().unwrap().timestamp;
    assert_eq!((queued.entry, queued.depositor), (0, world.alice.address()));
    assert_eq!((queued.asset, queued.amount, queued.key), (world.asset, 7, U256::from(9)));
    assert_eq!(queued.deadline, now + FORCE_WINDOW);
    assert_eq!(queued.fee, U256::from(ENTRY_FEE));

    let receipt = world.force(&world.bob, 3).await;
    let now = world.chain.block(receipt.block).await.unwrap().unwrap().timestamp;
    let second = world.read(Kerros::queueEntryCall { index: 1 }).await;
    assert_eq!(second.deadline, now + FORCE_WINDOW + ENTRY_WINDOW);
    assert_eq!((second.entry.kind, second.entry.amount), (2, 3));
    assert_eq!(second.entry.sender, world.bob.address());
    assert!(second.pending);
    // 1 + 2/16 of the base
    let base_fee = U256::from(BASE_FEE);
    let fee = world.read(Kerros::entryFeeAtCall { baseFee: base_fee }).await;
    assert_eq!(fee, U256::from(ENTRY_FEE + 2 * ENTRY_FEE / 16));
}

#[tokio::test]
async fn forced_exits_name_an_index_of_the_ledger() {
    let world = World::embedded().await;
    for index in [0, 4, 5, u32::MAX] {
        let call = Kerros::forceExitCall { index };
        let refused = refusal(world.pay(&world.alice, world.kerros, call, ENTRY_FEE).await);
        assert!(matches!(refused, E::BadIndex(_)), "{index}");
    }
    let call = Kerros::forceExitCall { index: 3 };
    let refused = refusal(world.pay(&world.alice, world.kerros, call, ENTRY_FEE_BASE - 1).await);
    assert!(matches!(refused, E::EntryFeeTooLow(_)));
    world.force(&world.alice, 3).await;
}

#[tokio::test]
async fn deposits_never_outnumber_the_accounts_that_can_still_be_opened() {
    let mut world = World::embedded().await;
    let room = 15;
    for key in 1..=room {
        world.deposit(&world.alice, 1, key).await;
    }
    let call = deposit_call(world.asset, 1, 99, world.alice.address());
    let refused = refusal(world.pay(&world.alice, world.kerros, call, 10 * ENTRY_FEE).await);
    assert!(matches!(refused, E::LedgerFull(_)));
    // A batch that opens for nobody in the queue would take the room of those who wait.
    let stranger = (1, world.asset, world.bob.address(), U256::from(5));
    let data = Data { opens: vec![stranger], ..Data::default() };
    let operator = world.operator.clone();
    let post = world.ledger.clone().forge(&*world.chain, &data, false, operator.address()).await;
    assert!(matches!(refusal(world.post(&operator, post).await), E::LedgerFull(_)));
    let owner = world.alice.address();
    let data = Data {
        opens: vec![(1, world.asset, owner, U256::from(1))],
        deposits: vec![(1, 1, world.asset, U256::from(1), owner)],
        ..Data::default()
    };
    world.advance(&data, false).await;
    assert_eq!(world.read(Kerros::openedCall {}).await, 1);
    assert_eq!(world.read(Kerros::pendingDepositsCall {}).await, 14);
    let burnt = world.chain.balance(world.kerros, At::Latest).await.unwrap();
    assert!(burnt > U256::ZERO);
}
