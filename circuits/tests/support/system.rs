//! System: which wires follow from others, and which overwrites are noticed.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, FftField, Field, PrimeField};
use kerros_circuits::builder::{Constraint, INPUT_COUNT, Terms, evaluate};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

const ONE: Fr = <Fr as Field>::ONE;
/// How many wires may follow together from constraints that hold two of them each.
const BLOCK: usize = 8;

/// Constraints with an assignment that satisfies them.
pub struct System<'a> {
    constraints: &'a [Constraint],
    assignment: &'a [Fr],
    sides: Vec<[Fr; 3]>,
    uses: Vec<Vec<u32>>,
}

/// Roots of unity of order 3 (r − 1 is divisible by 9) and 2^28.
fn unity() -> [Fr; 2] {
    static ROOTS: OnceLock<[Fr; 2]> = OnceLock::new();
    *ROOTS.get_or_init(|| {
        let minus_three = -Fr::from(3u64);
        let root = minus_three.sqrt().expect("r is 1 modulo 3");
        [(root - ONE) * Fr::from(2u64).inverse().expect("not 0"), Fr::TWO_ADIC_ROOT_OF_UNITY]
    })
}

/// What a wire is overwritten with.
fn overwrites(wire: usize, old: Fr) -> Vec<Fr> {
    let random = |salt: u8| {
        Fr::from_be_bytes_mod_order(&[wire as u8 ^ salt; 32]) * Fr::from(wire as u64 + 1)
    };
    let mut values = vec![Fr::ZERO, ONE, -old, old + ONE, old - ONE, old.double()];
    values.extend([random(0xa5), random(0x5a), old.inverse().unwrap_or(ONE)]);
    values.extend(unity().map(|root| root * old));
    values.extend([1, 16, 28, 32, 64, 160, 252].map(|k: u64| old + Fr::from(2u64).pow([k])));
    values
}

fn coefficient(terms: &Terms, wire: u32) -> Fr {
    terms.binary_search_by_key(&wire, |(w, _)| *w).map_or(Fr::ZERO, |at| terms[at].1)
}

impl<'a> System<'a> {
    pub fn new(constraints: &'a [Constraint], assignment: &'a [Fr]) -> Self {
        let side = |c: &Constraint| [&c.a, &c.b, &c.c].map(|terms| evaluate(terms, assignment));
        let sides: Vec<[Fr; 3]> = constraints.iter().map(side).collect();
        assert!(sides.iter().all(|[a, b, c]| *a * b == *c), "the honest assignment satisfies");
        let mut uses = vec![Vec::new(); assignment.len()];
        for (number, c) in constraints.iter().enumerate() {
            let wires: BTreeSet<u32> =
                [&c.a, &c.b, &c.c].into_iter().flatten().map(|(wire, _)| *wire).collect();
            wires.into_iter().for_each(|wire| uses[wire as usize].push(number as u32));
        }
        Self { constraints, assignment, sides, uses }
    }
    /// The constraints that notice `wire` taking `value`.
    fn noticing(&self, wire: usize, value: Fr) -> impl Iterator<Item = usize> {
        let change = value - self.assignment[wire];
        self.uses[wire].iter().map(|number| *number as usize).filter(move |number| {
            let constraint = &self.constraints[*number];
            let [a, b, c] = self.sides[*number];
            let moved = |terms| change * coefficient(terms, wire as u32);
            let (da, db, dc) = (moved(&constraint.a), moved(&constraint.b), moved(&constraint.c));
            (a + da) * (b + db) != c + dc
        })
    }
    /// Whether some constraint notices `wire` taking `value`.
    pub fn notices(&self, wire: usize, value: Fr) -> bool {
        self.noticing(wire, value).next().is_some()
    }
    /// Constraints that alone notice some overwrite of some wire.
    pub fn alone(&self) -> BTreeSet<usize> {
        let mut alone = BTreeSet::new();
        for wire in INPUT_COUNT..self.assignment.len() {
            let old = self.assignment[wire];
            for value in overwrites(wire, old).into_iter().filter(|value| *value != old) {
                let mut noticing = self.noticing(wire, value);
                if let (Some(row), None) = (noticing.next(), noticing.next()) {
                    alone.insert(row);
                }
            }
        }
        alone
    }
    /// Wires that can take one of the values unnoticed.
    pub fn overwritable(&self) -> Vec<usize> {
        (INPUT_COUNT..self.assignment.len())
            .filter(|wire| {
                let old = self.assignment[*wire];
                overwrites(*wire, old)
                    .iter()
                    .any(|value| *value != old && !self.notices(*wire, *value))
            })
            .collect()
    }
    /// A wire that influences nothing: in one constraint only, and multiplied by 0 there.
    pub fn is_idle_hint(&self, wire: usize) -> bool {
        let [number] = self.uses[wire][..] else { return false };
        let (constraint, [a, b, _]) =
            (&self.constraints[number as usize], self.sides[number as usize]);
        let on = |terms: &Terms| coefficient(terms, wire as u32) != Fr::ZERO;
        let idle_a = !on(&constraint.a) || b == Fr::ZERO;
        let idle_b = !on(&constraint.b) || a == Fr::ZERO;
        idle_a && idle_b && !on(&constraint.c)
    }
    /// The wires of a constraint that are not known, at most four of them; a factor that is
    /// known to be 0 hides the other one.
    pub fn unknowns(&self, number: usize, known: &[bool]) -> BTreeSet<u32> {
        let (constraint, [a, b, _]) = (&self.constraints[number], self.sides[number]);
        let open = |terms: &Terms| terms.iter().any(|(w, _)| !known[*w as usize]);
        let hides_b = !open(&constraint.a) && a == Fr::ZERO;
        let hides_a = !open(&constraint.b) && b == Fr::ZERO;
        let mut unknown = BTreeSet::new();
        for (terms, hidden) in
            [(&constraint.a, hides_a), (&constraint.b, hides_b), (&constraint.c, false)]
        {
            for (wire, _) in terms.iter().filter(|(w, _)| !hidden && !known[*w as usize]) {
                unknown.insert(*wire);
                if unknown.len() > 3 {
                    return unknown;
                }
            }
        }
        unknown
    }
    pub fn derivative(&self, number: usize, wire: u32) -> Fr {
        let (constraint, [a, b, _]) = (&self.constraints[number], self.sides[number]);
        coefficient(&constraint.a, wire) * b + coefficient(&constraint.b, wire) * a
            - coefficient(&constraint.c, wire)
    }
    /// Whether a constraint fixes its only unknown `wire`, up to finitely many values: it is not constant
    /// in it. (A double root has no derivative: f·(active − f) = 0 in an unused slot.)
    fn fixes(&self, number: usize, wire: u32) -> bool {
        let constraint = &self.constraints[number];
        let square = coefficient(&constraint.a, wire) * coefficient(&constraint.b, wire);
        square != Fr::ZERO || self.derivative(number, wire) != Fr::ZERO
    }
    /// Small sets of wires with the constraints that have no other unknown: the constraints with
    /// two unknowns that hang together, and those with the same three unknowns or two of them.
    pub fn blocks(&self, known: &[bool]) -> Vec<(BTreeSet<u32>, Vec<usize>)> {
        let mut blocks: Vec<(BTreeSet<u32>, Vec<usize>)> = Vec::new();
        let mut block_of: BTreeMap<u32, usize> = BTreeMap::new();
        let mut triples: BTreeMap<BTreeSet<u32>, Vec<usize>> = BTreeMap::new();
        let mut pairs: BTreeMap<BTreeSet<u32>, Vec<usize>> = BTreeMap::new();
        for number in 0..self.constraints.len() {
            let mut wires = self.unknowns(number, known);
            match wires.len() {
                2 => pairs.entry(wires.clone()).or_default().push(number),
                3 => {
                    triples.entry(wires).or_default().push(number);
                    continue;
                }
                _ => continue,
            }
            let mut numbers = vec![number];
            let touched: BTreeSet<usize> =
                wires.iter().filter_map(|wire| block_of.get(wire).copied()).collect();
            for block in touched {
                let (more, others) = std::mem::take(&mut blocks[block]);
                wires.extend(more);
                numbers.extend(others);
            }
            block_of.extend(wires.iter().map(|wire| (*wire, blocks.len())));
            blocks.push((wires, numbers));
        }
        for (wires, mut numbers) in triples {
            for left_out in &wires {
                let pair = wires.iter().copied().filter(|wire| wire != left_out).collect();
                numbers.extend(pairs.get::<BTreeSet<u32>>(&pair).into_iter().flatten());
            }
            blocks.push((wires, numbers));
        }
        blocks.retain(|(wires, _)| (1..=BLOCK).contains(&wires.len()));
        blocks
    }
    /// Whether the gradients of the constraints have full rank on the wires.
    pub fn isolates(&self, wires: &BTreeSet<u32>, numbers: &[usize]) -> bool {
        let gradient = |number: &usize| -> Vec<Fr> {
            wires.iter().map(|wire| self.derivative(*number, *wire)).collect()
        };
        let mut rows: Vec<Vec<Fr>> = numbers.iter().map(gradient).collect();
        for column in 0..wires.len() {
            let Some(at) = rows.iter().position(|row| row[column] != Fr::ZERO) else {
                return false;
            };
            let pivot = rows.swap_remove(at);
            for row in &mut rows {
                let factor = row[column] / pivot[column];
                row.iter_mut().zip(&pivot).for_each(|(entry, p)| *entry -= factor * p);
            }
        }
        true
    }
    /// Wires that do not follow from the `known` ones.
    pub fn undetermined(&self, known: &BTreeSet<usize>) -> Vec<usize> {
        let mut known: Vec<bool> = (0..self.assignment.len()).map(|w| known.contains(&w)).collect();
        known[0] = true;
        loop {
            let mut progress = false;
            for number in 0..self.constraints.len() {
                let unknown = self.unknowns(number, &known);
                if let (1, Some(wire)) = (unknown.len(), unknown.first())
                    && self.fixes(number, *wire)
                {
                    known[*wire as usize] = true;
                    progress = true;
                }
            }
            if progress {
                continue;
            }
            for (wires, numbers) in self.blocks(&known) {
                if self.isolates(&wires, &numbers) {
                    wires.iter().for_each(|wire| known[*wire as usize] = true);
                    progress = true;
                }
            }
            if !progress {
                return (0..known.len()).filter(|wire| !known[*wire]).collect();
            }
        }
    }
    /// Flags `f·(active − f) = 0` where both are 0.
    pub fn double_roots(&self) -> usize {
        let is_flag = |c: &Constraint| match c.a[..] {
            [(wire, _)] => c.c.is_empty() && coefficient(&c.b, wire) == -ONE,
            _ => false,
        };
        let zipped = self.constraints.iter().zip(&self.sides);
        zipped.filter(|(c, [a, b, _])| is_flag(c) && *a == Fr::ZERO && *b == Fr::ZERO).count()
    }
    /// How many directions the wires that are not `known` can move in together, to first order: their number
    /// less the rank of the constraints' gradients. Sparse elimination, the shortest row first.
    pub fn free_directions(&self, known: &BTreeSet<usize>) -> usize {
        let unknown = |wire: usize| wire > 0 && !known.contains(&wire);
        let mut columns: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.assignment.len()];
        let mut rows: Vec<BTreeMap<usize, Fr>> = vec![BTreeMap::new(); self.constraints.len()];
        for (wire, uses) in self.uses.iter().enumerate().filter(|(wire, _)| unknown(*wire)) {
            for number in uses.iter().map(|number| *number as usize) {
                let slope = self.derivative(number, wire as u32);
                if slope != Fr::ZERO {
                    rows[number].insert(wire, slope);
                    columns[wire].insert(number);
                }
            }
        }
        let numbered = rows.iter().enumerate();
        let mut shortest: BTreeSet<(usize, usize)> =
            numbered.map(|(at, row)| (row.len(), at)).collect();
        let mut rank = 0;
        while let Some((_, at)) = shortest.pop_first() {
            let row = std::mem::take(&mut rows[at]);
            let Some(pivot) = row.keys().copied().min_by_key(|wire| columns[*wire].len()) else {
                continue;
            };
            rank += 1;
            row.keys().for_each(|wire| _ = columns[*wire].remove(&at));
            let inverse = row[&pivot].inverse().expect("only what is not 0 is kept");
            for other in std::mem::take(&mut columns[pivot]) {
                shortest.remove(&(rows[other].len(), other));
                let factor = rows[other].remove(&pivot).expect("the column says so") * inverse;
                for (wire, slope) in row.iter().filter(|(wire, _)| **wire != pivot) {
                    let entry = rows[other].entry(*wire).or_insert(Fr::ZERO);
                    *entry -= factor * slope;
                    match *entry == Fr::ZERO {
                        true => _ = (rows[other].remove(wire), columns[*wire].remove(&other)),
                        false => _ = columns[*wire].insert(other),
                    }
                }
                shortest.insert((rows[other].len(), other));
            }
        }
        (0..self.assignment.len()).filter(|wire| unknown(*wire)).count() - rank
    }
}
