//! A second opinion on every executed transaction before it may be acknowledged: does double entry
//! over its published bytes give what the rules did?
//!
//! Written from SPEC.md section 6, as the circuit sees it, and not from `transition`: a fault there
//! would otherwise show only when no prover can prove the batch, after everybody was told. Costs some
//! 0.3 µs (`the_check_costs`). Does not check the signature again: the intake has, for exactly the
//! transaction that is built anew here. Openings, deposits and what a seal adds are checked with the
//! whole batch (`sealing::replay`).

use kerros_protocol::account::{Account, AccountIndex, AccountKey, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{ExitRecord, TransferRecord};
use kerros_protocol::encoding::{DecodeError, Reader};
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use thiserror::Error;

/// Why an executed transaction could not be proved: a bug of ours, never the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unprovable {
    /// The published bytes are no record.
    #[error("published bytes: {0}")]
    Bytes(#[from] DecodeError),
    /// Record and accounts give another transaction than the one that was signed.
    #[error("record and accounts do not give the signed transaction")]
    OtherTransaction,
    /// The signer's key is not that of the paying account.
    #[error("account {index} has another key than the signer")]
    OtherKey {
        /// The payer.
        index: AccountIndex,
    },
    /// An account does not exist, or has another asset than its counterpart.
    #[error("account {index} has asset {have}")]
    Asset {
        /// The account.
        index: AccountIndex,
        /// Its asset; 0 if it does not exist.
        have: u16,
    },
    /// A balance or nonce leaves its range.
    #[error("account {index} leaves its range")]
    Range {
        /// The account.
        index: AccountIndex,
    },
    /// The account is not what double entry gives.
    #[error("account {index} was executed to something else than its entries give")]
    Result {
        /// The account.
        index: AccountIndex,
    },
}

/// What is published of a signed transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// In section T.
    Transfer(TransferRecord),
    /// In section E.
    Exit(ExitRecord),
}

impl Published {
    /// Of a transaction.
    pub fn of(transaction: &Transaction) -> Self {
        match transaction {
            Transaction::Transfer(t) => {
                let (from, to, amount, fee) = (t.from, t.to, t.amount, t.fee);
                Self::Transfer(TransferRecord { from, to, amount, fee })
            }
            Transaction::Exit(e) => Self::Exit(ExitRecord {
                from: e.from,
                amount: e.amount,
                fee: e.fee,
                forced: false,
                asset: e.asset.get(),
                recipient: e.recipient,
            }),
        }
    }
}

fn fee_value(fee: Fee) -> i128 {
    let (mantissa, exponent) = (fee.float() >> 5, fee.float() & 31);
    (0..exponent).fold(i128::from(mantissa), |value, _| value * 10)
}

fn debited(index: AccountIndex, account: Account, paid: i128) -> Result<Account, Unprovable> {
    let balance = u64::try_from(i128::from(account.balance) - paid);
    let balance = balance.map_err(|_| Unprovable::Range { index })?;
    let nonce = account.nonce.checked_add(1).ok_or(Unprovable::Range { index })?;
    Ok(Account { balance, nonce, ..account })
}

/// Whether a signed transaction, published so, takes the accounts it names from `before` to what
/// `after` says.
pub fn check(
    signed: &SignedTransaction,
    published: &Published,
    before: impl Fn(AccountIndex) -> Account,
    after: impl Fn(AccountIndex) -> Account,
) -> Result<(), Unprovable> {
    let mut bytes = Vec::with_capacity(64);
    match published {
        Published::Transfer(record) => record.write(&mut bytes),
        Published::Exit(record) => record.write(&mut bytes),
    }
    let mut reader = Reader::new(&bytes);
    let (from, rebuilt, paid, credit);
    match published {
        Published::Transfer(_) => {
            let TransferRecord { from: payer, to, amount, fee } =
                TransferRecord::take(&mut reader)?;
            let (nonce, payee) = (before(payer).nonce, before(to));
            let payee_key = AccountKey::new(payee.key)?;
            let payee_owner = payee.owner;
            let transfer = Transfer { from: payer, to, amount, fee, nonce, payee_key, payee_owner };
            (from, rebuilt) = (payer, Transaction::Transfer(transfer));
            (paid, credit) = (i128::from(amount) + fee_value(fee), Some((to, amount)));
        }
        Published::Exit(_) => {
            let ExitRecord { from: payer, amount, fee, forced: _, asset, recipient } =
                ExitRecord::take(&mut reader)?;
            let (nonce, asset) = (before(payer).nonce, AssetId::new(asset)?);
            let exit = Exit { from: payer, amount, fee, nonce, asset, recipient };
            (from, rebuilt) = (payer, Transaction::Exit(exit));
            (paid, credit) = (i128::from(amount) + fee_value(fee), None);
            let have = before(payer).asset;
            if have != asset.get() {
                return Err(Unprovable::Asset { index: payer, have });
            }
        }
    }
    reader.finish("record")?;
    let payer = before(from);
    if payer.asset == 0 {
        return Err(Unprovable::Asset { index: from, have: 0 });
    }
    if payer.key != signed.public_key.0.x {
        return Err(Unprovable::OtherKey { index: from });
    }
    if rebuilt != signed.transaction {
        return Err(Unprovable::OtherTransaction);
    }
    let mut expected = [Some((from, debited(from, payer, paid)?)), None];
    if let Some((to, amount)) = credit {
        // A payment to oneself debits before it credits.
        let (slot, payee) = match &expected[0] {
            Some((_, payer)) if to == from => (0, *payer),
            _ => (1, before(to)),
        };
        if payee.asset != payer.asset {
            return Err(Unprovable::Asset { index: to, have: payee.asset });
        }
        let balance = payee.balance.checked_add(amount).ok_or(Unprovable::Range { index: to })?;
        expected[slot] = Some((to, Account { balance, ..payee }));
    }
    for (index, account) in expected.into_iter().flatten() {
        if after(index) != account {
            return Err(Unprovable::Result { index });
        }
    }
    Ok(())
}
