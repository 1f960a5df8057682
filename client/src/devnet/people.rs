//! Who lives on a development chain. All keys are computed from public constants: never use them
//! where money is real.

use crate::wallet::{Wallet, WalletError};
use kerros_sequencer::main_chain::embedded::development_wallet;

/// Development wallet of the operator.
pub const OPERATOR: u32 = 0;
/// Development wallet of the admin, who deploys and registers.
pub const ADMIN: u32 = 1;
/// First development wallet of a person.
pub(super) const FIRST: u32 = 16;
/// Persons with ether at genesis.
pub const PERSONS_MAX: u32 = 64;

const NAMES: [&str; 16] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "kim",
    "leo", "mona", "nils", "olga", "pete",
];

/// A holder with a name.
#[derive(Debug)]
pub struct Person {
    /// Lower case.
    pub name: String,
    /// Both keys.
    pub wallet: Wallet,
}

/// The operator's wallet; its layer-2 key is that of the fee accounts.
pub(crate) fn operator() -> Result<Wallet, WalletError> {
    let layer2 = *blake3::hash(b"kerros.development.operator").as_bytes();
    Wallet::from_bytes(layer2, &development_wallet(OPERATOR).to_bytes().0)
}

/// Person number `i`, below [`PERSONS_MAX`].
pub fn person(i: u32) -> Result<Person, WalletError> {
    let seed = [b"kerros.development.layer2".as_slice(), &i.to_be_bytes()].concat();
    let layer2 = *blake3::hash(&seed).as_bytes();
    let chain = development_wallet(FIRST + i).to_bytes();
    let known = usize::try_from(i).ok().and_then(|i| NAMES.get(i));
    let name = known.map_or_else(|| format!("person-{i}"), |name| (*name).to_owned());
    Ok(Person { name, wallet: Wallet::from_bytes(layer2, &chain.0)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everybody_has_keys_of_their_own() {
        let people: Vec<Person> = (0..PERSONS_MAX).map(|i| person(i).expect("keys")).collect();
        let names: BTreeSet<&str> = people.iter().map(|p| p.name.as_str()).collect();
        let keys: BTreeSet<_> = people.iter().map(|p| p.wallet.account_key()).collect();
        let addresses: BTreeSet<_> = people.iter().map(|p| p.wallet.address()).collect();
        assert_eq!((names.len(), keys.len(), addresses.len()), (64, 64, 64));
    }
}
