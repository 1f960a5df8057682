//! Between the protocol's types and the contract's words, in both directions.
//!
//! A post holds everything an auditor needs besides the chain itself: [`read`] takes it apart as
//! strictly as the contract does.

use crate::contract::{Kerros, KeyWords, Post};
use alloy::primitives::{Address as ChainAddress, U256};
use alloy::sol_types::SolCall;
use ark_bn254::{G1Affine, G2Affine};
use kerros_protocol::account::Address;
use kerros_protocol::batch::{BatchData, BatchDataError, SealedBatch};
use kerros_protocol::commitment::{Commitments, Opening};
use kerros_protocol::encoding::{DecodeError, Reader, fr_to_be, g1_to_be, g2_to_be, keccak256};
use kerros_protocol::transcript::{BatchProof, Statement};
use kerros_protocol::verification_key::VerificationKey;
use thiserror::Error;

fn words<const N: usize>(bytes: &[u8]) -> [U256; N] {
    let mut chunks = bytes.chunks_exact(32);
    std::array::from_fn(|_| U256::from_be_slice(chunks.next().expect("N words of 32 bytes")))
}

fn bytes(words: &[U256]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect()
}

fn g1(point: &G1Affine) -> [U256; 2] {
    words(&g1_to_be(point))
}

fn g2(point: &G2Affine) -> [U256; 4] {
    words(&g2_to_be(point))
}

/// The constants a contract is deployed with.
pub fn key_words(key: &VerificationKey) -> KeyWords {
    let sizes = usize::from(key.k_genesis)..usize::from(key.k_max());
    KeyWords {
        alpha1: g1(&key.alpha1),
        beta2: g2(&key.beta2),
        gamma2: g2(&key.gamma2()),
        delta2: g2(&key.delta2),
        ic: key.ic.each_ref().map(g1),
        tau2: g2(&key.tau2()),
        shape: key.shape.sections(),
        tau_powers: key.tau_powers[sizes].iter().map(g2).collect(),
    }
}

/// The call that takes an account out of a frozen contract.
pub fn escape(commitments: &Commitments, opening: &Opening) -> Kerros::escapeCall {
    Kerros::escapeCall {
        commitments: words(&commitments.to_be()),
        index: opening.index.get(),
        words: opening.words.map(|word| U256::from_be_bytes(fr_to_be(&word))),
        witness: g1(&opening.witness),
    }
}

/// The words that post a proved batch.
pub fn post(batch: &SealedBatch, proof: &BatchProof) -> Post {
    let scalar = |value| U256::from_be_bytes(fr_to_be(value));
    let commitments = |c: &Commitments| words::<6>(&c.to_be());
    let grown = batch.before_growth.is_some();
    Post {
        batchNumber: batch.number,
        oldC: commitments(batch.before_growth.as_ref().unwrap_or(&batch.old)),
        grownC: if grown { commitments(&batch.old) } else { [U256::ZERO; 6] },
        grow: grown,
        newC: commitments(&batch.new),
        h: scalar(&proof.h),
        A: scalar(&proof.a),
        Delta: scalar(&proof.delta),
        Z: scalar(&proof.z_s),
        Q: g1(&proof.q),
        W: g1(&proof.w),
        proof: words(&proof.groth16.to_be()),
        beneficiary: ChainAddress::from(batch.beneficiary.0),
        data: batch.data.encode().into(),
    }
}

/// The post that these bytes call the contract with, if they are the one encoding that it takes.
pub fn decode_call(input: &[u8]) -> Option<Post> {
    let call = Kerros::postCall::abi_decode_validate(input).ok()?;
    (call.abi_encode() == input).then_some(call.p)
}

/// Why a post could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PostError {
    /// A word is not below its modulus, or a point not on its curve.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// The batch data is malformed.
    #[error("batch data: {0}")]
    Data(#[from] BatchDataError),
    /// `grownC` is not zero although the batch does not grow the ledger.
    #[error("grown commitments without growth")]
    GrownWithoutGrowth,
}

/// A post taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPost {
    /// Number of the batch.
    pub number: u64,
    /// Commitments under the stored root.
    pub stored: Commitments,
    /// Commitments after growth, if the ledger grows.
    pub grown: Option<Commitments>,
    /// Commitments after the batch.
    pub new: Commitments,
    /// Proof and openings.
    pub proof: BatchProof,
    /// Credited with entry fees.
    pub beneficiary: Address,
    /// Records.
    pub data: BatchData,
}

/// Takes a post apart, strictly.
pub fn read(key: &VerificationKey, post: &Post) -> Result<ReadPost, PostError> {
    let commitments = |c: &[U256; 6]| Commitments::take(&mut Reader::new(&bytes(c)));
    let grown = match post.grow {
        true => Some(commitments(&post.grownC)?),
        false if post.grownC == [U256::ZERO; 6] => None,
        false => return Err(PostError::GrownWithoutGrowth),
    };
    let scalars = bytes(&[post.h, post.A, post.Delta, post.Z]);
    let points = bytes(&[post.Q, post.W].concat());
    let proof = bytes(&post.proof);
    let proof = BatchProof::decode(&[scalars, points, proof].concat())?;
    Ok(ReadPost {
        number: post.batchNumber,
        stored: commitments(&post.oldC)?,
        grown,
        new: commitments(&post.newC)?,
        proof,
        beneficiary: Address(post.beneficiary.into_array()),
        data: BatchData::decode(&post.data, &key.shape)?,
    })
}

impl ReadPost {
    /// The statement this post makes on a chain whose ledger has size `2^k` and whose queue's
    /// first unprocessed entry is `first`, both before the post.
    pub fn statement(
        &self,
        key: &VerificationKey,
        domain: ark_bn254::Fr,
        k: u8,
        first: u64,
    ) -> Statement {
        Statement {
            domain,
            vk_hash: key.hash(),
            number: self.number,
            k: k + u8::from(self.grown.is_some()),
            old: self.grown.unwrap_or(self.stored),
            new: self.new,
            data_hash: keccak256(&[&self.data.encode()]),
            first,
            end: first + self.data.queue_entries(),
            beneficiary: self.beneficiary,
        }
    }
}
