//! Attempts to post: every signed transaction and everything that was ever learnt about it, one row an
//! event. Rows are added and never changed, so that what an attempt is can be told again from the disk
//! alone, years later too. Knows no rules: what events mean is `settlement::attempts`'.

use super::keys;
use super::store::{Begin, Write};
use super::{Journal, JournalError};
use kerros_protocol::encoding::Reader;
use prost::Message;

/// A signed main-chain transaction that posts a batch, written down before it is sent. Number, fees and
/// limits are in its bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PostRecord {
    /// Hash, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub hash: Vec<u8>,
    /// EIP-2718 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub raw: Vec<u8>,
    /// The sender's number.
    #[prost(uint64, tag = "3")]
    pub nonce: u64,
    /// When it was signed, Unix ms.
    #[prost(uint64, tag = "4")]
    pub signed_ms: u64,
    /// Bytes of calldata.
    #[prost(uint64, tag = "5")]
    pub calldata_len: u64,
}

/// A block.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BlockPlace {
    /// Number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// Hash, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub hash: Vec<u8>,
}

/// Something that was learnt about an attempt.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttemptEvent {
    /// When, Unix ms.
    #[prost(uint64, tag = "1")]
    pub at_ms: u64,
    /// What.
    #[prost(oneof = "Happened", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10")]
    pub what: Option<Happened>,
}

/// What was learnt.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Happened {
    /// It was signed: the first event of every attempt.
    #[prost(message, tag = "2")]
    Signed(PostRecord),
    /// The chain has accepted it, or had it already.
    #[prost(message, tag = "3")]
    Sent(Empty),
    /// The chain asks for higher fees before it takes it.
    #[prost(message, tag = "4")]
    Underpriced(Empty),
    /// It is in a block and has done its work.
    #[prost(message, tag = "5")]
    Included(BlockPlace),
    /// It is in a block and has done nothing but pay for gas.
    #[prost(message, tag = "6")]
    Reverted(BlockPlace),
    /// It is in no block any more: reorganised away.
    #[prost(message, tag = "7")]
    Lost(Empty),
    /// A later attempt offers more for the same number; either may still get into a block.
    #[prost(uint32, tag = "8")]
    ReplacedBy(u32),
    /// It can never be included any more, or not again: its number is used at this block, which is
    /// final, and the batch is not there.
    #[prost(message, tag = "9")]
    Dead(BlockPlace),
    /// It is in this block, which is final.
    #[prost(message, tag = "10")]
    Final(BlockPlace),
}

/// Nothing to add.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Empty {}

/// An event and its place: its attempt, from 1, and its number in that, from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// Attempt.
    pub attempt: u32,
    /// Number in it.
    pub event: u32,
    /// What was learnt.
    pub record: AttemptEvent,
}

impl Journal {
    /// Everything about the attempts to post a batch, in order.
    pub fn attempts(&self, batch: u64) -> Result<Vec<AttemptRow>, JournalError> {
        let family = keys::ATTEMPTS;
        let mut rows = Vec::new();
        // Versions before this family kept the last signed post only: the first attempt's first event.
        let old: Option<PostRecord> = self.message(keys::POSTS, &keys::batch(batch))?;
        if let Some(post) = old {
            let record = AttemptEvent { at_ms: post.signed_ms, what: Some(Happened::Signed(post)) };
            rows.push(AttemptRow { attempt: 1, event: 0, record });
        }
        for row in self.store.scan(family, Begin::Up(&keys::attempt(batch, 0, 0))) {
            let (key, value) = row?;
            let refuse = |source| JournalError::Decode { family, source };
            let mut r = Reader::new(&key);
            if r.take_u64("batch").map_err(refuse)? != batch {
                break;
            }
            let attempt = r.take_u32("attempt").map_err(refuse)?;
            let event = r.take_u32("event").map_err(refuse)?;
            let record = AttemptEvent::decode(value.as_ref());
            let record = record.map_err(|source| JournalError::Message { family, source })?;
            rows.push(AttemptRow { attempt, event, record });
        }
        Ok(rows)
    }
    /// Adds an event, synced.
    pub fn add_attempt(&self, batch: u64, row: &AttemptRow) -> Result<(), JournalError> {
        let mut write = Write::default();
        let key = keys::attempt(batch, row.attempt, row.event);
        write.put(keys::ATTEMPTS, key, row.record.encode_to_vec());
        self.write(&write)
    }
}
