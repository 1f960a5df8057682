//! The verifier in Rust against the deployed bytecode, on the same calls: random batches of good and bad
//! records, and posts and calldata with something wrong in them. Both must accept or refuse, and for the
//! same reason where both can have one.
//!
//! `KERROS_CASES` is how many posts are judged, `KERROS_SEED` the first life's seed.

mod batches;
mod corruption;
mod life;
mod verdict;

use life::{Life, Scene};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use verdict::Tally;

/// Posts of a test run, unless told otherwise.
const CASES: u64 = 6_000;
/// Posts of one life of a rollup.
const LIFE: u64 = 150;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn rust_and_bytecode_agree_on_every_post() {
    let started = Instant::now();
    let cases = number("KERROS_CASES").unwrap_or(CASES);
    let first = number("KERROS_SEED").unwrap_or(1);
    println!("KERROS_SEED={first} KERROS_CASES={cases}");
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let live = || {
        let (scenes, mut tally) = (Scene::all(), Tally::default());
        loop {
            let life = next.fetch_add(1, Ordering::Relaxed);
            if life * LIFE >= cases {
                return tally;
            }
            let seed = first.wrapping_add(life);
            let scene = &scenes[usize::try_from(seed % scenes.len() as u64).expect("few")];
            Life::new(scene, seed, &mut tally).live(LIFE.min(cases - life * LIFE));
            if life % 100 == 99 {
                println!("{} posts, {:.0} s", (life + 1) * LIFE, started.elapsed().as_secs_f64());
            }
        }
    };
    let tally = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(live)).collect();
        running.into_iter().fold(Tally::default(), |mut sum, thread| {
            sum.merge(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            sum
        })
    });
    let seconds = started.elapsed().as_secs_f64();
    println!("{} posts in {seconds:.1} s by {threads} threads\n{tally}", tally.posts());
    if cases >= CASES {
        tally.assert_telling();
    }
}
