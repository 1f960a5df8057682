//! The ledger in memory and the open batch: what fits, what it does, and what a seal makes of it.
//!
//! Pure: no I/O, no clock. Every change is an [`Operation`]; applying the same operations to the
//! same start gives the same state, live and after a restart. Balances move in
//! `kerros_protocol::transition` only. A method that answers [`Placed::Full`] has changed nothing:
//! the caller seals and asks again. Used by the single writer alone (`ordering`).

mod close;
mod names;
mod outcome;
pub mod witness;

pub use outcome::{
    Closing, ExecutionError, Full, OpenError, Place, Placed, Policy, QueueEntry, TransactionError,
};

use crate::journal::{Head, Operation};
use crate::planted::{Bug, planted};
use kerros_protocol::account::{Account, AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::batch::{Authorisation, BatchData, DepositRecord, OpenRecord};
use kerros_protocol::eddsa::SignatureError;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::rejection::Rejection;
use kerros_protocol::transaction::{SignedTransaction, Transaction};
use kerros_protocol::transition;
use names::Names;
use std::collections::BTreeMap;
use witness::{Published, Unprovable};

fn small(count: usize) -> u32 {
    u32::try_from(count).expect("sections are uint16 and ledgers at most 2^28")
}

/// The batch under construction.
#[derive(Debug, Clone)]
struct OpenBatch {
    head: Head,
    data: BatchData,
    transfers: Vec<Authorisation>,
    exits: Vec<Authorisation>,
    forced: Vec<(AccountIndex, Address)>,
    fees: BTreeMap<u16, u128>,
    before: BTreeMap<AccountIndex, Account>,
    operations: u32,
}

impl OpenBatch {
    fn new(head: Head) -> Self {
        Self {
            head,
            data: BatchData::default(),
            transfers: Vec::new(),
            exits: Vec::new(),
            forced: Vec::new(),
            fees: BTreeMap::new(),
            before: BTreeMap::new(),
            operations: 0,
        }
    }
    fn order(&self) -> u32 {
        small(self.transfers.len() + self.exits.len())
    }
    fn queue_next(&self) -> u64 {
        self.head.first + (self.data.deposits.len() + self.forced.len()) as u64
    }
}

/// State: ledger, names of accounts, open batch.
#[derive(Debug, Clone)]
pub struct Execution {
    policy: Policy,
    ledger: Ledger,
    names: Names,
    /// The lowest index without an account. A stranger's batch may open any: there may be accounts above.
    lowest_free: u32,
    open: OpenBatch,
    grow_asked: bool,
    /// Makes the rules wrong, to see that it is noticed.
    #[cfg(test)]
    planted: Option<fn(&mut Ledger, &Transaction)>,
}

impl Execution {
    /// The state after the last sealed batch, with an empty open batch; the ledger's size must be
    /// the head's.
    pub fn new(policy: Policy, head: Head, ledger: Ledger) -> Self {
        assert_eq!(head.k, ledger.k(), "a batch runs in the ledger it starts from");
        let (names, open) = (Names::of(&ledger), OpenBatch::new(head));
        let mut this = Self {
            policy,
            ledger,
            names,
            lowest_free: 1,
            open,
            grow_asked: false,
            #[cfg(test)]
            planted: None,
        };
        this.skip_taken();
        this
    }
    fn skip_taken(&mut self) {
        let accounts = self.ledger.accounts();
        let taken = accounts.iter().skip(self.lowest_free as usize);
        self.lowest_free += small(taken.take_while(|account| !account.is_empty()).count());
    }
    /// Applies the journal's operations of the open batch.
    pub fn replay(&mut self, mut operations: Vec<Operation>) -> Result<(), ExecutionError> {
        if planted(Bug::ShortReplay) {
            operations.pop();
        }
        for (sequence, operation) in operations.into_iter().enumerate() {
            let refuse = |rejection| ExecutionError::Replay { sequence, rejection };
            self.apply(&operation, Ok(())).map_err(refuse)?;
        }
        Ok(())
    }

    /// The ledger as executed so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
    /// The operator's decisions.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
    /// First queue entry that no batch contains.
    pub fn queue_next(&self) -> u64 {
        self.open.queue_next()
    }
    /// Accounts that exist.
    pub fn allocated(&self) -> u32 {
        small(self.names.count())
    }
    /// Whether the open batch opens this account.
    pub fn opened_here(&self, index: AccountIndex) -> bool {
        self.open.data.opens.iter().any(|record| record.index == index)
    }
    /// The account with this key, asset and owner.
    pub fn find(&self, key: AccountKey, asset: u16, owner: Address) -> Option<AccountIndex> {
        self.names.find(&self.ledger, &key.get(), asset, &owner)
    }
    /// Accounts of a key from an index on, ascending; takes as long as what is taken of them.
    pub fn accounts_of(
        &self,
        key: AccountKey,
        first: AccountIndex,
    ) -> impl Iterator<Item = AccountIndex> + '_ {
        self.names.of_key(&self.ledger, key.get(), first)
    }

    fn free_index(&self) -> Option<AccountIndex> {
        let next = self.lowest_free;
        if next >= self.ledger.size() { None } else { AccountIndex::new(next).ok() }
    }
    fn exits_used(&self) -> usize {
        self.open.data.exits.len() + self.open.forced.len()
    }
    fn room_to_open(&self) -> Result<AccountIndex, Full> {
        if self.open.data.opens.len() >= self.policy.shape.opens as usize {
            return Err(Full::Opens);
        }
        self.free_index().ok_or(Full::Ledger)
    }
    fn room_for(&self, transaction: &Transaction) -> Result<(), Full> {
        if self.open.order() >= self.policy.transactions_max {
            return Err(Full::Transactions);
        }
        let shape = &self.policy.shape;
        match transaction {
            Transaction::Transfer(_)
                if self.open.data.transfers.len() >= shape.transfers as usize =>
            {
                Err(Full::Transfers)
            }
            Transaction::Exit(_) if self.exits_used() >= shape.exits as usize => Err(Full::Exits),
            _ => Ok(()),
        }
    }

    /// Applies one operation completely, or refuses it and changes nothing.
    fn apply(
        &mut self,
        operation: &Operation,
        verified: Result<(), SignatureError>,
    ) -> Result<(), Rejection> {
        match operation {
            Operation::Open(record) => {
                let before = [(record.index, self.ledger_get(record.index))];
                transition::open(&mut self.ledger, record)?;
                self.names.add(record.index, &self.ledger.get(record.index));
                self.skip_taken();
                self.open.data.opens.push(*record);
                self.touched(&before);
            }
            Operation::Deposit { record, .. } => {
                let before = [(record.index, self.ledger_get(record.index))];
                transition::deposit(&mut self.ledger, record)?;
                self.open.data.deposits.push(*record);
                self.touched(&before);
            }
            Operation::Signed(signed) => {
                let before = self.accounts_named(&signed.transaction);
                transition::execute_verified(&mut self.ledger, signed, verified)?;
                self.record_signed(signed);
                self.touched(&before);
            }
            Operation::ForcedExit { from, requester, .. } => {
                self.open.forced.push((*from, *requester));
            }
        }
        self.open.operations += 1;
        Ok(())
    }
    fn ledger_get(&self, index: AccountIndex) -> Account {
        self.ledger.get(index)
    }
    fn accounts_named(&self, transaction: &Transaction) -> Vec<(AccountIndex, Account)> {
        let mut indices = vec![transaction.from()];
        if let Transaction::Transfer(transfer) = transaction {
            indices.push(transfer.to);
        }
        indices.into_iter().map(|index| (index, self.ledger_get(index))).collect()
    }
    fn touched(&mut self, before: &[(AccountIndex, Account)]) {
        for (index, account) in before {
            self.open.before.entry(*index).or_insert(*account);
        }
    }
    fn record_signed(&mut self, signed: &SignedTransaction) {
        let order = u16::try_from(self.open.order()).expect("T + E ≤ 2^16 by the shape");
        let authorisation =
            Authorisation { order, public_key: signed.public_key, signature: signed.signature };
        let fee = signed.transaction.fee();
        if fee.value() > 0 && !planted(Bug::FeesLost) {
            let asset = self.ledger.get(signed.transaction.from()).asset;
            *self.open.fees.entry(asset).or_default() += fee.value();
        }
        match Published::of(&signed.transaction) {
            Published::Transfer(record) => {
                self.open.data.transfers.push(record);
                self.open.transfers.push(authorisation);
            }
            Published::Exit(record) => {
                self.open.data.exits.push(record);
                self.open.exits.push(authorisation);
            }
        }
    }
    /// Whether what was just executed can be proved.
    fn check_witness(
        &self,
        signed: &SignedTransaction,
        before: &[(AccountIndex, Account)],
    ) -> Result<(), Unprovable> {
        let old = |index| {
            let named = before.iter().find(|(named, _)| *named == index);
            named.map_or(Account::EMPTY, |(_, account)| *account)
        };
        let published = Published::of(&signed.transaction);
        witness::check(signed, &published, old, |index| self.ledger_get(index))
    }

    /// Executes a signed transaction in the next place. Operations done are appended to
    /// `operations`: the transaction, and the opening of a fee account if it is the first to pay
    /// a fee in its asset.
    pub fn submit(
        &mut self,
        signed: &SignedTransaction,
        verified: Result<(), SignatureError>,
        operations: &mut Vec<Operation>,
    ) -> Result<Placed<Place>, TransactionError> {
        let transaction = &signed.transaction;
        let fee = transaction.fee().value();
        if fee < u128::from(self.policy.fee_min) {
            return Err(TransactionError::FeeTooLow { have: fee, need: self.policy.fee_min });
        }
        let before = self.accounts_named(transaction);
        // What a refused transaction would cost is never known to the batch: try it first, and take
        // it back if there is no room.
        transition::execute_verified(&mut self.ledger, signed, verified)?;
        #[cfg(test)]
        if let Some(rule) = self.planted {
            rule(&mut self.ledger, transaction);
        }
        let take_back = |ledger: &mut Ledger| {
            before.iter().rev().for_each(|(index, account)| ledger.set(*index, *account));
        };
        if let Err(fault) = self.check_witness(signed, &before) {
            take_back(&mut self.ledger);
            return Err(fault.into());
        }
        let fits = self.room_for(transaction).and_then(|()| self.room_for_fee(&before[0].1, fee));
        let opening = match fits {
            Ok(opening) => opening,
            Err(full) => {
                take_back(&mut self.ledger);
                let asset = before[0].1.asset;
                let hopeless = self.policy.shape.collects == 0
                    || (full == Full::Ledger && self.ledger.k() >= self.policy.k_max);
                if fee > 0 && hopeless && matches!(full, Full::Collects | Full::Ledger) {
                    return Err(TransactionError::FeeNotCollectable { asset });
                }
                return Ok(Placed::Full(full));
            }
        };
        self.record_signed(signed);
        self.touched(&before);
        self.open.operations += 1;
        let order = u16::try_from(self.open.order() - 1).expect("T + E ≤ 2^16 by the shape");
        let place = Place { batch: self.open.head.number, order };
        operations.push(Operation::Signed(Box::new(*signed)));
        if let Some(record) = opening {
            let operation = Operation::Open(record);
            self.apply(&operation, Ok(())).expect("the index was free and there was room");
            operations.push(operation);
        }
        Ok(Placed::Done(place))
    }
    /// The open that a fee in the payer's asset needs, if any.
    fn room_for_fee(&self, payer: &Account, fee: u128) -> Result<Option<OpenRecord>, Full> {
        if fee == 0 {
            return Ok(None);
        }
        let fees = &self.open.fees;
        let known = fees.contains_key(&payer.asset);
        if !known && fees.len() >= self.policy.shape.collects as usize {
            return Err(Full::Collects);
        }
        let (key, owner) = (self.policy.fee_key, self.policy.fee_owner);
        if self.find(key, payer.asset, owner).is_some() {
            return Ok(None);
        }
        let index = self.room_to_open()?;
        let asset = AssetId::new(payer.asset).expect("a payer exists, so its asset is not 0");
        Ok(Some(OpenRecord { index, asset, owner, key }))
    }

    /// Opens an account, or gives the index it has; the flag tells which. `last_asset` is the last
    /// one registered, `reserved` the places kept for deposits.
    pub fn open_account(
        &mut self,
        asset: AssetId,
        owner: Address,
        key: AccountKey,
        last_asset: u16,
        reserved: u64,
        operations: &mut Vec<Operation>,
    ) -> Result<Placed<(AccountIndex, bool)>, OpenError> {
        if let Some(index) = self.find(key, asset.get(), owner) {
            return Ok(Placed::Done((index, false)));
        }
        if owner.is_zero() {
            return Err(OpenError::OwnerZero);
        }
        if asset.get() > last_asset {
            return Err(OpenError::AssetUnknown { have: asset.get(), last: last_asset });
        }
        let free = ((1u64 << self.policy.k_max) - 1).saturating_sub(self.allocated().into());
        if free <= reserved {
            return Err(OpenError::LedgerFull { free, reserved });
        }
        let index = match self.room_to_open() {
            Ok(index) => index,
            Err(full) => return Ok(Placed::Full(full)),
        };
        let operation = Operation::Open(OpenRecord { index, asset, owner, key });
        self.apply(&operation, Ok(())).expect("the index was free and there was room");
        operations.push(operation);
        Ok(Placed::Done((index, true)))
    }

    /// Takes the next queue entry. Entries the contract accepted can always be taken.
    pub fn serve(
        &mut self,
        entry: u64,
        content: &QueueEntry,
        operations: &mut Vec<Operation>,
    ) -> Result<Placed<()>, ExecutionError> {
        let need = self.open.queue_next();
        if entry != need {
            return Err(ExecutionError::QueueOrder { have: entry, need });
        }
        let refuse = |rejection| ExecutionError::Queue { entry, rejection };
        match content {
            QueueEntry::Deposit { amount, asset, key, owner } => {
                if self.open.data.deposits.len() >= self.policy.shape.deposits as usize {
                    return Ok(Placed::Full(Full::Deposits));
                }
                let (amount, asset, key, owner) = (*amount, *asset, *key, *owner);
                let index = match self.find(key, asset.get(), owner) {
                    Some(index) => index,
                    None => match self.room_to_open() {
                        Ok(index) => {
                            let open = Operation::Open(OpenRecord { index, asset, owner, key });
                            self.apply(&open, Ok(())).map_err(refuse)?;
                            operations.push(open);
                            index
                        }
                        Err(Full::Ledger) if self.ledger.k() >= self.policy.k_max => {
                            return Err(ExecutionError::QueueLedgerFull { entry });
                        }
                        Err(full) => return Ok(Placed::Full(full)),
                    },
                };
                let record = DepositRecord { index, amount, asset, key, owner };
                let deposit = Operation::Deposit { entry, record };
                self.apply(&deposit, Ok(())).map_err(refuse)?;
                operations.push(deposit);
            }
            QueueEntry::ForcedExit { from, requester } => {
                if self.exits_used() >= self.policy.shape.exits as usize {
                    return Ok(Placed::Full(Full::Exits));
                }
                if from.get() >= self.ledger.size() {
                    let (index, size) = (*from, self.ledger.size());
                    return Err(refuse(Rejection::IndexBeyondLedger { index, size }));
                }
                let exit = Operation::ForcedExit { entry, from: *from, requester: *requester };
                self.apply(&exit, Ok(())).map_err(refuse)?;
                operations.push(exit);
            }
        }
        Ok(Placed::Done(()))
    }
}

#[cfg(test)]
pub(crate) mod tests;
