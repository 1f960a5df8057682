//! Deletion of constraints: whatever call in the source makes a constraint, without it an attack succeeds.
//!
//! Every constraint knows the chain of calls that made it. A *site* is such a chain, and every place
//! in the source that is part of one has to be deletable: all constraints of the chains through it.
//! An attack is an assignment and the constraints that refuse it. It succeeds without a site if
//! they all are of that site. Attacks come from two sources: batches that break a rule, and a search that overwrites the wire of one constraint in good batches, or solves for it in
//! batches that one equation refuses. What counts as success:
//!
//! - *taken*: the opening is the state's as well, so the main chain takes the batch;
//! - *claim*: the circuit takes it, with another y, A, Δ or Z than the records' or the state's: only the
//!   main chain's opening is left to refuse it;
//! - *relation*: only a signature's last equation, h = Poseidon(R8, A, M), is left to refuse an
//!   R8 that is not S·B8 − 8h·A.
//!
//! `KERROS_WITHOUT='circuits/src/access.rs:139' cargo test --release --workspace --test refusals`
//! runs the other tests without a site (`--test free_wires` as well); `…#3` without its fourth constraint alone.

#![allow(clippy::unwrap_used)] // a test may panic

mod batches;
mod numbers;
mod rules;
mod signatures;
#[path = "../support/mod.rs"]
mod support;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::builder::{Constraint, INPUT_COUNT, evaluate};
use std::collections::{BTreeMap, BTreeSet};
use support::*;

const ONE: Fr = <Fr as Field>::ONE;
const ZERO: Fr = <Fr as AdditiveGroup>::ZERO;

/// An assignment that the circuit refuses.
pub struct Attack {
    name: String,
    violated: Vec<usize>,
    assignment: Vec<Fr>,
    kind: Kind,
}

/// What follows if the circuit did not refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Taken,
    Claim,
    Nothing,
}

impl Attack {
    fn new(name: &str, scene: &Scene, w: &BatchWitness, wires: &[(usize, Fr)]) -> Self {
        Self::against(name, scene, w, wires, None)
    }
    fn against(
        name: &str,
        scene: &Scene,
        w: &BatchWitness,
        wires: &[(usize, Fr)],
        honest: Option<&Verdict>,
    ) -> Self {
        let verdict = judge_overwritten(w, wires.iter().copied(), challenges);
        let same_records = honest.is_some_and(|honest| honest.outputs.h == verdict.outputs.h);
        let kind = match honest {
            Some(honest) if honest.outputs == verdict.outputs => Kind::Nothing,
            Some(_) if same_records => Kind::Claim,
            _ if verdict.opens(&scene.before, w) => Kind::Taken,
            _ => Kind::Claim,
        };
        Self {
            name: name.to_owned(),
            violated: verdict.violated,
            assignment: verdict.assignment,
            kind,
        }
    }
}

/// `condition·(challenge − h) = 0`: the last constraint of each signature.
fn signature_checks() -> BTreeSet<usize> {
    let h: BTreeSet<u32> = recorded()
        .names
        .iter()
        .filter(|(name, _)| name.ends_with("].h"))
        .map(|(_, w)| *w)
        .collect();
    let is_check = |c: &Constraint| {
        c.c.is_empty() && c.b.iter().any(|(w, k)| h.contains(w) && *k == -ONE) && c.b.len() > 3
    };
    (0..compiled().constraints.len())
        .filter(|row| is_check(&compiled().constraints[*row]))
        .collect()
}

fn good_batches() -> Vec<Scene> {
    let mut half = Scene::new();
    half.open(6, 6, 1);
    half.pay(1, 1, 6, 100, 10);
    half.collect(2, 10);
    half.force(9, wallet(9).1);
    vec![Scene::everything(), half]
}

/// The root of a polynomial of degree two at most through its values at 0, 1, 2; 3 is to confirm it.
fn root([f0, f1, f2, f3]: [Fr; 4]) -> Option<Fr> {
    let two = ONE.double();
    let a = (f2 - f1.double() + f0) / two;
    let b = f1 - f0 - a;
    if f0 + b * fr(3) + a * fr(9) != f3 {
        return None;
    }
    if a == ZERO {
        return (b != ZERO).then(|| -f0 / b);
    }
    let root = (b * b - a * f0 * fr(4)).sqrt()?;
    Some((root - b) / (a * two))
}

fn residual(row: usize, assignment: &[Fr]) -> Fr {
    let c = &compiled().constraints[row];
    let [a, b, c] = [&c.a, &c.b, &c.c].map(|terms| evaluate(terms, assignment));
    a * b - c
}

struct Search {
    good: Vec<(Scene, BatchWitness, Verdict)>,
    unmended: Vec<(&'static str, Scene, BatchWitness, usize)>,
    checks: BTreeSet<usize>,
}

impl Search {
    fn new() -> Self {
        let good = good_batches().into_iter().map(|scene| {
            let w = scene.honest();
            let verdict = judge(&w);
            (scene, w, verdict)
        });
        let checks = signature_checks();
        let unmended = signatures::unmended().into_iter().map(|(name, scene, w)| {
            let mut violated = judge(&w).violated;
            violated.retain(|row| !checks.contains(row));
            assert_eq!(violated.len(), 1, "{name}: {violated:?}");
            (name, scene, w, violated[0])
        });
        let unmended = unmended.collect();
        Self { good: good.collect(), unmended, checks }
    }
    /// Whether an attack succeeds without these constraints, and how.
    fn success(&self, attack: &Attack, rows: &BTreeSet<usize>) -> Option<&'static str> {
        let mut others = attack.violated.iter().filter(|row| !rows.contains(row));
        if attack.violated.iter().all(|row| !rows.contains(row)) {
            return None;
        }
        match (others.next(), others.next(), attack.kind) {
            (None, _, Kind::Taken) => Some("taken"),
            (None, _, Kind::Claim) => Some("claim"),
            (Some(row), None, _) if self.checks.contains(row) => Some("relation"),
            _ => None,
        }
    }
    /// An attack on the wire that some constraint of the site makes.
    fn overwrite(&self, rows: &BTreeSet<usize>) -> Option<(Attack, &'static str)> {
        let step = (rows.len() / 2).max(1);
        for row in rows.iter().step_by(step) {
            let c = &compiled().constraints[*row];
            let wires = [&c.a, &c.b, &c.c].into_iter().flatten().map(|(w, _)| *w as usize);
            let Some(wire) = wires.max().filter(|w| *w >= INPUT_COUNT) else { continue };
            for (scene, w, honest) in &self.good {
                let value = honest.assignment[wire] + ONE;
                let attack =
                    Attack::against("overwritten", scene, w, &[(wire, value)], Some(honest));
                if let Some(how) = self.success(&attack, rows) {
                    return Some((attack, how));
                }
            }
        }
        None
    }
    /// A wire that makes the equation hold that a batch is refused by.
    fn solve(&self, rows: &BTreeSet<usize>) -> Option<(Attack, &'static str)> {
        for (name, scene, w, target) in &self.unmended {
            for row in rows.iter().take(17) {
                let c = &compiled().constraints[*row];
                let wires = [&c.a, &c.b, &c.c].into_iter().flatten().map(|(w, _)| *w as usize);
                let Some(wire) = wires.max().filter(|w| *w >= INPUT_COUNT) else { continue };
                let at = |value| judge_overwritten(w, [(wire, value)], challenges);
                let first = at(ZERO);
                let expected =
                    |r: &usize| rows.contains(r) || r == target || self.checks.contains(r);
                if !first.violated.iter().all(expected) {
                    continue;
                }
                let values = [1, 2, 3].map(|v| residual(*target, &at(fr(v)).assignment));
                let Some(value) =
                    root([residual(*target, &first.assignment), values[0], values[1], values[2]])
                else {
                    continue;
                };
                let attack = Attack::new(name, scene, w, &[(wire, value)]);
                if let Some(how) = self.success(&attack, rows) {
                    return Some((attack, how));
                }
            }
        }
        None
    }
}

/// Sites without which no attack is known: what is written at places of theirs, and why.
const JUSTIFIED: [(&[&str], &str); 2] = [
    (
        &["let first = flag("],
        "first = f puts 1 + f·(z − x − 1) into Z and first·(index − filler) + filler into the table: \
         where another f than 0 and 1 is a value of the table, Z is no product of z − x_i, and the \
         opening refuses it; an unused slot with f = 1 puts a second 0 into the table",
    ),
    (
        &["b.enforce(value, &inverse, &flag);", "let active = is_nonzero(b, &first);"],
        "a record of zeros that is active has the asset 0, which the next rule refuses",
    ),
];

/// Whether what is written at each of these places of a site is what a justification says.
fn is_justified(site: &str, places: &[&str]) -> bool {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    let line = |place: &str| {
        let mut parts = place.split(':');
        let text = std::fs::read_to_string(format!("{root}{}", parts.next()?)).ok()?;
        let number: usize = parts.next()?.parse().ok()?;
        text.lines().nth(number - 1).map(|line| line.trim().to_owned())
    };
    let lines: Vec<String> = site.split(" < ").filter_map(line).collect();
    places.iter().all(|place| lines.iter().any(|line| line.starts_with(place)))
}

#[test]
fn without_any_call_that_makes_constraints_an_attack_succeeds() {
    let search = Search::new();
    let mut pool = numbers::numbers();
    pool.extend(rules::ranges());
    pool.extend(rules::flags());
    pool.extend(rules::handed_on());
    pool.extend(signatures::signatures());
    pool.extend(signatures::outputs());
    let unmended = signatures::unmended();
    pool.extend(unmended.iter().map(|(name, scene, w)| Attack::new(name, scene, w, &[])));
    // KERROS_ATTACKS=1 prints what refuses each.
    if std::env::var("KERROS_ATTACKS").is_ok() {
        for attack in &pool {
            let sites = attack.violated.iter().take(4).map(|row| site_of(*row)).collect::<Vec<_>>();
            println!("{:?} {} {} {sites:?}", attack.kind, attack.name, attack.violated.len());
        }
    }
    let (mut killed, mut survivors) = (BTreeMap::new(), Vec::new());
    for (site, rows) in &recorded().sites {
        let rows: BTreeSet<usize> = rows.iter().copied().collect();
        let known = pool
            .iter()
            .find_map(|attack| Some((search.success(attack, &rows)?, attack.name.clone())));
        let found = known.or_else(|| {
            let (attack, how) = search.overwrite(&rows).or_else(|| search.solve(&rows))?;
            let name = (how, attack.name.clone());
            pool.push(attack);
            Some(name)
        });
        match found {
            Some((how, name)) => {
                *killed.entry(how).or_insert(0) += 1;
                println!("{how:8} {site}: {name}");
            }
            None => survivors.push(site.as_str()),
        }
    }
    let total: usize = killed.values().sum();
    println!("{total} of {} sites: {killed:?}", recorded().sites.len());
    let places: BTreeSet<&str> = recorded().sites.keys().flat_map(|s| s.split(" < ")).collect();
    println!("{} places in the source", places.len());
    for (places, why) in JUSTIFIED {
        let (explained, rest): (Vec<&str>, Vec<&str>) =
            survivors.into_iter().partition(|site| is_justified(site, places));
        survivors = rest;
        println!("survive, because {why}: {explained:#?}");
        assert!(!explained.is_empty(), "nothing is left to justify by {places:?}");
    }
    assert!(survivors.is_empty(), "no attack succeeds without {survivors:#?}");
}

/// A single wire that changes is noticed by the constraint that makes it and by those that use it. This
/// counts the constraints that some change needs to be noticed at all; for the others the attacks
/// above change what follows as well.
#[test]
fn constraints_that_alone_notice_the_change_of_one_wire() {
    let mut alone = BTreeSet::new();
    for scene in good_batches() {
        let assignment = judge(&scene.honest()).assignment;
        alone.extend(System::new(&compiled().constraints, &assignment).alone());
    }
    let touched = |rows: &Vec<usize>| rows.iter().any(|row| alone.contains(row));
    let sites = recorded().sites.values().filter(|rows| touched(rows)).count();
    assert_eq!((alone.len(), sites), (2_350, 54), "of 23,319 constraints and 265 sites");
}

fn site_of(row: usize) -> &'static str {
    recorded().sites.iter().find(|(_, rows)| rows.contains(&row)).map_or("", |(site, _)| site)
}
