//! A database that an earlier version left behind.

use crate::rig::{Rig, owner};

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
