//! Watching batches: a stream that is cut anywhere is taken up without a gap.

use crate::proving::proof;
use crate::rig::{Rig, Running, owner, wallet};
use kerros_protocol::proto::{BatchState, WatchBatchesRequest, WatchBatchesResponse};
use kerros_sequencer::Config;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_stream::StreamExt;
use tonic::Streaming;

/// The last state told of each batch.
type States = BTreeMap<u64, BatchState>;

async fn watch(running: &mut Running, from_number: u64) -> Streaming<WatchBatchesResponse> {
    let request = WatchBatchesRequest { from_number };
    running.client.watch_batches(request).await.unwrap().into_inner()
}
async fn next(stream: &mut Streaming<WatchBatchesResponse>) -> (u64, BatchState, u64) {
    let next = tokio::time::timeout(Duration::from_secs(30), stream.next());
    let answer = next.await.expect("news").unwrap().unwrap();
    let batch = answer.batch.unwrap();
    (batch.number, batch.state(), answer.resume_number)
}
fn not_final(states: &States) -> u64 {
    (1..).find(|number| states.get(number) != Some(&BatchState::Final)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_cut_at_any_answer_and_resumed_there_misses_nothing() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    let config = Config { wallet: Some(wallet(0)), ..rig.config() };
    let mut running = rig.start(config).await;
    let mut whole = watch(&mut running, 1).await;
    for number in 1..=3u8 {
        rig.deposit(1, 1_000, number, owner(0)).await;
        running.served(number.into()).await;
        running.seal().await;
    }
    // 2 is proved before 1: later batches change while the lowest does not.
    let slow = running.lease("slow").await.unwrap();
    running.prove(&rig).await;
    running.submit_proof(&slow, proof(&rig, &slow)).await.unwrap();
    running.prove(&rig).await;

    // Cut after one to four answers while everything moves.
    let (mut told, mut from, mut cuts) = (States::new(), 1, 0);
    while not_final(&told) < 4 {
        let mut stream = watch(&mut running, from).await;
        for _ in 0..=cuts % 4 {
            let (number, state, resume) = next(&mut stream).await;
            let before = told.insert(number, state);
            assert!(before != Some(BatchState::Final) || state == BatchState::Final, "{number}");
            assert_eq!(resume, not_final(&told), "the lowest that was not told Final");
            from = resume;
            if resume == 4 {
                break;
            }
        }
        cuts += 1;
    }
    told.insert(4, BatchState::Open);
    let mut end: States = (1..=3).map(|number| (number, BatchState::Final)).collect();
    end.insert(4, BatchState::Open);
    assert_eq!(told, end);

    // The uncut one, and what is told from each of its answers on.
    let mut states = States::new();
    while not_final(&states) < 4 {
        let (number, state, resume) = next(&mut whole).await;
        states.insert(number, state);
        assert_eq!(resume, not_final(&states));
        let (mut resumed, mut stream) = (states.clone(), watch(&mut running, resume).await);
        for _ in resume..=4 {
            let (number, state, _) = next(&mut stream).await;
            resumed.insert(number, state);
        }
        assert_eq!(resumed, end, "resumed at {resume}");
    }
    running.stop().await;
}
