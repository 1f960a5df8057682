//! Several main-chain nodes of which one lies, lags, is silent or on another chain.

use crate::rig::{Rig, Running, becomes, owner, wallet};
use alloy::primitives::{Address, B256, Bytes, U256};
use kerros_protocol::proto::BatchState;
use kerros_sequencer::main_chain::{
    Answer, At, BlockHead, Call, CrossChecked, Embedded, Fees, LogEntry, LogQuery, MainChain,
    MainChainError, Node, PublishedTransaction, Receipt, Refusal, await_receipt,
};
use kerros_sequencer::{Config, Sequencer, StartError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

const HONEST: u8 = 0;
/// Of contract calls.
const LIES: u8 = 1;
const SILENT: u8 = 2;
const ELSEWHERE: u8 = 3;
/// Stays at block 1.
const LAGS: u8 = 4;
/// Of the poster's number.
const MISCOUNTS: u8 = 5;
/// Right hashes of blocks that are said to be of 1970.
const EARLY: u8 = 6;
/// Or of the end of all time.
const LATE: u8 = 7;
/// Estimates more gas than a transaction may have.
const HUNGRY: u8 = 8;
/// Suggests a little less than the others, and all of it as the tip.
const TIPS: u8 = 9;
/// Has neither logs nor receipts.
const FORGETS: u8 = 10;
/// Has a block more than the others, and shows none of those before it, ever.
const HANGS: u8 = 11;
/// Says that it has taken a transaction, and has thrown it away.
const KEEPS: u8 = 12;
/// Right, but never the first to answer.
const SLOW: u8 = 13;
/// Right, but long after the others.
const LATECOMER: u8 = 14;
/// From here on: refuses transactions, each time for another reason.
const REFUSES: u8 = 20;

/// Refusals of the node that nothing is wrong with.
fn made_up() -> Vec<MainChainError> {
    let detail = || "made up".to_owned();
    let refusals = [
        Refusal::Malformed { detail: detail() },
        Refusal::WrongChain,
        Refusal::GasLimit { detail: detail() },
        Refusal::UnsupportedType { kind: 2 },
        Refusal::Invalid { detail: detail() },
        Refusal::InsufficientFunds,
    ];
    let mut errors: Vec<MainChainError> = refusals.into_iter().map(MainChainError::from).collect();
    errors.push(MainChainError::reverted(Bytes::new()));
    errors.push(MainChainError::Halted { reason: detail() });
    errors
}

/// The embedded chain behind a node that may be wrong.
struct Faulty {
    inner: Embedded,
    fault: AtomicU8,
}

impl Faulty {
    fn is(&self, fault: u8) -> bool {
        self.fault.load(Ordering::Relaxed) == fault
    }
    async fn alive(&self) -> Result<(), MainChainError> {
        let ms = match self.fault.load(Ordering::Relaxed) {
            SILENT => return Err(MainChainError::Unreachable { reason: "test".to_owned() }),
            SLOW => 2,
            LATECOMER => 1_500,
            _ => return Ok(()),
        };
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(())
    }
    fn aged(&self, block: BlockHead) -> BlockHead {
        match self.fault.load(Ordering::Relaxed) {
            EARLY => BlockHead { timestamp: 0, ..block },
            LATE => BlockHead { timestamp: u64::MAX, ..block },
            _ => block,
        }
    }
}

macro_rules! faulty {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty, |$this:ident, $said:ident| $change:expr;)*) => {
        impl MainChain for Faulty {
            $(fn $name(&self, $($argument: $kind),*) -> Answer<'_, $answer> {
                Box::pin(async move {
                    self.alive().await?;
                    let $said = self.inner.$name($($argument),*);
                    let $this = self;
                    $change
                })
            })*
        }
    };
}

faulty! {
    chain_id() -> u64, |this, said| said.await.map(|id| id + u64::from(this.is(ELSEWHERE)));
    head() -> BlockHead, |this, said| match this.fault.load(Ordering::Relaxed) {
        LAGS => Ok(this.inner.block(1).await?.unwrap()),
        HANGS => {
            let head = said.await?;
            Ok(BlockHead { number: head.number + 1, parent: head.hash, hash: B256::ZERO, ..head })
        }
        _ => said.await.map(|head| this.aged(head)),
    };
    block(number: u64) -> Option<BlockHead>, |this, said| match this.is(HANGS) {
        true => std::future::pending().await,
        false => said.await.map(|block| block.map(|block| this.aged(block))),
    };
    balance(account: Address, at: At) -> U256, |_this, said| said.await;
    code(account: Address, at: At) -> Bytes, |_this, said| said.await;
    nonce(account: Address) -> u64, |_this, said| said.await;
    nonce_at(account: Address, at: At) -> u64, |this, said| {
        said.await.map(|nonce| nonce + u64::from(this.is(MISCOUNTS)))
    };
    fees() -> Fees, |this, said| said.await.map(|fees| match this.is(TIPS) {
        true => {
            let all = fees.max_fee_per_gas - 1;
            Fees { max_fee_per_gas: all, max_priority_fee_per_gas: all }
        }
        false => fees,
    });
    call(call: Call, at: At) -> Bytes, |this, said| said.await.map(|answer| {
        let mut answer = answer.to_vec();
        if let Some(last) = answer.last_mut().filter(|_| this.is(LIES)) {
            *last ^= 1;
        }
        answer.into()
    });
    estimate_gas(call: Call, at: At) -> u64, |this, said| said.await.map(|gas| {
        if this.is(HUNGRY) { 20_000_000 } else { gas }
    });
    send_raw(transaction: Bytes) -> B256, |this, said| {
        let fault = this.fault.load(Ordering::Relaxed);
        match fault.checked_sub(REFUSES) {
            Some(which) => Err(made_up().swap_remove(which.into())),
            None if fault == KEEPS => Ok(B256::ZERO),
            None => said.await,
        }
    };
    receipt(transaction: B256) -> Option<Receipt>, |this, said| {
        said.await.map(|receipt| receipt.filter(|_| !this.is(FORGETS)))
    };
    logs(query: LogQuery) -> Vec<LogEntry>, |this, said| {
        said.await.map(|logs| if this.is(FORGETS) { Vec::new() } else { logs })
    };
    transaction(hash: B256) -> Option<PublishedTransaction>, |_this, said| said.await;
}

/// The first is the one that may be wrong, and the first to answer too.
fn all(rig: &Rig, count: usize) -> (Vec<Arc<Faulty>>, Arc<CrossChecked>) {
    let node = |number| {
        let fault = AtomicU8::new(if number == 1 { HONEST } else { SLOW });
        Arc::new(Faulty { inner: rig.chain.clone(), fault })
    };
    let all: Vec<Arc<Faulty>> = (1..=count).map(node).collect();
    let named = (1..).zip(&all).map(|(number, node): (usize, _)| {
        let chain: Arc<dyn MainChain> = Arc::<Faulty>::clone(node);
        Node { name: number.to_string(), chain }
    });
    let chain = CrossChecked::new(named.collect());
    (all, Arc::new(chain))
}
fn nodes(rig: &Rig, count: usize) -> (Arc<Faulty>, Arc<CrossChecked>) {
    let (mut all, chain) = all(rig, count);
    (all.swap_remove(0), chain)
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
    let faults = [
        LIES, SILENT, ELSEWHERE, LAGS, MISCOUNTS, EARLY, LATE, HUNGRY, TIPS, FORGETS, KEEPS,
        REFUSES,
    ];
    for (number, fault) in (1..).zip(faults) {
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
async fn one_of_three_nodes_chooses_no_blocks_time_and_keeps_nobody_waiting() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let (faulty, chain) = nodes(&rig, 3);
    let (head, first) = (rig.chain.head().await.unwrap(), rig.chain.block(1).await.unwrap());
    for fault in [EARLY, LATE] {
        faulty.fault.store(HONEST, Ordering::Relaxed);
        assert_eq!(chain.head().await.unwrap(), head);
        faulty.fault.store(fault, Ordering::Relaxed);
        assert_eq!(chain.block(1).await.unwrap(), first, "fault {fault}");
        assert_eq!(chain.head().await.unwrap(), head, "fault {fault}");
    }
    faulty.fault.store(HANGS, Ordering::Relaxed);
    assert_eq!(chain.head().await.unwrap(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_raises_neither_the_gas_nor_what_is_paid_for_it() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let (faulty, chain) = nodes(&rig, 3);
    let call = Call { to: Some(wallet(0).address()), ..Call::default() };
    let gas = rig.chain.estimate_gas(call.clone(), At::Latest).await.unwrap();
    chain.head().await.unwrap();
    faulty.fault.store(HUNGRY, Ordering::Relaxed);
    assert_eq!(chain.estimate_gas(call, At::Latest).await.unwrap(), gas);
    let (faulty, chain) = nodes(&rig, 2);
    let fees = rig.chain.fees().await.unwrap();
    chain.head().await.unwrap();
    faulty.fault.store(TIPS, Ordering::Relaxed);
    let lower = Fees { max_fee_per_gas: fees.max_fee_per_gas - 1, ..fees };
    assert_eq!(chain.fees().await.unwrap(), lower);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_gets_to_slow_nodes_although_another_says_that_it_has_it() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let (all, chain) = all(&rig, 3);
    let to = Some(wallet(1).address());
    let signed = wallet(0).prepare(&rig.chain, to, U256::from(1), Bytes::new()).await.unwrap();
    all[0].fault.store(KEEPS, Ordering::Relaxed);
    for node in &all[1..] {
        node.fault.store(LATECOMER, Ordering::Relaxed);
    }
    chain.send_raw(signed.raw).await.unwrap();
    await_receipt(&rig.chain, signed.hash).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_refusal_of_a_node_halts_settlement() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let (faulty, chain) = nodes(&rig, 1);
    let mut running = start(&rig, chain).await;
    let at = running.handle.metrics_address.unwrap().to_string();
    for (number, which) in (1..).zip(0..made_up().len()) {
        rig.deposit(1, 1_000, u8::try_from(number).unwrap(), owner(0)).await;
        running.served(number).await;
        assert_eq!(running.seal().await, number);
        faulty.fault.store(REFUSES + u8::try_from(which).unwrap(), Ordering::Relaxed);
        running.prove(&rig).await;
        becomes(&at, |codes| codes == ["POSTING_WAITS"]).await;
        assert_eq!(running.info().await.settlement_halted, "");
        faulty.fault.store(HONEST, Ordering::Relaxed);
        running.reached(number, BatchState::Final).await;
        becomes(&at, <[String]>::is_empty).await;
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
