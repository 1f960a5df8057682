//! What to send along with a request of the contract's queue, whoever makes one.

use super::{At, Call, MainChain, MainChainError};
use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use kerros_verifier::contract::Kerros;

/// Added to the fee asked for, as a fraction of it: entries that come first raise it.
const MARGIN_DIVISOR: u64 = 4;

/// Wei that pay for an entry of this contract's queue made soon. The fee follows the base fee of the
/// entry's block, which is at most what a transaction of this chain's present fees offers: one that is
/// mined is never too cheap for that reason. The contract credits back what is too much.
pub async fn entry_fee_offer(
    chain: &dyn MainChain,
    contract: Address,
) -> Result<U256, MainChainError> {
    let fees = chain.fees().await?;
    let call = Kerros::entryFeeAtCall { baseFee: U256::from(fees.max_fee_per_gas) };
    let call = Call { to: Some(contract), input: call.abi_encode().into(), ..Call::default() };
    let answer = chain.call(call, At::Latest).await?;
    let fee = Kerros::entryFeeAtCall::abi_decode_returns_validate(&answer)
        .map_err(|error| MainChainError::Nonsense { reason: error.to_string() })?;
    Ok(fee + fee / U256::from(MARGIN_DIVISOR))
}
