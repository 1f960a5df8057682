//! The ledger: rows sorted by (index, class, t, side), each with the account before it
//! (SPEC.md section 6).
//!
//! [`Ledger::columns`] makes the rows and everything that needs no challenge; [`Ledger::absorbed`]
//! is what binds them. A *run* is the rows of one account; its first row's columns are the
//! opening words, unless it is an open.

use crate::builder::{Builder, Num};
use crate::gadgets::bits::{boolean, number, range};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::account::two_to;
use kerros_protocol::limits::{
    ASSET_BITS, BALANCE_BITS, COMPOSITE_BITS, COMPOSITE_INDEX_SHIFT, NONCE_BITS, NONCE_LAST,
};

/// Witness of a row; field elements so that tests can put in what an honest builder never would.
#[derive(Debug, Clone, Copy)]
pub struct RowWitness {
    /// Account before the row (after opening, if the row opens it).
    pub key: Fr,
    /// Owner.
    pub owner: Fr,
    /// Balance before.
    pub before: Fr,
    /// Balance after.
    pub after: Fr,
    /// Nonce before.
    pub nonce: Fr,
    /// Asset.
    pub asset: Fr,
    /// active, open, bump, all, names-key, names-owner.
    pub flags: [Fr; 6],
    /// `index·2^20 + class·2^17 + t·2 + side`, or the row's number if inactive.
    pub composite: Fr,
    /// Domain point, 1 if inactive.
    pub x: Fr,
}

impl RowWitness {
    /// Inactive row `number`.
    pub fn inactive(number: usize) -> Self {
        let [key, owner, before, after, nonce, asset] = [Fr::ZERO; 6];
        let (flags, composite) = ([Fr::ZERO; 6], Fr::from(number as u64));
        Self { key, owner, before, after, nonce, asset, flags, composite, x: Fr::ONE }
    }
}

/// A row's wires.
pub struct Row {
    /// Key.
    pub key: Num,
    /// Owner.
    pub owner: Num,
    /// Balance before.
    pub before: Num,
    /// Balance after.
    pub after: Num,
    /// Nonce before.
    pub nonce: Num,
    /// Asset.
    pub asset: Num,
    /// The row is used.
    pub active: Num,
    /// It opens its account.
    pub open: Num,
    /// It raises the nonce.
    pub bump: Num,
    /// It takes everything.
    pub all: Num,
    /// Its entry names the key.
    pub names_key: Num,
    /// Its entry names the owner.
    pub names_owner: Num,
    /// Sorting key.
    pub composite: Num,
    /// Domain point.
    pub x: Num,
    /// 1 if the row starts a run: active, and another account than the row before.
    pub start: Num,
}

impl Row {
    /// `balance + 2^64·nonce + 2^96·asset` before the row.
    fn word(&self) -> Num {
        word(&self.before, &self.nonce, &self.asset)
    }
    /// Packed flags, bit 0 first: active, open, bump, all, names-key, names-owner.
    pub fn flags(&self) -> Num {
        let flags =
            [&self.active, &self.open, &self.bump, &self.all, &self.names_key, &self.names_owner];
        Num::from_bits(&flags.map(Num::clone))
    }
}

fn word(balance: &Num, nonce: &Num, asset: &Num) -> Num {
    balance.clone().plus(nonce, two_to(BALANCE_BITS)).plus(asset, two_to(BALANCE_BITS + NONCE_BITS))
}

/// The table.
pub struct Ledger {
    /// Rows, inactive ones first.
    pub rows: Vec<Row>,
}

/// What A, Δ and Z are made of.
pub struct Openings {
    /// `Σ o_i·x_i/(z − x_i)`.
    pub a: Num,
    /// `Σ δ_i·x_i/(z − x_i)`.
    pub delta: Num,
    /// `Π (z − x_i)`.
    pub z_s: Num,
}

impl Ledger {
    /// Makes all rows and the constraints that need no challenge. `n` is the ledger's size.
    pub fn columns(b: &mut Builder, witness: &[RowWitness], n: &Num) -> Self {
        let mut rows: Vec<Row> = Vec::with_capacity(witness.len());
        for (number, w) in witness.iter().enumerate() {
            b.scope(|| format!("L[{number}]."));
            let row = match rows.last() {
                None => row(b, number, w, &virtual_row()),
                Some(previous) => row(b, number, w, previous),
            };
            rows.push(row);
        }
        b.scope(String::new);
        b.part("ledger: order");
        if let Some(last) = rows.last() {
            // index of the last row < n, and with it every composite < 2^48.
            let room = (n * two_to(COMPOSITE_INDEX_SHIFT)).plus(&last.composite, -Fr::ONE);
            range(b, &(&room + -Fr::ONE), COMPOSITE_BITS);
        }
        Self { rows }
    }

    /// Per row: `before + 2^64·nonce + 2^96·asset + 2^112·after + 2^176·flags + 2^182·composite`,
    /// x, key, owner.
    pub fn absorbed(&self) -> Vec<Num> {
        let packed = |row: &Row| {
            row.word()
                .plus(&row.after, two_to(112))
                .plus(&row.flags(), two_to(176))
                .plus(&row.composite, two_to(182))
        };
        self.rows
            .iter()
            .flat_map(|row| [packed(row), row.x.clone(), row.key.clone(), row.owner.clone()])
            .collect()
    }

    /// A, Δ and Z at β and z. A run enters Z once and A once; Δ telescopes over the run's rows.
    pub fn openings(&self, b: &mut Builder, beta: &Num, z: &Num) -> Openings {
        b.part("ledger: openings");
        let (mut a, mut delta, mut z_s) = (Num::zero(), Num::zero(), Num::one());
        for row in &self.rows {
            // f = x/(z − x): determined, because z ≠ x but with negligible probability, and then
            // nothing satisfies it (x ≠ 0).
            let distance = z - &row.x;
            let inverse = distance.value.inverse().unwrap_or(Fr::ZERO);
            let f = b.wire(row.x.value * inverse);
            b.enforce(&f, &distance, &row.x);

            let inner = &b.mul(beta, &row.owner) + &row.word();
            let words = &b.mul(beta, &inner) + &row.key;
            // An open's opening words are 0; its columns are what it adds.
            let opening = b.mul(&(&row.start - &row.open), &words);
            let opened = b.mul(&row.open, &words);
            let change = (&row.after - &row.before).plus(&row.bump, two_to(BALANCE_BITS));
            let change = b.mul(beta, &change);
            a = a.plus(&b.mul(&opening, &f), Fr::ONE);
            delta = delta.plus(&b.mul(&(&change + &opened), &f), Fr::ONE);
            let factor = b.mul(&row.start, &(&distance + -Fr::ONE));
            z_s = b.mul(&z_s, &(&factor + Fr::ONE));
        }
        Openings { a, delta, z_s }
    }
}

/// The inactive row before row 0; its composite is −1.
fn virtual_row() -> Row {
    let zero = Num::zero;
    Row {
        key: zero(),
        owner: zero(),
        before: zero(),
        after: zero(),
        nonce: zero(),
        asset: zero(),
        active: zero(),
        open: zero(),
        bump: zero(),
        all: zero(),
        names_key: zero(),
        names_owner: zero(),
        composite: Num::constant(-Fr::ONE),
        x: Num::one(),
        start: zero(),
    }
}

fn row(b: &mut Builder, number_: usize, w: &RowWitness, previous: &Row) -> Row {
    b.part("ledger: columns");
    let (before, _) = number(b, w.before, BALANCE_BITS);
    let (after, _) = number(b, w.after, BALANCE_BITS);
    let (nonce, _) = number(b, w.nonce, NONCE_BITS);
    let (asset, _) = number(b, w.asset, ASSET_BITS);
    let [active, open, bump, all, names_key, names_owner] = w.flags.map(|value| boolean(b, value));
    let [key, owner, composite, x] = [w.key, w.owner, w.composite, w.x].map(|value| b.wire(value));
    for (name, wire) in [
        ("key", &key),
        ("owner", &owner),
        ("composite", &composite),
        ("x", &x),
        ("active", &active),
        ("open", &open),
        ("bump", &bump),
        ("all", &all),
        ("names_key", &names_key),
        ("names_owner", &names_owner),
    ] {
        b.name(name, wire);
    }

    b.part("ledger: order");
    // Strictly ascending composites.
    let gap = &(&composite - &previous.composite) + -Fr::ONE;
    range(b, &gap, COMPOSITE_BITS);

    b.part("ledger: rules");
    // same = [x = x_prev], in both directions.
    let difference = &x - &previous.x;
    let inverse = difference.value.inverse();
    let same = b.wire(if inverse.is_some() { Fr::ZERO } else { Fr::ONE });
    b.name("same", &same);
    let inverse = b.wire(inverse.unwrap_or(Fr::ZERO));
    b.enforce(&same, &difference, &Num::zero());
    b.enforce(&difference, &inverse, &(&Num::one() - &same));
    // Inactive rows come first, and the first active row starts a run: it cannot carry on an
    // inactive row's columns, nor sit at index 0, whose point is 1.
    b.enforce(&previous.active, &(&Num::one() - &active), &Num::zero());
    b.enforce(&(&active - &previous.active), &same, &Num::zero());
    let start = b.mul(&active, &(&Num::one() - &same));
    // Inactive rows carry nothing. The parts of the sum are small and not negative.
    let inactive = &Num::one() - &active;
    let row = Row {
        key,
        owner,
        before,
        after,
        nonce,
        asset,
        active,
        open,
        bump,
        all,
        names_key,
        names_owner,
        composite,
        x,
        start,
    };
    let small = [
        &row.before,
        &row.after,
        &row.nonce,
        &row.asset,
        &row.open,
        &row.bump,
        &row.all,
        &row.names_key,
        &row.names_owner,
    ];
    b.enforce(&inactive, &Num::sum(small), &Num::zero());
    b.enforce(&inactive, &row.key, &Num::zero());
    b.enforce(&inactive, &row.owner, &Num::zero());
    b.enforce(&inactive, &(&row.x + -Fr::ONE), &Num::zero());
    b.enforce(&inactive, &(&row.composite + -Fr::from(number_ as u64)), &Num::zero());
    // A row that is not a start continues the previous row's account as that row left it.
    let left = word(&previous.after, &(&previous.nonce + &previous.bump), &previous.asset);
    b.enforce(&same, &(&row.key - &previous.key), &Num::zero());
    b.enforce(&same, &(&row.owner - &previous.owner), &Num::zero());
    b.enforce(&same, &(&row.word() - &left), &Num::zero());
    // An open starts its run and finds nothing: its columns are the new account's.
    b.enforce(&row.open, &(&Num::one() - &row.start), &Num::zero());
    b.enforce(&row.open, &(&row.before + &row.nonce), &Num::zero());
    // An effective forced exit leaves nothing; the last nonce cannot be raised.
    b.enforce(&row.all, &row.after, &Num::zero());
    let left = &row.nonce + -Fr::from(NONCE_LAST);
    let inverse = b.wire(left.value.inverse().unwrap_or(Fr::ZERO) * row.bump.value);
    b.enforce(&left, &inverse, &row.bump);
    row
}
