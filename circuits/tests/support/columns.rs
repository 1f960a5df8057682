//! Columns: the binding table of SPEC.md section 6, written down once for all tests.
//!
//! [`TABLE`] says which element of h holds which value at which place. [`cells`] takes the witness
//! apart without leaving a field out: a field that a slot gets later does not compile here until it has
//! a name, and [`columns`] panics until the name has a place in the table.

use super::{DOMAIN, fr, shape};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use kerros_circuits::access::LinkWitness;
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::journal::{
    CollectWitness, DepositWitness, ExitWitness, OpenWitness, TransferWitness, sponge_start,
};
use kerros_protocol::account::two_to;
use kerros_protocol::eddsa::{BASE8, Point, challenge};
use kerros_protocol::poseidon;
use std::collections::BTreeMap;
use std::fmt;

/// A part of an element: name, lowest bit, number of bits.
pub type Part = (&'static str, u32, u32);

/// One absorbed element.
#[derive(Clone, Copy)]
pub enum Element {
    /// `Σ 2^shift·part`, every part with its range.
    Packed(&'static [Part]),
    /// Any field element.
    Free(&'static str),
    /// `h_s`, which fixes the named values: numbers of so many bits, 254 for any field element.
    Signed(&'static [(&'static str, u32)]),
}
use Element::{Free, Packed, Signed};

/// Bits of a value without a range.
pub const FIELD: u32 = 254;

/// Section 6's table but for the touched accounts: section and the elements of one slot, in order.
pub const TABLE: [(&str, &[Element]); 5] = [
    (
        "O",
        &[
            Packed(&[("owner", 0, 160), ("asset", 160, 16), ("index", 176, 28), ("last", 204, 1)]),
            Free("key"),
        ],
    ),
    (
        "D",
        &[
            Packed(&[
                ("asset", 0, 16),
                ("amount", 16, 64),
                ("index", 80, 28),
                ("before", 108, 64),
                ("nonce", 172, 32),
                ("first", 204, 1),
                ("last", 205, 1),
                ("gap", 206, 19),
            ]),
            Free("key"),
            Free("owner"),
        ],
    ),
    (
        "T",
        &[
            Signed(&[
                ("from", 28),
                ("to", 28),
                ("amount", 64),
                ("fee", 16),
                ("nonce", 32),
                ("key", FIELD),
                ("payee_key", FIELD),
                ("payee_owner", FIELD),
            ]),
            Free("owner"),
            Packed(&[
                ("order", 0, 16),
                ("asset", 16, 16),
                ("before", 32, 64),
                ("payee_before", 96, 64),
                ("payee_nonce", 160, 32),
                ("first", 192, 1),
                ("last", 193, 1),
                ("gap", 194, 19),
                ("payee_first", 213, 1),
                ("payee_last", 214, 1),
                ("payee_gap", 215, 19),
            ]),
        ],
    ),
    (
        "E",
        &[
            Packed(&[
                ("forced", 0, 1),
                ("fee", 8, 16),
                ("amount", 24, 64),
                ("from", 88, 28),
                ("order", 116, 16),
                ("nonce", 132, 32),
                ("before", 164, 64),
                ("first", 228, 1),
                ("last", 229, 1),
                ("gap", 230, 19),
            ]),
            Packed(&[("recipient", 0, 160), ("asset", 160, 16)]),
            Free("key"),
            Free("owner"),
        ],
    ),
    (
        "F",
        &[
            Packed(&[
                ("amount", 0, 64),
                ("to", 64, 28),
                ("asset", 92, 16),
                ("before", 108, 64),
                ("nonce", 172, 32),
                ("first", 204, 1),
                ("last", 205, 1),
                ("gap", 206, 19),
            ]),
            Free("key"),
            Free("owner"),
        ],
    ),
];

/// Bits of a gap of the table of touched accounts, and how many of them an element holds.
const GAP_BITS: u32 = 28;
const GAPS_AN_ELEMENT: usize = 9;

/// One value of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column {
    pub section: &'static str,
    pub slot: usize,
    pub name: &'static str,
    /// Its range; [`FIELD`] for none.
    pub bits: u32,
    /// Number of the absorbed element that fixes it.
    pub element: usize,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}].{}", self.section, self.slot, self.name)
    }
}

type Cells<'a> = Vec<(&'static str, &'a mut Fr)>;

fn open_cells(slot: &mut OpenWitness) -> Cells<'_> {
    let OpenWitness { index, asset, owner, key, last } = slot;
    vec![("index", index), ("asset", asset), ("owner", owner), ("key", key), ("last", last)]
}

fn deposit_cells(slot: &mut DepositWitness) -> Cells<'_> {
    let DepositWitness { index, amount, asset, key, owner, before, nonce, link } = slot;
    let LinkWitness { first, last, gap } = link;
    let mut cells = vec![("index", index), ("amount", amount), ("asset", asset), ("key", key)];
    cells.extend([("owner", owner), ("before", before), ("nonce", nonce)]);
    cells.extend([("first", first), ("last", last), ("gap", gap)]);
    cells
}

fn transfer_cells(slot: &mut TransferWitness) -> Cells<'_> {
    // What the signature is made of enters no identity.
    let TransferWitness {
        from,
        to,
        amount,
        fee,
        order,
        nonce,
        asset,
        key,
        owner,
        before,
        link,
        payee_key,
        payee_owner,
        payee_before,
        payee_nonce,
        payee_link,
        signature: _,
    } = slot;
    let mut cells = vec![("from", from), ("to", to), ("amount", amount), ("fee", fee)];
    cells.extend([("order", order), ("nonce", nonce), ("asset", asset), ("key", key)]);
    cells.extend([("owner", owner), ("before", before)]);
    cells.extend([("payee_key", payee_key), ("payee_owner", payee_owner)]);
    cells.extend([("payee_before", payee_before), ("payee_nonce", payee_nonce)]);
    let LinkWitness { first, last, gap } = link;
    cells.extend([("first", first), ("last", last), ("gap", gap)]);
    let LinkWitness { first, last, gap } = payee_link;
    cells.extend([("payee_first", first), ("payee_last", last), ("payee_gap", gap)]);
    cells
}

fn exit_cells(slot: &mut ExitWitness) -> Cells<'_> {
    let ExitWitness {
        from,
        amount,
        fee,
        forced,
        asset,
        recipient,
        order,
        nonce,
        key,
        owner,
        before,
        link: LinkWitness { first, last, gap },
        signature: _,
    } = slot;
    let mut cells = vec![("from", from), ("amount", amount), ("fee", fee), ("forced", forced)];
    cells.extend([("asset", asset), ("recipient", recipient), ("order", order)]);
    cells.extend([("nonce", nonce), ("key", key), ("owner", owner), ("before", before)]);
    cells.extend([("first", first), ("last", last), ("gap", gap)]);
    cells
}

fn collect_cells(slot: &mut CollectWitness) -> Cells<'_> {
    let CollectWitness { to, amount, asset, key, owner, before, nonce, link } = slot;
    let LinkWitness { first, last, gap } = link;
    let mut cells = vec![("to", to), ("amount", amount), ("asset", asset), ("key", key)];
    cells.extend([("owner", owner), ("before", before), ("nonce", nonce)]);
    cells.extend([("first", first), ("last", last), ("gap", gap)]);
    cells
}

/// All values of a slot, by name.
fn cells<'a>(w: &'a mut BatchWitness, section: &str, slot: usize) -> Cells<'a> {
    // n and domain are public inputs: the verifier sets them.
    let BatchWitness { opens, deposits, transfers, exits, collects, touched, n: _, domain: _ } = w;
    match section {
        "O" => open_cells(&mut opens[slot]),
        "D" => deposit_cells(&mut deposits[slot]),
        "T" => transfer_cells(&mut transfers[slot]),
        "E" => exit_cells(&mut exits[slot]),
        "F" => collect_cells(&mut collects[slot]),
        _ => vec![("value", &mut touched[slot])],
    }
}

/// Where a column's value is.
pub fn cell<'a>(w: &'a mut BatchWitness, column: &Column) -> &'a mut Fr {
    let found = cells(w, column.section, column.slot).into_iter().find(|c| c.0 == column.name);
    found.expect("columns are made of cells").1
}

/// Slots of the five sections.
fn slots() -> [usize; 5] {
    shape().sections().map(|capacity| capacity as usize)
}

/// Every column, each with the element that fixes it.
pub fn columns() -> Vec<Column> {
    let mut w = BatchWitness::empty(&shape(), super::K, fr(DOMAIN));
    let mut out = Vec::new();
    let mut element = 0;
    for ((section, elements), capacity) in TABLE.into_iter().zip(slots()) {
        for slot in 0..capacity {
            let mut bound = BTreeMap::new();
            for absorbed in elements {
                match absorbed {
                    Packed(parts) => {
                        bound.extend(parts.iter().map(|(name, _, bits)| (*name, (*bits, element))));
                    }
                    Free(name) => _ = bound.insert(*name, (FIELD, element)),
                    Signed(values) => {
                        bound.extend(values.iter().map(|(name, bits)| (*name, (*bits, element))));
                    }
                }
                element += 1;
            }
            let names: Vec<&str> = cells(&mut w, section, slot).iter().map(|cell| cell.0).collect();
            assert_eq!(names.len(), bound.len(), "{section}: a name in the table for each value");
            for name in names {
                let (bits, element) = bound[name];
                out.push(Column { section, slot, name, bits, element });
            }
        }
    }
    for slot in 0..w.touched.len() {
        let element = element + slot / GAPS_AN_ELEMENT;
        out.push(Column { section: "touched", slot, name: "value", bits: GAP_BITS, element });
    }
    out
}

/// M of a transfer.
pub fn message(t: &TransferWitness) -> Fr {
    let packed = Fr::ONE + t.from * two_to(4) + t.to * two_to(32) + t.amount * two_to(60);
    let packed = packed + t.fee * two_to(124) + t.nonce * two_to(140);
    poseidon::hash(&[fr(DOMAIN), packed, t.payee_key, t.payee_owner])
}

/// `h_s`: what the signature's own hash must be where one is due. Elsewhere the masked gadget runs on
/// B8 with S = h = 0, and R8 is the neutral element.
fn signed_hash(t: &TransferWitness) -> Fr {
    match [t.from, t.to, t.amount, t.fee].iter().any(|part| *part != Fr::ZERO) {
        true => t.signature.h,
        false => challenge(&Point { x: Fr::ZERO, y: Fr::ONE }, &BASE8, message(t)),
    }
}

/// What h absorbs, by the table.
pub fn elements(w: &BatchWitness) -> Vec<Fr> {
    let mut w = w.clone();
    let mut out = Vec::new();
    for ((section, elements), capacity) in TABLE.into_iter().zip(slots()) {
        for slot in 0..capacity {
            let hash = (section == "T").then(|| signed_hash(&w.transfers[slot]));
            let values: BTreeMap<&str, Fr> = cells(&mut w, section, slot)
                .into_iter()
                .map(|(name, value)| (name, *value))
                .collect();
            for absorbed in elements {
                out.push(match absorbed {
                    Packed(parts) => {
                        parts.iter().map(|(name, shift, _)| values[name] * two_to(*shift)).sum()
                    }
                    Free(name) => values[name],
                    Signed(_) => hash.expect("transfers alone are signed by their hash"),
                });
            }
        }
    }
    let mut previous = -fr(w.touched.len() as u64);
    let mut gaps = Vec::new();
    for value in &w.touched {
        gaps.push(*value - previous - Fr::ONE);
        previous = *value;
    }
    let pack =
        |gaps: &[Fr]| gaps.iter().rev().fold(Fr::ZERO, |sum, gap| sum * two_to(GAP_BITS) + gap);
    out.extend(gaps.chunks(GAPS_AN_ELEMENT).map(pack));
    out
}

/// The h of a circuit that does not absorb these elements.
pub fn sponge_without(w: &BatchWitness, left_out: &[usize]) -> Fr {
    let absorbed: Vec<Fr> = elements(w)
        .into_iter()
        .enumerate()
        .filter(|(number, _)| !left_out.contains(number))
        .map(|(_, element)| element)
        .collect();
    poseidon::sponge(sponge_start(&shape()), &absorbed)
}

/// Whether a value is in its column's range.
pub fn fits(value: Fr, bits: u32) -> bool {
    use ark_ff::BigInteger;
    bits >= FIELD || value.into_bigint().num_bits() <= bits
}
