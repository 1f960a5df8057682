//! The contract's logs, and what it returns or reverts with.

#![no_main]

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::{SolCall, SolEventInterface};
use kerros_fuzz::{bounded, canonical, choose};
use kerros_verifier::chain::answers::stored_entry;
use kerros_verifier::chain::{Event, LogEntry, Place};
use kerros_verifier::contract::{Kerros, KerrosEvents, Revert};
use libfuzzer_sys::fuzz_target;

fn event(bytes: &[u8]) {
    let Some((count, rest)) = choose(bytes, 6) else { return };
    let Some((words, data)) = rest.split_at_checked(32 * usize::from(count)) else { return };
    let topics: Vec<B256> = words.chunks(32).map(B256::from_slice).collect();
    let place =
        Place { block: 9, block_hash: B256::ZERO, index: 3, transaction: B256::repeat_byte(1) };
    let log = LogEntry { place, topics, data: Bytes::copy_from_slice(data) };
    let Ok(event) = bounded(bytes, 16_384, 16, |_| Event::decode(&log)) else { return };
    let written = KerrosEvents::decode_raw_log(&log.topics, &log.data);
    let written = alloy::primitives::IntoLogData::to_log_data(&written.expect("it was read"));
    assert_eq!(written.topics(), log.topics);
    canonical(&log.data, &written.data);
    if let Event::Queued(queued) = event {
        queued.share_wei();
    }
}

fn returned<C: SolCall>(bytes: &[u8])
where
    C::Return: Clone,
{
    let _ = bounded(bytes, 16_384, 16, |bytes| C::abi_decode_returns_validate(bytes).is_ok());
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 6) else { return };
    match kind {
        0..=2 => event(rest),
        3 => {
            let Some(Ok(entry)) = bounded(rest, 16_384, 16, stored_entry) else { return };
            assert!(entry.enqueued_at < 1 << 48);
        }
        4 => {
            let revert = bounded(rest, 16_384, 64, |bytes| Revert::decode(bytes));
            bounded(rest, 16_384, 256, |_| revert.to_string());
        }
        _ => {
            returned::<Kerros::shapeCall>(rest);
            returned::<Kerros::rootCall>(rest);
            returned::<Kerros::kCall>(rest);
            returned::<Kerros::operatorCall>(rest);
            returned::<Kerros::assetCountCall>(rest);
            let _ = Address::from_slice(&[0; 20]);
        }
    }
});
