//! Which account has a key, an asset and an owner: an index over the ledger, which has the names.
//!
//! Two orders of entries of 8 bytes, a keyed hash and the account's index: by name, to find one, and
//! by key, to list a key's accounts from any of them on. Whoever asks compares with the ledger, so that
//! two names with one hash cost a look more and change nothing: what is found does not depend on the
//! hashes' keys, which are random so that nobody can choose such names.

use ark_bn254::Fr;
use kerros_protocol::account::{Account, AccountIndex, Address};
use kerros_protocol::ledger::Ledger;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::RangeInclusive;

/// Half of a hash of what is looked for, and an account that has it. With 2^28 accounts of other
/// names, the most there can be, every sixteenth search meets one of them.
type Entry = (u32, AccountIndex);

/// The index.
#[derive(Debug, Clone)]
pub(super) struct Names {
    by_name: BTreeSet<Entry>,
    by_key: BTreeSet<Entry>,
    hashes: RandomState,
}

/// The entries of a hash from an account on.
fn from(hash: u32, first: AccountIndex) -> RangeInclusive<Entry> {
    (hash, first)..=(hash, AccountIndex::LAST)
}

impl Names {
    /// Of all accounts that exist.
    pub fn of(ledger: &Ledger) -> Self {
        let hashes = RandomState::new();
        let (by_name, by_key) = (BTreeSet::new(), BTreeSet::new());
        let mut names = Self { by_name, by_key, hashes };
        // One after the other, and each sorted before, so that the trees are built of full nodes.
        let all = |hash: &dyn Fn(&Account) -> u32| -> BTreeSet<Entry> {
            let entries = ledger.existing().map(|(index, account)| (hash(account), index));
            entries.collect::<Vec<_>>().into_iter().collect()
        };
        names.by_name = all(&|account| names.name(&account.key, account.asset, &account.owner));
        names.by_key = all(&|account| names.key(&account.key));
        names
    }
    fn hash(&self, what: impl Hash) -> u32 {
        u32::try_from(self.hashes.hash_one(what) >> 32).unwrap_or(u32::MAX)
    }
    fn name(&self, key: &Fr, asset: u16, owner: &Address) -> u32 {
        self.hash((key, asset, owner))
    }
    fn key(&self, key: &Fr) -> u32 {
        self.hash(key)
    }
    /// How many accounts there are.
    pub fn count(&self) -> usize {
        self.by_name.len()
    }
    /// Adds an account.
    pub fn add(&mut self, index: AccountIndex, account: &Account) {
        let Account { key, asset, owner, .. } = account;
        self.by_name.insert((self.name(key, *asset, owner), index));
        self.by_key.insert((self.key(key), index));
    }
    /// The account of a name. Equal names come from forks of history only: the first one counts.
    pub fn find(
        &self,
        ledger: &Ledger,
        key: &Fr,
        asset: u16,
        owner: &Address,
    ) -> Option<AccountIndex> {
        let entries = self.by_name.range(from(self.name(key, asset, owner), AccountIndex::FIRST));
        entries.map(|(_, index)| *index).find(|index| {
            let account = ledger.get(*index);
            (&account.key, account.asset, &account.owner) == (key, asset, owner)
        })
    }
    /// The accounts of a key from an index on, in ascending order; each costs the same however many
    /// there are.
    pub fn of_key<'a>(
        &'a self,
        ledger: &'a Ledger,
        key: Fr,
        first: AccountIndex,
    ) -> impl Iterator<Item = AccountIndex> + 'a {
        let entries = self.by_key.range(from(self.key(&key), first));
        let indices = entries.map(|(_, index)| *index);
        indices.filter(move |index| ledger.get(*index).key == key)
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
            let listed = |first| names.of_key(&ledger, Fr::from(key), first);
            assert_eq!(listed(AccountIndex::FIRST).collect::<Vec<_>>(), need);
            let rest = need.get(100..).unwrap_or_default();
            if let Some(first) = rest.first() {
                assert_eq!(listed(*first).take(50).collect::<Vec<_>>(), rest[..50]);
            }
        }
    }

    #[test]
    fn a_key_with_very_many_accounts_is_listed_page_by_page() {
        const PAGE: usize = 100;
        let mut ledger = Ledger::new(18);
        let one =
            |i: u32| account(1, u16::try_from(i % 1_000).expect("small") + 1, (i >> 10) as u8);
        let index = |i| AccountIndex::new(i).expect("in range");
        (1..=200_000).for_each(|i| ledger.set(index(i), one(i)));
        let names = Names::of(&ledger);
        let listed = |first, most| -> Vec<_> {
            names.of_key(&ledger, Fr::from(1u64), first).take(most).collect()
        };
        let all = listed(AccountIndex::FIRST, usize::MAX);
        assert_eq!(all.len(), 200_000);
        all.chunks(PAGE).for_each(|page| assert_eq!(listed(page[0], PAGE), page));
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
    fn an_accounts_two_entries_are_sixteen_bytes() {
        assert_eq!(2 * size_of::<Entry>(), 16);
    }
}
