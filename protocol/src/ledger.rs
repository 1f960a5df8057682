//! All accounts in memory, dense by index, with the ledger's size.
//!
//! This is a table, not a rule: balances move in [`crate::transition`] only.

use crate::account::{Account, AccountIndex};
use crate::commitment::{Commitments, whole};
use ark_bn254::G1Affine;
use ark_ec::CurveGroup;
use rayon::prelude::*;

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
    /// The same, with memory for so many positions, index 0 included.
    pub fn with_room(k: u8, positions: usize) -> Self {
        Self { k, accounts: Vec::with_capacity(positions) }
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
    /// Commits from nothing: one sum a word over all written accounts.
    pub fn commit(&self, lagrange: &[G1Affine]) -> Commitments {
        Commitments([0, 1, 2].map(|j| self.commit_word(j, lagrange)))
    }
    /// One of the commitments from nothing; j is 0, 1 or 2. Balances, nonces and assets, j = 1, are
    /// short numbers: their sum takes a fraction of what the keys' takes.
    pub fn commit_word(&self, j: usize, lagrange: &[G1Affine]) -> G1Affine {
        let column = self.accounts.par_iter().map(|account| account.words()[j]);
        whole::sum(lagrange, column).into_affine()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Address;
    use ark_bn254::{Fr, G1Projective};
    use ark_ff::UniformRand;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn growth_doubles_the_ledger_and_a_lower_index_keeps_the_higher_ones() {
        let (low, high) = (AccountIndex::FIRST, AccountIndex::new(3).expect("in range"));
        let account = Account { asset: 1, ..Account::EMPTY };
        let mut ledger = Ledger::new(2);
        ledger.set(high, account);
        ledger.set(low, account);
        assert_eq!((ledger.size(), ledger.existing().count()), (4, 2));
        ledger.grow();
        assert_eq!((ledger.k(), ledger.size(), ledger.get(high)), (3, 8, account));
    }

    #[test]
    fn commitments_are_the_sums_of_the_words_multiples() {
        let rng = &mut StdRng::seed_from_u64(3);
        let lagrange: Vec<G1Affine> = (0..16).map(|_| G1Affine::rand(rng)).collect();
        let mut ledger = Ledger::new(4);
        for i in [1, 2, 5] {
            let (key, owner) = (Fr::rand(rng), Address([7; 20]));
            let account = Account { key, balance: i.into(), nonce: 3, asset: 1, owner };
            ledger.set(AccountIndex::new(i).expect("in range"), account);
        }
        let commitments = ledger.commit(&lagrange);
        for j in 0..3 {
            let term = |(i, account): (AccountIndex, &Account)| {
                lagrange[i.position()] * account.words()[j]
            };
            let sum: G1Projective = ledger.existing().map(term).sum();
            assert_eq!(commitments.0[j], sum.into_affine());
        }
    }
}
