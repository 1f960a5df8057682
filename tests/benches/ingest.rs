//! Acknowledged transfers per second through real gRPC and synced writes; prints a table.
//!
//! `cargo bench --workspace --bench ingest`; with `-- --test` a short run. Eight funded accounts, pre-signed
//! transfers, one streaming client in the same process as the sequencer; every acknowledgement is
//! durable. Beside it, in the same run, the raw rate of signature verification on all cores.

use kerros_protocol::batch::Shape;
use kerros_protocol::proto::SubmitTransactionsRequest;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::submit_transactions_response::Result as Answer;
use kerros_protocol::verification_key::VerificationKey;
use kerros_tests::chain::{balance_once_funded, sequencer_config, start_sequencer};
use kerros_tests::world::wallet;
use kerros_tests::{Chain, World, keys};
use rayon::prelude::*;
use std::time::Instant;

const ACCOUNTS: u8 = 8;

#[tokio::main]
async fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let count: u32 = if smoke { 500 } else { 40_000 };
    let small = keys::small();
    // No proof is made here: the small key's points do for any shape.
    let shape = Shape::new([8, 8, 1024, 4, 2]).expect("a good shape");
    let key_file = VerificationKey { shape, ..small.verification.clone() };
    let chain = Chain::deploy(&key_file).await;
    for w in 1..=ACCOUNTS {
        chain.deposit(w, 1, 1_000_000_000).await;
    }
    let dir = tempfile::TempDir::new().expect("temporary directory");
    let handle = start_sequencer(sequencer_config(dir.path(), &chain), &chain, &key_file).await;
    let endpoint = format!("http://{}", handle.address);
    let mut client = SequencerServiceClient::connect(endpoint).await.expect("listens");

    // The sequencer opens and funds the accounts from the queue.
    let mut world = World::new(shape, keys::K_GENESIS, chain.domain().await);
    for w in 1..=ACCOUNTS {
        let (index, balance) = balance_once_funded(&mut client, w).await;
        world.open(index, w, 1);
        world.deposit(index, w, 1, balance);
        assert_eq!(index, u32::from(w), "entries are served in order");
    }
    // Signed in parallel: nonces are known beforehand.
    let domain = world.domain;
    let signed: Vec<_> = (0..count)
        .into_par_iter()
        .map(|t| {
            let from = 1 + t % u32::from(ACCOUNTS);
            let to = 1 + (t + 3) % u32::from(ACCOUNTS);
            let mut signed = world.transfer_of(from as u8, from, to, 1, 0);
            let kerros_protocol::transaction::Transaction::Transfer(mut transfer) =
                signed.transaction
            else {
                unreachable!("a transfer")
            };
            transfer.nonce = t / u32::from(ACCOUNTS);
            let transaction = kerros_protocol::transaction::Transaction::Transfer(transfer);
            signed = kerros_protocol::transaction::SignedTransaction::sign(
                transaction,
                &wallet(from as u8).0,
                domain,
            );
            signed
        })
        .collect();

    let start = Instant::now();
    assert!(signed.par_iter().all(|signed| signed.verify_signature(domain).is_ok()));
    let raw = f64::from(count) / start.elapsed().as_secs_f64();

    let requests: Vec<_> = signed
        .iter()
        .map(|signed| SubmitTransactionsRequest { transaction: signed.encode() })
        .collect();
    let start = Instant::now();
    let stream = client.submit_transactions(tokio_stream::iter(requests)).await.expect("accepted");
    let mut answers = stream.into_inner();
    let mut acknowledged = 0u32;
    while let Some(answer) = answers.message().await.expect("the stream holds") {
        match answer.result {
            Some(Answer::Receipt(_)) => acknowledged += 1,
            other => panic!("refused: {other:?}"),
        }
    }
    let rate = f64::from(acknowledged) / start.elapsed().as_secs_f64();
    assert_eq!(acknowledged, count);
    println!("| acknowledged | acknowledged/s | raw verifications/s, all cores | ratio |");
    println!("|---|---|---|---|");
    println!("| {acknowledged} | {rate:.0} | {raw:.0} | {:.2} |", rate / raw);
    handle.shutdown().await.expect("a clean end");
}
