//! What waits for the single writer: commands, and transactions in the order they will be executed.
//!
//! The ordering rule: of the transactions that wait, the one with the highest fee (in units of its
//! asset) is next, of equal ones the one that came first; but transactions of one stream are
//! executed in the stream's order, and those of one account by nonce. A transaction whose nonce is
//! ahead is parked for a while, without holding up its stream.

mod parked;
mod pool;

pub use parked::Parked;
pub use pool::Pool;

use crate::admission::{Digest, Reply, Seat};
use crate::execution::{OpenError, QueueEntry};
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::eddsa::SignatureError;
use kerros_protocol::transaction::{SignedTransaction, TransactionId};
use tokio::sync::oneshot;

/// What the main chain says, at the confirmation depth unless noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChainView {
    /// Last registered asset.
    pub last_asset: u16,
    /// One more than the last queue entry.
    pub queue_final: u64,
    /// The same at the newest block.
    pub queue_seen: u64,
    /// Deposits waiting in the queue at the newest block.
    pub pending_deposits: u32,
}

/// An account asked for and given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Its index.
    pub index: AccountIndex,
    /// The open batch if that opens it, else 0.
    pub batch: u64,
    /// Whether this request opened it.
    pub opened: bool,
}

/// A transaction whose signature was checked.
pub struct Pending {
    /// Its id.
    pub id: TransactionId,
    /// Of the bytes it came in.
    pub digest: Digest,
    /// The transaction.
    pub signed: Box<SignedTransaction>,
    /// Result of the check.
    pub verified: Result<(), SignatureError>,
    /// The stream it came in; 0 for a single call.
    pub stream: u64,
    /// Answered when durable.
    pub reply: Reply,
    /// Held until answered.
    pub seat: Seat,
}

/// What the writer is asked to do. A reply that nobody waits for is dropped.
pub enum Command {
    /// Transactions whose signatures were checked.
    Transactions {
        /// Chunks are executed in the order of their numbers, from 0.
        chunk: u64,
        /// In order.
        transactions: Vec<Pending>,
    },
    /// Open an account.
    Open {
        /// Asset.
        asset: AssetId,
        /// Owner.
        owner: Address,
        /// Key.
        key: AccountKey,
        /// Answered when durable.
        reply: oneshot::Sender<Result<Opened, OpenError>>,
        /// Held until answered.
        seat: Seat,
    },
    /// Queue entries that follow the ones given before, and the chain's view.
    Chain {
        /// Numbers and contents, in order.
        entries: Vec<(u64, QueueEntry)>,
        /// The view.
        view: ChainView,
    },
    /// Seal now; answers the batch's number, 0 if there was nothing.
    Seal {
        /// Answered when durable.
        reply: oneshot::Sender<u64>,
    },
    /// Double the ledger with the next batch; answers the k it will have.
    Grow {
        /// Answered when durable.
        reply: oneshot::Sender<u8>,
    },
    /// Time has passed.
    Tick,
    /// Finish what is queued and return.
    Stop,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Pending;
    use crate::admission::{Answer, Digest, Hall, Reply};
    use ark_bn254::Fr;
    use kerros_protocol::account::{AccountIndex, AccountKey, Address};
    use kerros_protocol::amount::Fee;
    use kerros_protocol::eddsa::PrivateKey;
    use kerros_protocol::transaction::{SignedTransaction, Transaction, Transfer};
    use tokio::sync::oneshot;

    /// A transfer of account 1 to itself, and where its answer arrives.
    pub fn asked(stream: u64, nonce: u32, fee: u64) -> (Pending, oneshot::Receiver<Answer>) {
        let index = AccountIndex::new(1).expect("in range");
        let secret = PrivateKey::from_bytes([1; 32]);
        let transaction = Transaction::Transfer(Transfer {
            from: index,
            to: index,
            amount: 1,
            fee: Fee::exact(fee).expect("exact"),
            nonce,
            payee_key: AccountKey::new(Fr::from(5u64)).expect("not 0"),
            payee_owner: Address([1; 20]),
        });
        let signed = Box::new(SignedTransaction::sign(transaction, &secret, Fr::from(1u64)));
        let (reply, answer) = oneshot::channel();
        let seat = Hall::default().source().try_seat().expect("nobody has one");
        let (id, reply) = (signed.transaction.id(), Reply::Once(reply));
        let digest = Digest::of(&signed.encode());
        (Pending { id, digest, signed, verified: Ok(()), stream, reply, seat }, answer)
    }
    /// The same, if nobody listens.
    pub fn pending(stream: u64, nonce: u32, fee: u64) -> Pending {
        asked(stream, nonce, fee).0
    }
}
