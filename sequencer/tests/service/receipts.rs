//! Receipts: signed, chained, followed from any place; and what waits for its turn.

use crate::rig::{Rig, Running, account, exit, owner, reason, transfer};
use alloy::primitives::{Address as ChainAddress, B256, Signature};
use kerros_protocol::proto::{self, FollowReceiptsRequest, FollowReceiptsResponse};
use kerros_protocol::receipt::{Promise, Promised, Receipt};
use kerros_protocol::transaction::TransactionId;
use std::time::Duration;
use tokio_stream::StreamExt;

fn decode(receipt: &proto::Receipt) -> Receipt {
    Receipt {
        promise: Promise {
            id: TransactionId(receipt.transaction_id.clone().try_into().unwrap()),
            batch: receipt.batch_number,
            order: receipt.order.try_into().unwrap(),
            previous: receipt.previous.clone().try_into().unwrap(),
            deadline_ms: receipt.deadline_ms,
        },
        index: receipt.group_index,
        count: receipt.group_count,
        path: receipt.path.iter().map(|hash| hash.clone().try_into().unwrap()).collect(),
        signature: receipt.signature.clone().try_into().unwrap(),
    }
}

/// Everything from a place on that is there now.
async fn follow(
    running: &mut Running,
    from: (u64, u32),
    count: usize,
) -> Vec<FollowReceiptsResponse> {
    let request = FollowReceiptsRequest { from_batch: from.0, from_order: from.1 };
    let stream = running.client.follow_receipts(request).await.unwrap().into_inner();
    stream.take(count).map(|answer| answer.unwrap()).collect().await
}

async fn pay(
    running: &mut Running,
    rig: &Rig,
    nonces: std::ops::Range<u32>,
) -> Vec<proto::Receipt> {
    let requests: Vec<_> = nonces
        .map(|nonce| rig.transfer((1, 1), (2, 2), 1, nonce))
        .map(|transaction| proto::SubmitTransactionsRequest { transaction })
        .collect();
    let stream = running.client.submit_transactions(tokio_stream::iter(requests)).await.unwrap();
    let answers = stream.into_inner().map(|answer| match answer.unwrap().result.unwrap() {
        proto::submit_transactions_response::Result::Receipt(receipt) => receipt,
        other => panic!("{other:?}"),
    });
    answers.collect().await
}

async fn rich() -> Rig {
    let rig = Rig::new("4,2,16,2,2", 4, 5).await;
    rig.craft(&[account(1, 1, 1_000, 0), account(2, 1, 0, 0)]);
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_signed_and_form_one_chain_across_batches_and_restarts() {
    let rig = rich().await;
    let mut running = rig.start(rig.config()).await;
    let mut told = pay(&mut running, &rig, 0..50).await;
    told.push(running.submit(rig.transfer((1, 1), (2, 2), 1, 50)).await.unwrap());
    running.stop().await;
    let mut running = rig.start(rig.config()).await;
    told.extend(pay(&mut running, &rig, 51..60).await);
    assert!(told.last().unwrap().batch_number > told[0].batch_number + 2);

    let signer = ChainAddress::from_slice(&running.info().await.receipt_signer);
    let mut previous = [0; 32];
    for receipt in &told {
        let receipt = decode(receipt);
        assert_eq!(receipt.promise.previous, previous, "{receipt:?}");
        previous = receipt.promise.hash(rig.domain());
        let digest = B256::from(receipt.digest(rig.domain()).unwrap());
        let signature = Signature::try_from(&receipt.signature[..]).unwrap();
        assert_eq!(signature.recover_address_from_prehash(&digest).unwrap(), signer);
    }
    let followed = follow(&mut running, (0, 0), told.len()).await;
    let receipts: Vec<_> = followed.iter().map(|answer| answer.receipt.clone().unwrap()).collect();
    assert_eq!(receipts, told);
    let half = &followed[29];
    let rest = follow(&mut running, (half.next_batch, half.next_order), 30).await;
    assert_eq!(rest, followed[30..]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_new_receipts_and_a_slow_one_harms_nobody() {
    let rig = rich().await;
    let mut running = rig.start(rig.config()).await;
    let request = FollowReceiptsRequest { from_batch: 0, from_order: 0 };
    let mut slow = running.client.follow_receipts(request).await.unwrap().into_inner();
    let told = pay(&mut running, &rig, 0..900).await;
    assert_eq!(running.account(2).await.balance, 900);
    for receipt in told {
        assert_eq!(slow.message().await.unwrap().unwrap().receipt, Some(receipt));
    }
    let next = running.submit(rig.transfer((1, 1), (2, 2), 1, 900)).await.unwrap();
    assert_eq!(slow.message().await.unwrap().unwrap().receipt, Some(next));
    drop(slow);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_ahead_of_its_nonce_waits_for_the_ones_before() {
    let rig = rich().await;
    let mut running = rig.start(rig.config()).await;
    let ahead = [2, 1].map(|nonce| {
        let (mut client, transaction) =
            (running.client.clone(), rig.transfer((1, 1), (2, 2), 1, nonce));
        tokio::spawn(async move {
            let request = proto::SubmitTransactionRequest { transaction };
            client.submit_transaction(request).await
        })
    });
    // Both wait: the account's nonce is still 0.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(ahead.iter().all(|call| !call.is_finished()));
    let other = rig.sign(transfer(1, (2, 2), 7, 0, 2), 1);
    assert_eq!(reason(&running.submit(other).await.unwrap_err()), "NONCE_TAKEN");
    let far = rig.transfer((1, 1), (2, 2), 1, 1_000);
    assert_eq!(reason(&running.submit(far).await.unwrap_err()), "WRONG_NONCE");

    let first = running.submit(rig.transfer((1, 1), (2, 2), 1, 0)).await.unwrap();
    let mut orders = vec![first.order];
    for call in ahead.into_iter().rev() {
        orders.push(call.await.unwrap().unwrap().into_inner().receipt.unwrap().order);
    }
    assert_eq!(orders, [0, 1, 2]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_is_never_filled_is_refused_as_transient_in_time() {
    let rig = rich().await;
    let mut running = rig.start(rig.config()).await;
    let status = running.submit(rig.transfer((1, 1), (2, 2), 1, 3)).await.unwrap_err();
    assert_eq!(reason(&status), "WRONG_NONCE");
    assert!(crate::rig::transient(&status));
    assert_eq!(running.account(1).await.nonce, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_transaction_of_a_stream_does_not_hold_up_the_others() {
    let rig = rich().await;
    let mut running = rig.start(rig.config()).await;
    let requests = [
        rig.transfer((1, 1), (2, 2), 5, 1),
        rig.transfer((1, 1), (2, 2), 3, 0),
        rig.sign(exit(2, 1, 8, 0, 0), 2),
    ];
    let requests = requests.map(|transaction| proto::SubmitTransactionsRequest { transaction });
    let stream = running.client.submit_transactions(tokio_stream::iter(requests)).await.unwrap();
    let answers: Vec<_> = stream.into_inner().map(|answer| answer.unwrap()).collect().await;
    let orders: Vec<_> = answers
        .iter()
        .map(|answer| match answer.result.as_ref().unwrap() {
            proto::submit_transactions_response::Result::Receipt(receipt) => receipt.order,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(orders, [1, 0, 2], "answers keep the stream's order");
    assert_eq!((running.account(1).await.balance, running.account(2).await.balance), (992, 0));
    assert_eq!(running.open(1, owner(3), 3).await.unwrap(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_unsettled_batches_slow_admission_down_and_the_api_says_so() {
    let rig = rich().await;
    let config = kerros_sequencer::Config { unsettled_slow: 1, ..rig.config() };
    let mut running = rig.start(config).await;
    assert_eq!(running.info().await.admission_pause_ms, 0);
    pay(&mut running, &rig, 0..50).await;
    for _ in 0..200 {
        let info = running.info().await;
        // The crafted batch and three full ones.
        if (info.unsettled_batches, info.admission_pause_ms) == (4, 3) {
            return running.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", running.info().await);
}
