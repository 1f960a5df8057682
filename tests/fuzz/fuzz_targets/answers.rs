//! What main-chain nodes answer, in JSON.

#![no_main]

use alloy::primitives::{Address, B256};
use kerros_fuzz::{bounded, choose};
use kerros_verifier::chain::answers::{creation, logs, transaction};
use kerros_verifier::chain::{Event, Node};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static NODE: LazyLock<Node> = LazyLock::new(|| Node::new("http://127.0.0.1:1").expect("a URL"));
/// The contract of the seeds.
const CONTRACT: Address = Address::repeat_byte(5);
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
            let found = bounded(rest, fixed, factor, |rest| logs(&NODE, rest, CONTRACT, BLOCKS));
            for log in found.into_iter().flatten().flatten() {
                assert!((BLOCKS.0..=BLOCKS.1).contains(&log.place.block));
                let _ = Event::decode(&log);
            }
        }
        _ => {
            let found = bounded(rest, fixed, factor, |rest| creation(CONTRACT, rest));
            if let Ok(Some(found)) = found {
                let created = found.sender.map(|sender| sender.create(found.nonce));
                assert!(found.is_genuine() && created == Some(CONTRACT));
            }
        }
    }
});
