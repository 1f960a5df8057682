//! Typed questions to the contract, and the call that posts a batch.

use crate::main_chain::{At, Call, LogEntry, LogQuery, MainChain, MainChainError};
use alloy::primitives::{Address, B256};
use alloy::sol_types::{SolCall, SolEvent};
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::transcript::BatchProof;
use kerros_verifier::contract::Kerros;
use std::sync::Arc;

/// The contract at its address.
#[derive(Clone)]
pub struct Contract {
    /// The chain.
    pub chain: Arc<dyn MainChain>,
    /// The contract.
    pub address: Address,
}

/// A batch as the chain announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Number.
    pub number: u64,
    /// Root after it.
    pub new_root: B256,
    /// Transaction.
    pub transaction: B256,
    /// Block.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
}

impl Contract {
    /// Asks the contract.
    pub async fn read<C: SolCall>(&self, call: C, at: At) -> Result<C::Return, MainChainError> {
        let input = call.abi_encode().into();
        let call = Call { to: Some(self.address), input, ..Call::default() };
        let answer = self.chain.call(call, at).await?;
        C::abi_decode_returns(&answer).map_err(|error| MainChainError::Nonsense {
            reason: format!("{}: {error}", C::SIGNATURE),
        })
    }
    /// Batches on the chain.
    pub async fn batch_number(&self) -> Result<u64, MainChainError> {
        self.batch_number_at(At::Latest).await
    }
    /// Batches there.
    pub async fn batch_number_at(&self, at: At) -> Result<u64, MainChainError> {
        self.read(Kerros::batchNumberCall {}, at).await
    }
    /// Root on the chain.
    pub async fn root(&self) -> Result<B256, MainChainError> {
        self.root_at(At::Latest).await
    }
    /// Root there.
    pub async fn root_at(&self, at: At) -> Result<B256, MainChainError> {
        self.read(Kerros::rootCall {}, at).await
    }
    /// The event of a batch among these logs.
    pub fn posted(&self, number: u64, logs: &[LogEntry]) -> Option<Posted> {
        logs.iter().find_map(|log| {
            let topics = log.topics.iter().copied();
            let event = Kerros::BatchPosted::decode_raw_log(topics, &log.data).ok()?;
            (log.address == self.address && event.number == number).then_some(Posted {
                number,
                new_root: event.newRoot,
                transaction: log.transaction,
                block: log.block,
                block_hash: log.block_hash,
            })
        })
    }
    /// Logs of batches in these blocks.
    pub async fn posts(&self, from: u64, to: u64) -> Result<Vec<LogEntry>, MainChainError> {
        let topic0 = vec![Kerros::BatchPosted::SIGNATURE_HASH];
        self.chain.logs(LogQuery { from, to, address: self.address, topic0 }).await
    }
}

/// The call that posts a batch.
pub fn post_call(batch: &SealedBatch, proof: &BatchProof) -> Vec<u8> {
    Kerros::postCall { p: kerros_verifier::post::post(batch, proof) }.abi_encode()
}
