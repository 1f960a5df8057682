//! Sites: which call in the source made a constraint, and which wire has which name.

use super::{DOMAIN, K, challenges, fr, shape};
use kerros_circuits::batch::{BatchWitness, synthesize};
use kerros_circuits::builder::Builder;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::OnceLock;

/// What a builder records besides the constraints.
pub struct Recorded {
    pub names: BTreeMap<String, u32>,
    /// The constraints of each chain of calls, the chain written as `inner < outer < …`.
    pub sites: BTreeMap<String, Vec<usize>>,
}

/// Names and sites of the circuit.
pub fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let mut b = Builder::recording();
        let witness = BatchWitness::empty(&shape(), K, fr(DOMAIN));
        match synthesize(&mut b, &shape(), &witness, |h| Ok::<_, Infallible>(challenges(h))) {
            Ok(_) => Recorded::new(&b),
            Err(never) => match never {},
        }
    })
}

impl Recorded {
    pub fn new(b: &Builder) -> Self {
        let mut rows: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (row, chain) in b.sites().of_constraints().iter().enumerate() {
            rows.entry(*chain).or_default().push(row);
        }
        let text = |chain| {
            let places = b.sites().places(chain).into_iter();
            let place = |p: &std::panic::Location<'_>| {
                let file = p.file().rsplit_once("circuits/").map_or(p.file(), |(_, file)| file);
                format!("circuits/{file}:{}:{}", p.line(), p.column())
            };
            places.map(place).collect::<Vec<_>>().join(" < ")
        };
        let sites = rows.into_iter().map(|(chain, rows)| (text(chain), rows)).collect();
        Self { names: b.names().iter().cloned().collect(), sites }
    }
    /// The constraints that a call made: `circuits/src/access.rs:88`, with a column or without, or
    /// several such places joined by ` < `, the innermost first; `…#k` for the k-th of them alone.
    pub fn rows_at(&self, site: &str) -> BTreeSet<usize> {
        let (site, instance) = match site.split_once('#') {
            Some((site, k)) => (site, Some(k.parse::<usize>().expect("#k is a number"))),
            None => (site, None),
        };
        let wanted: Vec<&str> = site.split(" < ").collect();
        let is = |place: &str, wanted: &str| {
            place.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        let fits = |chain: &str| {
            let places: Vec<&str> = chain.split(" < ").collect();
            let mut windows = places.windows(wanted.len());
            windows.any(|window| window.iter().zip(&wanted).all(|(p, w)| is(p, w)))
        };
        let fitting = self.sites.iter().filter(|(chain, _)| fits(chain));
        let rows: BTreeSet<usize> = fitting.flat_map(|(_, rows)| rows.iter().copied()).collect();
        match instance {
            Some(k) => rows.into_iter().nth(k).into_iter().collect(),
            None => rows,
        }
    }
}
