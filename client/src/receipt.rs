//! Receipts as the API carries them; checking them is `kerros_verifier::receipt`.

use crate::sequencer::SequencerError;
use kerros_protocol::batch::OpenRecord;
use kerros_protocol::proto;
use kerros_protocol::receipt::{Opening, Promise, Receipt};
use kerros_protocol::transaction::TransactionId;

pub use kerros_verifier::receipt::{ReceiptCheck, ReceiptFault, check_deadline};

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], SequencerError> {
    bytes.try_into().map_err(|_| SequencerError::Nonsense("a receipt's field has another length"))
}

/// What receipts of both kinds carry beside their promise.
fn signed<P>(
    promise: P,
    (index, count): (u32, u32),
    path: &[Vec<u8>],
    signature: &[u8],
) -> Result<Receipt<P>, SequencerError> {
    let path = path.iter().map(|hash| array(hash)).collect::<Result<_, _>>()?;
    Ok(Receipt { promise, index, count, path, signature: array(signature)? })
}

/// A receipt as the API carries it.
pub fn decode(message: &proto::Receipt) -> Result<Receipt, SequencerError> {
    let order = u16::try_from(message.order);
    let promise = Promise {
        id: TransactionId(array(&message.transaction_id)?),
        batch: message.batch_number,
        order: order.map_err(|_| SequencerError::Nonsense("a receipt's place"))?,
        previous: array(&message.previous)?,
        deadline_ms: message.deadline_ms,
    };
    let place = (message.group_index, message.group_count);
    signed(promise, place, &message.path, &message.signature)
}

/// The receipt of an opening as the API carries it, for the account that was asked for.
pub fn decode_opening(
    message: &proto::OpeningReceipt,
    record: OpenRecord,
) -> Result<Receipt<Opening>, SequencerError> {
    if message.index != record.index.get() {
        return Err(SequencerError::Nonsense("the receipt is another account's"));
    }
    let promise = Opening {
        record,
        batch: message.batch_number,
        previous: array(&message.previous)?,
        deadline_ms: message.deadline_ms,
    };
    let place = (message.group_index, message.group_count);
    signed(promise, place, &message.path, &message.signature)
}
