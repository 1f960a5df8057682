//! Streams that resume: states of batches for watchers, bytes for replicas, receipts for everybody.
//!
//! Each stream is a task that reads from disk and memory at its reader's pace; nothing is queued for
//! slow readers.

use super::convert;
use super::refusal::Refusal;
use super::sequencer::Seats;
use crate::journal::{Journal, JournalError};
use crate::lifecycle::Lifecycle;
use crate::ordering::Shared;
use ark_bn254::Fr;
use kerros_protocol::proto::{
    Batch, BatchState, FollowBatchesResponse, FollowReceiptsResponse, WatchBatchesResponse,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

type Answers<T> = ReceiverStream<Result<T, Status>>;

/// Waits for a change of any batch; no more come if the reader has gone or the service stops.
async fn news<T>(
    send: &mpsc::Sender<T>,
    revision: &mut tokio::sync::watch::Receiver<u64>,
    lifecycle: &Lifecycle,
) -> bool {
    tokio::select! {
        () = send.closed() => false,
        changed = revision.changed() => changed.is_ok() && !lifecycle.is_stopping(),
    }
}

/// Sends every batch from `from` on, and again on every change of state or quarantine; each time
/// with the first number that was not sent as final.
pub fn watch_batches(
    lifecycle: Arc<Lifecycle>,
    shared: Shared,
    from: u64,
    seat: Seats,
) -> Answers<WatchBatchesResponse> {
    let (send, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        let _seat = seat;
        let mut revision = lifecycle.watch();
        // First number that was never sent as final, and what was sent of it and those above.
        let mut next = if from == 0 { shared.read().await.head().number } else { from };
        let mut sent: BTreeMap<u64, (i32, bool)> = BTreeMap::new();
        loop {
            revision.mark_unchanged();
            let open = shared.read().await.head().number;
            let mut number = next;
            while number <= open {
                let batch = match view(&lifecycle, &shared, number).await {
                    Ok(Some(batch)) => batch,
                    Ok(None) => break,
                    Err(error) => {
                        let _ = send.send(Err(Refusal::internal(error).into())).await;
                        return;
                    }
                };
                let (state, quarantined) = (batch.state, batch.quarantined);
                if sent.insert(number, (state, quarantined)) != Some((state, quarantined)) {
                    next = settle(&mut sent, next);
                    let answer = WatchBatchesResponse { batch: Some(batch), resume_number: next };
                    if send.send(Ok(answer)).await.is_err() {
                        return;
                    }
                }
                number = next.max(number + 1);
            }
            if !news(&send, &mut revision, &lifecycle).await {
                return;
            }
        }
    });
    ReceiverStream::new(answers)
}

/// Forgets those from `next` on that were sent as final; gives the first that was not.
fn settle(sent: &mut BTreeMap<u64, (i32, bool)>, mut next: u64) -> u64 {
    // A later one may have been seen final before an earlier one was.
    while sent.get(&next).is_some_and(|(state, _)| *state == i32::from(BatchState::Final)) {
        sent.remove(&next);
        next += 1;
    }
    next
}

/// A batch in its present state, the open one included.
pub async fn view(
    lifecycle: &Lifecycle,
    shared: &Shared,
    number: u64,
) -> Result<Option<Batch>, JournalError> {
    if let Some(record) = lifecycle.record(number)? {
        return Ok(Some(convert::batch(record)));
    }
    let open = convert::open_batch(shared).await;
    Ok((open.number == number).then_some(open))
}

/// Sends the bytes of every sealed batch from `from` on, and of every new one.
pub fn follow_batches(
    lifecycle: Arc<Lifecycle>,
    journal: Arc<Journal>,
    from: u64,
    seat: OwnedSemaphorePermit,
) -> Answers<FollowBatchesResponse> {
    let (send, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        let _seat = seat;
        let mut revision = lifecycle.watch();
        let mut number = from;
        loop {
            revision.mark_unchanged();
            while number < lifecycle.open() {
                let (reader, wanted) = (Arc::clone(&journal), number);
                let read = tokio::task::spawn_blocking(move || reader.sealed(wanted)).await;
                let answer = match read {
                    Ok(Ok(Some(sealed_batch))) => {
                        Ok(FollowBatchesResponse { batch_number: number, sealed_batch })
                    }
                    Ok(Ok(None)) => Err(Refusal::internal("a sealed batch is missing").into()),
                    Ok(Err(error)) => Err(Refusal::internal(error).into()),
                    Err(_) => return,
                };
                let over = answer.is_err();
                if send.send(answer).await.is_err() || over {
                    return;
                }
                number += 1;
            }
            if !news(&send, &mut revision, &lifecycle).await {
                return;
            }
        }
    });
    ReceiverStream::new(answers)
}

/// Sends receipts in the order of their places, `from` (batch, order) on, and every new one.
pub fn follow_receipts(
    journal: Arc<Journal>,
    domain: Fr,
    lifecycle: Arc<Lifecycle>,
    mut written: tokio::sync::watch::Receiver<u64>,
    from: (u64, u32),
    seat: Seats,
) -> Answers<FollowReceiptsResponse> {
    let (send, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        let _seat = seat;
        // Wakes when the service stops.
        let mut revision = lifecycle.watch();
        // Where the next group starts, if it is of the same batch.
        let (mut batch, mut sequence) = (from.0, 0);
        loop {
            written.mark_unchanged();
            let reader = Arc::clone(&journal);
            let read = tokio::task::spawn_blocking(move || reader.next_group(batch, sequence));
            let group = match read.await {
                Ok(Ok(group)) => group,
                Ok(Err(error)) => {
                    let _ = send.send(Err(Refusal::internal(error).into())).await;
                    return;
                }
                Err(_) => return,
            };
            let Some(group) = group else {
                tokio::select! {
                    () = send.closed() => return,
                    changed = written.changed() => if changed.is_err() { return },
                    _ = revision.changed() => if lifecycle.is_stopping() { return },
                }
                continue;
            };
            batch = group.batch;
            sequence = group.sequence + u32::try_from(group.operations.len()).unwrap_or(u32::MAX);
            let Some(receipts) = group.receipts(domain) else { continue };
            for (receipt, signed) in receipts.iter().zip(group.transactions()) {
                let (number, order) = (receipt.promise.batch, u32::from(receipt.promise.order));
                if (number, order) < from {
                    continue;
                }
                let answer = FollowReceiptsResponse {
                    receipt: Some(convert::receipt(receipt)),
                    transaction: signed.encode(),
                    next_batch: number,
                    next_order: order + 1,
                };
                if send.send(Ok(answer)).await.is_err() {
                    return;
                }
            }
        }
    });
    ReceiverStream::new(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_resumes_at_the_first_batch_that_it_was_not_told_final() {
        let state = |state: BatchState| (i32::from(state), false);
        let (posted, done) = (state(BatchState::Posted), state(BatchState::Final));
        let mut sent = BTreeMap::from([(3, posted), (4, done), (5, done), (6, posted)]);
        assert_eq!(settle(&mut sent, 3), 3, "3 is not final yet, whatever 4 is");
        sent.insert(3, done);
        assert_eq!(settle(&mut sent, 3), 6);
        assert_eq!(sent, BTreeMap::from([(6, posted)]), "nothing is kept for ever");
        assert_eq!(settle(&mut BTreeMap::new(), 9), 9);
    }
}
