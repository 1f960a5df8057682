//! Forge: the witness of a batch that breaks rules.

use super::{DOMAIN, fr, key, shape};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::gadgets::eddsa::SignatureWitness;
use kerros_circuits::journal::{
    CollectWitness, DepositWitness, ExitWitness, OpenWitness, TransferWitness, class, flag,
};
use kerros_circuits::ledger::RowWitness;
use kerros_protocol::account::{Account, AccountIndex, AccountKey, AssetId};
use kerros_protocol::batch::{Authorisation, SealedBatch};
use kerros_protocol::commitment::point;
use kerros_protocol::eddsa;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transaction::{Exit, Transaction, Transfer};
use std::collections::BTreeMap;

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
