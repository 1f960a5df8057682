//! Batches made for measuring: a ledger of funded accounts and a full section of transfers.
//!
//! Deterministic, with real signatures; used by `kerros bench` and the criterion benchmarks.

use ark_bn254::{Fr, G1Affine};
use kerros_protocol::account::{Account, AccountIndex, AccountKey, Address};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{
    Authorisation, BatchData, CollectRecord, SealedBatch, Shape, ShapeError, TransferRecord,
};
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::rejection::Rejection;
use kerros_protocol::transaction::{SignedTransaction, Transaction, Transfer};
use kerros_protocol::transition;

/// The shape that `kerros bench` measures for a number of transfers: a few slots of the other
/// sections beside them.
pub fn shape(transfers: u32) -> Result<Shape, ShapeError> {
    Shape::new([4, 4, transfers, 4, 2])
}

/// A ledger of `2^k` whose accounts 1 … count − 1 are funded, all in asset 1.
pub fn ledger(k: u8, count: u32) -> Ledger {
    let mut ledger = Ledger::new(k);
    for i in 1..count.min(1 << k) {
        let key = secret(i).public_key().0.x;
        let owner = Address([1; 20]);
        let account = Account { key, balance: 1_000_000_000, nonce: 0, asset: 1, owner };
        ledger.set(index(i), account);
    }
    ledger
}

fn index(i: u32) -> AccountIndex {
    AccountIndex::new(i).expect("workloads stay in the index range")
}

fn secret(i: u32) -> PrivateKey {
    let mut bytes = [7u8; 32];
    bytes[..4].copy_from_slice(&i.to_be_bytes());
    PrivateKey::from_bytes(bytes)
}

/// A batch of `transfers` signed transfers between the first `count − 1` accounts of `before`,
/// each with a fee that account 1 collects.
pub fn batch(
    before: &Ledger,
    count: u32,
    transfers: u32,
    domain: Fr,
    lagrange: &[G1Affine],
) -> Result<SealedBatch, Rejection> {
    let old = before.commit(lagrange);
    let mut ledger = before.clone();
    let mut data = BatchData::default();
    let mut authorisations = Vec::new();
    let fee = Fee::from_float(10 << 5);
    for t in 0..transfers {
        let (from, to) = (index(1 + t % (count - 1)), index(1 + (7 * t + 3) % (count - 1)));
        let payee = ledger.get(to);
        let payee_key = AccountKey::new(payee.key).expect("funded accounts have keys");
        let transfer = Transfer {
            from,
            to,
            amount: 1_000 + u64::from(t),
            fee,
            nonce: ledger.get(from).nonce,
            payee_key,
            payee_owner: payee.owner,
        };
        let transaction = Transaction::Transfer(transfer);
        let signed = SignedTransaction::sign(transaction, &secret(from.get()), domain);
        transition::execute(&mut ledger, &signed, domain)?;
        let (amount, order) = (transfer.amount, u16::try_from(t).expect("a shape's transfers"));
        data.transfers.push(TransferRecord { from, to, amount, fee });
        let (public_key, signature) = (signed.public_key, signed.signature);
        authorisations.push(Authorisation { order, public_key, signature });
    }
    let collected = u64::from(transfers) * 10;
    let record = CollectRecord { to: index(1), amount: collected };
    transition::collect(&mut ledger, &record)?;
    data.collects.push(record);
    Ok(SealedBatch {
        number: 1,
        k: before.k(),
        before_growth: None,
        old,
        new: ledger.commit(lagrange),
        first: 0,
        end: 0,
        beneficiary: Address([2; 20]),
        data,
        transfers: authorisations,
        exits: Vec::new(),
    })
}
