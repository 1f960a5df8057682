//! Between the API's plain messages and checked types.

use super::refusal::Refusal;
use crate::journal::{BatchRecord, ProofRecord, SettlementRecord};
use crate::ordering::Shared;
use kerros_protocol::account::{Account, AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::batch::Shape;
use kerros_protocol::encoding::fr_to_be;
use kerros_protocol::proto;
use kerros_protocol::receipt::{Opening, Receipt};

pub fn bytes<const N: usize>(field: &str, bytes: &[u8]) -> Result<[u8; N], Refusal> {
    let wrong = |_| Refusal::argument(field, format!("{} bytes, needs {N}", bytes.len()));
    bytes.try_into().map_err(wrong)
}
pub fn key(field: &str, value: &[u8]) -> Result<AccountKey, Refusal> {
    let value = bytes::<32>(field, value)?;
    AccountKey::from_be(&value).map_err(|error| Refusal::argument(field, error))
}
pub fn address(field: &str, value: &[u8]) -> Result<Address, Refusal> {
    Ok(Address(bytes(field, value)?))
}
pub fn asset(field: &str, value: u32) -> Result<AssetId, Refusal> {
    let range = format!("{value} is outside 1..=65535");
    let value = u16::try_from(value).map_err(|_| Refusal::argument(field, range))?;
    AssetId::new(value).map_err(|error| Refusal::argument(field, error))
}
pub fn index(field: &str, value: u32) -> Result<AccountIndex, Refusal> {
    AccountIndex::new(value).map_err(|error| Refusal::argument(field, error))
}

pub fn sections(counts: [u32; 5]) -> proto::Sections {
    let [opens, deposits, transfers, exits, collects] = counts;
    proto::Sections { opens, deposits, transfers, exits, collects }
}
pub fn shape(shape: &Shape) -> proto::Sections {
    sections(shape.sections())
}
pub fn account(index: AccountIndex, account: &Account) -> proto::Account {
    proto::Account {
        index: index.get(),
        key: fr_to_be(&account.key).to_vec(),
        balance: account.balance,
        nonce: account.nonce,
        asset: account.asset.into(),
        owner: account.owner.0.to_vec(),
    }
}
pub fn receipt(receipt: Receipt) -> proto::Receipt {
    let Receipt { promise, index, count, path, signature } = receipt;
    proto::Receipt {
        transaction_id: promise.id.0.to_vec(),
        batch_number: promise.batch,
        order: promise.order.into(),
        previous: promise.previous.to_vec(),
        deadline_ms: promise.deadline_ms,
        group_index: index,
        group_count: count,
        path: path.iter().map(|hash| hash.to_vec()).collect(),
        signature: signature.to_vec(),
    }
}
pub fn opening(receipt: Receipt<Opening>) -> proto::OpeningReceipt {
    let Receipt { promise, index, count, path, signature } = receipt;
    proto::OpeningReceipt {
        index: promise.record.index.get(),
        batch_number: promise.batch,
        previous: promise.previous.to_vec(),
        deadline_ms: promise.deadline_ms,
        group_index: index,
        group_count: count,
        path: path.iter().map(|hash| hash.to_vec()).collect(),
        signature: signature.to_vec(),
    }
}

fn proof(record: ProofRecord) -> proto::ProofInfo {
    let phase = |phase: crate::journal::PhaseRecord| proto::Phase {
        name: phase.name,
        micros: phase.micros,
    };
    proto::ProofInfo {
        prover_id: record.prover_id,
        epoch: record.epoch,
        phases: record.phases.into_iter().map(phase).collect(),
        constraints: record.constraints,
        verified_ms: record.verified_ms,
        verify_micros: record.verify_micros,
        proof: record.proof,
    }
}
fn settlement(record: SettlementRecord) -> proto::Settlement {
    proto::Settlement {
        transaction_hash: record.transaction,
        block_number: record.block,
        gas_used: record.gas_used,
        posted_ms: record.posted_ms,
        final_ms: record.final_ms,
        calldata_len: record.calldata_len,
    }
}
/// A sealed batch without data and proof bytes.
pub fn batch(record: BatchRecord) -> proto::Batch {
    let mut out = batch_with_proof(record);
    if let Some(proof) = &mut out.proof {
        proof.proof.clear();
    }
    out
}
/// A sealed batch without data.
pub fn batch_with_proof(record: BatchRecord) -> proto::Batch {
    let mut counts = [0; 5];
    counts.iter_mut().zip(&record.counts).for_each(|(slot, count)| *slot = *count);
    proto::Batch {
        number: record.number,
        state: record.state,
        counts: Some(sections(counts)),
        k: record.k,
        grows: record.grows,
        old_root: record.old_root,
        new_root: record.new_root,
        queue_first: record.first,
        queue_end: record.end,
        sealed_ms: record.sealed_ms,
        data: Vec::new(),
        proof: record.proof.map(proof),
        settlement: record.settlement.map(settlement),
        data_len: record.data_len,
        opened_ms: record.opened_ms,
        quarantined: record.quarantined,
    }
}
/// The open batch as it is now.
pub async fn open_batch(shared: &Shared) -> proto::Batch {
    let execution = shared.read().await;
    let head = execution.head();
    proto::Batch {
        number: head.number,
        state: proto::BatchState::Open.into(),
        counts: Some(sections(execution.counts())),
        k: head.k.into(),
        grows: head.grows,
        queue_first: head.first,
        queue_end: execution.queue_next(),
        opened_ms: head.opened_ms,
        ..proto::Batch::default()
    }
}
