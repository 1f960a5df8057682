//! Several main-chain nodes of which one lies, lags, is silent or on another chain.

use crate::rig::{Rig, Running, becomes, owner, wallet};
use alloy::primitives::{Address, B256, Bytes, U256};
use kerros_protocol::proto::BatchState;
use kerros_sequencer::main_chain::{
    Answer, At, BlockHead, Call, CrossChecked, Embedded, Fees, LogEntry, LogQuery, MainChain,
    MainChainError, Node, PublishedTransaction, Receipt,
};
use kerros_sequencer::{Config, Sequencer, StartError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const HONEST: u8 = 0;
/// Of contract calls.
const LIES: u8 = 1;
const SILENT: u8 = 2;
const ELSEWHERE: u8 = 3;
/// Stays at block 1.
const LAGS: u8 = 4;
/// Of the poster's number.
const MISCOUNTS: u8 = 5;

/// The embedded chain behind a node that may be wrong.
struct Faulty {
    inner: Embedded,
    fault: AtomicU8,
}

impl Faulty {
    fn is(&self, fault: u8) -> bool {
        self.fault.load(Ordering::Relaxed) == fault
    }
    fn alive(&self) -> Result<(), MainChainError> {
        match self.is(SILENT) {
            true => Err(MainChainError::Unreachable { reason: "test".to_owned() }),
            false => Ok(()),
        }
    }
}

macro_rules! faulty {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty, |$this:ident, $said:ident| $change:expr;)*) => {
        impl MainChain for Faulty {
            $(fn $name(&self, $($argument: $kind),*) -> Answer<'_, $answer> {
                Box::pin(async move {
                    self.alive()?;
                    let $said = self.inner.$name($($argument),*).await;
                    let $this = self;
                    $change
                })
            })*
        }
    };
}

faulty! {
    chain_id() -> u64, |this, said| said.map(|id| id + u64::from(this.is(ELSEWHERE)));
    head() -> BlockHead, |this, said| match this.is(LAGS) {
        true => Ok(this.inner.block(1).await?.unwrap()),
        false => said,
    };
    block(number: u64) -> Option<BlockHead>, |_this, said| said;
    balance(account: Address, at: At) -> U256, |_this, said| said;
    code(account: Address, at: At) -> Bytes, |_this, said| said;
    nonce(account: Address) -> u64, |_this, said| said;
    nonce_at(account: Address, at: At) -> u64, |this, said| {
        said.map(|nonce| nonce + u64::from(this.is(MISCOUNTS)))
    };
    fees() -> Fees, |_this, said| said;
    call(call: Call, at: At) -> Bytes, |this, said| said.map(|answer| {
        let mut answer = answer.to_vec();
        if let Some(last) = answer.last_mut().filter(|_| this.is(LIES)) {
            *last ^= 1;
        }
        answer.into()
    });
    estimate_gas(call: Call, at: At) -> u64, |_this, said| said;
    send_raw(transaction: Bytes) -> B256, |_this, said| said;
    receipt(transaction: B256) -> Option<Receipt>, |_this, said| said;
    logs(query: LogQuery) -> Vec<LogEntry>, |_this, said| said;
    transaction(hash: B256) -> Option<PublishedTransaction>, |_this, said| said;
}

fn nodes(rig: &Rig, count: usize) -> (Arc<Faulty>, Arc<CrossChecked>) {
    let faulty = Arc::new(Faulty { inner: rig.chain.clone(), fault: AtomicU8::new(HONEST) });
    let mut nodes = vec![Node { name: "1".to_owned(), chain: faulty.clone() }];
    for number in 2..=count {
        nodes.push(Node { name: number.to_string(), chain: Arc::new(rig.chain.clone()) });
    }
    (faulty, Arc::new(CrossChecked::new(nodes)))
}
fn config(rig: &Rig) -> Config {
    let metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    Config { metrics_listen, wallet: Some(wallet(0)), stall_ms: 500, ..rig.config() }
}
async fn start(rig: &Rig, chain: Arc<CrossChecked>) -> Running {
    let (key, srs) = (rig.key.clone(), rig.srs.clone());
    Running::new(Sequencer::start(config(rig), chain, key, srs).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_of_which_one_is_wrong_stop_posting_until_they_agree_again() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let (faulty, chain) = nodes(&rig, 2);
    let mut running = start(&rig, chain).await;
    let at = running.handle.metrics_address.unwrap().to_string();
    for (number, fault) in (1..).zip([LIES, SILENT, ELSEWHERE, MISCOUNTS]) {
        rig.deposit(1, 1_000, u8::try_from(number).unwrap(), owner(0)).await;
        running.served(number).await;
        assert_eq!(running.seal().await, number);
        let sent = rig.chain.nonce(wallet(0).address()).await.unwrap();
        faulty.fault.store(fault, Ordering::Relaxed);
        becomes(&at, |codes| !codes.is_empty()).await;
        running.prove(&rig).await;
        becomes(&at, |codes| {
            codes.iter().all(|code| code == "POSTING_WAITS" || code == "MAIN_CHAIN_SILENT")
        })
        .await;
        assert_eq!(running.batch(number).await.state(), BatchState::Verified, "fault {fault}");
        assert_eq!(rig.chain.nonce(wallet(0).address()).await.unwrap(), sent, "fault {fault}");
        faulty.fault.store(HONEST, Ordering::Relaxed);
        running.reached(number, BatchState::Final).await;
        becomes(&at, |codes| codes.is_empty()).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_nodes_one_may_be_wrong_in_any_way() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let (faulty, chain) = nodes(&rig, 3);
    let mut running = start(&rig, chain).await;
    for (number, fault) in (1..).zip([LIES, SILENT, ELSEWHERE, LAGS, MISCOUNTS]) {
        faulty.fault.store(fault, Ordering::Relaxed);
        rig.deposit(1, 1_000, u8::try_from(number).unwrap(), owner(0)).await;
        running.served(number).await;
        assert_eq!(running.seal().await, number);
        running.prove(&rig).await;
        running.reached(number, BatchState::Final).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_on_different_chains_are_refused_at_the_start() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let (faulty, chain) = nodes(&rig, 2);
    faulty.fault.store(ELSEWHERE, Ordering::Relaxed);
    let refused = Sequencer::start(config(&rig), chain, rig.key.clone(), rig.srs.clone()).await;
    let Err(StartError::Chain(MainChainError::Disagreement { method, nodes })) = refused else {
        panic!("started, or another error")
    };
    assert_eq!(method, "chain_id");
    assert!(nodes.contains("1: ") && nodes.contains("2: "), "{nodes}");
}
