//! A sealed batch: everything a prover needs that the main chain does not publish.
//!
//! The sequencer fixes it once, durably; provers get these bytes. Nothing here is trusted by the
//! verifier, who derives all of it from data it has itself.

use super::{BatchData, BatchDataError, Shape};
use crate::account::Address;
use crate::commitment::Commitments;
use crate::eddsa::{Point, PublicKey, Signature};
use crate::encoding::{DecodeError, Reader};
use crate::limits::LEDGER_K_MAX;

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
    /// For every transfer, in slot order; empty if only what was published is known.
    pub transfers: Vec<Authorisation>,
    /// For every exit, in slot order; none if forced. Empty if only what was published is known.
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

/// Refuses an exponent that no ledger has: `2^k` is computed from it. What has grown was smaller before.
pub fn ledger_exponent(k: u8, grown: bool) -> Result<(), DecodeError> {
    let (min, max) = (u8::from(grown), LEDGER_K_MAX);
    if (min..=max).contains(&k) {
        return Ok(());
    }
    let (value, min, max) = (k.into(), min.into(), max.into());
    Err(DecodeError::OutOfRange { what: "exponent of the ledger", value, min, max })
}

/// With the authorisations.
const WHOLE: u8 = 1;
/// As the main chain published it, without authorisations: to be replayed, not to be proved.
const PUBLISHED: u8 = 2;

impl SealedBatch {
    /// Whether every record that needs an authorisation has a place for it.
    pub fn is_whole(&self) -> bool {
        let Self { data, transfers, exits, .. } = self;
        (transfers.len(), exits.len()) == (data.transfers.len(), data.exits.len())
    }
    /// version 1 ‖ number 8 ‖ k 1 ‖ grows 1 [‖ commitments 192] ‖ old 192 ‖ new 192 ‖ first 8 ‖
    /// end 8 ‖ beneficiary 20 ‖ length of data 4 ‖ data ‖ an authorisation (order 2 ‖ key 32 ‖
    /// signature 64) for every transfer and every exit that is not forced. Version 2 ends with the
    /// data.
    pub fn encode(&self) -> Vec<u8> {
        let whole = self.is_whole();
        let mut out = vec![if whole { WHOLE } else { PUBLISHED }];
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
        if whole {
            let signed = self.transfers.iter().chain(self.exits.iter().flatten());
            signed.for_each(|authorisation| authorisation.write(&mut out));
        }
        out
    }
    /// Reads [`SealedBatch::encode`], strictly.
    pub fn decode(bytes: &[u8], shape: &Shape) -> Result<Self, BatchDataError> {
        let what = "sealed batch";
        let mut reader = Reader::new(bytes);
        let whole = match reader.take_u8(what)? {
            WHOLE => true,
            PUBLISHED => false,
            _ => return Err(DecodeError::UnknownFormat { what }.into()),
        };
        let number = reader.take_u64("number")?;
        let k = reader.take_u8("k")?;
        let grows = reader.take_flag("grows")?;
        ledger_exponent(k, grows)?;
        let before_growth = match grows {
            false => None,
            true => Some(Commitments::take(&mut reader)?),
        };
        let old = Commitments::take(&mut reader)?;
        let new = Commitments::take(&mut reader)?;
        let (first, end) = (reader.take_u64("first")?, reader.take_u64("end")?);
        let beneficiary = Address(reader.take_array("beneficiary")?);
        let len = reader.take_u32("length of data")? as usize;
        let data = BatchData::decode(reader.take("data", len)?, shape)?;
        if !whole && data.transfers.is_empty() && data.exits.is_empty() {
            // Nothing is missing: version 1 is its one form.
            return Err(DecodeError::UnknownFormat { what }.into());
        }
        let (signed, leaving) = match whole {
            true => (data.transfers.as_slice(), data.exits.as_slice()),
            false => Default::default(),
        };
        let transfers = signed.iter().map(|_| Authorisation::take(&mut reader));
        let transfers = transfers.collect::<Result<Vec<_>, _>>()?;
        let exits = leaving
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountIndex;
    use crate::amount::Fee;
    use crate::batch::{ExitRecord, TransferRecord};
    use crate::eddsa::PrivateKey;
    use ark_bn254::Fr;

    fn batch() -> (Shape, SealedBatch) {
        let shape = "2,1,4,1,1".parse().expect("a good shape");
        let index = AccountIndex::new(1).expect("in range");
        let fee = Fee::exact(0).expect("exact");
        let record = TransferRecord { from: index, to: index, amount: 5, fee };
        let secret = PrivateKey::from_bytes([3; 32]);
        let authorisation = Authorisation {
            order: 7,
            public_key: secret.public_key(),
            signature: secret.sign(Fr::from(9u64)),
        };
        let batch = SealedBatch {
            number: 3,
            k: 2,
            before_growth: None,
            old: Commitments::empty(),
            new: Commitments::empty(),
            first: 4,
            end: 4,
            beneficiary: Address([8; 20]),
            data: BatchData { transfers: vec![record], ..BatchData::default() },
            transfers: vec![authorisation],
            exits: Vec::new(),
        };
        (shape, batch)
    }

    #[test]
    fn a_batch_is_read_back_with_and_without_its_authorisations() {
        let (shape, whole) = batch();
        let published = SealedBatch { transfers: Vec::new(), ..whole.clone() };
        assert!(whole.is_whole() && !published.is_whole());
        for batch in [whole, published] {
            let bytes = batch.encode();
            assert_eq!(SealedBatch::decode(&bytes, &shape), Ok(batch));
            for length in 0..bytes.len() {
                assert!(SealedBatch::decode(&bytes[..length], &shape).is_err());
            }
            assert!(SealedBatch::decode(&[&bytes[..], &[0]].concat(), &shape).is_err());
        }
    }

    #[test]
    fn an_exponent_that_no_ledger_has_is_refused() {
        let (shape, batch) = batch();
        let grown = SealedBatch { before_growth: Some(Commitments::empty()), ..batch.clone() };
        for (batch, k) in [(&batch, 29), (&batch, 64), (&batch, 255), (&grown, 0), (&grown, 29)] {
            let bytes = SealedBatch { k, ..batch.clone() }.encode();
            let refused = SealedBatch::decode(&bytes, &shape);
            let Err(BatchDataError::Length(DecodeError::OutOfRange { value, .. })) = refused else {
                panic!("{k}: {refused:?}");
            };
            assert_eq!(value, u64::from(k));
        }
        let last = SealedBatch { k: LEDGER_K_MAX, ..grown };
        assert_eq!(SealedBatch::decode(&last.encode(), &shape), Ok(last));
    }

    #[test]
    fn growth_and_exits_are_read_back() {
        let (shape, whole) = batch();
        let index = AccountIndex::new(1).expect("in range");
        let (fee, recipient) = (Fee::ZERO, Address([5; 20]));
        let signed = ExitRecord { from: index, amount: 1, fee, forced: false, asset: 1, recipient };
        let exits = vec![ExitRecord { forced: true, ..signed }, signed];
        let shape = Shape { exits: 2, ..shape };
        let grown = SealedBatch {
            before_growth: Some(Commitments::empty()),
            exits: vec![None, Some(whole.transfers[0])],
            data: BatchData { exits, ..whole.data.clone() },
            ..whole.clone()
        };
        // Commitments of the empty ledger are all zero: another one must come back as well.
        let mut other = Commitments::empty();
        other.0[1] = ark_ec::AffineRepr::generator();
        for before in [grown.before_growth, Some(other)] {
            let batch = SealedBatch { before_growth: before, ..grown.clone() };
            assert_eq!(SealedBatch::decode(&batch.encode(), &shape), Ok(batch));
        }
        // Authorisations that are not all there are none.
        let partly = SealedBatch { exits: Vec::new(), ..grown.clone() };
        let without = SealedBatch { transfers: Vec::new(), ..partly.clone() };
        assert_eq!(partly.encode(), without.encode());
        // Exits without their authorisations: what was published, though no transfer is in it.
        let data = BatchData { transfers: Vec::new(), ..grown.data.clone() };
        let left = SealedBatch { transfers: Vec::new(), exits: Vec::new(), data, ..grown };
        let bytes = left.encode();
        assert_eq!(bytes[0], PUBLISHED);
        assert_eq!(SealedBatch::decode(&bytes, &shape), Ok(left));
    }

    #[test]
    fn a_batch_that_lacks_nothing_has_one_form() {
        let (shape, batch) = batch();
        let data = BatchData::default();
        let empty = SealedBatch { transfers: Vec::new(), data, ..batch };
        let mut bytes = empty.encode();
        assert_eq!(SealedBatch::decode(&bytes, &shape), Ok(empty));
        bytes[0] = PUBLISHED;
        let refused = DecodeError::UnknownFormat { what: "sealed batch" };
        assert_eq!(SealedBatch::decode(&bytes, &shape), Err(refused.into()));
    }
}
