//! What the attack tests share: a small state, a sealer without rules, a builder of witnesses that
//! ignores every rejection, and a verdict that stands for the main chain's check.
//!
//! [`forge`] is the cheat: it lays records out exactly as [`kerros_circuits::witness::execute`]
//! does but applies none of the rules, in wrapping arithmetic. [`Verdict`] needs no Groth16 proof:
//! the constraints are evaluated, and the KZG equation is replaced by what it says about the
//! state (SPEC.md section 5).

#![allow(dead_code, missing_docs)] // every test file uses a part of it

use ark_bn254::Fr;
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ed_on_bn254::{EdwardsAffine, EdwardsProjective, Fr as Scalar};
use ark_ff::{AdditiveGroup, Field, PrimeField};
use kerros_circuits::batch::{BatchWitness, Outputs, synthesize};
use kerros_circuits::builder::{Builder, Constraint, evaluate};
use kerros_circuits::gadgets::eddsa::SignatureWitness;
use kerros_circuits::groth16::Compiled;
use kerros_circuits::journal::{
    CollectWitness, DepositWitness, ExitWitness, OpenWitness, TransferWitness, class, flag,
};
use kerros_circuits::ledger::RowWitness;
use kerros_circuits::witness::{Executed, WitnessError, execute};
use kerros_protocol::account::{Account, AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{
    Authorisation, BatchData, CollectRecord, DepositRecord, ExitRecord, OpenRecord, SealedBatch,
    Shape, TransferRecord,
};
use kerros_protocol::commitment::{Commitments, point};
use kerros_protocol::eddsa::{self, Point, PrivateKey};
use kerros_protocol::encoding::{fr_to_be, keccak_to_fr};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::OnceLock;

/// Chain and contract of these tests.
pub const DOMAIN: u64 = 4242;
/// Size of the ledger.
pub const K: u8 = 4;

pub fn shape() -> Shape {
    Shape::new([2, 2, 4, 2, 2]).unwrap()
}

pub fn compiled() -> &'static Compiled {
    static CIRCUIT: OnceLock<Compiled> = OnceLock::new();
    CIRCUIT.get_or_init(|| Compiled::new(&shape()))
}

/// The circuit's named wires, e.g. `L[3].same`.
pub fn wire(name: &str) -> usize {
    static NAMES: OnceLock<BTreeMap<String, u32>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let mut b = Builder::recording();
        let witness = BatchWitness::empty(&shape(), K, fr(DOMAIN));
        match synthesize(&mut b, &shape(), &witness, |h| Ok::<_, Infallible>(challenges(h))) {
            Ok(_) => b.names().iter().cloned().collect(),
            Err(never) => match never {},
        }
    });
    names[name] as usize
}

pub fn fr(value: u64) -> Fr {
    Fr::from(value)
}

pub fn wallet(w: u8) -> (PrivateKey, Address) {
    (PrivateKey::from_bytes([w; 32]), Address([w; 20]))
}

pub fn key(w: u8) -> AccountKey {
    wallet(w).0.public_key().account_key().unwrap()
}

pub fn index(i: u32) -> AccountIndex {
    AccountIndex::new(i).unwrap()
}

/// β and z as a verifier would: after h.
pub fn challenges(h: Fr) -> (Fr, Fr) {
    let draw = |label: &[u8]| keccak_to_fr(&[label, &fr_to_be(&h)]);
    (draw(b"beta"), draw(b"z"))
}

// ---------------------------------------------------------------------------------------------
// Verdict

/// A witness put through the circuit.
pub struct Verdict {
    pub violated: Vec<usize>,
    pub outputs: Outputs,
    pub beta: Fr,
    pub z: Fr,
    pub assignment: Vec<Fr>,
}

pub fn violations(constraints: &[Constraint], assignment: &[Fr]) -> Vec<usize> {
    let broken = |c: &Constraint| {
        let [a, b, c] = [&c.a, &c.b, &c.c].map(|terms| evaluate(terms, assignment));
        a * b != c
    };
    (0..constraints.len()).filter(|i| broken(&constraints[*i])).collect()
}

/// Challenges drawn after h, as they must be.
pub fn judge(witness: &BatchWitness) -> Verdict {
    judge_with(witness, challenges)
}

/// Challenges chosen by the caller: what a prover could do who knew them beforehand.
pub fn judge_with(witness: &BatchWitness, draw: impl FnOnce(Fr) -> (Fr, Fr)) -> Verdict {
    let mut b = Builder::witness_only();
    let mut drawn = (Fr::ZERO, Fr::ZERO);
    let outputs = synthesize(&mut b, &shape(), witness, |h| {
        drawn = draw(h);
        Ok::<_, Infallible>(drawn)
    });
    let outputs = match outputs {
        Ok(outputs) => outputs,
        Err(never) => match never {},
    };
    let assignment = b.into_assignment();
    assert_eq!(assignment.len(), compiled().variables, "one circuit for every witness");
    let violated = violations(&compiled().constraints, &assignment);
    Verdict { violated, outputs, beta: drawn.0, z: drawn.1, assignment }
}

impl Verdict {
    pub fn satisfied(&self) -> bool {
        self.violated.is_empty()
    }
    /// What the KZG equation says about A and Z: the rows that start a run open the state. Runs
    /// of one account twice pass here, because the pairing cannot see them (attack 4).
    pub fn opens(&self, before: &Ledger, witness: &BatchWitness) -> bool {
        let points = starts(witness);
        let distinct: BTreeSet<[u8; 32]> = points.iter().map(fr_to_be).collect();
        if distinct.len() != points.len() {
            return true;
        }
        let by_point = by_point(before);
        let (mut a, mut z_s) = (Fr::ZERO, Fr::ONE);
        for x in &points {
            let words = by_point.get(&fr_to_be(x)).map_or(Fr::ZERO, |w| combine(w, self.beta));
            a += words * x * (self.z - x).inverse().unwrap();
            z_s *= self.z - x;
        }
        (a, z_s) == (self.outputs.a, self.outputs.z_s)
    }
    /// What the KZG equation says about Δ: `after` differs from `before` as the circuit says.
    pub fn updates(&self, before: &Ledger, after: &Ledger) -> bool {
        let (old, new) = (by_point(before), by_point(after));
        let all: BTreeMap<_, _> = before_and_after(before, after);
        let zero = [Fr::ZERO; 3];
        let sum: Fr = all
            .into_iter()
            .map(|(bytes, x)| {
                let [o, n] = [&old, &new].map(|side| side.get(&bytes).unwrap_or(&zero));
                let change = combine(n, self.beta) - combine(o, self.beta);
                change * x * (self.z - x).inverse().unwrap()
            })
            .sum();
        sum == self.outputs.delta
    }
    /// Whether the main chain would take it.
    pub fn accepted(&self, before: &Ledger, witness: &BatchWitness) -> bool {
        self.satisfied() && self.opens(before, witness)
    }
}

fn combine(words: &[Fr; 3], beta: Fr) -> Fr {
    words[0] + beta * (words[1] + beta * words[2])
}

fn by_point(ledger: &Ledger) -> BTreeMap<[u8; 32], [Fr; 3]> {
    ledger.existing().map(|(i, a)| (fr_to_be(&point(i.get())), a.words())).collect()
}

fn before_and_after(before: &Ledger, after: &Ledger) -> BTreeMap<[u8; 32], Fr> {
    let indices = before.existing().chain(after.existing()).map(|(i, _)| point(i.get()));
    indices.map(|x| (fr_to_be(&x), x)).collect()
}

/// Points of the rows that start a run.
pub fn starts(witness: &BatchWitness) -> Vec<Fr> {
    let mut previous = Fr::ONE;
    let mut out = Vec::new();
    for row in &witness.rows {
        if row.flags[0] == Fr::ONE && row.x != previous {
            out.push(row.x);
        }
        previous = row.x;
    }
    out
}

// ---------------------------------------------------------------------------------------------
// Scene: a sealer without rules

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

// ---------------------------------------------------------------------------------------------
// Forge: the witness of a batch that breaks rules

struct Anvil {
    now: BTreeMap<u32, Account>,
    rows: Vec<(u64, RowWitness)>,
}

pub fn composite(index: u64, class: u64, t: u64, side: u64) -> u64 {
    index << 20 | class << 17 | t << 1 | side
}

impl Anvil {
    fn get(&self, i: AccountIndex) -> Account {
        self.now.get(&i.get()).copied().unwrap_or(Account::EMPTY)
    }
    fn row(
        &mut self,
        i: AccountIndex,
        (class, t, side): (u64, u64, u64),
        account: &Account,
        after: u64,
        flags: u64,
    ) {
        let composite = composite(i.get().into(), class, t, side);
        let row = RowWitness {
            key: account.key,
            owner: account.owner.to_fr(),
            before: fr(account.balance),
            after: fr(after),
            nonce: Fr::from(account.nonce),
            asset: Fr::from(account.asset),
            flags: std::array::from_fn(|bit| fr(flags >> bit & 1)),
            composite: fr(composite),
            x: point(i.get()),
        };
        self.rows.push((composite, row));
        let nonce = account.nonce.wrapping_add(u32::from(flags & flag::BUMP != 0));
        self.now.insert(i.get(), Account { balance: after, nonce, ..*account });
    }
}

/// Lays out a batch whatever it says.
pub fn forge(before: &Ledger, batch: &SealedBatch) -> BatchWitness {
    let mut w = BatchWitness::empty(&shape(), batch.k, fr(DOMAIN));
    let now = before.existing().map(|(i, a)| (i.get(), *a)).collect();
    let mut a = Anvil { now, rows: Vec::new() };
    let named = flag::ACTIVE | flag::NAMES_KEY | flag::NAMES_OWNER;
    for (slot, r) in batch.data.opens.iter().enumerate() {
        let (key, asset, owner) = (r.key.get(), r.asset.get(), r.owner);
        let account = Account { key, balance: 0, nonce: 0, asset, owner };
        a.row(r.index, (class::OPEN, slot as u64, 1), &account, 0, named | flag::OPEN);
        let (index, asset, owner) = (Fr::from(r.index.get()), Fr::from(asset), owner.to_fr());
        w.opens[slot] = OpenWitness { index, asset, owner, key };
    }
    for (slot, r) in batch.data.deposits.iter().enumerate() {
        let account = a.get(r.index);
        let after = account.balance.wrapping_add(r.amount);
        a.row(r.index, (class::DEPOSIT, slot as u64, 1), &account, after, named);
        w.deposits[slot] = DepositWitness {
            index: Fr::from(r.index.get()),
            amount: fr(r.amount),
            asset: Fr::from(r.asset.get()),
            key: r.key.get(),
            owner: r.owner.to_fr(),
        };
    }
    let mut order: Vec<(u16, bool, usize)> = Vec::new();
    order.extend(batch.transfers.iter().enumerate().map(|(slot, a)| (a.order, true, slot)));
    let signed = batch.exits.iter().enumerate();
    order.extend(signed.filter_map(|(slot, a)| Some((a.as_ref()?.order, false, slot))));
    order.sort_unstable();
    for (t, is_transfer, slot) in order {
        match is_transfer {
            true => forge_transfer(&mut a, &mut w, batch, slot, t.into()),
            false => forge_exit(&mut a, &mut w, batch, slot, t.into()),
        }
    }
    for (slot, r) in batch.data.collects.iter().enumerate() {
        let account = a.get(r.to);
        let after = account.balance.wrapping_add(r.amount);
        a.row(r.to, (class::COLLECT, slot as u64, 1), &account, after, flag::ACTIVE);
        let (to, asset) = (Fr::from(r.to.get()), Fr::from(account.asset));
        w.collects[slot] = CollectWitness { to, amount: fr(r.amount), asset };
    }
    for (slot, r) in batch.data.exits.iter().enumerate().filter(|(_, r)| r.forced) {
        let account = a.get(r.from);
        let all = if account.owner == r.recipient { flag::ALL } else { 0 };
        let flags = flag::ACTIVE | flag::NAMES_OWNER | all;
        let after = account.balance.wrapping_sub(r.amount).wrapping_sub(r.fee.value() as u64);
        a.row(r.from, (class::FORCED, slot as u64, 0), &account, after, flags);
        w.exits[slot] = ExitWitness {
            from: Fr::from(r.from.get()),
            amount: fr(r.amount),
            fee: Fr::from(r.fee.float()),
            forced: Fr::ONE,
            asset: Fr::from(r.asset),
            recipient: r.recipient.to_fr(),
            order: fr(slot as u64),
            nonce: Fr::ZERO,
            key: account.key,
            owner: account.owner.to_fr(),
            signature: SignatureWitness::masked(),
        };
    }
    place(&mut w, a.rows);
    w
}

/// Sorts rows and puts them behind inactive ones.
pub fn place(w: &mut BatchWitness, mut rows: Vec<(u64, RowWitness)>) {
    rows.sort_by_key(|(composite, _)| *composite);
    let inactive = w.rows.len() - rows.len();
    w.rows = (0..inactive).map(RowWitness::inactive).collect();
    w.rows.extend(rows.into_iter().map(|(_, row)| row));
}

pub fn signature_of(authorisation: &Authorisation, message: Fr) -> SignatureWitness {
    let Authorisation { public_key, signature, .. } = authorisation;
    let h = eddsa::challenge(&signature.r8, &public_key.0, message);
    SignatureWitness { key_y: public_key.0.y, s: signature.s, h }
}

fn forge_transfer(a: &mut Anvil, w: &mut BatchWitness, batch: &SealedBatch, slot: usize, t: u64) {
    let r = &batch.data.transfers[slot];
    let payer = a.get(r.from);
    let payee_key = AccountKey::new(a.get(r.to).key);
    let message = Transaction::Transfer(Transfer {
        from: r.from,
        to: r.to,
        amount: r.amount,
        fee: r.fee,
        nonce: payer.nonce,
        payee_key: payee_key.unwrap_or(key(1)),
        payee_owner: a.get(r.to).owner,
    })
    .message(fr(DOMAIN));
    let left = payer.balance.wrapping_sub(r.amount).wrapping_sub(r.fee.value() as u64);
    let flags = flag::ACTIVE | flag::BUMP | flag::NAMES_KEY;
    a.row(r.from, (class::SIGNED, t, 0), &payer, left, flags);
    let payee = a.get(r.to);
    let after = payee.balance.wrapping_add(r.amount);
    let flags = flag::ACTIVE | flag::NAMES_KEY | flag::NAMES_OWNER;
    a.row(r.to, (class::SIGNED, t, 1), &payee, after, flags);
    w.transfers[slot] = TransferWitness {
        from: Fr::from(r.from.get()),
        to: Fr::from(r.to.get()),
        amount: fr(r.amount),
        fee: Fr::from(r.fee.float()),
        order: fr(t),
        nonce: Fr::from(payer.nonce),
        asset: Fr::from(payer.asset),
        key: payer.key,
        payee_key: payee.key,
        payee_owner: payee.owner.to_fr(),
        signature: signature_of(&batch.transfers[slot], message),
    };
}

fn forge_exit(a: &mut Anvil, w: &mut BatchWitness, batch: &SealedBatch, slot: usize, t: u64) {
    let r = &batch.data.exits[slot];
    let payer = a.get(r.from);
    let message = Transaction::Exit(Exit {
        from: r.from,
        amount: r.amount,
        fee: r.fee,
        nonce: payer.nonce,
        asset: AssetId::new(r.asset).unwrap(),
        recipient: r.recipient,
    })
    .message(fr(DOMAIN));
    let left = payer.balance.wrapping_sub(r.amount).wrapping_sub(r.fee.value() as u64);
    let flags = flag::ACTIVE | flag::BUMP | flag::NAMES_KEY;
    a.row(r.from, (class::SIGNED, t, 0), &payer, left, flags);
    w.exits[slot] = ExitWitness {
        from: Fr::from(r.from.get()),
        amount: fr(r.amount),
        fee: Fr::from(r.fee.float()),
        forced: Fr::ZERO,
        asset: Fr::from(r.asset),
        recipient: r.recipient.to_fr(),
        order: fr(t),
        nonce: Fr::from(payer.nonce),
        key: payer.key,
        owner: payer.owner.to_fr(),
        signature: signature_of(batch.exits[slot].as_ref().unwrap(), message),
    };
}

// ---------------------------------------------------------------------------------------------
// Keys

/// A point of order 8 in circomlib's coordinates.
pub fn point_of_order_eight() -> Point {
    (2u64..)
        .find_map(|y| {
            let candidate = EdwardsAffine::get_point_from_y_unchecked(y.into(), false)?;
            let torsion = EdwardsProjective::from(candidate).mul_bigint(Scalar::MODULUS);
            if torsion.double().double() == EdwardsProjective::default() {
                return None;
            }
            let affine = torsion.into_affine();
            // arkworks' x is √168700 times circomlib's.
            let x = affine.x * eddsa::A.sqrt().unwrap().inverse().unwrap();
            Some(Point::new(x, affine.y).unwrap())
        })
        .unwrap()
}

/// Sum of two points by the complete formula.
pub fn add(p: &Point, q: &Point) -> Point {
    let (beta, gamma) = (p.x * q.y, p.y * q.x);
    let tau = eddsa::D * beta * gamma;
    let x = (beta + gamma) / (Fr::ONE + tau);
    let y = (p.y * q.y - eddsa::A * p.x * q.x) / (Fr::ONE - tau);
    Point::new(x, y).unwrap()
}

// ---------------------------------------------------------------------------------------------
// Finding rows

/// Position of the row with this composite.
pub fn row_at(w: &BatchWitness, index: u64, class: u64, t: u64, side: u64) -> usize {
    let composite = fr(composite(index, class, t, side));
    w.rows.iter().position(|row| row.flags[0] == Fr::ONE && row.composite == composite).unwrap()
}

/// Takes the active rows out, for [`place`].
pub fn active_rows(w: &BatchWitness) -> Vec<(u64, RowWitness)> {
    let active = w.rows.iter().filter(|row| row.flags[0] == Fr::ONE);
    active.map(|row| (row.composite.into_bigint().0[0], *row)).collect()
}
