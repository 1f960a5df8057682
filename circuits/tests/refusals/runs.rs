//! Runs: the rows of one account stand together, in order, each going on from the last.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use kerros_circuits::journal::class;
use kerros_protocol::commitment::point;

/// Account 1 pays twice; its two debits are the last rows but for account 2's credits.
fn two_payments() -> Scene {
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(1, 1, 2, 200, 0);
    scene
}

#[test]
fn one_account_in_two_runs_by_a_forged_same_is_refused() {
    let scene = two_payments();
    let w = scene.honest();
    let second = row_at(&w, 1, class::SIGNED, 1, 0);
    let mut assignment = judge(&w).assignment;
    let same = wire(&format!("L[{second}].same"));
    assert_eq!(assignment[same], ONE);
    for inverse in [Fr::ZERO, ONE, -ONE, fr(12345)] {
        assignment[same] = Fr::ZERO;
        assignment[same + 1] = inverse;
        let left = violations(&compiled().constraints, &assignment);
        // difference·inverse = 1 − same has no solution at all: 0·inverse = 1.
        assert!(!left.is_empty());
    }
    // And a run that swallows the next account.
    let other = row_at(&w, 2, class::SIGNED, 0, 1);
    let mut assignment = judge(&w).assignment;
    let same = wire(&format!("L[{other}].same"));
    assert_eq!(assignment[same], Fr::ZERO);
    assignment[same] = ONE;
    assignment[same + 1] = Fr::ZERO;
    assert!(!violations(&compiled().constraints, &assignment).is_empty());
}

#[test]
fn one_account_in_two_runs_by_a_forged_x_is_refused() {
    let scene = two_payments();
    let honest = scene.honest();
    let second = row_at(&honest, 1, class::SIGNED, 1, 0);
    for x in [point(3), point(9), fr(5), Fr::ZERO, ONE] {
        let mut w = honest.clone();
        w.rows[second].x = x;
        // The second run opens 2^63 more than there is.
        w.rows[second].before += fr(1 << 63);
        w.rows[second].after += fr(1 << 63);
        let verdict = judge(&w);
        assert!(!verdict.satisfied(), "x {x}");
    }
}

#[test]
fn one_account_in_two_runs_by_a_forged_composite_is_refused() {
    let scene = two_payments();
    let honest = scene.honest();
    let second = row_at(&honest, 1, class::SIGNED, 1, 0);
    // The second debit behind account 2's rows, with its own index or with a later one.
    for index in [1, 3] {
        let mut w = honest.clone();
        let mut row = w.rows.remove(second);
        row.before += fr(1 << 63);
        row.after += fr(1 << 63);
        row.composite = fr(composite(index, class::SIGNED, 1, 0));
        w.rows.push(row);
        assert!(!judge(&w).satisfied(), "index {index}");
    }
}

#[test]
fn a_run_out_of_order_is_refused() {
    // Account 2 has 500, gets 1000 at t = 0 and pays 700 at t = 1: swapped, it would overdraw,
    // so take amounts for which both orders are possible.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(2, 2, 1, 50, 0);
    let honest = scene.honest();
    let credit = row_at(&honest, 2, class::SIGNED, 0, 1);
    let debit = row_at(&honest, 2, class::SIGNED, 1, 0);
    let mut w = honest.clone();
    w.rows.swap(credit, debit);
    // Chained as if it had been so.
    (w.rows[credit].before, w.rows[credit].after) = (fr(500), fr(450));
    (w.rows[debit].before, w.rows[debit].after) = (fr(450), fr(550));
    w.rows[debit].nonce += ONE;
    let verdict = judge(&w);
    assert_eq!(verdict.violated.len(), 1, "the gap between composites; the next gap is as good");
    scene.refuses(&w);
    // Nor may inactive rows stand between or behind active ones.
    let mut w = honest.clone();
    w.rows.swap(0, 15);
    scene.refuses(&w);
}

#[test]
fn two_rows_with_one_composite_are_refused() {
    let mut scene = two_payments();
    // Both payments at t = 0.
    scene.transfers[1].order = 0;
    scene.must_be_refused();
}

#[test]
fn a_row_that_does_not_go_on_where_the_last_one_stopped_is_refused() {
    let scene = two_payments();
    let honest = scene.honest();
    let second = row_at(&honest, 1, class::SIGNED, 1, 0);
    for change in 0..5 {
        let mut w = honest.clone();
        let row = &mut w.rows[second];
        match change {
            0 => (row.before, row.after) = (row.before + ONE, row.after + ONE),
            1 => row.nonce -= ONE,
            2 => row.asset += ONE,
            3 => row.owner += ONE,
            _ => row.key += ONE,
        }
        assert!(!judge(&w).satisfied(), "column {change}");
    }
}
