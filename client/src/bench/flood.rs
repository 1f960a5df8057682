//! A flood: many times what the honest clients send, by a schedule and whatever the sequencer does;
//! half of it transactions that were executed long ago, half of it the honest clients' own ones with
//! wrong signatures, which nothing but the check of the signature can refuse.
//!
//! It runs on a thread of its own: in the same runtime it would delay the honest clients inside of the
//! benchmark.

use super::BenchError;
use super::load::Client;
use super::workload::Ready;
use crate::sequencer::SequencerError;
use kerros_protocol::proto::SubmitTransactionsRequest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

/// Transactions of a flooding connection that wait in the client; what comes on top is not sent: a
/// sequencer that does not read them has defended itself.
const WINDOW: usize = 4_096;
/// How often what is due is sent.
const TURN: Duration = Duration::from_millis(2);

/// What it sends.
pub(super) struct Content {
    /// Executed long ago.
    pub old: Arc<Vec<Ready>>,
    /// Sent with wrong signatures.
    pub fresh: Arc<Vec<Ready>>,
}

/// A running flood.
pub(super) struct Flood {
    thread: std::thread::JoinHandle<Result<(), BenchError>>,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    answered: AtomicU64,
}

/// What became of a flood.
pub(super) struct Flooded {
    /// Given to the connections.
    pub sent: u64,
    /// Answers.
    pub answered: u64,
}

impl Flood {
    /// Starts on `connections` of its own, all of which send `per_second` together.
    pub fn start(
        url: &str,
        connections: usize,
        per_second: f64,
        content: Content,
    ) -> Result<Self, BenchError> {
        let (stop, counts) = (Arc::<AtomicBool>::default(), Arc::<Counts>::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(super::io_at("the flood's runtime"))?;
        let (url, told, counted) = (url.to_owned(), Arc::clone(&stop), Arc::clone(&counts));
        let thread = std::thread::Builder::new().name("flood".to_owned()).spawn(move || {
            let each = per_second / connections as f64;
            runtime.block_on(async move {
                let mut tasks = JoinSet::new();
                let clients = super::load::connect(&url, connections).await?;
                for (number, client) in clients.into_iter().enumerate() {
                    let lies = number % 2 == 1;
                    let list = Arc::clone(if lies { &content.fresh } else { &content.old });
                    let source = Source { list, lies, at: number * WINDOW };
                    let (stop, counts) = (Arc::clone(&told), Arc::clone(&counted));
                    tasks.spawn(flood(client, source, each, stop, counts));
                }
                while let Some(done) = tasks.join_next().await {
                    done.map_err(|_| BenchError::Bug("a flood panicked"))??;
                }
                Ok(())
            })
        });
        let thread = thread.map_err(super::io_at("the flood's thread"))?;
        Ok(Self { thread, stop, counts })
    }
    /// Ends it.
    pub async fn end(self) -> Result<Flooded, BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        let Self { thread, counts, .. } = self;
        let joined = super::busy(move || thread.join()).await?;
        joined.map_err(|_| BenchError::Bug("the flood panicked"))??;
        let [sent, answered] = [&counts.sent, &counts.answered].map(|n| n.load(Ordering::Relaxed));
        Ok(Flooded { sent, answered })
    }
}

/// An endless list.
struct Source {
    list: Arc<Vec<Ready>>,
    lies: bool,
    at: usize,
}

impl Source {
    fn next(&mut self) -> Vec<u8> {
        let mut transaction = self.list[self.at % self.list.len()].bytes.clone();
        self.at += 1;
        if self.lies
            && let Some(last) = transaction.len().checked_sub(40)
        {
            // Within S, which stays below the group's order.
            transaction[last + 20] ^= 1;
        }
        transaction
    }
}

async fn flood(
    mut client: Client,
    mut source: Source,
    per_second: f64,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
) -> Result<(), BenchError> {
    let (send, requests) = mpsc::channel(WINDOW);
    let stream = client.submit_transactions(ReceiverStream::new(requests)).await;
    let mut answers = stream.map_err(SequencerError::from)?.into_inner();
    let started = Instant::now();
    let mut turns = tokio::time::interval(TURN);
    let mut due = 0;
    while !stop.load(Ordering::Relaxed) {
        tokio::select! {
            _ = turns.tick() => {
                let now = (started.elapsed().as_secs_f64() * per_second) as u64;
                for _ in due..now {
                    let transaction = source.next();
                    if send.try_send(SubmitTransactionsRequest { transaction }).is_ok() {
                        counts.sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
                due = now;
            }
            // Whatever it says.
            answer = answers.message() => {
                if answer.map_err(SequencerError::from)?.is_none() {
                    break;
                }
                counts.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}
