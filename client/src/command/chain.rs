//! `kerros deposit|claim|force-exit`: what a holder does on the main chain.

use super::{ChainAt, Failure, Said, SequencerAt, WalletAt, address, asset, index};
use crate::contract::Contract;
use crate::wallet::Wallet;
use clap::Args;
use kerros_protocol::account::{AccountIndex, Address, AssetId};
use kerros_sequencer::main_chain::{Receipt, Wallet as ChainWallet};
use serde_json::{Value, json};

/// Who acts, and where.
#[derive(Debug, Args)]
struct Holder {
    #[command(flatten)]
    sequencer: SequencerAt,
    #[command(flatten)]
    chain: ChainAt,
    #[command(flatten)]
    wallet: WalletAt,
}

impl Holder {
    async fn open(&self) -> Result<(Wallet, Contract, ChainWallet), Failure> {
        let wallet = self.wallet.open()?;
        let contract = match self.sequencer.contract {
            // Whoever names it needs no sequencer, which may have gone.
            Some(contract) => self.chain.at(contract)?,
            None => {
                let (_, info) = self.sequencer.connect_for(&self.wallet).await?;
                self.chain.contract(&info).await?
            }
        };
        let payer = ChainWallet::new(wallet.signer().clone());
        Ok((wallet, contract, payer))
    }
}

/// Arguments of `kerros deposit`.
#[derive(Debug, Args)]
pub struct DepositArgs {
    #[command(flatten)]
    holder: Holder,
    /// Registered asset.
    #[arg(long, value_parser = asset)]
    asset: AssetId,
    /// Asset units.
    #[arg(long)]
    amount: u64,
    /// Mint the tokens first: works with development tokens only.
    #[arg(long)]
    mint: bool,
}

impl DepositArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let (wallet, contract, payer) = self.holder.open().await?;
        let asset = contract.asset(self.asset).await?;
        if self.mint {
            let base_units = asset.base_units(self.amount);
            contract.mint(&payer, asset.token, wallet.address(), base_units).await?;
        }
        let (key, owner) = (wallet.account_key(), wallet.address());
        let done = contract.deposit(&payer, &asset, self.amount, key, owner).await?;
        let entry = done.value;
        Ok(said(
            format!("queued as entry {entry}: {} units of asset {}", self.amount, self.asset),
            json!({ "entry": entry, "asset": self.asset.get(), "units": self.amount }),
            &done.receipt,
        ))
    }
}

/// Arguments of `kerros claim`.
#[derive(Debug, Args)]
pub struct ClaimArgs {
    #[command(flatten)]
    holder: Holder,
    /// Registered asset.
    #[arg(long, value_parser = asset)]
    asset: AssetId,
    /// Claim for this address instead of the wallet's own; it receives, the wallet pays the gas.
    #[arg(long, value_parser = address)]
    account: Option<Address>,
}

impl ClaimArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let (wallet, contract, payer) = self.holder.open().await?;
        let account = self.account.unwrap_or(wallet.address());
        let done = contract.claim(&payer, self.asset, account).await?;
        let units = done.value.to_string();
        Ok(said(
            format!("{account} received {units} units of asset {}", self.asset),
            json!({
                "account": account.to_string(),
                "asset": self.asset.get(),
                "units": units,
            }),
            &done.receipt,
        ))
    }
}

/// Arguments of `kerros force-exit`.
#[derive(Debug, Args)]
pub struct ForceExitArgs {
    #[command(flatten)]
    holder: Holder,
    /// The account; without effect unless the wallet's address owns it.
    #[arg(long, value_parser = index)]
    index: AccountIndex,
}

impl ForceExitArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let (_, contract, payer) = self.holder.open().await?;
        let done = contract.force_exit(&payer, self.index).await?;
        let entry = done.value;
        Ok(said(
            format!("queued as entry {entry}: exit of account {}", self.index),
            json!({ "entry": entry, "index": self.index.get() }),
            &done.receipt,
        ))
    }
}

fn said(text: String, mut json: Value, receipt: &Receipt) -> Said {
    let (hash, gas) = (receipt.transaction.to_string(), receipt.gas_used);
    json["transaction"] = json!(hash);
    json["gas_used"] = json!(gas);
    Said { text: format!("{text}\ntransaction {hash}, {gas} gas"), json }
}
