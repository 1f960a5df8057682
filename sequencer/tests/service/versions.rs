//! A database that an earlier version left behind.

use crate::rig::{Rig, owner, wallet};
use alloy::primitives::U256;
use kerros_protocol::proto::BatchState;
use kerros_sequencer::Config;
use kerros_sequencer::journal::{Happened, Journal, PostRecord};
use kerros_sequencer::settlement::contract::post_call;
use kerros_verifier::trapdoor;
use prost::Message;
use std::time::{SystemTime, UNIX_EPOCH};

/// The build before had no families for openings. Its databases are whole, and have a watermark.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_version_before_openings_is_opened() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    let mut running = rig.start(rig.config()).await;
    running.open(1, owner(1), 1).await.unwrap();
    running.stop().await;
    {
        let options = rocksdb::Options::default();
        let path = rig.data_dir();
        let families = rocksdb::DB::list_cf(&options, &path).unwrap();
        let mut db = rocksdb::DB::open_cf(&options, &path, families).unwrap();
        db.drop_cf("openings").unwrap();
        db.drop_cf("opened").unwrap();
    }
    let started = kerros_sequencer::Sequencer::start(
        rig.config(),
        std::sync::Arc::new(rig.chain.clone()),
        rig.key.clone(),
        rig.srs.clone(),
    )
    .await;
    match started {
        Ok(handle) => handle.shutdown().await.unwrap(),
        Err(error) => panic!("{error}"),
    }
}

/// The build before kept one signed post of a batch, and no attempts: it is the first attempt, sent as it
/// is.
#[tokio::test(flavor = "multi_thread")]
async fn a_post_signed_by_the_version_before_attempts_is_sent_and_not_signed_again() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    rig.deposit(1, 1_000, 1, owner(0)).await;
    let mut running = rig.start(rig.config()).await;
    running.served(1).await;
    running.seal().await;
    running.prove(&rig).await;
    let batch = running.sealed(1, &rig.key.shape).await;
    running.stop().await;
    let proof = trapdoor::prove(&rig.key, rig.domain(), &batch).unwrap();
    let input = post_call(&batch, &proof).into();
    let chain = &rig.chain;
    let signed = wallet(0).prepare(chain, Some(rig.contract), U256::ZERO, input).await.unwrap();
    // Not so long ago that it would be replaced.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let post = PostRecord {
        hash: signed.hash.to_vec(),
        raw: signed.raw.to_vec(),
        nonce: signed.nonce,
        signed_ms: u64::try_from(now.as_millis()).unwrap(),
        calldata_len: 7,
    };
    {
        let options = rocksdb::Options::default();
        let path = rig.data_dir();
        let families = rocksdb::DB::list_cf(&options, &path).unwrap();
        let mut db = rocksdb::DB::open_cf(&options, &path, families).unwrap();
        db.drop_cf("attempts").unwrap();
        let posts = db.cf_handle("posts").unwrap();
        db.put_cf(posts, 1u64.to_be_bytes(), post.encode_to_vec()).unwrap();
    }
    let mut running = rig.start(Config { wallet: Some(wallet(0)), ..rig.config() }).await;
    let settlement = running.reached(1, BatchState::Final).await.settlement.unwrap();
    assert_eq!(settlement.transaction_hash, signed.hash.to_vec());
    running.stop().await;
    let journal = Journal::open(&rig.data_dir()).unwrap();
    let rows = journal.attempts(1).unwrap();
    assert!(rows.iter().all(|row| row.attempt == 1), "{rows:?}");
    assert_eq!(rows[0].record.what, Some(Happened::Signed(post)));
    assert!(matches!(rows.last().unwrap().record.what, Some(Happened::Final(_))), "{rows:?}");
}
