//! The identities at β and z, natively and without any range: what they leave to somebody who knows
//! both, as functions of the columns.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use kerros_circuits::access::{LinkWitness, time};
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::touched::filler;
use kerros_protocol::account::two_to;
use kerros_protocol::amount::Fee;
use kerros_protocol::commitment::point;
use kerros_protocol::ledger::Ledger;

/// How far off each identity is: data, links, table, fees, A, Z, Δ. All 0: the main chain's check holds.
pub type Residuals = [Fr; 7];

/// What the main chain holds against a witness: fixed before the challenges.
pub struct Claim<'a> {
    pub before: &'a Ledger,
    pub after: &'a Ledger,
    /// Elements of the data that were posted.
    pub posted: Vec<Fr>,
}

struct Access {
    active: Fr,
    index: Fr,
    time: Fr,
    link: LinkWitness,
    key: Fr,
    word: Fr,
    owner: Fr,
    /// `None`: an open.
    change: Option<Fr>,
}

fn low(value: &Fr) -> u64 {
    value.into_bigint().0[0]
}

fn active(record: &[Fr]) -> Fr {
    if record.iter().any(|part| *part != Fr::ZERO) { ONE } else { Fr::ZERO }
}

fn fee_value(float: &Fr) -> Fr {
    Fr::from(Fee::from_float(low(float) as u16).value())
}

fn word(before: Fr, nonce: Fr, asset: Fr) -> Fr {
    before + nonce * two_to(64) + asset * two_to(96)
}

fn accesses(w: &BatchWitness) -> Vec<Access> {
    let mut out = Vec::new();
    for o in &w.opens {
        let active = active(&[o.index, o.asset, o.owner]);
        let link = LinkWitness { first: active, last: o.last, gap: Fr::ZERO };
        let (index, word) = (o.index, word(Fr::ZERO, Fr::ZERO, o.asset));
        let (time, key, owner) = (fr(time::OPEN), o.key, o.owner);
        out.push(Access { active, index, time, link, key, word, owner, change: None });
    }
    for (slot, d) in (0..).zip(&w.deposits) {
        out.push(Access {
            active: active(&[d.index, d.amount, d.asset]),
            index: d.index,
            time: fr(time::DEPOSIT + slot),
            link: d.link,
            key: d.key,
            word: word(d.before, d.nonce, d.asset),
            owner: d.owner,
            change: Some(d.amount),
        });
    }
    for t in &w.transfers {
        let active = active(&[t.from, t.to, t.amount, t.fee]);
        let time = fr(time::SIGNED) + t.order.double();
        out.push(Access {
            active,
            index: t.from,
            time,
            link: t.link,
            key: t.key,
            word: word(t.before, t.nonce, t.asset),
            owner: t.owner,
            change: Some(active * two_to(64) - t.amount - fee_value(&t.fee)),
        });
        out.push(Access {
            active,
            index: t.to,
            time: time + ONE,
            link: t.payee_link,
            key: t.payee_key,
            word: word(t.payee_before, t.payee_nonce, t.asset),
            owner: t.payee_owner,
            change: Some(t.amount),
        });
    }
    for e in &w.exits {
        let active = active(&[e.from, e.amount, e.fee, e.forced]);
        let start = fr(time::SIGNED) + e.forced * fr(time::FORCED - time::SIGNED);
        out.push(Access {
            active,
            index: e.from,
            time: start + e.order.double(),
            link: e.link,
            key: e.key,
            word: word(e.before, e.nonce, e.asset),
            owner: e.owner,
            change: Some((active - e.forced) * two_to(64) - e.amount - fee_value(&e.fee)),
        });
    }
    for (slot, f) in (0..).zip(&w.collects) {
        out.push(Access {
            active: active(&[f.to, f.amount]),
            index: f.to,
            time: fr(time::COLLECT + slot),
            link: f.link,
            key: f.key,
            word: word(f.before, f.nonce, f.asset),
            owner: f.owner,
            change: Some(f.amount),
        });
    }
    out
}

/// The elements that the circuit publishes.
pub fn published(w: &BatchWitness) -> Vec<Fr> {
    let mut out = Vec::new();
    for o in &w.opens {
        out.extend([o.index * two_to(176) + o.asset * two_to(160) + o.owner, o.key]);
    }
    for d in &w.deposits {
        let first = d.index * two_to(80) + d.amount * two_to(16) + d.asset;
        out.extend([first, d.key, d.owner]);
    }
    let transfers = w.transfers.iter();
    out.extend(
        transfers.map(|t| t.from * two_to(112) + t.to * two_to(80) + t.amount * two_to(16) + t.fee),
    );
    for e in &w.exits {
        let first = e.from * two_to(88) + e.amount * two_to(24) + e.fee * two_to(8) + e.forced;
        out.extend([first, e.asset * two_to(160) + e.recipient]);
    }
    out.extend(w.collects.iter().map(|f| f.to * two_to(64) + f.amount));
    out
}

/// `Σ share·Π of the other denominators`: the fees' identity without fractions.
fn fees(w: &BatchWitness, beta: Fr) -> Fr {
    let paid = (w.transfers.iter().map(|t| (fee_value(&t.fee), t.asset)))
        .chain(w.exits.iter().map(|e| (fee_value(&e.fee), e.asset)));
    let terms: Vec<(Fr, Fr)> =
        paid.chain(w.collects.iter().map(|f| (-f.amount, f.asset))).collect();
    let (mut sum, mut all) = (Fr::ZERO, ONE);
    for (amount, asset) in terms {
        sum = sum * (beta + asset) + amount * all;
        all *= beta + asset;
    }
    sum
}

/// `Σ o·x/(z − x)` of the state's words at the points, and `Π (z − x)`.
fn opened(state: &Ledger, indices: impl Iterator<Item = u32>, beta: Fr, z: Fr) -> (Fr, Fr) {
    let (mut a, mut z_s) = (Fr::ZERO, ONE);
    for i in indices {
        let x = point(i);
        let words = if i == 0 { Fr::ZERO } else { state.get(index(i)).combine(beta) };
        a += words * x * (z - x).inverse().unwrap();
        z_s *= z - x;
    }
    (a, z_s)
}

/// All identities of a witness. An index counts with its low bits, as a prover's bits must be.
pub fn residuals(w: &BatchWitness, claim: &Claim<'_>, beta: Fr, z: Fr) -> Residuals {
    let (mut reads, mut writes) = (ONE, ONE);
    let (mut a, mut delta, mut z_s) = (Fr::ZERO, Fr::ZERO, ONE);
    let mut put = z;
    for (number, access) in accesses(w).iter().enumerate() {
        let Access { active, index, time, link, key, word, owner, change } = access;
        let x = point(low(index) as u32);
        let f = x * (z - x).inverse().unwrap();
        let words = *key + beta * (*word + beta * owner);
        let place = *index * two_to(20) + time;
        let (mut left, mut moved) = (words, words);
        if let Some(change) = change {
            let read = z + place - link.gap - ONE + beta * words;
            reads *= (*active - link.first) * (read - ONE) + ONE;
            left += beta * change;
            moved = beta * change;
            a += link.first * words * f;
        }
        writes *= (*active - link.last) * (z + place + beta * left - ONE) + ONE;
        delta += moved * f;
        z_s *= link.first * (z - x - ONE) + ONE;
        put *= z + filler(number) + link.first * (*index - filler(number));
    }
    let held: Fr = w.touched.iter().map(|value| z + value).product();
    let difference = published(w).into_iter().zip(&claim.posted);
    let y = difference.rev().fold(Fr::ZERO, |sum, (own, posted)| sum * z + own - posted);
    let size = claim.before.size();
    let firsts = firsts(w).into_iter().map(|i| low(&i) as u32 % size);
    let (state_a, state_z) = opened(claim.before, firsts, beta, z);
    let (old, _) = opened(claim.before, 0..size, beta, z);
    let (new, _) = opened(claim.after, 0..size, beta, z);
    [y, reads - writes, put - held, fees(w, beta), a - state_a, z_s - state_z, delta - (new - old)]
}
