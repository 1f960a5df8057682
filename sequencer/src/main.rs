//! `kerros-sequencer`: the service as a process. Reads flags and environment, starts, prints where it
//! listens, and stops cleanly on SIGINT or SIGTERM.

use clap::Parser;
use kerros_protocol::account::{AccountKey, Address};
use kerros_protocol::commitment::Srs;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::{Embedded, Ethereum, Genesis, MainChain, Wallet, rpc};
use kerros_sequencer::{Config, Sequencer};
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// The sequencer of a Kerros rollup.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Directory of the database.
    #[arg(long, env = "KERROS_DATA_DIR")]
    data_dir: PathBuf,
    /// Verification key file.
    #[arg(long, env = "KERROS_KEY")]
    key: PathBuf,
    /// Reference string file.
    #[arg(long, env = "KERROS_SRS")]
    srs: PathBuf,
    /// The Kerros contract, 20 bytes in hexadecimal.
    #[arg(long, env = "KERROS_CONTRACT")]
    contract: Hex<20>,
    /// Main chain: `embedded:<directory>` or the URL of an Ethereum node.
    #[arg(long, env = "KERROS_MAIN_CHAIN")]
    main_chain: String,
    /// Rich wallets of the embedded chain's genesis.
    #[arg(long, env = "KERROS_EMBEDDED_WALLETS", default_value_t = 16)]
    embedded_wallets: u32,
    /// Where to serve the embedded chain over JSON-RPC.
    #[arg(long, env = "KERROS_EMBEDDED_RPC")]
    embedded_rpc: Option<SocketAddr>,
    /// Key (x) of the operator's fee accounts, 32 bytes in hexadecimal.
    #[arg(long, env = "KERROS_FEE_KEY")]
    fee_key: Hex<32>,
    /// The operator's main-chain address: owns fee accounts, gets entry fees.
    #[arg(long, env = "KERROS_OWNER")]
    owner: Hex<20>,
    /// File with the poster's private key in hexadecimal; without it nothing is posted.
    #[arg(long, env = "KERROS_POSTER_KEY_FILE")]
    poster_key_file: Option<PathBuf>,
    /// Where wallets are served.
    #[arg(long, env = "KERROS_LISTEN", default_value = "127.0.0.1:7400")]
    listen: SocketAddr,
    /// Where provers are served, if elsewhere.
    #[arg(long, env = "KERROS_PROVER_LISTEN")]
    prover_listen: Option<SocketAddr>,
    /// Where Prometheus is served.
    #[arg(long, env = "KERROS_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// Least fee of a transaction, in asset units.
    #[arg(long, env = "KERROS_FEE_MIN", default_value_t = 0)]
    fee_min: u64,
    /// Age at which a batch is sealed, ms.
    #[arg(long, env = "KERROS_BATCH_AGE_MS", default_value_t = 2_000)]
    batch_age_ms: u64,
    /// Transactions at which a batch is sealed, if fewer than the shape's.
    #[arg(long, env = "KERROS_BATCH_TRANSACTIONS")]
    batch_transactions: Option<u32>,
    /// Share of the ledger, in percent, beyond which it is doubled.
    #[arg(long, env = "KERROS_GROW_AT_PERCENT", default_value_t = 75)]
    grow_at_percent: u8,
    /// Blocks on top of a final block.
    #[arg(long, env = "KERROS_CONFIRMATIONS", default_value_t = 0)]
    confirmations: u64,
    /// Pause between looks at the main chain, ms.
    #[arg(long, env = "KERROS_POLL_MS", default_value_t = 500)]
    poll_ms: u64,
    /// Silence that ends a prover's lease, ms.
    #[arg(long, env = "KERROS_LEASE_MS", default_value_t = 30_000)]
    lease_ms: u64,
    /// Leases that end without a proof before a batch is quarantined.
    #[arg(long, env = "KERROS_QUARANTINE_AFTER", default_value_t = 5)]
    quarantine_after: u32,
    /// From an acknowledgement to the promised deadline of its batch on the main chain, ms.
    #[arg(long, env = "KERROS_PROMISE_MS", default_value_t = 3_600_000)]
    promise_ms: u64,
    /// Batches sealed and not final beyond which admission slows down.
    #[arg(long, env = "KERROS_UNSETTLED_SLOW", default_value_t = 1_024)]
    unsettled_slow: usize,
    /// Free bytes on the disk below which nothing new is accepted.
    #[arg(long, env = "KERROS_DISK_RESERVE_BYTES", default_value_t = 256 << 20)]
    disk_reserve_bytes: u64,
    /// Longest time to open the database, ms.
    #[arg(long, env = "KERROS_OPEN_LIMIT_MS", default_value_t = 60_000)]
    open_limit_ms: u64,
    /// Start with a database whose watermark is missing or damaged, although acknowledged
    /// transactions may be missing.
    #[arg(long, env = "KERROS_ACCEPT_MISSING_WATERMARK")]
    accept_missing_watermark: bool,
    /// Answer SealBatch and GrowLedger.
    #[arg(long, env = "KERROS_OPERATOR_CALLS")]
    operator_calls: bool,
    /// Accept development keys and reference strings, whose secrets somebody knows.
    #[arg(long, env = "KERROS_ALLOW_DEVELOPMENT")]
    allow_development: bool,
}

/// N bytes in hexadecimal, with or without 0x.
#[derive(Clone, Copy)]
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> FromStr for Hex<N> {
    type Err = hex::FromHexError;
    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut out = [0u8; N];
        hex::decode_to_slice(text.trim().trim_start_matches("0x"), &mut out)?;
        Ok(Self(out))
    }
}

type Fallible<T> = Result<T, Box<dyn Error>>;

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn wallet(arguments: &Arguments) -> Fallible<Option<Wallet>> {
    let Some(path) = &arguments.poster_key_file else { return Ok(None) };
    let text = std::fs::read_to_string(path)?;
    Ok(Some(Wallet::new(text.trim().parse()?)))
}

fn config(arguments: &Arguments) -> Fallible<Config> {
    let fee_key = AccountKey::from_be(&arguments.fee_key.0)?;
    let (contract, owner) = (Address(arguments.contract.0), Address(arguments.owner.0));
    Ok(Config {
        listen: arguments.listen,
        prover_listen: arguments.prover_listen,
        metrics_listen: arguments.metrics_listen,
        wallet: wallet(arguments)?,
        fee_min: arguments.fee_min,
        batch_age_ms_max: arguments.batch_age_ms,
        batch_transactions_max: arguments.batch_transactions,
        grow_at_percent: arguments.grow_at_percent,
        confirmations: arguments.confirmations,
        poll_ms: arguments.poll_ms,
        lease_ms: arguments.lease_ms,
        quarantine_after: arguments.quarantine_after,
        promise_ms: arguments.promise_ms,
        unsettled_slow: arguments.unsettled_slow,
        disk_reserve_bytes: arguments.disk_reserve_bytes,
        open_limit_ms: arguments.open_limit_ms,
        accept_missing_watermark: arguments.accept_missing_watermark,
        operator_calls: arguments.operator_calls,
        allow_development: arguments.allow_development,
        ..Config::new(arguments.data_dir.clone(), contract, fee_key, owner)
    })
}

/// The chain, and its JSON-RPC server if one was asked for.
async fn main_chain(
    arguments: &Arguments,
    stopped: watch::Receiver<bool>,
) -> Fallible<Arc<dyn MainChain>> {
    let Some(directory) = arguments.main_chain.strip_prefix("embedded:") else {
        return Ok(Arc::new(Ethereum::connect(&arguments.main_chain)?));
    };
    let genesis = Genesis::development(arguments.embedded_wallets);
    let embedded = Embedded::open(directory.as_ref(), &genesis, Arc::new(seconds))?;
    if let Some(address) = arguments.embedded_rpc {
        let listener = tokio::net::TcpListener::bind(address).await?;
        println!("main chain {}", listener.local_addr()?);
        let chain = Arc::clone(embedded.chain());
        let mut stopped = stopped;
        let stop = async move {
            // The other end is gone: stop as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        tokio::spawn(async move {
            if let Err(error) = rpc::serve(listener, chain, rpc::RpcOptions::default(), stop).await
            {
                tracing::error!(%error, "JSON-RPC server of the embedded chain ended");
            }
        });
    }
    Ok(Arc::new(embedded))
}

async fn run(arguments: Arguments) -> Fallible<()> {
    let key = VerificationKey::decode(&std::fs::read(&arguments.key)?)?;
    let srs = Srs::open(&arguments.srs)?;
    let config = config(&arguments)?;
    let (stop, stopped) = watch::channel(false);
    let chain = main_chain(&arguments, stopped).await?;
    let mut handle = Sequencer::start(config, chain, key, srs).await?;
    println!("sequencer {}", handle.address);
    println!("prover {}", handle.prover_address);
    if let Some(address) = handle.metrics_address {
        println!("metrics {address}");
    }
    println!("ready");
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let asked = tokio::select! {
        result = handle.wait() => {
            result?;
            false
        }
        result = tokio::signal::ctrl_c() => {
            result?;
            true
        }
        _ = terminate.recv() => true,
    };
    if asked {
        tracing::info!("stopping");
        handle.shutdown().await?;
    }
    // Nobody listens any more if the JSON-RPC server was not started.
    let _ = stop.send(true);
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        // As it is meant to be read, not as the program sees it.
        Err(error) => {
            eprintln!("kerros-sequencer: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> Fallible<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    // Commitments are computed on this pool; a name tells its threads from the runtime's.
    let name = |i| format!("kerros-seal-{i}");
    rayon::ThreadPoolBuilder::new().thread_name(name).build_global()?;
    run(arguments).await
}
