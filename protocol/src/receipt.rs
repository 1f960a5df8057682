//! Acknowledgements that anybody can hold against the sequencer (SPEC.md section 10).
//!
//! A receipt promises a transaction a place in a batch and that batch on the main chain before a
//! deadline. Receipts form one chain in the order of their places: each names the one before it, so
//! that two receipts for one place, or a gap, convict their signer. Signing is per group of receipts
//! that share one synced write: the signature is over the root of a Merkle tree of the group.
//!
//! An account's opening, which no transaction does, has a receipt of its own kind: it promises an index.
//! These form a second chain, and groups of their own.

use crate::batch::OpenRecord;
use crate::encoding::{fr_to_be, keccak256};
use crate::transaction::TransactionId;
use ark_bn254::Fr;
use thiserror::Error;

const LEAF: &[u8] = b"kerros.receipt.v1";
const OPENING: &[u8] = b"kerros.opening.v1";
const NODE: &[u8] = b"kerros.receipt.node.v1";
const GROUP: &[u8] = b"kerros.receipts.v1";

/// Longest time from an acknowledgement to its deadline, in ms: a week. What is promised for later is
/// not worth a signature.
pub const PROMISE_MS_MAX: u64 = 7 * 86_400_000;
/// Most receipts of one group.
pub const GROUP_RECEIPTS_MAX: u32 = 4096;

/// What receipts promise.
pub trait Promised {
    /// Prefix of [`anchor`].
    const RESTORED: &'static [u8];
    /// The leaf of the group's tree, and what the next promise of the same kind names.
    fn hash(&self, domain: Fr) -> [u8; 32];
}

/// What is promised of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// The transaction.
    pub id: TransactionId,
    /// The batch it is in.
    pub batch: u64,
    /// Its place t among the batch's transfers and signed exits.
    pub order: u16,
    /// [`Promised::hash`] of the receipt before it; zero for the deployment's first, [`anchor`] for
    /// the first after a restore.
    pub previous: [u8; 32],
    /// When its batch is on the main chain at the latest, Unix milliseconds.
    pub deadline_ms: u64,
}

impl Promised for Promise {
    const RESTORED: &'static [u8] = b"kerros.receipt.restored.v1";
    /// `keccak("kerros.receipt.v1" ‖ domain 32 ‖ id 32 ‖ batch 8 ‖ order 2 ‖ previous 32 ‖
    /// deadline 8)`.
    fn hash(&self, domain: Fr) -> [u8; 32] {
        keccak256(&[
            LEAF,
            &fr_to_be(&domain),
            &self.id.0,
            &self.batch.to_be_bytes(),
            &self.order.to_be_bytes(),
            &self.previous,
            &self.deadline_ms.to_be_bytes(),
        ])
    }
}

/// What is promised of an account that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The account's index and whose it is.
    pub record: OpenRecord,
    /// The batch whose data has this record.
    pub batch: u64,
    /// [`Promised::hash`] of the opening before it; zero for the sequencer's first, [`anchor`] for the
    /// first after a restore.
    pub previous: [u8; 32],
    /// When its batch is on the main chain at the latest, Unix milliseconds.
    pub deadline_ms: u64,
}

impl Promised for Opening {
    const RESTORED: &'static [u8] = b"kerros.opening.restored.v1";
    /// `keccak("kerros.opening.v1" ‖ domain 32 ‖ index 4 ‖ asset 2 ‖ owner 20 ‖ key 32 ‖ batch 8 ‖
    /// previous 32 ‖ deadline 8)`.
    fn hash(&self, domain: Fr) -> [u8; 32] {
        let mut record = Vec::with_capacity(58);
        self.record.write(&mut record);
        keccak256(&[
            OPENING,
            &fr_to_be(&domain),
            &record,
            &self.batch.to_be_bytes(),
            &self.previous,
            &self.deadline_ms.to_be_bytes(),
        ])
    }
}

/// What the first promise of a sequencer names as the one before it whose database was built again from
/// the main chain's batches up to `last`: the lost database's own chain of receipts is unknown.
/// `keccak(prefix ‖ domain 32 ‖ last 8)`, without the root, so that two receipts are judged by
/// themselves.
pub fn anchor<P: Promised>(domain: Fr, last: u64) -> [u8; 32] {
    keccak256(&[P::RESTORED, &fr_to_be(&domain), &last.to_be_bytes()])
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    keccak256(&[NODE, left, right])
}

/// `keccak("kerros.receipts.v1" ‖ domain 32 ‖ count 4 ‖ root 32)`, what the sequencer signs.
pub fn signed_digest(domain: Fr, count: u32, root: &[u8; 32]) -> [u8; 32] {
    keccak256(&[GROUP, &fr_to_be(&domain), &count.to_be_bytes(), root])
}

/// The Merkle tree over a group's hashes. A node without a right neighbour moves up unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    levels: Vec<Vec<[u8; 32]>>,
}

impl Tree {
    /// Over at least one hash.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(leaves: Vec<[u8; 32]>) -> Self {
        assert!(!leaves.is_empty(), "a group has receipts");
        let mut levels = vec![leaves];
        while let Some(last) = levels.last().filter(|level| level.len() > 1) {
            let pairs = last.chunks(2);
            let next = pairs.map(|pair| pair.get(1).map_or(pair[0], |right| node(&pair[0], right)));
            levels.push(next.collect());
        }
        Self { levels }
    }
    /// All hashes, level by level from the leaves, for [`Tree::restore`].
    pub fn hashes(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.levels.iter().flatten()
    }
    /// The tree of so many leaves whose [`Tree::hashes`] these are; none if there are more or fewer.
    /// Nothing is hashed: what is restored must be trusted, or its receipts checked.
    pub fn restore(count: u32, hashes: &[[u8; 32]]) -> Option<Self> {
        let (mut levels, mut rest, mut width) = (Vec::new(), hashes, count as usize);
        while width > 0 {
            let level = rest.get(..width)?;
            rest = &rest[width..];
            levels.push(level.to_vec());
            width = if width == 1 { 0 } else { width.div_ceil(2) };
        }
        (rest.is_empty() && !levels.is_empty()).then_some(Self { levels })
    }
    /// The root.
    pub fn root(&self) -> [u8; 32] {
        self.levels[self.levels.len() - 1][0]
    }
    /// Siblings of leaf `index` from below; none where it has no neighbour.
    pub fn path(&self, index: usize) -> Vec<[u8; 32]> {
        let inner = &self.levels[..self.levels.len() - 1];
        let sibling =
            |(height, level): (usize, &Vec<[u8; 32]>)| level.get((index >> height) ^ 1).copied();
        inner.iter().enumerate().filter_map(sibling).collect()
    }
}

/// Why a receipt is no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// No group is so large, or the receipt is not within it.
    #[error("receipt {index} of {count}: a group has 1 to {GROUP_RECEIPTS_MAX}")]
    OutOfRange {
        /// Place in the group.
        index: u32,
        /// Size of the group.
        count: u32,
    },
    /// The path is longer or shorter than the tree is high.
    #[error("the path has {have} hashes, needs {need}")]
    PathLength {
        /// Given.
        have: usize,
        /// Needed.
        need: usize,
    },
}

/// A signed acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt<P = Promise> {
    /// What is promised.
    pub promise: P,
    /// Its place in its group, from 0.
    pub index: u32,
    /// Receipts of the group.
    pub count: u32,
    /// [`Tree::path`].
    pub path: Vec<[u8; 32]>,
    /// ECDSA over secp256k1 of [`Receipt::digest`]: r 32 ‖ s 32 ‖ v 1 (27 or 28), as `ecrecover`
    /// takes it.
    pub signature: [u8; 65],
}

impl<P: Promised> Receipt<P> {
    /// The digest that `signature` has to be over, recomputed from the promise and the path.
    pub fn digest(&self, domain: Fr) -> Result<[u8; 32], ReceiptError> {
        let (index, count) = (self.index, self.count);
        if index >= count || count > GROUP_RECEIPTS_MAX {
            return Err(ReceiptError::OutOfRange { index, count });
        }
        let (mut hash, mut place, mut width) = (self.promise.hash(domain), index, count);
        let mut path = self.path.iter();
        let mut need = 0;
        while width > 1 {
            if place ^ 1 < width {
                need += 1;
                if let Some(sibling) = path.next() {
                    let right = place & 1 == 1;
                    hash = if right { node(sibling, &hash) } else { node(&hash, sibling) };
                }
            }
            (place, width) = (place >> 1, width.div_ceil(2));
        }
        let have = self.path.len();
        if have != need {
            return Err(ReceiptError::PathLength { have, need });
        }
        Ok(signed_digest(domain, count, &hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountIndex, AccountKey, Address, AssetId};

    fn group(count: u32) -> (Vec<Receipt>, [u8; 32]) {
        let domain = Fr::from(7u64);
        let mut previous = [0; 32];
        let mut leaves = Vec::new();
        let promises: Vec<_> = (0..count)
            .map(|order| {
                let (id, order) = (TransactionId([order as u8; 32]), order as u16);
                let promise = Promise { id, batch: 3, order, previous, deadline_ms: 99 };
                previous = promise.hash(domain);
                leaves.push(previous);
                promise
            })
            .collect();
        let tree = Tree::new(leaves);
        let receipts = promises.into_iter().zip(0..).map(|(promise, index)| Receipt {
            promise,
            index,
            count,
            path: tree.path(index as usize),
            signature: [0; 65],
        });
        (receipts.collect(), signed_digest(domain, count, &tree.root()))
    }

    #[test]
    fn every_receipt_of_groups_of_all_sizes_leads_to_the_signed_digest() {
        for count in (1..=33).chain([1000, 1024]) {
            let (receipts, digest) = group(count);
            for receipt in &receipts {
                assert_eq!(receipt.digest(Fr::from(7u64)), Ok(digest));
            }
        }
    }

    #[test]
    fn the_greatest_group_is_a_group_and_a_greater_one_is_none() {
        let domain = Fr::from(7u64);
        let (receipts, _) = group(2);
        let [count, index] = [GROUP_RECEIPTS_MAX, 0];
        let greatest = Receipt { count, ..receipts[0].clone() };
        let lacking = greatest.digest(domain);
        assert!(matches!(lacking, Err(ReceiptError::PathLength { have: 1, .. })), "{lacking:?}");
        let count = count + 1;
        let greater = Receipt { count, ..greatest };
        assert_eq!(greater.digest(domain), Err(ReceiptError::OutOfRange { index, count }));
    }

    #[test]
    fn whatever_is_changed_leads_elsewhere() {
        let domain = Fr::from(7u64);
        let (receipts, digest) = group(11);
        for good in &receipts {
            type Change = fn(&mut Receipt);
            let changes: [Change; 8] = [
                |r| r.promise.id.0[0] ^= 1,
                |r| r.promise.batch += 1,
                |r| r.promise.order += 1,
                |r| r.promise.previous[31] ^= 1,
                |r| r.promise.deadline_ms += 1,
                |r| r.path[0][5] ^= 1,
                |r| r.index ^= 1,
                |r| r.count -= 1,
            ];
            for change in changes {
                let mut bad = good.clone();
                change(&mut bad);
                assert_ne!(bad.digest(domain), Ok(digest), "{bad:?}");
            }
            assert_ne!(good.digest(Fr::from(8u64)), Ok(digest));
        }
    }

    #[test]
    fn an_opening_binds_all_it_promises_and_is_no_transactions_receipt() {
        let domain = Fr::from(7u64);
        let record = OpenRecord {
            index: AccountIndex::new(5).expect("in range"),
            asset: AssetId::new(1).expect("in range"),
            owner: Address([2; 20]),
            key: AccountKey::new(Fr::from(9u64)).expect("not 0"),
        };
        let good = Opening { record, batch: 3, previous: [0; 32], deadline_ms: 99 };
        type Change = fn(&mut Opening);
        let changes: [Change; 7] = [
            |o| o.record.index = AccountIndex::new(6).expect("in range"),
            |o| o.record.asset = AssetId::new(2).expect("in range"),
            |o| o.record.owner.0[19] ^= 1,
            |o| o.record.key = AccountKey::new(Fr::from(8u64)).expect("not 0"),
            |o| o.batch += 1,
            |o| o.previous[0] ^= 1,
            |o| o.deadline_ms += 1,
        ];
        for change in changes {
            let mut bad = good;
            change(&mut bad);
            assert_ne!(bad.hash(domain), good.hash(domain), "{bad:?}");
        }
        assert_ne!(good.hash(Fr::from(8u64)), good.hash(domain));
        let mut bytes = fr_to_be(&domain).to_vec();
        good.record.write(&mut bytes);
        bytes.extend_from_slice(&3u64.to_be_bytes());
        bytes.extend_from_slice(&[0; 32]);
        bytes.extend_from_slice(&99u64.to_be_bytes());
        assert_eq!(good.hash(domain), keccak256(&[b"kerros.opening.v1", &bytes]));
        let receipt =
            Receipt { promise: good, index: 0, count: 1, path: vec![], signature: [0; 65] };
        assert_eq!(receipt.digest(domain), Ok(signed_digest(domain, 1, &good.hash(domain))));
    }

    #[test]
    fn a_tree_is_restored_from_its_hashes_and_from_nothing_else() {
        for count in 1..=20u32 {
            let tree = Tree::new((0..count).map(|n| [n as u8; 32]).collect());
            let mut hashes: Vec<_> = tree.hashes().copied().collect();
            assert_eq!(Tree::restore(count, &hashes), Some(tree));
            assert_eq!(Tree::restore(count, &hashes[1..]), None);
            hashes.push([0; 32]);
            assert_eq!(Tree::restore(count, &hashes), None);
        }
        assert_eq!(Tree::restore(0, &[]), None);
    }

    #[test]
    fn wrong_shapes_have_their_errors() {
        let domain = Fr::from(7u64);
        let (receipts, _) = group(5);
        let mut long = receipts[0].clone();
        long.path.push([0; 32]);
        assert_eq!(long.digest(domain), Err(ReceiptError::PathLength { have: 4, need: 3 }));
        // The last of five has no neighbour on two levels.
        assert_eq!(receipts[4].path.len(), 1);
        let outside = Receipt { index: 5, ..receipts[0].clone() };
        assert_eq!(outside.digest(domain), Err(ReceiptError::OutOfRange { index: 5, count: 5 }));
        let huge = Receipt { count: u32::MAX, ..receipts[0].clone() };
        assert!(matches!(huge.digest(domain), Err(ReceiptError::OutOfRange { .. })));
    }
}
