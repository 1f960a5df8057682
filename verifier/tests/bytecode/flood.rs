//! Floods of requests against an operator that serves exactly as fast as it must, and one that is a
//! second slower. SPEC.md section 7 states the condition that is met here to the second.

use crate::price::{forced, served};
use crate::rollup::{Rollup, operator, person};
use alloy::primitives::{Address, U256};
use kerros_protocol::batch::BatchData;
use kerros_verifier::contract::{Kerros, KerrosErrors as E, Revert};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Deposits and exits a batch has room for.
const DEPOSITS: usize = 3;
const EXITS: usize = 2;
/// What a batch is sure to hold of a queue that is longer: the smaller of the two.
const SURE: u64 = 2;
const SHAPE: &str = "3,3,4,2,2";
/// Seconds from choosing a batch's entries until it is posted; batches come one after the other.
const PERIOD: u64 = 600;

/// What an attacker asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Deposit,
    Exit,
}

/// When in the operator's rhythm a burst comes.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// In the second after a batch's entries were chosen: the whole period is lost.
    JustMissed,
    Between(u64),
    /// In the block before the post: those in the batch still count as waiting.
    BeforePost,
}

/// Lives through `rounds` batches of the operator, with bursts among them. The first entry that could
/// freeze the rollup, if there is one: looked for whenever the queue changes, and in the last second
/// before each batch.
fn live(
    period: u64,
    rounds: u64,
    mut bursts: impl FnMut(u64) -> Vec<(Moment, Vec<Request>)>,
) -> Option<u64> {
    let mut rollup = Rollup::new(SHAPE, 3, 12, |terms| {
        terms.forceWindow = 2 * PERIOD;
        terms.entryWindow = PERIOD / SURE;
        terms.silence = PERIOD;
    });
    let mut queue: Vec<Request> = Vec::new();
    let mut entries = 0u64;
    for round in 0..rounds {
        // The batch's entries are chosen: the longest prefix that fits.
        let batch = prefix(&queue);
        let mut bursts = bursts(round);
        bursts.sort_by_key(|(moment, _)| delay(moment, period));
        let mut elapsed = 0;
        for (moment, requests) in bursts {
            let at = delay(&moment, period);
            rollup.machine.advance(at - elapsed);
            elapsed = at;
            for request in requests {
                ask(&mut rollup, request, entries);
                queue.push(request);
                entries += 1;
            }
            if let Some(entry) = freezable(&mut rollup, entries) {
                return Some(entry);
            }
        }
        rollup.machine.advance(period - elapsed);
        if let Some(entry) = freezable(&mut rollup, entries) {
            return Some(entry);
        }
        rollup.advance(data(&queue[..batch], rollup.head)).result.expect("an honest batch");
        queue.drain(..batch);
    }
    // Whatever waits is served in the same rhythm.
    while !queue.is_empty() {
        let batch = prefix(&queue);
        rollup.machine.advance(period);
        if let Some(entry) = freezable(&mut rollup, entries) {
            return Some(entry);
        }
        rollup.advance(data(&queue[..batch], rollup.head)).result.expect("an honest batch");
        queue.drain(..batch);
    }
    None
}

fn delay(moment: &Moment, period: u64) -> u64 {
    match moment {
        Moment::JustMissed => 0,
        Moment::Between(seconds) => seconds % period,
        Moment::BeforePost => period - 1,
    }
}

fn requester(entry: u64) -> Address {
    person(1 + u8::try_from(entry % 5).expect("small"))
}

fn ask(rollup: &mut Rollup, request: Request, entry: u64) {
    let outcome = match request {
        Request::Deposit => rollup.deposit(requester(entry), 1, entry + 1),
        Request::Exit => rollup.force(requester(entry), 1),
    };
    outcome.result.expect("paid for");
}

/// How many entries from the first on fit into a batch.
fn prefix(queue: &[Request]) -> usize {
    let (mut deposits, mut exits) = (0, 0);
    queue
        .iter()
        .take_while(|request| {
            let (used, room) = match request {
                Request::Deposit => (&mut deposits, DEPOSITS),
                Request::Exit => (&mut exits, EXITS),
            };
            *used += 1;
            *used <= room
        })
        .count()
}

/// Every deposit opens an account of its own; every exit is somebody else's account, amount 0.
fn data(requests: &[Request], first: u64) -> BatchData {
    let mut data = BatchData::default();
    for (entry, request) in (first..).zip(requests) {
        match request {
            Request::Deposit => {
                let at = u32::try_from(entry % 7 + 1).expect("small");
                let one = served(at, requester(entry), 1, entry + 1);
                data.opens.extend(one.opens);
                data.deposits.extend(one.deposits);
            }
            Request::Exit => data.exits.push(forced(1, requester(entry), 0)),
        }
    }
    data
}

/// The first waiting entry over which anybody could freeze the rollup now.
fn freezable(rollup: &mut Rollup, entries: u64) -> Option<u64> {
    (rollup.head..entries).find(|entry| {
        let call = Kerros::freezeCall { entry: *entry };
        match rollup.machine.attempt(person(7), rollup.kerros, &call) {
            Ok(()) => true,
            Err(Revert::Kerros(E::DeadlineNotPassed(_))) => false,
            Err(other) => panic!("{other}"),
        }
    })
}

fn burst(length: usize, pattern: &[Request]) -> Vec<Request> {
    pattern.iter().copied().cycle().take(length).collect()
}

/// One burst that just missed the first batch: nothing is ahead of its first entry.
fn once(requests: Vec<Request>) -> impl FnMut(u64) -> Vec<(Moment, Vec<Request>)> {
    move |round| match round {
        0 => vec![(Moment::JustMissed, requests.clone())],
        _ => Vec::new(),
    }
}

const PATTERNS: [&[Request]; 5] = [
    &[Request::Exit],
    &[Request::Deposit],
    &[Request::Deposit, Request::Exit],
    // Three exits where two fit, four deposits where three do: nearly half of each batch is empty.
    &[Request::Exit, Request::Exit, Request::Exit, Request::Deposit],
    &[Request::Deposit, Request::Deposit, Request::Deposit, Request::Deposit, Request::Exit],
];

#[test]
fn a_flood_in_any_mix_cannot_freeze_an_operator_that_just_keeps_pace() {
    for pattern in PATTERNS {
        assert_eq!(live(PERIOD, 1, once(burst(240, pattern))), None, "{pattern:?}");
    }
}

#[test]
fn bursts_at_the_worst_moments_cannot_freeze_an_operator_that_just_keeps_pace() {
    for seed in 0..6u64 {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let bursts = move |_| {
            (0..rng.gen_range(0..3))
                .map(|_| {
                    let moment = match rng.gen_range(0..3) {
                        0 => Moment::JustMissed,
                        1 => Moment::Between(rng.r#gen()),
                        _ => Moment::BeforePost,
                    };
                    let pattern = PATTERNS[rng.gen_range(0..PATTERNS.len())];
                    // Small ones keep `ahead` small after the operator caught up; few are large.
                    let length = if rng.gen_bool(0.1) { 40 } else { rng.gen_range(1..5) };
                    (moment, burst(length, pattern))
                })
                .collect()
        };
        assert_eq!(live(PERIOD, 60, bursts), None, "seed {seed}");
    }
}

#[test]
fn an_operator_one_second_slower_than_the_condition_can_be_frozen() {
    // Already the burst's first entry: 2 · 601 seconds where 1,200 are promised.
    assert_eq!(live(PERIOD + 1, 1, once(burst(40, &[Request::Exit]))), Some(0));
    // The same with a window that forgives the start: the pace alone is too slow. One exit less a
    // batch than `entryWindow` counts on.
    let mut rollup = Rollup::new("3,3,4,1,2", 3, 12, |terms| {
        terms.forceWindow = 10 * PERIOD;
        terms.entryWindow = PERIOD / SURE;
        terms.silence = PERIOD;
    });
    (0..40).for_each(|entry| ask(&mut rollup, Request::Exit, entry));
    let frozen = (0..40).find_map(|entry| {
        rollup.machine.advance(PERIOD);
        let found = freezable(&mut rollup, 40);
        rollup.advance(data(&[Request::Exit], entry)).result.expect("an honest batch");
        found
    });
    assert!(frozen.is_some_and(|entry| entry > 10), "{frozen:?}");
}

#[test]
fn a_deadline_is_exact_to_the_second_and_nothing_moves_it() {
    let mut rollup = Rollup::new(SHAPE, 3, 12, |_| ());
    let (victim, own) = (person(1), operator());
    rollup.deposit(own, 1, 1).result.expect("deposit");
    rollup.force(victim, 1).result.expect("forced exit");
    let view = Kerros::queueEntryCall { index: 1 };
    let promised = rollup.read(view.clone()).deadline;
    // The operator serves its own before, queues more behind, lets batches pass without the victim's.
    for round in 0..5 {
        rollup.machine.advance(600);
        (0..4).for_each(|_| drop(rollup.force(own, 1).result.expect("forced exit")));
        let requests: &[Request] = if round == 0 { &[Request::Deposit] } else { &[] };
        let data = match round {
            0 => served(1, own, 1, 1),
            _ => self::data(requests, rollup.head),
        };
        rollup.advance(data).result.expect("batch");
        let now = rollup.read(view.clone());
        assert_eq!((now.deadline, now.pending), (promised, true));
    }
    let freeze = Kerros::freezeCall { entry: 1 };
    rollup.machine.advance(promised - rollup.machine.now());
    let refused = rollup.send(victim, U256::ZERO, &freeze).result;
    let Err(Revert::Kerros(E::DeadlineNotPassed(values))) = refused else { panic!("{refused:?}") };
    assert_eq!(values.deadline, values.nowSeconds);
    // Those behind it, made later, wait longer.
    let later = Kerros::freezeCall { entry: 2 };
    rollup.machine.advance(1);
    assert!(rollup.machine.attempt(victim, rollup.kerros, &later).is_err());
    rollup.send(victim, U256::ZERO, &freeze).result.expect("overdue by one second");
    assert!(rollup.read(Kerros::frozenCall {}));
}

#[test]
fn a_forced_exit_asked_for_by_somebody_else_is_served_and_pays_nobody() {
    let mut rollup = Rollup::new(SHAPE, 3, 12, |_| ());
    let (holder, thief) = (person(1), person(2));
    rollup.deposit(holder, 50, 9).result.expect("deposit");
    rollup.advance(served(1, holder, 50, 9)).result.expect("batch");
    rollup.force(thief, 1).result.expect("anybody may ask");
    // To the holder, in the thief's name with another recipient: not what was asked for.
    let exits = vec![forced(1, holder, 50)];
    let data = BatchData { exits, ..BatchData::default() };
    let new = rollup.book.clone();
    let post = rollup.forge(data, &new, operator());
    let refused = rollup.post(operator(), &post, new, 1).result;
    assert!(matches!(refused, Err(Revert::Kerros(E::QueueMismatch(_)))), "{refused:?}");
    let exits = vec![forced(1, thief, 0)];
    rollup.advance(BatchData { exits, ..BatchData::default() }).result.expect("a no-op");
    for account in [holder, thief] {
        let claimable = rollup.read(Kerros::withdrawableCall { _0: 1, _1: account });
        assert_eq!(claimable, U256::ZERO);
    }
    assert_eq!(rollup.read(Kerros::assetsCall(1)).supply, 50);
    assert_eq!(rollup.read(Kerros::headCall {}), 2);
}
