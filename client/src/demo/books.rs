//! The books, per asset: what came in must be in accounts, gone out, or collected as fees; and the
//! contract must hold exactly that in tokens.

use super::audit::Audit;
use crate::contract::{Asset, Contract, ContractError};
use alloy::primitives::U256;
use kerros_protocol::account::Address;
use serde::Serialize;

/// One asset's books, in units unless a name says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Asset id.
    pub asset: u16,
    /// Short name.
    pub symbol: String,
    /// Deposited on the main chain.
    pub deposits: u128,
    /// In holders' accounts.
    pub balances: u128,
    /// Left to the main chain.
    pub withdrawals: u128,
    /// In the operator's fee accounts.
    pub fees: u128,
    /// Deposits that wait in the queue.
    pub queued: u128,
    /// Collected as fees by batches.
    pub fees_collected: u128,
    /// Withdrawn and not claimed.
    pub unclaimed: u128,
    /// The contract's own count of units on layer 2 or queued.
    pub contract_supply: u64,
    /// The contract's tokens, in base units.
    pub contract_tokens: String,
    /// The same, as the books want it.
    pub expected_tokens: String,
}

impl Books {
    /// Adds up one asset from the audit and asks the contract.
    pub async fn of(
        audit: &Audit,
        contract: &Contract,
        asset: &Asset,
        symbol: &str,
        operator: Address,
    ) -> Result<Self, ContractError> {
        let id = asset.id.get();
        let flow = audit.flows.get(&id).copied().unwrap_or_default();
        let (mut balances, mut fees) = (0u128, 0u128);
        for (_, account) in audit.state.ledger.existing().filter(|(_, a)| a.asset == id) {
            let side = if account.owner == operator { &mut fees } else { &mut balances };
            *side += u128::from(account.balance);
        }
        let queued = audit.state.queue.iter().map(|entry| match entry {
            kerros_verifier::audit::QueueEntry::Deposit { amount, asset, .. } if *asset == id => {
                u128::from(*amount)
            }
            _ => 0,
        });
        let now = contract.asset(asset.id).await?;
        let unclaimed = flow.withdrawn.saturating_sub(flow.claimed);
        let unit = now.base_units(1);
        Ok(Self {
            asset: id,
            symbol: symbol.to_owned(),
            deposits: flow.deposited,
            balances,
            withdrawals: flow.withdrawn,
            fees,
            queued: queued.sum(),
            fees_collected: flow.fees,
            unclaimed,
            contract_supply: now.supply,
            contract_tokens: contract
                .token_balance(now.token, contract.address())
                .await?
                .to_string(),
            expected_tokens: (U256::from(u128::from(now.supply) + unclaimed) * unit).to_string(),
        })
    }

    /// Every equation of the books with whether it holds.
    pub fn checks(&self) -> Vec<(String, bool)> {
        let Self { symbol, deposits, balances, withdrawals, fees, queued, .. } = self;
        let supply = u128::from(self.contract_supply);
        vec![
            (
                format!("{symbol}: deposits = balances + withdrawals + fees"),
                *deposits == balances + withdrawals + fees + queued,
            ),
            (
                format!("{symbol}: fee accounts hold what was collected"),
                *fees == self.fees_collected,
            ),
            (
                format!("{symbol}: the contract's supply is what accounts hold"),
                supply == balances + fees + queued,
            ),
            (
                format!("{symbol}: the contract holds the tokens for it"),
                self.contract_tokens == self.expected_tokens,
            ),
            (format!("{symbol}: all withdrawals were claimed"), self.unclaimed == 0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Books {
        Books {
            asset: 1,
            symbol: "T".to_owned(),
            deposits: 100,
            balances: 60,
            withdrawals: 30,
            fees: 10,
            queued: 0,
            fees_collected: 10,
            unclaimed: 0,
            contract_supply: 70,
            contract_tokens: "700".to_owned(),
            expected_tokens: "700".to_owned(),
        }
    }

    #[test]
    fn books_that_balance_pass_every_check() {
        assert!(books().checks().iter().all(|(_, holds)| *holds));
    }

    #[test]
    fn a_unit_too_many_anywhere_is_seen() {
        let spoil: [fn(&mut Books); 8] = [
            |b| b.deposits += 1,
            |b| b.balances += 1,
            |b| b.withdrawals += 1,
            |b| b.fees += 1,
            |b| b.fees_collected += 1,
            |b| b.unclaimed += 1,
            |b| b.contract_supply += 1,
            |b| b.contract_tokens = "701".to_owned(),
        ];
        for (i, spoil) in spoil.iter().enumerate() {
            let mut books = books();
            spoil(&mut books);
            assert!(!books.checks().iter().all(|(_, holds)| *holds), "case {i}");
        }
    }
}
