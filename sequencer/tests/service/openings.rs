//! Receipts of accounts that were opened: signed, chained, kept, and of what the batch then says.

use crate::rig::{Rig, Running, account_key, owner};
use alloy::primitives::{Address as ChainAddress, B256, Signature};
use kerros_protocol::account::{AccountIndex, AssetId};
use kerros_protocol::batch::OpenRecord;
use kerros_protocol::proto::{OpenAccountRequest, OpenAccountResponse};
use kerros_protocol::receipt::{Opening, Promised, Receipt};

fn request(name: u8) -> OpenAccountRequest {
    let (owner, key) = (owner(name.into()).0.to_vec(), account_key(name).to_be().to_vec());
    OpenAccountRequest { asset: 1, owner, key }
}
/// Opens accounts at once; answers by name.
async fn open(running: &Running, names: &[u8]) -> Vec<(u8, OpenAccountResponse)> {
    let calls = names.iter().map(|name| {
        let (mut client, request) = (running.client.clone(), request(*name));
        let call = async move { client.open_account(request).await.unwrap().into_inner() };
        (*name, tokio::spawn(call))
    });
    let calls: Vec<_> = calls.collect();
    let mut answers = Vec::new();
    for (name, call) in calls {
        answers.push((name, call.await.unwrap()));
    }
    answers
}
fn decode(name: u8, answer: &OpenAccountResponse) -> Receipt<Opening> {
    let receipt = answer.receipt.clone().expect("every opening has one");
    assert_eq!(receipt.index, answer.index);
    let record = OpenRecord {
        index: AccountIndex::new(answer.index).unwrap(),
        asset: AssetId::new(1).unwrap(),
        owner: owner(name.into()),
        key: account_key(name),
    };
    Receipt {
        promise: Opening {
            record,
            batch: receipt.batch_number,
            previous: receipt.previous.try_into().unwrap(),
            deadline_ms: receipt.deadline_ms,
        },
        index: receipt.group_index,
        count: receipt.group_count,
        path: receipt.path.into_iter().map(|hash| hash.try_into().unwrap()).collect(),
        signature: receipt.signature.try_into().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_opening_has_a_signed_receipt_of_one_chain_whoever_asks_and_whenever() {
    let rig = Rig::new("4,2,8,2,2", 5, 6).await;
    let mut running = rig.start(rig.config()).await;
    let info = running.info().await;
    let signer = ChainAddress::from_slice(&info.receipt_signer);
    let mut told = open(&running, &[1, 2, 3]).await;
    // The deposit opens account 4 for a key that only asks afterwards.
    rig.deposit(1, 1_000, 4, owner(4)).await;
    running.served(1).await;
    told.extend(open(&running, &[4]).await);
    assert!(!told[3].1.opened);
    running.seal().await;
    running.stop().await;
    let mut running = rig.start(rig.config()).await;
    // More than a batch opens: some of these are in the next one.
    told.extend(open(&running, &[5, 6, 7, 8, 9]).await);

    let mut receipts: Vec<_> = told.iter().map(|(name, answer)| decode(*name, answer)).collect();
    receipts.sort_by_key(|receipt| receipt.promise.record.index);
    let mut previous = [0; 32];
    for receipt in &receipts {
        assert_eq!(receipt.promise.previous, previous, "{receipt:?}");
        previous = receipt.promise.hash(rig.domain());
        let digest = B256::from(receipt.digest(rig.domain()).unwrap());
        let signature = Signature::try_from(&receipt.signature[..]).unwrap();
        assert_eq!(signature.recover_address_from_prehash(&digest).unwrap(), signer);
    }
    let batches: Vec<_> = receipts.iter().map(|receipt| receipt.promise.batch).collect();
    assert_eq!(batches, [1, 1, 1, 1, 2, 2, 2, 2, 3]);
    running.seal().await;
    running.stop().await;

    // Asked again after the batches were sealed and after another restart.
    let mut running = rig.start(rig.config()).await;
    for (name, answer) in &told {
        let again = running.client.open_account(request(*name)).await.unwrap().into_inner();
        assert_eq!((again.index, &again.receipt), (answer.index, &answer.receipt));
        assert!(!again.opened);
    }
    for number in 1..=3 {
        let sealed = running.sealed(number, &rig.key.shape).await;
        let promised = receipts.iter().map(|receipt| receipt.promise);
        let promised = promised.filter(|promise| promise.batch == number);
        let promised: Vec<_> = promised.map(|promise| promise.record).collect();
        assert_eq!(sealed.data.opens, promised, "batch {number}");
    }
    running.stop().await;
}
