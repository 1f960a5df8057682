//! When a batch is sealed, what it holds, and in which order.

use crate::rig::{OPERATOR, Rig, Running, account_key, exit, owner, transfer};
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::commitment::Commitments;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::proto::BatchState;
use kerros_protocol::transition::replay;
use kerros_sequencer::Config;

/// All sealed batches from `first` on, checked as an auditor would: data replays, commitments match.
async fn audited(
    rig: &Rig,
    running: &mut Running,
    ledger: &mut Ledger,
    first: u64,
) -> Vec<SealedBatch> {
    let mut out: Vec<SealedBatch> = Vec::new();
    let mut number = first;
    while running.info().await.open_batch > number {
        let batch = running.sealed(number, &rig.key.shape).await;
        batch.data.check_capacity(&rig.key.shape).unwrap();
        if let Some(before) = batch.before_growth {
            assert_eq!(ledger.commit(&rig.srs.lagrange(ledger.k()).unwrap()), before);
            ledger.grow();
            kerros_verifier::verify_growth(&rig.key, &before, &batch.old, batch.k - 1).unwrap();
        }
        let lagrange = rig.srs.lagrange(batch.k).unwrap();
        assert_eq!(ledger.commit(&lagrange), batch.old);
        replay(ledger, &batch.data).unwrap();
        assert_eq!(ledger.commit(&lagrange), batch.new);
        assert_eq!(batch.first + batch.data.queue_entries(), batch.end);
        if let Some(last) = out.last() {
            assert_eq!(last.end, batch.first);
        }
        out.push(batch);
        number += 1;
    }
    out
}

async fn funded(
    shape: &str,
    k: u8,
    k_max: u8,
    names: u8,
    change: impl FnOnce(&mut Config),
) -> (Rig, Running, Ledger) {
    let rig = Rig::new(shape, k, k_max).await;
    for name in 1..=names {
        rig.deposit(1, 1_000, name, owner(0)).await;
    }
    let mut config = rig.config();
    change(&mut config);
    let mut running = rig.start(config).await;
    running.served(names.into()).await;
    (rig, running, Ledger::new(k))
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_open_accounts_and_fill_batches_in_queue_order() {
    let (rig, mut running, mut ledger) = funded("4,2,4,2,2", 4, 4, 5, |_| {}).await;
    // To an account that exists: no open.
    rig.deposit(1, 7, 1, owner(0)).await;
    running.served(6).await;
    running.seal().await;
    let batches = audited(&rig, &mut running, &mut ledger, 1).await;
    let counts: Vec<_> = batches.iter().map(|batch| batch.data.counts()).collect();
    assert_eq!(counts, [[2, 2, 0, 0, 0], [2, 2, 0, 0, 0], [1, 2, 0, 0, 0]]);
    assert_eq!(running.account(1).await.balance, 1_007);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sealed_when_its_transfers_are_full() {
    let (rig, mut running, mut ledger) = funded("4,2,3,2,2", 4, 4, 2, |_| {}).await;
    for nonce in 0..7 {
        let receipt = running.submit(rig.transfer((1, 1), (2, 2), 1, nonce)).await.unwrap();
        let expected = (u64::from(nonce / 3) + 1, nonce % 3);
        assert_eq!((receipt.batch_number, receipt.order), expected);
    }
    running.seal().await;
    let batches = audited(&rig, &mut running, &mut ledger, 1).await;
    let transfers: Vec<_> = batches.iter().map(|batch| batch.data.transfers.len()).collect();
    assert_eq!(transfers, [3, 3, 1]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sealed_when_an_exit_or_an_open_does_not_fit() {
    let (rig, mut running, mut ledger) = funded("2,2,4,2,2", 4, 4, 2, |_| {}).await;
    for nonce in 0..3 {
        let bytes = rig.sign(exit(1, 1, 10, 0, nonce), 1);
        let receipt = running.submit(bytes).await.unwrap();
        assert_eq!(receipt.batch_number, if nonce < 2 { 1 } else { 2 });
    }
    for name in 3..6 {
        running.open(1, owner(0), name).await.unwrap();
    }
    running.seal().await;
    let batches = audited(&rig, &mut running, &mut ledger, 1).await;
    let counts: Vec<_> = batches.iter().map(|batch| batch.data.counts()).collect();
    assert_eq!(counts, [[2, 2, 0, 2, 0], [2, 0, 0, 1, 0], [1, 0, 0, 0, 0]]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sealed_at_its_configured_number_of_transactions_and_at_its_age() {
    let change = |config: &mut Config| config.batch_transactions_max = Some(2);
    let (rig, running, _) = funded("4,2,4,2,2", 4, 4, 2, change).await;
    let mut running = running;
    for nonce in 0..3 {
        let receipt = running.submit(rig.transfer((1, 1), (2, 2), 1, nonce)).await.unwrap();
        assert_eq!(receipt.batch_number, u64::from(nonce / 2) + 1);
    }
    assert_eq!(running.batch(2).await.state(), BatchState::Open);
    running.stop().await;
    let mut config = rig.config();
    config.batch_age_ms_max = 100;
    let mut running = rig.start(config).await;
    let batch = running.reached(2, BatchState::Sealed).await;
    assert_eq!(batch.counts.unwrap().transfers, 1);
    // An empty batch is not sealed, however old.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(running.batch(3).await.state(), BatchState::Open);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_transaction_never_makes_a_full_batch_seal() {
    let (rig, mut running, _) = funded("4,2,4,1,2", 4, 4, 2, |_| {}).await;
    running.submit(rig.sign(exit(1, 1, 10, 0, 0), 1)).await.unwrap();
    running.submit(rig.sign(exit(1, 1, 9_999, 0, 1), 1)).await.unwrap_err();
    assert_eq!(running.info().await.open_batch, 1);
    running.submit(rig.sign(exit(1, 1, 10, 0, 1), 1)).await.unwrap();
    assert_eq!(running.info().await.open_batch, 2);
    // What did not fit at first was executed once.
    assert_eq!(running.account(1).await.balance, 980);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_never_holds_more_fee_assets_than_it_can_collect() {
    let rig = Rig::new("4,4,4,2,1", 4, 4).await;
    for asset in [1, 2] {
        for name in [1, 2] {
            rig.deposit(asset, 1_000, name, owner(0)).await;
        }
    }
    let mut running = rig.start(rig.config()).await;
    running.served(4).await;
    running.seal().await;
    let sign = |from, to, name, nonce| rig.sign(transfer(from, to, 10, 3, nonce), name);
    running.submit(sign(1, (2, 2), 1, 0)).await.unwrap();
    running.submit(sign(1, (2, 2), 1, 1)).await.unwrap();
    // The same fee in the other asset goes to the next batch.
    let receipt = running.submit(sign(3, (4, 2), 1, 0)).await.unwrap();
    assert_eq!((receipt.batch_number, receipt.order), (3, 0));
    running.seal().await;
    let batches = audited(&rig, &mut running, &mut Ledger::new(4), 1).await;
    let collected: Vec<Vec<_>> = batches
        .iter()
        .map(|batch| batch.data.collects.iter().map(|c| (c.to.get(), c.amount)).collect())
        .collect();
    assert_eq!(collected, [vec![], vec![(5, 6)], vec![(6, 3)]]);
    for (index, asset) in [(5, 1), (6, 2)] {
        let account = running.account(index).await;
        assert_eq!((account.asset, account.key), (asset, account_key(OPERATOR).to_be().to_vec()));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_exits_run_last_in_queue_order_and_strangers_get_nothing() {
    let rig = Rig::new("4,3,4,3,2", 4, 4).await;
    rig.deposit(1, 1_000, 1, owner(0)).await;
    rig.deposit(1, 1_000, 2, owner(2)).await;
    rig.force_exit(1, 1).await; // not the owner
    rig.force_exit(2, 2).await; // the owner
    rig.deposit(1, 5, 2, owner(2)).await; // later in the queue, but before forced exits in the batch
    let mut running = rig.start(rig.config()).await;
    running.served(5).await;
    running.submit(rig.sign(transfer(2, (1, 1), 100, 0, 0), 2)).await.unwrap();
    running.seal().await;
    let batches = audited(&rig, &mut running, &mut Ledger::new(4), 1).await;
    let exits: Vec<_> = batches[0]
        .data
        .exits
        .iter()
        .map(|exit| (exit.from.get(), exit.amount, exit.forced, exit.asset, exit.recipient))
        .collect();
    assert_eq!(exits, [(1, 0, true, 1, owner(1)), (2, 905, true, 1, owner(2))]);
    assert_eq!(running.account(2).await.balance, 0);
    assert_eq!(running.account(1).await.balance, 1_100);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_exits_that_do_not_fit_come_first_in_the_next_batch() {
    let rig = Rig::new("4,3,4,2,2", 4, 4).await;
    rig.deposit(1, 1_000, 1, owner(0)).await;
    for _ in 0..3 {
        rig.force_exit(1, 1).await;
    }
    let mut running = rig.start(rig.config()).await;
    running.served(4).await;
    running.submit(rig.sign(exit(1, 1, 10, 0, 0), 1)).await.unwrap();
    running.seal().await;
    let batches = audited(&rig, &mut running, &mut Ledger::new(4), 1).await;
    let forced: Vec<Vec<bool>> =
        batches.iter().map(|b| b.data.exits.iter().map(|exit| exit.forced).collect()).collect();
    assert_eq!(forced, [vec![true, true], vec![false, true]]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_grows_when_it_fills_up_and_when_asked() {
    let change = |config: &mut Config| config.grow_at_percent = 75;
    let (rig, mut running, mut ledger) = funded("4,4,8,2,2", 3, 5, 2, change).await;
    for name in 3..=7 {
        running.open(1, owner(0), name).await.unwrap();
    }
    running.seal().await;
    assert_eq!(running.info().await.k, 4, "7 of 8 places are more than three quarters");
    // The new places can be used, and the open batch remembers a wish for the one after it.
    assert_eq!(running.open(1, owner(0), 8).await.unwrap(), 8);
    assert_eq!(running.handle.grow().await, Some(5));
    assert_eq!(running.info().await.k, 4);
    running.stop().await;
    let mut running = rig.start(rig.config()).await;
    running.submit(rig.transfer((1, 1), (2, 2), 5, 0)).await.unwrap();
    running.seal().await;
    assert_eq!(running.info().await.k, 5);
    running.submit(rig.transfer((1, 1), (2, 2), 5, 1)).await.unwrap();
    running.seal().await;
    let batches = audited(&rig, &mut running, &mut ledger, 1).await;
    let grows: Vec<_> =
        batches.iter().map(|batch| (batch.k, batch.before_growth.is_some())).collect();
    assert_eq!(grows, [(3, false), (3, false), (4, true), (5, true)]);
    assert_eq!(running.handle.grow().await, Some(5), "as large as it can be");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn growth_asked_for_before_the_first_transaction_is_in_the_first_batch() {
    let (rig, mut running, mut ledger) = funded("4,4,8,2,2", 3, 5, 0, |_| {}).await;
    assert_eq!(running.handle.grow().await, Some(4));
    rig.deposit(1, 10, 1, owner(0)).await;
    running.served(1).await;
    running.seal().await;
    let batches = audited(&rig, &mut running, &mut ledger, 1).await;
    assert_eq!(batches[0].before_growth, Some(Commitments::empty()));
    running.stop().await;
}
