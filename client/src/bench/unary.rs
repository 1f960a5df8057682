//! Load through single calls, and the patience with a sequencer that has too much to do.

use super::BenchError;
use super::load::{Client, Tally};
use super::workload::Ready;
use crate::sequencer::SequencerError;
use kerros_protocol::proto::SubmitTransactionRequest;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// First pause after an overload, in ms; doubles up to the next.
const PAUSE_MS_MIN: u64 = 5;
/// Longest pause, in ms.
const PAUSE_MS_MAX: u64 = 500;
/// Refusals in a row of one transaction.
const REFUSALS_MAX: u32 = 40;

/// Counts refusals in a row.
#[derive(Debug, Default)]
pub(super) struct Patience {
    refusals: u32,
}

impl Patience {
    /// Pauses after an overload, longer each time; gives any other error back, and this one too
    /// when there were too many.
    pub async fn wait(&mut self, error: SequencerError) -> Result<(), BenchError> {
        let overloaded = error.is_transient() && matches!(error.reason(), Some("OVERLOADED"));
        if !overloaded || self.refusals >= REFUSALS_MAX {
            return Err(error.into());
        }
        let pause_ms = PAUSE_MS_MIN.saturating_mul(1 << self.refusals.min(16)).min(PAUSE_MS_MAX);
        self.refusals += 1;
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        Ok(())
    }
}

/// Sends everything by single calls, at most `calls` at once; a sender's calls follow each other.
pub(super) async fn run(
    clients: &[Client],
    ready: &Arc<Vec<Ready>>,
    calls: usize,
    counter: impl Fn(u64) + Clone + Send + 'static,
) -> Result<Tally, BenchError> {
    let mut queues = vec![Vec::new(); calls];
    for (number, ready) in ready.iter().enumerate() {
        queues[ready.sender % calls].push(number);
    }
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (caller, numbers) in queues.into_iter().enumerate() {
        let client = clients[caller % clients.len()].clone();
        tasks.spawn(call_each(client, Arc::clone(ready), numbers, counter.clone()));
    }
    let mut tally = Tally::default();
    while let Some(done) = tasks.join_next().await {
        tally.add(done.map_err(|_| BenchError::Bug("a caller panicked"))??);
    }
    tally.elapsed = start.elapsed();
    Ok(tally)
}

async fn call_each(
    mut client: Client,
    ready: Arc<Vec<Ready>>,
    numbers: Vec<usize>,
    counter: impl Fn(u64),
) -> Result<Tally, BenchError> {
    let mut tally = Tally::default();
    for number in numbers {
        let Ready { id, bytes, .. } = &ready[number];
        let (since, mut patience) = (Instant::now(), Patience::default());
        let answer = loop {
            let request = SubmitTransactionRequest { transaction: bytes.clone() };
            match client.submit_transaction(request).await {
                Ok(answer) => break answer.into_inner(),
                Err(status) => {
                    patience.wait(status.into()).await?;
                    tally.overloaded += 1;
                }
            }
        };
        match answer.receipt {
            Some(receipt) if receipt.transaction_id == id.0 => {
                tally.latencies.push(since.elapsed());
                counter(1);
            }
            _ => return Err(BenchError::Receipt { expected: *id }),
        }
    }
    Ok(tally)
}
