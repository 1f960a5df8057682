//! Forgeries: batches that break one rule each, with whatever else depends on it put right.

use crate::support::*;
use crate::{Attack, ONE};
use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, BigInteger, Field, PrimeField};
use kerros_circuits::access::{LinkWitness, time};
use kerros_circuits::batch::{BatchWitness, synthesize};
use kerros_circuits::builder::{Builder, evaluate};
use kerros_circuits::witness::link;
use kerros_protocol::account::{Account, Address, two_to};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::CollectRecord;
use kerros_protocol::eddsa::{BASE8, PublicKey, Signature, challenge};
use kerros_protocol::poseidon;
use kerros_protocol::transaction::{SignedTransaction, Transaction};
use std::convert::Infallible;

const ZERO: Fr = <Fr as AdditiveGroup>::ZERO;
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

/// Wallet `by` signs exit `slot` of `w` as it stands.
fn resign_exit(w: &mut BatchWitness, slot: usize, by: u8) {
    let e = &mut w.exits[slot];
    let packed = fr(2) + e.from * two_to(4) + e.amount * two_to(60);
    let packed = packed + e.fee * two_to(124) + e.nonce * two_to(140);
    let second = e.asset * two_to(160) + e.recipient;
    let message = poseidon::hash(&[fr(DOMAIN), packed, second, ZERO]);
    let secret = wallet(by).0;
    let (public, signature) = (secret.public_key(), secret.sign(message));
    e.signature.key_y = public.0.y;
    e.signature.s = signature.s;
    e.signature.h = challenge(&signature.r8, &public.0, message);
}

fn paid(amount: u64, fee: u64) -> Scene {
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, amount, fee);
    scene
}

fn deposited(i: u32, w: u8, amount: u64) -> Scene {
    let mut scene = Scene::new();
    scene.deposit(i, w, 1, amount);
    scene
}

fn left(w: u8, i: u32, amount: u64) -> Scene {
    let mut scene = Scene::new();
    scene.exit(w, i, amount, 0, Address([9; 20]));
    scene
}

/// A payment with a fee that account `to` collects.
fn collected(to: u32, fee: u64) -> Scene {
    let mut scene = paid(5, fee);
    scene.collect(to, fee);
    scene
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
    let mut scene = paid(20, 0);
    scene.data.transfers[0].to = index(5);
    let scene = {
        let mut s = Scene::new();
        s.pay(1, 1, 5, 20, 0);
        drop(scene);
        s
    };
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
    scene.pay(1, 1, 2, 100, 1);
    scene.pay(2, 2, 1, 100, 1862);
    let mut w = scene.forged();
    w.transfers[1].payee_before += fr(1 + 1862);
    let bit = lowest_bit(|w, v| w.transfers[0].fee = v);
    w.transfers[1].before = fr(600);
    let fee = vec![(bit, fr(2)), (bit + 1, -ONE)];
    add("a fee that pays its payer", &scene, &w, fee);
    let mut scene = Scene::new();
    scene.exit(1, 1, 100, 1, Address([9; 20]));
    scene.pay(2, 2, 2, 0, 400);
    scene.collect(2, 401);
    let w = scene.forged();
    let bit = lowest_bit(|w, v| w.exits[0].fee = v);
    add("an exit's fee of −1862", &scene, &w, vec![(bit, fr(2)), (bit + 1, -ONE)]);

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

/// What `range` says, each once by its last constraint and once by a bit that is none.
pub fn ranges() -> Vec<Attack> {
    let mut out = Vec::new();
    let mut add = |name: &'static str, scene: &Scene, w: &BatchWitness, width: u32| {
        let attack = Attack::new(name, scene, w, &[]);
        if let [row] = attack.violated[..] {
            let top = evaluate(&compiled().constraints[row].a, &attack.assignment);
            let bit = compiled().constraints[row + 1 - width as usize].a[0].0 as usize;
            let value = attack.assignment[bit] + top * two_to(width - 1);
            out.push(Attack::new(name, scene, w, &[(bit, value)]));
        }
        out.push(attack);
    };
    let scene = deposited(5, 5, 11);
    add("a deposit above 2^64", &scene, &scene.forged(), 64);
    let scene = paid(10_001, 0);
    add("an overdraft", &scene, &scene.forged(), 64);
    let mut scene = Scene::new();
    scene.pay(1, 1, 5, 11, 0);
    add("a credit above 2^64", &scene, &scene.forged(), 64);
    let scene = left(1, 1, 10_001);
    add("an exit above the balance", &scene, &scene.forged(), 64);
    let scene = collected(5, 11);
    add("a collect above 2^64", &scene, &scene.forged(), 64);
    let mut scene = Scene::new();
    scene.collect(1, 0);
    let mut w = scene.honest();
    w.collects[0].asset = ONE - two_to(32).inverse().unwrap();
    w.collects[0].nonce += ONE;
    add("a collect in an asset out of range", &scene, &w, 16);
    let mut scene = Scene::new();
    scene.open(16, 6, 1);
    add("an index above the ledger", &scene, &scene.forged(), 28);
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(6, 6, 1);
    let mut w = scene.forged();
    (w.opens[0].last, w.opens[1].last) = (ONE, ONE);
    let gone = w.touched.iter().position(|value| *value == -fr(2)).unwrap();
    w.touched.remove(gone);
    w.touched.push(fr(6));
    add("an account opened twice", &scene, &w, 28);
    out
}

/// The flags of `is_nonzero`: O0, O1, D0, D1, T0 …, E0 active, E0 stranger, …, F0, F1.
fn nonzero_flag(number: usize) -> usize {
    let constraints = &compiled().constraints;
    let flags = constraints.windows(2).filter_map(|pair| match (&pair[0].b[..], &pair[0].c[..]) {
        ([(inverse, _)], [(flag, one)]) if *inverse == flag + 1 && *one == ONE => {
            let negated = pair[1].a == [(0, ONE), (*flag, -ONE)] && pair[1].b == pair[0].a;
            negated.then_some(*flag as usize)
        }
        _ => None,
    });
    flags.into_iter().nth(number).unwrap()
}

/// Flags and conditions.
pub fn flags() -> Vec<Attack> {
    let mut out = Vec::new();
    let mut add = |name, scene: &Scene, w: &BatchWitness, wires: &[(usize, Fr)]| {
        out.push(Attack::new(name, scene, w, wires));
    };
    // Records that say something and are not active.
    let off = |number| [(nonzero_flag(number), ZERO), (nonzero_flag(number) + 1, ZERO)];
    let scene = Scene::new();
    let empty = scene.honest();
    let mut w = empty.clone();
    (w.opens[0].index, w.opens[0].asset) = (fr(6), ONE);
    add("an open without effect", &scene, &w, &off(0));
    let mut w = empty.clone();
    (w.deposits[0].index, w.deposits[0].amount, w.deposits[0].asset) = (ONE, fr(100), ONE);
    add("a deposit that is not credited", &scene, &w, &off(2));
    let mut mint = Scene::new();
    mint.collect(1, 10);
    let mut w = mint.forged();
    (w.transfers[0].fee, w.transfers[0].asset) = (fr(10 << 5), ONE);
    w.transfers[0].before = fr(100);
    add("a fee that nobody pays", &mint, &w, &off(4));
    let mut w = empty.clone();
    (w.exits[0].amount, w.exits[0].before) = (fr(100), fr(100));
    add("an exit that takes nothing from its account", &scene, &w, &off(8));
    let mut burn = paid(100, 10);
    let mut w = {
        burn.collect(1, 0);
        burn.forged()
    };
    w.collects[0] = kerros_circuits::journal::CollectWitness {
        asset: ONE,
        amount: fr(10),
        ..Default::default()
    };
    link(&mut w);
    w.collects[0].link = LinkWitness::default();
    add("fees that are burnt", &burn, &w, &off(12));
    // Unused slots that are active by twice: their openings are not the state's.
    for (name, number) in [
        ("an unused deposit", 3),
        ("an unused transfer", 7),
        ("an unused exit", 10),
        ("an unused collect", 13),
    ] {
        let flag = nonzero_flag(number);
        for value in [ONE, fr(2), -ONE] {
            let mut w = empty.clone();
            w.collects[1].asset = ONE;
            w.transfers[3].asset = ONE;
            (w.deposits[1].link.first, w.deposits[1].link.last) =
                if number == 3 { (value, value) } else { (ZERO, ZERO) };
            (w.collects[1].link.first, w.collects[1].link.last) =
                if number == 13 { (value, value) } else { (ZERO, ZERO) };
            add(name, &scene, &w, &[(flag, value)]);
        }
    }
    // Forced exits.
    let mut owner = Scene::new();
    owner.force(2, wallet(2).1);
    let mut w = owner.honest();
    w.exits[0].amount = ZERO;
    add("an owner called a stranger", &owner, &w, &[(nonzero_flag(9), ONE)]);
    let mut stranger = Scene::new();
    stranger.force(2, wallet(9).1);
    let mut w = stranger.honest();
    w.exits[0].amount = fr(500);
    add(
        "a stranger called the owner",
        &stranger,
        &w,
        &[(nonzero_flag(9), ZERO), (nonzero_flag(9) + 1, ZERO)],
    );
    add("a stranger who takes all", &stranger, &w, &[]);
    add("a stranger whose exit is the owner's", &stranger, &w, &[(nonzero_flag(9) + 2, ONE)]);
    let mut w = owner.honest();
    w.exits[0].amount = fr(499);
    add("an owner who gets a part", &owner, &w, &[]);
    let mut w = owner.honest();
    w.exits[0].order = fr(5);
    add("a forced exit at another time", &owner, &w, &[]);
    let mut batch = stranger.sealed();
    batch.data.exits[0].fee = Fee::exact(10).unwrap();
    batch.data.collects.push(CollectRecord { to: index(1), amount: 10 });
    add("a fee on somebody's forced exit", &stranger, &forge(&stranger.before, &batch), &[]);
    let mut w = empty.clone();
    w.exits[1].recipient = ONE;
    add("an unused exit with a recipient", &scene, &w, &[]);
    // Assets and nonces.
    let mut w = empty.clone();
    (w.deposits[0].index, w.deposits[0].amount) = (fr(9), fr(100));
    link(&mut w);
    add("a deposit to an account that was not opened", &scene, &w, &[]);
    let mut none = Scene::new();
    for i in [1, 2] {
        none.before.set(index(i), Account { asset: 0, ..none.get(i) });
        none.now.insert(i, Account { asset: 0, ..none.get(i) });
    }
    let mut without = none.clone();
    without.pay(1, 1, 2, 100, 0);
    add("a payment without an asset", &without, &without.forged(), &[]);
    let mut without = none.clone();
    without.exit(1, 1, 5, 0, Address([9; 20]));
    let mut w = without.forged();
    w.exits[0].asset = ZERO;
    resign_exit(&mut w, 0, 1);
    add("an exit without an asset", &without, &w, &[]);
    let mut without = none.clone();
    without.collect(1, 0);
    add("a collect without an asset", &without, &without.forged(), &[]);
    let mut open = Scene::new();
    open.open(6, 6, 1);
    let mut w = open.honest();
    w.opens[0].asset = ZERO;
    add("an open without an asset", &open, &w, &[]);
    let mut last = Scene::new();
    last.pay(4, 4, 2, 5, 0);
    add("a payment with the last nonce", &last, &last.forged(), &[]);
    let mut last = Scene::new();
    last.exit(4, 4, 5, 0, Address([9; 20]));
    add("an exit with the last nonce", &last, &last.forged(), &[]);
    // Padding of sections whose records are compared with the queue.
    type Padding = fn(&mut BatchWitness);
    let padding: [(&str, Padding); 3] = [
        ("the key of no open", |w| w.opens[1].key = ONE),
        ("the key of no deposit", |w| w.deposits[1].key = ONE),
        ("the owner of no deposit", |w| w.deposits[1].owner = ONE),
    ];
    for (name, set) in padding {
        let mut w = empty.clone();
        set(&mut w);
        add(name, &scene, &w, &[]);
    }
    // Fees.
    let mut scene = paid(5, 10);
    scene.data.collects.push(CollectRecord { to: index(2), amount: 15 });
    scene.now.entry(2).and_modify(|a| a.balance += 15);
    let w = scene.forged();
    add("more collected than paid", &scene, &w, &[]);
    out
}

/// An access at index 0 that reads what an unused slot hands on by `last = −1`.
pub fn handed_on() -> Vec<Attack> {
    let mut out = Vec::new();
    let rich = fr(1 << 63);
    let unlist = |w: &mut BatchWitness| {
        w.touched = BatchWitness::empty(&shape(), K, ZERO).touched;
    };
    let carrier = LinkWitness { first: ZERO, last: -ONE, gap: ZERO };
    // A payment reads an unused payment's payer or payee.
    for payee in [false, true] {
        let mut scene = Scene::new();
        scene.order = 5;
        scene.pay(1, 1, 2, 100, 0);
        let mut w = scene.honest();
        w.transfers[0].from = ZERO;
        w.transfers[0].before = rich;
        resign(&mut w, 0, 1);
        let t = w.transfers[0];
        let c = &mut w.transfers[2];
        c.asset = t.asset;
        match payee {
            false => {
                (c.key, c.owner, c.before, c.nonce, c.link) =
                    (t.key, t.owner, rich, t.nonce, carrier)
            }
            true => {
                (c.payee_key, c.payee_owner, c.payee_before, c.payee_nonce, c.payee_link) =
                    (t.key, t.owner, rich, t.nonce, carrier)
            }
        }
        let gap = fr(2 * 5) - ONE - if payee { ONE } else { ZERO };
        w.transfers[0].link = LinkWitness { first: ZERO, last: ONE, gap };
        // Account 2 is opened by access 5, index 0 by none.
        let at = w.touched.iter().position(|v| *v == ONE).unwrap();
        w.touched.remove(at);
        let below = w.touched.iter().position(|v| *v == -fr(4)).unwrap();
        w.touched.insert(below, -fr(5));
        out.push(Attack::new("a payment out of an unused slot", &scene, &w, &[]));
    }
    // A forced exit reads an unused open, deposit or exit.
    for section in 0..3 {
        let scene = Scene::new();
        let mut w = scene.honest();
        let e = &mut w.exits[1];
        (e.forced, e.order) = (ONE, ONE);
        if section > 0 {
            (e.before, e.amount) = (rich, rich);
        }
        let now = time::FORCED + 2;
        let then = [time::OPEN, time::DEPOSIT, time::SIGNED][section];
        e.link = LinkWitness { first: ZERO, last: ONE, gap: fr(now - then - 1) };
        match section {
            0 => w.opens[0].last = -ONE,
            1 => (w.deposits[0].before, w.deposits[0].link) = (rich, carrier),
            _ => (w.exits[0].before, w.exits[0].link) = (rich, carrier),
        }
        out.push(Attack::new("a forced exit out of an unused slot", &scene, &w, &[]));
    }
    let mut scene = collected(2, 10);
    let mut w = scene.honest();
    scene.data.collects.clear();
    w.collects[1] = w.collects[0];
    w.collects[0].to = ZERO;
    w.collects[0].amount = ZERO;
    w.collects[1].to = ZERO;
    w.collects[0].link = carrier;
    w.collects[1].link = LinkWitness { first: ZERO, last: ONE, gap: ZERO };
    w.transfers[0].payee_link.last = ONE;
    out.push(Attack::new("a collect out of an unused slot", &scene, &w, &[]));
    let _ = unlist;
    out
}

/// Signatures that nobody made.
pub fn signatures() -> Vec<Attack> {
    let mut out = Vec::new();
    let mut add = |name, scene: &Scene, w: &BatchWitness, wires: &[(usize, Fr)]| {
        out.push(Attack::new(name, scene, w, wires));
    };
    for exit in [false, true] {
        let slot = if exit { "E[0]" } else { "T[0]" };
        let scene = if exit { left(1, 1, 100) } else { paid(100, 0) };
        let honest = scene.honest();
        let signature = |w: &mut BatchWitness| -> *mut _ {
            if exit { &raw mut w.exits[0].signature } else { &raw mut w.transfers[0].signature }
        };
        let _ = signature;
        let mut w = honest.clone();
        let s = if exit { &mut w.exits[0].signature } else { &mut w.transfers[0].signature };
        s.s.add_with_carry(&2u64.into());
        add("a wrong signature", &scene, &w, &[]);
        // A stranger signs, and the gadget is shown the stranger's key.
        let mut w = honest.clone();
        let stranger = wallet(9).0.public_key().0;
        match exit {
            true => resign_exit(&mut w, 0, 9),
            false => {
                let key = w.transfers[0].key;
                resign(&mut w, 0, 9);
                w.transfers[0].key = key;
            }
        }
        let selected = wire(&format!("{slot}.key_y")) - 1;
        add("a stranger's signature", &scene, &w, &[(selected, stranger.x - BASE8.x)]);
        // R8 = S·B8 with a challenge of 0: a signature by anybody.
        let verdict = judge(&honest);
        let (k, key) = (Scalar::from(12345u64), wallet(1).0.public_key().0);
        let message = match exit {
            false => {
                let t = &honest.transfers[0];
                let packed = ONE + t.from * two_to(4) + t.to * two_to(32) + t.amount * two_to(60);
                let packed = packed + t.fee * two_to(124) + t.nonce * two_to(140);
                poseidon::hash(&[fr(DOMAIN), packed, t.payee_key, t.payee_owner])
            }
            true => {
                let e = &honest.exits[0];
                let packed = fr(2) + e.from * two_to(4) + e.amount * two_to(60);
                let packed = packed + e.fee * two_to(124) + e.nonce * two_to(140);
                let second = e.asset * two_to(160) + e.recipient;
                poseidon::hash(&[fr(DOMAIN), packed, second, ZERO])
            }
        };
        let h = challenge(&BASE8.times(k), &key, message);
        let mut w = honest.clone();
        let s = if exit { &mut w.exits[0].signature } else { &mut w.transfers[0].signature };
        (s.s, s.h) = (k.into_bigint(), h);
        // The digits' rows: (y − v)·(y + v) = 0, after h and the three bits of q.
        let h_wire = wire(&format!("{slot}.h"));
        let constraints = &compiled().constraints;
        let of_digit = |row: &kerros_circuits::builder::Constraint, y: usize| {
            row.c.is_empty()
                && row.b.last() == Some(&(y as u32, ONE))
                && row.a.last() == Some(&(y as u32, ONE))
                && row.a.len() > 1
        };
        let first = (h_wire..h_wire + 60)
            .find(|y| {
                constraints.iter().any(|row| of_digit(row, *y))
                    && constraints.iter().any(|row| of_digit(row, *y + 250))
            })
            .unwrap();
        let row = constraints.iter().find(|row| of_digit(row, first)).unwrap();
        let v = evaluate(&row.b, &verdict.assignment) - verdict.assignment[first];
        let digits: Vec<(usize, Fr)> = (first..first + 251).map(|y| (y, -v)).collect();
        add("a challenge of 0", &scene, &w, &digits);
        let mut wires = digits.clone();
        wires.push((first - 3, h / Fr::from(Scalar::MODULUS)));
        wires.extend([(first - 2, ZERO), (first - 1, ZERO)]);
        add("a challenge of 0 by its quotient", &scene, &w, &wires);
        // Two digits that are none, with the right sum.
        let [one, two] = [first, first + 1].map(|y| verdict.assignment[y]);
        let wires = [(first, one + v.double()), (first + 1, two - v)];
        add("digits that are none", &scene, &honest, &wires);
        // A key off the curve.
        let mut w = honest.clone();
        let s = if exit { &mut w.exits[0].signature } else { &mut w.transfers[0].signature };
        s.key_y += ONE;
        add("a key off the curve", &scene, &w, &[]);
        // A window's entry of another table.
        let tables: Vec<usize> = (0..constraints.len() - 3)
            .filter(|at| {
                let [square, .., sign] = &constraints[*at..*at + 4] else { return false };
                let u = square.a.first().map(|(w, _)| *w);
                square.a == square.b
                    && square.a.len() == 1
                    && square.c == [(u.unwrap_or(0) + 2, ONE)]
                    && sign.b.last().map(|(w, _)| *w) == u.map(|u| u + 3)
            })
            .collect();
        let r8 = wire(&format!("{slot}.r8_x")) as u32;
        let in_slot = |at: &&usize| (h_wire as u32..r8).contains(&constraints[**at].a[0].0);
        let own: Vec<&usize> = tables.iter().filter(in_slot).collect();
        let [here, other] = [own[3], own[4]].map(|at| constraints[*at].a[0].0 as usize);
        let (u, t) = (verdict.assignment[other], verdict.assignment[other + 1]);
        add("an entry of no table", &scene, &honest, &[(here, u), (here + 1, t), (here + 3, t)]);
    }
    // A key of low order signs for every message.
    let torsion = point_of_order_eight();
    let mut scene = Scene::new();
    let victim = Account { key: torsion.x, ..scene.get(1) };
    scene.before.set(index(1), victim);
    scene.now.insert(1, victim);
    let s = Scalar::from(12345u64);
    let signature = Signature { r8: BASE8.times(s), s: s.into_bigint() };
    let public_key = PublicKey(torsion);
    let mut payment = scene.clone();
    let transfer = payment.transfer_of(1, 2, 100, 0);
    let transaction = Transaction::Transfer(transfer);
    payment.pay_authorised(&SignedTransaction { transaction, public_key, signature }, transfer);
    add("a payment by a key of low order", &payment, &payment.forged(), &[]);
    let exit = scene.exit_of(1, 100, 0, Address([9; 20]));
    let transaction = Transaction::Exit(exit);
    scene.exit_authorised(&SignedTransaction { transaction, public_key, signature }, exit);
    add("an exit by a key of low order", &scene, &scene.forged(), &[]);
    out
}

/// Outputs that are not the circuit's.
pub fn outputs() -> Vec<Attack> {
    let scene = Scene::everything();
    let w = scene.honest();
    let wrong =
        |input| Attack::new("an output that is not computed", &scene, &w, &[(input, fr(5))]);
    [1, 4, 5, 6, 7].map(wrong).into()
}

/// Batches that one equation at the challenges refuses: what a free wire before it could mend.
pub fn unmended() -> Vec<(&'static str, Scene, BatchWitness)> {
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 100);
    scene.deposit(1, 1, 1, 100);
    let mut read = scene.honest();
    read.deposits[1].before += fr(1000);
    let mut twice = scene.honest();
    twice.deposits[0].link.last = ONE;
    (twice.deposits[1].link.first, twice.deposits[1].link.gap) = (ONE, ZERO);
    let mut fees = paid(5, 10);
    fees.data.collects.push(CollectRecord { to: index(2), amount: 15 });
    fees.now.entry(2).and_modify(|a| a.balance += 15);
    let more = fees.forged();
    let mut power = more.clone();
    power.transfers[0].before = fr(10_000);
    vec![
        ("a balance that nobody left", scene.clone(), read),
        ("a second first access", scene, twice),
        ("more collected than paid", fees, more),
    ]
}
