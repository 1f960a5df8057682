//! `kerros devnet`: a stack to play with, until Ctrl-C.

use super::setup::KeyArgs;
use super::{Failure, Said};
use crate::contract::ContractError;
use crate::devnet::{Devnet, DevnetConfig, Person, TestAsset, person};
use crate::progress::Bar;
use alloy::primitives::U256;
use clap::Args;
use kerros_sequencer::main_chain::Wallet as ChainWallet;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Test wallets written and funded.
const WALLETS: u32 = 5;
/// Whole tokens that each of them gets of each kind.
const TOKENS_EACH: u64 = 1_000_000;

/// Arguments of `kerros devnet`.
#[derive(Debug, Args)]
#[command(after_help = "\
Ctrl-C stops everything cleanly; starting again with the same --dir resumes. The test wallets' keys can
be computed by anybody. Example, in a second terminal:
  export KERROS_WALLET=kerros-devnet/wallets/alice.wallet
  kerros deposit --asset 1 --amount 1000000
  kerros account")]
pub struct DevnetArgs {
    #[command(flatten)]
    keys: KeyArgs,
    /// Where keys of all shapes are kept.
    #[arg(long = "keys", value_name = "DIR")]
    root: Option<PathBuf>,
    /// Where the stack keeps its data.
    #[arg(long, default_value = "kerros-devnet")]
    dir: PathBuf,
    /// The sequencer's gRPC; port 0 takes any.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7400")]
    grpc: SocketAddr,
    /// The main chain's JSON-RPC; port 0 takes any.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8545")]
    rpc: SocketAddr,
    /// Prometheus metrics.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Prover services.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=16))]
    provers: u16,
    /// A batch that is not empty is sealed at this age, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    batch_age: u64,
    /// Least fee of a transaction, in asset units.
    #[arg(long, default_value_t = 0)]
    fee_min: u64,
}

impl DevnetArgs {
    /// Runs until a signal; prints where everything is as soon as it is ready.
    pub async fn run(self, as_json: bool) -> Result<Said, Failure> {
        let keys = self.keys.ensure(self.root).await?;
        let bar = Bar::spinner("start");
        let config = DevnetConfig {
            dir: self.dir.clone(),
            keys: keys.clone(),
            grpc: self.grpc,
            rpc: self.rpc,
            metrics: self.metrics,
            provers: self.provers,
            batch_age_ms_max: self.batch_age,
            fee_min: self.fee_min,
        };
        let devnet = Devnet::start(&config, &|stage| bar.say(stage)).await?;
        bar.say("test wallets");
        let mut people = Vec::new();
        for i in 0..WALLETS {
            let person = person(i)?;
            let path = self.dir.join("wallets").join(format!("{}.wallet", person.name));
            if !path.exists() {
                person.wallet.create(&path)?;
            }
            fund(&devnet, &person).await?;
            people.push((person, path));
        }
        bar.done("ready");
        ready(&devnet, &people, &keys).print(as_json);

        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .map_err(|_| Failure::Bug("signals are not available"))?;
        tokio::select! {
            // Without signals nobody could stop it otherwise: stop at once.
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("stopping");
        devnet.shutdown().await?;
        Ok(Said { text: "stopped".to_owned(), json: json!({ "stopped": true }) })
    }
}

/// Mints tokens to a wallet that has none.
async fn fund(devnet: &Devnet, person: &Person) -> Result<(), ContractError> {
    let contract = devnet.contract().map_err(|_| ContractError::Answer {
        what: "test wallets",
        reason: "the JSON-RPC port cannot be reached".to_owned(),
    })?;
    let wallet = ChainWallet::new(person.wallet.signer().clone());
    for (TestAsset { asset, .. }, token) in devnet.world.assets.iter().zip(crate::devnet::TOKENS) {
        let to = person.wallet.address();
        if contract.token_balance(asset.token, to).await?.is_zero() {
            let one = U256::from(10).pow(U256::from(token.decimals));
            contract.mint(&wallet, asset.token, to, one * U256::from(TOKENS_EACH)).await?;
        }
    }
    Ok(())
}

fn ready(devnet: &Devnet, people: &[(Person, PathBuf)], keys: &std::path::Path) -> Said {
    let world = &devnet.world;
    let mut text = format!(
        "sequencer   {}\nmain chain  {} (chain id {})\ncontract    {}\nkeys        {}",
        devnet.sequencer_url,
        devnet.rpc_url,
        world.chain_id,
        world.contract,
        keys.display(),
    );
    for TestAsset { asset, symbol } in &world.assets {
        let (id, token, k) = (asset.id, asset.token, asset.unit_exponent);
        text += &format!("\nasset {id}     {symbol} {token}, unit 10^{k}");
    }
    for (person, path) in people {
        let (name, address) = (&person.name, person.wallet.address());
        text += &format!("\nwallet      {name:<6} {address} {}", path.display());
    }
    let assets = world.assets.iter().map(|TestAsset { asset, symbol }| {
        json!({
            "id": asset.id.get(),
            "symbol": symbol,
            "token": asset.token.to_string(),
            "unit_exponent": asset.unit_exponent,
        })
    });
    let wallets = people.iter().map(|(person, path)| {
        json!({
            "name": person.name,
            "address": person.wallet.address().to_string(),
            "account_key": format!("{:?}", person.wallet.account_key()),
            "file": path.display().to_string(),
        })
    });
    Said {
        json: json!({
            "sequencer": devnet.sequencer_url,
            "rpc": devnet.rpc_url,
            "chain_id": world.chain_id,
            "contract": world.contract.to_string(),
            "keys": keys.display().to_string(),
            "assets": assets.collect::<Vec<_>>(),
            "wallets": wallets.collect::<Vec<_>>(),
        }),
        text,
    }
}
