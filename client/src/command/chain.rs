//! `kerros deposit|claim|force-exit`: what a holder does on the main chain.

use super::{ChainAt, Failure, Said, SequencerAt, WalletAt, address, asset, index, signer};
use crate::contract::{Contract, Identity, PAYOUT_GAS_MAX};
use crate::wallet::Wallet;
use alloy::primitives::U256;
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
    /// The main chain's id that you mean: refuse a node of another one. Beside --contract it names the
    /// deployment, whatever the wallet has met before.
    #[arg(long, env = "KERROS_CHAIN_ID", value_name = "ID")]
    chain_id: Option<u64>,
    #[command(flatten)]
    wallet: WalletAt,
}

impl Holder {
    async fn open(&self) -> Result<(Wallet, Contract, ChainWallet), Failure> {
        let wallet = self.wallet.open()?;
        let contract = match self.sequencer.contract {
            // Whoever names it needs no sequencer, which may have gone.
            Some(named) => {
                let (contract, identity) = self.chain.at(named).await?;
                self.same_chain(&identity)?;
                if self.chain_id.is_none() {
                    signer::require_met(&self.wallet.path, named, &identity)?;
                }
                contract
            }
            None => {
                let (_, info) = self.sequencer.connect().await?;
                let meeting = signer::meet(&self.wallet.path, &self.sequencer, &info)?;
                let (contract, identity) = self.chain.contract(&info).await?;
                self.same_chain(&identity)?;
                meeting.remember()?;
                contract
            }
        };
        let payer = ChainWallet::new(wallet.signer().clone());
        Ok((wallet, contract, payer))
    }
    fn same_chain(&self, identity: &Identity) -> Result<(), Failure> {
        let found = identity.chain_id;
        match self.chain_id {
            Some(expected) if expected != found => Err(Failure::OtherChain { expected, found }),
            _ => Ok(()),
        }
    }
}

/// What a payout may cost whoever makes it.
#[derive(Debug, Args)]
pub struct PayoutGas {
    /// Gas that one payout may take: token and recipient decide how much it is, the wallet pays.
    #[arg(long, value_name = "GAS", default_value_t = PAYOUT_GAS_MAX)]
    pub gas_max: u64,
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
        let (entry, credit) = (done.value, Credit::of(&contract, owner).await);
        Ok(credit.beside(said(
            format!("queued as entry {entry}: {} units of asset {}", self.amount, self.asset),
            json!({ "entry": entry, "asset": self.asset.get(), "units": self.amount }),
            &done.receipt,
        )))
    }
}

/// Arguments of `kerros claim`.
#[derive(Debug, Args)]
pub struct ClaimArgs {
    #[command(flatten)]
    holder: Holder,
    /// Registered asset.
    #[arg(long, value_parser = asset, required_unless_present = "ether", conflicts_with = "ether")]
    asset: Option<AssetId>,
    /// Ether: what was paid too much for entries of the queue, came back with them after a freeze, or
    /// was earned by serving them.
    #[arg(long)]
    ether: bool,
    /// Claim for this address instead of the wallet's own; it receives, the wallet pays the gas.
    #[arg(long, value_parser = address)]
    account: Option<Address>,
    #[command(flatten)]
    payout: PayoutGas,
}

impl ClaimArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let (wallet, contract, payer) = self.holder.open().await?;
        let account = self.account.unwrap_or(wallet.address());
        let gas_max = self.payout.gas_max;
        let Some(asset) = self.asset else {
            let done = contract.claim_ether(&payer, account, gas_max).await?;
            let wei = done.value.to_string();
            return Ok(said(
                format!("{account} received {wei} wei"),
                json!({ "account": account.to_string(), "wei": wei }),
                &done.receipt,
            ));
        };
        let done = contract.claim(&payer, asset, account, gas_max).await;
        let credit = Credit::of(&contract, account).await;
        let done = done.inspect_err(|_| credit.hint())?;
        let units = done.value.to_string();
        Ok(credit.beside(said(
            format!("{account} received {units} units of asset {asset}"),
            json!({ "account": account.to_string(), "asset": asset.get(), "units": units }),
            &done.receipt,
        )))
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
        let (wallet, contract, payer) = self.holder.open().await?;
        let done = contract.force_exit(&payer, self.index).await?;
        let (entry, credit) = (done.value, Credit::of(&contract, wallet.address()).await);
        Ok(credit.beside(said(
            format!("queued as entry {entry}: exit of account {}", self.index),
            json!({ "entry": entry, "index": self.index.get() }),
            &done.receipt,
        )))
    }
}

/// Ether that waits for somebody in the contract, to be told beside what was asked.
pub(super) struct Credit {
    account: Address,
    wei: U256,
}

impl Credit {
    /// None if the node does not say: what was asked has been done.
    pub(super) async fn of(contract: &Contract, account: Address) -> Self {
        Self { account, wei: contract.ether_credit(account).await.unwrap_or_default() }
    }
    fn text(&self) -> Option<String> {
        let Self { account, wei } = self;
        (!wei.is_zero())
            .then(|| format!("{wei} wei wait for {account}: `kerros claim --ether` pays them out"))
    }
    fn hint(&self) {
        if let Some(text) = self.text() {
            eprintln!("kerros: {text}");
        }
    }
    pub(super) fn beside(&self, mut said: Said) -> Said {
        said.json["ether_credit"] = json!(self.wei.to_string());
        said.text.extend(self.text().map(|text| format!("\n{text}")));
        said
    }
}

fn said(text: String, mut json: Value, receipt: &Receipt) -> Said {
    let (hash, gas) = (receipt.transaction.to_string(), receipt.gas_used);
    json["transaction"] = json!(hash);
    json["gas_used"] = json!(gas);
    Said { text: format!("{text}\ntransaction {hash}, {gas} gas"), json }
}
