//! The small tasks: ticks, the metrics page, the loop around settlement.

use super::failure::TaskError;
use super::supervision::told;
use crate::admission::Admission;
use crate::disk::Disk;
use crate::journal::{Journal, JournalError};
use crate::lifecycle::Lifecycle;
use crate::limits::{DISK_LOOK_MS, TICK_MS};
use crate::mempool::Command;
use crate::proving::Proving;
use crate::settlement::finality::Finality;
use crate::settlement::post::{Poster, Progress};
use crate::settlement::{Backoff, StepError, is_curable};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Serves `/metrics`.
pub async fn metrics_page(
    listener: TcpListener,
    stopped: watch::Receiver<bool>,
) -> Result<(), TaskError> {
    let page = || async {
        crate::metrics::recorder().map_or_else(String::new, |recorder| {
            recorder.run_upkeep();
            recorder.render()
        })
    };
    let router = axum::Router::new().route("/metrics", axum::routing::get(page));
    let serving = axum::serve(listener, router).with_graceful_shutdown(told(stopped));
    serving.await.map_err(TaskError::Metrics)
}

/// Looks at the room on the disk.
pub async fn look_at_disk(disk: Disk) -> Result<(), TaskError> {
    let mut interval = tokio::time::interval(Duration::from_millis(DISK_LOOK_MS));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        disk.look();
    }
}

/// Time: batch ages, leases, gauges.
pub struct Ticks {
    pub commands: mpsc::Sender<Command>,
    pub proving: Arc<Proving>,
    pub admission: Admission,
    pub lifecycle: Arc<Lifecycle>,
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
                self.lifecycle.poke();
            }
            crate::metrics::load(
                self.admission.waiting(),
                self.proving.held(),
                self.lifecycle.unsettled(),
                self.lifecycle.last_final(),
            );
            metrics::gauge!(crate::metrics::QUARANTINED).set(self.lifecycle.quarantined() as f64);
        }
    }
}

/// Posting and finality, with retries and halts.
pub struct Settlement {
    pub poster: Option<Poster>,
    pub finality: Finality,
    pub halted: Arc<Mutex<Option<String>>>,
    pub poll_ms: u64,
}

impl Settlement {
    pub async fn run(mut self) -> Result<(), TaskError> {
        let mut revision = self.finality.lifecycle.watch();
        let mut backoff = Backoff::new();
        let poll = Duration::from_millis(self.poll_ms);
        metrics::gauge!(crate::metrics::HALTED).set(0.0);
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
    async fn step(&mut self) -> Result<Progress, StepError> {
        let progress = match &mut self.poster {
            Some(poster) => poster.step().await?,
            None => Progress::Idle,
        };
        self.finality.step().await?;
        Ok(progress)
    }
}
