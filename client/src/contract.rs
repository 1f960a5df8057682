//! The Kerros contract and its tokens on the main chain, for whoever holds a key there: register
//! assets, deposit, force an exit, claim, read.
//!
//! Works over any [`MainChain`]: a node's JSON-RPC or the embedded chain. Token amounts here are
//! base units unless a name says units (an asset's unit is `10^unit_exponent` base units). Each
//! writing call waits for its receipt and fails if the transaction failed.

use alloy::primitives::{Address as ChainAddress, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolEvent};
use ark_bn254::Fr;
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::commitment::{Commitments, Opening, Root};
use kerros_protocol::encoding::fr_to_be;
use kerros_protocol::transcript;
use kerros_sequencer::main_chain::{
    At, Call, MainChain, MainChainError, Receipt, Wallet, await_receipt, entry_fee_offer, submit,
};
use kerros_verifier::contract::{Kerros, Post, Revert, TestToken};
use std::sync::Arc;
use thiserror::Error;

/// Gas that a payout takes at most unless its caller says otherwise. Plain tokens and wallets take a
/// tenth of it.
pub const PAYOUT_GAS_MAX: u64 = 500_000;
/// Added to the estimate of a payout's gas, as a fraction of it.
const PAYOUT_GAS_MARGIN_DIVISOR: u64 = 8;

/// Why an operation on the contract failed.
#[derive(Debug, Error)]
pub enum ContractError {
    /// The chain refused, reverted or did not answer.
    #[error(transparent)]
    Chain(#[from] MainChainError),
    /// The transaction is in a block and failed.
    #[error("transaction {transaction} failed: {reason}")]
    Failed {
        /// Its hash.
        transaction: B256,
        /// What it took all the same.
        gas_used: u64,
        /// What it returned.
        reason: Revert,
    },
    /// A token or a recipient would burn more of the payer's gas than the payer allows.
    #[error("the payout takes {gas} gas, more than {max}: --gas-max allows more")]
    GasAbove {
        /// Estimated.
        gas: u64,
        /// Allowed.
        max: u64,
    },
    /// What the contract signs for is not its own address on the node's chain.
    #[error(
        "contract {contract} says another domain than that of its address on chain {chain_id}: it is \
         no Kerros, or the node's chain is not {chain_id}"
    )]
    OtherDomain {
        /// The address.
        contract: Address,
        /// The node's chain.
        chain_id: u64,
    },
    /// The answer is not what the contract's interface says: probably no Kerros at this address.
    #[error("{what}: the answer is not the contract's ({reason})")]
    Answer {
        /// The call.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The receipt lacks the event that the call must emit.
    #[error("transaction {transaction} did not emit {event}")]
    NoEvent {
        /// Its hash.
        transaction: B256,
        /// The event.
        event: &'static str,
    },
    /// No such asset on the contract.
    #[error("asset {asset} is not registered")]
    UnknownAsset {
        /// The id.
        asset: u16,
    },
    /// There is nothing to claim.
    #[error("nothing to claim")]
    NothingToClaim,
}

/// A registered asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its id.
    pub id: AssetId,
    /// The token's contract.
    pub token: ChainAddress,
    /// k: one unit is 10^k base units; at most 36.
    pub unit_exponent: u8,
    /// Units on layer 2 or queued to get there.
    pub supply: u64,
}

impl Asset {
    /// Base units of an amount in units; at most 2^64 · 10^36.
    pub fn base_units(&self, units: u64) -> U256 {
        U256::from(units) * U256::from(10).pow(U256::from(self.unit_exponent))
    }
}

/// The contract's state, as far as observers need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Root of the ledger.
    pub root: Root,
    /// Batches posted.
    pub batch_number: u64,
    /// First queue entry not served.
    pub head: u64,
    /// One more than the last queue entry.
    pub tail: u64,
    /// The ledger has 2^k places.
    pub k: u8,
    /// The latch.
    pub frozen: bool,
}

/// Which contract on which chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The node's chain.
    pub chain_id: u64,
    /// That of the contract's address on this chain; the contract says the same.
    pub domain: Fr,
}

/// A transaction that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<T> {
    /// What it gave.
    pub value: T,
    /// Its receipt.
    pub receipt: Receipt,
}

/// The contract at an address. Clones share the connection.
#[derive(Clone)]
pub struct Contract {
    chain: Arc<dyn MainChain>,
    address: ChainAddress,
}

fn chain_address(address: Address) -> ChainAddress {
    ChainAddress::from(address.0)
}

/// Refuses the receipt of a transaction that failed.
pub(crate) fn took_effect(receipt: Receipt) -> Result<Receipt, ContractError> {
    if receipt.succeeded {
        return Ok(receipt);
    }
    let reason = Revert::decode(&receipt.revert.unwrap_or_default());
    let (transaction, gas_used) = (receipt.transaction, receipt.gas_used);
    Err(ContractError::Failed { transaction, gas_used, reason })
}

impl Contract {
    /// Does not look whether there is a contract.
    pub fn new(chain: Arc<dyn MainChain>, address: Address) -> Self {
        Self { chain, address: chain_address(address) }
    }
    /// The contract's address.
    pub fn address(&self) -> Address {
        Address(self.address.into_array())
    }
    /// The chain it lives on.
    pub fn chain(&self) -> &Arc<dyn MainChain> {
        &self.chain
    }

    async fn read<C: SolCall>(
        &self,
        to: ChainAddress,
        call: C,
    ) -> Result<C::Return, ContractError> {
        let input = Bytes::from(call.abi_encode());
        let call = Call { to: Some(to), input, ..Call::default() };
        let bytes = self.chain.call(call, At::Latest).await?;
        C::abi_decode_returns_validate(&bytes).map_err(|error| ContractError::Answer {
            what: C::SIGNATURE,
            reason: error.to_string(),
        })
    }

    async fn write<C: SolCall>(
        &self,
        wallet: &Wallet,
        to: ChainAddress,
        value: U256,
        call: C,
    ) -> Result<Receipt, ContractError> {
        let input = Bytes::from(call.abi_encode());
        took_effect(submit(self.chain.as_ref(), wallet, Some(to), value, input).await?)
    }

    /// A call in which strangers' code runs: a token's, a recipient's. They decide how much gas it
    /// takes, `wallet` pays for it.
    async fn pay_out<C: SolCall>(
        &self,
        wallet: &Wallet,
        call: C,
        gas_max: u64,
    ) -> Result<Receipt, ContractError> {
        let chain = self.chain.as_ref();
        let (from, to) = (Some(wallet.address()), Some(self.address));
        let input = Bytes::from(call.abi_encode());
        let call = Call { from, to, input, ..Call::default() };
        let gas = chain.estimate_gas(call.clone(), At::Latest).await?;
        if gas > gas_max {
            return Err(ContractError::GasAbove { gas, max: gas_max });
        }
        let limit = gas.saturating_add(gas / PAYOUT_GAS_MARGIN_DIVISOR).min(gas_max);
        let nonce = chain.nonce(wallet.address()).await?;
        let signed = wallet.sign(chain, call, nonce, limit).await?;
        chain.send_raw(signed.raw).await?;
        took_effect(await_receipt(chain, signed.hash).await?)
    }

    fn event<E: SolEvent>(&self, receipt: &Receipt) -> Result<E, ContractError> {
        let ours = receipt.logs.iter().filter(|log| log.address == self.address);
        let mut decoded = ours.filter_map(|log| {
            E::decode_raw_log_validate(log.topics.iter().copied(), &log.data).ok()
        });
        let missing =
            ContractError::NoEvent { transaction: receipt.transaction, event: E::SIGNATURE };
        decoded.next().ok_or(missing)
    }

    /// Which deployment this is, as the node's chain id and the contract say in the same words.
    pub async fn identity(&self) -> Result<Identity, ContractError> {
        let chain_id = self.chain.chain_id().await?;
        let domain = transcript::domain(chain_id, &self.address());
        let said = self.read(self.address, Kerros::domainCall {}).await?;
        match said == U256::from_be_bytes(fr_to_be(&domain)) {
            true => Ok(Identity { chain_id, domain }),
            false => Err(ContractError::OtherDomain { contract: self.address(), chain_id }),
        }
    }
    /// Root, batch number, queue and size now.
    pub async fn state(&self) -> Result<State, ContractError> {
        let root = self.read(self.address, Kerros::rootCall {}).await?;
        Ok(State {
            root: Root(root.0),
            batch_number: self.read(self.address, Kerros::batchNumberCall {}).await?,
            head: self.read(self.address, Kerros::headCall {}).await?,
            tail: self.read(self.address, Kerros::tailCall {}).await?,
            k: self.read(self.address, Kerros::kCall {}).await?,
            frozen: self.read(self.address, Kerros::frozenCall {}).await?,
        })
    }
    /// A registered asset.
    pub async fn asset(&self, id: AssetId) -> Result<Asset, ContractError> {
        let found = self.read(self.address, Kerros::assetsCall(id.get())).await?;
        if found.token.is_zero() {
            return Err(ContractError::UnknownAsset { asset: id.get() });
        }
        let (token, unit_exponent, supply) = (found.token, found.unitExponent, found.supply);
        Ok(Asset { id, token, unit_exponent, supply })
    }
    /// All registered assets.
    pub async fn assets(&self) -> Result<Vec<Asset>, ContractError> {
        let count = self.read(self.address, Kerros::assetCountCall {}).await?;
        let mut assets = Vec::with_capacity(usize::from(count));
        for id in (1..=count).filter_map(|id| AssetId::new(id).ok()) {
            assets.push(self.asset(id).await?);
        }
        Ok(assets)
    }
    /// Units that `account` may claim.
    pub async fn withdrawable(
        &self,
        asset: AssetId,
        account: Address,
    ) -> Result<U256, ContractError> {
        let call = Kerros::withdrawableCall { _0: asset.get(), _1: chain_address(account) };
        self.read(self.address, call).await
    }
    /// Wei that `account` may claim: what it paid too much for entries, or earned by serving them.
    pub async fn ether_credit(&self, account: Address) -> Result<U256, ContractError> {
        self.read(self.address, Kerros::etherCreditCall(chain_address(account))).await
    }
    /// Base units of a token that `holder` has.
    pub async fn token_balance(
        &self,
        token: ChainAddress,
        holder: Address,
    ) -> Result<U256, ContractError> {
        self.read(token, TestToken::balanceOfCall(chain_address(holder))).await
    }

    /// Registers a token as an asset; only the admin may.
    pub async fn register_asset(
        &self,
        admin: &Wallet,
        token: ChainAddress,
        unit_exponent: u8,
    ) -> Result<Done<AssetId>, ContractError> {
        let call = Kerros::registerAssetCall { token, unitExponent: unit_exponent };
        let receipt = self.write(admin, self.address, U256::ZERO, call).await?;
        let event: Kerros::AssetRegistered = self.event(&receipt)?;
        let value = AssetId::new(event.asset).map_err(|error| ContractError::Answer {
            what: "AssetRegistered",
            reason: error.to_string(),
        })?;
        Ok(Done { value, receipt })
    }
    /// Mints a development token.
    pub async fn mint(
        &self,
        wallet: &Wallet,
        token: ChainAddress,
        to: Address,
        base_units: U256,
    ) -> Result<Receipt, ContractError> {
        let call = TestToken::mintCall { to: chain_address(to), amount: base_units };
        self.write(wallet, token, U256::ZERO, call).await
    }
    /// Allows the contract to take tokens of `wallet`.
    pub async fn approve(
        &self,
        wallet: &Wallet,
        token: ChainAddress,
        base_units: U256,
    ) -> Result<Receipt, ContractError> {
        let call = TestToken::approveCall { spender: self.address, amount: base_units };
        self.write(wallet, token, U256::ZERO, call).await
    }
    /// Queues a deposit of `units` to the account with this key and owner, after an approval of
    /// exactly this amount if the present one is too small; gives the queue entry.
    pub async fn deposit(
        &self,
        wallet: &Wallet,
        asset: &Asset,
        units: u64,
        key: AccountKey,
        owner: Address,
    ) -> Result<Done<u64>, ContractError> {
        let base_units = asset.base_units(units);
        let allowance = TestToken::allowanceCall { _0: wallet.address(), _1: self.address };
        if self.read(asset.token, allowance).await? < base_units {
            self.approve(wallet, asset.token, base_units).await?;
        }
        let call = Kerros::depositCall {
            asset: asset.id.get(),
            baseAmount: base_units,
            key: U256::from_be_bytes(key.to_be()),
            owner: chain_address(owner),
        };
        let fee = entry_fee_offer(self.chain.as_ref(), self.address).await?;
        let receipt = self.write(wallet, self.address, fee, call).await?;
        let event: Kerros::DepositQueued = self.event(&receipt)?;
        Ok(Done { value: event.entry, receipt })
    }
    /// Queues the exit of everything in an account to `wallet`, which must own the account; gives
    /// the queue entry.
    pub async fn force_exit(
        &self,
        wallet: &Wallet,
        index: AccountIndex,
    ) -> Result<Done<u64>, ContractError> {
        let call = Kerros::forceExitCall { index: index.get() };
        let fee = entry_fee_offer(self.chain.as_ref(), self.address).await?;
        let receipt = self.write(wallet, self.address, fee, call).await?;
        let event: Kerros::ForcedExitQueued = self.event(&receipt)?;
        Ok(Done { value: event.entry, receipt })
    }
    /// Pays everything that `account` may claim of an asset to it; gives the units. Anybody may
    /// call, `wallet` pays the gas, at most `gas_max`.
    pub async fn claim(
        &self,
        wallet: &Wallet,
        asset: AssetId,
        account: Address,
        gas_max: u64,
    ) -> Result<Done<U256>, ContractError> {
        if self.withdrawable(asset, account).await?.is_zero() {
            return Err(ContractError::NothingToClaim);
        }
        let call = Kerros::claimCall { asset: asset.get(), account: chain_address(account) };
        let receipt = self.pay_out(wallet, call, gas_max).await?;
        let event: Kerros::Claimed = self.event(&receipt)?;
        Ok(Done { value: event.amount, receipt })
    }
    /// Freezes the rollup for ever over an overdue entry.
    pub async fn freeze(&self, wallet: &Wallet, entry: u64) -> Result<Receipt, ContractError> {
        self.write(wallet, self.address, U256::ZERO, Kerros::freezeCall { entry }).await
    }
    /// Credits an account's balance to its owner, once the contract is frozen.
    pub async fn escape(
        &self,
        wallet: &Wallet,
        commitments: &Commitments,
        opening: &Opening,
    ) -> Result<Receipt, ContractError> {
        let call = kerros_verifier::post::escape(commitments, opening);
        self.write(wallet, self.address, U256::ZERO, call).await
    }
    /// Gives a waiting entry of a frozen contract back.
    pub async fn refund(&self, wallet: &Wallet, entry: u64) -> Result<Receipt, ContractError> {
        self.write(wallet, self.address, U256::ZERO, Kerros::refundCall { entry }).await
    }
    /// Pays the ether credited to `account` to it; gives the wei. Gas as for [`Self::claim`].
    pub async fn claim_ether(
        &self,
        wallet: &Wallet,
        account: Address,
        gas_max: u64,
    ) -> Result<Done<U256>, ContractError> {
        if self.ether_credit(account).await?.is_zero() {
            return Err(ContractError::NothingToClaim);
        }
        let call = Kerros::claimEtherCall { account: chain_address(account) };
        let receipt = self.pay_out(wallet, call, gas_max).await?;
        let event: Kerros::EtherClaimed = self.event(&receipt)?;
        Ok(Done { value: event.amount, receipt })
    }
    /// Posts a batch.
    pub async fn post(&self, wallet: &Wallet, post: Post) -> Result<Receipt, ContractError> {
        self.write(wallet, self.address, U256::ZERO, Kerros::postCall { p: post }).await
    }
}
