//! Follows a history as the contract did, item by item: pure, but for [`Replay::follow`], which fetches the
//! items. What an event says is compared with what the items before it imply.

use super::deployment::{Deployment, Standing};
use super::event::{Event, EventError, Place, PostedEvent, Queued};
use super::failure::ChainError;
use super::history::{History, Item};
use super::reader::PostTransaction;
use crate::audit::diagnosis::{Diagnosis, Scene, diagnose, field_at};
use crate::audit::{ChainState, Equations, PostRejection, QueueEntry, follow_post};
use crate::contract::{Kerros, Post};
use crate::post::{ReadPost, read};
use alloy::primitives::U256;
use alloy::sol_types::SolCall;
use kerros_protocol::account::{AccountIndex, Address};
use kerros_protocol::commitment::{Commitments, Srs};
use kerros_protocol::verification_key::VerificationKey;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;
use thiserror::Error;

/// Which batches' equations (proof, opening, growth) are checked. Everything else is, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proofs {
    /// Those of batches with this number or a higher one.
    From(u64),
    /// None: the contract has checked them.
    Trusted,
}

/// A registered asset; its id is its place, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Token.
    pub token: Address,
    /// A unit is 10^this base units.
    pub unit_exponent: u8,
}

/// How the latch was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frozen {
    /// Overdue entry.
    pub entry: u64,
    /// Its deadline.
    pub deadline: u64,
    /// Where.
    pub place: Place,
}

/// What one item was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The event.
    pub event: Event,
    /// The post, taken apart, if it is one.
    pub post: Option<ReadPost>,
}

/// Why a history does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayFault {
    /// An event that cannot be read.
    #[error(transparent)]
    Event(#[from] EventError),
    /// An event says something else than what came before it implies.
    #[error("{event} ({place}): {field} is {said}, must be {implied}")]
    Contradiction {
        /// Where.
        place: Place,
        /// Name.
        event: &'static str,
        /// Field of the event.
        field: &'static str,
        /// Its value.
        said: String,
        /// What it must be.
        implied: String,
    },
    /// A post's transaction holds no such call, or not the call of its event.
    #[error("batch {number}: {field}: {why}")]
    Call {
        /// Batch.
        number: u64,
        /// Part of the transaction.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A post that the contract should have refused.
    #[error("batch {number}: {diagnosis} (transaction {}, {bytes})", place.transaction)]
    Post {
        /// Batch.
        number: u64,
        /// Where.
        place: Place,
        /// Which field.
        diagnosis: Diagnosis,
        /// Whether these bytes are what was signed.
        bytes: &'static str,
        /// Why.
        source: Box<PostRejection>,
    },
    /// The contract stands elsewhere than its events lead to.
    #[error("the contract's {field} is {stored}, its history leads to {replayed}")]
    Standing {
        /// Which.
        field: &'static str,
        /// At the head.
        stored: String,
        /// Replayed.
        replayed: String,
    },
    /// A key for another contract.
    #[error("the key's {field} is {key}, the contract's {contract}")]
    OtherKey {
        /// Which.
        field: &'static str,
        /// In the key file.
        key: String,
        /// On the main chain.
        contract: String,
    },
}

/// Why following a history ended early.
#[derive(Debug, Error)]
pub enum ReplayFailure {
    /// It could not be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// It does not hold.
    #[error(transparent)]
    Fault(#[from] Box<ReplayFault>),
}

/// What a history leads to.
#[derive(Debug, Clone)]
pub struct Replay {
    key: VerificationKey,
    deployment: Deployment,
    proofs: Proofs,
    /// Root, number, queue's head, waiting contents, ledger.
    pub state: ChainState,
    /// Under the root.
    pub commitments: Commitments,
    /// Entries that wait, first one first, also when they were refunded.
    pub waiting: VecDeque<Queued>,
    /// By id, from 1.
    pub assets: Vec<Asset>,
    /// The latch.
    pub frozen: Option<Frozen>,
    /// Accounts that left by an opening.
    pub escaped: BTreeSet<AccountIndex>,
    /// Entries that were given back.
    pub refunded: BTreeSet<u64>,
    /// Units that may be claimed, by asset and account.
    pub withdrawable: BTreeMap<(u16, Address), u128>,
    /// Wei that may be claimed.
    pub ether: BTreeMap<Address, U256>,
    /// Credits announced by events whose cause comes after them (a post) or came before (the others).
    credits: VecDeque<(Place, Credit)>,
    due: Option<Credit>,
    srs: Option<Srs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Credit {
    asset: u16,
    account: Address,
    amount: u64,
}

const NOT_THE_CHAINS: &str = "the node's bytes are not what was signed: their hash is another";

/// The first field that is not in the only encoding that the contract takes.
fn unreadable(input: &[u8], written: &[u8]) -> &'static str {
    if !written.is_empty() {
        let same = input.iter().zip(written).take_while(|(a, b)| a == b).count();
        return field_at(same);
    }
    let word = |at: usize| input.get(at..at + 32).and_then(U256::try_from_be_slice);
    let is = |at: usize, value: usize| word(at) == Some(U256::from(value));
    if input.get(..4) != Some(&Kerros::postCall::SELECTOR[..]) {
        return "selector";
    }
    if !is(4, 32) {
        return "place of the post";
    }
    if !is(4 + 32 + 37 * 32, 38 * 32) {
        return "place of data";
    }
    let length = word(4 + 32 + 38 * 32).and_then(|length| usize::try_from(length).ok());
    let whole = length.and_then(|length| length.checked_next_multiple_of(32));
    if whole.and_then(|whole| whole.checked_add(1_284)) != Some(input.len()) {
        return "length of data";
    }
    // What is left: bits outside of a number, a flag or an address.
    let wide = [(0, 8), (13, 1), (36, 20)].into_iter().map(|(at, bytes)| (4 + 32 + at * 32, bytes));
    let found = wide.into_iter().find(|(at, bytes)| match bytes {
        1 => !is(*at, 0) && !is(*at, 1),
        _ => input[*at..at + 32 - bytes].iter().any(|byte| *byte != 0),
    });
    found.map_or("calldata", |(at, _)| field_at(at))
}

/// Requires that an event's field is what it must be.
fn require<T: PartialEq + Display>(
    place: Place,
    event: &'static str,
    field: &'static str,
    said: T,
    implied: T,
) -> Result<(), ReplayFault> {
    if said == implied {
        return Ok(());
    }
    let (said, implied) = (said.to_string(), implied.to_string());
    Err(ReplayFault::Contradiction { place, event, field, said, implied })
}

impl Replay {
    /// As deployed. Refuses a key that is not the contract's.
    pub fn new(
        key: VerificationKey,
        deployment: &Deployment,
        proofs: Proofs,
    ) -> Result<Self, ReplayFault> {
        let other = |field, key: String, contract: String| match key == contract {
            true => Ok(()),
            false => Err(ReplayFault::OtherKey { field, key, contract }),
        };
        other("hash", hex::encode(key.hash()), hex::encode(deployment.vk_hash))?;
        let shape = deployment.shape.map(|n| n.to_string()).join(",");
        other("shape", key.shape.to_string(), shape)?;
        other("k at genesis", key.k_genesis.to_string(), deployment.k_genesis.to_string())?;
        other("greatest k", key.k_max().to_string(), deployment.k_max.to_string())?;
        Ok(Self {
            state: ChainState::genesis(&key),
            key,
            deployment: deployment.clone(),
            proofs,
            commitments: Commitments::empty(),
            waiting: VecDeque::new(),
            assets: Vec::new(),
            frozen: None,
            escaped: BTreeSet::new(),
            refunded: BTreeSet::new(),
            withdrawable: BTreeMap::new(),
            ether: BTreeMap::new(),
            credits: VecDeque::new(),
            due: None,
            srs: None,
        })
    }

    /// With a reference string, a wrong batch's diagnosis tells more.
    #[must_use]
    pub fn with_srs(self, srs: Option<Srs>) -> Self {
        Self { srs, ..self }
    }
    /// The key it checks with.
    pub fn key(&self) -> &VerificationKey {
        &self.key
    }
    /// What it follows.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }
    /// One more than the last entry.
    pub fn tail(&self) -> u64 {
        self.state.head + self.waiting.len() as u64
    }

    /// Follows a history to its end.
    pub async fn follow(
        &mut self,
        history: &mut History,
        mut each: impl FnMut(&Self, &Item, &Step),
    ) -> Result<(), ReplayFailure> {
        while let Some(item) = history.next().await? {
            let step = self.apply(&item).map_err(Box::new)?;
            each(self, &item, &step);
        }
        Ok(())
    }

    /// Takes the next item in.
    pub fn apply(&mut self, item: &Item) -> Result<Step, ReplayFault> {
        let place = item.log.place;
        let event = Event::decode(&item.log)?;
        if let Some(due) = self.due
            && !matches!(event, Event::Withdrawable { .. })
        {
            let (said, implied) = ("absent".to_owned(), due.amount.to_string());
            let (event, field) = ("Withdrawable", "amount");
            return Err(ReplayFault::Contradiction { place, event, field, said, implied });
        }
        let mut post = None;
        match &event {
            Event::AssetRegistered { asset, token, unit_exponent } => {
                let next = self.state.asset_count.saturating_add(1);
                require(place, "AssetRegistered", "asset", *asset, next)?;
                self.state.asset_count = *asset;
                self.assets.push(Asset { token: *token, unit_exponent: *unit_exponent });
            }
            Event::Queued(queued) => self.queue(place, queued)?,
            Event::Posted(posted) => post = Some(self.post(item, posted)?),
            Event::Frozen { entry, deadline } => self.freeze(place, *entry, *deadline)?,
            Event::Escaped { index, asset, owner, amount } => {
                let credit = Credit { asset: *asset, account: *owner, amount: *amount };
                self.escape(place, *index, credit)?;
            }
            Event::Refunded { entry, sender, asset, amount } => {
                let credit = Credit { asset: *asset, account: *sender, amount: *amount };
                self.refund(place, *entry, credit)?;
            }
            Event::Withdrawable { asset, account, amount } => {
                let credit = Credit { asset: *asset, account: *account, amount: *amount };
                match self.due.take() {
                    Some(due) => self.credit(place, credit, due)?,
                    // A post's credits come before the post's own event.
                    None => self.credits.push_back((place, credit)),
                }
            }
            Event::Claimed { asset, account, amount } => {
                let units = self.withdrawable.remove(&(*asset, *account)).unwrap_or(0);
                let units = U256::from(units);
                require(place, "Claimed", "amount", *amount, units)?;
            }
            Event::Ether { account, amount, credited: true } => {
                let wei = self.ether.entry(*account).or_default();
                *wei = wei.saturating_add(*amount);
            }
            Event::Ether { account, amount, credited: false } => {
                let wei = self.ether.remove(account).unwrap_or_default();
                require(place, "EtherClaimed", "amount", *amount, wei)?;
            }
        }
        Ok(Step { event, post })
    }

    fn queue(&mut self, place: Place, queued: &Queued) -> Result<(), ReplayFault> {
        let event = match &queued.content {
            QueueEntry::Deposit { asset, .. } => {
                let known = (1..=self.state.asset_count).contains(asset);
                let implied = if known { *asset } else { self.state.asset_count };
                require(place, "DepositQueued", "asset", *asset, implied)?;
                "DepositQueued"
            }
            QueueEntry::ForcedExit { index, .. } => {
                let last = index.get().min(self.state.ledger.size() - 1);
                require(place, "ForcedExitQueued", "index", index.get(), last)?;
                "ForcedExitQueued"
            }
        };
        require(place, event, "entry", queued.entry, self.tail())?;
        self.not_frozen(place, event)?;
        self.state.queue.push_back(queued.content.clone());
        self.waiting.push_back(queued.clone());
        Ok(())
    }

    fn not_frozen(&self, place: Place, event: &'static str) -> Result<(), ReplayFault> {
        require(place, event, "existence after the freeze", self.frozen.is_some(), false)
    }

    fn is_frozen(&self, place: Place, event: &'static str) -> Result<(), ReplayFault> {
        require(place, event, "existence before a freeze", self.frozen.is_none(), false)
    }

    fn freeze(&mut self, place: Place, entry: u64, deadline: u64) -> Result<(), ReplayFault> {
        self.not_frozen(place, "Frozen")?;
        let waiting = self.waiting.iter().find(|queued| queued.entry == entry);
        let implied = waiting.map_or(self.state.head, |queued| queued.entry);
        require(place, "Frozen", "entry", entry, implied)?;
        let implied = waiting.map_or(0, |queued| queued.deadline);
        require(place, "Frozen", "deadline", deadline, implied)?;
        self.frozen = Some(Frozen { entry, deadline, place });
        Ok(())
    }

    fn escape(&mut self, place: Place, i: AccountIndex, said: Credit) -> Result<(), ReplayFault> {
        let event = "Escaped";
        self.is_frozen(place, event)?;
        let account = self.state.ledger.get(i);
        require(place, event, "asset", said.asset, account.asset)?;
        require(place, event, "owner", said.account, account.owner)?;
        require(place, event, "amount", said.amount, account.balance)?;
        require(place, event, "index, which escaped before,", !self.escaped.insert(i), false)?;
        self.due = (said.amount > 0).then_some(said);
        Ok(())
    }

    fn refund(&mut self, place: Place, entry: u64, said: Credit) -> Result<(), ReplayFault> {
        let event = "Refunded";
        self.is_frozen(place, event)?;
        let waiting = self.waiting.iter().find(|queued| queued.entry == entry);
        let implied = waiting.map_or(self.state.head, |queued| queued.entry);
        require(place, event, "entry", entry, implied)?;
        let Some(queued) = waiting else {
            return require(place, event, "existence of the entry", false, true);
        };
        let (asset, amount) = match &queued.content {
            QueueEntry::Deposit { asset, amount, .. } => (*asset, *amount),
            QueueEntry::ForcedExit { .. } => (0, 0),
        };
        require(place, event, "depositor", said.account, queued.sender)?;
        require(place, event, "asset", said.asset, asset)?;
        require(place, event, "amount", said.amount, amount)?;
        let again = !self.refunded.insert(entry);
        require(place, event, "entry, which was refunded before,", again, false)?;
        self.due = (amount > 0).then_some(said);
        Ok(())
    }

    fn credit(&mut self, place: Place, said: Credit, implied: Credit) -> Result<(), ReplayFault> {
        let event = "Withdrawable";
        require(place, event, "asset", said.asset, implied.asset)?;
        require(place, event, "account", said.account, implied.account)?;
        require(place, event, "amount", said.amount, implied.amount)?;
        let units = self.withdrawable.entry((said.asset, said.account)).or_default();
        *units += u128::from(said.amount);
        Ok(())
    }

    fn post(&mut self, item: &Item, posted: &PostedEvent) -> Result<ReadPost, ReplayFault> {
        let (place, number) = (item.log.place, self.state.number + 1);
        self.not_frozen(place, "BatchPosted")?;
        let call = self.call(item, number)?;
        let equations = match self.proofs {
            Proofs::From(from) if number >= from => Equations::Checked,
            _ => Equations::Trusted,
        };
        let first = self.state.head;
        let domain = self.deployment.domain;
        let read = match follow_post(&self.key, domain, &mut self.state, &call, equations) {
            Ok(read) => read,
            Err(source) => {
                let diagnosis = self.diagnose(posted, &call, &source);
                let genuine = item.post.as_ref().is_some_and(PostTransaction::is_genuine);
                let bytes = if genuine { "the bytes are the chain's" } else { NOT_THE_CHAINS };
                let source = Box::new(source);
                return Err(ReplayFault::Post { number, place, diagnosis, bytes, source });
            }
        };
        if !item.post.as_ref().is_some_and(PostTransaction::is_genuine) {
            let (field, why) = ("transaction", NOT_THE_CHAINS.to_owned());
            return Err(ReplayFault::Call { number, field, why });
        }
        let event = "BatchPosted";
        require(place, event, "number", posted.number, number)?;
        require(place, event, "newRoot", posted.new_root, self.state.root)?;
        require(place, event, "first", posted.first, first)?;
        require(place, event, "end", posted.end, self.state.head)?;
        require(place, event, "k", posted.k, self.state.ledger.k())?;
        require(place, event, "beneficiary", posted.beneficiary, read.beneficiary)?;
        self.commitments = read.new;
        self.waiting.drain(..(self.state.head - first) as usize);
        for exit in read.data.exits.iter().filter(|exit| exit.amount > 0) {
            let implied =
                Credit { asset: exit.asset, account: exit.recipient, amount: exit.amount };
            let (place, said) = self
                .credits
                .pop_front()
                .unwrap_or((place, Credit { asset: 0, account: Address([0; 20]), amount: 0 }));
            self.credit(place, said, implied)?;
        }
        match self.credits.pop_front() {
            None => Ok(read),
            Some((place, said)) => {
                let implied = "no exit's".to_owned();
                let (event, field, said) = ("Withdrawable", "amount", said.amount.to_string());
                Err(ReplayFault::Contradiction { place, event, field, said, implied })
            }
        }
    }

    fn diagnose(&self, event: &PostedEvent, post: &Post, why: &PostRejection) -> Diagnosis {
        if let (PostRejection::Invalid(_), Ok(read)) = (why, read(&self.key, post)) {
            let leaving = read.data.exits.iter().filter(|exit| exit.amount > 0);
            let leaving = leaving.map(|exit| (exit.asset, exit.recipient, exit.amount));
            let credits = self.credits.iter().map(|(_, it)| (it.asset, it.account, it.amount));
            // An exit's recipient moves no balance: only the contract's events tell.
            if !leaving.eq(credits) {
                let why = "section E: its exits are not those that the contract credited";
                return Diagnosis { field: "data".to_owned(), why: why.to_owned() };
            }
        }
        let k = self.state.ledger.k() + u8::from(post.grow);
        let lagrange = self.srs.as_ref().and_then(|srs| srs.lagrange(k).ok());
        let scene = Scene {
            key: &self.key,
            domain: self.deployment.domain,
            state: &self.state,
            commitments: &self.commitments,
            event,
            lagrange: lagrange.as_deref(),
        };
        diagnose(scene, post, why)
    }

    /// The call inside a post's transaction.
    fn call(&self, item: &Item, number: u64) -> Result<Post, ReplayFault> {
        let wrong = |field, why: String| ReplayFault::Call { number, field, why };
        let found = item.post.as_ref();
        let found = found.ok_or_else(|| wrong("transaction", "is missing".to_owned()))?;
        if found.to != Some(self.deployment.contract) {
            let to = found.to.map_or("nobody".to_owned(), |to| to.to_string());
            return Err(wrong("to", format!("the transaction calls {to}, not the contract")));
        }
        let call = Kerros::postCall::abi_decode_validate(&found.input);
        let written = call.as_ref().map(|call| call.abi_encode()).unwrap_or_default();
        if written != *found.input {
            return Err(wrong(
                unreadable(&found.input, &written),
                "is not the contract's encoding".to_owned(),
            ));
        }
        let call = call.map_err(|error| wrong("calldata", error.to_string()))?;
        Ok(call.p)
    }

    /// Requires that the contract stands where its history leads.
    pub fn settled(&self, standing: &Standing) -> Result<(), ReplayFault> {
        fn same<T: PartialEq + Display>(
            field: &'static str,
            stored: T,
            replayed: T,
        ) -> Result<(), ReplayFault> {
            if stored == replayed {
                return Ok(());
            }
            let (stored, replayed) = (stored.to_string(), replayed.to_string());
            Err(ReplayFault::Standing { field, stored, replayed })
        }
        same("batchNumber", standing.number, self.state.number)?;
        same("root", standing.root, self.state.root)?;
        same("k", standing.k, self.state.ledger.k())?;
        same("head", standing.head, self.state.head)?;
        same("tail", standing.tail, self.tail())?;
        same("assetCount", standing.asset_count, self.state.asset_count)?;
        same("frozen", standing.frozen, self.frozen.is_some())
    }
}
