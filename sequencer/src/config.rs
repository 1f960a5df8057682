//! What an operator decides. Everything has a range, checked at the start.

use crate::main_chain::Wallet;
use kerros_protocol::account::{AccountKey, Address};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use thiserror::Error;

/// Range of [`Config::batch_age_ms_max`].
pub const BATCH_AGE_MS: RangeInclusive<u64> = 0..=86_400_000;
/// Range of [`Config::grow_at_percent`].
pub const GROW_AT_PERCENT: RangeInclusive<u64> = 1..=100;
/// Range of [`Config::poll_ms`].
pub const POLL_MS: RangeInclusive<u64> = 1..=3_600_000;
/// Range of [`Config::post_bump_ms`].
pub const POST_BUMP_MS: RangeInclusive<u64> = 100..=86_400_000;
/// Range of [`Config::post_fee_max_gwei`].
pub const POST_FEE_MAX_GWEI: RangeInclusive<u64> = 1..=1_000_000;
/// Range of [`Config::head_age_ms_max`].
pub const HEAD_AGE_MS: RangeInclusive<u64> = 0..=86_400_000;
/// Range of [`Config::lease_ms`].
pub const LEASE_MS: RangeInclusive<u64> = 4..=86_400_000;
/// Range of [`Config::quarantine_after`].
pub const QUARANTINE_AFTER: RangeInclusive<u64> = 1..=1_000;
/// Range of [`Config::open_limit_ms`].
pub const OPEN_LIMIT_MS: RangeInclusive<u64> = 100..=86_400_000;
/// Range of [`Config::promise_ms`].
pub const PROMISE_MS: RangeInclusive<u64> = 1..=kerros_protocol::receipt::PROMISE_MS_MAX;
/// Range of [`Config::stall_ms`].
pub const STALL_MS: RangeInclusive<u64> = 1..=86_400_000;
/// Range of [`Config::progress_ms`].
pub const PROGRESS_MS: RangeInclusive<u64> = 1..=31_536_000_000;

/// Configuration of a sequencer. [`Config::new`] fills in the defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of the database; created if missing.
    pub data_dir: PathBuf,
    /// Where wallets are served; port 0 takes a free one. Default 127.0.0.1:0.
    pub listen: SocketAddr,
    /// Where provers are served; at `listen` too if not given. Default none.
    pub prover_listen: Option<SocketAddr>,
    /// Where Prometheus is served, at `/metrics`, and health, at `/health/…`. Default none.
    pub metrics_listen: Option<SocketAddr>,
    /// The Kerros contract.
    pub contract: Address,
    /// Key (x) of the operator's fee accounts.
    pub fee_key: AccountKey,
    /// Owner of the operator's fee accounts.
    pub fee_owner: Address,
    /// Main-chain address credited with entry fees.
    pub beneficiary: Address,
    /// Signs posts; without one nothing is posted. Default none.
    pub wallet: Option<Wallet>,
    /// Least fee of a transaction in units of its asset. Default 0.
    pub fee_min: u64,
    /// A batch that is not empty is sealed at this age, ms. Default 2,000.
    pub batch_age_ms_max: u64,
    /// A batch is sealed at so many transfers and signed exits; 1 to T + E. Default T + E.
    pub batch_transactions_max: Option<u32>,
    /// Share of the ledger, 1 to 100, beyond which the next batch doubles it. Default 75.
    pub grow_at_percent: u8,
    /// Blocks on top of a block before it counts as final. Default 0: right for the embedded chain
    /// only, which never reorganises and makes no blocks of its own.
    pub confirmations: u64,
    /// Pause between looks at the main chain, ms, at least 1. Default 500.
    pub poll_ms: u64,
    /// A post that is in no block after this is replaced by the same call for higher fees, ms, 100 to
    /// 86,400,000. Default 60,000.
    pub post_bump_ms: u64,
    /// The most a post offers for its gas, gwei, 1 to 1,000,000; above that it waits. Default 200.
    pub post_fee_max_gwei: u64,
    /// The newest block's greatest age at which posting acts on it, ms, at most 86,400,000; 0: any age,
    /// right for chains that make blocks only when there is something to put in. Default 0.
    pub head_age_ms_max: u64,
    /// A prover that is silent so long loses its lease, ms, at least 4. Default 30,000.
    pub lease_ms: u64,
    /// Leases of a batch that end without a proof before it is quarantined, 1 to 1,000. Default 5.
    pub quarantine_after: u32,
    /// Threads that check signatures, at least 1. Default: one a processor.
    pub admission_threads: usize,
    /// From an acknowledgement to the time its receipt promises the batch on the main chain, ms, at
    /// least 1. Default 3,600,000: one hour.
    pub promise_ms: u64,
    /// Batches sealed and not final beyond which admission slows down, by 1 ms a batch and chunk.
    /// Default 1,024.
    pub unsettled_slow: usize,
    /// The service is unhealthy while the writer does not turn although commands wait, the sealer
    /// holds a batch, or the main chain does not answer for longer than this, ms. Default 30,000.
    pub stall_ms: u64,
    /// The service is unhealthy while a sealed batch that is not final is older than this, ms.
    /// Default 1,800,000: half of what receipts promise by default.
    pub progress_ms: u64,
    /// Free bytes of the data directory's file system below which nothing new is accepted. Default
    /// 268,435,456: 256 MiB.
    pub disk_reserve_bytes: u64,
    /// Longest time to open the database, ms, 100 to 86,400,000; then the start is refused, because
    /// a damaged log can keep the database's reader busy for ever. Default 60,000.
    pub open_limit_ms: u64,
    /// Whether a database with operations is accepted although its watermark is missing or damaged:
    /// whether something acknowledged was lost then stays unknown. Default false.
    pub accept_missing_watermark: bool,
    /// Whether SealBatch and GrowLedger are answered on the wallets' port. Default false.
    pub operator_calls: bool,
    /// Whether keys and reference strings with known secrets are accepted. Default false.
    pub allow_development: bool,
    /// Main chains that count as test chains beside the known ones, by EIP-155 id: development keys
    /// are accepted on test chains only. Default none.
    pub test_chains: Vec<u64>,
}

/// A configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A number outside its range.
    #[error("{name} is {have}, needs {min} to {max}")]
    OutOfRange {
        /// Field.
        name: &'static str,
        /// Given.
        have: u64,
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
    /// An address that must not be zero.
    #[error("{name} is the zero address")]
    ZeroAddress {
        /// Field.
        name: &'static str,
    },
}

impl Config {
    /// Defaults for a contract and an operator, who owns the fee accounts and gets entry fees.
    pub fn new(data_dir: PathBuf, contract: Address, fee_key: AccountKey, owner: Address) -> Self {
        Self {
            data_dir,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            prover_listen: None,
            metrics_listen: None,
            contract,
            fee_key,
            fee_owner: owner,
            beneficiary: owner,
            wallet: None,
            fee_min: 0,
            batch_age_ms_max: 2_000,
            batch_transactions_max: None,
            grow_at_percent: 75,
            confirmations: 0,
            poll_ms: 500,
            post_bump_ms: 60_000,
            post_fee_max_gwei: 200,
            head_age_ms_max: 0,
            lease_ms: 30_000,
            quarantine_after: 5,
            admission_threads: std::thread::available_parallelism().map_or(1, usize::from),
            promise_ms: 3_600_000,
            unsettled_slow: 1_024,
            stall_ms: 30_000,
            progress_ms: 1_800_000,
            disk_reserve_bytes: 256 << 20,
            open_limit_ms: 60_000,
            accept_missing_watermark: false,
            operator_calls: false,
            allow_development: false,
            test_chains: Vec::new(),
        }
    }
    /// Checks all ranges; `ordered` is T + E of the shape.
    pub fn check(&self, ordered: u32) -> Result<(), ConfigError> {
        let range = |name, have, range: RangeInclusive<u64>| match range.contains(&have) {
            true => Ok(()),
            false => {
                let (min, max) = range.into_inner();
                Err(ConfigError::OutOfRange { name, have, min, max })
            }
        };
        let transactions = self.batch_transactions_max.unwrap_or(ordered);
        range("batch_transactions_max", transactions.into(), 1..=ordered.into())?;
        range("grow_at_percent", self.grow_at_percent.into(), GROW_AT_PERCENT)?;
        range("poll_ms", self.poll_ms, POLL_MS)?;
        range("post_bump_ms", self.post_bump_ms, POST_BUMP_MS)?;
        range("post_fee_max_gwei", self.post_fee_max_gwei, POST_FEE_MAX_GWEI)?;
        range("head_age_ms_max", self.head_age_ms_max, HEAD_AGE_MS)?;
        range("lease_ms", self.lease_ms, LEASE_MS)?;
        range("quarantine_after", self.quarantine_after.into(), QUARANTINE_AFTER)?;
        range("open_limit_ms", self.open_limit_ms, OPEN_LIMIT_MS)?;
        range("batch_age_ms_max", self.batch_age_ms_max, BATCH_AGE_MS)?;
        range("promise_ms", self.promise_ms, PROMISE_MS)?;
        range("stall_ms", self.stall_ms, STALL_MS)?;
        range("progress_ms", self.progress_ms, PROGRESS_MS)?;
        range("admission_threads", self.admission_threads as u64, 1..=1_024)?;
        for (name, address) in [
            ("contract", self.contract),
            ("fee_owner", self.fee_owner),
            ("beneficiary", self.beneficiary),
        ] {
            if address.is_zero() {
                return Err(ConfigError::ZeroAddress { name });
            }
        }
        Ok(())
    }
}
