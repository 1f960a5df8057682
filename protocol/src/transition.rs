//! The transition rules: the ONLY code that moves balances (SPEC.md section 4).
//!
//! Every function either applies its record completely or rejects it and changes nothing. Inside
//! a batch the order is opens, deposits, transfers and signed exits as sequenced, collects, forced
//! exits. [`replay`] applies published data without that order: the final state does not depend on
//! it.

use crate::account::{Account, AccountIndex, Address};
use crate::batch::{
    BatchData, CollectRecord, DepositRecord, ExitRecord, OpenRecord, TransferRecord,
};
use crate::ledger::Ledger;
use crate::limits::NONCE_LAST;
use crate::rejection::Rejection;
use crate::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use ark_bn254::Fr;
use std::collections::BTreeMap;
use thiserror::Error;

fn in_ledger(ledger: &Ledger, index: AccountIndex) -> Result<Account, Rejection> {
    let size = ledger.size();
    if index.get() >= size {
        return Err(Rejection::IndexBeyondLedger { index, size });
    }
    Ok(ledger.get(index))
}

/// Opens an empty account.
pub fn open(ledger: &mut Ledger, record: &OpenRecord) -> Result<(), Rejection> {
    let index = record.index;
    if !in_ledger(ledger, index)?.is_empty() {
        return Err(Rejection::AlreadyOpen { index });
    }
    ledger.set(index, opened(record));
    Ok(())
}

fn opened(record: &OpenRecord) -> Account {
    Account {
        key: record.key.get(),
        balance: 0,
        nonce: 0,
        asset: record.asset.get(),
        owner: record.owner,
    }
}

/// A deposit names the account by all that never changes.
fn matches(account: &Account, record: &DepositRecord) -> Result<(), Rejection> {
    let triple = (account.key, account.asset, account.owner);
    if triple == (record.key.get(), record.asset.get(), record.owner) {
        Ok(())
    } else {
        Err(Rejection::DepositMismatch { index: record.index, key: record.key })
    }
}

/// Credits a deposit to an account of the same key, asset and owner.
pub fn deposit(ledger: &mut Ledger, record: &DepositRecord) -> Result<(), Rejection> {
    let index = record.index;
    let mut account = in_ledger(ledger, index)?;
    matches(&account, record)?;
    let balance = account.balance.checked_add(record.amount);
    account.balance = balance.ok_or(Rejection::BalanceOverflow { index })?;
    ledger.set(index, account);
    Ok(())
}

/// Pays a collected fee to an account that exists; gives the asset.
pub fn collect(ledger: &mut Ledger, record: &CollectRecord) -> Result<u16, Rejection> {
    let index = record.to;
    let mut account = in_ledger(ledger, index)?;
    if account.is_empty() {
        return Err(Rejection::AccountEmpty { index });
    }
    let balance = account.balance.checked_add(record.amount);
    account.balance = balance.ok_or(Rejection::BalanceOverflow { index })?;
    ledger.set(index, account);
    Ok(account.asset)
}

/// Runs a forced exit: everything leaves if the requester owns the account, else nothing.
pub fn forced_exit(
    ledger: &mut Ledger,
    from: AccountIndex,
    requester: Address,
) -> Result<ExitRecord, Rejection> {
    let mut account = in_ledger(ledger, from)?;
    let amount = if account.owner == requester { account.balance } else { 0 };
    if amount > 0 {
        account.balance = 0;
        ledger.set(from, account);
    }
    Ok(ExitRecord {
        from,
        amount,
        fee: crate::amount::Fee::ZERO,
        forced: true,
        asset: account.asset,
        recipient: requester,
    })
}

/// Checks who pays, up to and including the nonce; `domain` names the deployment. The signature
/// is checked by `verify`, so that a caller that has checked it already need not do so again.
fn authorise(
    ledger: &Ledger,
    signed: &SignedTransaction,
    verify: impl FnOnce() -> Result<(), Rejection>,
) -> Result<Account, Rejection> {
    let transaction = &signed.transaction;
    let index = transaction.from();
    let payer = in_ledger(ledger, index)?;
    if let Transaction::Transfer(transfer) = transaction {
        in_ledger(ledger, transfer.to)?;
    }
    if payer.is_empty() {
        return Err(Rejection::AccountEmpty { index });
    }
    if payer.key != signed.public_key.0.x {
        return Err(Rejection::WrongKey { index });
    }
    verify()?;
    let (have, need) = (transaction.nonce(), payer.nonce);
    if have != need {
        return Err(Rejection::WrongNonce { have, need });
    }
    if need == NONCE_LAST {
        return Err(Rejection::NonceExhausted { index });
    }
    Ok(payer)
}

fn debit(payer: &mut Account, amount: u64, fee: u128) -> Result<(), Rejection> {
    let (have, need) = (payer.balance, u128::from(amount) + fee);
    let left = u128::from(have).checked_sub(need);
    let left = left.and_then(|left| u64::try_from(left).ok());
    payer.balance = left.ok_or(Rejection::InsufficientBalance { have, need })?;
    payer.nonce += 1;
    Ok(())
}

fn transfer(ledger: &mut Ledger, mut payer: Account, t: &Transfer) -> Result<(), Rejection> {
    let index = t.to;
    let payee = ledger.get(index);
    if payee.is_empty() {
        return Err(Rejection::PayeeEmpty { index });
    }
    if (payee.key, payee.owner) != (t.payee_key.get(), t.payee_owner) {
        return Err(Rejection::PayeeMismatch { index });
    }
    if payee.asset != payer.asset {
        return Err(Rejection::AssetMismatch { have: payer.asset, need: payee.asset });
    }
    debit(&mut payer, t.amount, t.fee.value())?;
    let mut payee = if t.to == t.from { payer } else { payee };
    let balance = payee.balance.checked_add(t.amount);
    payee.balance = balance.ok_or(Rejection::BalanceOverflow { index })?;
    ledger.set(t.from, payer);
    ledger.set(t.to, payee);
    Ok(())
}

fn exit(ledger: &mut Ledger, mut payer: Account, e: &Exit) -> Result<(), Rejection> {
    if e.asset.get() != payer.asset {
        return Err(Rejection::AssetMismatch { have: e.asset.get(), need: payer.asset });
    }
    debit(&mut payer, e.amount, e.fee.value())?;
    ledger.set(e.from, payer);
    Ok(())
}

fn run(
    ledger: &mut Ledger,
    signed: &SignedTransaction,
    verify: impl FnOnce() -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let payer = authorise(ledger, signed, verify)?;
    match &signed.transaction {
        Transaction::Transfer(t) => transfer(ledger, payer, t),
        Transaction::Exit(e) => exit(ledger, payer, e),
    }
}

/// Runs a signed transaction, signature included.
pub fn execute(
    ledger: &mut Ledger,
    signed: &SignedTransaction,
    domain: Fr,
) -> Result<(), Rejection> {
    run(ledger, signed, || signed.verify_signature(domain).map_err(Rejection::Signature))
}

/// Runs a signed transaction whose signature the caller has verified under this deployment's
/// domain, with the result of that check.
pub fn execute_verified(
    ledger: &mut Ledger,
    signed: &SignedTransaction,
    verified: Result<(), crate::eddsa::SignatureError>,
) -> Result<(), Rejection> {
    run(ledger, signed, || verified.map_err(Rejection::Signature))
}

/// Why published data does not fit the state it is applied to: it was never provable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// A record names something the rules refuse.
    #[error("section {section}, record {record}: {rejection}")]
    Rejected {
        /// O, D, T, E or F.
        section: char,
        /// Number of the record in its section.
        record: usize,
        /// The rule.
        rejection: Rejection,
    },
    /// The sum of all records leaves a balance or nonce outside its range.
    #[error("account {index} ends with balance {balance} and nonce {nonce}")]
    OutOfRange {
        /// The index.
        index: AccountIndex,
        /// Sum, in asset units.
        balance: i128,
        /// Count.
        nonce: u64,
    },
}

/// An account on its way through a replay: sums may leave its range before they come back.
struct Net {
    before: Account,
    account: Account,
    balance: i128,
    nonce: u64,
}

/// The touched accounts only: a replay costs what the data costs, whatever the ledger's size.
struct Touched<F> {
    size: u32,
    get: F,
    accounts: BTreeMap<AccountIndex, Net>,
}

impl<F: Fn(AccountIndex) -> Account> Touched<F> {
    fn at(&mut self, index: AccountIndex) -> Result<&mut Net, Rejection> {
        let (Self { size, get, accounts }, have) = (self, index.get());
        if have >= *size {
            return Err(Rejection::IndexBeyondLedger { index, size: *size });
        }
        Ok(accounts.entry(index).or_insert_with(|| {
            let before = get(index);
            let (balance, nonce) = (before.balance.into(), before.nonce.into());
            Net { before, account: before, balance, nonce }
        }))
    }
    fn existing(&mut self, index: AccountIndex) -> Result<&mut Net, Rejection> {
        let net = self.at(index)?;
        if net.account.is_empty() { Err(Rejection::AccountEmpty { index }) } else { Ok(net) }
    }
    fn open(&mut self, record: &OpenRecord) -> Result<(), Rejection> {
        let net = self.at(record.index)?;
        if !net.account.is_empty() {
            return Err(Rejection::AlreadyOpen { index: record.index });
        }
        net.account = opened(record);
        Ok(())
    }
    fn deposit(&mut self, record: &DepositRecord) -> Result<(), Rejection> {
        let net = self.at(record.index)?;
        matches(&net.account, record)?;
        net.balance += i128::from(record.amount);
        Ok(())
    }
    fn transfer(&mut self, record: &TransferRecord) -> Result<(), Rejection> {
        let payer = self.existing(record.from)?;
        payer.balance -= i128::from(record.amount) + record.fee.value().cast_signed();
        payer.nonce += 1;
        self.existing(record.to)?.balance += i128::from(record.amount);
        Ok(())
    }
    fn exit(&mut self, record: &ExitRecord) -> Result<(), Rejection> {
        let payer = if record.forced { self.at(record.from)? } else { self.existing(record.from)? };
        payer.balance -= i128::from(record.amount) + record.fee.value().cast_signed();
        payer.nonce += u64::from(!record.forced);
        Ok(())
    }
    fn collect(&mut self, record: &CollectRecord) -> Result<(), Rejection> {
        self.existing(record.to)?.balance += i128::from(record.amount);
        Ok(())
    }
}

/// What published data do to the accounts they touch: index, account before and after, ascending.
/// `get` gives the accounts before, in a ledger of `size`.
pub fn effect(
    size: u32,
    get: impl Fn(AccountIndex) -> Account,
    data: &BatchData,
) -> Result<Vec<(AccountIndex, Account, Account)>, ReplayError> {
    fn all<R>(
        section: char,
        records: &[R],
        mut apply: impl FnMut(&R) -> Result<(), Rejection>,
    ) -> Result<(), ReplayError> {
        records.iter().enumerate().try_for_each(|(record, r)| {
            apply(r).map_err(|rejection| ReplayError::Rejected { section, record, rejection })
        })
    }
    let mut touched = Touched { size, get, accounts: BTreeMap::new() };
    all('O', &data.opens, |record| touched.open(record))?;
    all('D', &data.deposits, |record| touched.deposit(record))?;
    all('T', &data.transfers, |record| touched.transfer(record))?;
    all('E', &data.exits, |record| touched.exit(record))?;
    all('F', &data.collects, |record| touched.collect(record))?;
    let mut accounts = touched.accounts;
    for (index, net) in &mut accounts {
        match (u64::try_from(net.balance), u32::try_from(net.nonce)) {
            (Ok(balance), Ok(nonce)) => {
                (net.account.balance, net.account.nonce) = (balance, nonce);
            }
            _ => {
                let (index, balance, nonce) = (*index, net.balance, net.nonce);
                return Err(ReplayError::OutOfRange { index, balance, nonce });
            }
        }
    }
    Ok(accounts.into_iter().map(|(index, net)| (index, net.before, net.account)).collect())
}

/// Applies published data. The ledger is unchanged if it is refused. Gives the indices touched, in
/// ascending order, each with its account before.
pub fn replay(
    ledger: &mut Ledger,
    data: &BatchData,
) -> Result<Vec<(AccountIndex, Account)>, ReplayError> {
    let effect = effect(ledger.size(), |index| ledger.get(index), data)?;
    for (index, _, after) in &effect {
        ledger.set(*index, *after);
    }
    Ok(effect.into_iter().map(|(index, before, _)| (index, before)).collect())
}

#[cfg(test)]
mod tests;
