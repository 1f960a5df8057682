//! Reading what was executed: pages of a key's accounts.

use crate::rig::{Rig, account, account_key};
use kerros_protocol::account::Account;
use kerros_protocol::proto::{self, ListAccountsRequest};

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
