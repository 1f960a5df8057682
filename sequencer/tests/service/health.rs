//! Health is progress: a sequencer that cannot go on says why, over HTTP and gRPC, and is healthy
//! again when it can.

use crate::rig::{Rig, Running, becomes, health_client, owner, page, wallet};
use alloy::primitives::{Address, B256, Bytes, U256};
use kerros_protocol::proto::BatchState;
use kerros_sequencer::main_chain::{
    Answer, At, BlockHead, Call, Fees, LogEntry, LogQuery, MainChain, MainChainError,
    PublishedTransaction, Receipt,
};
use kerros_sequencer::{Config, Sequencer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

/// The embedded chain behind a line that can be cut.
struct Line {
    inner: kerros_sequencer::main_chain::Embedded,
    cut: AtomicBool,
}

macro_rules! line {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl MainChain for Line {
            $(fn $name(&self, $($argument: $kind),*) -> Answer<'_, $answer> {
                Box::pin(async move {
                    if self.cut.load(Ordering::Relaxed) {
                        return Err(MainChainError::Unreachable { reason: "cut".to_owned() });
                    }
                    self.inner.$name($($argument),*).await
                })
            })*
        }
    };
}

line! {
    chain_id() -> u64;
    head() -> BlockHead;
    block(number: u64) -> Option<BlockHead>;
    balance(account: Address, at: At) -> U256;
    code(account: Address, at: At) -> Bytes;
    nonce(account: Address) -> u64;
    nonce_at(account: Address, at: At) -> u64;
    fees() -> Fees;
    call(call: Call, at: At) -> Bytes;
    estimate_gas(call: Call, at: At) -> u64;
    send_raw(transaction: Bytes) -> B256;
    receipt(transaction: B256) -> Option<Receipt>;
    logs(query: LogQuery) -> Vec<LogEntry>;
    transaction(hash: B256) -> Option<PublishedTransaction>;
}

fn config(rig: &Rig) -> Config {
    let metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    Config { metrics_listen, wallet: Some(wallet(0)), ..rig.config() }
}
fn address(running: &Running) -> String {
    running.handle.metrics_address.unwrap().to_string()
}
/// Waits until gRPC says so of the whole, the wallets' and the provers' service.
async fn serves(running: &Running, right: [bool; 3]) {
    let mut client = health_client(&running.handle.address.to_string()).await;
    let mut serving = [false; 3];
    for _ in 0..1_200 {
        let services = ["", "kerros.v1.SequencerService", "kerros.v1.ProverService"];
        for (serves, service) in serving.iter_mut().zip(services) {
            let request = HealthCheckRequest { service: service.to_owned() };
            let status = client.check(request).await.unwrap().into_inner().status();
            *serves = status == ServingStatus::Serving;
        }
        if serving == right {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{serving:?}, not {right:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_main_chain_that_does_not_answer_makes_the_service_unhealthy_until_it_does() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let line = Arc::new(Line { inner: rig.chain.clone(), cut: AtomicBool::new(false) });
    let config = Config { stall_ms: 1_000, ..config(&rig) };
    let chain: Arc<dyn MainChain> = line.clone();
    let handle = Sequencer::start(config, chain, rig.key.clone(), rig.srs.clone()).await.unwrap();
    let running = Running::new(handle).await;
    let at = address(&running);
    becomes(&at, |codes| codes.is_empty()).await;
    serves(&running, [true; 3]).await;
    line.cut.store(true, Ordering::Relaxed);
    becomes(&at, |codes| codes == ["MAIN_CHAIN_SILENT"]).await;
    // Provers can go on, and a restart would not help.
    serves(&running, [false, false, true]).await;
    assert_eq!(page(&at, "/health/live").await, (200, r#"{"status":"live"}"#.to_owned()));
    line.cut.store(false, Ordering::Relaxed);
    becomes(&at, |codes| codes.is_empty()).await;
    serves(&running, [true; 3]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_cannot_turn_makes_the_service_unhealthy_until_it_can() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let running = rig.start(Config { stall_ms: 1_000, ..config(&rig) }).await;
    let at = address(&running);
    becomes(&at, |codes| codes.is_empty()).await;
    let stall = running.stall();
    becomes(&at, |codes| codes.iter().any(|code| code == "WRITER_STALLED")).await;
    stall.end();
    becomes(&at, |codes| codes.is_empty()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_batch_that_does_not_become_final_makes_the_service_unhealthy_until_it_is() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    rig.deposit(1, 1_000, 1, owner(0)).await;
    let mut running = rig.start(Config { progress_ms: 500, ..config(&rig) }).await;
    let at = address(&running);
    running.served(1).await;
    // An open batch waits for its age, not for us.
    becomes(&at, |codes| codes.is_empty()).await;
    let number = running.seal().await;
    becomes(&at, |codes| codes == ["SETTLEMENT_LATE"]).await;
    running.prove(&rig).await;
    running.reached(number, BatchState::Final).await;
    becomes(&at, |codes| codes.is_empty()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settlement_that_needs_an_operator_makes_the_service_unhealthy() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    rig.deposit(1, 1_000, 1, owner(0)).await;
    // Wallet 1 is not the operator.
    let mut running = rig.start(Config { wallet: Some(wallet(1)), ..config(&rig) }).await;
    let at = address(&running);
    running.served(1).await;
    running.seal().await;
    running.prove(&rig).await;
    becomes(&at, |codes| codes == ["SETTLEMENT_HALTED"]).await;
    let (_, body) = page(&at, "/health/ready").await;
    assert!(body.contains("OperatorNotSilent"), "{body}");
    running.stop().await;
}
