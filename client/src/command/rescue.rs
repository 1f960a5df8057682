//! `kerros escape|serve-queue`: what anybody can do when the operator does nothing.

use super::{Failure, Said, WalletAt, address};
use crate::command::chain::{Credit, PayoutGas};
use crate::contract::Contract;
use crate::keys::KeysError;
use crate::progress::Bar;
use crate::rescue::escape::{Whose, escape, freeze};
use crate::rescue::serve::{is_operator, may_post, post, prepare};
use crate::rescue::{Patience, Rebuilt, RescueError, rebuild, rebuild_frozen};
use clap::Args;
use kerros_circuits::setup::{SetupFiles, read_verification_key};
use kerros_protocol::account::Address;
use kerros_protocol::commitment::Srs;
use kerros_prover::keys::ProverKeys;
use kerros_sequencer::main_chain::{Ethereum, MainChain, Wallet as ChainWallet};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the contract is, and what its state is rebuilt with.
#[derive(Debug, Args)]
struct Deployed {
    /// JSON-RPC endpoint of a main-chain node that has the contract's whole history. Several are compared
    /// with each other; transactions go to the first.
    #[arg(
        long = "rpc",
        env = "KERROS_RPC",
        // It may carry the node's key.
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8545",
        value_delimiter = ','
    )]
    rpc_urls: Vec<String>,
    /// The Kerros contract.
    #[arg(long, env = "KERROS_CONTRACT", value_name = "ADDRESS", value_parser = address)]
    contract: Address,
    /// Directory of the deployment's public files: verification.key, srs.bin; to prove, proving.key.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// A block not after the contract's deployment, if no node can find that by itself.
    #[arg(long, value_name = "NUMBER")]
    from_block: Option<u64>,
    #[command(flatten)]
    wallet: WalletAt,
}

impl Deployed {
    async fn contract(&self) -> Result<Contract, Failure> {
        let url = self.rpc_urls.first().map_or("", String::as_str);
        let chain: Arc<dyn MainChain> = Arc::new(Ethereum::connect(url)?);
        let contract = Contract::new(chain, self.contract);
        contract.identity().await?;
        Ok(contract)
    }
    /// The state now; `frozen`: once the nodes show the freeze.
    async fn rebuild(&self, frozen: bool) -> Result<Rebuilt, Failure> {
        let file = SetupFiles::in_dir(&self.keys).verification_key;
        let key = read_verification_key(&file).map_err(KeysError::from)?;
        let bar = Bar::spinner("main chain");
        let told = |number: u64| bar.say(&format!("batch {number}"));
        let (urls, contract, from_block) = (&self.rpc_urls, self.contract, self.from_block);
        let rebuilt = match frozen {
            true => {
                bar.say("waiting until every node shows the freeze");
                let patience = Patience::default();
                rebuild_frozen(urls, contract, &key, from_block, patience, told).await?
            }
            false => rebuild(urls, contract, &key, from_block, told).await?,
        };
        let (number, block) = (rebuilt.replay.state.number, rebuilt.head.number);
        bar.done(&format!("{number} batches up to block {block}"));
        Ok(rebuilt)
    }
}

/// Arguments of `kerros escape`.
#[derive(Debug, Args)]
#[command(after_help = "\
Freezes the contract for ever if an entry of its queue is overdue, proves every account against the last root,
takes back deposits that no batch served, and pays all of it out. Asks no sequencer. Can be broken off and
run again. If nothing is overdue, `kerros force-exit` makes an entry that has to be served in time. Example:
  kerros escape --rpc http://127.0.0.1:8545 --contract 0x… --keys keys --wallet alice.wallet")]
pub struct EscapeArgs {
    #[command(flatten)]
    deployed: Deployed,
    /// Whose accounts and deposits; those of the wallet's address if absent.
    #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with = "everybody")]
    owner: Option<Address>,
    /// Everybody's: each is paid, the wallet pays the gas.
    #[arg(long)]
    everybody: bool,
    #[command(flatten)]
    payout: PayoutGas,
}

impl EscapeArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let wallet = self.deployed.wallet.open()?;
        let payer = ChainWallet::new(wallet.signer().clone());
        let contract = self.deployed.contract().await?;
        let srs = SetupFiles::in_dir(&self.deployed.keys).srs;
        let srs = Srs::open(&srs).map_err(RescueError::from)?;
        let whose = match (self.everybody, self.owner) {
            (true, _) => Whose::Everybody,
            (false, owner) => Whose::Of(owner.unwrap_or(wallet.address())),
        };
        let mut rebuilt = self.deployed.rebuild(false).await?;
        let mut frozen_over = None;
        if !rebuilt.standing.frozen {
            frozen_over = freeze(&rebuilt, &contract, &payer, &srs, whose).await?;
            // A batch may have come before the freeze.
            rebuilt = self.deployed.rebuild(true).await?;
        }
        let bar = Bar::spinner("escape");
        let (gas_max, told) = (self.payout.gas_max, |what: &str| bar.say(what));
        let done = escape(&rebuilt, &contract, &payer, &srs, whose, gas_max, told).await?;
        bar.done(&format!("{} accounts", done.accounts.len()));
        let mut text = match frozen_over {
            Some(entry) => format!("frozen for ever over queue entry {entry}"),
            None => "the contract was frozen already".to_owned(),
        };
        for (index, account) in &done.accounts {
            let (units, asset, owner) = (account.balance, account.asset, account.owner);
            text += &format!("\naccount {index}: {units} units of asset {asset} to {owner}");
        }
        for entry in &done.refunded {
            text += &format!("\nqueue entry {entry} given back");
        }
        for (asset, address, units) in &done.paid {
            text += &format!("\npaid {units} units of asset {asset} to {address}");
        }
        for (address, wei) in &done.ether {
            text += &format!("\npaid {wei} wei of entry fees to {address}");
        }
        for (asset, address, why) in &done.unpaid {
            let what = asset.map_or("ether".to_owned(), |asset| format!("asset {asset}"));
            text += &format!("\n{what} of {address} waits in the contract: {why}");
        }
        if (done.accounts.is_empty(), done.refunded.is_empty()) == (true, true) {
            text += "\nnothing of them is left on layer 2";
        }
        text += &format!("\n{} gas", done.gas);
        Ok(Said {
            text,
            json: json!({
                "frozen_over": frozen_over,
                "accounts": done.accounts.iter().map(|(index, account)| json!({
                    "index": index.get(),
                    "asset": account.asset,
                    "units": account.balance,
                    "owner": account.owner.to_string(),
                })).collect::<Vec<_>>(),
                "refunded": done.refunded,
                "paid": done.paid.iter().map(|(asset, address, units)| json!({
                    "asset": asset.get(),
                    "address": address.to_string(),
                    "units": units.to_string(),
                })).collect::<Vec<_>>(),
                "ether": done.ether.iter().map(|(address, wei)| json!({
                    "address": address.to_string(),
                    "wei": wei.to_string(),
                })).collect::<Vec<_>>(),
                "unpaid": done.unpaid.iter().map(|(asset, address, why)| json!({
                    "asset": asset.map(|asset| asset.get()),
                    "address": address.to_string(),
                    "why": why,
                })).collect::<Vec<_>>(),
                "gas_used": done.gas,
            }),
        })
    }
}

/// Arguments of `kerros serve-queue`.
#[derive(Debug, Args)]
#[command(after_help = "\
Serves the longest part of the queue that fits into a batch. The operator may post at any time, everybody
else after the contract's time of silence. Not for an operator whose sequencer runs: both would post the same number. The wallet pays the gas and is credited with the entries' fees. Example:
  kerros serve-queue --rpc http://127.0.0.1:8545 --contract 0x… --keys keys --wallet alice.wallet")]
pub struct ServeQueueArgs {
    #[command(flatten)]
    deployed: Deployed,
}

impl ServeQueueArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let wallet = self.deployed.wallet.open()?;
        let poster = ChainWallet::new(wallet.signer().clone());
        let contract = self.deployed.contract().await?;
        let rebuilt = self.deployed.rebuild(false).await?;
        may_post(&rebuilt, &poster)?;
        let operator = is_operator(&rebuilt, &poster);
        if operator {
            eprintln!(
                "kerros: this is the operator's own key: a sequencer of the operator must not run while \
                 this batch is posted. It would take the same batch number and the same nonces, and what \
                 it has promised but not posted would not follow from this batch"
            );
        }
        let bar = Bar::spinner("proof");
        let (dir, beneficiary) = (self.deployed.keys.clone(), wallet.address());
        let prepared = tokio::task::spawn_blocking(move || {
            let keys = ProverKeys::load(&dir).map_err(KeysError::from)?;
            Ok::<_, Failure>(prepare(&rebuilt, &keys, beneficiary)?)
        });
        let ready = prepared.await.map_err(|_| Failure::Bug("the prover panicked"))??;
        bar.done("proved and verified");
        let receipt = post(&ready, &contract, &poster).await?;
        let batch = &ready.batch;
        let (number, first, end) = (batch.number, batch.first, batch.end);
        let (hash, gas) = (receipt.transaction.to_string(), receipt.gas_used);
        let entries = end - first;
        let credit = Credit::of(&contract, wallet.address()).await;
        Ok(credit.beside(Said {
            text: format!(
                "batch {number} serves {entries} queue entries from {first} on\ntransaction {hash}, {gas} gas"
            ),
            json: json!({
                "batch": number, "first": first, "end": end, "transaction": hash, "gas_used": gas,
                "operator": operator,
            }),
        }))
    }
}
