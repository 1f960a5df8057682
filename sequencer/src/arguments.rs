//! What the process is told: one field a setting, with its range. A flag, a `KERROS_` variable and
//! a key of the file all have the field's name.

use crate::logs::{self, LogFormat};
use clap::Parser;
use clap::builder::RangedU64ValueParser;
use kerros_sequencer::config;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

const AFTER_HELP: &str = "\
Every setting can be given as a flag, as a variable, and in the file of --config (TOML; `poll_ms = 500`
is --poll-ms 500). A flag counts before a variable, a variable before the file, the file before the
default. `kerros-sequencer restore`, with the same settings, builds a lost database from the main chain, then
ends. Keys are in files of their own; a node's URL is never shown or logged. Exit codes: 0 stopped, 1 failed, 2 wrong settings.";

fn within<T: TryFrom<u64> + Clone + Send + Sync>(
    range: RangeInclusive<u64>,
) -> RangedU64ValueParser<T> {
    RangedU64ValueParser::new().range(range)
}

/// The sequencer of a Kerros rollup.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
pub struct Arguments {
    /// File with settings, in TOML.
    #[arg(long, env = "KERROS_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print the settings, each with the layer it came from, and end.
    #[arg(long)]
    pub print_config: bool,
    /// Directory of the database.
    #[arg(long, env = "KERROS_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Verification key file.
    #[arg(long, env = "KERROS_KEY")]
    pub key: PathBuf,
    /// Reference string file.
    #[arg(long, env = "KERROS_SRS")]
    pub srs: PathBuf,
    /// The Kerros contract, 20 bytes in hexadecimal.
    #[arg(long, env = "KERROS_CONTRACT")]
    pub contract: Hex<20>,
    /// Main chain: `embedded:<directory>` or URLs of Ethereum nodes, separated by commas or each with a
    /// flag of its own: what they say is compared. Two have to agree; with three one may fail.
    #[arg(long, env = "KERROS_MAIN_CHAIN", required = true, value_delimiter = ',')]
    pub main_chain: Vec<String>,
    /// Rich wallets of the embedded chain's genesis.
    #[arg(long, env = "KERROS_EMBEDDED_WALLETS", default_value_t = 16)]
    pub embedded_wallets: u32,
    /// Where to serve the embedded chain over JSON-RPC.
    #[arg(long, env = "KERROS_EMBEDDED_RPC")]
    pub embedded_rpc: Option<SocketAddr>,
    /// Key (x) of the operator's fee accounts, 32 bytes in hexadecimal.
    #[arg(long, env = "KERROS_FEE_KEY")]
    pub fee_key: Hex<32>,
    /// The operator's main-chain address: owns fee accounts, gets entry fees.
    #[arg(long, env = "KERROS_OWNER")]
    pub owner: Hex<20>,
    /// File with the poster's private key in hexadecimal; without it nothing is posted.
    #[arg(long, env = "KERROS_POSTER_KEY_FILE")]
    pub poster_key_file: Option<PathBuf>,
    /// Where wallets are served.
    #[arg(long, env = "KERROS_LISTEN", default_value = "127.0.0.1:7400")]
    pub listen: SocketAddr,
    /// Where provers are served, if elsewhere.
    #[arg(long, env = "KERROS_PROVER_LISTEN")]
    pub prover_listen: Option<SocketAddr>,
    /// Where Prometheus and health are served.
    #[arg(long, env = "KERROS_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
    /// Least fee of a transaction, in asset units.
    #[arg(long, env = "KERROS_FEE_MIN", default_value_t = 0)]
    pub fee_min: u64,
    /// Age at which a batch is sealed, ms.
    #[arg(long, env = "KERROS_BATCH_AGE_MS", default_value_t = 2_000, value_parser = within::<u64>(config::BATCH_AGE_MS))]
    pub batch_age_ms: u64,
    /// Transactions at which a batch is sealed, if fewer than the shape's.
    #[arg(long, env = "KERROS_BATCH_TRANSACTIONS")]
    pub batch_transactions: Option<u32>,
    /// Share of the ledger, in percent, beyond which it is doubled.
    #[arg(long, env = "KERROS_GROW_AT_PERCENT", default_value_t = 75, value_parser = within::<u8>(config::GROW_AT_PERCENT))]
    pub grow_at_percent: u8,
    /// Blocks on top of a final block.
    #[arg(long, env = "KERROS_CONFIRMATIONS", default_value_t = 0)]
    pub confirmations: u64,
    /// Pause between looks at the main chain, ms.
    #[arg(long, env = "KERROS_POLL_MS", default_value_t = 500, value_parser = within::<u64>(config::POLL_MS))]
    pub poll_ms: u64,
    /// A post that is in no block after this is replaced by the same call for higher fees, ms.
    #[arg(long, env = "KERROS_POST_BUMP_MS", default_value_t = 60_000, value_parser = within::<u64>(config::POST_BUMP_MS))]
    pub post_bump_ms: u64,
    /// The most a post offers for its gas, gwei; above that it waits.
    #[arg(long, env = "KERROS_POST_FEE_MAX_GWEI", default_value_t = 200, value_parser = within::<u64>(config::POST_FEE_MAX_GWEI))]
    pub post_fee_max_gwei: u64,
    /// The newest block's greatest age at which posting acts on it, ms; 0: any.
    #[arg(long, env = "KERROS_HEAD_AGE_MS", default_value_t = 0, value_parser = within::<u64>(config::HEAD_AGE_MS))]
    pub head_age_ms: u64,
    /// Silence that ends a prover's lease, ms.
    #[arg(long, env = "KERROS_LEASE_MS", default_value_t = 30_000, value_parser = within::<u64>(config::LEASE_MS))]
    pub lease_ms: u64,
    /// Leases that end without a proof before a batch is quarantined.
    #[arg(long, env = "KERROS_QUARANTINE_AFTER", default_value_t = 5, value_parser = within::<u32>(config::QUARANTINE_AFTER))]
    pub quarantine_after: u32,
    /// From an acknowledgement to the promised deadline of its batch on the main chain, ms.
    #[arg(long, env = "KERROS_PROMISE_MS", default_value_t = 3_600_000, value_parser = within::<u64>(config::PROMISE_MS))]
    pub promise_ms: u64,
    /// Batches sealed and not final beyond which admission slows down.
    #[arg(long, env = "KERROS_UNSETTLED_SLOW", default_value_t = 1_024)]
    pub unsettled_slow: usize,
    /// Silence of the writer, the sealer or the main chain that makes the service unhealthy, ms.
    #[arg(long, env = "KERROS_STALL_MS", default_value_t = 30_000, value_parser = within::<u64>(config::STALL_MS))]
    pub stall_ms: u64,
    /// Age of a sealed batch that is not final which makes the service unhealthy, ms.
    #[arg(long, env = "KERROS_PROGRESS_MS", default_value_t = 1_800_000, value_parser = within::<u64>(config::PROGRESS_MS))]
    pub progress_ms: u64,
    /// Free bytes on the disk below which nothing new is accepted.
    #[arg(long, env = "KERROS_DISK_RESERVE_BYTES", default_value_t = 256 << 20)]
    pub disk_reserve_bytes: u64,
    /// Longest time to open the database, ms.
    #[arg(long, env = "KERROS_OPEN_LIMIT_MS", default_value_t = 60_000, value_parser = within::<u64>(config::OPEN_LIMIT_MS))]
    pub open_limit_ms: u64,
    /// Start with a database whose watermark is missing or damaged, although acknowledged
    /// transactions may be missing.
    #[arg(long, env = "KERROS_ACCEPT_MISSING_WATERMARK")]
    pub accept_missing_watermark: bool,
    /// Restore only: do not check the proofs again that the contract has checked.
    #[arg(long, env = "KERROS_TRUST_CONTRACT")]
    pub trust_contract: bool,
    /// Restore only: although transactions of the contract's operator wait to be included. One of them may be a
    /// post of the lost sequencer.
    #[arg(long, env = "KERROS_ACCEPT_PENDING")]
    pub accept_pending: bool,
    /// Answer SealBatch and GrowLedger.
    #[arg(long, env = "KERROS_OPERATOR_CALLS")]
    pub operator_calls: bool,
    /// Accept development keys and reference strings, whose secrets somebody knows.
    #[arg(long, env = "KERROS_ALLOW_DEVELOPMENT")]
    pub allow_development: bool,
    /// EIP-155 id of a main chain on which nothing has value, beside the known test chains: development keys are
    /// refused on any other.
    #[arg(long, env = "KERROS_TEST_CHAIN", value_name = "ID", value_delimiter = ',')]
    pub test_chain: Vec<u64>,
    /// How a line of the log looks.
    #[arg(long, env = "KERROS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: a level, or directives of tracing's EnvFilter.
    #[arg(long, env = "RUST_LOG", default_value = "info", value_parser = logs::filter)]
    pub log_filter: String,
}

/// N bytes in hexadecimal, with or without 0x.
#[derive(Clone, Copy)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> FromStr for Hex<N> {
    type Err = hex::FromHexError;
    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut out = [0u8; N];
        hex::decode_to_slice(text.trim().trim_start_matches("0x"), &mut out)?;
        Ok(Self(out))
    }
}
