//! Load through streams: each connection has one, and all transfers of a sender go through the same,
//! because nonces must stay in order.
//!
//! Closed loop: a stream keeps so many transactions outstanding, which finds the greatest rate. Open
//! loop: each transaction has a time at which it is due whatever the sequencer does, and its latency
//! counts from then; waiting behind others is part of it. Timers tick in milliseconds, so that up
//! to one of them is the client's own.

use super::BenchError;
use super::unary::Patience;
use super::workload::Ready;
use crate::sequencer::SequencerError;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::submit_transactions_response::Result as Outcome;
use kerros_protocol::proto::{
    RejectionDetail, SubmitTransactionsRequest, SubmitTransactionsResponse,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, Endpoint};

/// A connection.
pub(super) type Client = SequencerServiceClient<Channel>;

/// Time in which streams are opened before the first transaction of a schedule is due.
const HEAD_START: Duration = Duration::from_millis(200);

/// When transactions are sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// As soon as fewer than `window` of a stream are outstanding.
    Closed {
        /// Outstanding at most.
        window: usize,
    },
    /// Number i of the phase at `start + i · every`.
    Open {
        /// When the schedule begins.
        start: Instant,
        /// Seconds between two transactions of all streams together.
        every: f64,
    },
}

impl Pace {
    /// A schedule of so many a second; [`run`] sets its start.
    pub fn open(per_second: f64) -> Self {
        // A phase that acknowledged nothing has no rate; one a second does no harm.
        let per_second = if per_second > 0.0 { per_second } else { 1.0 };
        Self::Open { start: Instant::now(), every: 1.0 / per_second }
    }
    fn started(self) -> (Self, Instant) {
        match self {
            Self::Closed { .. } => (self, Instant::now()),
            Self::Open { every, .. } => {
                let start = Instant::now() + HEAD_START;
                (Self::Open { start, every }, start)
            }
        }
    }
    fn due(self, number: usize) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { start, every } => {
                Some(start + Duration::from_secs_f64(every * number as f64))
            }
        }
    }
}

/// What came of a phase's transactions: all of them are acknowledged.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// One an acknowledged transaction.
    pub latencies: Vec<Duration>,
    /// Answers that said "overloaded"; these transactions were sent again.
    pub overloaded: u64,
    /// From the start to the last answer.
    pub elapsed: Duration,
}

impl Tally {
    /// Adds another stream's.
    pub fn add(&mut self, other: Tally) {
        self.latencies.extend(other.latencies);
        self.overloaded += other.overloaded;
    }
}

/// Opens `count` connections.
pub(super) async fn connect(url: &str, count: usize) -> Result<Vec<Client>, BenchError> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(SequencerError::Url)?;
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let channel = endpoint.connect().await;
        let unavailable = |error: tonic::transport::Error| SequencerError::Unavailable {
            message: error.to_string(),
        };
        clients.push(SequencerServiceClient::new(channel.map_err(unavailable)?));
    }
    Ok(clients)
}

/// Sends everything, one stream a client, and waits for every receipt.
pub(super) async fn run(
    clients: &[Client],
    ready: &Arc<Vec<Ready>>,
    pace: Pace,
    counter: impl Fn(u64) + Clone + Send + 'static,
) -> Result<Tally, BenchError> {
    let mut lanes = vec![Vec::new(); clients.len()];
    for (number, ready) in ready.iter().enumerate() {
        lanes[ready.sender % clients.len()].push(number);
    }
    let (pace, start) = pace.started();
    let mut tasks = JoinSet::new();
    for (client, numbers) in clients.iter().zip(lanes) {
        let (client, ready, counter) = (client.clone(), Arc::clone(ready), counter.clone());
        tasks.spawn(async move { Lane::new(ready, numbers, pace).run(client, counter).await });
    }
    let mut tally = Tally::default();
    while let Some(done) = tasks.join_next().await {
        tally.add(done.map_err(|_| BenchError::Bug("a stream panicked"))??);
    }
    tally.elapsed = start.elapsed();
    Ok(tally)
}

/// A transaction under way.
struct Sent {
    number: usize,
    since: Instant,
}

/// One stream.
struct Lane {
    ready: Arc<Vec<Ready>>,
    numbers: Vec<usize>,
    pace: Pace,
    next: usize,
    outstanding: VecDeque<Sent>,
    /// Refused as overload, in order. While there are some, nothing new is sent.
    again: VecDeque<Sent>,
    tally: Tally,
}

/// Answers are counted by so many, to keep the bar out of the measurement.
const COUNTED: usize = 256;

impl Lane {
    fn new(ready: Arc<Vec<Ready>>, numbers: Vec<usize>, pace: Pace) -> Self {
        let tally = Tally { latencies: Vec::with_capacity(numbers.len()), ..Tally::default() };
        let (outstanding, again) = (VecDeque::new(), VecDeque::new());
        Self { ready, numbers, pace, next: 0, outstanding, again, tally }
    }

    async fn run(mut self, mut client: Client, counter: impl Fn(u64)) -> Result<Tally, BenchError> {
        let (send, requests) = mpsc::unbounded_channel();
        let requests = UnboundedReceiverStream::new(requests);
        let answers = client.submit_transactions(requests).await.map_err(SequencerError::from)?;
        let (mut answers, mut patience) = (answers.into_inner(), Patience::default());
        let mut last_refusal = None;
        loop {
            if !self.again.is_empty() && self.outstanding.is_empty() {
                if let Some(error) = last_refusal.take() {
                    patience.wait(error).await?;
                }
                for sent in std::mem::take(&mut self.again) {
                    self.send(&send, sent)?;
                }
            }
            self.send_due(&send)?;
            if self.outstanding.is_empty() && self.next == self.numbers.len() {
                return Ok(self.tally);
            }
            let answer = match self.wake() {
                None => answers.message().await,
                Some(due) => match timeout_at(due, answers.message()).await {
                    Ok(answer) => answer,
                    Err(_) => continue,
                },
            };
            let answer = answer.map_err(SequencerError::from)?;
            match self.answered(answer)? {
                None => {
                    patience = Patience::default();
                    let count = self.tally.latencies.len();
                    if count.is_multiple_of(COUNTED) || count == self.numbers.len() {
                        counter(((count - 1) % COUNTED + 1) as u64);
                    }
                }
                Some(refusal) => last_refusal = Some(refusal),
            }
        }
    }
    /// When the next transaction is due, if that is what is waited for.
    fn wake(&self) -> Option<Instant> {
        let number = self.numbers.get(self.next).filter(|_| self.again.is_empty());
        number.and_then(|number| self.pace.due(*number))
    }
    fn send_due(
        &mut self,
        send: &mpsc::UnboundedSender<SubmitTransactionsRequest>,
    ) -> Result<(), BenchError> {
        let now = Instant::now();
        while self.again.is_empty()
            && let Some(number) = self.numbers.get(self.next).copied()
        {
            let since = match self.pace {
                Pace::Closed { window } if self.outstanding.len() >= window => return Ok(()),
                Pace::Closed { .. } => Instant::now(),
                Pace::Open { .. } => match self.pace.due(number).filter(|due| *due <= now) {
                    Some(due) => due,
                    None => return Ok(()),
                },
            };
            self.next += 1;
            self.send(send, Sent { number, since })?;
        }
        Ok(())
    }
    fn send(
        &mut self,
        send: &mpsc::UnboundedSender<SubmitTransactionsRequest>,
        sent: Sent,
    ) -> Result<(), BenchError> {
        let transaction = self.ready[sent.number].bytes.clone();
        self.outstanding.push_back(sent);
        let outstanding = self.outstanding.len();
        let request = SubmitTransactionsRequest { transaction };
        send.send(request).map_err(|_| BenchError::Cut { outstanding })
    }
    /// Takes one answer; gives the refusal if the transaction has to be sent again.
    fn answered(
        &mut self,
        answer: Option<SubmitTransactionsResponse>,
    ) -> Result<Option<SequencerError>, BenchError> {
        let outstanding = self.outstanding.len();
        let cut = BenchError::Cut { outstanding };
        let (Some(answer), Some(sent)) = (answer, self.outstanding.pop_front()) else {
            return Err(cut);
        };
        let expected = self.ready[sent.number].id;
        match answer.result {
            Some(Outcome::Receipt(receipt)) if receipt.transaction_id == expected.0 => {
                self.tally.latencies.push(sent.since.elapsed());
                Ok(None)
            }
            Some(Outcome::Rejection(RejectionDetail { reason, transient, message, .. })) => {
                let overloaded = reason == "OVERLOADED";
                // What follows an overloaded transaction of the same sender has a nonce too high.
                let follows = reason == "WRONG_NONCE" && !self.again.is_empty();
                let refusal = SequencerError::Refused { reason, transient, message };
                if !(transient && (overloaded || follows)) {
                    return Err(refusal.into());
                }
                self.tally.overloaded += u64::from(overloaded);
                self.again.push_back(sent);
                Ok(Some(refusal))
            }
            _ => Err(BenchError::Receipt { expected }),
        }
    }
}
