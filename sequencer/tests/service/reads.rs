//! Reading what was executed: pages of a key's accounts, and readers who wait for the writer.

use crate::rig::{Rig, account, account_key, health_client, reason, transient};
use kerros_protocol::account::Account;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{
    self, GetAccountRequest, GetInfoRequest, GetTransactionRequest, ListAccountsRequest,
    get_account_request,
};
use kerros_sequencer::limits::READS_MAX;
use std::time::Duration;
use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_thousands_of_accounts_is_listed_in_pages_from_any_index_on() {
    let rig = Rig::new("4,2,8,2,2", 12, 12).await;
    // Every fourth account is another key's.
    let names = (1..=4_000u32).map(|i| (i, if i % 4 == 0 { 2 } else { 1 }));
    let assets = names.clone().map(|(i, name)| (name, u16::try_from(i).unwrap()));
    let accounts: Vec<Account> = assets.map(|(name, asset)| account(name, asset, 1, 0)).collect();
    rig.craft(&accounts);
    let mut running = rig.start(rig.config()).await;
    let mut list = async |page_size, after_index| {
        let key = account_key(1).to_be().to_vec();
        let request = ListAccountsRequest { key, page_size, after_index };
        running.client.list_accounts(request).await.unwrap().into_inner()
    };
    let (mut told, mut after, mut pages) = (Vec::new(), 0, 0);
    loop {
        let page: proto::ListAccountsResponse = list(70, after).await;
        pages += 1;
        told.extend(page.accounts.iter().map(|account| account.index));
        if page.next_after_index == 0 {
            break;
        }
        assert_eq!((page.accounts.len(), page.next_after_index), (70, *told.last().unwrap()));
        after = page.next_after_index;
    }
    let need: Vec<u32> = names.filter(|(_, name)| *name == 1).map(|(i, _)| i).collect();
    assert_eq!((told, pages), (need, 3_000usize.div_ceil(70)));
    // Not only where a page ended; nothing is after the last, and no index is too high to ask.
    let page = list(0, 1_999).await;
    assert_eq!((page.accounts[0].index, page.accounts.len()), (2_001, 100));
    for after in [3_999, 4_000, (1 << 28) - 1, 1 << 28, u32::MAX] {
        assert_eq!(list(0, after).await, proto::ListAccountsResponse::default());
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_for_a_stalled_writer_hold_up_no_others_and_too_many_are_refused() {
    const CONNECTIONS: usize = READS_MAX / 250 + 2;
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    rig.craft(&[account(1, 1, 1_000, 0), account(2, 1, 0, 0)]);
    let mut running = rig.start(rig.config()).await;
    let bytes = rig.transfer((1, 1), (2, 2), 10, 0);
    let receipt = running.submit(bytes.clone()).await.unwrap();
    let stall = running.stall();
    // The writer turns at its next tick; from then on whoever wants to read waits.
    let mut info = loop {
        let mut client = running.client.clone();
        let call = async move { client.get_info(GetInfoRequest {}).await };
        let mut call = tokio::spawn(call);
        if timeout(Duration::from_millis(500), &mut call).await.is_err() {
            break call;
        }
    };
    let mut calls = Vec::new();
    for _ in 0..CONNECTIONS {
        let url = format!("http://{}", running.handle.address);
        let client = SequencerServiceClient::connect(url).await.unwrap();
        for _ in 0..250 {
            let (mut client, by) = (client.clone(), get_account_request::By::Index(1));
            let request = GetAccountRequest { by: Some(by) };
            calls.push(tokio::spawn(async move { client.get_account(request).await }));
        }
    }
    // `info` waits too.
    let refused = calls.len() + 1 - READS_MAX;
    for _ in 0..500 {
        if calls.iter().filter(|call| call.is_finished()).count() >= refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answered = async {
        let mut health = health_client(&running.handle.address.to_string()).await;
        health.check(HealthCheckRequest::default()).await.unwrap();
        let transaction_id = receipt.transaction_id.clone();
        let request = GetTransactionRequest { transaction_id };
        running.client.get_transaction(request).await.unwrap();
        assert_eq!(running.submit(bytes).await.unwrap(), receipt, "acknowledged before");
        assert!(running.lease("prover").await.is_some(), "the crafted batch");
    };
    timeout(Duration::from_secs(5), answered).await.expect("nobody else waits");
    assert!(timeout(Duration::from_millis(1), &mut info).await.is_err(), "the writer is stalled");
    stall.end();
    info.await.unwrap().unwrap();
    let mut told = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(answer) => assert_eq!(answer.into_inner().account.unwrap().balance, 990),
            Err(status) => {
                assert_eq!((reason(&status), transient(&status)), ("OVERLOADED".to_owned(), true));
                told += 1;
            }
        }
    }
    assert_eq!(told, refused);
    running.stop().await;
}
