//! Numbers that are outside their width: mints, thefts and replays by the packing of words and records.

use crate::batches::{collected, deposited, left, paid, resign_exit};
use crate::support::*;
use crate::{Attack, ONE, ZERO};
use ark_bn254::Fr;
use ark_ff::{BigInteger, Field, PrimeField};
use kerros_circuits::batch::{BatchWitness, synthesize};
use kerros_circuits::builder::Builder;
use kerros_circuits::witness::link;
use kerros_protocol::account::{Address, two_to};
use std::convert::Infallible;

type Set = fn(&mut BatchWitness, Fr);

/// The lowest bit of a number: the first wire that is another when the number is.
fn lowest_bit(set: Set) -> usize {
    let assignment = |value| {
        let mut w = BatchWitness::empty(&shape(), K, fr(DOMAIN));
        set(&mut w, value);
        let mut b = Builder::witness_only();
        _ = synthesize(&mut b, &shape(), &w, |_| Ok::<_, Infallible>((fr(7), fr(11))));
        b.into_assignment()
    };
    let (zero, one) = (assignment(ZERO), assignment(ONE));
    (10..zero.len()).find(|i| zero[*i] != one[*i]).unwrap()
}

/// A number that its bits do not have: what the others leave is put on the lowest one.
fn stretch(w: &mut BatchWitness, set: Set, width: usize, value: Fr) -> (usize, Fr) {
    set(w, value);
    let bits = value.into_bigint();
    let upper = (1..width).filter(|i| bits.get_bit(*i)).map(|i| two_to(i as u32)).sum::<Fr>();
    (lowest_bit(set), value - upper)
}

/// Numbers outside their width: mints, thefts and replays by the packing of words and records.
pub fn numbers() -> Vec<Attack> {
    let mut out = Vec::new();
    let mut add = |name, scene: &Scene, w: &BatchWitness, wires: Vec<(usize, Fr)>| {
        out.push(Attack::new(name, scene, w, &wires));
    };
    // An asset is worth 2^32 nonces.
    let (shift, part) = (two_to(32), two_to(32).inverse().unwrap());
    let high = two_to(64);

    let scene = deposited(1, 1, 100);
    let mut w = scene.honest();
    let bit = stretch(&mut w, |w, v| w.deposits[0].amount = v, 64, -fr(5));
    add("a deposit of less than nothing", &scene, &w, vec![bit]);
    let mut w = scene.honest();
    w.deposits[0].asset = fr(2);
    let bit = stretch(&mut w, |w, v| w.deposits[0].nonce = v, 32, fr(7) - shift);
    add("a deposit in another asset, by its nonce", &scene, &w, vec![bit]);
    let mut w = scene.honest();
    w.deposits[0].nonce += ONE;
    let bit = stretch(&mut w, |w, v| w.deposits[0].asset = v, 16, ONE - part);
    add("a deposit that raises the nonce it reads, by its asset", &scene, &w, vec![bit]);
    // Account 5 holds 2^64 − 11.
    let scene = deposited(5, 5, 20);
    let mut w = scene.forged();
    w.deposits[0].nonce += ONE;
    let bit = stretch(&mut w, |w, v| w.deposits[0].before = v, 64, -fr(11));
    add("a deposit that wraps the balance", &scene, &w, vec![bit]);
    let mut scene = Scene::new();
    scene.pay(1, 1, 5, 20, 0);
    let mut w = scene.forged();
    w.transfers[0].payee_nonce += ONE;
    let bit = stretch(&mut w, |w, v| w.transfers[0].payee_before = v, 64, -fr(11));
    add("a credit that wraps the balance", &scene, &w, vec![bit]);
    let scene = collected(5, 20);
    let mut w = scene.forged();
    w.collects[0].nonce += ONE;
    let bit = stretch(&mut w, |w, v| w.collects[0].before = v, 64, -fr(11));
    add("a collect that wraps the balance", &scene, &w, vec![bit]);

    let scene = paid(20_000, 0);
    let mut w = scene.forged();
    w.transfers[0].nonce -= ONE;
    let bit = stretch(&mut w, |w, v| w.transfers[0].before = v, 64, fr(10_000) + high);
    resign(&mut w, 0, 1);
    add("an overdraft with an old nonce", &scene, &w, vec![bit]);
    let scene = left(1, 1, 20_000);
    let mut w = scene.forged();
    w.exits[0].nonce -= ONE;
    let bit = stretch(&mut w, |w, v| w.exits[0].before = v, 64, fr(10_000) + high);
    resign_exit(&mut w, 0, 1);
    add("an exit over the balance with an old nonce", &scene, &w, vec![bit]);

    let scene = paid(100, 0);
    let mut w = scene.honest();
    let bit = stretch(&mut w, |w, v| w.transfers[0].amount = v, 64, -fr(5));
    resign(&mut w, 0, 1);
    add("a payment of less than nothing", &scene, &w, vec![bit]);
    let mut w = scene.honest();
    let bit = stretch(&mut w, |w, v| w.transfers[0].order = v, 16, two_to(20));
    add("a payment after everything", &scene, &w, vec![bit]);
    let mut w = scene.honest();
    w.transfers[0].payee_nonce += ONE;
    w.transfers[0].nonce += ONE;
    let bit = stretch(&mut w, |w, v| w.transfers[0].asset = v, 16, ONE - part);
    resign(&mut w, 0, 1);
    add("a payment with a nonce to come, by its asset", &scene, &w, vec![bit]);
    let mut scene = Scene::new();
    scene.pay(1, 1, 3, 100, 0);
    let mut w = scene.forged();
    w.transfers[0].asset = fr(2);
    let bit = stretch(&mut w, |w, v| w.transfers[0].nonce = v, 32, fr(7) - shift);
    resign(&mut w, 0, 1);
    add("a payment of asset 1 that arrives as asset 2", &scene, &w, vec![bit]);
    let mut scene = Scene::new();
    scene.pay(3, 3, 1, 100, 0);
    let mut w = scene.forged();
    let bit = stretch(&mut w, |w, v| w.transfers[0].payee_nonce = v, 32, fr(7) - shift);
    add("a payment of asset 2 that arrives as asset 1", &scene, &w, vec![bit]);
    // Bits 0 and 1 of the exponent are 2 and −1, as if they were 0: the factor is 19·(−98).
    let mut scene = Scene::new();
    scene.pay(2, 2, 1, 100, 1);
    scene.pay(1, 1, 2, 100, 1862);
    let mut w = scene.forged();
    w.transfers[1].payee_before += fr(1 + 1862);
    let bit = lowest_bit(|w, v| w.transfers[0].fee = v);
    add("a fee that pays its payer", &scene, &w, vec![(bit, fr(2)), (bit + 1, -ONE)]);
    let mut scene = Scene::new();
    scene.exit(1, 1, 100, 1, Address([9; 20]));
    scene.pay(1, 1, 2, 100, 1862);
    let mut w = scene.forged();
    w.transfers[0].before += fr(1 + 1862);
    let bit = lowest_bit(|w, v| w.exits[0].fee = v);
    add("an exit's fee that pays its payer", &scene, &w, vec![(bit, fr(2)), (bit + 1, -ONE)]);

    let scene = left(1, 1, 100);
    let mut w = scene.honest();
    let bit = stretch(&mut w, |w, v| w.exits[0].amount = v, 64, -fr(5));
    resign_exit(&mut w, 0, 1);
    add("an exit of less than nothing", &scene, &w, vec![bit]);
    let mut w = scene.honest();
    let bit = stretch(&mut w, |w, v| w.exits[0].order = v, 16, two_to(20));
    add("an exit after everything", &scene, &w, vec![bit]);
    let mut w = scene.honest();
    w.exits[0].asset = fr(2);
    let bit = stretch(&mut w, |w, v| w.exits[0].nonce = v, 32, fr(7) - shift);
    resign_exit(&mut w, 0, 1);
    add("an exit in another asset", &scene, &w, vec![bit]);
    let mut w = scene.honest();
    w.exits[0].nonce += ONE;
    let bit = stretch(&mut w, |w, v| w.exits[0].asset = v, 16, ONE - part);
    resign_exit(&mut w, 0, 1);
    add("an exit with a nonce to come, by its asset", &scene, &w, vec![bit]);
    let mut w = scene.honest();
    let bit = stretch(&mut w, |w, v| w.exits[0].recipient = v, 160, two_to(160));
    resign_exit(&mut w, 0, 1);
    add("an exit to nobody, in the next asset", &scene, &w, vec![bit]);

    let mut scene = collected(2, 10);
    scene.collect(3, 0);
    let mut w = scene.forged();
    w.collects[1] = w.collects[0];
    w.collects[1].amount = fr(15);
    w.collects[1].to = ONE;
    w.collects[1].key = key(1).get();
    w.collects[1].owner = wallet(1).1.to_fr();
    (w.collects[1].before, w.collects[1].nonce) = (fr(10_000 - 15), fr(8));
    let bit = stretch(&mut w, |w, v| w.collects[0].amount = v, 64, -fr(5));
    link(&mut w);
    add("a collect of less than nothing", &scene, &w, vec![bit]);
    let mut scene = Scene::new();
    scene.pay(3, 3, 3, 5, 10);
    scene.collect(1, 10);
    let mut w = scene.forged();
    w.collects[0].asset = fr(2);
    let bit = stretch(&mut w, |w, v| w.collects[0].nonce = v, 32, fr(7) - shift);
    add("a collect of asset 2 into asset 1", &scene, &w, vec![bit]);

    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    let mut w = scene.honest();
    let bit = stretch(&mut w, |w, v| w.opens[0].asset = v, 16, two_to(16) + ONE);
    add("an open in an asset out of range, read as the next index", &scene, &w, vec![bit]);
    let mut w = scene.honest();
    let bit = stretch(&mut w, |w, v| w.opens[0].owner = v, 160, two_to(160));
    add("an open for an owner out of range, read as the next asset", &scene, &w, vec![bit]);

    // The same number by bits that are none: the point is another.
    let scene = Scene::everything();
    let w = scene.honest();
    let indices: [(&str, Set); 6] = [
        ("an open at no point", |w, v| w.opens[0].index = v),
        ("a deposit at no point", |w, v| w.deposits[1].index = v),
        ("a payment from no point", |w, v| w.transfers[0].from = v),
        ("a payment to no point", |w, v| w.transfers[0].to = v),
        ("an exit from no point", |w, v| w.exits[0].from = v),
        ("a collect to no point", |w, v| w.collects[0].to = v),
    ];
    let assignment = judge(&w).assignment;
    for (name, set) in indices {
        let bit = lowest_bit(set);
        let wires = [(bit, assignment[bit] + fr(2)), (bit + 1, assignment[bit + 1] - ONE)];
        add(name, &scene, &w, wires.to_vec());
    }
    // Paths against time.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 1, 0);
    scene.pay(1, 1, 2, 2, 0);
    scene.transfers[1].order = 0;
    let mut w = scene.forged();
    let bit = stretch(&mut w, |w, v| w.transfers[1].link.gap = v, 19, -ONE);
    let other = stretch(&mut w, |w, v| w.transfers[1].payee_link.gap = v, 19, -ONE);
    add("two payments of one account at one time", &scene, &w, vec![bit, other]);
    let mut scene = Scene::new();
    scene.pay(1, 1, 3, 1, 0);
    scene.pay(1, 1, 5, 1, 0);
    scene.transfers[1].order = 0;
    let mut w = scene.forged();
    w.transfers[0].asset = ONE;
    let bit = stretch(&mut w, |w, v| w.transfers[1].link.gap = v, 19, -ONE);
    add("two debits at one time", &scene, &w, vec![bit]);
    let mut scene = Scene::new();
    scene.pay(1, 1, 5, 1, 0);
    scene.pay(2, 2, 5, 1, 0);
    scene.transfers[1].order = 0;
    let mut w = scene.forged();
    let bit = stretch(&mut w, |w, v| w.transfers[1].payee_link.gap = v, 19, -ONE);
    add("two credits at one time", &scene, &w, vec![bit]);
    let mut scene = Scene::new();
    scene.exit(1, 1, 1, 0, wallet(1).1);
    scene.exit(1, 1, 1, 0, wallet(1).1);
    scene.exits[1].as_mut().unwrap().order = 0;
    let mut w = scene.forged();
    let bit = stretch(&mut w, |w, v| w.exits[1].link.gap = v, 19, -ONE);
    add("two exits at one time", &scene, &w, vec![bit]);
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 100);
    scene.deposit(1, 1, 1, 50);
    let mut w = scene.honest();
    w.deposits[1].before = fr(10_000);
    w.deposits[0].before = fr(10_050);
    (w.deposits[1].link, w.deposits[0].link) = (w.deposits[0].link, w.deposits[1].link);
    let at = w.touched.iter().position(|value| *value == -fr(4)).unwrap();
    w.touched[at] = -fr(3);
    let bit = stretch(&mut w, |w, v| w.deposits[0].link.gap = v, 19, -fr(2));
    add("a deposit that reads a later one", &scene, &w, vec![bit]);
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 5, 10);
    scene.collect(5, 4);
    scene.collect(5, 6);
    let mut w = scene.honest();
    let before = w.collects[0].before;
    w.collects[1].before = before;
    w.collects[0].before = before + fr(6);
    (w.collects[1].link, w.collects[0].link) = (w.collects[0].link, w.collects[1].link);
    let at = w.touched.iter().position(|value| *value == -fr(16)).unwrap();
    w.touched[at] = -fr(15);
    let bit = stretch(&mut w, |w, v| w.collects[0].link.gap = v, 19, -fr(2));
    add("a collect that reads a later one", &scene, &w, vec![bit]);
    out
}
