//! A rollup, the state that an auditor follows beside it, and one post after the other for both to judge.

use super::batches::{Draft, draft};
use super::corruption;
use super::verdict::{Reason, Rust, Tally, may_differ, name, of_contract, of_rust};
use crate::rollup::{Book, Rollup, operator, owner, person};
use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use kerros_protocol::account::AccountKey;
use kerros_protocol::batch::BatchData;
use kerros_verifier::audit::{ChainState, QueueEntry, check_post};
use kerros_verifier::contract::{Kerros, Post, Revert};
use kerros_verifier::post::{decode_call, read};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};

const SILENCE: u64 = crate::rollup::SILENCE;
/// A stranger must serve entries older than this.
const OLD_S: u64 = 3_600;

/// A deployment from which lives start: two assets, funded people.
pub struct Scene {
    rollup: Rollup,
}

impl Scene {
    /// A ledger that gets full, a large batch, and the largest ledgers.
    pub fn all() -> Vec<Self> {
        [("3,2,5,3,2", 2, 4), ("9,7,23,8,3", 4, 8), ("1,1,1,1,1", 26, 28), ("2,1,6,2,0", 9, 12)]
            .map(|(shape, k_genesis, k_max)| {
                let mut rollup = Rollup::new(shape, k_genesis, k_max, |_| ());
                let code = kerros_verifier::contract::test_token_code("U", "U", 6);
                let token = rollup.machine.create(operator(), code).expect("token");
                rollup.register(token, 2).expect("registration");
                (0..8).for_each(|number| rollup.fund(token, person(number)));
                Self { rollup }
            })
            .into()
    }
}

/// What the contract keeps of an entry beside what the auditor's state does.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    at: u64,
    deposit: bool,
}

/// One life of a rollup.
pub struct Life<'a> {
    pub rollup: Rollup,
    pub state: ChainState,
    pub waiting: VecDeque<Waiting>,
    pub rng: StdRng,
    supply: BTreeMap<u16, u64>,
    opened: u64,
    last_operator_post: u64,
    seed: u64,
    accepted: Option<Post>,
    tally: &'a mut Tally,
}

impl<'a> Life<'a> {
    pub fn new(scene: &Scene, seed: u64, tally: &'a mut Tally) -> Self {
        let from = &scene.rollup;
        let rollup = Rollup {
            machine: from.machine.fork(),
            key: from.key.clone(),
            book: Book::new(from.key.k_genesis),
            ..*from
        };
        let mut state = ChainState::genesis(&rollup.key);
        state.asset_count = 2;
        Self {
            last_operator_post: rollup.machine.now(),
            rollup,
            state,
            waiting: VecDeque::new(),
            rng: StdRng::seed_from_u64(seed),
            supply: BTreeMap::new(),
            opened: 0,
            seed,
            accepted: None,
            tally,
        }
    }

    /// Judges so many posts.
    pub fn live(&mut self, posts: u64) {
        let mut left = posts;
        while left > 0 {
            self.ask();
            let seconds = [0, 12, 600, OLD_S, SILENCE];
            let seconds = seconds[self.rng.gen_range(0..seconds.len())];
            self.rollup.machine.advance(seconds + self.rng.gen_range(0..3));
            let Draft { post, faults } = draft(self);
            let good = Kerros::postCall { p: post.clone() }.abi_encode();
            // First with something wrong, while the state is the one that the batch was made for.
            for _ in 0..self.rng.gen_range(0..6).min(left - 1) {
                let (mut post, mut bytes) = (post.clone(), good.clone());
                let mut wrong = 0;
                while wrong == 0 || wrong == 1 && self.rng.gen_bool(0.2) {
                    wrong += 1;
                    if self.rng.gen_bool(0.75) {
                        let before = self.accepted.clone();
                        wrong += corruption::of_post(self, &mut post, before.as_ref());
                        bytes = Kerros::postCall { p: post.clone() }.abi_encode();
                    } else {
                        wrong += corruption::of_bytes(&mut self.rng, &mut bytes);
                    }
                }
                left -= 1;
                if self.judge(&bytes, faults + wrong) {
                    break;
                }
            }
            self.judge(&good, faults);
            left -= 1;
        }
    }

    /// Requests of the queue by people, as many as a few batches serve.
    fn ask(&mut self) {
        if self.waiting.len() > 12 {
            return;
        }
        for _ in 0..self.rng.gen_range(0..4) {
            let user = person(self.rng.gen_range(1..6));
            let at = self.rollup.machine.now();
            if self.rng.gen_bool(0.7) {
                let asset = self.rng.gen_range(1..=2u16);
                let amount = match self.rng.gen_range(0..50) {
                    0 => u64::MAX / 2,
                    _ => self.rng.gen_range(1..1_000_000),
                };
                let (key, unit) = (self.rng.gen_range(1..4u64), [1, 100][usize::from(asset - 1)]);
                let call = Kerros::depositCall {
                    asset,
                    baseAmount: U256::from(amount) * U256::from(unit),
                    key: U256::from(key),
                    owner: user,
                };
                let fee = self.rollup.entry_fee();
                // The ledger may be full, or the supply.
                if self.rollup.send(user, fee, &call).result.is_ok() {
                    let key = AccountKey::new(key.into()).expect("not 0");
                    let owner = owner(user);
                    self.state.queue.push_back(QueueEntry::Deposit { amount, asset, key, owner });
                    self.waiting.push_back(Waiting { at, deposit: true });
                    *self.supply.entry(asset).or_default() += amount;
                }
            } else {
                let limit = (1u32 << self.rollup.book.k).min(4_000);
                let known: Vec<u32> = self.rollup.book.accounts.keys().copied().collect();
                let index = match known.is_empty() || self.rng.gen_bool(0.3) {
                    true => self.rng.gen_range(1..limit),
                    false => known[self.rng.gen_range(0..known.len())],
                };
                self.rollup.force(user, index).result.expect("paid, and in range");
                let index = crate::price::index(index);
                let requester = owner(user);
                self.state.queue.push_back(QueueEntry::ForcedExit { index, requester });
                self.waiting.push_back(Waiting { at, deposit: false });
            }
        }
    }

    /// What the verifier in Rust says, and the state after it.
    fn rust(&self, call: &[u8]) -> (Rust, ChainState) {
        let mut state = self.state.clone();
        let answer = match decode_call(call) {
            None => Err((Reason::Call, "Call")),
            Some(post) => check_post(&self.rollup.key, self.rollup.domain, &mut state, &post)
                .map_err(|rejection| of_rust(&rejection)),
        };
        (answer, state)
    }

    /// What the contract alone knows and must refuse a post for, if there is something: the rules of
    /// SPEC.md sections 4 and 7 about who posts, old entries, room and supply.
    fn circumstances(&self, from: Address, post: &Post) -> Option<&'static str> {
        let now = self.rollup.machine.now();
        let stranger = from != operator();
        if stranger && now <= self.last_operator_post + SILENCE {
            return Some("OperatorNotSilent");
        }
        let data = BatchData::decode(&post.data, &self.rollup.key.shape).ok()?;
        let mut supply = self.supply.clone();
        for exit in data.exits.iter().filter(|exit| exit.amount > 0) {
            let left = supply.entry(exit.asset).or_default();
            match left.checked_sub(exit.amount) {
                Some(less) => *left = less,
                None => return Some("SupplyUnderflow"),
            }
        }
        let served = usize::try_from(data.queue_entries()).expect("few");
        let shape = &self.rollup.key.shape;
        let forced = served - data.deposits.len();
        if let Some(next) = self.waiting.get(served).filter(|_| stranger) {
            let fits = match next.deposit {
                true => data.deposits.len() < shape.deposits as usize,
                false => forced < shape.exits as usize,
            };
            if next.at + OLD_S < now && fits {
                return Some("MustServe");
            }
        }
        let deposits = self.waiting.iter().filter(|entry| entry.deposit).count();
        let after = (deposits + data.opens.len()).saturating_sub(data.deposits.len());
        let needed = self.opened + after as u64;
        (needed >= 1 << self.rollup.key.k_max()).then_some("LedgerFull")
    }

    /// Both judge; if both accept, both move. Whether they did.
    fn judge(&mut self, call: &[u8], faults: u32) -> bool {
        let stranger = self.rng.gen_bool(0.2);
        let from = if stranger { person(5) } else { operator() };
        let bytes = Bytes::copy_from_slice(call);
        let contract = self.rollup.machine.try_call(from, self.rollup.kerros, bytes.clone());
        let (rust, next) = self.rust(call);
        self.tally.add(&rust, &contract);
        let post = decode_call(call);
        let alone = post.as_ref().and_then(|post| self.circumstances(from, post));
        let context = || {
            let (seed, call) = (self.seed, alloy::primitives::hex::encode(call));
            format!("KERROS_SEED={seed}: Rust {rust:?}, contract {contract:?}, {alone:?}: {call}")
        };
        match (&rust, &contract) {
            // A batch whose records contradict the accounts has no proof but one of known secrets.
            (Ok(()) | Err((Reason::Records, _)), Ok(())) => {
                assert_eq!(alone, None, "accepted in spite of {}", context());
            }
            (Ok(()) | Err((Reason::Records, _)), Err(revert)) => {
                assert_eq!(alone, Some(name(revert)), "only one refuses: {}", context());
            }
            (Err(_), Ok(())) => panic!("only the contract accepts: {}", context()),
            (Err((reason, _)), Err(revert)) => {
                let said = of_contract(revert);
                let same = said == *reason || may_differ(*reason, said);
                let before = said == Reason::Circumstances && name_is(revert, alone);
                assert!(same || before || faults > 1, "another reason: {}", context());
            }
        }
        let (Ok(()), Ok(()), Some(post)) = (&rust, &contract, post) else { return false };
        self.advance(from, bytes, post, next);
        true
    }

    /// The post is taken.
    fn advance(&mut self, from: Address, call: Bytes, post: Post, next: ChainState) {
        let read = read(&self.rollup.key, &post).expect("accepted");
        let outcome = self.rollup.machine.call(from, self.rollup.kerros, U256::ZERO, &call);
        outcome.result.expect("accepted a moment ago");
        for exit in read.data.exits.iter().filter(|exit| exit.amount > 0) {
            *self.supply.get_mut(&exit.asset).expect("it was there") -= exit.amount;
        }
        self.opened += read.data.opens.len() as u64;
        self.waiting.drain(..usize::try_from(read.data.queue_entries()).expect("few"));
        if from == operator() {
            self.last_operator_post = self.rollup.machine.now();
        }
        let mut book = self.rollup.book.clone();
        if post.grow {
            book.grow();
        }
        for (at, account) in next.ledger.existing() {
            if book.get(at.get()) != *account {
                book.set(at.get(), *account);
            }
        }
        // The commitments that both accepted are those of the accounts that Rust replayed.
        assert_eq!(book.root().0, next.root.0, "KERROS_SEED={}", self.seed);
        let Self { rollup, .. } = self;
        assert_eq!(rollup.read(Kerros::rootCall {}).0, next.root.0);
        assert_eq!(rollup.read(Kerros::batchNumberCall {}), next.number);
        assert_eq!(rollup.read(Kerros::headCall {}), next.head);
        assert_eq!(rollup.read(Kerros::kCall {}), next.ledger.k());
        rollup.book = book;
        self.state = next;
        self.tally.moved(post.grow);
        self.accepted = Some(post);
    }
}

fn name_is(revert: &Revert, expected: Option<&str>) -> bool {
    expected == Some(name(revert))
}
