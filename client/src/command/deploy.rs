//! `kerros deploy|register`: what an operator does once on the main chain.

use super::{ChainAt, Failure, Said, WalletAt, address};
use crate::deployment::{Terms, deploy_kerros};
use crate::keys::KeysError;
use alloy::primitives::Address as ChainAddress;
use clap::Args;
use kerros_circuits::setup::read_verification_key;
use kerros_protocol::account::Address;
use kerros_protocol::test_chains::is_test_chain;
use kerros_protocol::transcript;
use kerros_sequencer::main_chain::{Ethereum, MainChain, Wallet as ChainWallet};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `kerros deploy`.
#[derive(Debug, Args)]
#[command(after_help = "\
The wallet pays, registers assets later, and posts batches unless --operator names another account. The
contract cannot be changed afterwards. Example:
  kerros deploy --rpc http://127.0.0.1:8545 --wallet operator.json --key keys/verification.key \\
    --allow-development")]
pub struct DeployArgs {
    #[command(flatten)]
    chain: ChainAt,
    #[command(flatten)]
    wallet: WalletAt,
    /// Verification key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Main-chain account that posts batches.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    operator: Option<Address>,
    /// Accept a key whose secrets somebody knows.
    #[arg(long)]
    allow_development: bool,
    /// EIP-155 id of a main chain on which nothing has value, beside the known test chains: a development
    /// key is deployed nowhere else.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    test_chain: Vec<u64>,
}

impl DeployArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let wallet = self.wallet.open()?;
        let key = read_verification_key(&self.key).map_err(KeysError::from)?;
        if key.development && !self.allow_development {
            return Err(Failure::DevelopmentKey);
        }
        let chain = Ethereum::connect(&self.chain.rpc_url)?;
        let chain_id = chain.chain_id().await?;
        if key.development && !is_test_chain(chain_id, &self.test_chain) {
            return Err(Failure::DevelopmentKeyOnChain { chain_id });
        }
        let admin = wallet.chain_address();
        let operator = self.operator.map_or(admin, |operator| ChainAddress::from(operator.0));
        let payer = ChainWallet::new(wallet.signer().clone());
        let contract = deploy_kerros(&chain, &payer, &key, &Terms::usual(operator, admin)).await?;
        let domain = kerros_protocol::encoding::fr_to_be(&transcript::domain(chain_id, &contract));
        let domain = format!("0x{}", hex::encode(domain));
        Ok(Said {
            text: format!("contract {contract} on chain {chain_id}\ndomain   {domain}"),
            json: json!({ "contract": contract.to_string(), "chain_id": chain_id, "domain": domain }),
        })
    }
}

/// Arguments of `kerros register`.
#[derive(Debug, Args)]
#[command(after_help = "\
Only the wallet that deployed can register. An asset's unit is 10^k base units of its token. Example:
  kerros register --contract 0x… --wallet operator.json --token 0x… --unit-exponent 12")]
pub struct RegisterArgs {
    #[command(flatten)]
    chain: ChainAt,
    #[command(flatten)]
    wallet: WalletAt,
    /// The Kerros contract.
    #[arg(long, env = "KERROS_CONTRACT", value_name = "ADDRESS", value_parser = address)]
    contract: Address,
    /// The token.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    token: Address,
    /// k: a unit is 10^k base units.
    #[arg(long, value_name = "K", default_value_t = 0)]
    unit_exponent: u8,
}

impl RegisterArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let admin = ChainWallet::new(self.wallet.open()?.signer().clone());
        let (contract, _) = self.chain.at(self.contract).await?;
        let token = ChainAddress::from(self.token.0);
        let done = contract.register_asset(&admin, token, self.unit_exponent).await?;
        let asset = done.value;
        Ok(Said {
            text: format!(
                "asset {asset}: token {token}, unit 10^{} base units",
                self.unit_exponent
            ),
            json: json!({ "asset": asset.get(), "token": token.to_string() }),
        })
    }
}
