//! The call inside a post's transaction, in the only encoding that the contract takes.

use super::fault::ReplayFault;
use super::reader::PostTransaction;
use crate::audit::diagnosis::field_at;
use crate::contract::{Kerros, Post};
use crate::post::decode_call;
use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;

/// The first field that is not in the only encoding that the contract takes.
fn unreadable(input: &[u8], written: &[u8]) -> &'static str {
    if !written.is_empty() {
        let same = input.iter().zip(written).take_while(|(a, b)| a == b).count();
        return field_at(same);
    }
    let word = |at: usize| input.get(at..at + 32).and_then(U256::try_from_be_slice);
    let is = |at: usize, value: usize| word(at) == Some(U256::from(value));
    if input.get(..4) != Some(&Kerros::postCall::SELECTOR[..]) {
        return "selector";
    }
    if !is(4, 32) {
        return "place of the post";
    }
    if !is(4 + 32 + 37 * 32, 38 * 32) {
        return "place of data";
    }
    let length = word(4 + 32 + 38 * 32).and_then(|length| usize::try_from(length).ok());
    let whole = length.and_then(|length| length.checked_next_multiple_of(32));
    if whole.and_then(|whole| whole.checked_add(1_284)) != Some(input.len()) {
        return "length of data";
    }
    // What is left: bits outside of a number, a flag or an address.
    let wide = [(0, 8), (13, 1), (36, 20)].into_iter().map(|(at, bytes)| (4 + 32 + at * 32, bytes));
    let found = wide.into_iter().find(|(at, bytes)| match bytes {
        1 => !is(*at, 0) && !is(*at, 1),
        _ => input[*at..at + 32 - bytes].iter().any(|byte| *byte != 0),
    });
    found.map_or("calldata", |(at, _)| field_at(at))
}

/// The post that batch `number`'s transaction calls the contract with.
pub fn post_call(
    found: Option<&PostTransaction>,
    contract: Address,
    number: u64,
) -> Result<Post, ReplayFault> {
    let wrong = |field, why: String| ReplayFault::Call { number, field, why };
    let found = found.ok_or_else(|| wrong("transaction", "is missing".to_owned()))?;
    if found.to != Some(contract) {
        let to = found.to.map_or("nobody".to_owned(), |to| to.to_string());
        return Err(wrong("to", format!("the transaction calls {to}, not the contract")));
    }
    decode_call(&found.input).ok_or_else(|| {
        let call = Kerros::postCall::abi_decode_validate(&found.input);
        let written = call.map(|call| call.abi_encode()).unwrap_or_default();
        wrong(unreadable(&found.input, &written), "is not the contract's encoding".to_owned())
    })
}
