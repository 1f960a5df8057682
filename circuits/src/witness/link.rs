//! Which access of an account follows which: read off the filled slots.

use crate::access::{LinkWitness, time};
use crate::batch::BatchWitness;
use crate::touched::filler;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};

struct Place {
    index: u64,
    time: u64,
    number: usize,
}

fn low(value: &Fr) -> u64 {
    value.into_bigint().0[0]
}

/// The accesses of used slots; numbers count those of unused slots too.
fn places(w: &BatchWitness) -> Vec<Place> {
    let mut places = Vec::new();
    let mut number = 0;
    let mut access = |record: &[Fr], index: &Fr, time: u64| {
        if record.iter().any(|part| *part != Fr::ZERO) {
            places.push(Place { index: low(index), time, number });
        }
        number += 1;
    };
    for o in &w.opens {
        access(&[o.index, o.asset, o.owner], &o.index, time::OPEN);
    }
    for (slot, d) in (0..).zip(&w.deposits) {
        access(&[d.index, d.amount, d.asset], &d.index, time::DEPOSIT + slot);
    }
    for t in &w.transfers {
        let record = [t.from, t.to, t.amount, t.fee];
        let debit = time::SIGNED + 2 * low(&t.order);
        access(&record, &t.from, debit);
        access(&record, &t.to, debit + 1);
    }
    for e in &w.exits {
        let start = if e.forced == Fr::ZERO { time::SIGNED } else { time::FORCED };
        access(&[e.from, e.amount, e.fee, e.forced], &e.from, start + 2 * low(&e.order));
    }
    for (slot, f) in (0..).zip(&w.collects) {
        access(&[f.to, f.amount], &f.to, time::COLLECT + slot);
    }
    places
}

/// Fills in every link and the table of touched accounts.
pub fn link(w: &mut BatchWitness) {
    let mut places = places(w);
    places.sort_by_key(|place| (place.index, place.time, place.number));
    let count = w.touched.len() - 1;
    let mut links = vec![LinkWitness::default(); count];
    let mut touched = vec![None; count];
    for (at, place) in places.iter().enumerate() {
        let same = |other: &&Place| other.index == place.index;
        let link = &mut links[place.number];
        match at.checked_sub(1).map(|before| &places[before]).filter(same) {
            Some(before) => link.gap = Fr::from(place.time) - Fr::from(before.time) - Fr::ONE,
            None => {
                link.first = Fr::ONE;
                touched[place.number] = Some(place.index);
            }
        }
        if places.get(at + 1).filter(same).is_none() {
            link.last = Fr::ONE;
        }
    }
    // Fillers descend from −1, so from the last access up they ascend; then 0 and the indices.
    let mut indices: Vec<u64> = touched.iter().flatten().copied().collect();
    indices.sort_unstable();
    let fillers = (0..count).rev().filter(|number| touched[*number].is_none()).map(filler);
    w.touched = fillers.chain([Fr::ZERO]).chain(indices.into_iter().map(Fr::from)).collect();

    let mut links = links.into_iter();
    let mut next = || links.next().expect("as many links as accesses");
    w.opens.iter_mut().for_each(|o| o.last = next().last);
    w.deposits.iter_mut().for_each(|d| d.link = next());
    for t in &mut w.transfers {
        (t.link, t.payee_link) = (next(), next());
    }
    w.exits.iter_mut().for_each(|e| e.link = next());
    w.collects.iter_mut().for_each(|f| f.link = next());
}
