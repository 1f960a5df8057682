//! What all simulated worlds share: keys, a small reference string, names.

use super::chain::{CHAIN_ID, CONTRACT};
use crate::main_chain::Wallet;
use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use kerros_protocol::account::{AccountKey, Address};
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::commitment::Srs;
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::transcript::{self, BatchProof, Groth16Proof};
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::trapdoor;
use std::sync::OnceLock;

/// Small, so that batches fill, ledgers grow and sections run out.
const SHAPE: &str = "3,2,6,3,2";
const K_GENESIS: u8 = 3;
const K_MAX: u8 = 5;

pub struct Setup {
    pub key: VerificationKey,
    pub srs: Srs,
    pub domain: Fr,
    _dir: tempfile::TempDir,
}

/// Made once in a process.
pub fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let key = trapdoor::key(SHAPE.parse().expect("a shape"), K_GENESIS, K_MAX);
        let srs = trapdoor::srs(&key, &dir.path().join("srs")).expect("written");
        let domain = transcript::domain(CHAIN_ID, &Address(CONTRACT.into_array()));
        Setup { key, srs, domain, _dir: dir }
    })
}

pub fn secret(name: u8) -> PrivateKey {
    PrivateKey::from_bytes([name + 1; 32])
}
/// Name 0 is the operator's.
pub fn key_of(name: u8) -> AccountKey {
    AccountKey::new(secret(name).public_key().0.x).expect("not 0")
}
pub fn owner() -> Address {
    Address([0x0a; 20])
}
pub fn receipt_key() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(0x11)).expect("a key")
}
pub fn poster() -> Wallet {
    Wallet::new(PrivateKeySigner::from_bytes(&B256::repeat_byte(0x22)).expect("a key"))
}

/// What a prover makes of a batch; a bad one does not hold.
pub fn prove(setup: &Setup, sealed: &[u8], well: bool) -> Vec<u8> {
    let batch = SealedBatch::decode(sealed, &setup.key.shape).expect("the sequencer's bytes");
    let statement = transcript::statement(&setup.key, setup.domain, &batch);
    let one = G1Affine::generator();
    let h = super::chain::good(&statement);
    BatchProof {
        h: if well { h } else { h + Fr::from(1u64) },
        a: Fr::from(1u64),
        delta: Fr::from(2u64),
        z_s: Fr::from(3u64),
        q: one,
        w: one,
        groth16: Groth16Proof { a: one, b: G2Affine::generator(), c: one },
    }
    .encode()
}
