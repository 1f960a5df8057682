//! What the contract says about itself at the head: what was fixed at deployment, where it stands now,
//! and single entries of its queue.

use super::failure::ChainError;
use super::node::NodeError;
use super::reader::Reader;
use crate::audit::QueueEntry;
use crate::contract::Kerros;
use alloy::primitives::Address as ChainAddress;
use ark_bn254::Fr;
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::commitment::Root;
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::transcript;

/// What never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Chain.
    pub chain_id: u64,
    /// Contract.
    pub contract: ChainAddress,
    /// Block of the deployment, or an earlier one if no node has state that old.
    pub block: u64,
    /// Whether `block` is the deployment's own.
    pub block_is_exact: bool,
    /// Ties signatures and proofs to this contract on this chain.
    pub domain: Fr,
    /// Digest of the verification constants.
    pub vk_hash: [u8; 32],
    /// Where the verification constants stand, as code.
    pub key_code: ChainAddress,
    /// Posts batches.
    pub operator: ChainAddress,
    /// Registers assets.
    pub admin: ChainAddress,
    /// Exponent of the ledger's size at genesis.
    pub k_genesis: u8,
    /// Exponent of the greatest ledger.
    pub k_max: u8,
    /// Capacities of the sections O, D, T, E, F.
    pub shape: [u32; 5],
    /// Seconds in which an entry that met an empty queue must be served.
    pub force_window: u64,
    /// Seconds that every entry before adds.
    pub entry_window: u64,
    /// Seconds of the operator's silence after which anybody may post.
    pub silence: u64,
    /// The deployment's own part of an entry's fee, in wei.
    pub entry_fee: u128,
}

impl Deployment {
    /// Asks the contract. `from_block` is where to begin if no node has old state; genesis if absent.
    pub async fn read(
        reader: &Reader,
        contract: ChainAddress,
        from_block: Option<u64>,
    ) -> Result<Self, ChainError> {
        let head = reader.head().number;
        if reader.code(contract).await?.is_empty() {
            return Err(ChainError::NoContract { address: contract, block: head });
        }
        let shape = reader.call(contract, &Kerros::shapeCall {}).await?;
        let not_kerros = ChainError::NotKerros { address: contract, getter: "shape()" };
        let mut capacities = [0; 5];
        for (capacity, word) in capacities.iter_mut().zip(shape) {
            *capacity = u32::try_from(word).map_err(|_| not_kerros.clone())?;
        }
        let (block, block_is_exact) = match begin(reader, contract, head).await? {
            Some(block) => (block, true),
            None => (from_block.unwrap_or(0), false),
        };
        let chain_id = reader.chain_id();
        Ok(Self {
            chain_id,
            contract,
            block,
            block_is_exact,
            domain: transcript::domain(chain_id, &Address(contract.into_array())),
            vk_hash: reader.call(contract, &Kerros::vkHashCall {}).await?.0,
            key_code: reader.call(contract, &Kerros::keyCodeCall {}).await?,
            operator: reader.call(contract, &Kerros::operatorCall {}).await?,
            admin: reader.call(contract, &Kerros::adminCall {}).await?,
            k_genesis: reader.call(contract, &Kerros::kGenesisCall {}).await?,
            k_max: reader.call(contract, &Kerros::kMaxCall {}).await?,
            shape: capacities,
            force_window: reader.call(contract, &Kerros::forceWindowCall {}).await?,
            entry_window: reader.call(contract, &Kerros::entryWindowCall {}).await?,
            silence: reader.call(contract, &Kerros::silenceCall {}).await?,
            entry_fee: reader.call(contract, &Kerros::entryFeeBaseCall {}).await?,
        })
    }
}

/// The first block with code, by halving; none if a node has no state that old.
async fn begin(
    reader: &Reader,
    contract: ChainAddress,
    head: u64,
) -> Result<Option<u64>, ChainError> {
    // Code is at `with` and, once looked at, not at `without`.
    let (mut without, mut with) = (0, head);
    while without < with {
        let middle = without + (with - without) / 2;
        match reader.has_code(contract, middle).await {
            Ok(true) => with = middle,
            Ok(false) => without = middle + 1,
            Err(ChainError::Node(NodeError::Refused { .. })) => return Ok(None),
            Err(other) => return Err(other),
        }
    }
    Ok(Some(with))
}

/// What changes, at the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Root of the ledger.
    pub root: Root,
    /// Number of the last batch.
    pub number: u64,
    /// First unprocessed queue entry.
    pub head: u64,
    /// One more than the last entry.
    pub tail: u64,
    /// Exponent of the ledger's size.
    pub k: u8,
    /// Highest asset id.
    pub asset_count: u16,
    /// Whether the latch is set.
    pub frozen: bool,
    /// Accounts opened so far.
    pub opened: u32,
    /// Deposits that wait.
    pub pending_deposits: u32,
    /// Unix seconds of the operator's last batch, or of the deployment.
    pub last_operator_post: u64,
}

impl Standing {
    /// Asks the contract.
    pub async fn read(reader: &Reader, contract: ChainAddress) -> Result<Self, ChainError> {
        Ok(Self {
            root: Root(reader.call(contract, &Kerros::rootCall {}).await?.0),
            number: reader.call(contract, &Kerros::batchNumberCall {}).await?,
            head: reader.call(contract, &Kerros::headCall {}).await?,
            tail: reader.call(contract, &Kerros::tailCall {}).await?,
            k: reader.call(contract, &Kerros::kCall {}).await?,
            asset_count: reader.call(contract, &Kerros::assetCountCall {}).await?,
            frozen: reader.call(contract, &Kerros::frozenCall {}).await?,
            opened: reader.call(contract, &Kerros::openedCall {}).await?,
            pending_deposits: reader.call(contract, &Kerros::pendingDepositsCall {}).await?,
            last_operator_post: reader.call(contract, &Kerros::lastOperatorPostCall {}).await?,
        })
    }
}

/// Kind of a deposit in the contract's storage.
const DEPOSIT: u8 = 1;
/// Kind of a forced exit.
const FORCED_EXIT: u8 = 2;
/// Kind of an entry that was refunded: what it was is overwritten.
const REFUNDED: u8 = 3;

/// A queue entry as it stands in storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Depositor or requester.
    pub sender: Address,
    /// What batches must serve.
    pub content: QueueEntry,
    /// Whether it was given back; then `content` is what its other fields say.
    pub refunded: bool,
    /// Unix seconds.
    pub deadline: u64,
    /// Whether it still waits.
    pub pending: bool,
    /// Gwei that serving it earns.
    pub share: u32,
    /// Unix seconds at which it came.
    pub enqueued_at: u64,
    /// Entries that waited before it when it came.
    pub ahead: u64,
}

impl StoredEntry {
    /// Asks for entry `index`.
    pub async fn read(
        reader: &Reader,
        contract: ChainAddress,
        index: u64,
    ) -> Result<Self, ChainError> {
        let answer = reader.call(contract, &Kerros::queueEntryCall { index }).await?;
        Self::take(answer).map_err(|error| ChainError::Nonsense {
            node: contract.to_string(),
            what: format!("queue entry {index} in storage: {error}"),
        })
    }

    pub(super) fn take(answer: Kerros::queueEntryReturn) -> Result<Self, DecodeError> {
        let Kerros::queueEntryReturn { entry: e, deadline, pending } = answer;
        let sender = Address(e.sender.into_array());
        // A deposit has an owner, a forced exit none.
        let deposit = match e.kind {
            DEPOSIT => true,
            FORCED_EXIT => false,
            REFUNDED => !e.owner.is_zero(),
            kind => {
                let (value, min, max) = (kind.into(), DEPOSIT.into(), REFUNDED.into());
                return Err(DecodeError::OutOfRange { what: "kind", value, min, max });
            }
        };
        let content = if deposit {
            QueueEntry::Deposit {
                amount: e.amount,
                asset: e.asset,
                key: AccountKey::from_be(&e.key.to_be_bytes())?,
                owner: Address(e.owner.into_array()),
            }
        } else {
            if e.asset != 0 || !e.key.is_zero() || !e.owner.is_zero() {
                let what = "asset, key or owner of a forced exit";
                return Err(DecodeError::OutOfRange { what, value: 1, min: 0, max: 0 });
            }
            let value = e.amount;
            let max = u32::MAX.into();
            let wrong = DecodeError::OutOfRange { what: "account index", value, min: 1, max };
            let index = AccountIndex::new(u32::try_from(value).map_err(|_| wrong)?)?;
            QueueEntry::ForcedExit { index, requester: sender }
        };
        Ok(Self {
            sender,
            content,
            refunded: e.kind == REFUNDED,
            deadline,
            pending,
            share: e.share,
            enqueued_at: e.enqueuedAt.to(),
            ahead: e.ahead.to(),
        })
    }
}
