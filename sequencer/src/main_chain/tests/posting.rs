//! Posts that are accepted, what they change and what they cost.

use super::data::{Data, SHAPE};
use super::forge::Ledger;
use super::world::{ENTRY_FEE, SILENCE, UNIT, World, refusal};
use alloy::primitives::U256;
use alloy::sol_types::SolEvent;
use kerros_verifier::contract::{Kerros, KerrosErrors as E, TestToken};

#[tokio::test]
async fn a_batch_serves_the_queue_credits_exits_and_pays_its_beneficiary() {
    let mut world = World::embedded().await;
    let (asset, alice, bob) = (world.asset, world.alice.address(), world.bob.address());
    world.deposit(&world.alice, 70, 9).await;
    world.force(&world.bob, 3).await;
    world.deposit(&world.bob, 30, 10).await;
    let operator = world.operator.address();
    let before = world.read(Kerros::etherCreditCall(operator)).await;
    let data = Data {
        opens: vec![(1, asset, alice, U256::from(9)), (2, asset, bob, U256::from(10))],
        deposits: vec![(1, 70, asset, U256::from(9), alice), (2, 30, asset, U256::from(10), bob)],
        transfers: vec![(1, 2, 5, 0), (2, 1, 6, 1), (1, 2, 7, 2)],
        exits: vec![
            (1, 20, 3, 0, asset, alice),
            (3, 0, 0, 1, 77, bob),
            (2, 30, 0, 0, asset, alice),
        ],
        collects: vec![(1, 5)],
    };
    let receipt = world.advance(&data, false).await;

    assert_eq!(world.read(Kerros::batchNumberCall {}).await, 1);
    let points = Ledger::points(&*world.chain, world.ledger.commitments).await;
    let root = Ledger::root(&points, 2);
    assert_eq!(world.read(Kerros::rootCall {}).await, root);
    assert_eq!(world.read(Kerros::headCall {}).await, 3);
    assert_eq!(world.withdrawable(alice).await, U256::from(50));
    assert_eq!(world.withdrawable(bob).await, U256::ZERO, "amount 0 touches no table");
    assert_eq!(world.read(Kerros::assetsCall(asset)).await.supply, 50);
    let earned = world.read(Kerros::etherCreditCall(operator)).await - before;
    let fees = (0..3).map(|ahead| (ENTRY_FEE * (16 + ahead) / 16) / 2).sum::<u64>();
    assert_eq!(earned, U256::from(fees), "half of each fee, the rest is burnt");

    let log = receipt.logs.last().unwrap();
    let posted = Kerros::BatchPosted::decode_raw_log(log.topics.clone(), &log.data).unwrap();
    assert_eq!((posted.number, posted.first, posted.end, posted.k), (1, 0, 3, 2));
    assert_eq!((posted.newRoot, posted.beneficiary), (root, operator));

    let claim = Kerros::claimCall { asset, account: alice };
    let had = world.ask(world.token, TestToken::balanceOfCall(alice)).await;
    world.send(&world.bob, world.kerros, claim).await.unwrap();
    let has = world.ask(world.token, TestToken::balanceOfCall(alice)).await;
    assert_eq!(has - had, U256::from(50 * UNIT));
    assert_eq!(world.withdrawable(alice).await, U256::ZERO);
}

#[tokio::test]
async fn batches_follow_each_other_full_and_empty_and_grow() {
    let mut world = World::embedded().await;
    let operator = world.operator.address();
    let full = Data {
        opens: vec![(1, world.asset, operator, U256::from(1)); SHAPE[0] as usize],
        transfers: vec![(1, 2, 3, 4); SHAPE[2] as usize],
        exits: vec![(3, 0, 0, 0, 0, operator); SHAPE[3] as usize],
        collects: vec![(1, 0); SHAPE[4] as usize],
        ..Data::default()
    };
    for (data, grow) in
        [(&Data::default(), false), (&full, true), (&full, false), (&Data::default(), true)]
    {
        world.advance(data, grow).await;
    }
    assert_eq!(world.read(Kerros::kCall {}).await, 4);
    assert_eq!(world.read(Kerros::batchNumberCall {}).await, 4);
    assert_eq!(world.read(Kerros::openedCall {}).await, 4);
}

#[tokio::test]
async fn verification_and_transfers_stay_within_their_gas() {
    let mut world = World::of_shape([2, 2, 512, 3, 2]).await;
    world.advance(&Data::default(), false).await;
    let full = u64::from(u32::MAX);
    let transfer = (0x0101_0101, 0x0202_0202, full << 32 | full, 0x0303);
    let mut used = Vec::new();
    for count in [0u64, 256, 512] {
        let transfers = vec![transfer; usize::try_from(count).unwrap()];
        let receipt = world.advance(&Data { transfers, ..Data::default() }, false).await;
        used.push(receipt.gas_used);
    }
    // A byte that is not zero costs 16.
    let each = (used[2] - used[1]) / 256 - 16 * 18;
    println!("a batch without records: {} gas; a transfer beside its bytes: {each} gas", used[0]);
    // 21,000 for the transaction and about 17,000 for 1,300 bytes of proof and commitments.
    assert!(used[0] <= 480_000, "{} gas", used[0]);
    assert!(each <= 100, "{each} gas");
}

#[tokio::test]
async fn anybody_posts_when_the_operator_is_silent_but_must_serve_what_is_old() {
    let mut world = World::embedded().await;
    let bob = world.bob.clone();
    let (asset, alice) = (world.asset, world.alice.address());
    world.deposit(&world.alice, 7, 9).await;
    (world.time)(SILENCE / 2).await;
    world.deposit(&world.alice, 7, 9).await;
    world.deposit(&world.alice, 7, 9).await;
    (world.time)(SILENCE / 2 + 10).await;
    world.force(&world.alice, 1).await;

    let deposit = (1, 7, asset, U256::from(9), alice);
    let lazy = Data::default();
    let post = world.ledger.clone().forge(&*world.chain, &lazy, false, bob.address()).await;
    let E::MustServe(values) = refusal(world.post(&bob, post).await) else { panic!() };
    assert_eq!(values.entry, 0);
    let less = Data { deposits: vec![deposit], ..Data::default() };
    let post = world.ledger.clone().forge(&*world.chain, &less, false, bob.address()).await;
    let E::MustServe(values) = refusal(world.post(&bob, post).await) else { panic!() };
    assert_eq!(values.entry, 1);
    // Two deposits fill the section: the third, old too, may wait.
    let enough = Data { deposits: vec![deposit; 2], ..Data::default() };
    let post = world.ledger.forge(&*world.chain, &enough, false, bob.address()).await;
    world.post(&bob, post).await.unwrap();
    // The rest: one more deposit is old, the forced exit is not.
    let post = world.ledger.forge(&*world.chain, &less, false, bob.address()).await;
    world.post(&bob, post).await.unwrap();
    // A stranger's batches do not break the operator's silence; its own does.
    let post = world.ledger.forge(&*world.chain, &lazy, false, bob.address()).await;
    world.post(&bob, post).await.unwrap();
    world.advance(&lazy, false).await;
    let post = world.ledger.clone().forge(&*world.chain, &lazy, false, bob.address()).await;
    assert!(matches!(refusal(world.post(&bob, post).await), E::OperatorNotSilent(_)));
}
