//! A sealed batch: everything a prover needs that the main chain does not publish.
//!
//! The sequencer fixes it once, durably; provers get these bytes. Nothing here is trusted by the
//! verifier, who derives all of it from data it has itself.

use super::{BatchData, BatchDataError, Shape};
use crate::account::Address;
use crate::commitment::Commitments;
use crate::eddsa::{Point, PublicKey, Signature};
use crate::encoding::{DecodeError, Reader};

/// What authorises a transfer or a signed exit, and its place in the sequencer's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authorisation {
    /// Place t among this batch's transfers and signed exits.
    pub order: u16,
    /// The payer's whole public key.
    pub public_key: PublicKey,
    /// Signature of the transaction.
    pub signature: Signature,
}

/// A batch as the sequencer sealed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBatch {
    /// 1 for the first batch.
    pub number: u64,
    /// Exponent of the ledger's size while this batch runs (after growth).
    pub k: u8,
    /// Commitments before growth, if posting this batch grows the ledger from k − 1 to k.
    pub before_growth: Option<Commitments>,
    /// Commitments before the batch (after growth).
    pub old: Commitments,
    /// Commitments after the batch.
    pub new: Commitments,
    /// First queue entry not consumed before this batch.
    pub first: u64,
    /// First queue entry not consumed after this batch.
    pub end: u64,
    /// Main-chain address credited with entry fees.
    pub beneficiary: Address,
    /// What is published.
    pub data: BatchData,
    /// For every transfer, in slot order.
    pub transfers: Vec<Authorisation>,
    /// For every exit, in slot order; none if forced.
    pub exits: Vec<Option<Authorisation>>,
}

impl Authorisation {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.order.to_be_bytes());
        out.extend_from_slice(&self.public_key.0.pack());
        out.extend_from_slice(&self.signature.pack());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let order = reader.take_u16("order")?;
        let key = Point::unpack(&reader.take_array("public key")?)
            .map_err(|_| DecodeError::NotOnCurve { what: "public key" })?;
        let signature = Signature::unpack(&reader.take_array("signature")?)
            .map_err(|_| DecodeError::NotOnCurve { what: "signature R8" })?;
        Ok(Self { order, public_key: PublicKey(key), signature })
    }
}

const VERSION: u8 = 1;

impl SealedBatch {
    /// version 1 ‖ number 8 ‖ k 1 ‖ grows 1 [‖ commitments 192] ‖ old 192 ‖ new 192 ‖ first 8 ‖
    /// end 8 ‖ beneficiary 20 ‖ length of data 4 ‖ data ‖ an authorisation (order 2 ‖ key 32 ‖
    /// signature 64) for every transfer and every exit that is not forced.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&[self.k, u8::from(self.before_growth.is_some())]);
        if let Some(before) = &self.before_growth {
            out.extend_from_slice(&before.to_be());
        }
        out.extend_from_slice(&self.old.to_be());
        out.extend_from_slice(&self.new.to_be());
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&self.end.to_be_bytes());
        out.extend_from_slice(&self.beneficiary.0);
        let data = self.data.encode();
        let len = u32::try_from(data.len()).expect("a shape bounds the data far below 2^32");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&data);
        let signed = self.transfers.iter().chain(self.exits.iter().flatten());
        signed.for_each(|authorisation| authorisation.write(&mut out));
        out
    }
    /// Reads [`SealedBatch::encode`], strictly.
    pub fn decode(bytes: &[u8], shape: &Shape) -> Result<Self, BatchDataError> {
        let what = "sealed batch";
        let mut reader = Reader::new(bytes);
        if reader.take_u8(what)? != VERSION {
            return Err(DecodeError::UnknownFormat { what }.into());
        }
        let number = reader.take_u64("number")?;
        let k = reader.take_u8("k")?;
        let before_growth = match reader.take_u8("grows")? {
            0 => None,
            1 => Some(Commitments::take(&mut reader)?),
            _ => return Err(DecodeError::UnknownFormat { what }.into()),
        };
        let old = Commitments::take(&mut reader)?;
        let new = Commitments::take(&mut reader)?;
        let (first, end) = (reader.take_u64("first")?, reader.take_u64("end")?);
        let beneficiary = Address(reader.take_array("beneficiary")?);
        let len = reader.take_u32("length of data")? as usize;
        let data = BatchData::decode(reader.take("data", len)?, shape)?;
        let transfers = data.transfers.iter().map(|_| Authorisation::take(&mut reader));
        let transfers = transfers.collect::<Result<Vec<_>, _>>()?;
        let exits = data
            .exits
            .iter()
            .map(|exit| (!exit.forced).then(|| Authorisation::take(&mut reader)).transpose());
        let exits = exits.collect::<Result<Vec<_>, _>>()?;
        reader.finish(what)?;
        Ok(Self {
            number,
            k,
            before_growth,
            old,
            new,
            first,
            end,
            beneficiary,
            data,
            transfers,
            exits,
        })
    }
}
