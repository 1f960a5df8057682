//! Which account has a key, an asset and an owner: an index over the ledger, which has the names.
//!
//! An entry is 16 bytes: keyed hashes of the name's parts and the account's index, in order. Whoever
//! asks compares with the ledger, so that two names with one hash cost a look more and change nothing:
//! what is found does not depend on the hashes' keys, which are random so that nobody can choose such
//! names.

use ark_bn254::Fr;
use kerros_protocol::account::{Account, AccountIndex, Address};
use kerros_protocol::ledger::Ledger;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

/// Of one account: hash of its key, hash of the whole name, index.
type Entry = (u64, u32, AccountIndex);

/// The index.
#[derive(Debug, Clone)]
pub(super) struct Names {
    entries: BTreeSet<Entry>,
    hashes: RandomState,
}

impl Names {
    /// Of all accounts that exist.
    pub fn of(ledger: &Ledger) -> Self {
        let mut names = Self { entries: BTreeSet::new(), hashes: RandomState::new() };
        // Sorted first, so that the tree is built of full nodes.
        let entry = |(index, account): (_, &Account)| names.entry(index, account);
        let entries: Vec<Entry> = ledger.existing().map(entry).collect();
        names.entries = entries.into_iter().collect();
        names
    }
    fn entry(&self, index: AccountIndex, account: &Account) -> Entry {
        let (key, name) = self.hashes(&account.key, account.asset, &account.owner);
        (key, name, index)
    }
    fn hashes(&self, key: &Fr, asset: u16, owner: &Address) -> (u64, u32) {
        let name = self.hashes.hash_one((key, asset, owner));
        // Half of it is enough: entries with the same key are few, and every one is compared.
        (self.hashes.hash_one(key), u32::try_from(name >> 32).unwrap_or(u32::MAX))
    }
    /// Adds an account.
    pub fn add(&mut self, index: AccountIndex, account: &Account) {
        let entry = self.entry(index, account);
        self.entries.insert(entry);
    }
    /// The account of a name. Equal names come from forks of history only: the first one counts.
    pub fn find(
        &self,
        ledger: &Ledger,
        key: &Fr,
        asset: u16,
        owner: &Address,
    ) -> Option<AccountIndex> {
        let (by_key, by_name) = self.hashes(key, asset, owner);
        let last = AccountIndex::LAST;
        let entries =
            self.entries.range((by_key, by_name, AccountIndex::FIRST)..=(by_key, by_name, last));
        entries.map(|(_, _, index)| *index).find(|index| {
            let account = ledger.get(*index);
            (&account.key, account.asset, &account.owner) == (key, asset, owner)
        })
    }
    /// The accounts of a key, in ascending order.
    pub fn of_key(&self, ledger: &Ledger, key: &Fr) -> Vec<AccountIndex> {
        let by_key = self.hashes.hash_one(key);
        let entries = self
            .entries
            .range((by_key, 0, AccountIndex::FIRST)..=(by_key, u32::MAX, AccountIndex::LAST));
        let indices = entries.map(|(_, _, index)| *index);
        let mut indices: Vec<_> = indices.filter(|index| ledger.get(*index).key == *key).collect();
        indices.sort_unstable();
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(key: u64, asset: u16, owner: u8) -> Account {
        Account { key: Fr::from(key), asset, owner: Address([owner; 20]), ..Account::EMPTY }
    }

    #[test]
    fn accounts_are_found_by_name_and_by_key_and_nothing_else_is() {
        let mut ledger = Ledger::new(12);
        let index = |i| AccountIndex::new(i).expect("in range");
        let name = |i: u32| {
            account(
                u64::from(i % 7) + 1,
                u16::try_from(i % 5).expect("small") + 1,
                (i / 35) as u8 + 1,
            )
        };
        (1..1_000).for_each(|i| ledger.set(index(i), name(i)));
        let mut names = Names::of(&ledger);
        for i in 1_000..2_000 {
            ledger.set(index(i), name(i));
            names.add(index(i), &name(i));
        }
        for i in 1..2_000 {
            let Account { key, asset, owner, .. } = name(i);
            assert_eq!(names.find(&ledger, &key, asset, &owner), Some(index(i)));
            let other = Address([0xff; 20]);
            assert_eq!(names.find(&ledger, &key, asset, &other), None);
        }
        for key in 1..=8 {
            let need: Vec<_> =
                (1..2_000).filter(|i| name(*i).key == Fr::from(key)).map(index).collect();
            assert_eq!(names.of_key(&ledger, &Fr::from(key)), need);
        }
    }

    #[test]
    fn of_equal_names_the_first_account_counts() {
        let mut ledger = Ledger::new(4);
        let twin = account(1, 1, 1);
        for i in [3, 2, 5] {
            ledger.set(AccountIndex::new(i).expect("in range"), twin);
        }
        let names = Names::of(&ledger);
        let found = names.find(&ledger, &twin.key, 1, &twin.owner);
        assert_eq!(found.map(AccountIndex::get), Some(2));
    }

    #[test]
    fn an_entry_is_sixteen_bytes() {
        assert_eq!(size_of::<Entry>(), 16);
    }
}
