//! Looks at everything that should move, from outside: gauges, and health.

use super::failure::TaskError;
use super::page;
use crate::admission::{Admission, Pace};
use crate::disk::Disk;
use crate::health::{Facts, Reason, Since, Thresholds, health};
use crate::lifecycle::{Lifecycle, Overview};
use crate::limits::HEALTH_LOOK_MS;
use crate::mempool::Command;
use crate::metrics::{self, Queue};
use crate::ordering::{Clock, Shared};
use crate::proving::Proving;
use crate::settlement::view::Waits;
use kerros_protocol::proto::BatchState;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// What is wrong with the service; nothing if it is healthy.
pub type Health = watch::Sender<Vec<Reason>>;

/// The observer.
pub struct Observer {
    pub thresholds: Thresholds,
    pub health: Arc<Health>,
    pub commands: mpsc::Sender<Command>,
    pub admission: Admission,
    pub pace: Pace,
    pub shared: Shared,
    pub lifecycle: Arc<Lifecycle>,
    pub proving: Arc<Proving>,
    pub halted: Arc<Mutex<Option<String>>>,
    pub waits: Arc<Waits>,
    pub disk: Disk,
    pub clock: Clock,
}

/// What the last look saw.
struct Seen {
    turns: Since<u64>,
    heads: Since<u64>,
    sealing: Since<Option<u64>>,
    waits: Since<bool>,
}

impl Observer {
    async fn run(&self) -> Result<(), TaskError> {
        let mut interval = tokio::time::interval(Duration::from_millis(HEALTH_LOOK_MS));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Unix time at the start and the same pace as everything else from then on: a system clock
        // that jumps makes nobody look stalled.
        let (start, started) = ((self.clock)(), Instant::now());
        let mut seen = Seen {
            turns: Since::new(start, 0),
            heads: Since::new(start, 0),
            sealing: Since::new(start, None),
            waits: Since::new(start, false),
        };
        while !self.lifecycle.is_stopping() {
            interval.tick().await;
            // So that a writer that takes nothing is seen even if nobody else wants anything. No
            // matter if its queue is full or it has ended.
            let _ = self.commands.try_send(Command::Tick);
            let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let now = start.saturating_add(elapsed);
            let overview = self.lifecycle.overview();
            let facts = self.look(now, &overview, &mut seen);
            self.measure(now, &overview, &facts);
            self.tell(health(now, &facts, &self.thresholds));
        }
        Ok(())
    }

    /// Looks, and serves the pages, on this thread alone: whatever holds up the runtime of the calls
    /// has to be told.
    pub fn run_apart(self, listener: Option<std::net::TcpListener>) -> Result<(), TaskError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(TaskError::Thread)?.block_on(async {
            let page = page::serve(listener, self.health.subscribe());
            tokio::select! {
                served = page => served,
                observed = self.run() => observed,
            }
        })
    }

    fn look(&self, now: u64, overview: &Overview, seen: &mut Seen) -> Facts {
        let pulse = self.shared.pulse();
        seen.turns.see(now, pulse.turns());
        seen.heads.see(now, pulse.heads());
        let sealing = overview.closed.map(|(first, _)| first);
        seen.sealing.see(now, sealing);
        let waits = self.waits.why();
        seen.waits.see(now, waits.is_some());
        Facts {
            commands_waiting: self.commands.max_capacity() - self.commands.capacity(),
            turned_ms: seen.turns.ms,
            sealing: sealing.map(|batch| (batch, seen.sealing.ms)),
            sealing_halted: self.lifecycle.halted().map(str::to_owned),
            head_seen_ms: seen.heads.ms,
            reorganised: pulse.reorganised(),
            halted: self.halted.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            waits: waits.map(|why| (why, seen.waits.ms)),
            unsettled: overview.oldest,
            disk_free: self.disk.free(),
            disk_reserve: self.disk.reserve(),
        }
    }

    fn measure(&self, now: u64, overview: &Overview, facts: &Facts) {
        let pulse = self.shared.pulse();
        let (pool, parked) = pulse.waiting();
        metrics::queue(Queue::Signatures, self.admission.unchecked());
        metrics::queue(Queue::Writer, facts.commands_waiting);
        metrics::queue(Queue::Pool, pool);
        metrics::queue(Queue::Parked, parked);
        metrics::queue(Queue::Sealer, overview.closed.map_or(0, |(_, count)| count));
        metrics::load(self.admission.waiting(), self.proving.held(), (self.pace)());
        let clock = (self.clock)();
        let open = (1, pulse.first_ms());
        for (state, (count, since)) in [(BatchState::Open, open)].iter().chain(&overview.states) {
            let age = since.map_or(0, |since| clock.saturating_sub(since));
            metrics::batches(*state, *count, Duration::from_millis(age));
        }
        metrics::quarantined(self.lifecycle.quarantined());
        metrics::settled(self.lifecycle.unsettled(), self.lifecycle.last_final());
        if let Some(head) = pulse.head() {
            let age =
                Duration::from_millis(clock.saturating_sub(head.timestamp.saturating_mul(1_000)));
            metrics::main_chain(head.number, age);
        }
        metrics::posting_waits(facts.waits.is_some());
        metrics::main_chain_silence(Duration::from_millis(now.saturating_sub(facts.head_seen_ms)));
    }

    /// Publishes, and logs what is new or over.
    fn tell(&self, reasons: Vec<Reason>) {
        let codes = |reasons: &[Reason]| reasons.iter().map(Reason::code).collect::<Vec<_>>();
        let (had, have) = (codes(&self.health.borrow()), codes(&reasons));
        for reason in reasons.iter().filter(|reason| !had.contains(&reason.code())) {
            tracing::error!(reason = reason.code(), "UNHEALTHY: {reason}");
        }
        for code in had.iter().filter(|code| !have.contains(code)) {
            tracing::info!(reason = code, "healthy again");
        }
        metrics::unhealthy(&have);
        self.health.send_if_modified(|known| {
            let changed = *known != reasons;
            *known = reasons;
            changed
        });
    }
}
