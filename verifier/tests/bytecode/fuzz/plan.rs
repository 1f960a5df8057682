//! Batches: honest ones of every kind of record, whose new state is what the records say, and ones
//! with a perfect proof of something that the main chain must not accept.

use crate::fuzz::calls::{Plan, owns};
use crate::fuzz::model::{DEPOSITS, EXITS, K_MAX, Model, Request};
use crate::price::{forced, index, served};
use crate::rollup::{Book, Rollup, operator, owner, person};
use alloy::primitives::Address;
use alloy::sol_types::SolCall;
use kerros_protocol::account::{Account, AccountKey, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{
    BatchData, CollectRecord, DepositRecord, ExitRecord, OpenRecord, TransferRecord,
};
use kerros_verifier::contract::{Kerros, Post};
use rand::Rng;
use rand::rngs::StdRng;

pub const SHAPE: &str = "4,3,6,4,2";
const OPENS: usize = 4;
const TRANSFERS: usize = 6;
/// Chance that a batch doubles the ledger although it need not.
const GROWTH: f64 = 0.03;

fn encoded(post: Post) -> Vec<u8> {
    Kerros::postCall { p: post }.abi_encode()
}

fn proved(rollup: &Rollup, model: &Model, plan: &Plan) -> Vec<u8> {
    let at = (plan.number, plan.first);
    let data = plan.data.clone();
    encoded(rollup.forge_from(&model.book, at, data, &plan.new, plan.beneficiary))
}

struct Builder<'a> {
    model: &'a Model,
    book: Book,
    data: BatchData,
    /// Forced exits in the queue's order: index, requester.
    forced: Vec<(u32, Address)>,
}

/// A batch that a sequencer could have made.
pub fn honest(
    rng: &mut StdRng,
    model: &Model,
    rollup: &Rollup,
    everybody: &[Address],
) -> (Plan, Vec<u8>) {
    let mut book = model.book.clone();
    let crowded = book.accounts.len() + OPENS >= 1 << book.k;
    if book.k < K_MAX && (crowded || rng.gen_bool(GROWTH)) {
        book.grow();
    }
    let mut builder = Builder { model, book, data: BatchData::default(), forced: Vec::new() };
    let most = rng.gen_range(0..=DEPOSITS + EXITS);
    builder.serve(if rng.gen_bool(0.6) { DEPOSITS + EXITS } else { most });
    if rng.gen_bool(0.05) {
        let asset = rng.gen_range(1..=model.assets.len());
        let (asset, owner) = (u16::try_from(asset).expect("few"), everybody[0]);
        builder.open(asset, rng.gen_range(4..9), owner);
    }
    for _ in 0..rng.gen_range(0..=TRANSFERS) {
        builder.transfer(rng);
    }
    builder.leave(rng, everybody);
    builder.force(rng);
    let beneficiary = match rng.gen_bool(0.8) {
        true => operator(),
        false => everybody[rng.gen_range(0..everybody.len())],
    };
    let (number, first) = (model.number + 1, model.head);
    let plan = Plan { number, first, data: builder.data, new: builder.book, beneficiary };
    let bytes = proved(rollup, model, &plan);
    (plan, bytes)
}

impl Builder<'_> {
    /// The first entries, up to the first that does not fit.
    fn serve(&mut self, most: usize) {
        let waiting = self.model.waiting().to_vec();
        for entry in waiting.into_iter().take(most) {
            match entry.request {
                Request::Deposit { asset, units, key, owner: of } => {
                    if self.data.deposits.len() == DEPOSITS {
                        return;
                    }
                    let found = self.model.find(&self.book, asset, key, of);
                    let Some(at) = found.or_else(|| self.open(asset, key, of)) else { return };
                    let mut account = self.book.get(at);
                    account.balance += units;
                    self.book.set(at, account);
                    self.data.deposits.push(DepositRecord {
                        index: index(at),
                        amount: units,
                        asset: AssetId::new(asset).expect("an asset"),
                        key: AccountKey::new(key.into()).expect("not 0"),
                        owner: owner(of),
                    });
                }
                Request::Exit { index } => {
                    if self.forced.len() == EXITS {
                        return;
                    }
                    self.forced.push((index, entry.sender));
                }
            }
        }
    }

    fn open(&mut self, asset: u16, key: u64, of: Address) -> Option<u32> {
        let at = u32::try_from(self.book.accounts.len() + 1).expect("few");
        let known = self.model.find(&self.book, asset, key, of).is_some();
        if at >= 1 << self.book.k || self.data.opens.len() == OPENS || known {
            return None;
        }
        let owner = owner(of);
        let account = Account { key: key.into(), balance: 0, nonce: 0, asset, owner };
        self.book.set(at, account);
        self.data.opens.push(OpenRecord {
            index: index(at),
            asset: AssetId::new(asset).expect("an asset"),
            owner,
            key: AccountKey::new(key.into()).expect("not 0"),
        });
        Some(at)
    }

    fn rich(&self, rng: &mut StdRng) -> Option<(u32, Account)> {
        let rich: Vec<_> =
            self.book.accounts.iter().filter(|(_, account)| account.balance > 0).collect();
        let (at, account) = rich.get(rng.gen_range(0..rich.len().max(1)))?;
        Some((**at, **account))
    }

    fn transfer(&mut self, rng: &mut StdRng) {
        let Some((from, mut payer)) = self.rich(rng) else { return };
        let payees: Vec<u32> = (self.book.accounts.iter())
            .filter(|(_, account)| account.asset == payer.asset)
            .map(|(at, _)| *at)
            .collect();
        let to = payees[rng.gen_range(0..payees.len())];
        // Fees of one asset in a batch, collected by whoever is paid first.
        let collect = self.data.collects.first().copied();
        let collected = collect.map(|first| self.book.get(first.to.get()).asset);
        let fee = match collected.is_none_or(|asset| asset == payer.asset) {
            true => rng.gen_range(0..=payer.balance.min(9)),
            false => 0,
        };
        let amount = rng.gen_range(0..=payer.balance - fee);
        payer.balance -= amount + fee;
        payer.nonce += 1;
        self.book.set(from, payer);
        let mut payee = self.book.get(to);
        payee.balance += amount;
        self.book.set(to, payee);
        if fee > 0 {
            let to = collect.map_or(to, |first| first.to.get());
            let mut collector = self.book.get(to);
            collector.balance += fee;
            self.book.set(to, collector);
            let amount = fee + collect.map_or(0, |first| first.amount);
            self.data.collects = vec![CollectRecord { to: index(to), amount }];
        }
        let fee = Fee::exact(fee).expect("below 2,048");
        self.data.transfers.push(TransferRecord { from: index(from), to: index(to), amount, fee });
    }

    /// Signed exits, in the room that forced ones leave.
    fn leave(&mut self, rng: &mut StdRng, everybody: &[Address]) {
        for _ in 0..rng.gen_range(0..=EXITS - self.forced.len()) {
            let Some((from, mut payer)) = self.rich(rng) else { return };
            let amount = rng.gen_range(0..=payer.balance);
            payer.balance -= amount;
            payer.nonce += 1;
            self.book.set(from, payer);
            let recipient = owner(everybody[rng.gen_range(0..everybody.len())]);
            let (from, fee, asset) = (index(from), Fee::ZERO, payer.asset);
            let exit = ExitRecord { from, amount, fee, forced: false, asset, recipient };
            self.data.exits.push(exit);
        }
    }

    /// Forced exits run last, wherever they stand among the others.
    fn force(&mut self, rng: &mut StdRng) {
        let mut place = 0;
        for (at, requester) in std::mem::take(&mut self.forced) {
            let mut account = self.book.get(at);
            let theirs = owns(&self.book, at, requester);
            let amount = if theirs { account.balance } else { 0 };
            let mut exit = forced(at, requester, amount);
            exit.asset = account.asset;
            if amount > 0 {
                account.balance = 0;
                self.book.set(at, account);
            }
            place = rng.gen_range(place..=self.data.exits.len());
            self.data.exits.insert(place, exit);
            place += 1;
        }
    }
}

/// What no proof may make the main chain do; none if nothing of the kind can be made now.
pub fn hostile(rng: &mut StdRng, model: &Model, rollup: &Rollup) -> Option<(Plan, Vec<u8>)> {
    let thief = person(5);
    let mut data = BatchData::default();
    let next = model.waiting().first();
    match (rng.gen_range(0..6), next.map(|entry| (&entry.request, entry.sender))) {
        // More than there is; of an asset that does not exist.
        (0, _) => {
            let asset = rng.gen_range(1..=model.assets.len() + 1);
            let asset = u16::try_from(asset).expect("few");
            let supply = model.asset(asset).map_or(0, |found| found.supply);
            let amount = supply.checked_add(rng.gen_range(1..100))?;
            let mut exit = forced(1, thief, amount);
            (exit.forced, exit.asset) = (false, asset);
            data.exits = vec![exit];
        }
        // An entry that nobody made.
        (1, None) => data = served(1, thief, rng.r#gen(), 1),
        // The first entry, but not as it was made.
        (which, Some((Request::Deposit { asset, units, key, owner: of }, _))) => {
            data = served(1, *of, *units, *key);
            let record = &mut data.deposits[0];
            record.asset = AssetId::new(*asset).expect("an asset");
            match which {
                1 => record.amount = record.amount.wrapping_add(1),
                2 => record.owner = owner(Address::repeat_byte(0x77)),
                3 => record.key = AccountKey::new(77u64.into()).expect("not 0"),
                _ => record.asset = AssetId::new(asset + 1).expect("an asset"),
            }
        }
        (which, Some((Request::Exit { index }, requester))) => {
            let mut exit = forced(*index, requester, 0);
            match which {
                1 => exit.recipient = owner(Address::repeat_byte(0x77)),
                2 => exit.fee = Fee::from_float(1 << 5),
                _ => exit = forced(index ^ 1 << 27, requester, 0),
            }
            data.exits = vec![exit];
        }
        (_, None) => return None,
    }
    let (number, first, beneficiary) = (model.number + 1, model.head, thief);
    let plan = Plan { number, first, data, new: model.book.clone(), beneficiary };
    let bytes = proved(rollup, model, &plan);
    Some((plan, bytes))
}
