//! A flood: connections that send as much as the sequencer takes, half of them transactions that
//! were executed long ago, half of them wrong signatures.

use super::BenchError;
use super::load::Client;
use super::workload::Ready;
use crate::sequencer::SequencerError;
use kerros_protocol::proto::SubmitTransactionsRequest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

/// Transactions of a flooding connection under way in the client.
const WINDOW: usize = 4_096;

/// A running flood.
pub(super) struct Flood {
    tasks: JoinSet<Result<(), BenchError>>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

impl Flood {
    /// Starts on connections of its own; `old` is sent again and again, by every second connection
    /// with a changed signature.
    pub fn start(clients: Vec<Client>, old: &Arc<Vec<Ready>>) -> Self {
        let mut tasks = JoinSet::new();
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        for (number, client) in clients.into_iter().enumerate() {
            let (old, stop) = (Arc::clone(old), Arc::clone(&stop));
            let answered = Arc::clone(&answered);
            tasks.spawn(flood(client, old, number, stop, answered));
        }
        Self { tasks, stop, answered }
    }
    /// Ends it; the number of answers it got.
    pub async fn end(mut self) -> Result<u64, BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done.map_err(|_| BenchError::Bug("a flood panicked"))??;
        }
        Ok(self.answered.load(Ordering::Relaxed))
    }
}

async fn flood(
    mut client: Client,
    old: Arc<Vec<Ready>>,
    number: usize,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) -> Result<(), BenchError> {
    let (send, requests) = mpsc::channel(WINDOW);
    let ended = Arc::clone(&stop);
    let sender = tokio::spawn(async move {
        for ready in old.iter().cycle().skip(number * WINDOW) {
            let mut transaction = ready.bytes.clone();
            if number % 2 == 1
                && let Some(last) = transaction.len().checked_sub(40)
            {
                // Within S, which stays below the group's order.
                transaction[last + 20] ^= 1;
            }
            if ended.load(Ordering::Relaxed)
                || send.send(SubmitTransactionsRequest { transaction }).await.is_err()
            {
                return;
            }
        }
    });
    let stream = client.submit_transactions(ReceiverStream::new(requests)).await;
    let mut answers = stream.map_err(SequencerError::from)?.into_inner();
    while !stop.load(Ordering::Relaxed) {
        // Whatever it says.
        if answers.message().await.map_err(SequencerError::from)?.is_none() {
            break;
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    sender.abort();
    Ok(())
}
