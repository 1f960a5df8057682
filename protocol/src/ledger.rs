//! All accounts in memory, dense by index, with the ledger's size.
//!
//! This is a table, not a rule: balances move in [`crate::transition`] only.

use crate::account::{Account, AccountIndex};
use crate::commitment::Commitments;
use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{CurveGroup, VariableBaseMSM};

/// Accounts of a ledger of `2^k`; indices never written are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    k: u8,
    accounts: Vec<Account>,
}

impl Ledger {
    /// The ledger in which no account exists.
    pub fn new(k: u8) -> Self {
        Self { k, accounts: Vec::new() }
    }
    /// Exponent of the size.
    pub fn k(&self) -> u8 {
        self.k
    }
    /// n, exclusive bound of indices.
    pub fn size(&self) -> u32 {
        1 << self.k
    }
    /// Doubles the ledger; no account moves.
    pub fn grow(&mut self) {
        self.k += 1;
    }
    /// The account, empty if it was never written.
    pub fn get(&self, index: AccountIndex) -> Account {
        self.accounts.get(index.position()).copied().unwrap_or(Account::EMPTY)
    }
    /// Replaces an account; the index must be below the size.
    pub fn set(&mut self, index: AccountIndex, account: Account) {
        assert!(index.get() < self.size(), "index {index} beyond {}", self.size());
        if index.position() >= self.accounts.len() {
            self.accounts.resize(index.position() + 1, Account::EMPTY);
        }
        self.accounts[index.position()] = account;
    }
    /// Positions 0 … the greatest index written.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }
    /// Indices and accounts that exist.
    pub fn existing(&self) -> impl Iterator<Item = (AccountIndex, &Account)> {
        self.accounts.iter().enumerate().filter(|(_, account)| !account.is_empty()).map(
            |(i, account)| {
                let index = u32::try_from(i).ok().and_then(|i| AccountIndex::new(i).ok());
                (index.expect("written through an index"), account)
            },
        )
    }
    /// Commits from nothing: one MSM a word over all written accounts.
    pub fn commit(&self, lagrange: &[G1Affine]) -> Commitments {
        let bases = &lagrange[..self.accounts.len()];
        let words: Vec<[Fr; 3]> = self.accounts.iter().map(Account::words).collect();
        Commitments([0, 1, 2].map(|j| {
            let column: Vec<Fr> = words.iter().map(|words| words[j]).collect();
            G1Projective::msm_unchecked(bases, &column).into_affine()
        }))
    }
}
