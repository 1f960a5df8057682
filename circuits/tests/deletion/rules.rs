//! Rules of records, links and sums, each broken with whatever depends on it put right.

use crate::batches::{collected, deposited, left, paid, resign_exit};
use crate::support::*;
use crate::{Attack, ONE, ZERO};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::access::{LinkWitness, time};
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::builder::evaluate;
use kerros_circuits::witness::link;
use kerros_protocol::account::{Account, Address, two_to};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::CollectRecord;
use kerros_protocol::eddsa::BASE8;

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
    let burn = paid(100, 10);
    let mut w = burn.forged();
    (w.collects[0].amount, w.collects[0].asset) = (fr(10), ONE);
    add("fees that are burnt", &burn, &w, &off(12));
    // Records of zeros that are active twice: what they open is not the state's.
    let twice = LinkWitness { first: fr(2), last: fr(2), gap: ZERO };
    let list = |w: &mut BatchWitness, numbers: &[u64]| {
        w.touched.retain(|value| !numbers.iter().any(|number| *value == -fr(number + 1)));
        w.touched.extend(numbers.iter().map(|number| fr(number + 1)));
    };
    let mut w = empty.clone();
    (w.collects[0].asset, w.collects[0].link) = (ONE, twice);
    list(&mut w, &[14]);
    add("a collect of nothing for index 0", &scene, &w, &[(nonzero_flag(12), fr(2))]);
    let mut w = empty.clone();
    resign(&mut w, 3, 9);
    let t = &mut w.transfers[3];
    (t.asset, t.link, t.payee_link) = (ONE, twice, twice);
    t.key = (t.key + BASE8.x) / fr(2);
    list(&mut w, &[10, 11]);
    add("a payment of nothing for index 0", &scene, &w, &[(nonzero_flag(7), fr(2))]);
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
    // Twice forced: signed −1 times, for a key that is then the stranger's.
    let mut twice = Scene::new();
    let selected = wallet(9).0.public_key().0.x;
    let account = Account { key: BASE8.x.double() - selected, owner: wallet(9).1, ..twice.get(2) };
    twice.before.set(index(2), account);
    twice.now.insert(2, account);
    twice.force(2, wallet(9).1);
    let mut w = twice.honest();
    w.exits[0].forced = fr(2);
    resign_exit(&mut w, 0, 9);
    add("an exit that is forced twice", &twice, &w, &[]);
    let mut w = empty.clone();
    w.exits[1].recipient = ONE;
    add("an unused exit with a recipient", &scene, &w, &[]);
    // Assets and nonces.
    let mut w = empty.clone();
    (w.deposits[0].index, w.deposits[0].amount) = (fr(9), fr(100));
    link(&mut w);
    add("a deposit to an account that was not opened", &scene, &w, &[]);
    // No account has asset 0, so the state does not hold these.
    let without = paid(100, 0);
    let mut w = without.forged();
    w.transfers[0].asset = ZERO;
    add("a payment without an asset", &without, &w, &[]);
    let without = left(1, 1, 5);
    let mut w = without.forged();
    w.exits[0].asset = ZERO;
    resign_exit(&mut w, 0, 1);
    add("an exit without an asset", &without, &w, &[]);
    let mut w = empty.clone();
    w.collects[0].to = fr(9);
    link(&mut w);
    add("a collect into an account that was not opened", &scene, &w, &[]);
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
    out
}
