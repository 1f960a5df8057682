//! A rollup deployed in the machine, with an honest ledger beside it: its commitments are what the
//! accounts say, only the proof is made from known secrets instead of a witness.

use crate::machine::{CHAIN_ID, Machine, Outcome};
use crate::trapdoor;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use ark_bn254::{Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::account::{Account, Address as Owner};
use kerros_protocol::batch::{BatchData, SealedBatch, Shape};
use kerros_protocol::commitment::{Commitments, point};
use kerros_protocol::encoding::{fr_to_be, g1_to_be, keccak_to_fr};
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::contract::{
    Kerros, Parameters, Post, Revert, TestToken, deployment_code, test_token_code,
};
use kerros_verifier::post::{key_words, post};
use std::collections::BTreeMap;

pub const FORCE_WINDOW: u64 = 86_400;
pub const ENTRY_WINDOW: u64 = 60;
pub const SILENCE: u64 = 43_200;
/// What the deployment asks for an entry beside its gas.
pub const ENTRY_FEE: u64 = 20_000_000_000_000;
pub const GWEI: u64 = 1_000_000_000;
/// `ENTRY_GAS` in `Queue.sol`.
pub const ENTRY_GAS: u64 = 60_000;

/// An externally owned account.
pub fn person(number: u8) -> Address {
    Address::repeat_byte(0xa0 + number)
}

/// Deploys, registers, posts.
pub fn operator() -> Address {
    person(0)
}

pub fn owner(address: Address) -> Owner {
    Owner(address.into_array())
}

/// Accounts, and their commitments as multiples of the generator.
#[derive(Clone, Debug)]
pub struct Book {
    pub accounts: BTreeMap<u32, Account>,
    pub k: u8,
    sums: [Fr; 3],
}

impl Book {
    pub fn new(k: u8) -> Self {
        Self { accounts: BTreeMap::new(), k, sums: [Fr::ZERO; 3] }
    }

    pub fn get(&self, index: u32) -> Account {
        self.accounts.get(&index).copied().unwrap_or(Account::EMPTY)
    }

    /// tau^n for the present size.
    fn tau_n(&self) -> Fr {
        trapdoor::tau().pow([1u64 << self.k])
    }

    pub fn set(&mut self, index: u32, account: Account) {
        let x = point(index);
        let below = Fr::from(1u64 << self.k) * (trapdoor::tau() - x);
        let lagrange = x * (self.tau_n() - Fr::ONE) / below;
        let (before, after) = (self.get(index).words(), account.words());
        for ((sum, before), after) in self.sums.iter_mut().zip(before).zip(after) {
            *sum += (after - before) * lagrange;
        }
        self.accounts.insert(index, account);
    }

    pub fn grow(&mut self) {
        let factor = (self.tau_n() + Fr::ONE) / Fr::from(2u64);
        self.sums.iter_mut().for_each(|sum| *sum *= factor);
        self.k += 1;
    }

    pub fn commitments(&self) -> Commitments {
        Commitments(self.sums.map(|sum| (G1Affine::generator() * sum).into_affine()))
    }

    pub fn root(&self) -> B256 {
        B256::from(self.commitments().root(self.k).0)
    }

    /// The escape of these words at an index: the opening that an honest one has if they are the
    /// account's, and none that exists otherwise, since W then depends on the secret.
    pub fn escape(&self, index: u32, words: [U256; 3]) -> Kerros::escapeCall {
        let commitments = self.commitments();
        let bytes: Vec<u8> = words.iter().flat_map(U256::to_be_bytes::<32>).collect();
        let weight = keccak_to_fr(&[&commitments.to_be(), &index.to_be_bytes(), &bytes]);
        let mut value = Fr::ZERO;
        let mut power = Fr::ONE;
        for (sum, word) in self.sums.iter().zip(words) {
            value += power * (*sum - trapdoor::scalar(word));
            power *= weight;
        }
        let witness = value / (trapdoor::tau() - point(index));
        let witness = (G1Affine::generator() * witness).into_affine();
        Kerros::escapeCall {
            commitments: words_of(&commitments.to_be()),
            index,
            words,
            witness: words_of(&g1_to_be(&witness)),
        }
    }
}

fn words_of<const N: usize>(bytes: &[u8]) -> [U256; N] {
    let mut chunks = bytes.chunks_exact(32);
    std::array::from_fn(|_| U256::from_be_slice(chunks.next().expect("N words")))
}

/// An account's three words as the contract takes them.
pub fn account_words(account: &Account) -> [U256; 3] {
    account.words().map(|word| U256::from_be_bytes(fr_to_be(&word)))
}

/// Where the rollup stands, and what it runs on.
pub struct Rollup {
    pub machine: Machine,
    pub kerros: Address,
    pub token: Address,
    pub key: VerificationKey,
    pub domain: Fr,
    pub book: Book,
    pub number: u64,
    pub head: u64,
}

pub fn parameters(key: &VerificationKey) -> Parameters {
    Parameters {
        operator: operator(),
        admin: operator(),
        kGenesis: key.k_genesis,
        kMax: key.k_max(),
        forceWindow: FORCE_WINDOW,
        entryWindow: ENTRY_WINDOW,
        silence: SILENCE,
        entryFee: u128::from(ENTRY_FEE),
    }
}

/// Init code out of an artifact.
pub fn artifact(json: &str) -> Bytes {
    let parsed: serde_json::Value = serde_json::from_str(json).expect("an artifact");
    parsed["bytecode"].as_str().expect("bytecode").parse().expect("hexadecimal")
}

impl Rollup {
    /// Deploys; asset 1 is a plain token with a unit of one base unit, of which everybody has plenty.
    pub fn new(
        shape: &str,
        k_genesis: u8,
        k_max: u8,
        change: impl FnOnce(&mut Parameters),
    ) -> Self {
        let key = trapdoor::key(shape.parse::<Shape>().expect("a shape"), k_genesis, k_max);
        let mut terms = parameters(&key);
        change(&mut terms);
        Self::deploy(key.clone(), deployment_code(key_words(&key).into(), terms))
    }

    /// The same with other init code.
    pub fn deploy(key: VerificationKey, code: Bytes) -> Self {
        let people: Vec<Address> = (0..8).map(person).collect();
        let mut machine = Machine::new(&people);
        let kerros = machine.create(operator(), code).expect("deployment");
        let domain = transcript::domain(CHAIN_ID, &owner(kerros));
        let book = Book::new(key.k_genesis);
        let token = Address::ZERO;
        let mut this = Self { machine, kerros, token, key, domain, book, number: 0, head: 0 };
        this.token = this.machine.create(operator(), test_token_code("T", "T", 6)).expect("token");
        this.register(this.token, 0).expect("registration");
        for user in people {
            this.fund(this.token, user);
        }
        this
    }

    pub fn register(&mut self, token: Address, unit_exponent: u8) -> Result<Bytes, Revert> {
        let call = Kerros::registerAssetCall { token, unitExponent: unit_exponent };
        self.send(operator(), U256::ZERO, &call).result
    }

    /// 2^200 base units, all of them approved; for people, not for contracts.
    pub fn fund(&mut self, token: Address, user: Address) {
        let mint = TestToken::mintCall { to: user, amount: U256::from(1) << 200 };
        let approve = TestToken::approveCall { spender: self.kerros, amount: U256::MAX };
        let minted = self.machine.call(user, token, U256::ZERO, &mint.abi_encode());
        let approved = self.machine.call(user, token, U256::ZERO, &approve.abi_encode());
        assert!(minted.result.is_ok() && approved.result.is_ok());
    }

    /// Calls the rollup.
    pub fn send(&mut self, from: Address, value: U256, call: &impl SolCall) -> Outcome {
        self.machine.call(from, self.kerros, value, &call.abi_encode())
    }

    /// Asks the rollup.
    pub fn read<C: SolCall>(&mut self, call: C) -> C::Return {
        self.machine.ask(self.kerros, &call)
    }

    pub fn entry_fee(&mut self) -> U256 {
        let base = U256::from(self.machine.base_fee());
        self.read(Kerros::entryFeeAtCall { baseFee: base })
    }

    /// Queues a deposit of units of asset 1 to the sender's account with this key.
    pub fn deposit(&mut self, user: Address, units: u64, key: u64) -> Outcome {
        let call = Kerros::depositCall {
            asset: 1,
            baseAmount: U256::from(units),
            key: U256::from(key),
            owner: user,
        };
        let fee = self.entry_fee();
        self.send(user, fee, &call)
    }

    pub fn force(&mut self, user: Address, index: u32) -> Outcome {
        let fee = self.entry_fee();
        self.send(user, fee, &Kerros::forceExitCall { index })
    }

    /// A batch with this data from the present state to `new`; `data` need not lead there, for
    /// only circuits know. Grows first if `new` has grown.
    pub fn forge(&self, data: BatchData, new: &Book, beneficiary: Address) -> Post {
        self.forge_from(&self.book, (self.number + 1, self.head), data, new, beneficiary)
    }

    /// The same from another state, as a batch of this number from this entry on.
    pub fn forge_from(
        &self,
        book: &Book,
        (number, first): (u64, u64),
        data: BatchData,
        new: &Book,
        beneficiary: Address,
    ) -> Post {
        let mut opening = book.clone();
        if new.k > opening.k {
            opening.grow();
        }
        let end = first + data.queue_entries();
        let batch = SealedBatch {
            number,
            k: new.k,
            before_growth: (new.k > book.k).then(|| book.commitments()),
            old: opening.commitments(),
            new: new.commitments(),
            first,
            end,
            beneficiary: owner(beneficiary),
            data,
            transfers: Vec::new(),
            exits: Vec::new(),
        };
        post(&batch, &trapdoor::prove(&self.key, self.domain, &batch))
    }

    /// Posts; if the contract takes it, the rollup has moved to `new`.
    pub fn post(&mut self, from: Address, post: &Post, new: Book, served: u64) -> Outcome {
        let call = Kerros::postCall { p: post.clone() };
        let outcome = self.send(from, U256::ZERO, &call);
        if outcome.result.is_ok() {
            self.book = new;
            self.number += 1;
            self.head += served;
        }
        outcome
    }

    /// Forges and posts by the operator; the accounts stay as they are.
    pub fn advance(&mut self, data: BatchData) -> Outcome {
        let served = data.queue_entries();
        let new = self.book.clone();
        let post = self.forge(data, &new, operator());
        self.post(operator(), &post, new, served)
    }
}
