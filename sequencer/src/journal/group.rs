//! Operations that were written together, and the receipts they carry.

use super::Operation;
use super::watermark::Mark;
use ark_bn254::Fr;
use kerros_protocol::batch::OpenRecord;
use kerros_protocol::encoding::{DecodeError, Reader};
use kerros_protocol::receipt::{Opening, Promise, Promised, Receipt, Tree, signed_digest};
use kerros_protocol::transaction::{SignedTransaction, TransactionId};

/// What all receipts of a group share, those of its transactions or those of its openings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSeal {
    /// Place t of the group's first transaction; 0 for openings.
    pub first_order: u16,
    /// Hash of the receipt before the first one.
    pub previous: [u8; 32],
    /// Promised to all of them, Unix ms.
    pub deadline_ms: u64,
    /// Over the root of the receipts' tree; zeros if there is none.
    pub signature: [u8; 65],
}

/// Operations of one synced write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their batch.
    pub batch: u64,
    /// Number of the first one in its batch.
    pub sequence: u32,
    /// In order.
    pub operations: Vec<Operation>,
    /// About the receipts of those that are transactions.
    pub seal: GroupSeal,
}

/// The receipts of a group, of one kind.
#[derive(Debug)]
pub struct Receipts<P = Promise> {
    promises: Vec<P>,
    tree: Tree,
    signature: [u8; 65],
}

impl<P: Promised + Copy> Receipts<P> {
    /// A chain that goes on from the seal's previous receipt; none without a promise.
    fn chain<F: FnOnce([u8; 32]) -> P>(
        domain: Fr,
        seal: &GroupSeal,
        promises: impl Iterator<Item = F>,
    ) -> Option<Self> {
        let (mut previous, mut leaves) = (seal.previous, Vec::new());
        let promises = promises.map(|promise| {
            let promise = promise(previous);
            previous = promise.hash(domain);
            leaves.push(previous);
            promise
        });
        let promises: Vec<_> = promises.collect();
        if promises.is_empty() {
            return None;
        }
        Some(Self { promises, tree: Tree::new(leaves), signature: seal.signature })
    }
    /// Has their digest signed, for the seal too.
    fn sign(&mut self, domain: Fr, seal: &mut GroupSeal, sign: impl FnOnce([u8; 32]) -> [u8; 65]) {
        let count = u32::try_from(self.promises.len()).expect("groups are bounded");
        seal.signature = sign(signed_digest(domain, count, &self.tree.root()));
        self.signature = seal.signature;
    }
    /// Receipt number `index`.
    pub fn get(&self, index: u32) -> Option<Receipt<P>> {
        let place = index as usize;
        let promise = *self.promises.get(place)?;
        let count = u32::try_from(self.promises.len()).ok()?;
        let (path, signature) = (self.tree.path(place), self.signature);
        Some(Receipt { promise, index, count, path, signature })
    }
    /// What [`StoredReceipts::decode`] reads.
    pub fn store(&self, seal: &GroupSeal) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + 64 * self.promises.len());
        seal.write(&mut out);
        let count = u32::try_from(self.promises.len()).expect("groups are bounded");
        out.extend_from_slice(&count.to_be_bytes());
        self.tree.hashes().for_each(|hash| out.extend_from_slice(hash));
        out
    }
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Receipt<P>> + '_ {
        (0..).map_while(|index| self.get(index))
    }
    /// The last promise's hash.
    pub fn last(&self, domain: Fr) -> Option<[u8; 32]> {
        self.promises.last().map(|promise| promise.hash(domain))
    }
}

/// The receipts of a group without what was promised.
pub struct StoredReceipts {
    batch: u64,
    seal: GroupSeal,
    count: u32,
    tree: Tree,
}

impl StoredReceipts {
    /// first order 2 ‖ previous 32 ‖ deadline 8 ‖ signature 65 ‖ count 4 ‖ hashes of the tree.
    pub fn decode(batch: u64, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let (seal, count) = (GroupSeal::take(&mut r)?, r.take_u32("count")?);
        let mut hashes = Vec::with_capacity(r.remaining() / 32);
        while r.remaining() > 0 {
            hashes.push(r.take_array("hash")?);
        }
        let wrong = DecodeError::UnknownFormat { what: "tree of receipts" };
        let tree = Tree::restore(count, &hashes).ok_or(wrong)?;
        Ok(Self { batch, seal, count, tree })
    }
    /// The receipt of transaction `id`, which is number `index`.
    pub fn get(&self, id: TransactionId, index: u32) -> Option<Receipt> {
        let order = self.seal.first_order.checked_add(u16::try_from(index).ok()?)?;
        let (batch, deadline_ms) = (self.batch, self.seal.deadline_ms);
        self.make(index, |previous| Promise { id, batch, order, previous, deadline_ms })
    }
    /// The receipt of this opening, which is number `index`.
    pub fn opening(&self, record: OpenRecord, index: u32) -> Option<Receipt<Opening>> {
        let (batch, deadline_ms) = (self.batch, self.seal.deadline_ms);
        self.make(index, |previous| Opening { record, batch, previous, deadline_ms })
    }
    fn make<P>(&self, index: u32, promise: impl FnOnce([u8; 32]) -> P) -> Option<Receipt<P>> {
        if index >= self.count {
            return None;
        }
        let place = index as usize;
        let previous = match place.checked_sub(1) {
            None => self.seal.previous,
            Some(before) => *self.tree.hashes().nth(before)?,
        };
        let (count, path, signature) = (self.count, self.tree.path(place), self.seal.signature);
        Some(Receipt { promise: promise(previous), index, count, path, signature })
    }
}

fn in_range(what: &'static str, have: usize, max: usize) -> Result<(), DecodeError> {
    if have <= max {
        return Ok(());
    }
    Err(DecodeError::OutOfRange { what, value: have as u64, min: 0, max: max as u64 })
}

impl GroupSeal {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first_order.to_be_bytes());
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(&self.deadline_ms.to_be_bytes());
        out.extend_from_slice(&self.signature);
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            first_order: r.take_u16("first order")?,
            previous: r.take_array("previous receipt")?,
            deadline_ms: r.take_u64("deadline")?,
            signature: r.take_array("signature")?,
        })
    }
}

impl Group {
    /// Its transactions in order.
    pub fn transactions(&self) -> impl Iterator<Item = &SignedTransaction> {
        self.operations.iter().filter_map(|operation| match operation {
            Operation::Signed(signed) => Some(&**signed),
            _ => None,
        })
    }
    /// The accounts it opens, in order.
    pub fn opened(&self) -> impl Iterator<Item = &OpenRecord> {
        self.operations.iter().filter_map(|operation| match operation {
            Operation::Open(record) => Some(record),
            _ => None,
        })
    }
    /// Its receipts; none if it has no transaction.
    pub fn receipts(&self, domain: Fr) -> Option<Receipts> {
        let (batch, deadline_ms) = (self.batch, self.seal.deadline_ms);
        // Not a range of u16: that would step beyond the last place of the greatest batch.
        let numbered = self.transactions().zip(u32::from(self.seal.first_order)..);
        let promises = numbered.map(|(signed, order)| {
            let order = u16::try_from(order).expect("a batch has 2^16 places at most");
            let id = signed.transaction.id();
            move |previous| Promise { id, batch, order, previous, deadline_ms }
        });
        Receipts::chain(domain, &self.seal, promises)
    }
    /// Receipts of the accounts it opens, whoever had them opened; none if it opens none.
    pub fn sign_openings(
        &self,
        domain: Fr,
        seal: &mut GroupSeal,
        sign: impl FnOnce([u8; 32]) -> [u8; 65],
    ) -> Option<Receipts<Opening>> {
        let (batch, deadline_ms) = (self.batch, seal.deadline_ms);
        let promises = self.opened().map(|record| {
            move |previous| Opening { record: *record, batch, previous, deadline_ms }
        });
        let mut receipts = Receipts::chain(domain, seal, promises)?;
        receipts.sign(domain, seal, sign);
        Some(receipts)
    }
    /// Where the log stands after it.
    pub fn mark(&self, domain: Fr) -> Mark {
        let count = u32::try_from(self.operations.len()).expect("groups are bounded");
        let last = self.receipts(domain).and_then(|receipts| receipts.last(domain));
        let receipt = last.unwrap_or(self.seal.previous);
        Mark { batch: self.batch, sequence: self.sequence + count, receipt }
    }
    /// Makes the receipts and has their digest signed.
    pub fn sign(
        &mut self,
        domain: Fr,
        sign: impl FnOnce([u8; 32]) -> [u8; 65],
    ) -> Option<Receipts> {
        let mut receipts = self.receipts(domain)?;
        receipts.sign(domain, &mut self.seal, sign);
        Some(receipts)
    }

    /// first order 2 ‖ previous 32 ‖ deadline 8 ‖ signature 65 ‖ (length 2 ‖ operation)….
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(107 + 180 * self.operations.len());
        self.seal.write(&mut out);
        for operation in &self.operations {
            let at = out.len();
            out.extend_from_slice(&[0; 2]);
            operation.write(&mut out);
            let len = u16::try_from(out.len() - at - 2).expect("operations are short");
            out[at..at + 2].copy_from_slice(&len.to_be_bytes());
        }
        out
    }
    /// Reads [`Group::encode`] under its key.
    pub fn decode(batch: u64, sequence: u32, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let seal = GroupSeal::take(&mut r)?;
        let mut operations = Vec::new();
        while r.remaining() > 0 {
            let len = r.take_u16("length")?;
            operations.push(Operation::decode(r.take("operation", len.into())?)?);
        }
        if operations.is_empty() {
            // None is ever written, and who reads on behind it would find it again.
            return Err(DecodeError::UnknownFormat { what: "group without operations" });
        }
        let group = Self { batch, sequence, operations, seal };
        // Places and numbers are counted on from the first: none may be beyond the last one there is.
        let places = usize::from(u16::MAX - group.seal.first_order) + 1;
        in_range("transactions of a group", group.transactions().count(), places)?;
        in_range("operations of a group", group.operations.len(), (u32::MAX - sequence) as usize)?;
        Ok(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mempool::tests::pending;

    #[test]
    fn the_last_place_of_the_greatest_batch_has_a_receipt() {
        let seal = GroupSeal {
            first_order: u16::MAX,
            previous: [0; 32],
            deadline_ms: 1,
            signature: [0; 65],
        };
        let operations = vec![Operation::Signed(pending(0, 0, 0).signed)];
        let group = Group { batch: 1, sequence: 65_535, operations, seal };
        assert!(group.receipts(Fr::from(1u64)).is_some());
        assert_eq!(Group::decode(1, 65_535, &group.encode()), Ok(group));
    }

    #[test]
    fn a_damaged_group_that_counts_beyond_the_last_place_or_number_is_refused() {
        let seal =
            GroupSeal { first_order: 0, previous: [0; 32], deadline_ms: 1, signature: [0; 65] };
        let operations = (0..2).map(|nonce| Operation::Signed(pending(0, nonce, 0).signed));
        let good = Group { batch: 1, sequence: 0, operations: operations.collect(), seal };
        assert_eq!(Group::decode(1, 0, &good.encode()), Ok(good.clone()));
        assert!(Group::decode(1, u32::MAX - 2, &good.encode()).is_ok());
        let refused = Group::decode(1, u32::MAX - 1, &good.encode());
        assert!(matches!(refused, Err(DecodeError::OutOfRange { value: 2, max: 1, .. })));
        let empty = Group { operations: Vec::new(), ..good.clone() };
        assert!(Group::decode(1, 0, &empty.encode()).is_err());
        let seal = GroupSeal { first_order: u16::MAX, ..good.seal.clone() };
        let refused = Group::decode(1, 0, &Group { seal, ..good }.encode());
        assert!(matches!(refused, Err(DecodeError::OutOfRange { value: 2, max: 1, .. })));
    }
}
