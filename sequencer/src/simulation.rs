//! A deterministic simulation of the whole sequencer: admission, ordering, sealing, leases, posting.
//!
//! The production code runs on one thread in steps whose order a seed decides, with a clock, a
//! disk, clients, provers and a main chain that fail as the seed will have it. The same seed gives
//! the same life, to the last signature. `Bug`s are planted to show that each would be found.
//!
//! `KERROS_SIMULATION_SEEDS=1000000 cargo test --release --workspace --lib -- simulation::seeds`
//! runs a million seeds, `KERROS_SIMULATION_SEED=17` one.

mod chain;
mod client;
mod process;
mod setup;
mod store;
mod truth;
mod world;

use crate::planted::{Bug, plant};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use world::{Report, World};

/// Seeds that every run tries.
const SEEDS: u64 = 1_000;
/// Seeds in which a planted bug must be found.
const SEEDS_PER_BUG: u64 = 3_000;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    format!("panic: {}", text.unwrap_or_else(|| "without a word".to_owned()))
}

/// A seed's life.
fn live(seed: u64) -> Result<Report, String> {
    let life = catch_unwind(AssertUnwindSafe(|| World::new(seed).run()));
    life.unwrap_or_else(|panic| Err(said(&*panic)))
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Panics of planted bugs are expected and would only fill the log.
fn be_quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(true);
}

#[test]
fn seeds() {
    let (from, count) = match from_environment("KERROS_SIMULATION_SEED") {
        Some(seed) => (seed, 1),
        None => (0, from_environment("KERROS_SIMULATION_SEEDS").unwrap_or(SEEDS)),
    };
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let work = |first: u64| {
            move || {
                let seeds = (from + first..from + count).step_by(workers as usize);
                let live = |seed| match live(seed) {
                    Ok(report) => report,
                    Err(error) => panic!("seed {seed}: {error}"),
                };
                seeds.map(live).collect::<Vec<_>>()
            }
        };
        let threads: Vec<_> = (0..workers).map(|first| scope.spawn(work(first))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a seed failed")).collect()
    });
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let kinds = [
        ("acknowledged", sum(|r| r.acknowledged as u64)),
        ("asked again", sum(|r| r.again)),
        ("refused", sum(|r| r.refused)),
        ("batches final", sum(|r| r.batches)),
        ("crashes", sum(|r| r.crashes.into())),
        ("disk errors", sum(|r| r.disk_errors.into())),
        ("reorganisations", sum(|r| r.reorganisations.into())),
        ("lost tails", sum(|r| r.lost_tails.into())),
    ];
    println!("{count} seeds: {kinds:?}");
    if count >= SEEDS {
        // A world in which nothing goes wrong shows nothing.
        kinds.iter().for_each(|(what, count)| assert!(*count > 50, "{what}: {count}"));
    }
}

#[test]
fn the_same_seed_gives_the_same_life() {
    for seed in 0..10 {
        let [one, other] = [live(seed), live(seed)];
        assert_eq!(one.expect("lives"), other.expect("lives"), "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    be_quiet();
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        plant(Some(bug));
        let found = (0..SEEDS_PER_BUG).find_map(|seed| live(seed).err().map(|why| (seed, why)));
        plant(None);
        match found {
            Some((seed, why)) => println!("{bug:?}: seed {seed}: {why}"),
            None => missed.push(bug),
        }
    }
    QUIET.set(false);
    assert!(missed.is_empty(), "not found in {SEEDS_PER_BUG} seeds: {missed:?}");
}
