//! The call that posts a batch, and the code that a contract is compared by.

#![no_main]

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolCall;
use kerros_fuzz::{bounded, canonical, choose};
use kerros_protocol::batch::{SealedBatch, Shape};
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::chain::PostTransaction;
use kerros_verifier::chain::answers::post_call;
use kerros_verifier::contract::Kerros;
use kerros_verifier::{post, trapdoor};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<VerificationKey> =
    LazyLock::new(|| trapdoor::key(Shape::new([2, 1, 4, 2, 1]).expect("a good shape"), 4, 6));
const CONTRACT: Address = Address::repeat_byte(5);

fn posted(input: &[u8]) {
    let transaction = PostTransaction {
        named: B256::ZERO,
        computed: B256::ZERO,
        sender: None,
        nonce: 0,
        to: Some(CONTRACT),
        input: Bytes::copy_from_slice(input),
    };
    let call = bounded(input, 16_384, 16, |_| post_call(Some(&transaction), CONTRACT, 1));
    let Ok(words) = call else { return };
    canonical(input, Kerros::postCall { p: words.clone() }.abi_encode());
    let Ok(read) = bounded(input, 16_384, 16, |_| post::read(&KEY, &words)) else { return };
    // What was taken apart makes the same call again.
    let (k, first) = (4, 1);
    let statement = read.statement(&KEY, 7u64.into(), k, first);
    let batch = SealedBatch {
        number: read.number,
        k: statement.k,
        before_growth: read.grown.map(|_| read.stored),
        old: statement.old,
        new: read.new,
        first,
        end: statement.end,
        beneficiary: read.beneficiary,
        data: read.data.clone(),
        transfers: Vec::new(),
        exits: Vec::new(),
    };
    let again = post::post(&batch, &read.proof);
    canonical(input, Kerros::postCall { p: again }.abi_encode());
}

/// The input as it is, or as the data of a call whose words are in order.
fn wrapped(rest: &[u8]) -> Vec<u8> {
    let mut words = Kerros::postCall::SELECTOR.to_vec();
    let number = |n: usize| alloy::primitives::U256::from(n).to_be_bytes::<32>();
    words.extend(number(32));
    let (head, data) = rest.split_at(rest.len().min(37 * 32));
    words.extend(head);
    words.resize(4 + 32 + 37 * 32, 0);
    words.extend(number(38 * 32));
    words.extend(number(data.len()));
    words.extend(data);
    words.resize(4 + 32 + 39 * 32 + data.len().next_multiple_of(32), 0);
    words
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 2) else { return };
    match kind {
        0 => posted(rest),
        _ => posted(&wrapped(rest)),
    }
});
