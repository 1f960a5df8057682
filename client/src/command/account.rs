//! `kerros account`: what the sequencer says about accounts.

use super::{Failure, Said, SequencerAt, index};
use crate::sequencer::AccountView;
use crate::wallet::Wallet;
use clap::Args;
use kerros_protocol::account::AccountIndex;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments of `kerros account`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kerros account --index 7\n  kerros account --wallet a.wallet --json"
)]
pub struct AccountArgs {
    #[command(flatten)]
    sequencer: SequencerAt,
    /// One account.
    #[arg(long, value_parser = index, required_unless_present = "wallet")]
    index: Option<AccountIndex>,
    /// All accounts of this wallet's key.
    #[arg(long, env = "KERROS_WALLET", value_name = "FILE", conflicts_with = "index")]
    wallet: Option<PathBuf>,
}

impl AccountArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let (client, _) = self.sequencer.connect().await?;
        let found = match (self.index, self.wallet) {
            (Some(index), _) => vec![client.account(index).await?],
            (None, Some(path)) => client.accounts(Wallet::open(&path)?.account_key()).await?,
            (None, None) => Vec::new(),
        };
        let mut text = format!(
            "{:>9} {:>5} {:>20} {:>6}  {:<42}",
            "account", "asset", "balance", "nonce", "owner"
        );
        for AccountView { index, account } in &found {
            text += &format!(
                "\n{:>9} {:>5} {:>20} {:>6}  {}",
                index, account.asset, account.balance, account.nonce, account.owner
            );
        }
        Ok(Said { json: found.iter().map(to_json).collect(), text })
    }
}

fn to_json(view: &AccountView) -> Value {
    let account = &view.account;
    json!({
        "index": view.index.get(),
        "asset": account.asset,
        "balance": account.balance,
        "nonce": account.nonce,
        "owner": account.owner.to_string(),
        "key": format!("0x{}", hex::encode(kerros_protocol::encoding::fr_to_be(&account.key))),
    })
}
