//! Where on the main chain a queue entry that was handed on came from, and what it said: what a
//! reorganisation is measured against.

use super::store::Write;
use super::{Journal, JournalError, keys};
use crate::execution::QueueEntry;
use alloy::primitives::B256;
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::encoding::{DecodeError, Reader};

/// The log that announced an entry, and the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
    /// Place of the log in the block.
    pub log_index: u64,
    /// What the entry asks for.
    pub content: QueueEntry,
}

impl Origin {
    /// block 8 ‖ hash 32 ‖ log 8 ‖ kind 1 ‖ deposit: amount 8, asset 2, key 32, owner 20; forced exit:
    /// index 4, requester 20.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.block.to_be_bytes().to_vec();
        out.extend_from_slice(self.block_hash.as_slice());
        out.extend_from_slice(&self.log_index.to_be_bytes());
        match &self.content {
            QueueEntry::Deposit { amount, asset, key, owner } => {
                out.push(1);
                out.extend_from_slice(&amount.to_be_bytes());
                out.extend_from_slice(&asset.get().to_be_bytes());
                out.extend_from_slice(&key.to_be());
                out.extend_from_slice(&owner.0);
            }
            QueueEntry::ForcedExit { from, requester } => {
                out.push(2);
                out.extend_from_slice(&from.get().to_be_bytes());
                out.extend_from_slice(&requester.0);
            }
        }
        out
    }
    /// Reads [`Origin::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let block = r.take_u64("block")?;
        let block_hash = B256::new(r.take_array("block hash")?);
        let log_index = r.take_u64("log")?;
        let content = match r.take_u8("entry's kind")? {
            1 => QueueEntry::Deposit {
                amount: r.take_u64("amount")?,
                asset: AssetId::new(r.take_u16("asset")?)?,
                key: AccountKey::from_be(&r.take_array::<32>("key")?)?,
                owner: Address(r.take_array("owner")?),
            },
            2 => QueueEntry::ForcedExit {
                from: AccountIndex::new(r.take_u32("index")?)?,
                requester: Address(r.take_array("requester")?),
            },
            _ => return Err(DecodeError::UnknownFormat { what: "entry's origin" }),
        };
        r.finish("entry's origin")?;
        Ok(Self { block, block_hash, log_index, content })
    }
}

impl Journal {
    /// Where a queue entry came from; none if it was never handed on, or by a version that did not keep
    /// it.
    pub fn origin(&self, entry: u64) -> Result<Option<Origin>, JournalError> {
        let Some(bytes) = self.get(keys::ORIGINS, &keys::batch(entry))? else { return Ok(None) };
        let refuse = |source| JournalError::Decode { family: keys::ORIGINS, source };
        Origin::decode(&bytes).map(Some).map_err(refuse)
    }
    /// Writes down where entries came from, synced, before they are handed on.
    pub fn put_origins(&self, origins: &[(u64, Origin)]) -> Result<(), JournalError> {
        let mut write = Write::default();
        for (entry, origin) in origins {
            write.put(keys::ORIGINS, keys::batch(*entry), origin.encode());
        }
        self.write(&write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fr;

    #[test]
    fn an_origin_is_read_back_and_nothing_else_is() {
        let contents = [
            QueueEntry::Deposit {
                amount: u64::MAX,
                asset: AssetId::new(3).expect("in range"),
                key: AccountKey::new(Fr::from(5u64)).expect("not 0"),
                owner: Address([7; 20]),
            },
            QueueEntry::ForcedExit {
                from: AccountIndex::new(9).expect("in range"),
                requester: Address([8; 20]),
            },
        ];
        for content in contents {
            let block_hash = B256::repeat_byte(4);
            let origin = Origin { block: 1 << 40, block_hash, log_index: 2, content };
            let bytes = origin.encode();
            assert_eq!(Origin::decode(&bytes), Ok(origin));
            for length in 0..bytes.len() {
                assert!(Origin::decode(&bytes[..length]).is_err());
            }
            assert!(Origin::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }
}
