//! What comes from outside neither panics nor piles up.

use crate::rig::{Rig, account};
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{self, GetInfoRequest};
use kerros_sequencer::limits::{CONNECTIONS_MAX, LONG_CALLS_PER_CONNECTION_MAX, REQUEST_BYTES_MAX};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

/// Resident memory of this process in kB.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_messages_are_refused_before_they_are_read() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    let mut running = rig.start(rig.config()).await;
    let before = resident_kb();
    for _ in 0..50 {
        let status = running.submit(vec![1; 16 << 20]).await.unwrap_err();
        assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status:?}");
        let status = running.submit(vec![1; REQUEST_BYTES_MAX]).await.unwrap_err();
        assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status:?}");
    }
    // The client's own buffers are in this process too: far less than the 800 MB sent.
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < 200_000, "{grown} kB more");
    running.info().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_in_every_field_are_refused_and_the_service_lives() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    rig.craft(&[account(1, 1, 1_000, 0), account(2, 1, 0, 0)]);
    let mut running = rig.start(rig.config()).await;
    let good = rig.transfer((1, 1), (2, 2), 1, 0);
    for _ in 0..400 {
        let mut bytes = good.clone();
        match rng.gen_range(0..3) {
            0 => {
                let at = rng.gen_range(0..bytes.len());
                bytes[at] ^= 1 << rng.gen_range(0..8);
            }
            1 => bytes.truncate(rng.gen_range(0..bytes.len())),
            _ => {
                bytes = vec![0; rng.gen_range(0..300)];
                rng.fill_bytes(&mut bytes);
            }
        }
        // A flipped bit never gives a valid signature of another transaction.
        let status = running.submit(bytes).await.unwrap_err();
        assert_ne!(status.code(), Code::Internal);
        assert_ne!(status.code(), Code::Unknown);
    }
    let mut field = |len: usize| {
        let mut bytes = vec![0; rng.gen_range(0..=len)];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    for _ in 0..100 {
        let open = proto::OpenAccountRequest { asset: 1, owner: field(40), key: field(40) };
        let _ = running.client.open_account(open).await;
        let triple = proto::AccountTriple { key: field(33), asset: 70_000, owner: field(21) };
        let by = Some(proto::get_account_request::By::Triple(triple));
        running.client.get_account(proto::GetAccountRequest { by }).await.unwrap_err();
        let id = proto::GetTransactionRequest { transaction_id: field(40) };
        running.client.get_transaction(id).await.unwrap_err();
        let proof = proto::SubmitProofRequest { proof: field(900), ..Default::default() };
        running.prover.submit_proof(proof).await.unwrap_err();
        let lease = proto::LeaseBatchRequest { prover_id: "x".repeat(65), wait_ms: u32::MAX };
        running.prover.lease_batch(lease).await.unwrap_err();
        let list = proto::ListBatchesRequest { page_size: u32::MAX, before_number: u64::MAX };
        running.client.list_batches(list).await.unwrap();
    }
    running.submit(good).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_http2_only_cost_their_connection() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    let mut running = rig.start(rig.config()).await;
    for junk in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 4096], Vec::new()] {
        let mut stream = TcpStream::connect(running.handle.address).await.unwrap();
        // It may close while we write.
        let _ = stream.write_all(&junk).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    }
    running.info().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_allowed_wait_and_the_others_are_served() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    let mut running = rig.start(rig.config()).await;
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS_MAX + 16 {
        match TcpStream::connect(running.handle.address).await {
            Ok(stream) => idle.push(stream),
            Err(_) => break, // out of descriptors here: as good
        }
    }
    running.client.get_info(GetInfoRequest {}).await.unwrap();
    drop(idle);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answers_is_not_read_any_more_either() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    let mut running = rig.start(rig.config()).await;
    const ALL: usize = 200_000;
    let (send, requests) = tokio::sync::mpsc::channel(1);
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let sender = tokio::spawn(async move {
        for _ in 0..ALL {
            let request = proto::SubmitTransactionsRequest { transaction: vec![1; 8] };
            if send.send(request).await.is_err() {
                return;
            }
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let answers = running.client.submit_transactions(requests).await.unwrap().into_inner();
    // Until nothing moves any more: windows of both directions and the bound are full.
    let (mut before, mut still) = (0, 0);
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = sent.load(Ordering::Relaxed);
        still = if now == before { still + 1 } else { 0 };
        before = now;
        if still == 5 && before >= 1_024 {
            break;
        }
    }
    assert!((1_024..ALL / 2).contains(&before), "{before} were taken");
    // The transport may close a connection that has so much unread; nobody else notices.
    drop(answers);
    sender.await.unwrap();
    assert!(sent.load(Ordering::Relaxed) < ALL);
    let url = format!("http://{}", running.handle.address);
    let mut other = SequencerServiceClient::connect(url).await.unwrap();
    other.get_info(GetInfoRequest {}).await.unwrap();
    drop(other);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_cannot_take_all_streams() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    let mut running = rig.start(rig.config()).await;
    let request = proto::WatchBatchesRequest { from_number: 0 };
    let mut held = Vec::new();
    let refused = loop {
        match running.client.watch_batches(request).await {
            Ok(stream) => held.push(stream),
            Err(status) => break status,
        }
    };
    assert_eq!(held.len(), LONG_CALLS_PER_CONNECTION_MAX);
    assert_eq!(crate::rig::reason(&refused), "OVERLOADED");
    let hint = proto::RejectionDetail::from_status(&refused).unwrap().retry_after_ms;
    assert!(hint > 0);
    let url = format!("http://{}", running.handle.address);
    let mut other = SequencerServiceClient::connect(url).await.unwrap();
    other.watch_batches(request).await.unwrap();
    drop((held, other));
    running.stop().await;
}
