//! Pauses after failures: doubling, bounded, with jitter so that many provers do not come back
//! at once. Draws nothing and reads no clock itself.

use crate::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN};
use std::time::Duration;

/// The state between two failures.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    next_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next_ms: BACKOFF_MS_MIN }
    }
}

impl Backoff {
    /// The pause after another failure: between half and all of the present step; `random` is any
    /// number.
    pub fn pause(&mut self, random: u64) -> Duration {
        let step = self.next_ms;
        self.next_ms = (step * 2).min(BACKOFF_MS_MAX);
        Duration::from_millis(step / 2 + random % (step / 2 + 1))
    }
    /// After a success.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_start_over_after_success() {
        let mut backoff = Backoff::default();
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            let pause = backoff.pause(u64::MAX);
            assert!(pause <= Duration::from_millis(BACKOFF_MS_MAX));
            last = pause;
        }
        assert!(last >= Duration::from_millis(BACKOFF_MS_MAX / 2));
        backoff.reset();
        assert!(backoff.pause(0) <= Duration::from_millis(BACKOFF_MS_MIN));
    }
}
