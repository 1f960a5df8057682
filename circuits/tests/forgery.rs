//! Attempts at a forgery by a reader who has not seen how the circuit was made.

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, Field, PrimeField, UniformRand};
use kerros_circuits::access::{Access, Change, Link, LinkWitness, enforce_linked};
use kerros_circuits::builder::{Builder, Constraint, INPUT_COUNT, evaluate, first_violated};
use kerros_circuits::gadgets::bits::boolean;
use kerros_circuits::gadgets::curve::montgomery;
use kerros_circuits::gadgets::table::Table;
use kerros_circuits::touched::{Touched, filler};
use kerros_circuits::witness::link;
use kerros_protocol::account::Account;
use kerros_protocol::commitment::point;
use kerros_protocol::eddsa::BASE8;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::*;

const ONE: Fr = <Fr as Field>::ONE;
/// The honest builder keeps 19 bits; r − 1 has zeros there.
fn top_gap() -> i64 {
    (1 << 19) - 1
}
const MA: u64 = 168698;

/// The two quadrics of every window say that (u, t) is one of eight points of the curve, over the
/// field and over every extension: their difference is a multiple of the curve, and the norm of what
/// is left is the product over the eight.
#[test]
fn each_of_the_63_tables_has_its_eight_points_and_no_ninth() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut base = BASE8;
    for window in 0..63 {
        let table = Table::new(&base);
        let mut b = Builder::recording();
        table.choose(&mut b, 1);
        let cs = b.constraints().to_vec();
        assert_eq!(cs.len(), 4);
        // Constraint 0: u·u = w on wires 0 and 2 alone; 3: (v − t)(v + t) = 0.
        let at = |c: &Constraint, u: Fr, t: Fr| {
            let mut a = vec![Fr::ZERO; INPUT_COUNT + 4];
            a[0] = ONE;
            (a[INPUT_COUNT], a[INPUT_COUNT + 1], a[INPUT_COUNT + 2]) = (u, t, u * u);
            evaluate(&c.a, &a) * evaluate(&c.b, &a) - evaluate(&c.c, &a)
        };
        let wire = |i: usize| (INPUT_COUNT + i) as u32;
        assert_eq!(
            (cs[0].a.clone(), cs[0].b.clone(), cs[0].c.clone()),
            (vec![(wire(0), ONE)], vec![(wire(0), ONE)], vec![(wire(2), ONE)])
        );
        assert_eq!(cs[3].a, vec![(wire(1), -ONE), (wire(3), ONE)]);
        assert_eq!(cs[3].b, vec![(wire(1), ONE), (wire(3), ONE)]);
        assert!(cs[3].c.is_empty());
        let curve = |u: Fr| u * u * u + Fr::from(MA) * u * u + u;
        let points: Vec<(Fr, Fr)> = [1i8, 3, -5, -7, -9, -11, 13, 15]
            .map(|n| montgomery(&base.times(Scalar::from(n))))
            .to_vec();
        for (i, p) in points.iter().enumerate() {
            assert!(points[..i].iter().all(|q| q.0 != p.0));
            assert_eq!((at(&cs[1], p.0, p.1), at(&cs[2], p.0, p.1)), (Fr::ZERO, Fr::ZERO));
        }
        let mut ratio = None;
        let mut leading = None;
        for _ in 0..40 {
            let (u, t) = (Fr::rand(&mut rng), Fr::rand(&mut rng));
            let g = t * t - curve(u);
            let y = (at(&cs[1], u, t) - at(&cs[2], u, t)) / g;
            assert_eq!(*ratio.get_or_insert(y), y);
            assert_ne!(y, Fr::ZERO);
            // On the curve, t² = curve(u): cs[1] = α(u) + t·β(u); norm = α² − t²β².
            // α and β are even and odd parts in t up to the t² = curve terms; work modulo G:
            // Q = p0 + p1 t + p2 t², p2 constant in t.
            let (q0, q1, qm) = (at(&cs[1], u, Fr::ZERO), at(&cs[1], u, ONE), at(&cs[1], u, -ONE));
            let p1 = (q1 - qm) / Fr::from(2u64);
            let p2 = (q1 + qm) / Fr::from(2u64) - q0;
            let alpha = q0 + p2 * curve(u);
            let norm = alpha * alpha - p1 * p1 * curve(u);
            let product: Fr = points.iter().map(|p| u - p.0).product();
            let l = norm / product;
            assert_eq!(*leading.get_or_insert(l), l, "window {window}");
            assert_ne!(l, Fr::ZERO);
        }
        base = base.times(Scalar::from(16u64));
    }
}

/// Two accounts, both almost full, swap at one t.
#[test]
fn a_swap_at_one_t_that_no_order_of_the_two_payments_allows() {
    let mut scene = Scene::new();
    for i in [1, 2] {
        let account = Account { balance: u64::MAX, ..scene.get(i) };
        scene.before.set(index(i), account);
        scene.now.insert(i, account);
    }
    scene.pay(1, 1, 2, 10, 0);
    scene.pay(2, 2, 1, 10, 0);
    println!("native in order: {:?}", scene.execute().err());
    // Forged in wrapping arithmetic; put the balances right by hand.
    let mut w = scene.forged();
    for t in &mut w.transfers[..2] {
        t.order = Fr::ZERO;
        t.before = fr(u64::MAX);
        t.payee_before = fr(u64::MAX - 10);
        t.payee_nonce += Fr::ZERO;
    }
    // Nonces after the debit: the credit finds one more.
    w.transfers[0].payee_nonce = w.transfers[1].nonce + ONE;
    w.transfers[1].payee_nonce = w.transfers[0].nonce + ONE;
    w.transfers[1].nonce = Fr::from(scene.before.get(index(2)).nonce);
    w.transfers[0].nonce = Fr::from(scene.before.get(index(1)).nonce);
    link(&mut w);
    resign(&mut w, 0, 1);
    resign(&mut w, 1, 2);
    let verdict = judge(&w);
    println!(
        "circuit: violated {:?}, accepted {}",
        verdict.violated,
        verdict.accepted(&scene.before, &w)
    );
    assert!(verdict.accepted(&scene.before, &w));
    let mut twisted = scene.clone();
    twisted.transfers.swap(0, 0);
    (twisted.transfers[0].order, twisted.transfers[1].order) = (1, 0);
    println!("native the other way: {:?}", twisted.execute().err());
}

#[derive(Clone, Debug)]
struct A {
    active: u64,
    open: bool,
    index: u64,
    time: u64,
    first: u64,
    last: u64,
    gap: i64,
    key: u64,
    word: i64,
    owner: u64,
    change: i64,
}

fn num(i: i64) -> Fr {
    if i < 0 { -Fr::from(i.unsigned_abs()) } else { Fr::from(i as u64) }
}

fn build(b: &mut Builder, accesses: &[A], touched: &[Fr], n: u64, beta: Fr, z: Fr) {
    let n = b.input(7, Fr::from(n));
    let mut out = Vec::new();
    for a in accesses {
        let active = boolean(b, Fr::from(a.active));
        let wire = |b: &mut Builder, v: Fr| b.wire(v);
        let (index, time) = (wire(b, Fr::from(a.index)), wire(b, Fr::from(a.time)));
        let x = wire(b, point(a.index as u32));
        let (key, word, owner) = (wire(b, fr(a.key)), wire(b, num(a.word)), wire(b, fr(a.owner)));
        let change = wire(b, num(a.change));
        let (first, last, gap) = (fr(a.first), fr(a.last), num(a.gap));
        let (link, change) = match a.open {
            true => (Link::opening(b, &active, last), Change::Open),
            false => {
                (Link::new(b, "", &active, &LinkWitness { first, last, gap }), Change::Word(change))
            }
        };
        out.push(Access { active, index, x, time, link, key, word, owner, change });
    }
    let table = Touched::new(b, touched, &n);
    let (beta, z) = (b.input(1, beta), b.input(2, z));
    enforce_linked(b, &beta, &z, &out);
    table.enforce_of(b, &z, &out);
}

fn table_of(accesses: &[A]) -> Vec<Fr> {
    let mut v: Vec<i64> = vec![0];
    for (j, a) in accesses.iter().enumerate() {
        let first = if a.open { a.active } else { a.first };
        v.push(if first == 1 { a.index as i64 } else { -1 - j as i64 });
    }
    v.sort();
    v.into_iter().map(num).collect()
}

/// What SPEC.md claims follows.
fn good(accesses: &[A], n: u64) -> bool {
    let live: Vec<&A> = accesses.iter().filter(|a| a.active == 1).collect();
    let is_first = |a: &A| a.open || a.first == 1;
    if accesses.iter().any(|a| a.active == 0 && ((!a.open && a.first != 0) || a.last != 0)) {
        return false;
    }
    for i in live.iter().map(|a| a.index) {
        let mut path: Vec<&&A> = live.iter().filter(|a| a.index == i).collect();
        path.sort_by_key(|a| a.time);
        if i == 0 || i >= n {
            return false;
        }
        for (at, a) in path.iter().enumerate() {
            if is_first(a) != (at == 0) || (a.last == 1) != (at + 1 == path.len()) {
                return false;
            }
            if at > 0 {
                let p = path[at - 1];
                let after = if p.open { p.word } else { p.word + p.change };
                let follows = a.time > p.time
                    && (if a.gap == -1 { 0 } else { a.gap & top_gap() })
                        == (a.time - p.time - 1) as i64;
                if !follows || (a.key, a.word, a.owner) != (p.key, after, p.owner) {
                    return false;
                }
            }
        }
    }
    true
}

#[test]
fn random_links_hold_exactly_for_paths() {
    let mut rng = StdRng::from_entropy();
    let (mut accepted, mut refused, mut cases) = (0, 0, 0);
    let top = (1i64 << 19) - 1;
    let opens = [true, true, false, false, false, false, false];
    let (beta, z) = (Fr::rand(&mut rng), Fr::rand(&mut rng));
    let blank = |open| A {
        active: 0,
        open,
        index: 0,
        time: 0,
        first: 0,
        last: 0,
        gap: 0,
        key: 0,
        word: 0,
        owner: 0,
        change: 0,
    };
    let empty = opens.map(blank);
    let mut recorder = Builder::recording();
    build(&mut recorder, &empty, &table_of(&empty), 16, beta, z);
    let constraints = recorder.constraints().to_vec();
    assert_eq!(first_violated(&constraints, recorder.assignment()), None);
    let limit: u64 = std::env::var("CASES").ok().and_then(|c| c.parse().ok()).unwrap_or(60_000);
    while cases < limit {
        cases += 1;
        // Times few and close, or far apart; indices few.
        let times: Vec<u64> = if rng.gen_bool(0.5) {
            vec![0, 1, 2, 3, 4, 5]
        } else {
            vec![0, 1, 1 << 18, (6 << 16) - 1, (1 << 19) - 1, (1 << 19) - 2]
        };
        let mut acc: Vec<A> = opens
            .iter()
            .map(|open| {
                let mut a = blank(*open);
                a.active = u64::from(rng.gen_bool(0.85));
                if a.active == 1 {
                    a.index = *[1, 1, 1, 2, 2, 3].get(rng.gen_range(0..6)).unwrap();
                    a.time = if *open { 0 } else { times[rng.gen_range(1..times.len())] };
                    a.change = rng.gen_range(-1..2);
                } else if rng.gen_bool(0.5) {
                    a.time = times[rng.gen_range(0..times.len())];
                }
                a
            })
            .collect();
        // Honest linking where it can be.
        for i in 1..=3 {
            let mut order: Vec<usize> =
                (0..acc.len()).filter(|j| acc[*j].active == 1 && acc[*j].index == i).collect();
            order.sort_by_key(|j| acc[*j].time);
            for (at, j) in order.iter().enumerate() {
                if at == 0 {
                    acc[*j].first = 1;
                    acc[*j].key = 5;
                    acc[*j].owner = 6;
                    acc[*j].word = if acc[*j].open { 0 } else { 1 };
                } else {
                    let p = acc[order[at - 1]].clone();
                    let a = &mut acc[*j];
                    a.gap = a.time as i64 - p.time as i64 - 1;
                    (a.key, a.owner, a.word) =
                        (p.key, p.owner, if p.open { p.word } else { p.word + p.change });
                }
                acc[*j].last = u64::from(at + 1 == order.len());
            }
        }
        for _ in 0..rng.gen_range(0..5) {
            let at = rng.gen_range(0..acc.len());
            let other = acc[rng.gen_range(0..acc.len())].clone();
            let a = &mut acc[at];
            match rng.gen_range(0..10) {
                0 => a.first ^= 1,
                1 => a.last ^= 1,
                2 => {
                    a.gap = *[0, 1, 2, 3, top, top - 1, -1, a.gap + 1, a.gap - 1]
                        .get(rng.gen_range(0..9))
                        .unwrap()
                }
                3 => a.word = other.word,
                4 => a.word += rng.gen_range(-1..2),
                5 => a.index = rng.gen_range(0..4),
                6 => a.key = other.key,
                7 => {
                    if !a.open {
                        a.time = other.time
                    }
                }
                8 => a.active ^= 1,
                _ => (a.first, a.last, a.gap) = (other.first, other.last, other.gap),
            }
        }
        let n = if rng.gen_bool(0.9) { 16 } else { rng.gen_range(1..4) };
        let mut b = Builder::witness_only();
        build(&mut b, &acc, &table_of(&acc), n, beta, z);
        // Gaps outside their range are cut by the honest builder: as field elements they fail.
        let holds = first_violated(&constraints, b.assignment()).is_none();
        let fine = good(&acc, n);
        if holds {
            accepted += 1
        } else {
            refused += 1
        }
        assert_eq!(
            holds,
            fine,
            "n {n}\n{}",
            acc.iter().map(|a| format!("{a:?}\n")).collect::<String>()
        );
    }
    println!("{accepted} accepted, {refused} refused");
}

#[test]
fn all_capacities_full_of_one_account() {
    let mut scene = Scene::new();
    scene.open(15, 9, 1);
    scene.open(14, 9, 1);
    scene.deposit(15, 9, 1, 1000);
    scene.deposit(15, 9, 1, 1000);
    for fee in [0, 1, 2, 0] {
        scene.pay(9, 15, 15, 7, fee);
    }
    scene.exit(9, 15, 3, 1, wallet(9).1);
    scene.collect(15, 3);
    scene.collect(15, 1);
    scene.force(15, wallet(9).1);
    scene.must_be_accepted();
    // Orders at both ends: the gaps are as long as they get.
    let mut scene = Scene::new();
    scene.open(15, 9, 1);
    scene.deposit(15, 9, 1, 1000);
    scene.order = 0;
    scene.pay(9, 15, 15, 7, 0);
    scene.order = u16::MAX - 1;
    scene.pay(9, 15, 1, 7, 0);
    scene.force(15, wallet(9).1);
    scene.must_be_accepted();
    let mut scene = Scene::new();
    scene.open(15, 9, 1);
    scene.force(15, wallet(9).1);
    scene.must_be_accepted();
}

#[test]
fn the_largest_ledger_and_its_last_indices() {
    let mut scene = Scene::new();
    scene.open(15, 9, 1);
    scene.deposit(15, 9, 1, 1000);
    scene.pay(9, 15, 15, 7, 0);
    scene.force(15, wallet(9).1);
    let last = fr((1 << 28) - 1);
    for (n, good) in
        [(1u64 << 28, true), ((1 << 28) - 1, false), (1 << 27, false), ((1 << 28) + 1, false)]
    {
        let mut w = scene.forged();
        w.n = fr(n);
        w.opens[0].index = last;
        w.deposits[0].index = last;
        (w.transfers[0].from, w.transfers[0].to) = (last, last);
        w.exits[0].from = last;
        link(&mut w);
        resign(&mut w, 0, 9);
        println!("{n}: {:?}", judge(&w).violated);
        if n <= 1 << 28 {
            assert_eq!(judge(&w).satisfied(), good, "{n}");
        }
    }
    let _ = (filler(0), Fr::MODULUS_BIT_SIZE);
}

/// Slots in another order than t, t with holes, one account in nearly every record, all slots used.
#[test]
fn many_accesses_in_shuffled_slots_are_provable() {
    use kerros_circuits::batch::synthesize;
    use kerros_circuits::witness::execute;
    use kerros_protocol::batch::Shape;
    use rand::seq::SliceRandom;
    use std::convert::Infallible;
    let mut rng = StdRng::from_entropy();
    let shape = Shape::new([2, 2, 48, 4, 3]).unwrap();
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(15, 7, 1);
    scene.deposit(6, 6, 1, 1_000_000);
    scene.deposit(15, 7, 1, 1_000_000);
    let mut fees = 0;
    for _ in 0..48 {
        let (from, w) = *[(1, 1), (6, 6), (15, 7), (6, 6)].choose(&mut rng).unwrap();
        let to = *[1, 2, 6, 6, 15].choose(&mut rng).unwrap();
        let fee = rng.gen_range(0..3);
        fees += fee;
        scene.order += rng.gen_range(0..1000);
        scene.pay(w, from, to, rng.gen_range(0..50), fee);
    }
    scene.exit(6, 6, 5, 0, wallet(1).1);
    scene.exit(7, 15, 5, 0, wallet(1).1);
    scene.collect(6, fees);
    scene.collect(6, 0);
    scene.collect(15, 0);
    scene.force(6, wallet(6).1);
    scene.force(6, wallet(6).1);
    let mut both: Vec<_> = scene.transfers.drain(..).zip(scene.data.transfers.drain(..)).collect();
    both.shuffle(&mut rng);
    for (a, r) in both {
        scene.transfers.push(a);
        scene.data.transfers.push(r);
    }
    let executed = execute(&shape, &scene.before, &scene.sealed(), fr(DOMAIN)).unwrap();
    let mut b = Builder::recording();
    let done =
        synthesize(&mut b, &shape, &executed.witness, |h| Ok::<_, Infallible>(challenges(h)));
    let outputs = done.unwrap();
    assert_eq!(first_violated(b.constraints(), b.assignment()), None);
    // A, Z and Δ are those of the state.
    let (beta, z) = challenges(outputs.h);
    let (mut a, mut delta, mut z_s) = (Fr::ZERO, Fr::ZERO, ONE);
    for (i, old) in &executed.touched {
        let x = point(i.get());
        let f = x / (z - x);
        a += old.combine(beta) * f;
        delta += (executed.after.get(*i).combine(beta) - old.combine(beta)) * f;
        z_s *= z - x;
    }
    assert_eq!((a, delta, z_s), (outputs.a, outputs.delta, outputs.z_s));
}
