//! `kerros-verifier`: the auditor's command. Reads only the main chain and a verification key.

mod held;

use alloy::primitives::{Address as ChainAddress, B256, U256};
use alloy::providers::{Provider, ProviderBuilder};
use alloy::rpc::types::Filter;
use alloy::sol_types::{SolCall, SolEvent};
use clap::{Parser, Subcommand};
use held::Receipts;
use indicatif::ProgressBar;
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::audit::{ChainState, QueueEntry, check_post};
use kerros_verifier::contract::Kerros;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Checks every batch of a Kerros rollup from the main chain alone.
#[derive(Parser)]
#[command(name = "kerros-verifier", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replays every post: data, queue, transcript, proof and root. Exit code 0 only if all hold, and if
    /// no receipt given was broken.
    ///
    /// Example: kerros-verifier audit --rpc http://127.0.0.1:8545 --contract 0x… --key verification.key
    Audit {
        /// JSON-RPC endpoint of a main-chain node.
        #[arg(long)]
        rpc: String,
        /// Address of the Kerros contract.
        #[arg(long)]
        contract: ChainAddress,
        /// Verification key file.
        #[arg(long)]
        key: PathBuf,
        /// First block to look at.
        #[arg(long, default_value_t = 0)]
        from_block: u64,
        /// A receipt to be judged, as `kerros transfer --receipt` writes it; may be given again.
        #[arg(long = "receipt", value_name = "FILE")]
        receipts: Vec<PathBuf>,
        /// Who signs receipts; the contract's operator if absent.
        #[arg(long, value_name = "ADDRESS")]
        receipt_signer: Option<ChainAddress>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints what a verification key file says.
    Key {
        /// Verification key file.
        file: PathBuf,
    },
}

/// Blocks asked for at once.
const LOG_BLOCKS_MAX: u64 = 2_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Audit { rpc, contract, key, from_block, receipts, receipt_signer, json } => {
            let receipts = (receipts.as_slice(), receipt_signer);
            audit(&rpc, contract, &key, from_block, receipts, json).await
        }
        Command::Key { file } => read_key(&file).map(|key| {
            println!("shape O,D,T,E,F  {}", key.shape);
            println!("ledger           2^{} to 2^{}", key.k_genesis, key.k_max());
            println!("development      {}", key.development);
            println!("vkHash           0x{}", hex::encode(key.hash()));
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kerros-verifier: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn read_key(path: &PathBuf) -> Result<VerificationKey, Failure> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(VerificationKey::decode(&bytes).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// What happened on the main chain, in order: (block, log index) and the event.
enum Event {
    Asset(u16),
    Entry(QueueEntry),
    Post { transaction: B256, block: u64 },
}

async fn audit(
    rpc: &str,
    contract: ChainAddress,
    key: &PathBuf,
    from_block: u64,
    (receipts, receipt_signer): (&[PathBuf], Option<ChainAddress>),
    as_json: bool,
) -> Result<(), Failure> {
    // Without a provider rustls panics even where no TLS is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = read_key(key)?;
    let provider = ProviderBuilder::new().connect_http(rpc.parse()?);
    let (chain_id, head) = (provider.get_chain_id().await?, provider.get_block_number().await?);
    let domain = transcript::domain(chain_id, &Address(contract.into_array()));
    let rollup = Kerros::new(contract, &provider);
    let deployed = rollup.vkHash().call().await?;
    if deployed.0 != key.hash() {
        return Err(format!(
            "the contract was deployed with key {deployed}, the file has 0x{}",
            hex::encode(key.hash())
        )
        .into());
    }

    let signer = match receipt_signer {
        Some(signer) => signer,
        None => rollup.operator().call().await?,
    };
    let here = Address(contract.into_array());
    let mut receipts = Receipts::load(receipts, chain_id, here, Address(signer.into_array()))?;

    let mut events = BTreeMap::new();
    let mut block = from_block;
    while block <= head {
        let to = head.min(block + LOG_BLOCKS_MAX - 1);
        let filter = Filter::new().address(contract).from_block(block).to_block(to);
        for log in provider.get_logs(&filter).await? {
            let place = (log.block_number, log.log_index);
            if let Some(event) = event(&log)? {
                events.insert(place, event);
            }
        }
        block = to + 1;
    }

    let mut state = ChainState::genesis(&key);
    let mut transactions = 0usize;
    let posts = events.values().filter(|event| matches!(event, Event::Post { .. })).count();
    let bar = ProgressBar::new(posts as u64);
    let start = Instant::now();
    for event in events.into_values() {
        match event {
            Event::Asset(asset) => state.asset_count = asset,
            Event::Entry(entry) => state.queue.push_back(entry),
            Event::Post { transaction: hash, block } => {
                let transaction = provider.get_transaction_by_hash(hash).await?;
                let transaction = transaction.ok_or("a post's transaction is missing")?;
                use alloy::consensus::Transaction as _;
                let call = Kerros::postCall::abi_decode(transaction.input())?;
                let batch = state.number + 1;
                let before = receipts.are_about(batch).then(|| state.ledger.clone());
                check_post(&key, domain, &mut state, &call.p)
                    .map_err(|error| format!("batch {batch} (transaction {hash}): {error}"))?;
                let shape = &key.shape;
                let data = kerros_protocol::batch::BatchData::decode(&call.p.data, shape)?;
                if let Some(before) = before {
                    receipts.posted(batch, &data, &before, block_ms(&provider, block).await?);
                }
                transactions += data.counts().iter().sum::<usize>();
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    receipts.ended(block_ms(&provider, head).await?);
    let stored = rollup.root().call().await?;
    if stored.0 != state.root.0 {
        return Err(format!("the contract's root is {stored}, the replay's {}", state.root).into());
    }
    let mut balances: BTreeMap<u16, u128> = BTreeMap::new();
    for (_, account) in state.ledger.existing() {
        *balances.entry(account.asset).or_default() += u128::from(account.balance);
    }
    let mut supplies: BTreeMap<u16, u128> = BTreeMap::new();
    for entry in &state.queue {
        if let QueueEntry::Deposit { amount, asset, .. } = entry {
            *supplies.entry(*asset).or_default() += u128::from(*amount);
        }
    }
    for asset in 1..=state.asset_count {
        let supply = U256::from(rollup.assets(asset).call().await?.supply);
        let waiting = supplies.get(&asset).copied().unwrap_or(0);
        let held = balances.get(&asset).copied().unwrap_or(0);
        if supply != U256::from(waiting + held) {
            return Err(format!(
                "asset {asset}: the contract counts {supply} units, accounts hold {held} and \
                 {waiting} wait in the queue"
            )
            .into());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    if as_json {
        println!(
            "{}",
            json!({
                "chain_id": chain_id,
                "contract": contract.to_string(),
                "batches": state.number,
                "records": transactions,
                "queue_head": state.head,
                "queue_waiting": state.queue.len(),
                "ledger_k": state.ledger.k(),
                "root": state.root.to_string(),
                "balances": balances.iter().map(|(a, b)| (a.to_string(), b.to_string()))
                    .collect::<BTreeMap<_, _>>(),
                "seconds": seconds,
                "receipts": receipts.json(),
                "verdict": "ok",
            })
        );
    } else {
        println!("batches   {} with {transactions} records, all proofs hold", state.number);
        println!("queue     {} served, {} waiting", state.head, state.queue.len());
        println!("root      {} (ledger of 2^{})", state.root, state.ledger.k());
        for (asset, balance) in balances {
            println!(
                "asset {asset:<4} {balance} units in accounts, equal to the contract's supply"
            );
        }
        receipts.lines().for_each(|line| println!("{line}"));
        println!("time      {seconds:.2} s");
    }
    match receipts.broken() {
        0 => Ok(()),
        count => {
            Err(format!("{count} of the receipts given are broken promises of {signer}").into())
        }
    }
}

/// A block's time, Unix ms.
async fn block_ms(provider: &impl Provider, block: u64) -> Result<u64, Failure> {
    let found = provider.get_block_by_number(block.into()).await?;
    Ok(found.ok_or_else(|| format!("block {block} is missing"))?.header.timestamp * 1_000)
}

fn event(log: &alloy::rpc::types::Log) -> Result<Option<Event>, Failure> {
    let inner = &log.inner;
    let topic = inner.topics().first().copied().unwrap_or_default();
    Ok(match topic {
        Kerros::AssetRegistered::SIGNATURE_HASH => {
            Some(Event::Asset(Kerros::AssetRegistered::decode_log(inner)?.asset))
        }
        Kerros::DepositQueued::SIGNATURE_HASH => {
            let queued = Kerros::DepositQueued::decode_log(inner)?;
            Some(Event::Entry(QueueEntry::Deposit {
                amount: queued.amount,
                asset: queued.asset,
                key: AccountKey::from_be(&queued.key.to_be_bytes())?,
                owner: Address(queued.owner.into_array()),
            }))
        }
        Kerros::ForcedExitQueued::SIGNATURE_HASH => {
            let queued = Kerros::ForcedExitQueued::decode_log(inner)?;
            Some(Event::Entry(QueueEntry::ForcedExit {
                index: AccountIndex::new(queued.index)?,
                requester: Address(queued.requester.into_array()),
            }))
        }
        Kerros::BatchPosted::SIGNATURE_HASH => Some(Event::Post {
            transaction: log.transaction_hash.ok_or("a log without a transaction")?,
            block: log.block_number.ok_or("a log without a block")?,
        }),
        _ => None,
    })
}
