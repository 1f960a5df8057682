//! A world made from one seed: which thing happens next, when processes die, and what must hold
//! whatever happens.

mod provers;

use super::chain::SimulatedChain;
use super::client::{Client, Told, USERS};
use super::process::{End, LEASE_MS, Process, check_watermark};
use super::setup::{self, Setup};
use super::store::{Crash, Disk, Fate};
use super::truth;
use crate::journal::{AttemptRow, Happened};
use crate::mempool::Command;
use alloy::primitives::{Address, U256};
use kerros_protocol::account::AssetId;
use kerros_protocol::proto::BatchState;
use kerros_verifier::contract::Kerros;
use provers::Prover;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Steps of a seed before everything is brought to its end.
const STEPS: u32 = 600;
/// Rounds after which everything must have come to its end.
const ROUNDS: u32 = 600;

/// What a seed did; equal for equal seeds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    pub acknowledged: usize,
    pub again: u64,
    pub refused: u64,
    pub batches: u64,
    pub crashes: u32,
    pub disk_errors: u32,
    pub reorganisations: u32,
    pub lost_tails: u32,
    pub trace: [u8; 32],
}

pub struct World {
    setup: &'static Setup,
    dice: StdRng,
    now: Arc<AtomicU64>,
    disk: Disk,
    chain: SimulatedChain,
    process: Option<Process>,
    clients: Vec<Client>,
    provers: Vec<Prover>,
    told: Told,
    /// The last epoch that was leased, by batch.
    epochs: BTreeMap<u64, u64>,
    /// Batches that were seen Final.
    last_final: u64,
    /// In some worlds blocks are rare and time flies.
    slow: bool,
    report: Report,
    trace: String,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let setup = setup::setup();
        let mut dice = StdRng::seed_from_u64(seed);
        let mut fork = || StdRng::seed_from_u64(dice.r#gen());
        let disk = Disk::new(fork());
        let chain = SimulatedChain::new(setup.key.clone(), setup.domain, fork());
        let provers = ["a", "b"].map(Prover::new);
        let mut own = fork();
        Self {
            setup,
            slow: own.gen_range(0..3) == 0,
            dice: own,
            now: Arc::new(AtomicU64::new(1_000_000)),
            disk,
            chain,
            process: None,
            clients: (1..=USERS).map(Client::new).collect(),
            provers: provers.into(),
            told: Told::default(),
            epochs: BTreeMap::new(),
            last_final: 0,
            report: Report::default(),
            trace: String::new(),
        }
    }
    /// Lives through all steps; an error says what must never happen and did.
    pub fn run(mut self) -> Result<Report, String> {
        self.chain.set_trouble(20);
        // Somebody has to have something.
        (0..6).for_each(|_| self.enter());
        (0..4).for_each(|_| self.chain.mine(false));
        for step in 0..STEPS {
            self.step().map_err(|error| format!("step {step}: {error}"))?;
        }
        self.end().map_err(|error| format!("at the end: {error}"))?;
        self.report.acknowledged = self.told.receipts.len();
        (self.report.again, self.report.refused) = (self.told.again, self.told.refused);
        for (id, receipt) in &self.told.receipts {
            let _ = write!(self.trace, "{id:?}{:?}", receipt.signature);
        }
        self.report.trace = *blake3::hash(self.trace.as_bytes()).as_bytes();
        Ok(self.report)
    }
    fn chance(&mut self, parts: u32) -> bool {
        self.dice.gen_range(0..parts) == 0
    }
    fn step(&mut self) -> Result<(), String> {
        if self.process.is_none() {
            self.start()?;
            return Ok(());
        }
        let event = self.dice.gen_range(0..100);
        let _ = write!(self.trace, "{event} ");
        match event {
            0..14 => {
                self.with_client(|client, process, setup, dice| client.act(process, setup, dice))
            }
            14..26 => self.inside(|process, setup| {
                process.check(setup);
                Ok(())
            })?,
            26..38 => self.inside(|process, _| {
                process.deliver();
                Ok(())
            })?,
            38..54 => self.inside(|process, _| process.write())?,
            54..58 => self.inside(|process, _| process.seal())?,
            58..64 => self.pass_time()?,
            64..72 => self.prove(true)?,
            72..75 => self.verify()?,
            75..83 => self.inside(|process, _| process.post())?,
            83..86 => self.inside(|process, _| process.look())?,
            86..90 => self.inside(|process, _| process.follow())?,
            90..94 => {
                if !self.slow || self.chance(6) {
                    self.chain.mine(false);
                }
            }
            94..96 => self.enter(),
            96 => self.trouble_on_the_chain(),
            97 => self.ask_for_something(),
            98 => self.trouble_on_the_disk(),
            _ => {
                if self.chance(3) {
                    self.die()?;
                }
            }
        }
        self.look()
    }
    fn with_client(&mut self, act: impl FnOnce(&mut Client, &Process, &Setup, &mut StdRng)) {
        let place = self.dice.gen_range(0..self.clients.len());
        if let Some(process) = &self.process {
            act(&mut self.clients[place], process, self.setup, &mut self.dice);
        }
    }
    /// Runs a step of the process, which may die in it.
    fn inside(
        &mut self,
        step: impl FnOnce(&mut Process, &Setup) -> Result<(), End>,
    ) -> Result<(), String> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let setup = self.setup;
        match catch_unwind(AssertUnwindSafe(|| step(process, setup))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(End::Disk)) => {
                self.report.disk_errors += 1;
                self.die()
            }
            Ok(Err(End::Wrong(why))) => Err(why),
            Err(panic) if panic.is::<Crash>() => self.die(),
            Err(panic) => Err(super::said(&*panic)),
        }
    }
    /// The process is gone, and power with it.
    fn die(&mut self) -> Result<(), String> {
        let _ = write!(self.trace, "dies ");
        self.report.crashes += 1;
        // What was answered before the end was answered.
        if let Some(process) = &self.process {
            for client in &mut self.clients {
                client.read(process, self.setup, &mut self.told, false)?;
            }
        }
        self.process = None;
        self.disk.lose_power();
        self.clients.iter_mut().for_each(Client::lose_connection);
        Ok(())
    }
    fn start(&mut self) -> Result<(), String> {
        if self.chance(4) {
            self.lose_tail()?;
        }
        if self.chance(6) {
            self.disk.arm(self.dice.gen_range(0..3), Fate::DiesAfter);
        }
        let seed = self.dice.r#gen();
        let (disk, chain, setup, now) = (&self.disk, &self.chain, self.setup, &self.now);
        let started =
            catch_unwind(AssertUnwindSafe(|| Process::start(disk, chain, setup, now, seed)));
        self.process = match started {
            Ok(Ok(process)) => Some(process),
            Ok(Err(End::Disk)) => None,
            Ok(Err(End::Wrong(why))) => return Err(format!("a start is refused: {why}")),
            Err(panic) if panic.is::<Crash>() => None,
            Err(panic) => return Err(super::said(&*panic)),
        };
        match &self.process {
            None => self.disk.lose_power(),
            Some(process) => truth::check_log(&process.journal, setup, &self.told)?,
        }
        Ok(())
    }
    /// A disk that lost its last writes after all: refused if anything told is among them.
    fn lose_tail(&mut self) -> Result<(), String> {
        let other = self.disk.without(self.dice.gen_range(1..4));
        let journal = crate::journal::Journal::over(other.clone());
        let kept = |id| journal.receipt(id).ok().flatten().is_some();
        let missing = self.told.receipts.keys().find(|id| !kept(id));
        let started = check_watermark(&other, self.setup);
        match (missing, started) {
            (Some(id), Ok(())) => Err(format!("a start without the acknowledged {id:?}")),
            (Some(_), Err(_)) => {
                self.report.lost_tails += 1;
                Ok(())
            }
            // Without a receipt there may still be an acknowledged opening: refusing is no harm.
            (None, _) => Ok(()),
        }
    }
    fn pass_time(&mut self) -> Result<(), String> {
        let most = if self.slow { 10 } else { 40 };
        let ms = match self.dice.gen_range(0..most) {
            0 => self.dice.gen_range(60_000..90_000),
            1..4 => self.dice.gen_range(LEASE_MS..2 * LEASE_MS),
            _ => self.dice.gen_range(1..1_500),
        };
        let before = self.now.fetch_add(ms, Ordering::Relaxed);
        if self.chance(40) {
            // Set back.
            self.now.store(before.saturating_sub(5_000), Ordering::Relaxed);
        }
        self.inside(|process, _| process.tick())
    }
    /// Something enters the contract's queue.
    fn enter(&mut self) {
        let mut stored = Kerros::queueEntryReturn::default();
        stored.entry.sender = Address::repeat_byte(0x77);
        let state = self.chain.state();
        let accounts = state.ledger.existing().count() as u64;
        if accounts > 2 && self.chance(4) {
            stored.entry.kind = 2;
            stored.entry.amount = self.dice.gen_range(1..=accounts);
        } else {
            let name = self.dice.gen_range(1..=USERS);
            stored.entry.kind = 1;
            stored.entry.amount = self.dice.gen_range(1..1_000_000);
            stored.entry.asset = self.dice.gen_range(1..=2);
            stored.entry.key = U256::from_be_bytes(setup::key_of(name).to_be());
            stored.entry.owner = Address::from(setup::owner().0);
        }
        self.chain.enqueue(stored);
    }
    fn trouble_on_the_chain(&mut self) {
        match self.dice.gen_range(0..6) {
            3 => self.chain.set_fee_min(self.dice.gen_range(4..400)),
            4 | 5 => self.chain.intrude(),
            0 => self.chain.forget(),
            1 => self.chain.mine(true),
            _ => {
                let (depth, lose) = (self.dice.gen_range(1..=2), self.dice.r#gen());
                self.chain.reorganise(depth, lose);
                self.report.reorganisations += 1;
            }
        }
    }
    fn trouble_on_the_disk(&mut self) {
        let fates = [Fate::DiesBefore, Fate::DiesAfter, Fate::Fails];
        let fate = fates[self.dice.gen_range(0..fates.len())];
        self.disk.arm(self.dice.gen_range(0..6), fate);
    }
    /// An operator seals, or somebody opens an account.
    fn ask_for_something(&mut self) {
        let Some(process) = &self.process else { return };
        if self.dice.r#gen() {
            let (reply, _) = tokio::sync::oneshot::channel();
            process.send(Command::Seal { reply });
            return;
        }
        let Some(seat) = process.source().try_seat() else { return };
        let (reply, _) = tokio::sync::oneshot::channel();
        let asset = AssetId::new(self.dice.gen_range(1..=2)).expect("registered");
        let key = setup::key_of(self.dice.gen_range(1..=USERS));
        process.send(Command::Open { asset, owner: setup::owner(), key, reply, seat });
    }
    /// What everybody can see after each step.
    fn look(&mut self) -> Result<(), String> {
        if let Some(violation) = self.chain.violation() {
            return Err(violation);
        }
        let Some(process) = &self.process else { return Ok(()) };
        for (batch, hash) in self.chain.news() {
            let rows = process.journal.attempts(batch).map_err(|error| error.to_string())?;
            let is_signed = |row: &AttemptRow| matches!(&row.record.what, Some(Happened::Signed(post)) if post.hash == hash.as_slice());
            if !rows.iter().any(is_signed) {
                return Err(format!("a post of batch {batch} was sent and is not on disk"));
            }
        }
        for client in &mut self.clients {
            client.read(process, self.setup, &mut self.told, true)?;
        }
        let last = process.lifecycle.last_final();
        if last < self.last_final {
            return Err(format!("batch {} was Final, now {last} is the last", self.last_final));
        }
        if last > self.last_final {
            let on_chain = self.chain.settled();
            if last > on_chain {
                return Err(format!("batch {last} is Final, the chain is sure of {on_chain}"));
            }
            self.last_final = last;
        }
        Ok(())
    }
    /// No more trouble: everything must come to its end.
    fn end(&mut self) -> Result<(), String> {
        self.chain.set_trouble(0);
        self.disk.disarm();
        for round in 0..ROUNDS {
            if self.process.is_none() {
                self.start()?;
                self.disk.disarm();
                continue;
            }
            let setup = self.setup;
            self.inside(|process, _| {
                process.check(setup);
                process.deliver();
                process.write()?;
                process.seal()?;
                process.post()?;
                process.look()?;
                process.follow()
            })?;
            self.prove(false)?;
            self.verify()?;
            self.chain.mine(false);
            self.now.fetch_add(500, Ordering::Relaxed);
            if round == ROUNDS / 2 {
                // What a client holds back for ever.
                self.now.fetch_add(10_000, Ordering::Relaxed);
            }
            self.inside(|process, _| process.tick())?;
            self.look()?;
            if self.is_over() {
                let process = self.process.as_ref().expect("alive");
                self.report.batches = process.lifecycle.open() - 1;
                truth::check_log(&process.journal, setup, &self.told)?;
                return truth::check_books(process, &self.chain, setup);
            }
        }
        Err(self.what_waits())
    }
    fn is_over(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let state = process.shared.execution();
        let queue = self.chain.state().queue.len() as u64;
        self.clients.iter().all(|client| client.waiting() == 0)
            && state.operations() == 0
            && state.queue_next() == queue
            && process.lifecycle.unsettled() == 0
            && process.lifecycle.open() == state.head().number
    }
    fn what_waits(&self) -> String {
        let Some(process) = &self.process else { return "no process stays alive".to_owned() };
        let state = process.shared.execution();
        let states: Vec<_> = [BatchState::Sealed, BatchState::Verified, BatchState::Posted]
            .map(|state| (state, process.lifecycle.in_state(state)))
            .into();
        let requests: usize = self.clients.iter().map(Client::waiting).sum();
        format!(
            "{requests} requests wait, {} operations are open, the queue is at {} of {}, batches {states:?}, chain {}",
            state.operations(),
            state.queue_next(),
            self.chain.state().queue.len(),
            self.chain.state().number,
        )
    }
}
