//! Posting to the real contract: in order, once, and never what does not fit.

use crate::rig::{Rig, Running, exit, owner, wallet};
use alloy::primitives::{B256, Bytes, U256};
use alloy::sol_types::SolEvent;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::proto::BatchState;
use kerros_sequencer::main_chain::{
    Answer, At, BlockHead, Call, Fees, LogEntry, LogQuery, MainChain, MainChainError,
    PublishedTransaction, Receipt,
};
use kerros_sequencer::settlement::contract::{Contract, post_call};
use kerros_sequencer::{Config, Sequencer, StartError};
use kerros_verifier::contract::Kerros;
use kerros_verifier::trapdoor;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn contract(rig: &Rig) -> Contract {
    Contract { chain: Arc::new(rig.chain.clone()), address: rig.contract }
}
fn posting(rig: &Rig) -> Config {
    Config { wallet: Some(wallet(0)), ..rig.config() }
}
async fn deposit_and_seal(rig: &Rig, running: &mut Running, name: u8) -> u64 {
    rig.deposit(1, 1_000, name, owner(0)).await;
    let entries = contract(rig).read(Kerros::tailCall {}, At::Latest).await.unwrap();
    running.served(entries).await;
    running.seal().await
}
async fn halted(running: &mut Running) -> String {
    for _ in 0..1_000 {
        let reason = running.info().await.settlement_halted;
        if !reason.is_empty() {
            return reason;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("settlement goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn verified_batches_are_posted_in_order_and_become_final() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let mut running = rig.start(posting(&rig)).await;
    deposit_and_seal(&rig, &mut running, 1).await;
    running.submit(rig.sign(exit(1, 1, 40, 0, 0), 1)).await.unwrap();
    running.seal().await;
    // Growth is posted with the batch that starts from it.
    assert_eq!(running.handle.grow().await, Some(5));
    deposit_and_seal(&rig, &mut running, 2).await;
    let leases = [
        running.lease("p").await.unwrap(),
        running.lease("p").await.unwrap(),
        running.lease("p").await.unwrap(),
    ];
    let contract = contract(&rig);
    for (proved, lease) in leases.iter().enumerate().rev() {
        let batch = SealedBatch::decode(&lease.sealed_batch, &rig.key.shape).unwrap();
        let proof = trapdoor::prove(&rig.key, rig.domain(), &batch).unwrap().encode();
        if proved == 0 {
            assert_eq!(contract.batch_number().await.unwrap(), 0, "nothing before the first");
        }
        running.submit_proof(lease, proof).await.unwrap();
    }
    for number in 1..=3 {
        let batch = running.reached(number, BatchState::Final).await;
        let settlement = batch.settlement.unwrap();
        assert!(settlement.gas_used > 21_000 && settlement.calldata_len > 1_000);
        assert_eq!(settlement.transaction_hash.len(), 32);
        assert_eq!(batch.grows, number == 3);
    }
    assert_eq!(contract.batch_number().await.unwrap(), 3);
    assert_eq!(contract.root().await.unwrap().to_vec(), running.batch(3).await.new_root);
    let recipient = wallet(1).address();
    let claim = Kerros::withdrawableCall { _0: 1, _1: recipient };
    assert_eq!(contract.read(claim, At::Latest).await.unwrap(), U256::from(40));
    assert_eq!(running.info().await.final_batch, 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_was_never_recorded_is_found_on_the_chain_after_a_restart() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let mut running = rig.start(rig.config()).await;
    deposit_and_seal(&rig, &mut running, 1).await;
    deposit_and_seal(&rig, &mut running, 2).await;
    running.prove(&rig).await;
    let batch = running.sealed(1, &rig.key.shape).await;
    running.stop().await;
    // The sequencer died after sending: the chain has the batch, the journal does not know.
    let proof = trapdoor::prove(&rig.key, rig.domain(), &batch).unwrap();
    let call = Kerros::postCall { p: kerros_verifier::post::post(&batch, &proof) };
    rig.send(0, rig.contract, U256::ZERO, call).await;
    let nonce = rig.chain.nonce(wallet(0).address()).await.unwrap();

    let mut running = rig.start(posting(&rig)).await;
    running.reached(1, BatchState::Final).await;
    running.prove(&rig).await;
    running.reached(2, BatchState::Final).await;
    let sent = rig.chain.nonce(wallet(0).address()).await.unwrap() - nonce;
    assert_eq!(sent, 1, "only the second batch was sent");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_batch_on_the_chain_halts_settlement_and_not_the_service() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    rig.deposit(1, 1_000, 1, owner(0)).await;
    let mut running = rig.start(rig.config()).await;
    running.served(1).await;
    running.seal().await;
    running.prove(&rig).await;
    let mut foreign = running.sealed(1, &rig.key.shape).await;
    running.stop().await;
    foreign.new.0.swap(0, 1);
    let proof = trapdoor::prove(&rig.key, rig.domain(), &foreign).unwrap();
    let call = Kerros::postCall { p: kerros_verifier::post::post(&foreign, &proof) };
    rig.send(0, rig.contract, U256::ZERO, call).await;

    let mut running = rig.start(posting(&rig)).await;
    let reason = halted(&mut running).await;
    assert!(reason.contains("batch 1 on the main chain has root"), "{reason}");
    // The service goes on acknowledging.
    running.submit(rig.sign(exit(1, 1, 40, 0, 0), 1)).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_halts_settlement_with_the_contracts_own_reason() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    // Wallet 1 is not the operator, who has not been silent.
    let config = Config { wallet: Some(wallet(1)), ..rig.config() };
    let mut running = rig.start(config).await;
    deposit_and_seal(&rig, &mut running, 1).await;
    running.prove(&rig).await;
    let reason = halted(&mut running).await;
    assert!(reason.contains("OperatorNotSilent"), "{reason}");
    assert_eq!(running.batch(1).await.state(), BatchState::Verified);
    running.stop().await;
    // With the right wallet it goes on where it stopped.
    let mut running = rig.start(posting(&rig)).await;
    running.reached(1, BatchState::Final).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_knows_fewer_batches_than_the_contract_is_refused() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let mut running = rig.start(posting(&rig)).await;
    deposit_and_seal(&rig, &mut running, 1).await;
    running.prove(&rig).await;
    running.reached(1, BatchState::Final).await;
    running.stop().await;
    let mut config = rig.config();
    config.data_dir = rig.dir.path().join("another");
    let chain = Arc::new(rig.chain.clone());
    let refused = Sequencer::start(config, chain, rig.key.clone(), rig.srs.clone()).await;
    assert!(matches!(refused, Err(StartError::Behind { have: 1, ours: 0 })));
}

/// Fails again and again with a transient error, loses every answer to a transaction, and shows no
/// receipts and logs at first, although the state is already there.
///
/// From one failure to the next it is 3 calls, then 4, up to 20, and 3 again: with one fixed
/// distance, a task that makes so many calls in a turn would fail at the same call for ever.
struct Flaky {
    inner: kerros_sequencer::main_chain::Embedded,
    distance: Mutex<Distance>,
    lags: AtomicU32,
}

struct Distance {
    left: u32,
    whole: u32,
}

impl Flaky {
    fn new(rig: &Rig) -> Arc<Self> {
        let distance = Mutex::new(Distance { left: 3, whole: 3 });
        Arc::new(Self { inner: rig.chain.clone(), distance, lags: AtomicU32::new(3) })
    }
    fn lags(&self) -> bool {
        self.lags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }
    fn fails(&self) -> Result<(), MainChainError> {
        let mut distance = self.distance.lock().unwrap();
        distance.left -= 1;
        if distance.left > 0 {
            return Ok(());
        }
        distance.whole = if distance.whole == 20 { 3 } else { distance.whole + 1 };
        distance.left = distance.whole;
        Err(MainChainError::Unreachable { reason: "test".to_owned() })
    }
}

macro_rules! flaky {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> Answer<'_, $answer> {
            Box::pin(async move {
                self.fails()?;
                self.inner.$name($($argument),*).await
            })
        })*
    };
}

impl MainChain for Flaky {
    flaky! {
        head() -> BlockHead;
        block(number: u64) -> Option<BlockHead>;
        balance(account: alloy::primitives::Address, at: At) -> U256;
        nonce(account: alloy::primitives::Address) -> u64;
        nonce_at(account: alloy::primitives::Address, at: At) -> u64;
        fees() -> Fees;
        estimate_gas(call: Call, at: At) -> u64;
        transaction(hash: B256) -> Option<PublishedTransaction>;
    }
    fn receipt(&self, transaction: B256) -> Answer<'_, Option<Receipt>> {
        Box::pin(async move {
            self.fails()?;
            if self.lags() { Ok(None) } else { self.inner.receipt(transaction).await }
        })
    }
    fn logs(&self, query: LogQuery) -> Answer<'_, Vec<LogEntry>> {
        Box::pin(async move {
            self.fails()?;
            let posts = query.topic0 == [Kerros::BatchPosted::SIGNATURE_HASH];
            if posts && self.lags() { Ok(Vec::new()) } else { self.inner.logs(query).await }
        })
    }
    fn chain_id(&self) -> Answer<'_, u64> {
        self.inner.chain_id()
    }
    fn code(&self, account: alloy::primitives::Address, at: At) -> Answer<'_, Bytes> {
        self.inner.code(account, at)
    }
    fn call(&self, call: Call, at: At) -> Answer<'_, Bytes> {
        self.inner.call(call, at)
    }
    fn send_raw(&self, transaction: Bytes) -> Answer<'_, B256> {
        Box::pin(async move {
            // Accepted, but the answer is lost.
            self.inner.send_raw(transaction).await?;
            Err(MainChainError::Unreachable { reason: "answer lost".to_owned() })
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_failing_calls_neither_lose_nor_repeat_a_post() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let flaky = Flaky::new(&rig);
    let (key, srs) = (rig.key.clone(), rig.srs.clone());
    let handle = Sequencer::start(posting(&rig), flaky.clone(), key, srs).await.unwrap();
    let mut running = Running::new(handle).await;
    deposit_and_seal(&rig, &mut running, 1).await;
    deposit_and_seal(&rig, &mut running, 2).await;
    let nonce = rig.chain.nonce(wallet(0).address()).await.unwrap();
    running.prove(&rig).await;
    running.prove(&rig).await;
    running.reached(2, BatchState::Final).await;
    assert_eq!(rig.chain.nonce(wallet(0).address()).await.unwrap() - nonce, 2);
    assert!(!flaky.lags(), "the lag was lived through");
    running.stop().await;
}

#[test]
fn a_post_of_the_calldata_is_what_the_contract_reads() {
    let shape = "4,2,8,2,2".parse().unwrap();
    let key = trapdoor::key(shape, 4, 6);
    let empty = kerros_protocol::commitment::Commitments::empty();
    let batch = SealedBatch {
        number: 1,
        k: 4,
        before_growth: None,
        old: empty,
        new: empty,
        first: 0,
        end: 0,
        beneficiary: owner(0),
        data: kerros_protocol::batch::BatchData::default(),
        transfers: Vec::new(),
        exits: Vec::new(),
    };
    let proof = trapdoor::prove(&key, ark_bn254::Fr::from(1u64), &batch).unwrap();
    let calldata = post_call(&batch, &proof);
    assert_eq!(calldata.len(), 4 + 32 + 38 * 32 + 32 + 32);
}
