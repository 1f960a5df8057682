//! A stream of transactions: requests are fed to admission as seats allow, answers leave in the
//! order of the requests.

use super::convert;
use super::refusal::Refusal;
use super::sequencer::{Seats, SequencerApi};
use crate::admission::{Answer, Reply, Source, SubmitError};
use crate::journal::Journal;
use crate::limits::STREAM_UNREAD_MAX;
use kerros_protocol::proto::submit_transactions_response::Result as Outcome;
use kerros_protocol::proto::{SubmitTransactionsRequest, SubmitTransactionsResponse};
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio_stream::{Stream, StreamExt};
use tonic::{Status, Streaming};

/// Why the requests broke off, if they did.
type Broken = Arc<Mutex<Option<Status>>>;

/// The answers of one stream.
pub struct Answers {
    answers: mpsc::UnboundedReceiver<(u64, Answer)>,
    /// Came before their turn.
    early: BTreeMap<u64, Answer>,
    next: u64,
    journal: Arc<Journal>,
    /// One permit a request that was read and whose answer has not left: what a client that does
    /// not read its answers can make us keep.
    room: Arc<Semaphore>,
    broken: Broken,
    feeder: AbortHandle,
    _seat: Seats,
}

/// Numbers streams, so that each one's order can be kept; 0 is no stream.
static STREAMS: AtomicU64 = AtomicU64::new(1);

/// Feeds requests and gives the answers.
pub fn stream(
    api: SequencerApi,
    source: Arc<Source>,
    mut requests: Streaming<SubmitTransactionsRequest>,
    seat: Seats,
) -> Answers {
    let number = STREAMS.fetch_add(1, Ordering::Relaxed);
    let (send, answers) = mpsc::unbounded_channel();
    let broken = Broken::default();
    let (told, journal) = (Arc::clone(&broken), Arc::clone(&api.journal));
    let room = Arc::new(Semaphore::new(STREAM_UNREAD_MAX));
    let free = Arc::clone(&room);
    let mut revision = api.lifecycle.watch();
    let feeder = tokio::spawn(async move {
        let mut sequence = 0;
        let lifecycle = Arc::clone(&api.lifecycle);
        // An error: the lifecycle is gone, and everything with it.
        let mut stopping = pin!(revision.wait_for(|_| lifecycle.is_stopping()));
        // Given back by `say`, in the order of the requests: an answer always comes.
        while let Ok(permit) = free.acquire().await {
            permit.forget();
            let request = tokio::select! {
                biased;
                _ = &mut stopping => Some(Err(Refusal::from(SubmitError::Stopping).into())),
                request = requests.next() => request,
            };
            let bytes = match request {
                None => return,
                Some(Ok(request)) => request.transaction,
                Some(Err(status)) => {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                    return;
                }
            };
            let reply = Reply::Stream { sequence, answers: send.clone() };
            match api.check_room() {
                Ok(()) => api.admission.feed(&source, number, bytes, reply).await,
                Err(error) => reply.send(Answer::Refused(error)),
            }
            sequence += 1;
        }
    });
    let feeder = feeder.abort_handle();
    Answers { answers, early: BTreeMap::new(), next: 0, journal, room, broken, feeder, _seat: seat }
}

impl Answers {
    fn say(&mut self, answer: Answer) -> SubmitTransactionsResponse {
        let sequence = self.next;
        self.next += 1;
        self.room.add_permits(1);
        let result = match answer.resolve(&self.journal) {
            Ok(receipt) => Outcome::Receipt(convert::receipt(receipt)),
            Err(error) => Outcome::Rejection(Refusal::from(error).detail()),
        };
        SubmitTransactionsResponse { sequence, result: Some(result) }
    }
}

impl Stream for Answers {
    type Item = Result<SubmitTransactionsResponse, Status>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let next = self.next;
            if let Some(answer) = self.early.remove(&next) {
                return Poll::Ready(Some(Ok(self.say(answer))));
            }
            match self.answers.poll_recv(context) {
                Poll::Ready(Some((sequence, answer))) => {
                    self.early.insert(sequence, answer);
                }
                // One before these was dropped unanswered: the service is stopping.
                Poll::Ready(None) if !self.early.is_empty() => {
                    return Poll::Ready(Some(Ok(self.say(Answer::Refused(SubmitError::Stopping)))));
                }
                Poll::Ready(None) => {
                    let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
                    return Poll::Ready(broken.map(Err));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.feeder.abort();
    }
}
