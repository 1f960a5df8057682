//! One phase of load: sent, acknowledged, measured.

use super::latency::Latencies;
use super::load::{self, Client, Pace, Tally};
use super::measure::{Cost, Reading};
use super::process::SequencerProcess;
use super::workload::Ready;
use super::{BenchError, unary as calls};
use crate::progress::Bar;
use std::sync::Arc;

/// A phase's result.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Transfers sent.
    pub sent: usize,
    /// Transfers acknowledged; anything less than `sent` has failed the benchmark before.
    pub acknowledged: usize,
    /// Answers that said "overloaded"; sent again.
    pub overloaded: u64,
    /// From the start to the last answer.
    pub seconds: f64,
    /// From sending (maximum, unary) or from the scheduled time (paced) to the answer.
    pub latencies: Latencies,
    /// What it cost.
    pub cost: Cost,
}

impl Phase {
    /// Acknowledged transfers a second.
    pub fn per_second(&self) -> f64 {
        self.acknowledged as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
    /// Processors that client and sequencer had on average; at the maximum rate, less than all of
    /// them means that something else was running beside the benchmark.
    pub fn processors(&self) -> f64 {
        let us = |name| self.cost.cpu_us.get(name).copied().unwrap_or(0);
        let seconds = (us("server") + us("client")) as f64 / 1e6;
        seconds / self.seconds.max(f64::MIN_POSITIVE)
    }
    /// Processor time of one acknowledged transfer.
    pub fn us_each(&self, us: u64) -> f64 {
        us as f64 / self.acknowledged.max(1) as f64
    }
}

async fn measured(
    stage: &str,
    process: &SequencerProcess,
    sent: usize,
    load: impl AsyncFnOnce(&Bar) -> Result<Tally, BenchError>,
) -> Result<Phase, BenchError> {
    let bar = Bar::steps(stage, sent as u64);
    let before = Reading::now(process.id, process.metrics).await?;
    let tally = load(&bar).await?;
    let after = Reading::now(process.id, process.metrics).await?;
    let phase = Phase {
        sent,
        acknowledged: tally.latencies.len(),
        overloaded: tally.overloaded,
        seconds: tally.elapsed.as_secs_f64(),
        latencies: Latencies::new(tally.latencies),
        cost: Cost::between(&before, &after),
    };
    bar.done(&format!("{:.0} acknowledged a second", phase.per_second()));
    Ok(phase)
}

/// Through streams.
pub(super) async fn streamed(
    stage: &str,
    process: &SequencerProcess,
    clients: &[Client],
    ready: Arc<Vec<Ready>>,
    pace: Pace,
) -> Result<Phase, BenchError> {
    let load = async |bar: &Bar| load::run(clients, &ready, pace, bar.counter()).await;
    measured(stage, process, ready.len(), load).await
}

/// Through single calls.
pub(super) async fn unary(
    process: &SequencerProcess,
    clients: &[Client],
    ready: Arc<Vec<Ready>>,
    at_once: usize,
) -> Result<Phase, BenchError> {
    let load = async |bar: &Bar| calls::run(clients, &ready, at_once, bar.counter()).await;
    measured("unary", process, ready.len(), load).await
}
