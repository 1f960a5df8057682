//! Putting a Kerros contract on a main chain from a key file: the only place where a verification
//! key becomes constructor arguments.

use crate::contract::ContractError;
use alloy::primitives::{Address as ChainAddress, U256};
use ark_bn254::{G1Affine, G2Affine};
use kerros_protocol::account::Address;
use kerros_protocol::encoding::{g1_to_be, g2_to_be};
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::{MainChain, Wallet, deploy};
use kerros_verifier::contract::{KeyWords, Parameters, deployment_code, test_token_code};

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
    /// Fee of an entry that meets an empty queue.
    pub entry_fee_wei: u128,
}

impl Terms {
    /// A day of silence, a week to serve an entry, 0.00002 ether a queue entry.
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

fn words<const N: usize>(bytes: &[u8]) -> [U256; N] {
    let mut out = [U256::ZERO; N];
    for (word, chunk) in out.iter_mut().zip(bytes.chunks_exact(32)) {
        *word = U256::from_be_slice(chunk);
    }
    out
}

fn g1(point: &G1Affine) -> [U256; 2] {
    words(&g1_to_be(point))
}

fn g2(point: &G2Affine) -> [U256; 4] {
    words(&g2_to_be(point))
}

/// The contract's constants out of a key.
pub fn key_words(key: &VerificationKey) -> KeyWords {
    let growths = usize::from(key.k_genesis)..usize::from(key.k_max());
    KeyWords {
        alpha1: g1(&key.alpha1),
        beta2: g2(&key.beta2),
        gamma2: g2(&key.gamma2()),
        delta2: g2(&key.delta2),
        ic: key.ic.map(|point| g1(&point)),
        tau2: g2(&key.tau2()),
        shape: key.shape.sections(),
        tau_powers: key.tau_powers[growths].iter().map(g2).collect(),
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
