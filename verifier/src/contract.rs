//! The main-chain contract's interface for Rust: calls, events and errors, made from the committed
//! artifact (`verifier/contracts/artifacts`), so that building needs no Node and no compiler of
//! Solidity. Holds the init code too. Does not know proofs, key files or any connection: words in,
//! bytes out.
//!
//! Words are `U256`; a word that stands for an `Fr` must be below r, a coordinate below q. G1 points
//! are `x, y`; G2 points are in EIP-197 order `x.c1, x.c0, y.c1, y.c0`; infinity is all zero.
//! `contracts/*.sol` documents every function, event and error.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::{SolConstructor, SolInterface, decode_revert_reason};

#[allow(missing_docs, clippy::too_many_arguments, clippy::pub_underscore_fields)]
mod bindings {
    alloy::sol!(
        #[sol(rpc, all_derives)]
        Kerros,
        "contracts/artifacts/Kerros.json"
    );

    alloy::sol!(
        #[sol(rpc, all_derives)]
        TestToken,
        "contracts/artifacts/TestToken.json"
    );
}

/// `Kerros.sol`: `Kerros::postCall`, `Kerros::BatchPosted`, `Kerros::WrongRoot` and so on.
pub use bindings::Kerros;
/// All errors of the contract as one enum.
pub use bindings::Kerros::KerrosErrors;
/// All events of the contract as one enum.
pub use bindings::Kerros::KerrosEvents;
pub use bindings::Kerros::{Key, Parameters, Post};
/// An entry of the contract's queue as it stores it.
pub use bindings::Queue::Entry as StoredEntry;
/// A token that anybody can mint: for development chains only.
pub use bindings::TestToken;

/// Number of points in IC: the constant term and nine public inputs.
pub const IC_POINTS: usize = 10;

/// The verification constants as plain words, in the order of the key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWords {
    /// G1.
    pub alpha1: [U256; 2],
    /// G2.
    pub beta2: [U256; 4],
    /// G2; the contract insists on the standard generator.
    pub gamma2: [U256; 4],
    /// G2; neither `gamma2` nor its negative.
    pub delta2: [U256; 4],
    /// Constant term, then the points of h, beta, z, y, A, Delta, Z, n, domain.
    pub ic: [[U256; 2]; IC_POINTS],
    /// `[tau]_2`.
    pub tau2: [U256; 4],
    /// Capacities of the sections O, D, T, E, F.
    pub shape: [u32; 5],
    /// `[tau^(2^k)]_2` for k from `k_genesis` to `k_max - 1`: one for each possible growth.
    pub tau_powers: Vec<[U256; 4]>,
}

impl From<KeyWords> for Key {
    fn from(words: KeyWords) -> Self {
        let mut ic = [U256::ZERO; 2 * IC_POINTS];
        for (place, point) in ic.chunks_exact_mut(2).zip(words.ic) {
            place.copy_from_slice(&point);
        }
        Self {
            alpha1: words.alpha1,
            beta2: words.beta2,
            gamma2: words.gamma2,
            delta2: words.delta2,
            ic,
            tau2: words.tau2,
            shape: words.shape,
            tauPowers: words.tau_powers,
        }
    }
}

/// The code that holds the verification constants (`KeyCode.sol`): STOP and the words.
#[must_use]
pub fn key_code(key: &KeyWords) -> Vec<u8> {
    let mut words = key.alpha1.to_vec();
    words.extend([key.beta2, key.gamma2, key.delta2].concat());
    words.extend(key.ic.concat());
    words.extend(key.tau2);
    words.extend(key.tau_powers.concat());
    let mut code = vec![0];
    words.iter().for_each(|word| code.extend_from_slice(&word.to_be_bytes::<32>()));
    code
}

/// The data of the transaction that deploys the contract: init code and encoded arguments.
#[must_use]
pub fn deployment_code(key: Key, parameters: Parameters) -> Bytes {
    with_arguments(&Kerros::BYTECODE, Kerros::constructorCall { key, parameters })
}

/// The data of the transaction that deploys a development token.
#[must_use]
pub fn test_token_code(name: &str, symbol: &str, decimals: u8) -> Bytes {
    with_arguments(
        &TestToken::BYTECODE,
        TestToken::constructorCall {
            name_: name.to_owned(),
            symbol_: symbol.to_owned(),
            decimals_: decimals,
        },
    )
}

/// The address of a contract that `deployer` creates with its transaction number `nonce`.
#[must_use]
pub fn deployment_address(deployer: Address, nonce: u64) -> Address {
    deployer.create(nonce)
}

fn with_arguments(init_code: &Bytes, arguments: impl SolConstructor) -> Bytes {
    let mut code = init_code.to_vec();
    code.extend_from_slice(&arguments.abi_encode());
    code.into()
}

/// Why a call of the contract failed, as far as the returned data tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revert {
    /// One of the contract's own errors.
    Kerros(KerrosErrors),
    /// A reason in words, or a panic code, as Solidity encodes them.
    Text(String),
    /// No data: out of gas, malformed arguments, or no contract at the address.
    Empty,
    /// Data that means nothing here (a token's own error, for instance).
    Other(Bytes),
}

impl Revert {
    /// Reads the data a reverted call returned.
    #[must_use]
    pub fn decode(data: &[u8]) -> Self {
        if data.is_empty() {
            return Self::Empty;
        }
        if let Ok(error) = KerrosErrors::abi_decode(data) {
            return Self::Kerros(error);
        }
        // Only Solidity's own encodings: any bytes that happen to be UTF-8 are no reason.
        let solidity = data.starts_with(&[0x08, 0xc3, 0x79, 0xa0]) // Error(string)
            || data.starts_with(&[0x4e, 0x48, 0x7b, 0x71]); // Panic(uint256)
        match decode_revert_reason(data).filter(|_| solidity) {
            Some(text) => Self::Text(text),
            None => Self::Other(Bytes::copy_from_slice(data)),
        }
    }
}

impl std::fmt::Display for Revert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The generated names carry the error's name and its values.
            Self::Kerros(error) => write!(f, "{error:?}"),
            Self::Text(text) => f.write_str(text),
            Self::Empty => f.write_str("reverted without data"),
            Self::Other(data) => write!(f, "reverted with {data}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::sol_types::{SolCall, SolError};

    #[test]
    fn a_post_is_encoded_as_the_contract_insists_on() {
        let post = Post {
            batchNumber: 1,
            oldC: [U256::ZERO; 6],
            grownC: [U256::ZERO; 6],
            grow: false,
            newC: [U256::ZERO; 6],
            h: U256::ZERO,
            A: U256::ZERO,
            Delta: U256::ZERO,
            Z: U256::ZERO,
            Q: [U256::ZERO; 2],
            W: [U256::ZERO; 2],
            proof: [U256::ZERO; 8],
            beneficiary: Address::ZERO,
            data: Bytes::from(vec![7; 10]),
        };
        let call = Kerros::postCall { p: post }.abi_encode();
        assert_eq!(call.len(), 4 + 32 + 38 * 32 + 32 + 32);
        assert_eq!(call[4 + 32 + 38 * 32 + 32], 7);
    }

    #[test]
    fn reverts_are_read_back() {
        let error = Kerros::WrongBatchNumber { expected: 3, got: 5 };
        let KerrosErrors::WrongBatchNumber(back) =
            KerrosErrors::abi_decode(&error.abi_encode()).expect("it is one of ours")
        else {
            panic!("another error");
        };
        assert_eq!(back, error);
        assert_eq!(Revert::decode(&[]), Revert::Empty);
        assert_eq!(Revert::decode(&[1, 2, 3, 4]), Revert::Other(Bytes::from_static(&[1, 2, 3, 4])));
    }
}
