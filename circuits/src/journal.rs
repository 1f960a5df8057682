//! The journal: one record a slot of sections O, D, T, E, F (SPEC.md section 4 and 6).
//!
//! A record's published elements, what it absorbs into h, and the entries it posts to the ledger.
//! Every packed part is range-checked here, before any challenge. Nothing in this file uses β or z.

mod slots;

pub use slots::{CollectWitness, DepositWitness, ExitWitness, OpenWitness, TransferWitness};

use crate::builder::{Builder, Num};
use crate::gadgets::bits::{boolean, is_nonzero, nonzero_if, number, range};
use crate::gadgets::eddsa::verify_if;
use crate::gadgets::field::{fee_value, point};
use crate::gadgets::poseidon;
use ark_bn254::Fr;
use kerros_protocol::account::two_to;
use kerros_protocol::limits::{
    ASSET_BITS, BALANCE_BITS, COMPOSITE_CLASS_SHIFT, COMPOSITE_INDEX_SHIFT, FEE_BITS, INDEX_BITS,
    NONCE_BITS, ORDER_BITS, OWNER_BITS,
};
use kerros_protocol::transaction::{KIND_EXIT, KIND_TRANSFER};

/// Order of a record inside an account's run (SPEC.md section 4, "Order").
pub mod class {
    /// Opens.
    pub const OPEN: u64 = 0;
    /// Deposits.
    pub const DEPOSIT: u64 = 1;
    /// Transfers and signed exits.
    pub const SIGNED: u64 = 2;
    /// Collects.
    pub const COLLECT: u64 = 3;
    /// Forced exits.
    pub const FORCED: u64 = 4;
}

/// Bits of a ledger row's flags.
pub mod flag {
    /// The row is used.
    pub const ACTIVE: u64 = 1;
    /// The row opens its account.
    pub const OPEN: u64 = 2;
    /// The row raises the nonce.
    pub const BUMP: u64 = 4;
    /// The row takes everything.
    pub const ALL: u64 = 8;
    /// The entry names the key.
    pub const NAMES_KEY: u64 = 16;
    /// The entry names the owner.
    pub const NAMES_OWNER: u64 = 32;
}

/// What a record posts to one ledger row.
pub struct Entry {
    /// 0 for padding: the entry then counts as the factor 1.
    pub active: Num,
    /// `index·2^20 + class·2^17 + t·2 + side`.
    pub composite: Num,
    /// Domain point of the account.
    pub x: Num,
    /// Balance after minus balance before.
    pub amount: Num,
    /// Packed flags, as the row must have them.
    pub flags: Num,
    /// The account's asset.
    pub asset: Num,
    /// The nonce where it is bumped, else 0.
    pub nonce: Num,
    /// The key where it is named, else 0.
    pub key: Num,
    /// The owner where it is named, else 0.
    pub owner: Num,
}

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
    /// What must equal the ledger's rows, as multisets.
    pub entries: Vec<Entry>,
    /// Fees paid.
    pub fees: Vec<FeeTerm>,
    /// Fees collected.
    pub collected: Vec<FeeTerm>,
}

/// `Σ 2^shift·part`.
fn pack(parts: &[(&Num, u32)]) -> Num {
    parts.iter().fold(Num::zero(), |sum, (part, shift)| sum.plus(part, two_to(*shift)))
}

/// `index·2^20 + class·2^17 + t·2 + side`.
fn composite(index: &Num, class: &Num, t: &Num, side: u64) -> Num {
    pack(&[(index, COMPOSITE_INDEX_SHIFT), (class, COMPOSITE_CLASS_SHIFT), (t, 1)])
        .plus(&Num::one(), Fr::from(side))
}

fn fixed(value: u64) -> Num {
    Num::constant(Fr::from(value))
}

/// A wire that must be 0 in padding.
fn wire_if(b: &mut Builder, name: &str, value: Fr, active: &Num) -> Num {
    let wire = b.wire(value);
    b.name(name, &wire);
    b.enforce(&(&Num::one() - active), &wire, &Num::zero());
    wire
}

impl Journal {
    /// Section O: `[index‖asset‖owner]`, `[key]`.
    pub fn open(&mut self, b: &mut Builder, slot: usize, w: &OpenWitness) {
        b.part("journal: opens");
        let (index, bits) = number(b, w.index, INDEX_BITS);
        let (asset, _) = number(b, w.asset, ASSET_BITS);
        let (owner, _) = number(b, w.owner, OWNER_BITS);
        let first = pack(&[(&index, ASSET_BITS + OWNER_BITS), (&asset, OWNER_BITS), (&owner, 0)]);
        let active = is_nonzero(b, &first);
        let key = wire_if(b, "key", w.key, &active);
        nonzero_if(b, &asset, &active);
        let x = point(b, &bits);
        self.publish(&[&first, &key]);
        self.absorb(&[&first, &key]);
        self.entries.push(Entry {
            composite: composite(&index, &fixed(class::OPEN), &fixed(slot as u64), 1),
            active,
            x,
            amount: Num::zero(),
            flags: fixed(flag::ACTIVE | flag::OPEN | flag::NAMES_KEY | flag::NAMES_OWNER),
            asset,
            nonce: Num::zero(),
            key,
            owner,
        });
    }

    /// Section D: `[index‖amount‖asset]`, `[key]`, `[owner]`.
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
        self.publish(&[&first, &key, &owner]);
        self.absorb(&[&first, &key, &owner]);
        self.entries.push(Entry {
            composite: composite(&index, &fixed(class::DEPOSIT), &fixed(slot as u64), 1),
            active,
            x,
            amount,
            flags: fixed(flag::ACTIVE | flag::NAMES_KEY | flag::NAMES_OWNER),
            asset,
            nonce: Num::zero(),
            key,
            owner,
        });
    }

    /// Section T: `[from‖to‖amount‖fee]`; absorbs `record + 2^144·t + 2^160·nonce + 2^192·asset`,
    /// key, payee key, payee owner.
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
        let key = wire_if(b, "key", w.key, &active);
        let payee_key = wire_if(b, "payee_key", w.payee_key, &active);
        let payee_owner = wire_if(b, "payee_owner", w.payee_owner, &active);
        nonzero_if(b, &asset, &active);
        let (x_from, x_to) = (point(b, &from_bits), point(b, &to_bits));
        let fee_amount = fee_value(b, &fee_bits);

        let part = b.part("signature: message");
        let kind = fixed(KIND_TRANSFER.into());
        let parts = [(&kind, 0), (&from, 4), (&to, 32), (&amount, 60), (&fee, 124), (&nonce, 140)];
        let inputs = [domain.clone(), pack(&parts), payee_key.clone(), payee_owner.clone()];
        let message = poseidon::hash(b, &inputs);
        verify_if(b, &active, &key, &message, &w.signature);
        b.resume(part);

        self.publish(&[&record]);
        let packed = pack(&[(&record, 0), (&order, 144), (&nonce, 160), (&asset, 192)]);
        self.absorb(&[&packed, &key, &payee_key, &payee_owner]);
        let class = fixed(class::SIGNED);
        self.entries.push(Entry {
            composite: composite(&from, &class, &order, 0),
            active: active.clone(),
            x: x_from,
            amount: -&(&amount + &fee_amount),
            flags: fixed(flag::ACTIVE | flag::BUMP | flag::NAMES_KEY),
            asset: asset.clone(),
            nonce,
            key,
            owner: Num::zero(),
        });
        self.entries.push(Entry {
            composite: composite(&to, &class, &order, 1),
            active,
            x: x_to,
            amount,
            flags: fixed(flag::ACTIVE | flag::NAMES_KEY | flag::NAMES_OWNER),
            asset: asset.clone(),
            nonce: Num::zero(),
            key: payee_key,
            owner: payee_owner,
        });
        self.fees.push(FeeTerm { amount: fee_amount, asset });
    }

    /// Section E: `[from‖amount‖fee‖forced]`, `[asset‖recipient]`; absorbs `first + 2^120·t +
    /// 2^136·nonce`, second, key, the account's owner.
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
        let key = wire_if(b, "key", w.key, &active);
        let owner = wire_if(b, "owner", w.owner, &active);
        // A forced record has a first element that is not 0, so forced ≤ active.
        let signed = &active - &forced;
        nonzero_if(b, &asset, &signed);
        let x = point(b, &bits);
        let fee_amount = fee_value(b, &fee_bits);

        // Forced: no fee, t is the slot, everything leaves if the requester is the owner,
        // otherwise nothing.
        b.enforce(&forced, &fee, &Num::zero());
        b.enforce(&forced, &(&order - &fixed(slot as u64)), &Num::zero());
        let stranger = is_nonzero(b, &(&owner - &recipient));
        let all = b.mul(&forced, &(&Num::one() - &stranger));
        b.enforce(&(&forced - &all), &amount, &Num::zero());

        let part = b.part("signature: message");
        let kind = fixed(KIND_EXIT.into());
        let packed = pack(&[(&kind, 0), (&from, 4), (&amount, 60), (&fee, 124), (&nonce, 140)]);
        let inputs = [domain.clone(), packed, second.clone(), Num::zero()];
        let message = poseidon::hash(b, &inputs);
        verify_if(b, &signed, &key, &message, &w.signature);
        b.resume(part);

        self.publish(&[&first, &second]);
        let packed = pack(&[(&first, 0), (&order, 120), (&nonce, 136)]);
        self.absorb(&[&packed, &second, &key, &owner]);
        let [forced_class, signed_class] = [class::FORCED, class::SIGNED].map(Fr::from);
        let flags = (&active * Fr::from(flag::ACTIVE))
            .plus(&signed, Fr::from(flag::BUMP | flag::NAMES_KEY))
            .plus(&forced, Fr::from(flag::NAMES_OWNER))
            .plus(&all, Fr::from(flag::ALL));
        self.entries.push(Entry {
            composite: composite(
                &from,
                &(&(&forced * (forced_class - signed_class)) + signed_class),
                &order,
                0,
            ),
            active,
            x,
            amount: -&(&amount + &fee_amount),
            flags,
            asset: asset.clone(),
            nonce: b.mul(&signed, &nonce),
            key: b.mul(&signed, &key),
            owner: b.mul(&forced, &owner),
        });
        self.fees.push(FeeTerm { amount: fee_amount, asset });
    }

    /// Section F: `[to‖amount]`; absorbs `record + 2^96·asset`.
    pub fn collect(&mut self, b: &mut Builder, slot: usize, w: &CollectWitness) {
        b.part("journal: collects");
        let (to, bits) = number(b, w.to, INDEX_BITS);
        let (amount, _) = number(b, w.amount, BALANCE_BITS);
        let asset = b.wire(w.asset);
        b.name("asset", &asset);
        range(b, &asset, ASSET_BITS);
        let record = pack(&[(&to, BALANCE_BITS), (&amount, 0)]);
        let active = is_nonzero(b, &record);
        nonzero_if(b, &asset, &active);
        let x = point(b, &bits);
        self.publish(&[&record]);
        self.absorb(&[&pack(&[(&record, 0), (&asset, 96)])]);
        self.entries.push(Entry {
            composite: composite(&to, &fixed(class::COLLECT), &fixed(slot as u64), 1),
            active,
            x,
            amount: amount.clone(),
            flags: fixed(flag::ACTIVE),
            asset: asset.clone(),
            nonce: Num::zero(),
            key: Num::zero(),
            owner: Num::zero(),
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

const _: () = assert!(class::FORCED < 8, "a class has three bits");
