//! Checking receipts, and holding one against its signer.
//!
//! A receipt convinces whoever knows the deployment's domain and the address that signs for the
//! sequencer: that of the contract's operator, unless the sequencer posts nothing itself.

use alloy::primitives::{Address as ChainAddress, B256, Signature};
use ark_bn254::Fr;
use kerros_protocol::batch::OpenRecord;
use kerros_protocol::receipt::{
    Opening, PROMISE_MS_MAX, Promise, Promised, Receipt, ReceiptError, anchor,
};
use thiserror::Error;

/// Why a receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReceiptFault {
    /// Its path does not fit its group.
    #[error(transparent)]
    Path(#[from] ReceiptError),
    /// r, s and v are no signature.
    #[error("the receipt's signature is none")]
    NoSignature,
    /// Nothing was promised that could still be broken.
    #[error("the receipt's deadline, {deadline_ms} ms, has passed by {now_ms} ms")]
    DeadlinePast {
        /// Promised, Unix ms.
        deadline_ms: u64,
        /// The clock here, Unix ms.
        now_ms: u64,
    },
    /// Less is promised than was announced.
    #[error("the receipt's deadline, {deadline_ms} ms, is later than announced: {latest_ms} ms")]
    DeadlineFar {
        /// Promised, Unix ms.
        deadline_ms: u64,
        /// Latest as announced, Unix ms.
        latest_ms: u64,
    },
    /// Signed by another key, or something was changed.
    #[error("the receipt was signed by {have}, not by {need}, or was changed")]
    OtherSigner {
        /// Recovered from the signature.
        have: ChainAddress,
        /// Expected.
        need: ChainAddress,
    },
}

/// How far the clocks of client and sequencer may differ, in ms.
pub const CLOCK_TOLERANCE_MS: u64 = 300_000;

/// Whether the deadline of a receipt that comes at `now_ms` (Unix ms) is one of a sequencer that
/// announces `promise_ms`, 0 if it announces nothing; never later than [`PROMISE_MS_MAX`] from now.
pub fn check_deadline(deadline_ms: u64, now_ms: u64, promise_ms: u64) -> Result<(), ReceiptFault> {
    if deadline_ms.saturating_add(CLOCK_TOLERANCE_MS) < now_ms {
        return Err(ReceiptFault::DeadlinePast { deadline_ms, now_ms });
    }
    let promise_ms = match promise_ms {
        0 => PROMISE_MS_MAX,
        announced => announced.min(PROMISE_MS_MAX),
    };
    let latest_ms = now_ms.saturating_add(promise_ms).saturating_add(CLOCK_TOLERANCE_MS);
    if deadline_ms > latest_ms {
        return Err(ReceiptFault::DeadlineFar { deadline_ms, latest_ms });
    }
    Ok(())
}

/// Batches between two openings in which a restore is looked for: what lies further apart is no
/// conviction by itself, and a made-up batch number must not keep the judge busy.
const RESTORES_MAX: u64 = 1 << 20;

/// Knows whose receipts to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptCheck {
    /// The deployment.
    pub domain: Fr,
    /// Signs for the sequencer.
    pub signer: ChainAddress,
}

impl ReceiptCheck {
    /// Checks the path and the signature.
    pub fn check<P: Promised>(&self, receipt: &Receipt<P>) -> Result<(), ReceiptFault> {
        let digest = B256::from(receipt.digest(self.domain)?);
        // The only forms `ecrecover` takes.
        if !matches!(receipt.signature[64], 27 | 28) {
            return Err(ReceiptFault::NoSignature);
        }
        let signature = Signature::try_from(&receipt.signature[..]);
        let signature = signature.map_err(|_| ReceiptFault::NoSignature)?;
        // One signature has one form only: the other s is refused.
        if signature.normalize_s().is_some() {
            return Err(ReceiptFault::NoSignature);
        }
        let have = signature.recover_address_from_prehash(&digest);
        let have = have.map_err(|_| ReceiptFault::NoSignature)?;
        let need = self.signer;
        if have == need { Ok(()) } else { Err(ReceiptFault::OtherSigner { have, need }) }
    }
    /// Whether two receipts convict their signer: both are good, and they promise one place to two
    /// transactions, one transaction two places, follow the same receipt, or are neighbours of which
    /// the later does not follow the earlier, or the other way round.
    pub fn contradict(&self, one: &Receipt, other: &Receipt) -> Result<bool, ReceiptFault> {
        self.check(one)?;
        self.check(other)?;
        let (one, other) = (&one.promise, &other.promise);
        let place = |promise: &Promise| (promise.batch, promise.order);
        let same = place(one) == place(other);
        let (first, second) = if place(one) < place(other) { (one, other) } else { (other, one) };
        let linked = second.previous == first.hash(self.domain);
        let next = first.batch == second.batch && first.order.checked_add(1) == Some(second.order);
        let follows = next || (second.batch > first.batch && second.order == 0);
        let broken = (next && !linked) || (linked && !follows);
        let twice = same || one.previous == other.previous || one.id == other.id;
        Ok(one != other && (twice || broken || first.previous == second.hash(self.domain)))
    }
    /// Whether two receipts of openings convict their signer: both are good, and they promise one index
    /// to two accounts, two indices to one account, or follow the same receipt; or they are not where
    /// they must be in a chain that has every index once and in order: neighbouring indices follow each
    /// other unless the sequencer was restored between their batches, no others do, and a higher one is
    /// in no earlier batch.
    pub fn contradict_openings(
        &self,
        one: &Receipt<Opening>,
        other: &Receipt<Opening>,
    ) -> Result<bool, ReceiptFault> {
        self.check(one)?;
        self.check(other)?;
        let (one, other) = (&one.promise, &other.promise);
        let whose = |opening: &Opening| {
            let OpenRecord { asset, owner, key, .. } = opening.record;
            (asset, owner, key)
        };
        let twice = one.record.index == other.record.index
            || whose(one) == whose(other)
            || one.previous == other.previous;
        let ordered = one.record.index < other.record.index;
        let (first, second) = if ordered { (one, other) } else { (other, one) };
        let next = first.record.index.get() + 1 == second.record.index.get();
        let linked = second.previous == first.hash(self.domain);
        let back = first.previous == second.hash(self.domain) || first.batch > second.batch;
        let broken = linked != next && !(next && self.restored_between(first, second));
        Ok(one != other && (twice || back || broken))
    }
    /// Whether `second` is the first opening after a restore from the main chain that had `first`.
    fn restored_between(&self, first: &Opening, second: &Opening) -> bool {
        let begin = first.batch.max(second.batch.saturating_sub(RESTORES_MAX));
        begin > first.batch
            || (begin..second.batch)
                .any(|last| second.previous == anchor::<Opening>(self.domain, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
    use kerros_protocol::transaction::TransactionId;

    fn signed(key: &PrivateKeySigner, change: impl FnOnce(&mut Promise)) -> Receipt {
        let id = TransactionId([1; 32]);
        let mut promise = Promise { id, batch: 1, order: 0, previous: [0; 32], deadline_ms: 5 };
        change(&mut promise);
        let (path, signature) = (Vec::new(), [0; 65]);
        let mut receipt = Receipt { promise, index: 0, count: 1, path, signature };
        let digest = receipt.digest(Fr::from(7u64)).expect("alone in its group");
        receipt.signature = key.sign_hash_sync(&digest.into()).expect("signs").as_bytes();
        receipt
    }

    #[test]
    fn only_the_sequencers_own_receipts_hold() {
        let (key, other) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let check = ReceiptCheck { domain: Fr::from(7u64), signer: key.address() };
        let good = signed(&key, |_| ());
        assert_eq!(check.check(&good), Ok(()));
        let foreign = signed(&other, |_| ());
        assert!(matches!(check.check(&foreign), Err(ReceiptFault::OtherSigner { .. })));
        let mut changed = good.clone();
        changed.promise.deadline_ms += 1;
        assert!(check.check(&changed).is_err());
        let elsewhere = ReceiptCheck { domain: Fr::from(8u64), ..check };
        assert!(elsewhere.check(&good).is_err());
        let mut nothing = good.clone();
        nothing.signature = [0; 65];
        assert!(check.check(&nothing).is_err());
        // The same signature with s and v turned over.
        let mut twin = good;
        let signature = Signature::try_from(&twin.signature[..]).expect("a signature");
        let order = alloy::primitives::uint!(
            0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256
        );
        let turned = Signature::new(signature.r(), order - signature.s(), !signature.v());
        twin.signature = turned.as_bytes();
        assert_eq!(check.check(&twin), Err(ReceiptFault::NoSignature));
    }

    #[test]
    fn deadlines_are_neither_past_nor_beyond_what_was_announced() {
        let (now, promise, slack) = (10_000_000, 3_600_000, CLOCK_TOLERANCE_MS);
        for good in [now - slack, now, now + promise, now + promise + slack] {
            assert_eq!(check_deadline(good, now, promise), Ok(()), "{good}");
        }
        for past in [0, now - slack - 1] {
            let checked = check_deadline(past, now, promise);
            assert!(matches!(checked, Err(ReceiptFault::DeadlinePast { .. })), "{past}");
        }
        for far in [now + promise + slack + 1, u64::MAX] {
            let checked = check_deadline(far, now, promise);
            assert!(matches!(checked, Err(ReceiptFault::DeadlineFar { .. })), "{far}");
        }
        // Whatever is announced, or nothing: a week.
        for announced in [0, u64::MAX] {
            let latest = now + PROMISE_MS_MAX + slack;
            assert_eq!(check_deadline(latest, now, announced), Ok(()));
            let checked = check_deadline(latest + 1, now, announced);
            assert!(matches!(checked, Err(ReceiptFault::DeadlineFar { .. })), "{announced}");
        }
    }

    #[test]
    fn two_promises_of_one_place_or_after_one_receipt_convict() {
        let key = PrivateKeySigner::random();
        let check = ReceiptCheck { domain: Fr::from(7u64), signer: key.address() };
        let first = signed(&key, |_| ());
        let place = signed(&key, |promise| promise.id.0[0] = 9);
        assert_eq!(check.contradict(&first, &place), Ok(true));
        let fork = signed(&key, |promise| (promise.order, promise.id.0[0]) = (4, 9));
        assert_eq!(check.contradict(&first, &fork), Ok(true));
        assert_eq!(check.contradict(&first, &first), Ok(false));
    }

    #[test]
    fn a_broken_link_between_neighbouring_places_convicts() {
        let key = PrivateKeySigner::random();
        let check = ReceiptCheck { domain: Fr::from(7u64), signer: key.address() };
        let first = signed(&key, |_| ());
        // Place 1 of the same batch does not follow the receipt of place 0.
        let next = signed(&key, |p| (p.order, p.id.0[0], p.previous) = (1, 9, [3; 32]));
        assert_eq!(check.contradict(&first, &next), Ok(true));
        // Follows `first`, but at a place that is not the next one.
        let link = first.promise.hash(check.domain);
        let jump = signed(&key, |p| (p.order, p.id.0[0], p.previous) = (7, 9, link));
        assert_eq!(check.contradict(&first, &jump), Ok(true));
        // Honest neighbours.
        let good = signed(&key, |p| (p.order, p.id.0[0], p.previous) = (1, 9, link));
        assert_eq!(check.contradict(&first, &good), Ok(false));
        let later = signed(&key, |p| (p.batch, p.order, p.id.0[0], p.previous) = (3, 0, 9, link));
        assert_eq!(check.contradict(&first, &later), Ok(false));
    }

    #[test]
    fn two_openings_of_one_index_of_one_account_or_after_one_receipt_convict() {
        let key = PrivateKeySigner::random();
        let check = ReceiptCheck { domain: Fr::from(7u64), signer: key.address() };
        let sign = |index, name: u64, batch, previous| {
            let index = AccountIndex::new(index).expect("in range");
            let (asset, owner) = (AssetId::new(1).expect("in range"), Address([1; 20]));
            let account = AccountKey::new(Fr::from(name)).expect("not 0");
            let record = OpenRecord { index, asset, owner, key: account };
            let promise = Opening { record, batch, previous, deadline_ms: 5 };
            let (path, signature) = (Vec::new(), [0; 65]);
            let mut receipt = Receipt { promise, index: 0, count: 1, path, signature };
            let digest = receipt.digest(check.domain).expect("alone in its group");
            receipt.signature = key.sign_hash_sync(&digest.into()).expect("signs").as_bytes();
            receipt
        };
        let first = sign(1, 1, 3, [0; 32]);
        let link = first.promise.hash(check.domain);
        assert_eq!(check.check(&first), Ok(()));
        let bad = [
            sign(1, 2, 3, link),
            sign(2, 1, 3, link),
            sign(2, 2, 3, [0; 32]),
            sign(2, 2, 2, link),
            sign(1, 1, 4, [9; 32]),
            // Index 1 was given away again, and 2 follows that one.
            sign(2, 2, 3, [6; 32]),
            // A link that leaves an index out, and a higher index in an earlier batch.
            sign(3, 2, 3, link),
            sign(3, 3, 1, [4; 32]),
        ];
        for other in &bad {
            assert_eq!(check.contradict_openings(&first, other), Ok(true), "{other:?}");
            assert_eq!(check.contradict_openings(other, &first), Ok(true), "{other:?}");
        }
        for good in [&first, &sign(2, 2, 3, link), &sign(2, 2, 9, link), &sign(3, 3, 3, [4; 32])] {
            assert_eq!(check.contradict_openings(&first, good), Ok(false), "{good:?}");
        }
        // Restored from the main chain up to batch 3, where `first` is, to 7, and where it is not.
        let restored =
            |index, batch, last| sign(index, 2, batch, anchor::<Opening>(check.domain, last));
        for (batch, last) in [(4, 3), (8, 7), (9, 4)] {
            let after = restored(2, batch, last);
            assert_eq!(check.contradict_openings(&first, &after), Ok(false), "{last}");
        }
        for (batch, last) in [(4, 2), (3, 3), (8, 8)] {
            let after = restored(2, batch, last);
            assert_eq!(check.contradict_openings(&first, &after), Ok(true), "{last}");
        }
        let other = sign(3, 3, 9, anchor::<Opening>(check.domain, 4));
        assert_eq!(check.contradict_openings(&restored(2, 9, 4), &other), Ok(true), "one anchor");
        let mut forged = bad[0].clone();
        forged.promise.deadline_ms += 1;
        assert!(check.contradict_openings(&first, &forged).is_err());
    }

    #[test]
    fn other_forms_of_v_are_refused() {
        let key = PrivateKeySigner::random();
        let check = ReceiptCheck { domain: Fr::from(7u64), signer: key.address() };
        let good = signed(&key, |_| ());
        for add in [-27i16, 8, 10] {
            let mut twin = good.clone();
            twin.signature[64] = u8::try_from(i16::from(twin.signature[64]) + add).expect("a byte");
            assert_eq!(
                check.check(&twin),
                Err(ReceiptFault::NoSignature),
                "v {}",
                twin.signature[64]
            );
        }
    }
}
