//! A stream of batches' states that can be taken up where it broke off.
//!
//! Does not connect again by itself: whoever reads it decides when, and asks from
//! [`BatchWatch::resume_number`] on.

use crate::sequencer::SequencerError;
use kerros_protocol::proto::{Batch, WatchBatchesResponse};
use tonic::Streaming;

/// Batches as they change.
#[derive(Debug)]
pub struct BatchWatch {
    answers: Streaming<WatchBatchesResponse>,
    resume_number: u64,
}

impl BatchWatch {
    pub(crate) fn new(answers: Streaming<WatchBatchesResponse>, from_number: u64) -> Self {
        Self { answers, resume_number: from_number }
    }
    /// Where to go on, by [`watch`](crate::sequencer::SequencerClient::watch), if this stream ends:
    /// the lowest batch that it has not told final. What was told of batches below stays.
    pub fn resume_number(&self) -> u64 {
        self.resume_number
    }
    /// The next batch that is new or has changed, in its present state; none if the sequencer ended
    /// the stream.
    pub async fn next(&mut self) -> Result<Option<Batch>, SequencerError> {
        let Some(answer) = self.answers.message().await? else { return Ok(None) };
        let (batch, resume_number) = checked(answer, self.resume_number)?;
        self.resume_number = resume_number;
        Ok(Some(batch))
    }
}

/// Batch and cursor of an answer that came after one with the cursor `before`.
fn checked(answer: WatchBatchesResponse, before: u64) -> Result<(Batch, u64), SequencerError> {
    let batch = answer.batch.ok_or(SequencerError::Nonsense("no batch in the answer"))?;
    if answer.resume_number < before.max(1) {
        return Err(SequencerError::Nonsense("a watch of batches goes back"));
    }
    Ok((batch, answer.resume_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_goes_back_or_is_missing_is_refused() {
        let answer = |resume_number| WatchBatchesResponse {
            batch: Some(Batch { number: 7, ..Batch::default() }),
            resume_number,
        };
        let cursor = |resume, before| checked(answer(resume), before).map(|(_, cursor)| cursor);
        assert!(matches!(cursor(5, 5), Ok(5)));
        assert!(matches!(cursor(8, 5), Ok(8)));
        for (resume, before) in [(4, 5), (0, 0), (0, 5)] {
            assert!(matches!(cursor(resume, before), Err(SequencerError::Nonsense(_))));
        }
        let empty = WatchBatchesResponse { batch: None, resume_number: 5 };
        assert!(matches!(checked(empty, 5), Err(SequencerError::Nonsense(_))));
    }
}
