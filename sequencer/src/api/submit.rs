//! A stream of transactions: requests are fed to admission as seats allow, answers leave in the
//! order of the requests.

use super::convert;
use super::refusal::Refusal;
use super::sequencer::SequencerApi;
use crate::admission::{Answer, Reply, Source, SubmitError};
use kerros_protocol::proto::submit_transactions_response::Result as Outcome;
use kerros_protocol::proto::{SubmitTransactionsRequest, SubmitTransactionsResponse};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::AbortHandle;
use tokio_stream::{Stream, StreamExt};
use tonic::{Status, Streaming};

/// Why the requests broke off, if they did.
type Broken = Arc<Mutex<Option<Status>>>;

/// The answers of one stream.
pub struct Answers {
    answers: mpsc::UnboundedReceiver<(u64, Answer)>,
    /// Came before their turn; never more than the connection has seats.
    early: BTreeMap<u64, Answer>,
    next: u64,
    broken: Broken,
    feeder: AbortHandle,
    _seat: OwnedSemaphorePermit,
}

/// Numbers streams, so that each one's order can be kept; 0 is no stream.
static STREAMS: AtomicU64 = AtomicU64::new(1);

/// Feeds requests and gives the answers.
pub fn stream(
    api: SequencerApi,
    source: Arc<Source>,
    mut requests: Streaming<SubmitTransactionsRequest>,
    seat: OwnedSemaphorePermit,
) -> Answers {
    let number = STREAMS.fetch_add(1, Ordering::Relaxed);
    let (send, answers) = mpsc::unbounded_channel();
    let broken = Broken::default();
    let told = Arc::clone(&broken);
    let feeder = tokio::spawn(async move {
        let mut sequence = 0;
        while let Some(request) = requests.next().await {
            let bytes = match request {
                Ok(request) => request.transaction,
                Err(status) => {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                    return;
                }
            };
            let reply = Reply::Stream { sequence, answers: send.clone() };
            match api.check_room() {
                Ok(()) => api.admission.feed(&source, number, bytes, reply).await,
                Err(error) => reply.send(Err(error)),
            }
            sequence += 1;
        }
    });
    let feeder = feeder.abort_handle();
    Answers { answers, early: BTreeMap::new(), next: 0, broken, feeder, _seat: seat }
}

impl Answers {
    fn say(&mut self, answer: Answer) -> SubmitTransactionsResponse {
        let sequence = self.next;
        self.next += 1;
        let result = match answer {
            Ok(acknowledged) => Outcome::Receipt(convert::receipt(acknowledged.receipt())),
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
                    return Poll::Ready(Some(Ok(self.say(Err(SubmitError::Stopping)))));
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
