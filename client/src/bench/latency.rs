//! Exact percentiles of waiting times.

use std::time::Duration;

/// Waiting times of one phase, sorted.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    sorted_us: Vec<u64>,
}

impl Latencies {
    /// Of samples in any order.
    pub fn new(samples: Vec<Duration>) -> Self {
        let us = |sample: Duration| u64::try_from(sample.as_micros()).unwrap_or(u64::MAX);
        let mut sorted_us: Vec<u64> = samples.into_iter().map(us).collect();
        sorted_us.sort_unstable();
        Self { sorted_us }
    }
    /// The time in ms within which `permille` of a thousand were answered; 0 of nothing.
    pub fn ms(&self, permille: usize) -> f64 {
        let rank = (self.sorted_us.len() * permille).div_ceil(1_000).max(1);
        self.sorted_us.get(rank - 1).map_or(0.0, |us| *us as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample_that_so_many_do_not_exceed() {
        let latencies = Latencies::new((1..=1_000).rev().map(Duration::from_millis).collect());
        assert_eq!([500, 990, 999, 1_000].map(|p| latencies.ms(p)), [500.0, 990.0, 999.0, 1_000.0]);
        assert_eq!(Latencies::new(vec![Duration::from_micros(1_500)]).ms(500), 1.5);
        assert_eq!(Latencies::default().ms(999), 0.0);
    }
}
