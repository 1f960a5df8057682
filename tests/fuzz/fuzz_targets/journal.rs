//! The sequencer's database as a damaged disk may give it back: rows of any bytes, read in every way that
//! the sequencer reads them.

#![no_main]

use alloy::primitives::{Address as ChainAddress, B256};
use kerros_fuzz::{bounded, canonical, choose};
use kerros_protocol::account::AccountIndex;
use kerros_protocol::batch::OpenRecord;
use kerros_protocol::encoding::Reader;
use kerros_protocol::limits::LEDGER_K_MAX;
use kerros_protocol::transaction::TransactionId;
use kerros_sequencer::api::convert;
use kerros_sequencer::journal::store::{Begin, Row, Store, StoreError, Write};
use kerros_sequencer::journal::{
    AttemptEvent, BatchRecord, Checkpoint, Group, Journal, LeaseRecord, Operation, Origin,
    PostRecord, ReceiptPlace, StoredReceipts, keys, watermark,
};
use kerros_sequencer::main_chain::LogEntry;
use kerros_sequencer::main_chain::embedded::{BlockRecord, ReceiptRecord};
use kerros_sequencer::settlement::attempts::History;
use kerros_sequencer::settlement::queue;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use std::collections::BTreeMap;

const DOMAIN: u64 = 7;

/// Ordered rows in memory.
#[derive(Default)]
struct Rows(BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>);

fn row((key, value): (&Vec<u8>, &Vec<u8>)) -> Result<Row, StoreError> {
    Ok((key.as_slice().into(), value.as_slice().into()))
}

impl Store for Rows {
    fn get(&self, family: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(family).and_then(|rows| rows.get(key)).cloned())
    }
    fn write(&self, _: &Write, _: bool) -> Result<(), StoreError> {
        Err(StoreError("only read here".to_owned()))
    }
    fn scan<'a>(
        &'a self,
        family: &'static str,
        from: Begin<'_>,
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        let Some(rows) = self.0.get(family) else { return Box::new(std::iter::empty()) };
        match from {
            Begin::First => Box::new(rows.iter().map(row)),
            Begin::Last => Box::new(rows.iter().rev().map(row)),
            Begin::Up(key) => Box::new(rows.range(key.to_vec()..).map(row)),
            Begin::Down(key) => Box::new(rows.range(..=key.to_vec()).rev().map(row)),
        }
    }
    fn each(
        &self,
        family: &'static str,
        show: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let rows = self.0.get(family).into_iter().flatten();
        rows.take_while(|(key, value)| show(key, value)).for_each(drop);
        Ok(())
    }
}

/// (family 1 ‖ length of key 1 ‖ key ‖ length of value 2 ‖ value)….
fn rows(bytes: &[u8]) -> Rows {
    let (mut rows, mut reader) = (Rows::default(), Reader::new(bytes));
    let mut next = || {
        let family = keys::FAMILIES[usize::from(reader.take_u8("family").ok()?) % 13];
        let length = reader.take_u8("length").ok()?;
        let key = match (family, length) {
            (keys::META, name) => {
                let names = [keys::CHECKPOINT, keys::RECEIPT, keys::OPENING, keys::HALTED];
                names[usize::from(name) % names.len()].to_vec()
            }
            _ => reader.take("key", length.into()).ok()?.to_vec(),
        };
        let length = reader.take_u16("length").ok()?;
        Some((family, key, reader.take("value", length.into()).ok()?.to_vec()))
    };
    while let Some((family, key, value)) = next() {
        rows.0.entry(family).or_default().insert(key, value);
    }
    rows
}

fn read(bytes: &[u8]) {
    let rows = rows(bytes);
    let families: Vec<(&str, Vec<u8>)> =
        rows.0.iter().flat_map(|(f, rows)| rows.keys().map(|key| (*f, key.clone()))).collect();
    let journal = Journal::over(rows);
    let domain = DOMAIN.into();
    let checkpoint = journal.checkpoint().ok().flatten();
    let k = checkpoint.map_or(10, |checkpoint| checkpoint.head.k);
    assert!(k <= LEDGER_K_MAX);
    let _ = (
        journal.last_receipt().is_ok(),
        journal.last_opening().is_ok(),
        journal.end(domain).is_ok(),
    );
    // The whole ledger lies in memory, up to its last account: small ones here.
    let _ = journal.ledger(k.min(10)).is_ok();
    for (family, key) in families {
        let mut r = Reader::new(&key);
        let (batch, sequence) =
            (r.take_u64("batch").unwrap_or(1), r.take_u32("sequence").unwrap_or(0));
        match family {
            keys::GROUPS => {
                let _ = journal.next_group(batch, sequence).is_ok();
                let _ = journal.mark_at(batch, sequence.wrapping_add(1), domain).is_ok();
                let _ = journal.operations(batch).is_ok();
            }
            keys::TRANSACTIONS => {
                let Ok(id) = key.try_into() else { continue };
                let id = TransactionId(id);
                if let Ok(Some(receipt)) = journal.receipt(&id) {
                    let _ = receipt.digest(domain);
                    convert::receipt(receipt);
                }
                let _ = journal.signed(&id).is_ok();
            }
            keys::OPENED => {
                let index = key.try_into().ok().map(u32::from_be_bytes);
                let Some(Ok(index)) = index.map(AccountIndex::new) else { continue };
                let asset = kerros_protocol::account::AssetId::new(1).expect("not 0");
                let key = kerros_protocol::account::AccountKey::new(5u64.into()).expect("not 0");
                let owner = kerros_protocol::account::Address([1; 20]);
                let _ = journal.opening(OpenRecord { index, asset, owner, key }).is_ok();
            }
            keys::ACCOUNTS => {
                let index = key.try_into().ok().map(u32::from_be_bytes);
                if let Some(Ok(index)) = index.map(AccountIndex::new) {
                    let _ = journal.account(index).is_ok();
                }
            }
            keys::RECORDS => {
                if let Ok(Some(record)) = journal.record(batch) {
                    record.since_ms();
                    convert::batch_with_proof(record);
                }
            }
            keys::LEASES => drop(journal.lease(batch)),
            keys::ORIGINS => drop(journal.origin(batch)),
            keys::POSTS | keys::ATTEMPTS => {
                let Ok(history) = History::load(&journal, batch) else { continue };
                history.attempts.iter().for_each(|attempt| {
                    let _ = (attempt.hash(), attempt.offer());
                });
            }
            _ => {}
        }
    }
}

fn group(bytes: &[u8]) {
    let Some((sequence, rest)) = bytes.split_first_chunk::<4>() else { return };
    let sequence = u32::from_be_bytes(*sequence);
    let read = bounded(rest, 4_096, 256, |rest| Group::decode(1, sequence, rest));
    let Ok(group) = read else { return };
    canonical(rest, group.encode());
    let mark = group.mark(DOMAIN.into());
    assert_eq!(mark.sequence as usize, sequence as usize + group.operations.len());
    if let Some(receipts) = group.receipts(DOMAIN.into()) {
        let stored = receipts.store(&group.seal);
        let again = StoredReceipts::decode(1, &stored).expect("what was written");
        for (receipt, index) in receipts.iter().zip(0..) {
            assert_eq!(again.get(receipt.promise.id, index), Some(receipt));
        }
    }
}

fn stored(bytes: &[u8]) {
    let Ok(stored) = bounded(bytes, 4_096, 16, |bytes| StoredReceipts::decode(1, bytes)) else {
        return;
    };
    for index in [0, 1, 2, u32::MAX] {
        if let Some(receipt) = stored.get(TransactionId([1; 32]), index) {
            let _ = receipt.digest(DOMAIN.into());
        }
    }
}

fn message<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(message) = bounded(bytes, 16_384, 512, |bytes| M::decode(bytes)) else { return };
    assert_eq!(M::decode(message.encode_to_vec().as_slice()), Ok(message));
}

/// A log as a node gives it to the sequencer.
fn announced(bytes: &[u8]) {
    let Some((count, rest)) = choose(bytes, 6) else { return };
    let Some((words, data)) = rest.split_at_checked(32 * usize::from(count)) else { return };
    let log = LogEntry {
        address: ChainAddress::ZERO,
        topics: words.chunks(32).map(B256::from_slice).collect(),
        data: data.to_vec().into(),
        block: 1,
        block_hash: B256::ZERO,
        transaction: B256::ZERO,
        index: 0,
    };
    let _ = bounded(bytes, 16_384, 16, |_| queue::announced(&log).is_ok());
}

/// The embedded chain's records.
fn json<T: serde::de::DeserializeOwned + serde::Serialize>(bytes: &[u8]) {
    let read = bounded(bytes, 65_536, 256, |bytes| serde_json::from_slice::<T>(bytes));
    let Ok(record) = read else { return };
    let written = serde_json::to_vec(&record).expect("JSON");
    let again: T = serde_json::from_slice(&written).expect("what was written");
    canonical(&written, serde_json::to_vec(&again).expect("JSON"));
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 18) else { return };
    match kind {
        0..=2 => bounded(rest, 1 << 20, 256, read),
        3 | 4 => group(rest),
        5 => stored(rest),
        6 => {
            let Ok(operation) = bounded(rest, 4_096, 16, Operation::decode) else { return };
            let mut written = Vec::new();
            operation.write(&mut written);
            canonical(rest, written);
        }
        7 => {
            let Ok(checkpoint) = bounded(rest, 4_096, 4, Checkpoint::decode) else { return };
            canonical(rest, checkpoint.encode());
            assert!(checkpoint.head.k <= LEDGER_K_MAX);
        }
        8 => {
            let Ok(place) = ReceiptPlace::decode(rest) else { return };
            canonical(rest, place.encode());
        }
        9 => {
            let Ok(origin) = bounded(rest, 4_096, 4, Origin::decode) else { return };
            canonical(rest, origin.encode());
        }
        10 => message::<BatchRecord>(rest),
        11 => message::<AttemptEvent>(rest),
        12 => {
            message::<LeaseRecord>(rest);
            message::<PostRecord>(rest);
        }
        13 => json::<BlockRecord>(rest),
        14 => json::<ReceiptRecord>(rest),
        16 | 17 => announced(rest),
        _ => {
            // Both slots with their checksums, at their places.
            let mut file = vec![0; 8_192];
            for (slot, body) in rest.chunks(60).take(2).enumerate() {
                let whole = kerros_fuzz::with_digest(body);
                file[slot * 4_096..][..whole.len()].copy_from_slice(&whole);
            }
            bounded(&file, 4_096, 1, watermark::found);
            watermark::found(rest);
        }
    }
});
