//! What is on a development chain besides wallets: the contract, two test tokens, two assets. Made
//! once; `devnet.json` remembers where.

use super::{ADMIN, DevnetError, OPERATOR, io_at};
use crate::contract::{Asset, Contract};
use crate::deployment::{Terms, deploy_kerros, deploy_test_token};
use alloy::primitives::Address as ChainAddress;
use kerros_protocol::account::Address;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{At, MainChain, Wallet};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// A development token and the unit it is counted in on layer 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestToken {
    /// For people.
    pub name: &'static str,
    /// Short.
    pub symbol: &'static str,
    /// Of the token.
    pub decimals: u8,
    /// One unit is 10^this base units.
    pub unit_exponent: u8,
}

/// The tokens of a development chain, in the order of their asset ids from 1.
pub const TOKENS: [TestToken; 2] = [
    TestToken { name: "Test dollar", symbol: "TUSD", decimals: 6, unit_exponent: 0 },
    TestToken { name: "Test ether", symbol: "TETH", decimals: 18, unit_exponent: 10 },
];

/// A registered test token.
#[derive(Debug, Clone, Copy)]
pub struct TestAsset {
    /// As the contract says.
    pub asset: Asset,
    /// Short name.
    pub symbol: &'static str,
}

/// Contract and assets.
#[derive(Debug, Clone)]
pub struct World {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Kerros contract.
    pub contract: Address,
    /// Registered test tokens.
    pub assets: Vec<TestAsset>,
}

#[derive(Serialize, Deserialize)]
struct Note {
    chain_id: u64,
    contract: ChainAddress,
    vk_hash: String,
}

impl World {
    /// Finds what an earlier start made, or deploys and registers everything.
    pub(crate) async fn ensure(
        dir: &Path,
        chain: Arc<dyn MainChain>,
        key: &VerificationKey,
    ) -> Result<Self, DevnetError> {
        let path = dir.join("devnet.json");
        let vk_hash = hex::encode(key.hash());
        let chain_id = chain.chain_id().await?;
        let admin = Wallet::new(development_wallet(ADMIN));
        let note = if path.exists() {
            let bytes = std::fs::read(&path).map_err(io_at(path.display()))?;
            let note: Note = serde_json::from_slice(&bytes)
                .map_err(|_| DevnetError::Directory("devnet.json cannot be read"))?;
            if note.chain_id != chain_id || note.vk_hash != vk_hash {
                return Err(DevnetError::Directory(
                    "devnet.json is of another chain or verification key: use another --dir",
                ));
            }
            if chain.code(note.contract, At::Latest).await?.is_empty() {
                return Err(DevnetError::Directory("the contract of devnet.json does not exist"));
            }
            note
        } else {
            let operator = development_wallet(OPERATOR).address();
            let terms = Terms::usual(operator, admin.address());
            let contract = deploy_kerros(chain.as_ref(), &admin, key, &terms).await?;
            let note = Note { chain_id, contract: contract.0.into(), vk_hash };
            let text = serde_json::to_vec_pretty(&note)
                .map_err(|_| DevnetError::Directory("devnet.json cannot be written"))?;
            std::fs::write(&path, text).map_err(io_at(path.display()))?;
            note
        };
        let contract = Address(note.contract.into_array());
        let kerros = Contract::new(Arc::clone(&chain), contract);
        // A start that was interrupted here goes on with the tokens that are missing.
        let registered = kerros.assets().await?.len();
        for token in TOKENS.iter().skip(registered) {
            let TestToken { name, symbol, decimals, unit_exponent } = *token;
            let at = deploy_test_token(chain.as_ref(), &admin, name, symbol, decimals).await?;
            kerros.register_asset(&admin, at, unit_exponent).await?;
        }
        let assets = kerros.assets().await?.into_iter().zip(TOKENS);
        let assets = assets.map(|(asset, token)| TestAsset { asset, symbol: token.symbol });
        Ok(Self { chain_id, contract, assets: assets.collect() })
    }
}
