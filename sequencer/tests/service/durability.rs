//! Nothing acknowledged is lost, nothing is executed twice, answers stay what they were.

use crate::rig::{Rig, Running, account, at, exit, owner, reason, transfer};
use kerros_protocol::commitment::Commitments;
use kerros_protocol::proto::{self, BatchState, submit_transactions_response::Result as Outcome};
use kerros_protocol::transaction::SignedTransaction;
use kerros_sequencer::journal::{Checkpoint, Journal, Operation};
use kerros_sequencer::{Sequencer, StartError};
use std::sync::Arc;
use tokio_stream::StreamExt;

async fn funded() -> Rig {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    for name in 1..=2 {
        rig.deposit(1, 1_000, name, owner(0)).await;
    }
    rig
}

async fn state(running: &mut Running) -> (Vec<proto::Account>, proto::Batch, u64) {
    let mut accounts = Vec::new();
    let info = running.info().await;
    for index in 1..=u32::try_from(info.accounts).unwrap() {
        accounts.push(running.account(index).await);
    }
    (accounts, running.batch(info.open_batch).await, info.queue_next)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_replays_the_open_batch_and_receipts_stay_the_same() {
    let rig = funded().await;
    let mut running = rig.start(rig.config()).await;
    running.served(2).await;
    running.open(1, owner(3), 3).await.unwrap();
    let mut sent = Vec::new();
    for nonce in 0..10 {
        let transaction = match nonce % 3 {
            0 => exit(1, 1, 1, 0, nonce),
            1 => transfer(1, (2, 2), 2, 3, nonce),
            _ => transfer(1, (1, 1), 2, 0, nonce),
        };
        let bytes = rig.sign(transaction, 1);
        sent.push((bytes.clone(), running.submit(bytes).await.unwrap()));
    }
    rig.force_exit(0, 1).await;
    running.served(3).await;
    let before = state(&mut running).await;
    assert!(before.1.number > 1, "some are sealed, some are open");
    running.stop().await;

    let mut running = rig.start(rig.config()).await;
    assert_eq!(state(&mut running).await, before);
    for (bytes, receipt) in &sent {
        assert_eq!(&running.submit(bytes.clone()).await.unwrap(), receipt);
        let transaction_id = receipt.transaction_id.clone();
        let request = proto::GetTransactionRequest { transaction_id };
        let found = running.client.get_transaction(request).await.unwrap().into_inner();
        assert_eq!((found.receipt.as_ref(), &found.transaction), (Some(receipt), bytes));
        let open = receipt.batch_number == before.1.number;
        assert_eq!(found.state(), if open { BatchState::Open } else { BatchState::Sealed });
    }
    assert_eq!(state(&mut running).await, before, "asking again changes nothing");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_are_not_those_of_the_checkpoint_are_refused() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    rig.craft(&[account(1, 1, 100, 3), account(2, 1, 7, 0)]);
    let mut running = rig.start(rig.config()).await;
    assert_eq!(running.account(1).await.balance, 100);
    running.stop().await;

    let journal = Journal::open(&rig.data_dir()).unwrap();
    let good = journal.checkpoint().unwrap().unwrap();
    let ledger = journal.ledger(good.head.k).unwrap();
    assert_eq!(ledger.get(at(2)), account(2, 1, 7, 0));
    let commitments = Commitments::empty();
    journal.put_checkpoint(&Checkpoint { commitments, ..good.clone() }).unwrap();
    drop(journal);
    let start = || {
        let chain = Arc::new(rig.chain.clone());
        Sequencer::start(rig.config(), chain, rig.key.clone(), rig.srs.clone())
    };
    let refused = start().await.err();
    assert!(matches!(refused, Some(StartError::OtherAccounts { batch: 2 })), "{refused:?}");

    Journal::open(&rig.data_dir()).unwrap().put_checkpoint(&good).unwrap();
    start().await.unwrap().shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_transaction_is_in_the_journal_when_its_answer_arrives() {
    let rig = funded().await;
    let mut running = rig.start(rig.config()).await;
    running.served(2).await;
    let receipt = running.submit(rig.transfer((1, 1), (2, 2), 1, 0)).await.unwrap();
    // A copy of the directory as it is at this moment is what a crash would leave.
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(rig.data_dir()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let journal = Journal::open(copy.path()).unwrap();
    let operations = journal.operations(1).unwrap();
    let Some(Operation::Signed(signed)) = operations.last() else { panic!("{operations:?}") };
    assert_eq!(signed.transaction.id().0.to_vec(), receipt.transaction_id);
    assert!(journal.transaction(&signed.transaction.id()).unwrap().is_some());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_transaction_sent_side_by_side_is_executed_once() {
    let rig = funded().await;
    let mut running = rig.start(rig.config()).await;
    running.served(2).await;
    let bytes = rig.transfer((1, 1), (2, 2), 10, 0);
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (mut client, transaction) = (running.client.clone(), bytes.clone());
            tokio::spawn(async move {
                let request = proto::SubmitTransactionRequest { transaction };
                client.submit_transaction(request).await.unwrap().into_inner().receipt.unwrap()
            })
        })
        .collect();
    let mut receipts = Vec::new();
    for call in calls {
        receipts.push(call.await.unwrap());
    }
    assert!(receipts.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(running.account(1).await.balance, 990);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_transaction_with_a_used_nonce_is_no_repetition() {
    let rig = funded().await;
    let mut running = rig.start(rig.config()).await;
    running.served(2).await;
    running.submit(rig.transfer((1, 1), (2, 2), 10, 0)).await.unwrap();
    let status = running.submit(rig.transfer((1, 1), (2, 2), 11, 0)).await.unwrap_err();
    assert_eq!(reason(&status), "WRONG_NONCE");
    // The id does not cover the signature: somebody else's signature repeats nothing.
    let repeated = rig.sign(transfer(1, (2, 2), 10, 0, 0), 2);
    assert_eq!(reason(&running.submit(repeated).await.unwrap_err()), "WRONG_KEY");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_executed_and_answered_in_its_own_order() {
    let rig = Rig::new("4,2,16,2,2", 4, 5).await;
    rig.craft(&[account(1, 1, 1_000, 0), account(2, 1, 0, 0)]);
    let mut running = rig.start(rig.config()).await;
    let mut requests = Vec::new();
    for nonce in 0..100 {
        requests.push(rig.transfer((1, 1), (2, 2), 1, nonce));
        if nonce == 50 {
            requests.push(vec![0; 10]);
            requests.push(vec![0; 10_00]);
            requests.push(rig.transfer((1, 1), (2, 2), 1, 0));
        }
    }
    let stream = requests.clone().into_iter();
    let stream = stream.map(|transaction| proto::SubmitTransactionsRequest { transaction });
    let answers =
        running.client.submit_transactions(tokio_stream::iter(stream)).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap()).collect().await;
    assert_eq!(answers.len(), requests.len());
    for (i, (answer, request)) in answers.iter().zip(&requests).enumerate() {
        assert_eq!(answer.sequence, i as u64);
        match (SignedTransaction::decode(request), answer.result.as_ref().unwrap()) {
            (Ok(signed), Outcome::Receipt(receipt)) => {
                assert_eq!(receipt.transaction_id, signed.transaction.id().0);
            }
            (Err(_), Outcome::Rejection(rejection)) => {
                let code = if i == 51 { "TRANSACTION_MALFORMED" } else { "TRANSACTION_TOO_LARGE" };
                assert_eq!(rejection.reason, code);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answers[53].result, answers[0].result, "the first one again");
    assert_eq!(running.account(2).await.balance, 100);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_fee_accounts_are_refused_while_a_batch_collects_for_the_old_ones() {
    let rig = funded().await;
    let mut running = rig.start(rig.config()).await;
    running.served(2).await;
    running.submit(rig.sign(transfer(1, (2, 2), 10, 5, 0), 1)).await.unwrap();
    running.stop().await;
    let other = kerros_sequencer::Config { fee_owner: owner(2), ..rig.config() };
    let chain = std::sync::Arc::new(rig.chain.clone());
    let (key, srs) = (rig.key.clone(), rig.srs.clone());
    let refused = kerros_sequencer::Sequencer::start(other.clone(), chain, key, srs).await;
    let refused = refused.err().expect("refused").to_string();
    assert!(refused.contains("collects fees for another key or owner"), "{refused}");
    let mut running = rig.start(rig.config()).await;
    running.seal().await;
    running.stop().await;
    rig.start(other).await.stop().await;
}
