//! Values of the database and their encodings.
//!
//! What must be exact (operations, heads) is fixed-width; what only grows by fields (batch records,
//! leases, attempts to post) is a protobuf message of its own, apart from the API's.

use kerros_protocol::account::{AccountIndex, Address};
use kerros_protocol::batch::{DepositRecord, OpenRecord, ledger_exponent};
use kerros_protocol::commitment::Commitments;
use kerros_protocol::encoding::{DecodeError, Reader};
use kerros_protocol::proto::BatchState;
use kerros_protocol::transaction::SignedTransaction;

/// One step of the open batch; replaying all of them in order gives its state again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Opens an account.
    Open(OpenRecord),
    /// Credits a deposit, entry `entry` of the queue.
    Deposit {
        /// Number in the queue.
        entry: u64,
        /// The record.
        record: DepositRecord,
    },
    /// An acknowledged transaction; its signature was verified before.
    Signed(Box<SignedTransaction>),
    /// Takes a forced exit from the queue; it runs when the batch is sealed.
    ForcedExit {
        /// Number in the queue.
        entry: u64,
        /// The account.
        from: AccountIndex,
        /// Who asked for it.
        requester: Address,
    },
}

impl Operation {
    /// Appends kind 1 ‖ fields.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open(record) => {
                out.push(1);
                record.write(out);
            }
            Self::Deposit { entry, record } => {
                out.push(2);
                out.extend_from_slice(&entry.to_be_bytes());
                record.write(out);
            }
            Self::Signed(signed) => {
                out.push(3);
                out.extend_from_slice(&signed.encode());
            }
            Self::ForcedExit { entry, from, requester } => {
                out.push(4);
                out.extend_from_slice(&entry.to_be_bytes());
                out.extend_from_slice(&from.get().to_be_bytes());
                out.extend_from_slice(&requester.0);
            }
        }
    }
    /// Reads [`Operation::write`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let operation = match r.take_u8("operation kind")? {
            1 => Self::Open(OpenRecord::take(&mut r)?),
            2 => {
                Self::Deposit { entry: r.take_u64("entry")?, record: DepositRecord::take(&mut r)? }
            }
            3 => return Ok(Self::Signed(Box::new(SignedTransaction::decode(&bytes[1..])?))),
            4 => Self::ForcedExit {
                entry: r.take_u64("entry")?,
                from: AccountIndex::new(r.take_u32("from")?)?,
                requester: Address(r.take_array("requester")?),
            },
            _ => return Err(DecodeError::UnknownFormat { what: "operation" }),
        };
        r.finish("operation")?;
        Ok(operation)
    }
}

/// Where a batch starts, as far as executing it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of the batch.
    pub number: u64,
    /// Exponent of the ledger's size in it.
    pub k: u8,
    /// Whether it doubles the ledger first.
    pub grows: bool,
    /// First queue entry not consumed by an earlier batch.
    pub first: u64,
    /// When it was opened, Unix ms.
    pub opened_ms: u64,
}

/// Where the first batch that is not sealed starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The batch.
    pub head: Head,
    /// Commitments it starts from (after growth).
    pub commitments: Commitments,
    /// Commitments before growth, if it grows.
    pub before_growth: Option<Commitments>,
}

impl Checkpoint {
    /// number 8 ‖ k 1 ‖ first 8 ‖ opened 8 ‖ commitments 192 ‖ grows 1 [‖ commitments 192].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.head.number.to_be_bytes().to_vec();
        out.push(self.head.k);
        out.extend_from_slice(&self.head.first.to_be_bytes());
        out.extend_from_slice(&self.head.opened_ms.to_be_bytes());
        out.extend_from_slice(&self.commitments.to_be());
        out.push(u8::from(self.before_growth.is_some()));
        if let Some(before) = &self.before_growth {
            out.extend_from_slice(&before.to_be());
        }
        out
    }
    /// Reads [`Checkpoint::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let (number, k) = (r.take_u64("number")?, r.take_u8("k")?);
        let (first, opened_ms) = (r.take_u64("first")?, r.take_u64("opened")?);
        let commitments = Commitments::take(&mut r)?;
        let grows = r.take_flag("grows")?;
        ledger_exponent(k, grows)?;
        let before_growth = match grows {
            false => None,
            true => Some(Commitments::take(&mut r)?),
        };
        r.finish("checkpoint")?;
        let head = Head { number, k, grows: before_growth.is_some(), first, opened_ms };
        Ok(Self { head, commitments, before_growth })
    }
}

/// Where an acknowledged transaction or an opening stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptPlace {
    /// Its batch.
    pub batch: u64,
    /// First operation of its group.
    pub sequence: u32,
    /// Its place among the group's transactions, or among its openings.
    pub index: u32,
}

impl ReceiptPlace {
    /// batch 8 ‖ sequence 4 ‖ index 4.
    pub fn encode(&self) -> [u8; 16] {
        let mut out = [0u8; 16];
        out[..8].copy_from_slice(&self.batch.to_be_bytes());
        out[8..12].copy_from_slice(&self.sequence.to_be_bytes());
        out[12..].copy_from_slice(&self.index.to_be_bytes());
        out
    }
    /// Reads [`ReceiptPlace::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let (batch, sequence) = (r.take_u64("batch")?, r.take_u32("sequence")?);
        let index = r.take_u32("index")?;
        r.finish("receipt's place")?;
        Ok(Self { batch, sequence, index })
    }
}

/// Everything about a sealed batch but its contents.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BatchRecord {
    /// Number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// Where it is in its life.
    #[prost(enumeration = "BatchState", tag = "2")]
    pub state: i32,
    /// Records in O, D, T, E, F.
    #[prost(uint32, repeated, tag = "3")]
    pub counts: Vec<u32>,
    /// Exponent of the ledger's size.
    #[prost(uint32, tag = "4")]
    pub k: u32,
    /// Whether posting it doubles the ledger.
    #[prost(bool, tag = "5")]
    pub grows: bool,
    /// Root before (after growth).
    #[prost(bytes = "vec", tag = "6")]
    pub old_root: Vec<u8>,
    /// Root after.
    #[prost(bytes = "vec", tag = "7")]
    pub new_root: Vec<u8>,
    /// First queue entry consumed.
    #[prost(uint64, tag = "8")]
    pub first: u64,
    /// First queue entry not consumed.
    #[prost(uint64, tag = "9")]
    pub end: u64,
    /// When it was opened, Unix ms.
    #[prost(uint64, tag = "10")]
    pub opened_ms: u64,
    /// When it was sealed, Unix ms.
    #[prost(uint64, tag = "11")]
    pub sealed_ms: u64,
    /// Bytes of the encoded data.
    #[prost(uint64, tag = "12")]
    pub data_len: u64,
    /// Its verified proof.
    #[prost(message, optional, tag = "13")]
    pub proof: Option<ProofRecord>,
    /// Where it is on the main chain.
    #[prost(message, optional, tag = "14")]
    pub settlement: Option<SettlementRecord>,
    /// Whether it is quarantined: only in memory, what is on disk are its failed leases.
    #[prost(bool, tag = "15")]
    pub quarantined: bool,
}

/// A verified proof.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProofRecord {
    /// Who made it.
    #[prost(string, tag = "1")]
    pub prover_id: String,
    /// Epoch of the lease.
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    /// Name and microseconds of each phase.
    #[prost(message, repeated, tag = "3")]
    pub phases: Vec<PhaseRecord>,
    /// Constraints of the circuit.
    #[prost(uint64, tag = "4")]
    pub constraints: u64,
    /// When it was verified, Unix ms.
    #[prost(uint64, tag = "5")]
    pub verified_ms: u64,
    /// How long that took, microseconds.
    #[prost(uint64, tag = "6")]
    pub verify_micros: u64,
    /// `BatchProof::encode`.
    #[prost(bytes = "vec", tag = "7")]
    pub proof: Vec<u8>,
}

impl BatchRecord {
    /// Since when it is in its state, Unix ms.
    pub fn since_ms(&self) -> u64 {
        let verified = self.proof.as_ref().map(|proof| proof.verified_ms);
        let settlement = self.settlement.as_ref();
        match self.state() {
            BatchState::Final => settlement.map(|place| place.final_ms),
            BatchState::Posted => settlement.map(|place| place.posted_ms),
            BatchState::Verified => verified,
            BatchState::Open => Some(self.opened_ms),
            _ => None,
        }
        .unwrap_or(self.sealed_ms)
    }
}

/// A phase of proving.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PhaseRecord {
    /// snake_case.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Wall time.
    #[prost(uint64, tag = "2")]
    pub micros: u64,
}

/// Where a batch is on the main chain.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SettlementRecord {
    /// 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub transaction: Vec<u8>,
    /// Block number.
    #[prost(uint64, tag = "2")]
    pub block: u64,
    /// 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub block_hash: Vec<u8>,
    /// Gas of the transaction.
    #[prost(uint64, tag = "4")]
    pub gas_used: u64,
    /// When it was seen, Unix ms.
    #[prost(uint64, tag = "5")]
    pub posted_ms: u64,
    /// When it was seen final, Unix ms; 0 before.
    #[prost(uint64, tag = "6")]
    pub final_ms: u64,
    /// Bytes of calldata.
    #[prost(uint64, tag = "7")]
    pub calldata_len: u64,
}

/// How the leases of a batch stand, so that epochs and failures only rise across restarts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LeaseRecord {
    /// Epoch.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// Holder; empty once it ended.
    #[prost(string, tag = "2")]
    pub prover_id: String,
    /// Leases that ended without a proof.
    #[prost(uint32, tag = "3")]
    pub failures: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_checkpoint_whose_ledger_cannot_be_is_refused() {
        let head = Head { number: 2, k: 28, grows: true, first: 1, opened_ms: 9 };
        let commitments = Commitments::empty();
        let good = Checkpoint { head, commitments, before_growth: Some(commitments) };
        let bytes = good.encode();
        assert_eq!(Checkpoint::decode(&bytes), Ok(good));
        // k is behind the number; the flag behind k, two numbers and the commitments.
        for (at, value) in [(8, 29), (8, 32), (8, 255), (8, 0), (8 + 1 + 16 + 192, 2)] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            let refused = Checkpoint::decode(&damaged);
            assert!(matches!(refused, Err(DecodeError::OutOfRange { .. })), "{at}: {refused:?}");
        }
    }
}
