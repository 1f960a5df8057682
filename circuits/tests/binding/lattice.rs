//! Narrow columns together. None of them has room by itself, but an adversary who knew β and z before he
//! fixed several could look for a small solution of one linear equation: a short vector of a lattice.
//! This is what the packed elements are absorbed for.

use crate::ONE;
use crate::harms::{Harm, overdrawn};
use crate::identities::residuals;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::{Field, PrimeField};
use num_bigint::{BigInt, BigUint, Sign};

type Row = Vec<BigInt>;

fn dot(a: &Row, b: &Row) -> BigInt {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// `Π |b*|²` of the rows up to each, and the orthogonalisation's coefficients times the denominators
/// (Cohen, A Course in Computational Algebraic Number Theory, algorithm 2.6.7).
fn orthogonal(rows: &[Row]) -> (Vec<BigInt>, Vec<Row>) {
    let (mut products, mut lambda): (Row, Vec<Row>) = (vec![BigInt::from(1)], Vec::new());
    for (k, row) in rows.iter().enumerate() {
        let mut own: Row = Vec::new();
        for j in 0..=k {
            let mut u = dot(row, &rows[j]);
            for i in 0..j {
                let other = if j == k { &own[i] } else { &lambda[j][i] };
                u = (&products[i + 1] * u - &own[i] * other) / &products[i];
            }
            own.push(u);
        }
        products.push(own[k].clone());
        lambda.push(own);
    }
    (products, lambda)
}

fn rounded(a: &BigInt, b: &BigInt) -> BigInt {
    let doubled: BigInt = a * 2;
    let half = if doubled.sign() == Sign::Minus { -b } else { b.clone() };
    (doubled + half) / (b * 2)
}

/// Takes multiples of the rows before it from row k, until it is as short as they make it.
fn reduce(rows: &mut [Row], products: &[BigInt], lambda: &mut [Row], k: usize) {
    for l in (0..k).rev() {
        let times = rounded(&lambda[k][l], &products[l + 1]);
        let other = rows[l].clone();
        rows[k].iter_mut().zip(&other).for_each(|(x, y)| *x -= &times * y);
        let other = lambda[l].clone();
        lambda[k].iter_mut().zip(&other).for_each(|(x, y)| *x -= &times * y);
    }
}

/// Lenstra, Lenstra and Lovász.
fn short(mut rows: Vec<Row>) -> Vec<Row> {
    let (mut products, mut lambda) = orthogonal(&rows);
    let mut k = 1;
    while k < rows.len() {
        reduce(&mut rows, &products, &mut lambda, k);
        let mixed = &lambda[k][k - 1];
        let swapped = &products[k + 1] * &products[k - 1] + mixed * mixed;
        if swapped * 4 < &products[k] * &products[k] * 3 {
            rows.swap(k, k - 1);
            (products, lambda) = orthogonal(&rows);
            k = (k - 1).max(1);
        } else {
            k += 1;
        }
    }
    rows
}

fn integer(value: Fr) -> BigInt {
    BigUint::from(value.into_bigint()).into()
}

/// Numbers `v_i` near the middle of their ranges with `Σ slope_i·v_i = target`.
fn numbers(slopes: &[Fr], bits: &[u32], target: Fr) -> Vec<Fr> {
    // Rows: all (v_i) of sum 0, each number scaled to the widest range.
    let widest = bits.iter().max().unwrap();
    let scale = |i: usize, value: BigInt| value << (widest - bits[i]);
    let modulus = BigInt::from(BigUint::from(Fr::MODULUS));
    let inverse = slopes[0].inverse().unwrap();
    let unit = |i: usize, first: BigInt| -> Row {
        let mut row = vec![BigInt::from(0); slopes.len()];
        row[i] = scale(i, BigInt::from(1));
        row[0] = scale(0, first);
        row
    };
    let others = (1..slopes.len()).map(|i| unit(i, integer(-slopes[i] * inverse)));
    let mut rows = short(std::iter::once(unit(0, modulus)).chain(others).collect());
    // What is left of a solution is its distance from the middle.
    let middle = |i: usize| BigInt::from(1) << (bits[i] - 1);
    let mut row: Row = (0..slopes.len()).map(|i| scale(i, -middle(i))).collect();
    row[0] += scale(0, integer(target * inverse));
    rows.push(row);
    let (products, mut lambda) = orthogonal(&rows);
    let last = rows.len() - 1;
    reduce(&mut rows, &products, &mut lambda, last);
    let found = rows[last].iter().enumerate().map(|(i, value)| {
        let value: BigInt = (value >> (widest - bits[i])) + middle(i);
        Fr::from(value.to_biguint().expect("within the range"))
    });
    found.collect()
}

#[test]
fn narrow_columns_would_let_a_mint_through_together() {
    // Account 2 has 500 and pays 1,400; two deposits open two more accounts. Balances and nonces that
    // are opened may be any whose sum over the accounts is right at β and z: seven numbers, 352 bits.
    let mut scene = Scene::new();
    scene.deposit(3, 3, 2, 5);
    scene.deposit(5, 5, 1, 3);
    scene.pay(2, 2, 1, 1_400, 0);
    let harm = Harm::new("balances and nonces together", &scene, scene.forged());
    let harm = harm.leaving(2, overdrawn);
    let names = [
        "T[0].before",
        "T[0].payee_before",
        "T[0].payee_nonce",
        "D[0].before",
        "D[0].nonce",
        "D[1].before",
        "D[1].nonce",
    ];
    let all = columns();
    let solved: Vec<&Column> =
        names.iter().map(|name| all.iter().find(|c| c.to_string() == *name).unwrap()).collect();
    let mut left_out: Vec<usize> = solved.iter().map(|column| column.element).collect();
    left_out.dedup();
    assert_eq!(left_out.len(), 3, "three packed elements");

    // The circuit that does not absorb them.
    let known @ (beta, z) = challenges(sponge_without(&harm.witness, &left_out));
    let mut w = harm.witness.clone();
    solved.iter().for_each(|column| *cell(&mut w, column) = Fr::from(0u64));
    let opening = |w: &_| residuals(w, &harm.claim(), beta, z)[4];
    let start = opening(&w);
    let slope = |column: &&Column| {
        let mut w = w.clone();
        *cell(&mut w, column) = ONE;
        opening(&w) - start
    };
    let slopes: Vec<Fr> = solved.iter().map(slope).collect();
    let bits: Vec<u32> = solved.iter().map(|column| column.bits).collect();
    for (column, value) in solved.iter().zip(numbers(&slopes, &bits, -start)) {
        assert!(fits(value, column.bits), "{column}");
        *cell(&mut w, column) = value;
    }
    assert!(harm.taken(&w, |_| known), "taken by a circuit that leaves three elements out");
    assert_eq!(challenges(sponge_without(&w, &left_out)), known);
    // One of them absorbed is enough here; all are.
    for element in left_out {
        let others: Vec<usize> = (0..all.len()).filter(|other| *other != element).collect();
        assert_ne!(sponge_without(&w, &others), sponge_without(&harm.witness, &others));
    }
    assert!(!harm.taken(&w, challenges));
}
