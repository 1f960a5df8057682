//! What comes from outside neither panics nor piles up.

use crate::rig::{Rig, account};
use kerros_protocol::proto::{self, GetInfoRequest};
use kerros_sequencer::limits::{CONNECTIONS_MAX, REQUEST_BYTES_MAX};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
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
