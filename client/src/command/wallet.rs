//! `kerros wallet new|show`: keys in, public parts out. Never prints a secret.

use super::{Failure, Said, WalletAt};
use crate::wallet::Wallet;
use clap::{Args, Subcommand};
use serde_json::json;

/// Arguments of `kerros wallet`.
#[derive(Debug, Args)]
pub struct WalletArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Draw both keys and write them to a new file that only you may read.
    New(WalletAt),
    /// Show the public key and the main-chain address.
    Show(WalletAt),
}

impl WalletArgs {
    /// Runs the command.
    pub fn run(self) -> Result<Said, Failure> {
        match self.action {
            Action::New(at) => {
                let wallet = Wallet::generate(&mut rand::rngs::OsRng)?;
                wallet.create(&at.path)?;
                let mut said = show(&wallet);
                said.text = format!("wrote {}\n{}", at.path.display(), said.text);
                Ok(said)
            }
            Action::Show(at) => Ok(show(&at.open()?)),
        }
    }
}

fn show(wallet: &Wallet) -> Said {
    let key = format!("{:?}", wallet.account_key());
    let packed = hex::encode(wallet.public_key().0.pack());
    let address = wallet.address().to_string();
    Said {
        text: format!("account key  {key}\npublic key   {packed} (packed)\naddress      {address}"),
        json: json!({ "account_key": key, "public_key_packed": packed, "address": address }),
    }
}
