//! The calls: what they say, how they are encoded, and how they are drawn.

use crate::fuzz::model::Model;
use crate::fuzz::plan;
use crate::rollup::{Book, Rollup, account_words, person};
use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use kerros_protocol::batch::BatchData;
use kerros_verifier::contract::Kerros;
use rand::Rng;
use rand::rngs::StdRng;

/// How a batch comes to the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    Honest,
    /// A bit of the call is wrong.
    Corrupted,
    /// A perfect proof of what the main chain must not accept.
    Hostile,
}

/// A batch, and where it starts from and leads to.
#[derive(Clone)]
pub struct Plan {
    pub number: u64,
    pub first: u64,
    pub data: BatchData,
    pub new: Book,
    pub beneficiary: Address,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "batch {} from entry {}: {:?}", self.number, self.first, self.data)
    }
}

/// One external call of the contract.
#[derive(Clone, Debug)]
pub enum Call {
    Deposit { asset: u16, base: U256, key: U256, owner: Address },
    ForceExit { index: u32 },
    Claim { asset: u16, account: Address },
    ClaimEther { account: Address },
    Register { token: usize, exponent: u8 },
    Freeze { entry: u64 },
    Refund { entry: u64 },
    Escape { index: u32, honest: bool, number: u64, encoded: Vec<u8> },
    Post { entrance: Entrance, plan: Box<Plan>, encoded: Vec<u8> },
}

impl Call {
    /// For the tally.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Deposit { .. } => "deposit",
            Self::ForceExit { .. } => "forceExit",
            Self::Claim { .. } => "claim",
            Self::ClaimEther { .. } => "claimEther",
            Self::Register { .. } => "registerAsset",
            Self::Freeze { .. } => "freeze",
            Self::Refund { .. } => "refund",
            Self::Escape { .. } => "escape",
            Self::Post { entrance: Entrance::Honest, .. } => "post",
            Self::Post { entrance: Entrance::Corrupted, .. } => "post corrupted",
            Self::Post { entrance: Entrance::Hostile, .. } => "post hostile",
        }
    }

    pub fn encode(&self, model: &Model) -> Vec<u8> {
        match self {
            Self::Deposit { asset, base, key, owner } => {
                let (asset, key, owner) = (*asset, *key, *owner);
                Kerros::depositCall { asset, baseAmount: *base, key, owner }.abi_encode()
            }
            Self::ForceExit { index } => Kerros::forceExitCall { index: *index }.abi_encode(),
            Self::Claim { asset, account } => {
                Kerros::claimCall { asset: *asset, account: *account }.abi_encode()
            }
            Self::ClaimEther { account } => {
                Kerros::claimEtherCall { account: *account }.abi_encode()
            }
            Self::Register { token, exponent } => {
                let token = model.tokens[*token].address;
                Kerros::registerAssetCall { token, unitExponent: *exponent }.abi_encode()
            }
            Self::Freeze { entry } => Kerros::freezeCall { entry: *entry }.abi_encode(),
            Self::Refund { entry } => Kerros::refundCall { entry: *entry }.abi_encode(),
            Self::Escape { encoded, .. } | Self::Post { encoded, .. } => encoded.clone(),
        }
    }
}

/// Draws calls that make sense now, and some that do not.
pub struct Caller {
    pub everybody: Vec<Address>,
    /// The last batch made for the present state, encoded: proofs cost more than anything else.
    cached: Option<(Plan, Vec<u8>)>,
    /// An accepted batch, to be posted again.
    pub accepted: Option<(Plan, Vec<u8>)>,
}

impl Caller {
    pub fn new(relays: &[Address]) -> Self {
        let everybody = (0..6).map(person).chain(relays.iter().copied()).collect();
        Self { everybody, cached: None, accepted: None }
    }

    pub fn anybody(&self, rng: &mut StdRng) -> Address {
        self.everybody[rng.gen_range(0..self.everybody.len())]
    }

    /// A call of any kind.
    pub fn draw(&mut self, rng: &mut StdRng, model: &Model, rollup: &Rollup) -> Call {
        if model.frozen && rng.gen_bool(0.7) {
            return match rng.gen_range(0..10) {
                0..4 => self.refund(rng, model),
                4..6 => Self::escape(rng, model),
                6..9 => self.claim(rng, model),
                _ => self.claim_ether(rng, model),
            };
        }
        match rng.gen_range(0..1000) {
            0..330 => self.deposit(rng, model),
            330..490 => Self::force(rng, model),
            490..690 => self.claim(rng, model),
            690..800 => self.claim_ether(rng, model),
            800..840 => Self::register(rng, model),
            840..890 => Self::freeze(rng, model),
            890..910 => self.refund(rng, model),
            910..920 => Self::escape(rng, model),
            _ => self.post(rng, model, rollup),
        }
    }

    fn deposit(&self, rng: &mut StdRng, model: &Model) -> Call {
        let assets = u16::try_from(model.assets.len()).expect("few");
        let asset = match rng.gen_bool(0.97) {
            true => rng.gen_range(1..=assets),
            false => [0, assets + 1, u16::MAX][rng.gen_range(0..3)],
        };
        let (unit, supply) =
            model.asset(asset).map_or((U256::from(1), 0), |found| (found.unit, found.supply));
        let units = match rng.gen_range(0..100) {
            0 => 0,
            1 => u64::MAX - supply,
            2 => (u64::MAX - supply).saturating_add(1),
            3 => u64::MAX / 2,
            _ => rng.gen_range(1..1_000_000),
        };
        let dust = if rng.gen_bool(0.02) { U256::from(1) } else { U256::ZERO };
        let r = U256::from_be_bytes(kerros_protocol::encoding::fr_to_be(&-ark_bn254::Fr::from(1)))
            + U256::from(1);
        let key = match rng.gen_range(0..100) {
            0 => U256::ZERO,
            1 => r,
            2 => U256::MAX,
            _ => U256::from(rng.gen_range(1..4u8)),
        };
        let owner = match rng.gen_bool(0.01) {
            true => Address::ZERO,
            false => self.anybody(rng),
        };
        Call::Deposit { asset, base: U256::from(units) * unit + dust, key, owner }
    }

    fn force(rng: &mut StdRng, model: &Model) -> Call {
        let size = 1u32 << model.book.k;
        let accounts = u32::try_from(model.book.accounts.len()).expect("few");
        let index = match rng.gen_range(0..20) {
            0 => [0, size, u32::MAX][rng.gen_range(0..3)],
            1..4 => rng.gen_range(1..size),
            _ => rng.gen_range(0..=accounts),
        };
        Call::ForceExit { index }
    }

    fn claim(&self, rng: &mut StdRng, model: &Model) -> Call {
        let owed: Vec<_> = model.withdrawable.iter().filter(|(_, units)| **units > 0).collect();
        if !owed.is_empty() && rng.gen_bool(0.6) {
            let ((asset, account), _) = owed[rng.gen_range(0..owed.len())];
            return Call::Claim { asset: *asset, account: *account };
        }
        let assets = u16::try_from(model.assets.len()).expect("few");
        Call::Claim { asset: rng.gen_range(0..=assets + 1), account: self.anybody(rng) }
    }

    fn claim_ether(&self, rng: &mut StdRng, model: &Model) -> Call {
        let owed: Vec<_> = model.credit.iter().filter(|(_, wei)| **wei > 0).collect();
        let account = match owed.is_empty() || rng.gen_bool(0.3) {
            true => self.anybody(rng),
            false => *owed[rng.gen_range(0..owed.len())].0,
        };
        Call::ClaimEther { account }
    }

    fn register(rng: &mut StdRng, model: &Model) -> Call {
        let exponent = [0, 2, 18, 36, 37][rng.gen_range(0..5)];
        let fresh = model.tokens.iter().position(|token| token.asset.is_none());
        let any = rng.gen_range(0..model.tokens.len());
        let token = fresh.filter(|_| rng.gen_bool(0.8)).unwrap_or(any);
        Call::Register { token, exponent }
    }

    fn any_entry(rng: &mut StdRng, model: &Model) -> u64 {
        let near = model.head.saturating_sub(1)..=model.tail();
        if rng.gen_bool(0.02) { u64::MAX } else { rng.gen_range(near) }
    }

    fn freeze(rng: &mut StdRng, model: &Model) -> Call {
        Call::Freeze { entry: Self::any_entry(rng, model) }
    }

    fn refund(&self, rng: &mut StdRng, model: &Model) -> Call {
        Call::Refund { entry: Self::any_entry(rng, model) }
    }

    /// Right words and witness, or something else than right in one place.
    fn escape(rng: &mut StdRng, model: &Model) -> Call {
        let accounts = u32::try_from(model.book.accounts.len()).expect("few");
        let index = rng.gen_range(0..=accounts + 1);
        let right = account_words(&model.book.get(index));
        let mut call = model.book.escape(index, right);
        let honest = rng.gen_bool(0.7);
        if !honest {
            let wrong = U256::from(rng.gen_range(1..u64::MAX));
            match rng.gen_range(0..6) {
                0 => call.words[rng.gen_range(0..3)] ^= wrong,
                1 => call.witness[rng.gen_range(0..2)] ^= wrong,
                2 => call.commitments[rng.gen_range(0..6)] ^= wrong,
                3 => call.words[rng.gen_range(0..3)] = U256::MAX - wrong,
                4 => call.index ^= 1 << rng.gen_range(0..32),
                // Somebody else's words, with the witness of this account.
                _ => call.words[2] = U256::from_be_slice(person(5).as_slice()) ^ wrong,
            }
        }
        Call::Escape { index: call.index, honest, number: model.number, encoded: call.abi_encode() }
    }

    fn post(&mut self, rng: &mut StdRng, model: &Model, rollup: &Rollup) -> Call {
        if rng.gen_bool(0.05)
            && let Some((plan, encoded)) = self.accepted.clone()
        {
            return Call::Post { entrance: Entrance::Honest, plan: Box::new(plan), encoded };
        }
        if rng.gen_bool(0.15)
            && let Some((plan, encoded)) = plan::hostile(rng, model, rollup)
        {
            return Call::Post { entrance: Entrance::Hostile, plan: Box::new(plan), encoded };
        }
        let current = |plan: &Plan| plan.number == model.number + 1;
        if !self.cached.as_ref().is_some_and(|(plan, _)| current(plan)) {
            self.cached = Some(plan::honest(rng, model, rollup, &self.everybody));
        }
        let (plan, mut encoded) = self.cached.clone().expect("just made");
        let mut entrance = Entrance::Honest;
        if rng.gen_bool(0.5) {
            let place = match rng.gen_bool(0.5) {
                true => rng.gen_range(0..encoded.len()),
                // The data are most of a real batch, and the cheapest to get wrong.
                false => rng.gen_range(encoded.len() * 3 / 4..encoded.len()),
            };
            encoded[place] ^= 1 << rng.gen_range(0..8);
            entrance = Entrance::Corrupted;
        }
        Call::Post { entrance, plan: Box::new(plan), encoded }
    }
}

/// Whether a forced exit by this requester moves money.
pub fn owns(book: &Book, index: u32, requester: Address) -> bool {
    book.get(index).owner == crate::rollup::owner(requester)
}
