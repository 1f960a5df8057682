//! What anybody can do without the operator: rebuild the state from the main chain, take accounts out
//! of a frozen contract ([`escape`]), serve the queue of a silent one ([`serve`]).
//!
//! Needs a node that still has the contract's history, the verification key and the reference string;
//! nothing of the sequencer's. Proofs are not checked again: the contract has.

pub mod escape;
pub mod serve;

use crate::contract::ContractError;
use alloy::primitives::Address as ChainAddress;
use kerros_protocol::account::Address;
use kerros_protocol::commitment::{Srs, SrsError};
use kerros_protocol::verification_key::VerificationKey;
use kerros_prover::prove::ProveError;
use kerros_sequencer::execution::ExecutionError;
use kerros_verifier::VerifyError;
use kerros_verifier::chain::{
    ChainError, Deployment, Head, History, NodeError, Proofs, Reader, Replay, ReplayFailure,
    ReplayFault, Standing,
};
use kerros_verifier::contract::Kerros;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Why it did not work.
#[derive(Debug, Error)]
pub enum RescueError {
    /// The main chain could not be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The contract's history does not hold.
    #[error(transparent)]
    Fault(#[from] Box<ReplayFault>),
    /// A transaction.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The reference string.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// The string belongs to another setup than the contract's key.
    #[error("the reference string is not the one of the contract's key")]
    OtherSrs,
    /// Rebuilt accounts are not what the contract's root commits to.
    #[error(
        "the rebuilt accounts are not those under the contract's root: the reference string is another one"
    )]
    OtherAccounts,
    /// There is nothing to freeze over.
    #[error(
        "the contract is not frozen, and no entry of its queue is overdue: {waiting} wait, the next \
         deadline is {deadline} (Unix seconds), it is {now}. `kerros force-exit` makes an entry"
    )]
    NothingOverdue {
        /// Waiting entries.
        waiting: usize,
        /// The first deadline; 0 without entries.
        deadline: u64,
        /// Time of the newest block.
        now: u64,
    },
    /// A freeze is for ever, and would be for nothing.
    #[error("nothing on layer 2 belongs to {owner}: nothing is frozen for that")]
    NothingToTake {
        /// Whose accounts and deposits were looked for.
        owner: Address,
    },
    /// The nodes do not show a freeze, or not yet.
    #[error(
        "the nodes show no freeze of the contract at block {block} ({looks} looks): run the command \
         again once they do"
    )]
    FreezeNotSeen {
        /// How often they were asked.
        looks: u32,
        /// The newest block that all of them had.
        block: u64,
    },
    /// An opening that does not verify: a bug of ours.
    #[error("the opening of account {index} does not verify")]
    Opening {
        /// The account.
        index: u32,
    },
    /// A frozen contract takes no batch.
    #[error("the contract is frozen: no batch can be posted, accounts leave by `kerros escape`")]
    Frozen,
    /// The operator still posts.
    #[error(
        "only the operator may post: its last batch was at {last} (Unix seconds), anybody may after \
         {silence} s of silence; it is {now}"
    )]
    NotSilent {
        /// The operator's last batch.
        last: u64,
        /// Seconds.
        silence: u64,
        /// Time of the newest block.
        now: u64,
    },
    /// No entry waits.
    #[error("no entry waits in the queue")]
    NothingToServe,
    /// An entry that the contract should have refused.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// The prover.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A proof that does not verify: a bug of ours.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl From<ReplayFailure> for RescueError {
    fn from(failure: ReplayFailure) -> Self {
        match failure {
            ReplayFailure::Chain(error) => error.into(),
            ReplayFailure::Fault(fault) => fault.into(),
        }
    }
}

/// The state as of one block.
pub struct Rebuilt {
    /// Accounts, commitments, queue, what has left.
    pub replay: Replay,
    /// What the contract says itself.
    pub standing: Standing,
    /// The block.
    pub head: Head,
}

/// Rebuilds the state from nodes that are compared with each other; `posted` is called for each batch.
/// `from_block` is a block not after the deployment, for nodes that cannot find that themselves.
pub async fn rebuild(
    urls: &[String],
    contract: Address,
    key: &VerificationKey,
    from_block: Option<u64>,
    posted: impl Fn(u64),
) -> Result<Rebuilt, RescueError> {
    let address = ChainAddress::from(contract.0);
    let reader = Arc::new(Reader::connect(urls, 0).await?);
    let deployment = Deployment::read(&reader, address, from_block).await?;
    let mut replay = Replay::new(key.clone(), &deployment, Proofs::Trusted).map_err(Box::new)?;
    let mut history = History::start(Arc::clone(&reader), address, deployment.block);
    let told = |replay: &Replay, _: &_, step: &kerros_verifier::chain::Step| {
        if step.post.is_some() {
            posted(replay.state.number);
        }
    };
    replay.follow(&mut history, told).await?;
    let standing = Standing::read(&reader, address).await?;
    replay.settled(&standing).map_err(Box::new)?;
    reader.still_there().await?;
    Ok(Rebuilt { replay, standing, head: reader.head() })
}

/// How long a freeze is looked for that was sent already.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How often.
    pub looks: u32,
    /// Between two looks.
    pub pause: Duration,
}

impl Default for Patience {
    /// Two minutes: nodes that lag by some blocks catch up.
    fn default() -> Self {
        Self { looks: 40, pause: Duration::from_secs(3) }
    }
}

/// Rebuilds the state once all nodes show the freeze: one of them may be behind the one that has
/// taken the transaction. Arguments as for [`rebuild`].
pub async fn rebuild_frozen(
    urls: &[String],
    contract: Address,
    key: &VerificationKey,
    from_block: Option<u64>,
    patience: Patience,
    posted: impl Fn(u64),
) -> Result<Rebuilt, RescueError> {
    let mut looks = 0;
    loop {
        looks += 1;
        let error = match shows_freeze(urls, ChainAddress::from(contract.0)).await {
            Ok((true, _)) => match rebuild(urls, contract, key, from_block, &posted).await {
                Ok(rebuilt) if rebuilt.standing.frozen => return Ok(rebuilt),
                Ok(rebuilt) => RescueError::FreezeNotSeen { looks, block: rebuilt.head.number },
                Err(error) => error,
            },
            Ok((false, block)) => RescueError::FreezeNotSeen { looks, block },
            Err(error) => error.into(),
        };
        if looks >= patience.looks || !catches_up(&error) {
            return Err(error);
        }
        tokio::time::sleep(patience.pause).await;
    }
}

/// Whether the newest block that all nodes have is of a frozen contract, and its number.
async fn shows_freeze(urls: &[String], contract: ChainAddress) -> Result<(bool, u64), ChainError> {
    let reader = Reader::connect(urls, 0).await?;
    let frozen = reader.call(contract, &Kerros::frozenCall {}).await?;
    Ok((frozen, reader.head().number))
}

/// Whether this is how nodes answer of which one is behind: it lacks the block, or has another one.
fn catches_up(error: &RescueError) -> bool {
    use ChainError::{Differ, Missing, Node, Reorganised};
    match error {
        RescueError::FreezeNotSeen { .. } => true,
        RescueError::Chain(error) => matches!(
            error,
            Differ { .. } | Missing { .. } | Reorganised { .. } | Node(NodeError::Refused { .. })
        ),
        _ => false,
    }
}

/// The points of the ledger's size, if the string is the key's.
fn lagrange(rebuilt: &Rebuilt, srs: &Srs) -> Result<Vec<ark_bn254::G1Affine>, RescueError> {
    if srs.header.tau_powers != rebuilt.replay.key().tau_powers {
        return Err(RescueError::OtherSrs);
    }
    Ok(srs.lagrange(rebuilt.replay.state.ledger.k())?)
}
