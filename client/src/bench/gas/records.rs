//! Records as long as in practice: indices of a ledger of a million accounts, payments of 0.01 to 10,000
//! tokens of six decimals, fees of a few thousandths. Zero bytes are cheaper, so lengths matter.

use super::super::BenchError;
use super::super::state::nobody;
use kerros_protocol::account::{AccountIndex, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{BatchData, CollectRecord, DepositRecord, OpenRecord, TransferRecord};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::index;

/// Decimal digits of an amount, less one: every number of digits is as likely.
const AMOUNT_DIGITS: std::ops::RangeInclusive<u32> = 4..=9;
/// Units that no amount reaches.
const AMOUNT_END: u64 = 10_000_000_000;
/// Units of a fee.
const FEE_UNITS: std::ops::Range<u64> = 1_000..10_000;

/// Accounts of one asset, in the order of their deposits.
pub(super) struct Holders(Vec<DepositRecord>);

impl Holders {
    /// Draws `count` accounts in a ledger of 2^k, each with enough for all `transfers`.
    pub fn draw(count: u32, k: u8, transfers: u32, rng: &mut StdRng) -> Result<Self, BenchError> {
        let wrong = |_| BenchError::Bug("an account that cannot be");
        let asset = AssetId::new(1).map_err(wrong)?;
        let amount = u64::from(transfers) * (AMOUNT_END + FEE_UNITS.end);
        // Index 0 is never used.
        let places = index::sample(rng, (1usize << k) - 1, count as usize);
        let record = |(position, place): (usize, usize)| {
            let index = u32::try_from(place + 1).unwrap_or(u32::MAX);
            let (key, owner) = nobody(position)?;
            let index = AccountIndex::new(index).map_err(wrong)?;
            Ok(DepositRecord { index, amount, asset, key, owner })
        };
        places.into_iter().enumerate().map(record).collect::<Result<_, BenchError>>().map(Self)
    }

    /// What has to be queued.
    pub fn deposits(&self) -> impl Iterator<Item = &DepositRecord> {
        self.0.iter()
    }

    /// The batch that opens all accounts and serves their deposits.
    pub fn opening(&self) -> BatchData {
        let open = |record: &DepositRecord| {
            let DepositRecord { index, asset, key, owner, .. } = *record;
            OpenRecord { index, asset, owner, key }
        };
        BatchData {
            opens: self.0.iter().map(open).collect(),
            deposits: self.0.clone(),
            ..BatchData::default()
        }
    }

    /// Payments between different accounts; the first one collects the fees.
    pub fn payments(&self, transfers: u32, rng: &mut StdRng) -> Result<BatchData, BenchError> {
        let count = self.0.len();
        let transfer = |_| {
            let from = rng.gen_range(0..count);
            let to = (from + rng.gen_range(1..count)) % count;
            let digits = rng.gen_range(AMOUNT_DIGITS);
            TransferRecord {
                from: self.0[from].index,
                to: self.0[to].index,
                amount: rng.gen_range(10u64.pow(digits)..10u64.pow(digits + 1)),
                fee: Fee::at_most(rng.gen_range(FEE_UNITS)),
            }
        };
        let transfers: Vec<TransferRecord> = (0..transfers).map(transfer).collect();
        let fees = transfers.iter().map(|transfer| transfer.fee.value()).sum::<u128>();
        let amount = u64::try_from(fees).map_err(|_| BenchError::Bug("too many fees"))?;
        let collects = vec![CollectRecord { to: self.0[0].index, amount }];
        Ok(BatchData { transfers, collects, ..BatchData::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn records_are_between_different_accounts_and_pay_what_is_collected() {
        let mut rng = StdRng::seed_from_u64(3);
        let holders = Holders::draw(8, 20, 100, &mut rng).unwrap();
        let opening = holders.opening();
        let mut indices: Vec<_> = opening.opens.iter().map(|open| open.index.get()).collect();
        assert_eq!(indices, opening.deposits.iter().map(|d| d.index.get()).collect::<Vec<_>>());
        indices.sort_unstable();
        indices.dedup();
        assert_eq!((indices.len(), opening.queue_entries()), (8, 8));
        assert!(indices.iter().all(|index| *index < 1 << 20));
        assert!(indices.iter().any(|index| *index >= 1 << 16), "three bytes");

        let data = holders.payments(100, &mut rng).unwrap();
        assert!(data.transfers.iter().all(|t| t.from != t.to && t.amount < AMOUNT_END));
        let fees: u128 = data.transfers.iter().map(|transfer| transfer.fee.value()).sum();
        assert_eq!(fees, u128::from(data.collects[0].amount));
        let mut ledger = kerros_protocol::ledger::Ledger::new(20);
        for data in [opening, data] {
            kerros_protocol::transition::replay(&mut ledger, &data).expect("a good batch");
        }
    }
}
