//! How an embedded chain begins: its id, its first second, and who holds ether.

use super::execution::{BASE_FEE, BLOCK_GAS_MAX};
use super::store::{AccountRecord, BlockRecord, Changes};
use alloy::consensus::Header;
use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;

/// Chain id of development chains, unless told otherwise.
pub const DEVELOPMENT_CHAIN_ID: u64 = 31_337;
/// Ether, in wei, of each development wallet.
const DEVELOPMENT_BALANCE_WEI: u128 = 10_000 * 1_000_000_000_000_000_000;

/// The first block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Unix seconds of block 0.
    pub timestamp: u64,
    /// Wei by account. Named twice: the last one counts.
    pub balances: Vec<(Address, U256)>,
}

impl Genesis {
    /// A chain on which the first `wallets` development wallets are rich.
    #[must_use]
    pub fn development(wallets: u32) -> Self {
        let balances = (0..wallets)
            .map(|index| (development_wallet(index).address(), U256::from(DEVELOPMENT_BALANCE_WEI)))
            .collect();
        Self { chain_id: DEVELOPMENT_CHAIN_ID, timestamp: 1_700_000_000, balances }
    }

    pub(super) fn block(&self) -> (BlockRecord, Changes) {
        let mut balances = std::collections::BTreeMap::new();
        for (address, balance) in &self.balances {
            balances.insert(*address, *balance);
        }
        let accounts = balances
            .into_iter()
            .map(|(address, balance)| {
                (address, AccountRecord { balance, nonce: 0, code_hash: KECCAK256_EMPTY })
            })
            .collect();
        let changes = Changes { accounts, ..Changes::default() };
        let header = Header {
            state_root: changes.digest(),
            timestamp: self.timestamp,
            gas_limit: BLOCK_GAS_MAX,
            base_fee_per_gas: Some(BASE_FEE),
            // Two chains with the same wallets and another id differ from the first block on.
            extra_data: Bytes::copy_from_slice(&self.chain_id.to_be_bytes()),
            ..Header::default()
        };
        let hash = header.hash_slow();
        (BlockRecord { header, hash, transaction: None }, changes)
    }
}

/// A key that everybody can compute: never to be used on a chain that is worth anything.
///
/// # Panics
/// Never in practice: a digest is a valid key with probability `1 - 2^-127`.
#[must_use]
pub fn development_wallet(index: u32) -> PrivateKeySigner {
    let seed = [b"kerros.development.wallet".as_slice(), &index.to_be_bytes()].concat();
    let secret: B256 = keccak256(seed);
    PrivateKeySigner::from_bytes(&secret).expect("the digest is below the group's order")
}
