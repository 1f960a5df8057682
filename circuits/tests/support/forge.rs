//! Forge: the witness of a batch that breaks rules.

use super::{DOMAIN, fr, key, shape, wallet};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::access::LinkWitness;
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::gadgets::eddsa::SignatureWitness;
use kerros_circuits::journal::{
    CollectWitness, DepositWitness, ExitWitness, OpenWitness, TransferWitness,
};
use kerros_circuits::witness::link;
use kerros_protocol::account::{Account, AccountIndex, AccountKey, AssetId, two_to};
use kerros_protocol::batch::{Authorisation, SealedBatch};
use kerros_protocol::eddsa;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::poseidon;
use kerros_protocol::transaction::{Exit, Transaction, Transfer};
use std::collections::BTreeMap;

struct Anvil {
    now: BTreeMap<u32, Account>,
}

impl Anvil {
    fn get(&self, i: AccountIndex) -> Account {
        self.now.get(&i.get()).copied().unwrap_or(Account::EMPTY)
    }
    /// Leaves `account` with another balance, and with the next nonce if it signed.
    fn leave(&mut self, i: AccountIndex, account: &Account, balance: u64, signed: bool) {
        let nonce = account.nonce.wrapping_add(signed.into());
        self.now.insert(i.get(), Account { balance, nonce, ..*account });
    }
}

/// Lays out a batch whatever it says.
pub fn forge(before: &Ledger, batch: &SealedBatch) -> BatchWitness {
    let mut w = BatchWitness::empty(&shape(), batch.k, fr(DOMAIN));
    let now = before.existing().map(|(i, a)| (i.get(), *a)).collect();
    let mut a = Anvil { now };
    for (slot, r) in batch.data.opens.iter().enumerate() {
        let (key, asset, owner) = (r.key.get(), r.asset.get(), r.owner);
        let account = Account { key, balance: 0, nonce: 0, asset, owner };
        a.leave(r.index, &account, 0, false);
        let (index, asset, owner) = (Fr::from(r.index.get()), Fr::from(asset), owner.to_fr());
        w.opens[slot] = OpenWitness { index, asset, owner, key, last: Fr::ZERO };
    }
    for (slot, r) in batch.data.deposits.iter().enumerate() {
        let account = a.get(r.index);
        let after = account.balance.wrapping_add(r.amount);
        a.leave(r.index, &account, after, false);
        w.deposits[slot] = DepositWitness {
            index: Fr::from(r.index.get()),
            amount: fr(r.amount),
            asset: Fr::from(r.asset.get()),
            key: r.key.get(),
            owner: r.owner.to_fr(),
            before: fr(account.balance),
            nonce: Fr::from(account.nonce),
            link: LinkWitness::default(),
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
        a.leave(r.to, &account, after, false);
        w.collects[slot] = CollectWitness {
            to: Fr::from(r.to.get()),
            amount: fr(r.amount),
            asset: Fr::from(account.asset),
            key: account.key,
            owner: account.owner.to_fr(),
            before: fr(account.balance),
            nonce: Fr::from(account.nonce),
            link: LinkWitness::default(),
        };
    }
    for (slot, r) in batch.data.exits.iter().enumerate().filter(|(_, r)| r.forced) {
        let account = a.get(r.from);
        let after = account.balance.wrapping_sub(r.amount).wrapping_sub(r.fee.value() as u64);
        a.leave(r.from, &account, after, false);
        w.exits[slot] = ExitWitness {
            from: Fr::from(r.from.get()),
            amount: fr(r.amount),
            fee: Fr::from(r.fee.float()),
            forced: Fr::ONE,
            asset: Fr::from(r.asset),
            recipient: r.recipient.to_fr(),
            order: fr(slot as u64),
            nonce: Fr::from(account.nonce),
            key: account.key,
            owner: account.owner.to_fr(),
            before: fr(account.balance),
            link: LinkWitness::default(),
            signature: SignatureWitness::masked(),
        };
    }
    link(&mut w);
    w
}

pub fn signature_of(authorisation: &Authorisation, message: Fr) -> SignatureWitness {
    let Authorisation { public_key, signature, .. } = authorisation;
    let h = eddsa::challenge(&signature.r8, &public_key.0, message);
    SignatureWitness { key_y: public_key.0.y, s: signature.s, h }
}

/// Wallet `by` signs transfer `slot` of `w` as it stands.
pub fn resign(w: &mut BatchWitness, slot: usize, by: u8) {
    let t = &mut w.transfers[slot];
    let packed = Fr::ONE + t.from * two_to(4) + t.to * two_to(32) + t.amount * two_to(60);
    let packed = packed + t.fee * two_to(124) + t.nonce * two_to(140);
    let message = poseidon::hash(&[fr(DOMAIN), packed, t.payee_key, t.payee_owner]);
    let secret = wallet(by).0;
    let (public, signature) = (secret.public_key(), secret.sign(message));
    let h = eddsa::challenge(&signature.r8, &public.0, message);
    t.key = public.0.x;
    t.signature = SignatureWitness { key_y: public.0.y, s: signature.s, h };
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
    a.leave(r.from, &payer, left, true);
    let payee = a.get(r.to);
    let after = payee.balance.wrapping_add(r.amount);
    a.leave(r.to, &payee, after, false);
    w.transfers[slot] = TransferWitness {
        from: Fr::from(r.from.get()),
        to: Fr::from(r.to.get()),
        amount: fr(r.amount),
        fee: Fr::from(r.fee.float()),
        order: fr(t),
        nonce: Fr::from(payer.nonce),
        asset: Fr::from(payer.asset),
        key: payer.key,
        owner: payer.owner.to_fr(),
        before: fr(payer.balance),
        link: LinkWitness::default(),
        payee_key: payee.key,
        payee_owner: payee.owner.to_fr(),
        payee_before: fr(payee.balance),
        payee_nonce: Fr::from(payee.nonce),
        payee_link: LinkWitness::default(),
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
    a.leave(r.from, &payer, left, true);
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
        before: fr(payer.balance),
        link: LinkWitness::default(),
        signature: signature_of(batch.exits[slot].as_ref().unwrap(), message),
    };
}
