//! Signatures, outputs, and what is left to mend.

use crate::batches::{left, paid, resign_exit};
use crate::support::*;
use crate::{Attack, ONE, ZERO};
use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, BigInteger, BitIteratorBE, Field, PrimeField, Zero};
use ark_poly::univariate::{DenseOrSparsePolynomial, DensePolynomial};
use ark_poly::{DenseUVPolynomial, Polynomial};
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::builder::{Constraint, evaluate};
use kerros_protocol::account::{Account, Address, two_to};
use kerros_protocol::batch::CollectRecord;
use kerros_protocol::eddsa::{BASE8, PublicKey, Signature, challenge};
use kerros_protocol::poseidon;
use kerros_protocol::transaction::{SignedTransaction, Transaction};

/// (u, t, w, v) that satisfies a table's equations for u, t and w, but for w = u²: for some u, what they say
/// of t is a polynomial of degree 4 with a single root.
fn off_the_table(square: usize, assignment: &[Fr]) -> [Fr; 4] {
    let rows = &compiled().constraints[square..square + 3];
    let wire = rows[0].a[0].0 as usize;
    let residual = |row: &Constraint, [u, t, w]: [Fr; 3]| {
        let mut assignment = assignment.to_vec();
        assignment[wire..wire + 3].copy_from_slice(&[u, t, w]);
        let [a, b, c] = [&row.a, &row.b, &row.c].map(|terms| evaluate(terms, &assignment));
        a * b - c
    };
    let found = (2u64..).map(fr).find_map(|u| {
        // The difference of the two is linear in w.
        let difference = |t, w| residual(&rows[1], [u, t, w]) - residual(&rows[2], [u, t, w]);
        let w = |t| -difference(t, ZERO) / (difference(t, ONE) - difference(t, ZERO));
        let points = [0u64, 1, 2, 3, 4].map(fr);
        let mut f = DensePolynomial::from_coefficients_vec(vec![]);
        for x in points {
            let mut basis =
                DensePolynomial::from_coefficients_vec(vec![residual(&rows[1], [u, x, w(x)])]);
            for other in points.into_iter().filter(|other| *other != x) {
                let scale = (x - other).inverse().unwrap();
                let factor = DensePolynomial::from_coefficients_vec(vec![-other * scale, scale]);
                basis = basis.naive_mul(&factor);
            }
            f += &basis;
        }
        let t = only_root(&f)?;
        Some([u, t, w(t), t])
    });
    found.unwrap()
}

fn rest(a: &DensePolynomial<Fr>, b: &DensePolynomial<Fr>) -> DensePolynomial<Fr> {
    let [a, b] = [a, b].map(DenseOrSparsePolynomial::from);
    a.divide_with_q_and_r(&b).unwrap().1
}

/// The root of f, if it has one alone: what f and x^r − x have in common.
fn only_root(f: &DensePolynomial<Fr>) -> Option<Fr> {
    let x = DensePolynomial::from_coefficients_vec(vec![ZERO, ONE]);
    let mut power = DensePolynomial::from_coefficients_vec(vec![ONE]);
    for bit in BitIteratorBE::without_leading_zeros(Fr::MODULUS) {
        power = rest(&power.naive_mul(&power), f);
        if bit {
            power = rest(&power.naive_mul(&x), f);
        }
    }
    let (mut a, mut b) = (f.clone(), &power - &x);
    while !b.is_zero() {
        (a, b) = (b.clone(), rest(&a, &b));
    }
    (a.degree() == 1).then(|| -a.coeffs[0] / a.coeffs[1])
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
        let at = *own[3];
        let [u, t, w, v] = off_the_table(at, &verdict.assignment);
        let wires = [(here, u), (here + 1, t), (here + 2, w), (here + 3, v)];
        add("an entry whose w is not u²", &scene, &honest, &wires);
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
    let mut exit_fees = Scene::new();
    exit_fees.exit(1, 1, 5, 10, Address([9; 20]));
    exit_fees.collect(2, 15);
    let exit_more = exit_fees.forged();
    let (payment, exit) = (paid(100, 0), left(1, 1, 100));
    let (mut of_payment, mut of_exit) = (payment.honest(), exit.honest());
    of_payment.transfers[0].signature.key_y += ONE;
    of_exit.exits[0].signature.key_y += ONE;
    vec![
        ("a balance that nobody left", scene.clone(), read),
        ("a second first access", scene, twice),
        ("more collected than paid", fees, more),
        ("more collected than an exit pays", exit_fees, exit_more),
        ("a payment by a key off the curve", payment, of_payment),
        ("an exit by a key off the curve", exit, of_exit),
    ]
}
