//! Every message of the API, and what sequencer, prover and client make of it.

#![no_main]

use kerros_client::receipt::{decode, decode_opening};
use kerros_client::sequencer::{AccountView, Info, SequencerError};
use kerros_fuzz::{bounded, choose};
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::batch::OpenRecord;
use kerros_protocol::proto::*;
use kerros_protocol::transaction::SignedTransaction;
use kerros_protocol::transcript;
use kerros_prover::client::{CallError, Deployment};
use kerros_sequencer::api::convert;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tonic::{Code, Status};

/// Bytes for structures, and for each byte of a message: a repeated message of two bytes is a whole
/// structure in memory, in a vector that doubles.
const FIXED: usize = 16_384;
const FACTOR: usize = 512;

/// Reads it, writes it, reads the same again.
fn message<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<M> {
    let message = bounded(bytes, FIXED, FACTOR, |bytes| M::decode(bytes)).ok()?;
    let again = M::decode(message.encode_to_vec().as_slice());
    assert_eq!(again.as_ref(), Ok(&message), "what was written is read back");
    Some(message)
}

fn record(index: u32) -> Option<OpenRecord> {
    let asset = AssetId::new(1).expect("not 0");
    let key = AccountKey::new(5u64.into()).expect("not 0");
    let index = AccountIndex::new(index).ok()?;
    Some(OpenRecord { index, asset, owner: Address([1; 20]), key })
}

fn receipt(message: &Receipt) {
    let Ok(read) = decode(message) else { return };
    assert_eq!(convert::receipt(read.clone()), *message, "receipt");
    let _ = read.digest(7u64.into());
}

fn opening(message: &OpeningReceipt) {
    let Some(record) = record(message.index) else { return };
    let Ok(read) = decode_opening(message, record) else { return };
    assert_eq!(convert::opening(read.clone()), *message, "opening");
    let _ = read.digest(7u64.into());
}

fn account(message: Option<Account>) {
    let Ok(view) = AccountView::read(message.clone()) else { return };
    assert_eq!(Some(convert::account(view.index, &view.account)), message, "account");
    view.account.words();
}

fn open_account(request: OpenAccountRequest) {
    let asset = convert::asset("asset", request.asset);
    let owner = convert::address("owner", &request.owner);
    let key = convert::key("key", &request.key);
    if let (Ok(asset), Ok(owner), Ok(key)) = (asset, owner, key) {
        let (key, owner) = (key.to_be().to_vec(), owner.0.to_vec());
        assert_eq!(OpenAccountRequest { asset: asset.get().into(), owner, key }, request);
    }
}

fn get_account(request: GetAccountRequest) {
    match request.by {
        Some(get_account_request::By::Index(index)) => {
            let _ = convert::index("index", index);
        }
        Some(get_account_request::By::Triple(AccountTriple { key, asset, owner })) => {
            open_account(OpenAccountRequest { asset, owner, key });
        }
        None => {}
    }
}

fn info(message: GetInfoResponse) {
    let deployment = Deployment::read(&message);
    let Ok(info) = Info::read(message) else { return };
    assert_eq!(info.domain, transcript::domain(info.chain_id, &info.contract));
    let _ = info.receipt_signer();
    if let Some(key) = &info.verification_key {
        let deployment = deployment.expect("a key's hash has 32 bytes");
        assert_eq!((deployment.domain, deployment.vk_hash), (info.domain, key.hash()));
    }
}

/// A refusal as it comes in trailers: details of any bytes.
fn status(bytes: &[u8]) {
    let Some((code, details)) = bytes.split_first() else { return };
    let status =
        || Status::with_details(Code::from_i32((code % 17).into()), "x", details.to_vec().into());
    let detail = bounded(bytes, FIXED, FACTOR, |_| RejectionDetail::from_status(&status()));
    let _ = SequencerError::from(status()).is_transient();
    let _ = CallError::from(status()).is_transient();
    if let Some(detail) = detail {
        let sent = detail.clone().into_status(Code::Aborted);
        assert_eq!(RejectionDetail::from_status(&sent), Some(detail));
    }
}

fn responses(kind: u8, bytes: &[u8]) {
    match kind {
        0 => drop(message::<GetInfoResponse>(bytes).map(info)),
        1 => {
            let answer = message::<OpenAccountResponse>(bytes);
            answer.and_then(|answer| answer.receipt).as_ref().map(opening);
        }
        2 => {
            let answer = message::<SubmitTransactionResponse>(bytes);
            answer.and_then(|answer| answer.receipt).as_ref().map(receipt);
        }
        3 => {
            use submit_transactions_response::Result::Receipt;
            let answer = message::<SubmitTransactionsResponse>(bytes);
            if let Some(Receipt(found)) = answer.and_then(|answer| answer.result) {
                receipt(&found);
            }
        }
        4 => drop(message::<GetAccountResponse>(bytes).map(|answer| account(answer.account))),
        5 => {
            let answer = message::<ListAccountsResponse>(bytes).unwrap_or_default();
            answer.accounts.into_iter().for_each(|found| account(Some(found)));
        }
        6 => {
            message::<FollowReceiptsResponse>(bytes);
        }
        7 => {
            let Some(answer) = message::<GetTransactionResponse>(bytes) else { return };
            answer.receipt.as_ref().map(receipt);
            let _ = (SignedTransaction::decode(&answer.transaction), answer.state());
        }
        8 => {
            message::<GetBatchResponse>(bytes);
        }
        9 => {
            message::<ListBatchesResponse>(bytes);
        }
        10 => {
            message::<WatchBatchesResponse>(bytes);
        }
        11 => drop(message::<SealBatchResponse>(bytes)),
        12 => drop(message::<GrowLedgerResponse>(bytes)),
        13 => drop(message::<LeaseBatchResponse>(bytes)),
        14 => drop(message::<HeartbeatResponse>(bytes)),
        15 => drop(message::<SubmitProofResponse>(bytes)),
        16 => drop(message::<ReleaseLeaseResponse>(bytes)),
        17 => drop(message::<GetBatchDataResponse>(bytes)),
        18 => drop(message::<FollowBatchesResponse>(bytes)),
        _ => status(bytes),
    }
}

fn requests(kind: u8, bytes: &[u8]) {
    match kind {
        0 => drop(message::<GetInfoRequest>(bytes)),
        1 => drop(message::<OpenAccountRequest>(bytes).map(open_account)),
        2 => drop(message::<SubmitTransactionRequest>(bytes)),
        3 => drop(message::<SubmitTransactionsRequest>(bytes)),
        4 => drop(message::<GetAccountRequest>(bytes).map(get_account)),
        5 => drop(message::<ListAccountsRequest>(bytes)),
        6 => drop(message::<FollowReceiptsRequest>(bytes)),
        7 => {
            let id = message::<GetTransactionRequest>(bytes).unwrap_or_default().transaction_id;
            assert_eq!(convert::bytes::<32>("transaction_id", &id).is_ok(), id.len() == 32);
        }
        8 => drop(message::<GetBatchRequest>(bytes)),
        9 => drop(message::<ListBatchesRequest>(bytes)),
        10 => drop(message::<WatchBatchesRequest>(bytes)),
        11 => drop(message::<SealBatchRequest>(bytes)),
        12 => drop(message::<GrowLedgerRequest>(bytes)),
        13 => drop(message::<LeaseBatchRequest>(bytes)),
        14 => drop(message::<HeartbeatRequest>(bytes)),
        15 => drop(message::<SubmitProofRequest>(bytes)),
        16 => drop(message::<ReleaseLeaseRequest>(bytes)),
        17 => drop(message::<GetBatchDataRequest>(bytes)),
        _ => drop(message::<FollowBatchesRequest>(bytes)),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 40) else { return };
    match kind {
        0..20 => responses(kind, rest),
        _ => requests(kind - 20, rest),
    }
});
