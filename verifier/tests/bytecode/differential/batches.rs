//! Batches of random records: most of them right, some of them wrong in one way or two.

use super::life::{Life, Waiting};
use crate::price::index;
use crate::rollup::{Book, operator, owner, person};
use alloy::primitives::Address as ChainAddress;
use kerros_protocol::account::{Account, AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{
    BatchData, CollectRecord, DepositRecord, ExitRecord, OpenRecord, TransferRecord,
};
use kerros_protocol::transition::effect;
use kerros_verifier::audit::QueueEntry;
use kerros_verifier::contract::Post;
use rand::Rng;
use rand::seq::SliceRandom;

/// A post, and how many things were made wrong in it on purpose.
pub struct Draft {
    pub post: Post,
    pub faults: u32,
}

/// What a batch's records are drawn from: the accounts as they are after the records so far.
struct Builder<'a, 'b> {
    life: &'a mut Life<'b>,
    data: BatchData,
    k: u8,
    accounts: std::collections::BTreeMap<u32, Account>,
    /// Forced exits in the queue's order.
    forced: Vec<ExitRecord>,
}

fn account_key(key: u64) -> AccountKey {
    AccountKey::new(key.into()).expect("not 0")
}

fn asset_id(asset: u16) -> AssetId {
    AssetId::new(asset).expect("not 0")
}

/// A batch with a proof of whatever it says.
pub fn draft(life: &mut Life<'_>) -> Draft {
    let size = life.rollup.book.k;
    let grow = size < life.rollup.key.k_max() && life.rng.gen_bool(0.2);
    let accounts = life.rollup.book.accounts.clone();
    let k = size + u8::from(grow);
    let mut builder = Builder { life, data: BatchData::default(), k, accounts, forced: Vec::new() };
    builder.serve();
    builder.move_money();
    builder.leave();
    let mut faults = 0;
    while faults < 2 && builder.life.rng.gen_bool(0.25) {
        faults += u32::from(builder.spoil());
    }
    let Builder { data, .. } = builder;
    forge(life, data, k, faults)
}

/// The proof: of the batch as it is, or of another statement about it.
fn forge(life: &mut Life<'_>, data: BatchData, k: u8, mut faults: u32) -> Draft {
    let before = life.rollup.book.clone();
    let mut opening = before.clone();
    if k > before.k {
        opening.grow();
    }
    let mut new = opening.clone();
    // Records that lead nowhere lead to the same accounts: the secrets prove that too.
    let get = |at: AccountIndex| before.get(at.get());
    for (at, _, after) in effect(1 << k, get, &data).unwrap_or_default() {
        new.set(at.get(), after);
    }
    let beneficiary = match life.rng.gen_bool(0.8) {
        true => operator(),
        false => ChainAddress::from(life.rng.r#gen::<[u8; 20]>()),
    };
    let (number, first) = (life.state.number + 1, life.state.head);
    if life.rng.gen_bool(0.9) {
        let post = life.rollup.forge_from(&before, (number, first), data, &new, beneficiary);
        return Draft { post, faults };
    }
    faults += 1;
    let other = |book: &Book| {
        let mut other = book.clone();
        other.k += 1;
        other
    };
    let mut post = match life.rng.gen_range(0..6) {
        0 => life.rollup.forge_from(&before, (number + 1, first), data, &new, beneficiary),
        1 => life.rollup.forge_from(&before, (number, first + 1), data, &new, beneficiary),
        2 => {
            let somebody = ChainAddress::repeat_byte(0x44);
            let mut post = life.rollup.forge_from(&before, (number, first), data, &new, somebody);
            post.beneficiary = beneficiary;
            post
        }
        3 => {
            let domain = life.rollup.domain;
            life.rollup.domain += ark_bn254::Fr::from(1u64);
            let post = life.rollup.forge_from(&before, (number, first), data, &new, beneficiary);
            life.rollup.domain = domain;
            post
        }
        // The same commitments as of a ledger of twice the size.
        4 if k == before.k => {
            let (at, new) = ((number, first), other(&new));
            life.rollup.forge_from(&other(&before), at, data, &new, beneficiary)
        }
        // Another ledger than the stored one.
        _ => {
            let mut elsewhere = before.clone();
            elsewhere.set(1, Account { nonce: 77, ..before.get(1) });
            let new = if k > before.k { new } else { elsewhere.clone() };
            life.rollup.forge_from(&elsewhere, (number, first), data, &new, beneficiary)
        }
    };
    post.batchNumber = number;
    Draft { post, faults }
}

impl Builder<'_, '_> {
    fn capacity(&self, section: usize) -> usize {
        self.life.rollup.key.shape.sections()[section] as usize
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.life.rng.gen_bool(probability)
    }

    /// The queue's first entries, as many as fit or fewer.
    fn serve(&mut self) {
        let waiting: Vec<(QueueEntry, Waiting)> =
            self.life.state.queue.iter().cloned().zip(self.life.waiting.iter().copied()).collect();
        let most = match self.chance(0.7) {
            true => waiting.len(),
            false => self.life.rng.gen_range(0..=waiting.len()),
        };
        for (entry, _) in waiting.into_iter().take(most) {
            match entry {
                QueueEntry::Deposit { amount, asset, key, owner } => {
                    if self.data.deposits.len() == self.capacity(1) {
                        return;
                    }
                    let known = |(_, account): &(&u32, &Account)| {
                        (account.asset, account.key, account.owner) == (asset, key.get(), owner)
                    };
                    let found = self.accounts.iter().find(known).map(|(at, _)| *at);
                    let Some(at) = found.or_else(|| self.open(asset, key, owner)) else { return };
                    self.accounts.get_mut(&at).expect("found or opened").balance += amount;
                    let (index, asset) = (index(at), asset_id(asset));
                    self.data.deposits.push(DepositRecord { index, amount, asset, key, owner });
                }
                QueueEntry::ForcedExit { index, requester } => {
                    if self.forced.len() == self.capacity(3) {
                        return;
                    }
                    let fee = Fee::ZERO;
                    let (amount, asset) = (0, 0);
                    let (from, recipient) = (index, requester);
                    let exit = ExitRecord { from, amount, fee, forced: true, asset, recipient };
                    self.forced.push(exit);
                }
            }
        }
    }

    fn free_index(&mut self) -> Option<u32> {
        let limit = (1u32 << self.k).min(4_000);
        (0..20)
            .map(|_| self.life.rng.gen_range(1..limit))
            .find(|at| !self.accounts.contains_key(at))
            .or_else(|| (1..limit).find(|at| !self.accounts.contains_key(at)))
    }

    fn open(&mut self, asset: u16, key: AccountKey, owner: Address) -> Option<u32> {
        if self.data.opens.len() == self.capacity(0) {
            return None;
        }
        let at = self.free_index()?;
        let account = Account { key: key.get(), balance: 0, nonce: 0, asset, owner };
        self.accounts.insert(at, account);
        let (index, asset) = (index(at), asset_id(asset));
        self.data.opens.push(OpenRecord { index, asset, owner, key });
        Some(at)
    }

    fn any_account(&mut self) -> Option<(u32, Account)> {
        let all: Vec<_> = self.accounts.iter().map(|(at, account)| (*at, *account)).collect();
        all.choose(&mut self.life.rng).copied()
    }

    /// Opens nobody paid for, transfers and one collect of their fees.
    fn move_money(&mut self) {
        if self.chance(0.15) {
            let assets = self.life.state.asset_count;
            let asset = self.life.rng.gen_range(1..=assets);
            let key = account_key(self.life.rng.gen_range(1..u64::MAX));
            let holder = owner(person(self.life.rng.gen_range(1..6)));
            self.open(asset, key, holder);
        }
        let room = self.capacity(2);
        for _ in 0..self.life.rng.gen_range(0..=room) {
            let Some((from, payer)) = self.any_account() else { return };
            let payees: Vec<u32> = (self.accounts.iter())
                .filter(|(_, account)| account.asset == payer.asset)
                .map(|(at, _)| *at)
                .collect();
            let to = *payees.choose(&mut self.life.rng).expect("the payer at least");
            let collector = self.data.collects.first().map(|first| first.to.get());
            let collected = collector.map(|at| self.accounts[&at].asset);
            let takes = self.capacity(4) > 0 && collected.is_none_or(|a| a == payer.asset);
            let most = if takes { payer.balance.min(2_047) } else { 0 };
            let fee = self.life.rng.gen_range(0..=most);
            let amount = self.life.rng.gen_range(0..=payer.balance - fee);
            let payer = self.accounts.get_mut(&from).expect("drawn");
            payer.balance -= amount + fee;
            payer.nonce += 1;
            self.accounts.get_mut(&to).expect("drawn").balance += amount;
            if fee > 0 {
                let to = collector.unwrap_or(to);
                let before = self.data.collects.first().map_or(0, |first| first.amount);
                self.accounts.get_mut(&to).expect("drawn").balance += fee;
                let amount = before + fee;
                self.data.collects = vec![CollectRecord { to: index(to), amount }];
            }
            let (from, to, fee) = (index(from), index(to), Fee::exact(fee).expect("small"));
            self.data.transfers.push(TransferRecord { from, to, amount, fee });
        }
    }

    /// Signed exits and the forced ones among them.
    fn leave(&mut self) {
        let room = self.capacity(3) - self.forced.len();
        for _ in 0..self.life.rng.gen_range(0..=room) {
            let Some((from, account)) = self.any_account() else { break };
            let amount = self.life.rng.gen_range(0..=account.balance);
            let payer = self.accounts.get_mut(&from).expect("drawn");
            payer.balance -= amount;
            payer.nonce += 1;
            let recipient = owner(person(self.life.rng.gen_range(1..6)));
            let (asset, fee, from) = (account.asset, Fee::ZERO, index(from));
            self.data.exits.push(ExitRecord { from, amount, fee, forced: false, asset, recipient });
        }
        let mut place = 0;
        for mut exit in std::mem::take(&mut self.forced) {
            if let Some(account) = self.accounts.get_mut(&exit.from.get()) {
                exit.asset = account.asset;
                if account.owner == exit.recipient {
                    exit.amount = std::mem::take(&mut account.balance);
                }
            }
            place = self.life.rng.gen_range(place..=self.data.exits.len());
            self.data.exits.insert(place, exit);
            place += 1;
        }
    }

    /// Makes one thing wrong, if there is something of the kind.
    fn spoil(&mut self) -> bool {
        let shape = self.life.rollup.key.shape.sections().map(|n| n as usize);
        let strange = 1 + self.life.rng.gen_range(0..(1u32 << 28) - 1);
        let assets = self.life.state.asset_count;
        let (rng, data) = (&mut self.life.rng, &mut self.data);
        let any = rng.gen_range(1..u64::MAX);
        let forced: Vec<usize> = (0..data.exits.len()).filter(|i| data.exits[*i].forced).collect();
        let signed: Vec<usize> = (0..data.exits.len()).filter(|i| !data.exits[*i].forced).collect();
        let (forced, signed) = (forced.choose(rng).copied(), signed.choose(rng).copied());
        let open = data.opens.choose_mut(rng);
        let transfer = data.transfers.choose_mut(rng);
        let deposits = data.deposits.len();
        let deposit = data.deposits.choose_mut(rng);
        match (rng.gen_range(0..24), open, transfer, deposit) {
            (0, Some(open), ..) => open.asset = asset_id(assets + 1),
            (1, Some(open), ..) => open.index = index(strange),
            (2, Some(open), ..) => open.key = account_key(any),
            (3, Some(_), ..) => drop(data.opens.pop()),
            (4, _, Some(transfer), _) => transfer.amount = any,
            (5, _, Some(transfer), _) => transfer.from = index(strange),
            (6, _, Some(transfer), _) => transfer.to = index(strange),
            (7, _, Some(transfer), _) => transfer.fee = Fee::from_float(rng.r#gen()),
            (8, _, _, Some(deposit)) => deposit.amount ^= 1 << rng.gen_range(0..64),
            (9, _, _, Some(deposit)) => deposit.asset = asset_id(deposit.asset.get() + 1),
            (10, _, _, Some(deposit)) => deposit.key = account_key(any),
            (11, _, _, Some(deposit)) => deposit.owner = Address([0x77; 20]),
            (12, _, _, Some(deposit)) => deposit.index = index(strange),
            (13, _, _, Some(_)) => drop(data.deposits.remove(0)),
            (14, ..) if deposits > 1 => data.deposits.rotate_left(1),
            (15, ..) if deposits < shape[1] => {
                let (index, asset) = (index(1), asset_id(1));
                let (key, owner) = (account_key(any), Address([7; 20]));
                data.deposits.push(DepositRecord { index, amount: 5, asset, key, owner });
            }
            (16, ..) if data.exits.len() < shape[3] => data.exits.push(ExitRecord {
                from: index(1),
                amount: rng.gen_range(0..3),
                fee: Fee::ZERO,
                forced: true,
                asset: 1,
                recipient: owner(person(2)),
            }),
            (17..24, ..) if forced.is_some() || signed.is_some() => {
                let at = forced.filter(|_| signed.is_none() || rng.gen_bool(0.6)).or(signed);
                let exit = &mut data.exits[at.expect("one of them")];
                match rng.gen_range(0..7) {
                    0 => exit.amount = any,
                    1 => exit.asset = rng.gen_range(0..assets + 3),
                    2 => exit.recipient = Address([0x77; 20]),
                    3 => exit.from = index(strange),
                    4 => exit.fee = Fee::from_float(rng.gen_range(1..=u16::MAX)),
                    5 => exit.forced = !exit.forced,
                    _ => drop(data.exits.remove(at.expect("one of them"))),
                }
            }
            _ => return false,
        }
        true
    }
}
