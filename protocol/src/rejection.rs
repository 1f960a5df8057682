//! Why a transaction is refused. One enum, a fixed precedence, stable codes.
//!
//! Precedence for a signed transaction is the order of the variants from [`Rejection::IndexBeyondLedger`]
//! on: the first that applies is reported. Codes are part of the API (SPEC.md section 4).

use crate::account::{AccountIndex, AccountKey};
use crate::eddsa::SignatureError;
use thiserror::Error;

/// A refused transition. Balances and amounts are in asset units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Rejection {
    /// An index is not below the ledger's size.
    #[error("account {index} is beyond the ledger of {size} accounts")]
    IndexBeyondLedger {
        /// The index.
        index: AccountIndex,
        /// n.
        size: u32,
    },
    /// The paying (or credited) account does not exist.
    #[error("account {index} does not exist")]
    AccountEmpty {
        /// The index.
        index: AccountIndex,
    },
    /// The public key is not the account's.
    #[error("the public key is not that of account {index}")]
    WrongKey {
        /// The index.
        index: AccountIndex,
    },
    /// The signature does not verify.
    #[error("signature: {0}")]
    Signature(SignatureError),
    /// The nonce is not the account's next.
    #[error("nonce {have}, account expects {need}")]
    WrongNonce {
        /// Signed.
        have: u32,
        /// Expected.
        need: u32,
    },
    /// The account has signed 2^32 − 1 transactions.
    #[error("account {index} has no nonce left")]
    NonceExhausted {
        /// The index.
        index: AccountIndex,
    },
    /// The payee does not exist.
    #[error("payee {index} does not exist")]
    PayeeEmpty {
        /// The index.
        index: AccountIndex,
    },
    /// The account under the payee's index has another key or owner than was signed.
    #[error("payee {index} has another key or owner than was signed")]
    PayeeMismatch {
        /// The index.
        index: AccountIndex,
    },
    /// Payer and payee, or account and exit, have different assets.
    #[error("asset {have}, needs {need}")]
    AssetMismatch {
        /// Payer's or signed asset.
        have: u16,
        /// Payee's or account's asset.
        need: u16,
    },
    /// Amount and fee exceed the balance.
    #[error("balance {have}, amount and fee need {need}")]
    InsufficientBalance {
        /// Balance.
        have: u64,
        /// Amount plus fee.
        need: u128,
    },
    /// The payee's balance would reach 2^64.
    #[error("balance of account {index} would overflow")]
    BalanceOverflow {
        /// The index.
        index: AccountIndex,
    },
    /// An open names an account that exists.
    #[error("account {index} exists already")]
    AlreadyOpen {
        /// The index.
        index: AccountIndex,
    },
    /// A deposit names an account with another key, asset or owner.
    #[error("account {index} has another key, asset or owner than the deposit to {key:?}")]
    DepositMismatch {
        /// The index.
        index: AccountIndex,
        /// Key the deposit names.
        key: AccountKey,
    },
}

impl Rejection {
    /// Stable code, SCREAMING_SNAKE_CASE, as in the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::IndexBeyondLedger { .. } => "INDEX_BEYOND_LEDGER",
            Self::AccountEmpty { .. } => "ACCOUNT_EMPTY",
            Self::WrongKey { .. } => "WRONG_KEY",
            Self::Signature(SignatureError::ScalarNotReduced) => "SIGNATURE_SCALAR_NOT_REDUCED",
            Self::Signature(SignatureError::LowOrderKey) => "SIGNATURE_LOW_ORDER_KEY",
            Self::Signature(SignatureError::Equation) => "SIGNATURE_INVALID",
            Self::WrongNonce { .. } => "WRONG_NONCE",
            Self::NonceExhausted { .. } => "NONCE_EXHAUSTED",
            Self::PayeeEmpty { .. } => "PAYEE_EMPTY",
            Self::PayeeMismatch { .. } => "PAYEE_MISMATCH",
            Self::AssetMismatch { .. } => "ASSET_MISMATCH",
            Self::InsufficientBalance { .. } => "INSUFFICIENT_BALANCE",
            Self::BalanceOverflow { .. } => "BALANCE_OVERFLOW",
            Self::AlreadyOpen { .. } => "ALREADY_OPEN",
            Self::DepositMismatch { .. } => "DEPOSIT_MISMATCH",
        }
    }
    /// Whether the same bytes could be accepted later, after other transactions.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::IndexBeyondLedger { .. }
            | Self::AccountEmpty { .. }
            | Self::PayeeEmpty { .. }
            | Self::InsufficientBalance { .. }
            | Self::BalanceOverflow { .. } => true,
            Self::WrongNonce { have, need } => have > need,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_can_change_is_transient() {
        let index = AccountIndex::FIRST;
        let transient = [
            Rejection::IndexBeyondLedger { index, size: 8 },
            Rejection::AccountEmpty { index },
            Rejection::PayeeEmpty { index },
            Rejection::InsufficientBalance { have: 1, need: 2 },
            Rejection::BalanceOverflow { index },
            Rejection::WrongNonce { have: 5, need: 4 },
        ];
        assert!(transient.iter().all(Rejection::is_transient));
        let lasting = [
            Rejection::WrongNonce { have: 3, need: 4 },
            Rejection::WrongKey { index },
            Rejection::NonceExhausted { index },
            Rejection::PayeeMismatch { index },
        ];
        assert!(!lasting.iter().any(Rejection::is_transient));
    }
}
