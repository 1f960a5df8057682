//! Development keys for tests, made once and cached under `target/kerros-keys`.

use kerros_circuits::setup::{cache_dir, development};
use kerros_protocol::batch::Shape;
use kerros_protocol::commitment::Srs;
use kerros_prover::keys::ProverKeys;
use rand::rngs::OsRng;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Shape of most tests: every section twice, four transfers.
pub const SMALL: [u32; 5] = [2, 2, 4, 2, 2];
/// Ledger of 2^4 at genesis.
pub const K_GENESIS: u8 = 4;
/// May grow to 2^6.
pub const K_MAX: u8 = 6;

/// Directory of the cached keys of a shape.
pub fn key_dir(shape: &Shape, k_genesis: u8, k_max: u8) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/kerros-keys");
    let dir = cache_dir(&target, shape, k_genesis, k_max);
    // One process at a time makes keys; others wait and then find them.
    std::fs::create_dir_all(&target).expect("target can be written");
    let lock = std::fs::File::create(target.join("lock")).expect("target can be written");
    lock.lock().expect("file locks work here");
    development(&dir, shape, k_genesis, k_max, &mut OsRng, &|_| {}).expect("setup");
    dir
}

/// Directory of the small shape's keys.
pub fn small_dir() -> PathBuf {
    key_dir(&Shape::new(SMALL).expect("a good shape"), K_GENESIS, K_MAX)
}

/// Reference string of the small shape's keys.
pub fn small_srs() -> Srs {
    Srs::open(&small_dir().join("srs.bin")).expect("just made")
}

/// Keys of the small shape, loaded once a process.
pub fn small() -> Arc<ProverKeys> {
    static KEYS: OnceLock<Mutex<Option<Arc<ProverKeys>>>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| Mutex::new(None));
    let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    keys.get_or_insert_with(|| Arc::new(ProverKeys::load(&small_dir()).expect("keys just made")))
        .clone()
}
