//! The journal: one record a slot of sections O, D, T, E, F (SPEC.md section 4 and 6).
//!
//! A record's published elements, what it absorbs into h, and its accesses to accounts.
//! Every packed part is range-checked here, before any challenge. Nothing in this file uses β or z.

mod slots;

pub use slots::{CollectWitness, DepositWitness, ExitWitness, OpenWitness, TransferWitness};

use crate::access::{Access, Change, LINK_BITS, Link, time, word};
use crate::builder::{Builder, Num};
use crate::gadgets::bits::{boolean, is_nonzero, nonzero_if, number, range};
use crate::gadgets::eddsa::verify_if;
use crate::gadgets::field::{fee_value, point};
use crate::gadgets::poseidon;
use ark_bn254::Fr;
use kerros_protocol::account::two_to;
use kerros_protocol::limits::{
    ASSET_BITS, BALANCE_BITS, FEE_BITS, INDEX_BITS, NONCE_BITS, NONCE_LAST, ORDER_BITS, OWNER_BITS,
};
use kerros_protocol::transaction::{KIND_EXIT, KIND_TRANSFER};

/// `amount` of `asset` paid as a fee or collected.
pub struct FeeTerm {
    /// Asset units.
    pub amount: Num,
    /// Asset id.
    pub asset: Num,
}

/// Everything the rest of the circuit needs from the journal.
#[derive(Default)]
pub struct Journal {
    /// `d_j`, in order.
    pub published: Vec<Num>,
    /// What goes into the sponge, in order.
    pub absorbed: Vec<Num>,
    /// What happens to accounts.
    pub accesses: Vec<Access>,
    /// Fees paid.
    pub fees: Vec<FeeTerm>,
    /// Fees collected.
    pub collected: Vec<FeeTerm>,
}

/// `Σ 2^shift·part`.
fn pack(parts: &[(&Num, u32)]) -> Num {
    parts.iter().fold(Num::zero(), |sum, (part, shift)| sum.plus(part, two_to(*shift)))
}

fn fixed(value: u64) -> Num {
    Num::constant(Fr::from(value))
}

/// A wire that must be 0 in padding.
#[track_caller]
fn wire_if(b: &mut Builder, name: &str, value: Fr, active: &Num) -> Num {
    b.within(|b| {
        let wire = b.wire(value);
        b.name(name, &wire);
        b.enforce(&(&Num::one() - active), &wire, &Num::zero());
        wire
    })
}

/// The last nonce cannot be raised.
#[track_caller]
fn not_last_nonce_if(b: &mut Builder, nonce: &Num, raised: &Num) {
    b.within(|b| {
        nonzero_if(b, &(nonce + -Fr::from(NONCE_LAST)), raised);
    })
}

impl Journal {
    /// Section O: `[index‖asset‖owner]`, `[key]`; absorbs `first + 2^204·last`, key.
    pub fn open(&mut self, b: &mut Builder, w: &OpenWitness) {
        b.part("journal: opens");
        let (index, bits) = number(b, w.index, INDEX_BITS);
        let (asset, _) = number(b, w.asset, ASSET_BITS);
        let (owner, _) = number(b, w.owner, OWNER_BITS);
        let first = pack(&[(&index, ASSET_BITS + OWNER_BITS), (&asset, OWNER_BITS), (&owner, 0)]);
        let active = is_nonzero(b, &first);
        let key = wire_if(b, "key", w.key, &active);
        nonzero_if(b, &asset, &active);
        let x = point(b, &bits);
        let link = Link::opening(b, &active, w.last);

        self.publish(&[&first, &key]);
        self.absorb(&[&pack(&[(&first, 0), (&link.last, 204)]), &key]);
        self.accesses.push(Access {
            active,
            index,
            x,
            time: fixed(time::OPEN),
            link,
            key,
            word: word(&Num::zero(), &Num::zero(), &asset),
            owner,
            change: Change::Open,
        });
    }

    /// Section D: `[index‖amount‖asset]`, `[key]`, `[owner]`; absorbs
    /// `first + 2^108·before + 2^172·nonce + 2^204·link`, key, owner.
    pub fn deposit(&mut self, b: &mut Builder, slot: usize, w: &DepositWitness) {
        b.part("journal: deposits");
        let (index, bits) = number(b, w.index, INDEX_BITS);
        let (amount, _) = number(b, w.amount, BALANCE_BITS);
        let (asset, _) = number(b, w.asset, ASSET_BITS);
        let first =
            pack(&[(&index, BALANCE_BITS + ASSET_BITS), (&amount, ASSET_BITS), (&asset, 0)]);
        let active = is_nonzero(b, &first);
        let key = wire_if(b, "key", w.key, &active);
        let owner = wire_if(b, "owner", w.owner, &active);
        nonzero_if(b, &asset, &active);
        let x = point(b, &bits);
        let (before, _) = number(b, w.before, BALANCE_BITS);
        let (nonce, _) = number(b, w.nonce, NONCE_BITS);
        range(b, &(&before + &amount), BALANCE_BITS);
        let link = Link::new(b, "", &active, &w.link);

        self.publish(&[&first, &key, &owner]);
        let packed = [(&first, 0), (&before, 108), (&nonce, 172), (&link.packed(), 204)];
        self.absorb(&[&pack(&packed), &key, &owner]);
        self.accesses.push(Access {
            active,
            index,
            x,
            time: fixed(time::DEPOSIT + slot as u64),
            link,
            key,
            word: word(&before, &nonce, &asset),
            owner,
            change: Change::Word(amount),
        });
    }

    /// Section T: `[from‖to‖amount‖fee]`; absorbs h of the signature, the payer's owner and
    /// `t + 2^16·asset + 2^32·before + 2^96·payee before + 2^160·payee nonce + 2^192·link +
    /// 2^213·payee link`. The rest of the record is in h; the key is so only where active.
    pub fn transfer(&mut self, b: &mut Builder, domain: &Num, w: &TransferWitness) {
        b.part("journal: transfers");
        let (from, from_bits) = number(b, w.from, INDEX_BITS);
        let (to, to_bits) = number(b, w.to, INDEX_BITS);
        let (amount, _) = number(b, w.amount, BALANCE_BITS);
        let (fee, fee_bits) = number(b, w.fee, FEE_BITS);
        let (order, _) = number(b, w.order, ORDER_BITS);
        let (nonce, _) = number(b, w.nonce, NONCE_BITS);
        let (asset, _) = number(b, w.asset, ASSET_BITS);
        let record = pack(&[(&from, 112), (&to, 80), (&amount, 16), (&fee, 0)]);
        let active = is_nonzero(b, &record);
        let names = ["key", "owner", "payee_key", "payee_owner"];
        let values = [w.key, w.owner, w.payee_key, w.payee_owner];
        let [key, owner, payee_key, payee_owner] = values.map(|value| b.wire(value));
        for (name, wire) in names.into_iter().zip([&key, &owner, &payee_key, &payee_owner]) {
            b.name(name, wire);
        }
        nonzero_if(b, &asset, &active);
        let (x_from, x_to) = (point(b, &from_bits), point(b, &to_bits));
        let fee_amount = fee_value(b, &fee_bits);
        let (before, _) = number(b, w.before, BALANCE_BITS);
        let (payee_before, _) = number(b, w.payee_before, BALANCE_BITS);
        let (payee_nonce, _) = number(b, w.payee_nonce, NONCE_BITS);
        let spent = &amount + &fee_amount;
        range(b, &(&before - &spent), BALANCE_BITS);
        range(b, &(&payee_before + &amount), BALANCE_BITS);
        not_last_nonce_if(b, &nonce, &active);
        let link = Link::new(b, "", &active, &w.link);
        let payee_link = Link::new(b, "payee_", &active, &w.payee_link);

        let part = b.part("signature: message");
        let kind = fixed(KIND_TRANSFER.into());
        let parts = [(&kind, 0), (&from, 4), (&to, 32), (&amount, 60), (&fee, 124), (&nonce, 140)];
        let inputs = [domain.clone(), pack(&parts), payee_key.clone(), payee_owner.clone()];
        let message = poseidon::hash(b, &inputs);
        let signed = verify_if(b, &active, &key, &message, &w.signature);
        b.resume(part);

        self.publish(&[&record]);
        let packed = pack(&[
            (&order, 0),
            (&asset, 16),
            (&before, 32),
            (&payee_before, 96),
            (&payee_nonce, 160),
            (&link.packed(), 192),
            (&payee_link.packed(), 192 + LINK_BITS),
        ]);
        self.absorb(&[&signed, &owner, &packed]);
        let time = fixed(time::SIGNED).plus(&order, Fr::from(2u64));
        self.accesses.push(Access {
            active: active.clone(),
            index: from,
            x: x_from,
            time: time.clone(),
            link,
            key,
            word: word(&before, &nonce, &asset),
            owner,
            change: Change::Word((-&spent).plus(&active, two_to(BALANCE_BITS))),
        });
        self.accesses.push(Access {
            active,
            index: to,
            x: x_to,
            time: &time + Fr::from(1u64),
            link: payee_link,
            key: payee_key,
            word: word(&payee_before, &payee_nonce, &asset),
            owner: payee_owner,
            change: Change::Word(amount),
        });
        self.fees.push(FeeTerm { amount: fee_amount, asset });
    }

    /// Section E: `[from‖amount‖fee‖forced]`, `[asset‖recipient]`; absorbs `first + 2^116·t +
    /// 2^132·nonce + 2^164·before + 2^228·link`, second, key, the account's owner.
    pub fn exit(&mut self, b: &mut Builder, domain: &Num, slot: usize, w: &ExitWitness) {
        b.part("journal: exits");
        let (from, bits) = number(b, w.from, INDEX_BITS);
        let (amount, _) = number(b, w.amount, BALANCE_BITS);
        let (fee, fee_bits) = number(b, w.fee, FEE_BITS);
        let forced = boolean(b, w.forced);
        b.name("forced", &forced);
        let (asset, _) = number(b, w.asset, ASSET_BITS);
        let (recipient, _) = number(b, w.recipient, OWNER_BITS);
        let (order, _) = number(b, w.order, ORDER_BITS);
        let (nonce, _) = number(b, w.nonce, NONCE_BITS);
        let first = pack(&[(&from, 88), (&amount, 24), (&fee, 8), (&forced, 0)]);
        let second = pack(&[(&asset, OWNER_BITS), (&recipient, 0)]);
        let active = is_nonzero(b, &first);
        b.enforce(&(&Num::one() - &active), &second, &Num::zero());
        let [key, owner] = [w.key, w.owner].map(|value| b.wire(value));
        b.name("key", &key);
        b.name("owner", &owner);
        // A forced record has a first element that is not 0, so forced ≤ active.
        let signed = &active - &forced;
        nonzero_if(b, &asset, &signed);
        let x = point(b, &bits);
        let fee_amount = fee_value(b, &fee_bits);
        let (before, _) = number(b, w.before, BALANCE_BITS);
        let spent = &amount + &fee_amount;
        let after = &before - &spent;
        range(b, &after, BALANCE_BITS);
        not_last_nonce_if(b, &nonce, &signed);
        let link = Link::new(b, "", &active, &w.link);

        // Forced: no fee, t is the slot, everything leaves if the requester is the owner,
        // otherwise nothing.
        b.enforce(&forced, &fee, &Num::zero());
        b.enforce(&forced, &(&order - &fixed(slot as u64)), &Num::zero());
        let stranger = is_nonzero(b, &(&owner - &recipient));
        let all = b.mul(&forced, &(&Num::one() - &stranger));
        b.enforce(&(&forced - &all), &amount, &Num::zero());
        b.enforce(&all, &after, &Num::zero());

        let part = b.part("signature: message");
        let kind = fixed(KIND_EXIT.into());
        let packed = pack(&[(&kind, 0), (&from, 4), (&amount, 60), (&fee, 124), (&nonce, 140)]);
        let inputs = [domain.clone(), packed, second.clone(), Num::zero()];
        let message = poseidon::hash(b, &inputs);
        verify_if(b, &signed, &key, &message, &w.signature);
        b.resume(part);

        self.publish(&[&first, &second]);
        let packed = pack(&[
            (&first, 0),
            (&order, 116),
            (&nonce, 132),
            (&before, 164),
            (&link.packed(), 228),
        ]);
        self.absorb(&[&packed, &second, &key, &owner]);
        self.accesses.push(Access {
            active,
            index: from,
            x,
            time: fixed(time::SIGNED)
                .plus(&order, Fr::from(2u64))
                .plus(&forced, Fr::from(time::FORCED - time::SIGNED)),
            link,
            key,
            word: word(&before, &nonce, &asset),
            owner,
            change: Change::Word((-&spent).plus(&signed, two_to(BALANCE_BITS))),
        });
        self.fees.push(FeeTerm { amount: fee_amount, asset });
    }

    /// Section F: `[to‖amount]`; absorbs `record + 2^92·asset + 2^108·before + 2^172·nonce +
    /// 2^204·link`, the account's key and owner.
    pub fn collect(&mut self, b: &mut Builder, slot: usize, w: &CollectWitness) {
        b.part("journal: collects");
        let (to, bits) = number(b, w.to, INDEX_BITS);
        let (amount, _) = number(b, w.amount, BALANCE_BITS);
        let [asset, key, owner] = [w.asset, w.key, w.owner].map(|value| b.wire(value));
        for (name, wire) in [("asset", &asset), ("key", &key), ("owner", &owner)] {
            b.name(name, wire);
        }
        range(b, &asset, ASSET_BITS);
        let record = pack(&[(&to, BALANCE_BITS), (&amount, 0)]);
        let active = is_nonzero(b, &record);
        nonzero_if(b, &asset, &active);
        let x = point(b, &bits);
        let (before, _) = number(b, w.before, BALANCE_BITS);
        let (nonce, _) = number(b, w.nonce, NONCE_BITS);
        range(b, &(&before + &amount), BALANCE_BITS);
        let link = Link::new(b, "", &active, &w.link);

        self.publish(&[&record]);
        let packed =
            [(&record, 0), (&asset, 92), (&before, 108), (&nonce, 172), (&link.packed(), 204)];
        self.absorb(&[&pack(&packed), &key, &owner]);
        self.accesses.push(Access {
            active,
            index: to,
            x,
            time: fixed(time::COLLECT + slot as u64),
            link,
            key,
            word: word(&before, &nonce, &asset),
            owner,
            change: Change::Word(amount.clone()),
        });
        self.collected.push(FeeTerm { amount, asset });
    }

    fn publish(&mut self, elements: &[&Num]) {
        self.published.extend(elements.iter().map(|element| (*element).clone()));
    }
    fn absorb(&mut self, elements: &[&Num]) {
        self.absorbed.extend(elements.iter().map(|element| (*element).clone()));
    }
}

/// Initial word of the sponge: a constant for version and shape.
pub fn sponge_start(shape: &kerros_protocol::batch::Shape) -> Fr {
    kerros_protocol::encoding::keccak_to_fr(&[b"kerros.v1.sponge", &shape.to_be()])
}

// The widest packings stay below r: no two sets of parts in their ranges are one element.
const _: () = assert!(192 + 2 * LINK_BITS < 254 && 228 + LINK_BITS < 254);
