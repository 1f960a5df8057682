//! Why a command failed, and the exit code that says so. Codes are stable.

use crate::contract::ContractError;
use crate::receipt::ReceiptFault;
use crate::rescue::RescueError;
use crate::sequencer::SequencerError;
use crate::wallet::WalletError;
use kerros_protocol::account::{Address, AssetId};
use kerros_sequencer::main_chain::MainChainError;
use std::path::PathBuf;
use thiserror::Error;

/// The exit code of anything that has no code of its own.
pub const FAILED: u8 = 1;
/// Sequencer or contract refused.
pub const REFUSED: u8 = 3;
/// A service does not answer.
pub const UNAVAILABLE: u8 = 4;
/// What was asked for does not exist.
pub const NOT_FOUND: u8 = 5;
/// The wallet file cannot be used.
pub const WALLET: u8 = 6;
/// The demo or a benchmark ran, and its result does not hold.
pub const DOES_NOT_HOLD: u8 = 7;

/// Receipts are signed by another key, or a contract is served, other than the ones that are believed.
pub const OTHER_SIGNER: u8 = 8;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// The sequencer.
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    /// The contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The main chain.
    #[error(transparent)]
    Chain(#[from] MainChainError),
    /// The wallet.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The devnet.
    #[error(transparent)]
    Devnet(#[from] crate::devnet::DevnetError),
    /// The demo did not reach its end.
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoError),
    /// The demo or a benchmark reached its end, and something does not hold.
    #[error("the result does not hold")]
    DoesNotHold(Box<super::Said>),
    /// A benchmark.
    #[error(transparent)]
    Bench(#[from] crate::bench::BenchError),
    /// A bug of ours.
    #[error("{0}")]
    Bug(&'static str),
    /// A deployment for real use with a development key.
    #[error("the key's secrets are known to somebody; --allow-development accepts it")]
    DevelopmentKey,
    /// A deployment with a development key where money is.
    #[error(
        "chain {chain_id} is not a test chain, and somebody knows the secrets of this key: what is \
         deposited can be taken; if nothing has value there, --test-chain {chain_id} says so"
    )]
    DevelopmentKeyOnChain {
        /// The main chain.
        chain_id: u64,
    },
    /// A ceremony's step.
    #[error(transparent)]
    Ceremony(#[from] super::ceremony::StepError),
    /// Keys could not be made or found.
    #[error(transparent)]
    Keys(#[from] crate::keys::KeysError),
    /// The sequencer serves another contract than the one asked for.
    #[error("the sequencer serves contract {found}, not {expected}")]
    OtherContract {
        /// Asked for.
        expected: Address,
        /// The sequencer's.
        found: Address,
    },
    /// The sequencer's receipts are signed by another key than the one named or met first.
    #[error(
        "the sequencer's receipts are signed by {found}, not by {expected}: do not trust its \
         acknowledgements before you know why"
    )]
    OtherSigner {
        /// Named, or met first.
        expected: Address,
        /// The sequencer's.
        found: Address,
    },
    /// Where one deployment was met, there is another now.
    #[error(
        "the sequencer at {url} served another contract before, now it is {found} on chain {chain_id}: \
         --contract {found} says that you mean this one"
    )]
    OtherDeployment {
        /// The sequencer's URL.
        url: String,
        /// The contract now.
        found: Address,
        /// Its chain now.
        chain_id: u64,
    },
    /// A receipt cannot be kept.
    #[error("{path}: {problem}; `kerros tx <id> --receipt FILE` gives a transaction's receipt again", path = path.display())]
    ReceiptFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file of signers that were met cannot be used.
    #[error("{path}: {problem}; --receipt-signer names a signer without it", path = path.display())]
    Signers {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The node is on another chain than the sequencer, or than the one named.
    #[error("the node's chain is {found}; the sequencer's, or that of --chain-id, is {expected}")]
    OtherChain {
        /// The sequencer's, or named.
        expected: u64,
        /// The node's.
        found: u64,
    },
    /// A wallet that has met deployments, and not this one.
    #[error(
        "this wallet has met other deployments, not contract {contract} on chain {chain_id} (domain \
         {domain}): --chain-id {chain_id} beside --contract says that you mean this one"
    )]
    NeverMet {
        /// Named.
        contract: Address,
        /// The node's.
        chain_id: u64,
        /// Of both.
        domain: String,
    },
    /// Escape, or a stranger's post.
    #[error(transparent)]
    Rescue(#[from] crate::rescue::RescueError),
    /// The wallet has no account of this asset.
    #[error("this wallet has no account of asset {asset}")]
    NoAccount {
        /// The asset.
        asset: AssetId,
    },
}

impl Failure {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Bench(error) => error.exit_code(),
            Self::Sequencer(SequencerError::NotFound { .. })
            | Self::Contract(ContractError::UnknownAsset { .. } | ContractError::NothingToClaim)
            | Self::NoAccount { .. } => NOT_FOUND,
            Self::Sequencer(SequencerError::Unavailable { .. } | SequencerError::Url(_)) => {
                UNAVAILABLE
            }
            Self::Sequencer(SequencerError::Refused { .. })
            | Self::Contract(
                ContractError::Failed { .. }
                | ContractError::GasAbove { .. }
                | ContractError::OtherDomain { .. },
            )
            | Self::OtherContract { .. }
            | Self::OtherChain { .. } => REFUSED,
            Self::Chain(error) | Self::Contract(ContractError::Chain(error)) => match error {
                MainChainError::Unreachable { .. } => UNAVAILABLE,
                MainChainError::Reverted { .. } | MainChainError::Refused(_) => REFUSED,
                _ => FAILED,
            },
            Self::Wallet(_) | Self::Signers { .. } => WALLET,
            Self::OtherSigner { .. }
            | Self::OtherDeployment { .. }
            | Self::NeverMet { .. }
            | Self::Sequencer(SequencerError::Receipt(ReceiptFault::OtherSigner { .. })) => {
                OTHER_SIGNER
            }
            Self::Rescue(error) => match error {
                RescueError::Chain(_) => UNAVAILABLE,
                RescueError::Fault(_) => DOES_NOT_HOLD,
                RescueError::Contract(ContractError::Chain(MainChainError::Unreachable {
                    ..
                })) => UNAVAILABLE,
                RescueError::NothingToServe | RescueError::NothingToTake { .. } => NOT_FOUND,
                RescueError::Contract(_)
                | RescueError::NothingOverdue { .. }
                | RescueError::FreezeNotSeen { .. }
                | RescueError::Frozen
                | RescueError::NotSilent { .. } => REFUSED,
                _ => FAILED,
            },
            Self::DoesNotHold(_) | Self::Demo(crate::demo::DemoError::Audit(_)) => DOES_NOT_HOLD,
            Self::Sequencer(_)
            | Self::Contract(_)
            | Self::Keys(_)
            | Self::Ceremony(_)
            | Self::Devnet(_)
            | Self::Demo(_)
            | Self::DevelopmentKey
            | Self::DevelopmentKeyOnChain { .. }
            | Self::ReceiptFile { .. }
            | Self::Bug(_) => FAILED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_refusal_absence_and_silence_apart() {
        let refused = SequencerError::Refused {
            reason: "WRONG_NONCE".to_owned(),
            transient: false,
            message: String::new(),
        };
        assert_eq!(Failure::from(refused).exit_code(), REFUSED);
        let missing = SequencerError::NotFound { message: String::new() };
        assert_eq!(Failure::from(missing).exit_code(), NOT_FOUND);
        let silent = MainChainError::Unreachable { reason: String::new() };
        assert_eq!(Failure::from(silent).exit_code(), UNAVAILABLE);
        assert_eq!(Failure::from(ContractError::NothingToClaim).exit_code(), NOT_FOUND);
        assert_eq!(Failure::from(WalletError::ChainKey).exit_code(), WALLET);
    }
}
