//! Typed questions to the contract, and the words of a post.

use crate::main_chain::{At, Call, LogEntry, LogQuery, MainChain, MainChainError};
use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{SolCall, SolEvent};
use ark_bn254::G1Affine;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::commitment::Commitments;
use kerros_protocol::encoding::{fr_to_be, g1_to_be};
use kerros_protocol::transcript::BatchProof;
use kerros_verifier::contract::{Kerros, Post};
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
        self.read(Kerros::batchNumberCall {}, At::Latest).await
    }
    /// Root on the chain.
    pub async fn root(&self) -> Result<B256, MainChainError> {
        self.read(Kerros::rootCall {}, At::Latest).await
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

fn word(bytes: [u8; 32]) -> U256 {
    U256::from_be_bytes(bytes)
}
fn words<const N: usize>(bytes: &[u8]) -> [U256; N] {
    assert_eq!(bytes.len(), N * 32, "a point's coordinates are whole words");
    std::array::from_fn(|i| U256::from_be_slice(&bytes[i * 32..(i + 1) * 32]))
}
fn commitments(value: &Commitments) -> [U256; 6] {
    words(&value.to_be())
}
fn point(value: &G1Affine) -> [U256; 2] {
    words(&g1_to_be(value))
}

/// The call that posts a batch.
pub fn post_call(batch: &SealedBatch, proof: &BatchProof) -> Vec<u8> {
    let (old, grown) = match &batch.before_growth {
        Some(before) => (commitments(before), commitments(&batch.old)),
        None => (commitments(&batch.old), [U256::ZERO; 6]),
    };
    let post = Post {
        batchNumber: batch.number,
        oldC: old,
        grownC: grown,
        grow: batch.before_growth.is_some(),
        newC: commitments(&batch.new),
        h: word(fr_to_be(&proof.h)),
        A: word(fr_to_be(&proof.a)),
        Delta: word(fr_to_be(&proof.delta)),
        Z: word(fr_to_be(&proof.z_s)),
        Q: point(&proof.q),
        W: point(&proof.w),
        proof: words(&proof.groth16.to_be()),
        beneficiary: Address::from(batch.beneficiary.0),
        data: batch.data.encode().into(),
    };
    Kerros::postCall { p: post }.abi_encode()
}
