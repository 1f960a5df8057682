//! The adversarial prover: β and z are known before the witness is fixed, and for every harm and every
//! column of the table he solves the identities for that column, or for two columns of free size.
//!
//! He knows β and z because his circuit does not absorb what he solves for: they are drawn from a sponge
//! that leaves exactly those elements out. So each success shows two things at once: that circuit would
//! take the harm, hence h needs the element; and under challenges drawn from the real h the same witness is
//! refused.

use crate::ONE;
use crate::harms::{Harm, harms};
use crate::identities::{Residuals, residuals};
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::batch::BatchWitness;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const ZERO: Residuals = [Fr::ZERO; 7];

/// What solving for a kind of column came to, over all harms.
#[derive(Default)]
struct Found {
    /// Harms that it lets through by itself.
    alone: BTreeSet<&'static str>,
    /// Harms that it lets through together with another column.
    together: BTreeMap<&'static str, String>,
    /// Solutions outside the column's range.
    beyond: usize,
    /// Solutions in its range that another constraint refuses: a signature, an unused slot.
    refused: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { alone, together, beyond, refused } = self;
        let partner = together.values().next().map_or(String::new(), |other| format!(", {other}"));
        let (alone, together) = (alone.len(), together.len());
        write!(f, "harms let through alone {alone}, with another {together}{partner}; ")?;
        write!(f, "solutions out of range {beyond}, refused otherwise {refused}")
    }
}

/// Wallets that the adversary has sign the transfers whose message changed.
fn settle(w: &mut BatchWitness, harm: &Harm, solved: &[Column]) {
    for column in solved.iter().filter(|column| column.section == "T") {
        let held = w.transfers[column.slot].key;
        if let Some(signer) = harm.signs.iter().find(|signer| key(**signer).get() == held) {
            resign(w, column.slot, *signer);
        }
    }
}

fn with(w: &BatchWitness, values: &[(Column, Fr)]) -> BatchWitness {
    let mut w = w.clone();
    values.iter().for_each(|(column, value)| *cell(&mut w, column) = *value);
    w
}

fn plus(w: &BatchWitness, column: &Column, step: Fr) -> BatchWitness {
    let mut w = w.clone();
    *cell(&mut w, column) += step;
    w
}

/// Roots of `a·t² + b·t + c`.
fn roots(a: Fr, b: Fr, c: Fr) -> Vec<Fr> {
    if a == Fr::ZERO {
        return b.inverse().map(|inverse| -c * inverse).into_iter().collect();
    }
    let half = a.double().inverse().unwrap();
    let root = (b.square() - a * c * fr(4)).sqrt();
    root.into_iter().flat_map(|root| [(root - b) * half, (-root - b) * half]).collect()
}

/// Values of one column at which every identity holds.
fn alone(harm: &Harm, column: &Column, (beta, z): (Fr, Fr)) -> Vec<Fr> {
    let (w, claim) = (&harm.witness, harm.claim());
    if ["index", "from", "to"].contains(&column.name) {
        // x is no polynomial in the index, but there are few of them.
        let holds = |value: &Fr| residuals(&with(w, &[(*column, *value)]), &claim, beta, z) == ZERO;
        return (0..u64::from(harm.before.size())).map(fr).filter(holds).collect();
    }
    let at = |t: Fr| residuals(&plus(w, column, t), &claim, beta, z);
    let [zero, one, two] = [Fr::ZERO, ONE, ONE.double()].map(at);
    let broken = (0..7).find(|i| zero[*i] != Fr::ZERO).expect("a harm breaks an identity");
    let slope = one[broken] - zero[broken];
    let bend = (two[broken] - one[broken] - slope) * fr(2).inverse().unwrap();
    let found = roots(bend, slope - bend, zero[broken]);
    let own = *cell(&mut w.clone(), column);
    let steps = found.into_iter().filter(|t| *t != Fr::ZERO && at(*t) == ZERO);
    steps.map(|t| own + t).collect()
}

/// Steps of two columns at which every identity vanishes, if it is linear in them.
fn balance(start: &Residuals, first: &Residuals, second: &Residuals) -> Option<[Fr; 2]> {
    let slope = |r: &Residuals| -> [Fr; 7] { std::array::from_fn(|i| r[i] - start[i]) };
    let (a, b) = (slope(first), slope(second));
    for i in 0..7 {
        for j in i + 1..7 {
            if let Some(inverse) = (a[i] * b[j] - a[j] * b[i]).inverse() {
                let s = (b[i] * start[j] - b[j] * start[i]) * inverse;
                let t = (a[j] * start[i] - a[i] * start[j]) * inverse;
                let holds = (0..7).all(|k| start[k] + s * a[k] + t * b[k] == Fr::ZERO);
                return (holds && s != Fr::ZERO && t != Fr::ZERO).then_some([s, t]);
            }
        }
    }
    None
}

/// Whether the harm is taken by a circuit that leaves the solved elements out of h. The real one refuses.
fn profits(harm: &Harm, values: &[(Column, Fr)], known: (Fr, Fr)) -> bool {
    let solved: Vec<Column> = values.iter().map(|(column, _)| *column).collect();
    let mut w = with(&harm.witness, values);
    settle(&mut w, harm, &solved);
    if !harm.taken(&w, |_| known) {
        return false;
    }
    let left_out: Vec<usize> = solved.iter().map(|column| column.element).collect();
    let own = challenges(sponge_without(&w, &left_out));
    assert_eq!(own, known, "{}: h does not see the solution", harm.name);
    assert!(!harm.taken(&w, challenges), "{}: taken by the real circuit", harm.name);
    true
}

fn known(harm: &Harm, columns: &[&Column]) -> (Fr, Fr) {
    let left_out: Vec<usize> = columns.iter().map(|column| column.element).collect();
    challenges(sponge_without(&harm.witness, &left_out))
}

#[test]
fn the_native_identities_hold_for_honest_batches_and_no_harm() {
    let (beta, z) = (fr(0x1234_5678), fr(0x9abc_def0));
    for harm in harms() {
        let broken = residuals(&harm.witness, &harm.claim(), beta, z);
        assert_ne!(broken, ZERO, "{}", harm.name);
        assert!(!harm.taken(&harm.witness, |_| (beta, z)), "{}", harm.name);
        assert!(!harm.taken(&harm.witness, challenges), "{}", harm.name);
    }
    let scene = Scene::everything();
    let executed = scene.execute().unwrap();
    let posted = scene.sealed().data.elements(&shape());
    let claim = crate::identities::Claim { before: &scene.before, after: &executed.after, posted };
    assert_eq!(residuals(&executed.witness, &claim, beta, z), ZERO);
}

#[test]
fn each_column_of_free_size_would_let_a_harm_through_and_no_other_would() {
    let columns = columns();
    let mut found: BTreeMap<(&str, &str), Found> = BTreeMap::new();
    for harm in harms() {
        let does_it = |column: &Column| harm.does_it.contains(&column.to_string().as_str());
        let usable: Vec<&Column> = columns.iter().filter(|column| !does_it(column)).collect();
        // The real circuit attacked directly: its h would have to stay.
        let drawn = challenges(judge(&harm.witness).outputs.h);
        for column in &usable {
            for value in alone(&harm, column, drawn) {
                let mut w = with(&harm.witness, &[(**column, value)]);
                settle(&mut w, &harm, &[**column]);
                assert!(!harm.taken(&w, challenges), "{}: {column} is not bound", harm.name);
            }
            let entry = found.entry((column.section, column.name)).or_default();
            let known = known(&harm, &[column]);
            for value in alone(&harm, column, known) {
                // The table's ranges are those of gaps: the circuit says.
                let fits = fits(value, column.bits) && column.section != "touched";
                match profits(&harm, &[(**column, value)], known) {
                    true if column.bits == FIELD => _ = entry.alone.insert(harm.name),
                    true => panic!("{}: {column} has room", harm.name),
                    false if fits => entry.refused += 1,
                    false => entry.beyond += 1,
                }
            }
        }
        let free: Vec<&Column> = usable.into_iter().filter(|c| c.bits == FIELD).collect();
        let of = |w: &BatchWitness, (beta, z)| residuals(w, &harm.claim(), beta, z);
        // Which pairs are worth it shows under any challenges.
        let any = known(&harm, &[]);
        let start = of(&harm.witness, any);
        let moved: Vec<Residuals> =
            free.iter().map(|column| of(&plus(&harm.witness, column, ONE), any)).collect();
        for (at, first) in free.iter().enumerate() {
            for (behind, second) in free.iter().enumerate().skip(at + 1) {
                if balance(&start, &moved[at], &moved[behind]).is_none() {
                    continue;
                }
                let known = known(&harm, &[first, second]);
                let start = of(&harm.witness, known);
                let [a, b] =
                    [first, second].map(|column| of(&plus(&harm.witness, column, ONE), known));
                let Some(steps) = balance(&start, &a, &b) else { continue };
                let mut w = harm.witness.clone();
                let values: Vec<(Column, Fr)> = [first, second]
                    .into_iter()
                    .zip(steps)
                    .map(|(column, step)| (**column, *cell(&mut w, column) + step))
                    .collect();
                if of(&with(&harm.witness, &values), known) == ZERO
                    && profits(&harm, &values, known)
                {
                    for (column, other) in [(first, second), (second, first)] {
                        let entry = found.entry((column.section, column.name)).or_default();
                        entry.together.insert(harm.name, format!("{other} in {:?}", harm.name));
                    }
                }
            }
        }
    }
    let mut wrong = Vec::new();
    for column in &columns {
        let found = &found[&(column.section, column.name)];
        let room = !found.alone.is_empty() || !found.together.is_empty();
        // A transfer's key is of free size, but somebody must be able to sign with it.
        let expected = column.bits == FIELD && (column.section, column.name) != ("T", "key");
        if room != expected {
            wrong.push(column.to_string());
        }
        if column.slot == 0 {
            println!("{}.{}: {found}", column.section, column.name);
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "room where none is expected, or none where some is");
}
