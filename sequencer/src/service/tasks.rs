//! The small tasks: ticks, the disk, the loop around settlement.

use super::failure::TaskError;
use crate::disk::Disk;
use crate::journal::{Journal, JournalError};
use crate::limits::{BALANCE_LOOK_MS, DISK_LOOK_MS, TICK_MS};
use crate::main_chain::At;
use crate::mempool::Command;
use crate::proving::Proving;
use crate::settlement::finality::Finality;
use crate::settlement::post::{Poster, Progress};
use crate::settlement::{Backoff, StepError, is_curable};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Looks at the room on the disk.
pub async fn look_at_disk(disk: Disk) -> Result<(), TaskError> {
    let mut interval = tokio::time::interval(Duration::from_millis(DISK_LOOK_MS));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        disk.look();
    }
}

/// Time: batch ages, leases.
pub struct Ticks {
    pub commands: mpsc::Sender<Command>,
    pub proving: Arc<Proving>,
    pub journal: Arc<Journal>,
}

impl Ticks {
    pub async fn run(self) -> Result<(), TaskError> {
        let mut interval = tokio::time::interval(Duration::from_millis(TICK_MS));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // Calls of provers write too and cannot end the service themselves.
            if self.journal.failed() {
                return Err(JournalError::Failed.into());
            }
            // A full queue needs no tick: the writer looks at the age after each command.
            if let Err(mpsc::error::TrySendError::Closed(_)) = self.commands.try_send(Command::Tick)
            {
                return Ok(());
            }
            let expired = self.proving.expire()?;
            if expired > 0 {
                metrics::counter!(crate::metrics::LEASES_EXPIRED).increment(expired as u64);
            }
        }
    }
}

const WEI_PER_ETHER: f64 = 1e18;

/// Posting and finality, with retries and halts.
pub struct Settlement {
    pub poster: Option<Poster>,
    pub finality: Finality,
    pub halted: Arc<Mutex<Option<String>>>,
    pub poll_ms: u64,
    /// When the poster's balance was asked for.
    pub balance: Option<Instant>,
}

impl Settlement {
    pub async fn run(mut self) -> Result<(), TaskError> {
        let mut revision = self.finality.lifecycle.watch();
        let mut backoff = Backoff::new();
        let poll = Duration::from_millis(self.poll_ms);
        loop {
            revision.mark_unchanged();
            let pause = match self.step().await {
                Ok(Progress::Moved) => {
                    backoff.reset();
                    continue;
                }
                Ok(Progress::Idle) => {
                    backoff.reset();
                    poll
                }
                Err(StepError::Journal(error)) => return Err(error.into()),
                Err(StepError::Chain(error)) if is_curable(&error) => {
                    metrics::counter!(crate::metrics::CHAIN_FAILURES, "operation" => "settlement")
                        .increment(1);
                    tracing::warn!(%error, "settlement: trying again");
                    let pause = backoff.pause();
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "SETTLEMENT HALTED: an operator has to look");
                    metrics::gauge!(crate::metrics::HALTED).set(1.0);
                    self.halt(error.to_string());
                    std::future::pending().await
                }
            };
            // A verified proof is posted at once; blocks are polled.
            let _ = tokio::time::timeout(pause, revision.changed()).await;
        }
    }
    fn halt(&self, reason: String) {
        *self.halted.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }
    /// Posts cost ether: how much is left. Only a gauge: what fails is seen by the steps.
    async fn look_at_balance(&mut self) {
        let Some(poster) = &self.poster else { return };
        let pause = Duration::from_millis(BALANCE_LOOK_MS);
        if self.balance.is_some_and(|looked| looked.elapsed() < pause) {
            return;
        }
        self.balance = Some(Instant::now());
        let chain = &poster.watched.contract.chain;
        if let Ok(wei) = chain.balance(poster.wallet.address(), At::Latest).await {
            metrics::gauge!(crate::metrics::POSTER_BALANCE).set(f64::from(wei) / WEI_PER_ETHER);
        }
    }
    async fn step(&mut self) -> Result<Progress, StepError> {
        self.look_at_balance().await;
        let progress = match &mut self.poster {
            Some(poster) => poster.step().await,
            None => Ok(Progress::Idle),
        };
        // What is posted becomes final although the next post cannot be sent.
        self.finality.step().await?;
        progress
    }
}
