//! A ledger with wallets, from which tests seal batches by hand.

use ark_bn254::{Fr, G1Affine};
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{
    Authorisation, BatchData, CollectRecord, DepositRecord, ExitRecord, OpenRecord, SealedBatch,
    Shape, TransferRecord,
};
use kerros_protocol::commitment::Commitments;
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use kerros_protocol::transition;
use kerros_sequencer::main_chain::embedded::development_wallet;
use std::sync::Arc;

/// Wallet `i`: layer-2 key and, as owner, development wallet `i` of the main chain.
pub fn wallet(i: u8) -> (PrivateKey, Address) {
    let owner = development_wallet(i.into()).address();
    (PrivateKey::from_bytes([i; 32]), Address(owner.into_array()))
}

/// Account index, for literals.
pub fn index(i: u32) -> AccountIndex {
    AccountIndex::new(i).expect("a literal in range")
}

/// Key of wallet `i`.
pub fn key(i: u8) -> AccountKey {
    wallet(i).0.public_key().account_key().expect("not 0")
}

/// An operator without services.
#[derive(Clone)]
pub struct World {
    /// Capacities.
    pub shape: Shape,
    /// Chain and contract.
    pub domain: Fr,
    /// State with all pending records applied.
    pub ledger: Ledger,
    /// State at the last seal.
    pub sealed: Ledger,
    /// Commitments at the last seal.
    pub commitments: Commitments,
    /// Next batch's number.
    pub number: u64,
    /// First queue entry not consumed.
    pub first: u64,
    /// Credited with entry fees.
    pub beneficiary: Address,
    /// Pending records.
    pub data: BatchData,
    transfers: Vec<Authorisation>,
    exits: Vec<Option<Authorisation>>,
    forced: Vec<(AccountIndex, Address)>,
    order: u16,
    grows: bool,
}

impl World {
    /// Nothing exists yet.
    pub fn new(shape: Shape, k: u8, domain: Fr) -> Self {
        Self {
            shape,
            domain,
            ledger: Ledger::new(k),
            sealed: Ledger::new(k),
            commitments: Commitments::empty(),
            number: 1,
            first: 0,
            beneficiary: Address([0xbe; 20]),
            data: BatchData::default(),
            transfers: Vec::new(),
            exits: Vec::new(),
            forced: Vec::new(),
            order: 0,
            grows: false,
        }
    }
    /// Opens account `i` for wallet `w`.
    pub fn open(&mut self, i: u32, w: u8, asset: u16) {
        let asset = AssetId::new(asset).expect("not 0");
        let record = OpenRecord { index: index(i), asset, owner: wallet(w).1, key: key(w) };
        transition::open(&mut self.ledger, &record).expect("open");
        self.data.opens.push(record);
    }
    /// Deposits to account `i` of wallet `w`.
    pub fn deposit(&mut self, i: u32, w: u8, asset: u16, amount: u64) {
        let asset = AssetId::new(asset).expect("not 0");
        let (index, owner, key) = (index(i), wallet(w).1, key(w));
        let record = DepositRecord { index, amount, asset, key, owner };
        transition::deposit(&mut self.ledger, &record).expect("deposit");
        self.data.deposits.push(record);
    }
    /// What wallet `w` signs to pay from account `from` to `to`.
    pub fn transfer_of(
        &self,
        w: u8,
        from: u32,
        to: u32,
        amount: u64,
        fee: u64,
    ) -> SignedTransaction {
        let payee = self.ledger.get(index(to));
        let transaction = Transaction::Transfer(Transfer {
            from: index(from),
            to: index(to),
            amount,
            fee: Fee::exact(fee).expect("exact"),
            nonce: self.ledger.get(index(from)).nonce,
            payee_key: AccountKey::new(payee.key).expect("the payee exists"),
            payee_owner: payee.owner,
        });
        SignedTransaction::sign(transaction, &wallet(w).0, self.domain)
    }
    fn authorise(&mut self, signed: &SignedTransaction) -> Authorisation {
        transition::execute(&mut self.ledger, signed, self.domain).expect("a good transaction");
        let order = self.order;
        self.order += 1;
        Authorisation { order, public_key: signed.public_key, signature: signed.signature }
    }
    /// Wallet `w` pays from account `from` to `to`.
    pub fn transfer(&mut self, w: u8, from: u32, to: u32, amount: u64, fee: u64) {
        let signed = self.transfer_of(w, from, to, amount, fee);
        let authorisation = self.authorise(&signed);
        self.transfers.push(authorisation);
        let fee = signed.transaction.fee();
        let (from, to) = (index(from), index(to));
        self.data.transfers.push(TransferRecord { from, to, amount, fee });
    }
    /// What wallet `w` signs to take out of account `from`.
    pub fn exit_of(
        &self,
        w: u8,
        from: u32,
        amount: u64,
        fee: u64,
        recipient: Address,
    ) -> SignedTransaction {
        let account = self.ledger.get(index(from));
        let fee = Fee::exact(fee).expect("exact");
        let asset = AssetId::new(account.asset).expect("the account exists");
        let exit = Exit { from: index(from), amount, fee, nonce: account.nonce, asset, recipient };
        SignedTransaction::sign(Transaction::Exit(exit), &wallet(w).0, self.domain)
    }
    /// Wallet `w` takes out of account `from`.
    pub fn exit(&mut self, w: u8, from: u32, amount: u64, fee: u64, recipient: Address) {
        let asset = self.ledger.get(index(from)).asset;
        let signed = self.exit_of(w, from, amount, fee, recipient);
        let authorisation = self.authorise(&signed);
        self.exits.push(Some(authorisation));
        let (from, fee, forced) = (index(from), signed.transaction.fee(), false);
        self.data.exits.push(ExitRecord { from, amount, fee, forced, asset, recipient });
    }
    /// A forced exit from the queue; runs when the batch is sealed.
    pub fn force(&mut self, from: u32, requester: Address) {
        self.forced.push((index(from), requester));
    }
    /// Pays collected fees to account `to`; runs when called, so call it after the transfers.
    pub fn collect(&mut self, to: u32, amount: u64) {
        let record = CollectRecord { to: index(to), amount };
        transition::collect(&mut self.ledger, &record).expect("collect");
        self.data.collects.push(record);
    }
    /// The next batch doubles the ledger first.
    pub fn grow(&mut self) {
        self.ledger.grow();
        self.grows = true;
    }
    /// Seals what is pending. `lagrange` gives the points of a ledger size.
    pub fn seal(&mut self, lagrange: impl Fn(u8) -> Arc<Vec<G1Affine>>) -> SealedBatch {
        for (from, requester) in std::mem::take(&mut self.forced) {
            let record = transition::forced_exit(&mut self.ledger, from, requester);
            self.data.exits.push(record.expect("in the ledger"));
            self.exits.push(None);
        }
        let points = lagrange(self.ledger.k());
        let before_growth = self.grows.then_some(self.commitments);
        let mut old = self.commitments;
        if self.grows {
            old = self.sealed.commit(&points);
        }
        let new = self.ledger.commit(&points);
        let data = std::mem::take(&mut self.data);
        let end = self.first + data.queue_entries();
        let batch = SealedBatch {
            number: self.number,
            k: self.ledger.k(),
            before_growth,
            old,
            new,
            first: self.first,
            end,
            beneficiary: self.beneficiary,
            data,
            transfers: std::mem::take(&mut self.transfers),
            exits: std::mem::take(&mut self.exits),
        };
        self.sealed = self.ledger.clone();
        self.commitments = new;
        self.number += 1;
        self.first = end;
        self.order = 0;
        self.grows = false;
        batch
    }
}

/// A batch with every kind of record, including an open with a deposit, a payment to oneself, a
/// signed exit, an effective forced exit and a forced no-op.
pub fn everything(world: &mut World) {
    world.open(1, 1, 1);
    world.open(2, 2, 1);
    world.deposit(1, 1, 1, 10_000);
    world.deposit(2, 2, 1, 500);
    world.transfer(1, 1, 2, 1_000, 20);
    world.transfer(2, 2, 1, 700, 0);
    world.transfer(1, 1, 1, 50, 10);
    world.exit(1, 1, 300, 5, Address([0x77; 20]));
    world.collect(2, 35);
    world.force(2, wallet(2).1);
}
