//! Putting a Kerros contract and test tokens on a main chain. The verification constants come from
//! the key file; times and fees are [`Terms`].

use crate::contract::ContractError;
use alloy::primitives::Address as ChainAddress;
use kerros_protocol::account::Address;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::{MainChain, Wallet, deploy};
use kerros_verifier::contract::{Parameters, deployment_code, test_token_code};
use kerros_verifier::post::key_words;

/// A deployment's times and fee; windows in seconds, fee in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Posts batches.
    pub operator: ChainAddress,
    /// Registers assets.
    pub admin: ChainAddress,
    /// Time in which an entry that met an empty queue must be served.
    pub force_window_s: u64,
    /// What every entry before adds to a deadline.
    pub entry_window_s: u64,
    /// The operator's silence after which anybody may post; below `force_window_s`.
    pub silence_s: u64,
    /// Fee of an entry that meets an empty queue, beside twice the gas of serving it.
    pub entry_fee_wei: u128,
}

impl Terms {
    /// A day of silence, a week to serve an entry, 0.00002 ether a queue entry beside its gas.
    pub fn usual(operator: ChainAddress, admin: ChainAddress) -> Self {
        Self {
            operator,
            admin,
            force_window_s: 7 * 24 * 3600,
            entry_window_s: 60,
            silence_s: 24 * 3600,
            entry_fee_wei: 20_000_000_000_000,
        }
    }
}

/// Deploys the contract; `wallet` pays.
pub async fn deploy_kerros(
    chain: &dyn MainChain,
    wallet: &Wallet,
    key: &VerificationKey,
    terms: &Terms,
) -> Result<Address, ContractError> {
    let parameters = Parameters {
        operator: terms.operator,
        admin: terms.admin,
        kGenesis: key.k_genesis,
        kMax: key.k_max(),
        forceWindow: terms.force_window_s,
        entryWindow: terms.entry_window_s,
        silence: terms.silence_s,
        entryFee: terms.entry_fee_wei,
    };
    let code = deployment_code(key_words(key).into(), parameters);
    Ok(Address(deploy(chain, wallet, code).await?.into_array()))
}

/// Deploys a development token that anybody can mint; `wallet` pays.
pub async fn deploy_test_token(
    chain: &dyn MainChain,
    wallet: &Wallet,
    name: &str,
    symbol: &str,
    decimals: u8,
) -> Result<ChainAddress, ContractError> {
    Ok(deploy(chain, wallet, test_token_code(name, symbol, decimals)).await?)
}
