//! Making transactions: number, gas and fees are asked of the chain, then the bytes are signed.
//! Signing and sending are two steps, so that a caller can write the bytes down in between and send
//! the very same ones again after a crash. Keeps no state: two callers with one key must agree.

use super::{At, Call, Fees, MainChain, MainChainError, Receipt};
use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::signers::local::PrivateKeySigner;
use std::time::Duration;

/// Added to a gas estimate, as a fraction of it: state may change before the transaction runs.
const GAS_MARGIN_DIVISOR: u64 = 8;
/// Time between two looks for a receipt.
const RECEIPT_POLL_MS: u64 = 100;
/// How often `submit` looks for a receipt before it gives up.
const RECEIPT_POLLS_MAX: u32 = 600;

/// A main-chain account that can sign.
#[derive(Clone, Debug)]
pub struct Wallet {
    signer: PrivateKeySigner,
}

/// A transaction ready to be sent, as often as need be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Hash by which the chain knows it.
    pub hash: B256,
    /// EIP-2718 bytes.
    pub raw: Bytes,
    /// The sender's transaction number.
    pub nonce: u64,
}

impl Wallet {
    /// A wallet of this key.
    #[must_use]
    pub fn new(signer: PrivateKeySigner) -> Self {
        Self { signer }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// What signs for it.
    #[must_use]
    pub fn signer(&self) -> &PrivateKeySigner {
        &self.signer
    }

    /// Asks the chain for number, gas and fees and signs. `to = None` creates a contract. Fails with
    /// [`MainChainError::Reverted`] if the transaction would revert now.
    pub async fn prepare(
        &self,
        chain: &dyn MainChain,
        to: Option<Address>,
        value: U256,
        input: Bytes,
    ) -> Result<SignedTransaction, MainChainError> {
        let call = Call { from: Some(self.address()), to, value, input, gas: None };
        let gas = chain.estimate_gas(call.clone(), At::Latest).await?;
        let nonce = chain.nonce(self.address()).await?;
        let limit = gas.saturating_add(gas / GAS_MARGIN_DIVISOR);
        self.sign(chain, call, nonce, limit).await
    }

    /// Signs with a number and a gas limit of the caller's choice; `call.from` and `call.gas` are
    /// ignored.
    pub async fn sign(
        &self,
        chain: &dyn MainChain,
        call: Call,
        nonce: u64,
        gas_limit: u64,
    ) -> Result<SignedTransaction, MainChainError> {
        let (fees, chain_id) = (chain.fees().await?, chain.chain_id().await?);
        Ok(self.sign_for(chain_id, call, nonce, gas_limit, fees))
    }

    /// [`Wallet::sign`] for a chain and fees of the caller's choice.
    #[must_use]
    pub fn sign_for(
        &self,
        chain_id: u64,
        call: Call,
        nonce: u64,
        gas_limit: u64,
        fees: Fees,
    ) -> SignedTransaction {
        let mut transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: fees.max_fee_per_gas,
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            to: call.to.map_or(TxKind::Create, TxKind::Call),
            value: call.value,
            access_list: Default::default(),
            input: call.input,
        };
        let signature = self
            .signer
            .sign_transaction_sync(&mut transaction)
            .expect("a local key signs whatever it is given");
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        SignedTransaction { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into(), nonce }
    }
}

/// Prepares, sends and waits for the receipt. For tools and tests: after a crash nobody knows
/// whether it was sent. The receipt may be one of failure.
pub async fn submit(
    chain: &dyn MainChain,
    wallet: &Wallet,
    to: Option<Address>,
    value: U256,
    input: Bytes,
) -> Result<Receipt, MainChainError> {
    let signed = wallet.prepare(chain, to, value, input).await?;
    chain.send_raw(signed.raw).await?;
    await_receipt(chain, signed.hash).await
}

/// Waits, for a minute at most, until the transaction is in a block.
pub async fn await_receipt(
    chain: &dyn MainChain,
    transaction: B256,
) -> Result<Receipt, MainChainError> {
    for _ in 0..RECEIPT_POLLS_MAX {
        if let Some(receipt) = chain.receipt(transaction).await? {
            return Ok(receipt);
        }
        tokio::time::sleep(Duration::from_millis(RECEIPT_POLL_MS)).await;
    }
    Err(MainChainError::Unreachable { reason: format!("no receipt of {transaction} in time") })
}

/// Creates a contract from its init code and returns its address.
pub async fn deploy(
    chain: &dyn MainChain,
    wallet: &Wallet,
    init_code: Bytes,
) -> Result<Address, MainChainError> {
    let receipt = submit(chain, wallet, None, U256::ZERO, init_code).await?;
    if !receipt.succeeded {
        return Err(MainChainError::reverted(receipt.revert.unwrap_or_default()));
    }
    receipt
        .contract
        .ok_or_else(|| MainChainError::Nonsense { reason: "a creation without address".to_owned() })
}
