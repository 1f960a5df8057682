//! What main-chain nodes answer, in JSON.

#![no_main]

use alloy::primitives::{Address, B256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use kerros_fuzz::{bounded, choose};
use kerros_verifier::chain::answers::{creation, logs, transaction};
use kerros_verifier::chain::{Event, Node};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static NODE: LazyLock<Node> = LazyLock::new(|| Node::new("http://127.0.0.1:1").expect("a URL"));
/// Deploys the seeds' contracts: the embedded chain's first development wallet.
static DEPLOYER: LazyLock<Address> = LazyLock::new(|| {
    let secret = keccak256([&b"kerros.development.wallet"[..], &[0; 4]].concat());
    PrivateKeySigner::from_bytes(&secret).expect("a key").address()
});
const BLOCKS: (u64, u64) = (0, 1 << 20);

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 4) else { return };
    // JSON's own tree takes many times its text.
    let (fixed, factor) = (65_536, 512);
    match kind {
        0 | 1 => {
            let found = bounded(rest, fixed, factor, |rest| transaction(B256::ZERO, rest));
            if let Ok(Some(found)) = found {
                assert!(!found.is_genuine() || found.computed == B256::ZERO);
            }
        }
        2 => {
            LazyLock::force(&NODE);
            let contract = DEPLOYER.create(1);
            let found = bounded(rest, fixed, factor, |rest| logs(&NODE, rest, contract, BLOCKS));
            for log in found.into_iter().flatten().flatten() {
                assert!((BLOCKS.0..=BLOCKS.1).contains(&log.place.block));
                let _ = Event::decode(&log);
            }
        }
        _ => {
            let contract = DEPLOYER.create(0);
            let found = bounded(rest, fixed, factor, |rest| creation(contract, rest));
            if let Ok(Some(found)) = found {
                let created = found.sender.map(|sender| sender.create(found.nonce));
                assert!(found.is_genuine() && created == Some(contract));
            }
        }
    }
});
