//! `kerros-sequencer`: the service as a process. Reads its settings, starts, prints where it listens,
//! and stops cleanly on SIGINT or SIGTERM.

mod arguments;
mod logs;
mod settings;

use alloy::transports::http::reqwest::Url;
use arguments::{Arguments, Hex};
use kerros_protocol::account::{AccountKey, Address};
use kerros_protocol::commitment::Srs;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::{
    CrossChecked, Embedded, Ethereum, Genesis, MainChain, Node, Wallet, rpc, without_path,
};
use kerros_sequencer::{Config, RestoreReport, Sequencer, Trust, restore_from_chain};
use kerros_verifier::chain::Proofs;
use logs::LogFormat;
use settings::{Settings, SettingsError};
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Begins the main chain's setting if the chain is embedded.
const EMBEDDED: &str = "embedded:";
/// First word of a command line that asks for a database from the main chain instead of the service.
const RESTORE: &str = "restore";
/// Said where nothing is compared.
const ONE_NODE: &str =
    "ONE MAIN-CHAIN NODE: whatever it says is believed; give two or more (--main-chain)";
/// Exit code for settings that cannot be.
const WRONG_SETTINGS: u8 = 2;

type Fallible<T> = Result<T, Box<dyn Error>>;

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Messages never quote what the file holds.
fn wallet(arguments: &Arguments) -> Fallible<Option<Wallet>> {
    let Some(path) = &arguments.poster_key_file else { return Ok(None) };
    let shown = path.display();
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| format!("poster_key_file: {shown}: {error}"))?;
    let key = text.trim().parse();
    let key =
        key.map_err(|_| format!("poster_key_file: {shown}: no private key in hexadecimal"))?;
    Ok(Some(Wallet::new(key)))
}

/// A path that is a key by mistake must not be shown.
fn refuse_key(path: &Path) -> Result<(), &'static str> {
    let is_key = path.to_str().is_some_and(|text| text.parse::<Hex<32>>().is_ok());
    match is_key {
        true => Err("poster_key_file: this is a key itself, not the path of its file"),
        false => Ok(()),
    }
}

/// URLs of nodes carry keys: only where they lead is shown.
fn shown(id: &str, value: &str) -> String {
    if id != "main_chain" || value.starts_with(EMBEDDED) {
        return value.to_owned();
    }
    let urls = value.split(',').map(without_path);
    urls.collect::<Vec<_>>().join(",")
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
        post_bump_ms: arguments.post_bump_ms,
        post_fee_max_gwei: arguments.post_fee_max_gwei,
        head_age_ms_max: arguments.head_age_ms,
        lease_ms: arguments.lease_ms,
        quarantine_after: arguments.quarantine_after,
        promise_ms: arguments.promise_ms,
        unsettled_slow: arguments.unsettled_slow,
        stall_ms: arguments.stall_ms,
        progress_ms: arguments.progress_ms,
        disk_reserve_bytes: arguments.disk_reserve_bytes,
        open_limit_ms: arguments.open_limit_ms,
        accept_missing_watermark: arguments.accept_missing_watermark,
        operator_calls: arguments.operator_calls,
        allow_development: arguments.allow_development,
        test_chains: arguments.test_chain.clone(),
        ..Config::new(arguments.data_dir.clone(), contract, fee_key, owner)
    })
}

fn open_embedded(arguments: &Arguments, directory: &str) -> Fallible<Embedded> {
    let genesis = Genesis::development(arguments.embedded_wallets);
    Ok(Embedded::open(directory.as_ref(), &genesis, Arc::new(seconds))?)
}

fn files(arguments: &Arguments) -> Fallible<(VerificationKey, Srs)> {
    let unreadable = |error| format!("{}: {error}", arguments.key.display());
    let key = VerificationKey::decode(&std::fs::read(&arguments.key).map_err(unreadable)?)?;
    Ok((key, Srs::open(&arguments.srs)?))
}

/// What cannot be compared.
fn refuse_nodes(urls: &[String]) -> Result<(), String> {
    if urls.len() > 1 && urls.iter().any(|url| url.starts_with(EMBEDDED)) {
        return Err("main_chain: an embedded chain stands alone".to_owned());
    }
    // As they lead somewhere, not as they are spelled.
    let same = |a: &str, b: &str| {
        a == b || matches!((Url::parse(a), Url::parse(b)), (Ok(a), Ok(b)) if a == b)
    };
    for (number, url) in (1..).zip(urls) {
        let first = (1..).zip(urls).find(|(_, other)| same(other, url));
        if let Some((first, _)) = first.filter(|(first, _)| *first < number) {
            return Err(format!("main_chain: node {number} is node {first} again"));
        }
    }
    Ok(())
}

/// Nodes that are compared.
fn nodes(urls: &[String]) -> Fallible<Arc<dyn MainChain>> {
    let mut nodes: Vec<Node> = Vec::new();
    for (number, url) in (1..).zip(urls) {
        let name = format!("{number} ({})", without_path(url));
        nodes.push(Node { name, chain: Arc::new(Ethereum::connect(url)?) });
    }
    Ok(Arc::new(CrossChecked::new(nodes)))
}

/// The chain, and its JSON-RPC server if one was asked for.
async fn main_chain(
    arguments: &Arguments,
    stopped: watch::Receiver<bool>,
) -> Fallible<Arc<dyn MainChain>> {
    let [only] = arguments.main_chain.as_slice() else {
        return nodes(&arguments.main_chain);
    };
    let Some(directory) = only.strip_prefix(EMBEDDED) else {
        tracing::warn!("{ONE_NODE}");
        return nodes(&arguments.main_chain);
    };
    let embedded = open_embedded(arguments, directory)?;
    if let Some(address) = arguments.embedded_rpc {
        println!("main chain {}", serve_embedded(&embedded, address, stopped).await?);
    }
    let node = Node { name: "embedded".to_owned(), chain: Arc::new(embedded) };
    Ok(Arc::new(CrossChecked::new(vec![node])))
}

/// Serves the embedded chain over JSON-RPC; gives the address.
async fn serve_embedded(
    embedded: &Embedded,
    address: SocketAddr,
    mut stopped: watch::Receiver<bool>,
) -> Fallible<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let chain = Arc::clone(embedded.chain());
    let stop = async move {
        // The other end is gone: stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    tokio::spawn(async move {
        if let Err(error) = rpc::serve(listener, chain, rpc::RpcOptions::default(), stop).await {
            tracing::error!(%error, "JSON-RPC server of the embedded chain ended");
        }
    });
    Ok(address)
}

/// Builds the database from the main chain and says what it has.
async fn restore(arguments: Arguments) -> Fallible<()> {
    let (key, srs) = files(&arguments)?;
    let config = config(&arguments)?;
    let (_stop, stopped) = watch::channel(false);
    let mut urls = arguments.main_chain.clone();
    if let [only] = urls.as_slice()
        && let Some(directory) = only.strip_prefix(EMBEDDED)
    {
        // Read like any other chain.
        let embedded = open_embedded(&arguments, directory)?;
        let address = arguments.embedded_rpc.unwrap_or(([127, 0, 0, 1], 0).into());
        urls = vec![format!("http://{}", serve_embedded(&embedded, address, stopped).await?)];
    }
    if urls.len() == 1 {
        tracing::warn!("{ONE_NODE}");
    }
    let proofs = if arguments.trust_contract { Proofs::Trusted } else { Proofs::From(1) };
    let trust = Trust { proofs, pending: arguments.accept_pending };
    let report = restore_from_chain(&config, &urls, &key, &srs, trust).await?;
    let RestoreReport { batches, shallow, accounts, transfers, waiting, block, elapsed } = report;
    println!(
        "restored {batches} batches with {transfers} transfers, {accounts} accounts, as of block {block}, in \
         {:.1} s",
        elapsed.as_secs_f64()
    );
    println!("{shallow} batches are not deep enough to be final, {waiting} queue entries wait");
    println!(
        "lost: what was acknowledged and not posted; whoever sent it may send it again, nothing can be executed twice"
    );
    Ok(())
}

async fn run(arguments: Arguments) -> Fallible<()> {
    let (key, srs) = files(&arguments)?;
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

/// The settings, and whether a restore is asked for, unless something else is: then the process ends with
/// this code.
fn settings() -> Result<(Arguments, bool), ExitCode> {
    let wrong = |error: &dyn std::fmt::Display| {
        eprintln!("kerros-sequencer: {error}");
        ExitCode::from(WRONG_SETTINGS)
    };
    let mut line: Vec<_> = std::env::args_os().collect();
    let restores = line.get(1).is_some_and(|word| word == RESTORE);
    if restores {
        line.remove(1);
    }
    let (arguments, settings): (Arguments, Settings) = match settings::read(line) {
        Ok(settings) => settings,
        // Prints, help among others, and ends with the right code.
        Err(SettingsError::Arguments(error)) => error.exit(),
        Err(error) => return Err(wrong(&error)),
    };
    if let Some(Err(error)) = arguments.poster_key_file.as_deref().map(refuse_key) {
        return Err(wrong(&error));
    }
    if let Err(error) = refuse_nodes(&arguments.main_chain) {
        return Err(wrong(&error));
    }
    if arguments.print_config {
        print!("{}", settings.print(shown));
        return Err(ExitCode::SUCCESS);
    }
    if (arguments.trust_contract || arguments.accept_pending) && !restores {
        return Err(wrong(&"trust_contract, accept_pending: only `kerros-sequencer restore` can"));
    }
    Ok((arguments, restores))
}

#[tokio::main]
async fn main() -> ExitCode {
    let (arguments, restores) = match settings() {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let format = arguments.log_format;
    match start(arguments, restores).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match format {
                // As it is meant to be read, not as the program sees it.
                LogFormat::Text => eprintln!("kerros-sequencer: {error}"),
                LogFormat::Json => tracing::error!(%error, "ended"),
            }
            ExitCode::FAILURE
        }
    }
}

async fn start(arguments: Arguments, restores: bool) -> Fallible<()> {
    logs::start(arguments.log_format, &arguments.log_filter).map_err(|error| error.to_string())?;
    // Commitments are computed on this pool; a name tells its threads from the runtime's.
    let name = |i| format!("kerros-seal-{i}");
    rayon::ThreadPoolBuilder::new().thread_name(name).build_global()?;
    if restores { restore(arguments).await } else { run(arguments).await }
}
