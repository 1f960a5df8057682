//! Main chains on which nothing has value, hence those on which keys with known secrets may be used.
//!
//! A development key is a licence to take everything that a contract holds (SPEC.md section 8).
//! Whether a chain carries value cannot be asked of the chain, so the list is closed: other chains
//! are test chains only for who marks them as such.

/// EIP-155 ids of local and public test chains: geth's development chain, Holesky, anvil and
/// Hardhat, Hoodi, Sepolia.
pub const TEST_CHAINS: [u64; 5] = [1_337, 17_000, 31_337, 560_048, 11_155_111];

/// Whether `chain_id` is a test chain: a known one, or one that the user has `marked`.
pub fn is_test_chain(chain_id: u64, marked: &[u64]) -> bool {
    TEST_CHAINS.contains(&chain_id) || marked.contains(&chain_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_with_value_are_test_chains_only_if_marked() {
        for id in [1, 10, 56, 100, 137, 324, 8_453, 42_161, 59_144, 534_352] {
            assert!(!is_test_chain(id, &[]), "{id}");
            assert!(!is_test_chain(id, &[id + 1]), "{id}");
            assert!(is_test_chain(id, &[7, id]), "{id}");
        }
        assert!(TEST_CHAINS.iter().all(|id| is_test_chain(*id, &[])));
    }
}
