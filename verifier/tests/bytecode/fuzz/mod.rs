//! Random sequences of all external calls by several actors against the deployed bytecode, and a
//! model that says before each one whether it is accepted and what everybody may claim after it.
//!
//! `KERROS_CALLS` is how many calls, `KERROS_FUZZ_SEED` one seed again, `KERROS_CONTRACT` another
//! artifact (a contract with a planted bug must be found out).

mod calls;
mod check;
mod model;
mod plan;
mod tally;

use crate::machine::Machine;
use crate::rollup::{Rollup, artifact, operator, parameters, person};
use crate::tokens::{FALSE, FEE, HOOK, MOODY, MoodyToken, RELAY, Relay, SILENT};
use crate::trapdoor;
use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::{SolCall, SolConstructor, SolEvent};
use calls::{Call, Caller};
use kerros_verifier::contract::{Kerros, TestToken, test_token_code};
use kerros_verifier::post::key_words;
use model::{Model, Nature, Token};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tally::Tally;

/// Calls of a test run, unless told otherwise.
const CALLS: u64 = 20_000;
/// Calls of one life of a rollup, before everything is taken out of it.
const LIFE: std::ops::Range<u64> = 200..700;

/// A deployed rollup with tokens and relays, from which every life starts.
struct Scene {
    rollup: Rollup,
    tokens: Vec<Token>,
    relays: [Address; 2],
}

impl Scene {
    fn new() -> Self {
        let key = trapdoor::key(plan::SHAPE.parse().unwrap(), model::K_GENESIS, model::K_MAX);
        let mut terms = parameters(&key);
        terms.forceWindow = model::FORCE_WINDOW;
        terms.entryWindow = model::ENTRY_WINDOW;
        terms.silence = model::SILENCE;
        terms.entryFee = u128::from(model::ENTRY_FEE);
        let bytecode = match std::env::var("KERROS_CONTRACT") {
            Ok(path) => artifact(&std::fs::read_to_string(path).expect("an artifact")),
            Err(_) => Kerros::BYTECODE.clone(),
        };
        let arguments = Kerros::constructorCall { key: key_words(&key).into(), parameters: terms };
        let code: Bytes = [&bytecode[..], &arguments.abi_encode()].concat().into();
        let mut rollup = Rollup::deploy(key, code);
        let mut place = |code| rollup.machine.create(operator(), code).unwrap();
        let relays = [place(artifact(RELAY)), place(artifact(RELAY))];
        let kinds = [
            (place(artifact(SILENT)), Nature::Plain),
            (place(artifact(HOOK)), Nature::Hook),
            (place(artifact(MOODY)), Nature::Moody(0)),
            (place(test_token_code("Large", "LRG", 18)), Nature::Plain),
            (place(artifact(FEE)), Nature::Fee),
            (place(artifact(FALSE)), Nature::Refuses),
        ];
        let mut tokens =
            vec![Token { address: rollup.token, nature: Nature::Plain, asset: Some(1) }];
        for (address, nature) in kinds {
            (0..8).for_each(|number| rollup.fund(address, person(number)));
            tokens.push(Token { address, nature, asset: None });
        }
        for relay in relays {
            for token in &tokens {
                let mint = TestToken::mintCall { to: relay, amount: U256::from(1) << 200 };
                let spender = rollup.kerros;
                let approve = TestToken::approveCall { spender, amount: U256::MAX };
                let minted =
                    rollup.machine.call(operator(), token.address, U256::ZERO, &mint.abi_encode());
                minted.result.unwrap();
                let data = approve.abi_encode().into();
                let through = Relay::relayCall { target: token.address, data };
                let done =
                    rollup.machine.call(operator(), relay, U256::ZERO, &through.abi_encode());
                done.result.unwrap();
            }
        }
        Self { rollup, tokens, relays }
    }

    fn machine(&self) -> Machine {
        self.rollup.machine.fork()
    }
}

/// One life of a rollup.
struct Life<'a> {
    scene: &'a Scene,
    machine: Machine,
    model: Model,
    caller: Caller,
    rng: StdRng,
    tally: &'a mut Tally,
    accepted: u64,
}

impl<'a> Life<'a> {
    fn new(scene: &'a Scene, seed: u64, tally: &'a mut Tally) -> Self {
        let machine = scene.machine();
        let mut model = Model::new(machine.now(), scene.tokens.clone(), &scene.relays);
        model.first_asset();
        let caller = Caller::new(&scene.relays);
        let rng = StdRng::seed_from_u64(seed);
        Self { scene, machine, model, caller, rng, tally, accepted: 0 }
    }

    fn live(&mut self, calls: u64) {
        for _ in 0..calls {
            self.pass_time();
            if self.rng.gen_bool(0.02) {
                self.arm();
            }
            if self.rng.gen_bool(0.02) {
                let mood = if self.rng.gen_bool(0.5) { 0 } else { self.rng.gen_range(1..7) };
                self.set_mood(mood);
            }
            let call = self.caller.draw(&mut self.rng, &self.model, &self.scene.rollup);
            let sender = self.sender(&call);
            let value = self.value(&call);
            self.perform(sender, value, &call);
        }
        self.take_everything_out();
    }

    fn pass_time(&mut self) {
        let seconds = match self.rng.gen_range(0..2_000) {
            0 => model::FORCE_WINDOW + self.rng.gen_range(0..20_000),
            1..8 => model::SILENCE + 1,
            8..40 => self.rng.gen_range(3_000..4_000),
            40..600 => self.rng.gen_range(0..120),
            _ => 0,
        };
        self.advance(seconds);
        if self.rng.gen_bool(0.05) {
            let gwei = [0, 1, 1_000_000_000, 70_000_000_000, 3_000_000_000_000];
            let base_fee = gwei[self.rng.gen_range(0..gwei.len())];
            self.machine.set_base_fee(base_fee);
            self.model.base_fee = base_fee;
        }
    }

    fn advance(&mut self, seconds: u64) {
        self.machine.advance(seconds);
        self.model.now += seconds;
    }

    /// A relay gets a call to make whenever money moves.
    fn arm(&mut self) {
        let relay = self.scene.relays[0];
        let call = self.caller.draw(&mut self.rng, &self.model, &self.scene.rollup);
        let arm = Relay::onMoneyMovingCall {
            target: self.scene.rollup.kerros,
            data: call.encode(&self.model).into(),
        };
        let done = self.machine.call(operator(), relay, U256::ZERO, &arm.abi_encode());
        done.result.expect("nobody forbids it");
        self.model.relays.entry(relay).or_default().armed = Some(Box::new(call));
    }

    fn set_mood(&mut self, mood: u8) {
        let token = self.model.tokens.iter_mut();
        let Some(token) = token.into_iter().find(|t| matches!(t.nature, Nature::Moody(_))) else {
            return;
        };
        token.nature = Nature::Moody(mood);
        let to = MoodyToken::Mood::try_from(mood).expect("a mood");
        let call = MoodyToken::setMoodCall { to }.abi_encode();
        let done = self.machine.call(operator(), token.address, U256::ZERO, &call);
        done.result.expect("nobody forbids it");
    }

    /// Mostly whoever may.
    fn sender(&mut self, call: &Call) -> Address {
        match call {
            Call::Post { .. } | Call::Register { .. } if self.rng.gen_bool(0.8) => operator(),
            _ => self.caller.anybody(&mut self.rng),
        }
    }

    fn value(&mut self, call: &Call) -> u128 {
        let fee = self.model.fee();
        match (call, self.rng.gen_range(0..20)) {
            (Call::Deposit { .. } | Call::ForceExit { .. }, 0) => fee - 1,
            (Call::Deposit { .. } | Call::ForceExit { .. }, 1..6) => fee + 12_345,
            (Call::Deposit { .. } | Call::ForceExit { .. }, _) => fee,
            (_, 0) => 1,
            _ => 0,
        }
    }

    /// Makes the call and compares what happened with what the model says.
    fn perform(&mut self, sender: Address, value: u128, call: &Call) {
        let before = self.model.clone();
        let (expected, inside) = self.model.judge(sender, value, call);
        let kerros = self.scene.rollup.kerros;
        let data = call.encode(&before);
        let outcome = match self.scene.relays.contains(&sender) {
            true => {
                let through = Relay::relayCall { target: kerros, data: data.into() }.abi_encode();
                self.machine.call(person(6), sender, U256::from(value), &through)
            }
            false => self.machine.call(sender, kerros, U256::from(value), &data),
        };
        self.tally.add(call.kind(), &outcome.result);
        let context = || format!("{call:?} by {sender} with {value} wei: {:?}", outcome.result);
        assert_eq!(outcome.result.is_ok(), expected, "the model differs at {}", context());
        if !expected {
            assert!(outcome.changed.is_empty(), "refused, yet something changed: {}", context());
            self.model = before;
            return;
        }
        let tried = outcome.logs.iter().find(|log| self.scene.relays.contains(&log.address));
        let tried = tried.map(|log| Relay::Tried::decode_log_data(&log.data).unwrap().ok);
        assert_eq!(tried, inside, "the call inside {}", context());
        if let Some(ok) = inside {
            self.tally.add_inside(ok);
        }
        if let Call::Post { plan, encoded, .. } = call {
            self.caller.accepted = Some(((**plan).clone(), encoded.clone()));
        }
        self.accepted += 1;
        check::after(
            &mut self.machine,
            kerros,
            &before,
            &self.model,
            self.accepted.is_multiple_of(16),
        );
    }

    /// Freezes, lets every account escape and every entry be refunded, pays all claims: nothing but
    /// burnt ether may be left, nor may anything be missing.
    fn take_everything_out(&mut self) {
        self.set_mood(0);
        if !self.model.frozen {
            if self.model.waiting().is_empty() {
                let value = self.model.fee();
                self.perform(person(1), value, &Call::ForceExit { index: 1 });
            }
            self.advance(model::FORCE_WINDOW + model::ENTRY_WINDOW * self.model.tail() + 1);
            let entry = self.model.head;
            self.perform(person(2), 0, &Call::Freeze { entry });
        }
        let (number, indexes) = (self.model.number, self.model.book.accounts.len());
        for index in 1..=u32::try_from(indexes).expect("few") {
            let words = crate::rollup::account_words(&self.model.book.get(index));
            let encoded = self.model.book.escape(index, words).abi_encode();
            for _ in 0..2 {
                let encoded = encoded.clone();
                let call = Call::Escape { index, honest: true, number, encoded };
                self.perform(person(3), 0, &call);
            }
        }
        for entry in self.model.head..self.model.tail() {
            (0..2).for_each(|_| self.perform(person(4), 0, &Call::Refund { entry }));
        }
        let everybody = self.caller.everybody.clone();
        for account in everybody {
            for asset in 1..=u16::try_from(self.model.assets.len()).expect("few") {
                self.perform(person(1), 0, &Call::Claim { asset, account });
            }
            self.perform(person(1), 0, &Call::ClaimEther { account });
        }
        check::whole(&mut self.machine, self.scene.rollup.kerros, &self.model);
        for asset in &self.model.assets {
            assert_eq!((asset.supply, asset.deposited), (0, asset.claimed), "all is out");
            let holding = TestToken::balanceOfCall(self.scene.rollup.kerros);
            let held = self.machine.ask(self.model.tokens[asset.token].address, &holding);
            assert_eq!(held, U256::ZERO);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Lives with seeds that no other thread has, until there were enough calls.
fn lives(seeds: &AtomicU64, done: &AtomicU64, wanted: u64) -> Tally {
    let scene = Scene::new();
    let mut tally = Tally::default();
    while done.load(Ordering::Relaxed) < wanted {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        let before = tally.calls();
        let life = AssertUnwindSafe(|| {
            let calls = StdRng::seed_from_u64(!seed).gen_range(LIFE);
            Life::new(&scene, seed, &mut tally).live(calls);
        });
        if let Err(panic) = catch_unwind(life) {
            println!("seed {seed} failed; again: KERROS_FUZZ_SEED={seed}");
            resume_unwind(panic);
        }
        let now = tally.calls() - before;
        let all = done.fetch_add(now, Ordering::Relaxed) + now;
        if seed.is_multiple_of(500) {
            println!("seed {seed}: {all} calls");
        }
    }
    tally
}

#[test]
fn no_sequence_of_calls_frees_more_than_came_in() {
    let started = Instant::now();
    let only = number("KERROS_FUZZ_SEED");
    let wanted = only.map_or(number("KERROS_CALLS").unwrap_or(CALLS), |_| 1);
    let seeds = AtomicU64::new(only.unwrap_or(1));
    let done = AtomicU64::new(0);
    let threads = match only {
        Some(_) => 1,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let tally = std::thread::scope(|scope| {
        let running: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| lives(&seeds, &done, wanted))).collect();
        running.into_iter().fold(Tally::default(), |mut sum, thread| {
            sum.merge(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            sum
        })
    });
    let (last, seconds) = (seeds.into_inner() - 1, started.elapsed().as_secs_f64());
    println!("{} calls in {seconds:.1} s by {threads} threads, seeds to {last}", tally.calls());
    println!("{tally}");
    if only.is_none() {
        tally.assert_telling(wanted);
    }
}
