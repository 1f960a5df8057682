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

/// A receipt as the API carries it.
pub fn decode(message: &proto::Receipt) -> Result<Receipt, SequencerError> {
    let order = u16::try_from(message.order);
    Ok(Receipt {
        promise: Promise {
            id: TransactionId(array(&message.transaction_id)?),
            batch: message.batch_number,
            order: order.map_err(|_| SequencerError::Nonsense("a receipt's place"))?,
            previous: array(&message.previous)?,
            deadline_ms: message.deadline_ms,
        },
        index: message.group_index,
        count: message.group_count,
        path: message.path.iter().map(|hash| array(hash)).collect::<Result<_, _>>()?,
        signature: array(&message.signature)?,
    })
}

/// The receipt of an opening as the API carries it, for the account that was asked for.
pub fn decode_opening(
    message: &proto::OpeningReceipt,
    record: OpenRecord,
) -> Result<Receipt<Opening>, SequencerError> {
    if message.index != record.index.get() {
        return Err(SequencerError::Nonsense("the receipt is another account's"));
    }
    Ok(Receipt {
        promise: Opening {
            record,
            batch: message.batch_number,
            previous: array(&message.previous)?,
            deadline_ms: message.deadline_ms,
        },
        index: message.group_index,
        count: message.group_count,
        path: message.path.iter().map(|hash| array(hash)).collect::<Result<_, _>>()?,
        signature: array(&message.signature)?,
    })
}
