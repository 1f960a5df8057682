//! The real binary, killed with SIGKILL at random moments of a run. An independent journal of what
//! was acknowledged, kept by the clients, must be part of the state that comes back. A prover works
//! all the while, and the chain must hold every batch once.

use crate::child::{PAYERS, Site, connect, seed};
use crate::rig::{account_key, wallet};
use crate::told::{Told, audit, open_accounts, pay, prove};
use kerros_protocol::proto::{self, GetInfoRequest};
use kerros_sequencer::main_chain::{Embedded, Genesis, MainChain};
use kerros_sequencer::settlement::contract::Contract;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KILLS: u32 = 50;

/// The chain, while no process has it.
fn posts(site: &Site) -> Embedded {
    let genesis = Genesis::development(crate::rig::WALLETS);
    Embedded::open(&site.root.join("chain"), &genesis, Arc::new(|| 0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing_that_was_acknowledged() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let site = Site::new().await;
    let (domain, key) = (site.domain, site.key.clone());
    let nonce = posts(&site).nonce(wallet(0).address()).await.unwrap();
    let told = Arc::new(Mutex::new(Told::default()));
    let mut checked = 0;
    for kill in 0..=KILLS {
        let mut process = site.start();
        let mut client = connect(&process).await;
        while client.get_info(GetInfoRequest {}).await.unwrap().into_inner().queue_next
            < PAYERS.into()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Everything told since the last kill, and at the end everything ever told, is there.
        let (transactions, accounts) = {
            let told = told.lock().unwrap();
            let from = if kill == KILLS { 0 } else { checked };
            (told.transactions[from..].to_vec(), told.accounts.clone())
        };
        checked += if kill == KILLS { 0 } else { transactions.len() };
        let mut counted = 0u64;
        for (bytes, receipt) in &transactions {
            let transaction_id = receipt.transaction_id.clone();
            let request = proto::GetTransactionRequest { transaction_id };
            let found = client.get_transaction(request).await.unwrap().into_inner();
            assert_eq!(found.receipt.as_ref(), Some(receipt), "kill {kill}, seed {seed}");
            assert_eq!(&found.transaction, bytes);
            let transaction = bytes.clone();
            if counted.is_multiple_of(16) {
                let request = proto::SubmitTransactionRequest { transaction };
                let again = client.submit_transaction(request).await.unwrap().into_inner();
                assert_eq!(again.receipt.as_ref(), Some(receipt), "kill {kill}, seed {seed}");
            }
            counted += 1;
        }
        for (name, index) in &accounts {
            let by = Some(proto::get_account_request::By::Index(*index));
            let found = client.get_account(proto::GetAccountRequest { by }).await.unwrap();
            let account = found.into_inner().account.unwrap();
            assert_eq!(account.key, account_key(*name).to_be().to_vec());
        }
        // Money is neither made nor lost, and nonces count what was executed.
        let mut total = 0;
        for index in 1..=u32::from(PAYERS) {
            let by = Some(proto::get_account_request::By::Index(index));
            let found = client.get_account(proto::GetAccountRequest { by }).await.unwrap();
            let account = found.into_inner().account.unwrap();
            total += account.balance;
            let acknowledged = told
                .lock()
                .unwrap()
                .transactions
                .iter()
                .filter(|(bytes, _)| bytes[1..5] == index.to_be_bytes())
                .count();
            assert!(u64::from(account.nonce) >= acknowledged as u64, "kill {kill}, seed {seed}");
        }
        assert_eq!(total, u64::from(PAYERS) * 1_000_000, "kill {kill}, seed {seed}");
        if kill == KILLS {
            println!("{} acknowledgements over {KILLS} kills", counted);
            assert!(counted > u64::from(KILLS), "the run did too little to mean anything");
            // All that was sealed is proved, posted and final in the end.
            let proving = tokio::spawn(prove(key.clone(), domain, process.prover.clone()));
            loop {
                let info = client.get_info(GetInfoRequest {}).await.unwrap().into_inner();
                assert_eq!(info.settlement_halted, "", "seed {seed}");
                if info.unsettled_batches == 0 && info.open_counts == Some(Default::default()) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            process.child.kill().unwrap();
            process.child.wait().unwrap();
            proving.await.unwrap();
            break;
        }
        let mut work = vec![tokio::spawn(prove(key.clone(), domain, process.prover.clone()))];
        for payer in 1..=PAYERS {
            work.push(tokio::spawn(pay(domain, payer, client.clone(), Arc::clone(&told))));
        }
        let first = 20 + u8::try_from(kill % 70).unwrap() * 3;
        work.push(tokio::spawn(open_accounts(first, client.clone(), Arc::clone(&told))));
        tokio::time::sleep(Duration::from_millis(rng.gen_range(1..250))).await;
        process.child.kill().unwrap(); // SIGKILL
        process.child.wait().unwrap();
        for task in work {
            task.await.unwrap();
        }
    }
    let chain = posts(&site);
    let posts = chain.nonce(wallet(0).address()).await.unwrap() - nonce;
    let contract = Contract { chain: Arc::new(chain), address: site.contract };
    let batches = contract.batch_number().await.unwrap();
    println!("{batches} batches, {posts} posts");
    assert_eq!(batches, posts, "every batch was posted once, seed {seed}");
    assert!(batches > u64::from(KILLS) / 2);
    audit(&site, &told.lock().unwrap());
}
