//! The rollup's money and queue written a second time, from the documents and without bytecode: which
//! call is accepted, and who may then claim what. Knows points and proofs only as good or bad.

use crate::fuzz::calls::{Call, Entrance, Plan};
use crate::rollup::{Book, ENTRY_GAS, GWEI, operator, owner};
use alloy::primitives::{Address, B256, U256};
use kerros_protocol::batch::BatchData;
use std::collections::{BTreeMap, BTreeSet};

pub const DEPOSITS: usize = 3;
pub const EXITS: usize = 4;
pub const K_GENESIS: u8 = 3;
pub const K_MAX: u8 = 6;
pub const ENTRY_FEE: u64 = 50_000 * GWEI;
pub const FORCE_WINDOW: u64 = 50_000;
pub const ENTRY_WINDOW: u64 = 100;
pub const SILENCE: u64 = 20_000;
const OLD_S: u64 = 3_600;

/// What a token does when it is asked to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Plain,
    Hook,
    /// Returns false and moves nothing.
    Refuses,
    /// Keeps one base unit of what it pulls.
    Fee,
    /// As the mood says; 0 is plain.
    Moody(u8),
}

#[derive(Clone, Debug)]
pub struct Token {
    pub address: Address,
    pub nature: Nature,
    pub asset: Option<u16>,
}

#[derive(Clone, Debug)]
pub struct Asset {
    pub token: usize,
    pub unit: U256,
    pub supply: u64,
    pub deposited: u128,
    pub claimed: u128,
}

#[derive(Clone, Debug)]
pub enum Request {
    Deposit { asset: u16, units: u64, key: u64, owner: Address },
    Exit { index: u32 },
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub request: Request,
    pub sender: Address,
    pub deadline: u64,
    pub at: u64,
    /// In wei.
    pub share: u128,
    pub refunded: bool,
}

/// A contract that holds money, and what it does when money moves.
#[derive(Clone, Debug, Default)]
pub struct RelayState {
    pub armed: Option<Box<Call>>,
}

#[derive(Clone)]
pub struct Model {
    pub now: u64,
    pub base_fee: u64,
    pub frozen: bool,
    pub number: u64,
    pub head: u64,
    pub entries: Vec<Entry>,
    pub opened: u32,
    pub pending: u32,
    pub last_operator_post: u64,
    pub tokens: Vec<Token>,
    pub assets: Vec<Asset>,
    pub withdrawable: BTreeMap<(u16, Address), u128>,
    pub credit: BTreeMap<Address, u128>,
    pub burnt: u128,
    pub ether_in: u128,
    pub ether_out: u128,
    pub book: Book,
    /// The book's root; three products of points, hence kept.
    pub root: B256,
    pub escaped: BTreeSet<u32>,
    pub relays: BTreeMap<Address, RelayState>,
}

/// Whether the call is accepted, and what became of the call inside, if there is one.
pub type Verdict = (bool, Option<bool>);
const REFUSED: Verdict = (false, None);
const DONE: Verdict = (true, None);

impl Model {
    pub fn new(now: u64, tokens: Vec<Token>, relays: &[Address]) -> Self {
        Self {
            now,
            base_fee: 0,
            frozen: false,
            number: 0,
            head: 0,
            entries: Vec::new(),
            opened: 0,
            pending: 0,
            last_operator_post: now,
            tokens,
            assets: Vec::new(),
            withdrawable: BTreeMap::new(),
            credit: BTreeMap::new(),
            burnt: 0,
            ether_in: 0,
            ether_out: 0,
            book: Book::new(K_GENESIS),
            root: Book::new(K_GENESIS).root(),
            escaped: BTreeSet::new(),
            relays: relays.iter().map(|relay| (*relay, RelayState::default())).collect(),
        }
    }

    /// The token that is registered with the deployment.
    pub fn first_asset(&mut self) {
        let unit = U256::from(1);
        self.assets.push(Asset { token: 0, unit, supply: 0, deposited: 0, claimed: 0 });
    }

    pub fn tail(&self) -> u64 {
        self.entries.len() as u64
    }

    pub fn waiting(&self) -> &[Entry] {
        &self.entries[usize::try_from(self.head).expect("small")..]
    }

    pub fn entry(&self, entry: u64) -> Option<&Entry> {
        (entry >= self.head).then(|| self.entries.get(usize::try_from(entry).ok()?)).flatten()
    }

    /// Half of an entry's fee, in gwei.
    fn half_fee(&self) -> u128 {
        let ahead = u128::from(self.tail() - self.head);
        let alone = u128::from(ENTRY_FEE) + 2 * u128::from(ENTRY_GAS) * u128::from(self.base_fee);
        (alone * (16 + ahead)).div_ceil(32 * u128::from(GWEI))
    }

    pub fn fee(&self) -> u128 {
        2 * self.half_fee() * u128::from(GWEI)
    }

    /// A call by `sender`; `value` is what it sends along.
    pub fn judge(&mut self, sender: Address, value: u128, call: &Call) -> Verdict {
        match call {
            Call::Deposit { .. } => self.deposit(sender, value, call),
            Call::ForceExit { index } => self.force(sender, value, *index),
            // Nothing else takes ether.
            _ if value != 0 => REFUSED,
            Call::Register { token, exponent } => self.register(sender, *token, *exponent),
            Call::Claim { asset, account } => self.claim(*asset, *account),
            Call::ClaimEther { account } => self.claim_ether(*account),
            Call::Freeze { entry } => self.freeze(*entry),
            Call::Refund { entry } => self.refund(*entry),
            Call::Escape { index, honest, number, .. } => {
                self.escape(*index, *honest && *number == self.number)
            }
            Call::Post { entrance, plan, .. } => self.post(sender, *entrance, plan),
        }
    }

    /// What happens inside a call of a token or a recipient: the lock holds.
    fn inside(&mut self, relay: Address) -> Option<bool> {
        let call = self.relays.get(&relay)?.armed.clone()?;
        let locked = matches!(
            *call,
            Call::Deposit { .. }
                | Call::ForceExit { .. }
                | Call::Claim { .. }
                | Call::ClaimEther { .. }
        );
        Some(!locked && self.judge(relay, 0, &call).0)
    }

    fn enqueue(&mut self, sender: Address, value: u128, request: Request) -> bool {
        let fee = self.fee();
        if value < fee {
            return false;
        }
        let share = self.half_fee().min(u128::from(u32::MAX)) * u128::from(GWEI);
        let ahead = self.tail() - self.head;
        let deadline = self.now + FORCE_WINDOW + ENTRY_WINDOW * ahead;
        let at = self.now;
        self.entries.push(Entry { request, sender, deadline, at, share, refunded: false });
        self.ether_in += value;
        self.burnt += fee - share;
        *self.credit.entry(sender).or_default() += value - fee;
        true
    }

    fn room(&self, opened: u32, pending: u32) -> bool {
        opened + pending < 1 << K_MAX
    }

    fn deposit(&mut self, sender: Address, value: u128, call: &Call) -> Verdict {
        let Call::Deposit { asset, base, key, owner } = call else { unreachable!("its caller") };
        let Some(found) = self.asset(*asset).cloned() else { return REFUSED };
        let Ok(key) = u64::try_from(*key) else { return REFUSED };
        let whole = *base / found.unit;
        let fits = whole <= U256::from(u64::MAX - found.supply);
        if self.frozen
            || key == 0
            || owner.is_zero()
            || base.is_zero()
            || whole * found.unit != *base
            || !fits
            || !self.room(self.opened, self.pending + 1)
        {
            return REFUSED;
        }
        let nature = self.tokens[found.token].nature;
        if !matches!(nature, Nature::Plain | Nature::Hook | Nature::Moody(0)) {
            return REFUSED;
        }
        let units: u64 = whole.to();
        let request = Request::Deposit { asset: *asset, units, key, owner: *owner };
        if !self.enqueue(sender, value, request) {
            return REFUSED;
        }
        self.pending += 1;
        let asset = &mut self.assets[usize::from(*asset) - 1];
        asset.supply += units;
        asset.deposited += u128::from(units);
        let inside = if nature == Nature::Hook { self.inside(sender) } else { None };
        (true, inside)
    }

    fn force(&mut self, sender: Address, value: u128, index: u32) -> Verdict {
        if self.frozen || index == 0 || index >= 1 << self.book.k {
            return REFUSED;
        }
        (self.enqueue(sender, value, Request::Exit { index }), None)
    }

    pub fn asset(&self, id: u16) -> Option<&Asset> {
        self.assets.get(usize::from(id).checked_sub(1)?)
    }

    fn register(&mut self, sender: Address, token: usize, exponent: u8) -> Verdict {
        let known = self.tokens[token].asset.is_some();
        if sender != operator() || known || exponent > 36 {
            return REFUSED;
        }
        let unit = U256::from(10).pow(U256::from(exponent));
        self.assets.push(Asset { token, unit, supply: 0, deposited: 0, claimed: 0 });
        self.tokens[token].asset = Some(u16::try_from(self.assets.len()).expect("few"));
        DONE
    }

    fn claim(&mut self, asset: u16, account: Address) -> Verdict {
        let units = self.withdrawable.get(&(asset, account)).copied().unwrap_or(0);
        if units == 0 {
            return REFUSED;
        }
        let token = self.assets[usize::from(asset) - 1].token;
        let nature = self.tokens[token].nature;
        // A fee token keeps its unit of what it pulls only; a moody one of everything, but as the
        // recipient's loss (mood 6). Mood 5 lies.
        if matches!(nature, Nature::Refuses | Nature::Moody(1..=5)) {
            return REFUSED;
        }
        self.withdrawable.insert((asset, account), 0);
        self.assets[usize::from(asset) - 1].claimed += units;
        let inside = if nature == Nature::Hook { self.inside(account) } else { None };
        (true, inside)
    }

    fn claim_ether(&mut self, account: Address) -> Verdict {
        let amount = self.credit.get(&account).copied().unwrap_or(0);
        let takes = self.relays.get(&account).is_none_or(|relay| relay.armed.is_some());
        if amount == 0 || !takes {
            return REFUSED;
        }
        self.credit.insert(account, 0);
        self.ether_out += amount;
        (true, self.inside(account))
    }

    fn freeze(&mut self, entry: u64) -> Verdict {
        match self.entry(entry) {
            Some(waiting) if !self.frozen && self.now > waiting.deadline => {
                self.frozen = true;
                DONE
            }
            _ => REFUSED,
        }
    }

    fn leave(&mut self, asset: u16, account: Address, units: u64) {
        if units == 0 {
            return;
        }
        let from = &mut self.assets[usize::from(asset) - 1];
        from.supply = from.supply.checked_sub(units).expect("an honest ledger");
        *self.withdrawable.entry((asset, account)).or_default() += u128::from(units);
    }

    fn refund(&mut self, entry: u64) -> Verdict {
        let found = self.entry(entry).filter(|found| !found.refunded).cloned();
        let Some(found) = found.filter(|_| self.frozen) else { return REFUSED };
        self.entries[usize::try_from(entry).expect("small")].refunded = true;
        if let Request::Deposit { asset, units, .. } = found.request {
            self.pending -= 1;
            self.leave(asset, found.sender, units);
        }
        *self.credit.entry(found.sender).or_default() += found.share;
        DONE
    }

    fn escape(&mut self, index: u32, honest: bool) -> Verdict {
        let account = self.book.get(index);
        let inside = index != 0 && index < 1 << self.book.k;
        if !self.frozen || !honest || !inside || account.is_empty() || self.escaped.contains(&index)
        {
            return REFUSED;
        }
        self.escaped.insert(index);
        self.leave(account.asset, Address::from(account.owner.0), account.balance);
        DONE
    }

    fn post(&mut self, sender: Address, entrance: Entrance, plan: &Plan) -> Verdict {
        let by_operator = sender == operator();
        let silent = self.now > self.last_operator_post + SILENCE;
        let known = plan.number == self.number + 1 && plan.first == self.head;
        if self.frozen
            || entrance != Entrance::Honest
            || self.relays.contains_key(&sender)
            || !known
            || !(by_operator || silent && self.old_are_served(&plan.data))
        {
            return REFUSED;
        }
        let opens = u32::try_from(plan.data.opens.len()).expect("few");
        let deposits = u32::try_from(plan.data.deposits.len()).expect("few");
        if !self.room(self.opened + opens, self.pending - deposits) {
            return REFUSED;
        }
        self.opened += opens;
        self.pending -= deposits;
        for exit in &plan.data.exits {
            self.leave(exit.asset, Address::from(exit.recipient.0), exit.amount);
        }
        let served = usize::try_from(plan.data.queue_entries()).expect("few");
        let earned: u128 = self.waiting()[..served].iter().map(|entry| entry.share).sum();
        *self.credit.entry(plan.beneficiary).or_default() += earned;
        self.head += plan.data.queue_entries();
        self.number += 1;
        self.book = plan.new.clone();
        self.root = self.book.root();
        if by_operator {
            self.last_operator_post = self.now;
        }
        DONE
    }

    /// Whether a stranger's batch serves every old entry that fits.
    fn old_are_served(&self, data: &BatchData) -> bool {
        let forced = data.exits.iter().filter(|exit| exit.forced).count();
        let served = usize::try_from(data.queue_entries()).expect("few");
        let Some(next) = self.waiting().get(served) else { return true };
        let fits = match next.request {
            Request::Deposit { .. } => data.deposits.len() < DEPOSITS,
            Request::Exit { .. } => forced < EXITS,
        };
        next.at + OLD_S >= self.now || !fits
    }

    /// Money in is money out and what is left, in every asset and in ether.
    pub fn assert_conserved(&self) {
        for (id, asset) in (1u16..).zip(&self.assets) {
            let accounts: u128 = (self.book.accounts.iter())
                .filter(|(index, account)| account.asset == id && !self.escaped.contains(index))
                .map(|(_, account)| u128::from(account.balance))
                .sum();
            let waiting: u128 = (self.waiting().iter().filter(|entry| !entry.refunded))
                .map(|entry| match entry.request {
                    Request::Deposit { asset, units, .. } if asset == id => u128::from(units),
                    _ => 0,
                })
                .sum();
            let claimable: u128 = (self.withdrawable.iter())
                .filter(|((asset, _), _)| *asset == id)
                .map(|(_, units)| units)
                .sum();
            assert_eq!(u128::from(asset.supply), accounts + waiting, "supply of asset {id}");
            assert_eq!(asset.deposited - asset.claimed, accounts + waiting + claimable);
        }
        assert_eq!(self.ether_in - self.ether_out, self.ether_held());
    }

    /// What the contract holds in wei: credit, what waiting entries would earn, what is burnt.
    pub fn ether_held(&self) -> u128 {
        let credit: u128 = self.credit.values().sum();
        let shares: u128 =
            (self.waiting().iter()).filter(|entry| !entry.refunded).map(|entry| entry.share).sum();
        credit + shares + self.burnt
    }

    /// The account of a depositor, if it was opened.
    pub fn find(&self, book: &Book, asset: u16, key: u64, of: Address) -> Option<u32> {
        let wanted = |account: &kerros_protocol::account::Account| {
            account.asset == asset && account.key == key.into() && account.owner == owner(of)
        };
        book.accounts.iter().find(|(_, account)| wanted(account)).map(|(index, _)| *index)
    }
}
