//! Scene: a sealer without rules.

use super::{DOMAIN, K, forge, fr, index, judge, key, shape, wallet};
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::witness::{Executed, WitnessError, execute};
use kerros_protocol::account::{Account, AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{
    Authorisation, BatchData, CollectRecord, DepositRecord, ExitRecord, OpenRecord, SealedBatch,
    TransferRecord,
};
use kerros_protocol::commitment::Commitments;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use std::collections::BTreeMap;

/// A state, and a batch on it whose records nobody checks.
#[derive(Clone)]
pub struct Scene {
    pub before: Ledger,
    pub now: BTreeMap<u32, Account>,
    pub data: BatchData,
    pub transfers: Vec<Authorisation>,
    pub exits: Vec<Option<Authorisation>>,
    pub order: u16,
    forced: Vec<(AccountIndex, Address)>,
}

fn account(w: u8, asset: u16, balance: u64, nonce: u32) -> Account {
    Account { key: key(w).get(), balance, nonce, asset, owner: wallet(w).1 }
}

impl Scene {
    /// Accounts 1, 2 of asset 1; 3 of asset 2; 4 without a nonce left; 5 almost full.
    pub fn new() -> Self {
        let mut before = Ledger::new(K);
        for (i, a) in [
            (1, account(1, 1, 10_000, 7)),
            (2, account(2, 1, 500, 0)),
            (3, account(3, 2, 900, 3)),
            (4, account(4, 1, 800, u32::MAX)),
            (5, account(5, 1, u64::MAX - 10, 1)),
        ] {
            before.set(index(i), a);
        }
        let now = before.existing().map(|(i, a)| (i.get(), *a)).collect();
        let (data, transfers, exits, forced) = Default::default();
        Self { before, now, data, transfers, exits, order: 0, forced }
    }
    /// Every kind of record, all of them good.
    pub fn everything() -> Self {
        let mut scene = Self::new();
        scene.open(6, 6, 1);
        scene.open(7, 7, 2);
        scene.deposit(6, 6, 1, 1_000);
        scene.deposit(3, 3, 2, 50);
        scene.pay(1, 1, 2, 1_000, 20);
        scene.pay(2, 2, 6, 700, 0);
        scene.pay(1, 1, 1, 50, 10);
        scene.pay(3, 3, 7, 100, 4);
        scene.exit(1, 1, 300, 5, Address([0x77; 20]));
        scene.collect(2, 35);
        scene.collect(3, 4);
        scene.force(2, wallet(2).1);
        scene
    }
    pub fn get(&self, i: u32) -> Account {
        self.now.get(&i).copied().unwrap_or(Account::EMPTY)
    }
    pub fn open(&mut self, i: u32, w: u8, asset: u16) {
        let (owner, key, asset) = (wallet(w).1, key(w), AssetId::new(asset).unwrap());
        self.data.opens.push(OpenRecord { index: index(i), asset, owner, key });
        self.now.insert(i, account(w, asset.get(), 0, 0));
    }
    pub fn deposit(&mut self, i: u32, w: u8, asset: u16, amount: u64) {
        let (owner, key, asset) = (wallet(w).1, key(w), AssetId::new(asset).unwrap());
        self.data.deposits.push(DepositRecord { index: index(i), amount, asset, key, owner });
        self.now.entry(i).and_modify(|a| a.balance = a.balance.wrapping_add(amount));
    }
    /// The transaction that wallet `w` must sign in the present state.
    pub fn transfer_of(&self, from: u32, to: u32, amount: u64, fee: u16) -> Transfer {
        let payee = self.get(to);
        Transfer {
            from: index(from),
            to: index(to),
            amount,
            fee: Fee::from_float(fee),
            nonce: self.get(from).nonce,
            payee_key: AccountKey::new(payee.key).unwrap_or(key(1)),
            payee_owner: payee.owner,
        }
    }
    pub fn pay(&mut self, w: u8, from: u32, to: u32, amount: u64, fee: u64) {
        let fee = Fee::exact(fee).unwrap().float();
        let transfer = self.transfer_of(from, to, amount, fee);
        self.pay_signed(w, transfer);
    }
    /// Pushes a transfer as it was signed; the record says from, to, amount and fee.
    pub fn pay_signed(&mut self, w: u8, t: Transfer) {
        let signed = SignedTransaction::sign(Transaction::Transfer(t), &wallet(w).0, fr(DOMAIN));
        self.pay_authorised(&signed, t);
    }
    pub fn pay_authorised(&mut self, signed: &SignedTransaction, t: Transfer) {
        let authorisation = self.authorisation(signed);
        self.transfers.push(authorisation);
        let Transfer { from, to, amount, fee, .. } = t;
        self.data.transfers.push(TransferRecord { from, to, amount, fee });
        self.debit(from.get(), amount, fee);
        self.now.entry(to.get()).and_modify(|a| a.balance = a.balance.wrapping_add(amount));
    }
    fn authorisation(&mut self, signed: &SignedTransaction) -> Authorisation {
        let order = self.order;
        self.order += 1;
        Authorisation { order, public_key: signed.public_key, signature: signed.signature }
    }
    fn debit(&mut self, i: u32, amount: u64, fee: Fee) {
        self.now.entry(i).and_modify(|a| {
            a.balance = a.balance.wrapping_sub(amount).wrapping_sub(fee.value() as u64);
            a.nonce = a.nonce.wrapping_add(1);
        });
    }
    pub fn exit_of(&self, from: u32, amount: u64, fee: u16, recipient: Address) -> Exit {
        let account = self.get(from);
        let asset = AssetId::new(account.asset.max(1)).unwrap();
        let (from, fee, nonce) = (index(from), Fee::from_float(fee), account.nonce);
        Exit { from, amount, fee, nonce, asset, recipient }
    }
    pub fn exit(&mut self, w: u8, from: u32, amount: u64, fee: u64, recipient: Address) {
        let fee = Fee::exact(fee).unwrap().float();
        let exit = self.exit_of(from, amount, fee, recipient);
        self.exit_signed(w, exit);
    }
    pub fn exit_signed(&mut self, w: u8, e: Exit) {
        let signed = SignedTransaction::sign(Transaction::Exit(e), &wallet(w).0, fr(DOMAIN));
        self.exit_authorised(&signed, e);
    }
    pub fn exit_authorised(&mut self, signed: &SignedTransaction, e: Exit) {
        let authorisation = self.authorisation(signed);
        self.exits.push(Some(authorisation));
        let Exit { from, amount, fee, asset, recipient, .. } = e;
        let (asset, forced) = (asset.get(), false);
        self.data.exits.push(ExitRecord { from, amount, fee, forced, asset, recipient });
        self.debit(from.get(), amount, fee);
    }
    pub fn collect(&mut self, to: u32, amount: u64) {
        self.data.collects.push(CollectRecord { to: index(to), amount });
        self.now.entry(to).and_modify(|a| a.balance = a.balance.wrapping_add(amount));
    }
    /// Runs last.
    pub fn force(&mut self, from: u32, requester: Address) {
        self.forced.push((index(from), requester));
    }
    pub fn sealed(&self) -> SealedBatch {
        let mut scene = self.clone();
        for (from, recipient) in scene.forced.clone() {
            let account = scene.get(from.get());
            let amount = if account.owner == recipient { account.balance } else { 0 };
            let (fee, forced, asset) = (Fee::ZERO, true, account.asset);
            scene.data.exits.push(ExitRecord { from, amount, fee, forced, asset, recipient });
            scene.exits.push(None);
            scene.now.entry(from.get()).and_modify(|a| a.balance -= amount);
        }
        SealedBatch {
            number: 1,
            k: K,
            before_growth: None,
            old: Commitments::empty(),
            new: Commitments::empty(),
            first: 0,
            end: scene.data.queue_entries(),
            beneficiary: Address([0xbe; 20]),
            data: scene.data,
            transfers: scene.transfers,
            exits: scene.exits,
        }
    }
    /// The honest way.
    pub fn execute(&self) -> Result<Executed, WitnessError> {
        execute(&shape(), &self.before, &self.sealed(), fr(DOMAIN))
    }
    /// The honest witness of a scene that is good.
    pub fn honest(&self) -> BatchWitness {
        self.execute().unwrap().witness
    }
    /// The cheat's witness.
    pub fn forged(&self) -> BatchWitness {
        forge(&self.before, &self.sealed())
    }
    /// Native code must refuse, and the circuit must refuse the cheat's witness.
    pub fn must_be_accepted(&self) {
        let executed = self.execute().unwrap();
        let verdict = judge(&executed.witness);
        assert_eq!(verdict.violated, Vec::<usize>::new());
        assert!(verdict.accepted(&self.before, &executed.witness));
        assert!(verdict.updates(&self.before, &executed.after));
    }
    pub fn must_be_refused(&self) {
        assert!(self.execute().is_err(), "native code accepts");
        let witness = self.forged();
        assert!(!judge(&witness).accepted(&self.before, &witness), "the circuit accepts");
    }
    /// The witness is refused by circuit or opening.
    pub fn refuses(&self, witness: &BatchWitness) {
        assert!(!judge(witness).accepted(&self.before, witness), "accepted");
    }
}
