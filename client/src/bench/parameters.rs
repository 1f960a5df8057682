//! What is asked of a benchmark of ingestion, and what follows from it.

use super::BenchError;
use super::process::Setting;
use kerros_protocol::batch::Shape;
use kerros_sequencer::limits::UNSETTLED_BATCHES_MAX;
use std::path::PathBuf;

/// Greatest amount of a transfer, in units.
pub(super) const AMOUNT_MAX: u64 = 99;
/// Fee of every transfer, in units.
pub(super) const FEE: u64 = 1;
/// Places kept free beside the accounts: depositor, fee account, what is reserved for deposits.
const PLACES_SPARE: u32 = 64;
/// Opens of a batch at most; fewer if the ledger is small.
pub(super) const OPENS_MAX: u32 = 4_096;
/// Batches sealed by age in between, as a bound.
const BATCHES_BY_AGE: u64 = 256;

/// Parameters of `kerros bench ingest`.
#[derive(Debug, Clone)]
pub struct IngestParameters {
    /// Where the stack keeps its data.
    pub dir: PathBuf,
    /// Where keys of all shapes are kept.
    pub keys: PathBuf,
    /// Accounts that send and receive.
    pub accounts: u32,
    /// Transfers of the phase at the maximum rate.
    pub transfers: u32,
    /// Transfers of a batch.
    pub batch_transfers: u32,
    /// Connections, each with one stream.
    pub streams: u16,
    /// Transactions of a stream that wait for their answers, at most.
    pub window: usize,
    /// Rate of the second phase, in percent of the first's.
    pub load_percent: u8,
    /// Calls at once in the third phase.
    pub unary: usize,
    /// Decides who pays whom.
    pub seed: u64,
}

impl IngestParameters {
    /// Transfers of the phases: maximum, paced, unary, calm, flooded.
    pub fn counts(&self) -> [u32; 5] {
        [1, 2, 10, 10, 10].map(|part| (self.transfers / part).max(1))
    }
    /// What each account gets: enough for all transfers, whoever sends them.
    pub fn funds(&self) -> u64 {
        let transfers: u64 = self.counts().iter().map(|count| u64::from(*count)).sum();
        transfers * (AMOUNT_MAX + FEE)
    }
    /// What the sequencer is made for.
    pub(super) fn setting(&self) -> Result<Setting, BenchError> {
        let (dir, keys, k) = (self.dir.clone(), self.keys.clone(), self.k());
        Ok(Setting { dir, keys, shape: self.shape()?, k, arguments: &[] })
    }
    /// Exponent of a ledger that need not grow.
    pub(super) fn k(&self) -> u8 {
        let places = self.accounts.saturating_add(PLACES_SPARE).next_power_of_two();
        // Of a u32, at most 32.
        u8::try_from(places.trailing_zeros() + 1).unwrap_or(u8::MAX)
    }
    /// Capacities of a batch.
    pub(super) fn shape(&self) -> Result<Shape, BenchError> {
        let opens = OPENS_MAX.min(1 << (self.k() - 1));
        let shape = Shape::new([opens, 16, self.batch_transfers, 16, 4])?;
        let transfers: u64 = self.counts().iter().map(|count| u64::from(*count)).sum();
        // Each account is opened by one record and funded by one transfer.
        let transfers = transfers + u64::from(self.accounts);
        let need = u64::from(self.accounts).div_ceil(opens.into())
            + transfers.div_ceil(self.batch_transfers.into())
            + BATCHES_BY_AGE;
        let max = UNSETTLED_BATCHES_MAX as u64;
        if need > max {
            return Err(BenchError::TooManyBatches { need, max });
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(accounts: u32, transfers: u32, batch_transfers: u32) -> IngestParameters {
        IngestParameters {
            dir: PathBuf::new(),
            keys: PathBuf::new(),
            accounts,
            transfers,
            batch_transfers,
            streams: 8,
            window: 256,
            load_percent: 80,
            unary: 256,
            seed: 1,
        }
    }

    #[test]
    fn the_ledger_holds_all_accounts_in_half_its_places() {
        for (accounts, k) in [(256, 10), (10_000, 15), (1_000_000, 21)] {
            assert_eq!(parameters(accounts, 1, 1).k(), k);
        }
    }

    #[test]
    fn more_batches_than_can_be_left_unproved_are_refused() {
        assert!(parameters(1_000_000, 1_000_000, 1_024).shape().is_ok());
        let refused = parameters(10_000, 10_000_000, 1_024).shape();
        assert!(matches!(refused, Err(BenchError::TooManyBatches { .. })), "{refused:?}");
    }
}
