//! Clients of a process that keep an independent journal of what they were told, and the oracle: all of
//! it is part of what a restart brings back, once, in the same order, with balanced books and the same
//! root.

use crate::child::{BALANCE, PAYERS, Process, Site};
use crate::rig::{account_key, owner};
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::proto::prover_service_client::ProverServiceClient;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{self, GetInfoRequest, RejectionDetail};
use kerros_protocol::transaction::SignedTransaction;
use kerros_protocol::transition::replay;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::journal::Journal;
use kerros_verifier::trapdoor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::transport::Channel;

/// What a client was told.
#[derive(Default, Clone)]
pub struct Told {
    /// Signed bytes and receipt.
    pub transactions: Vec<(Vec<u8>, proto::Receipt)>,
    /// Key name and index.
    pub accounts: Vec<(u8, u32)>,
}

/// Pays from one account until the connection breaks; never skips a nonce that may be used.
pub async fn pay(
    rig_domain: ark_bn254::Fr,
    payer: u8,
    mut client: SequencerServiceClient<Channel>,
    told: Arc<Mutex<Told>>,
) {
    let index = u32::from(payer);
    let by = Some(proto::get_account_request::By::Index(index));
    let Ok(account) = client.get_account(proto::GetAccountRequest { by }).await else { return };
    let first = account.into_inner().account.unwrap().nonce;
    for nonce in first.. {
        let payee = payer % PAYERS + 1;
        let transaction = crate::rig::transfer(index, (payee.into(), payee), 1, 0, nonce);
        let secret = crate::rig::secret(payer);
        let bytes = SignedTransaction::sign(transaction, &secret, rig_domain).encode();
        let request = proto::SubmitTransactionRequest { transaction: bytes.clone() };
        match client.submit_transaction(request).await {
            Ok(answer) => {
                let receipt = answer.into_inner().receipt.unwrap();
                told.lock().unwrap().transactions.push((bytes, receipt));
            }
            // The process is gone.
            Err(_) => return,
        }
    }
}

/// Proves whatever is sealed until the connection breaks.
pub async fn prove(key: VerificationKey, domain: ark_bn254::Fr, address: String) {
    let Ok(mut client) = ProverServiceClient::connect(format!("http://{address}")).await else {
        return;
    };
    loop {
        let request = proto::LeaseBatchRequest { prover_id: "p".to_owned(), wait_ms: 1_000 };
        let Ok(answer) = client.lease_batch(request).await else { return };
        let Some(lease) = answer.into_inner().lease else { continue };
        let batch = SealedBatch::decode(&lease.sealed_batch, &key.shape).unwrap();
        let request = proto::SubmitProofRequest {
            batch_number: lease.batch_number,
            epoch: lease.epoch,
            proof: trapdoor::prove(&key, domain, &batch).unwrap().encode(),
            phases: Vec::new(),
            constraints: 0,
        };
        match client.submit_proof(request).await {
            Ok(_) => {}
            Err(status) if RejectionDetail::from_status(&status).is_some() => {
                assert_eq!(crate::rig::reason(&status), "STALE_LEASE");
            }
            Err(_) => return,
        }
    }
}

pub async fn open_accounts(
    first: u8,
    mut client: SequencerServiceClient<Channel>,
    told: Arc<Mutex<Told>>,
) {
    for name in first..first.saturating_add(3) {
        let request = proto::OpenAccountRequest {
            asset: 1,
            owner: owner(1).0.to_vec(),
            key: account_key(name).to_be().to_vec(),
        };
        let Ok(answer) = client.open_account(request).await else { return };
        told.lock().unwrap().accounts.push((name, answer.into_inner().index));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Payers, who go on until the connection breaks.
pub async fn load(
    site: &Site,
    process: &Process,
    told: &Arc<Mutex<Told>>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let url = format!("http://{}", process.address);
    let Ok(client) = SequencerServiceClient::connect(url).await else { return Vec::new() };
    let pay = |payer| tokio::spawn(pay(site.domain, payer, client.clone(), Arc::clone(told)));
    (1..=PAYERS).map(pay).collect()
}

/// Why a check against a running sequencer did not come to its end.
#[derive(Debug)]
pub enum Unsound {
    /// The process died meanwhile: nothing is shown.
    Gone,
    /// Something acknowledged is not there, or was changed.
    Lost(String),
}

fn unsound(status: &tonic::Status) -> Unsound {
    match RejectionDetail::from_status(status) {
        Some(detail) => Unsound::Lost(detail.reason),
        None => Unsound::Gone,
    }
}

/// Whether a running sequencer knows everything told from number `from` on and its books balance.
pub async fn check(process: &Process, told: &Told, from: usize) -> Result<(), Unsound> {
    let url = format!("http://{}", process.address);
    let client = SequencerServiceClient::connect(url).await;
    let mut client = client.map_err(|_| Unsound::Gone)?;
    loop {
        let info = client.get_info(GetInfoRequest {}).await.map_err(|status| unsound(&status))?;
        if info.into_inner().queue_next >= PAYERS.into() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (n, (bytes, receipt)) in told.transactions.iter().enumerate().skip(from) {
        let request =
            proto::GetTransactionRequest { transaction_id: receipt.transaction_id.clone() };
        let found = client.get_transaction(request).await.map_err(|status| unsound(&status))?;
        let found = found.into_inner();
        if found.receipt.as_ref() != Some(receipt) || &found.transaction != bytes {
            return Err(Unsound::Lost(format!("{receipt:?} became {:?}", found.receipt)));
        }
        if n.is_multiple_of(16) {
            let request = proto::SubmitTransactionRequest { transaction: bytes.clone() };
            let again = client.submit_transaction(request).await;
            let again = again.map_err(|status| unsound(&status))?.into_inner();
            if again.receipt.as_ref() != Some(receipt) {
                return Err(Unsound::Lost(format!("{receipt:?} again is {:?}", again.receipt)));
            }
        }
    }
    let mut acknowledged = HashMap::new();
    for (bytes, _) in &told.transactions {
        *acknowledged.entry(bytes[1..5].to_vec()).or_insert(0u32) += 1;
    }
    let mut total = 0;
    for index in 1..=u32::from(PAYERS) {
        let by = Some(proto::get_account_request::By::Index(index));
        let found = client.get_account(proto::GetAccountRequest { by }).await;
        let account = found.map_err(|status| unsound(&status))?.into_inner().account.unwrap();
        total += account.balance;
        let count = acknowledged.get(index.to_be_bytes().as_slice()).copied().unwrap_or(0);
        if account.nonce < count {
            let nonce = account.nonce;
            return Err(Unsound::Lost(format!("account {index}: {count} told, nonce {nonce}")));
        }
    }
    assert_eq!(total, u64::from(PAYERS) * BALANCE, "money is neither made nor lost");
    Ok(())
}

/// The log of a stopped sequencer, read without it: receipts chain, nothing is there twice, what was
/// told is there in the order it was told in, and sealed batches replay to the same root.
pub fn audit(site: &Site, told: &Told) {
    let journal = Journal::open(&site.data()).unwrap();
    let (mut at, mut previous, mut places) = ((1, 0), [0; 32], HashMap::new());
    while let Some(group) = journal.next_group(at.0, at.1).unwrap() {
        assert!(
            (group.batch, group.sequence) == at || (group.batch, group.sequence) == (at.0 + 1, 0)
        );
        assert_eq!(group.seal.previous, previous, "receipts chain");
        for signed in group.transactions() {
            let place = places.len();
            let before = places.insert(signed.transaction.id().0.to_vec(), place);
            assert_eq!(before, None, "executed twice");
        }
        let mark = group.mark(site.domain);
        (at, previous) = ((mark.batch, mark.sequence), mark.receipt);
    }
    let mut last = HashMap::new();
    for (bytes, receipt) in &told.transactions {
        let place = places.get(&receipt.transaction_id).expect("acknowledged, so in the log");
        let before = last.insert(&bytes[1..5], *place);
        assert!(before.is_none_or(|before| before < *place), "told in another order");
    }
    let checkpoint = journal.checkpoint().unwrap().unwrap();
    let mut ledger = Ledger::new(site.key.k_genesis);
    for number in 1..checkpoint.head.number {
        let sealed = journal.sealed(number).unwrap().expect("before the checkpoint");
        let batch = SealedBatch::decode(&sealed, &site.key.shape).unwrap();
        if batch.before_growth.is_some() {
            ledger.grow();
        }
        replay(&mut ledger, &batch.data).unwrap();
    }
    if checkpoint.before_growth.is_some() {
        ledger.grow();
    }
    let lagrange = site.srs.lagrange(checkpoint.head.k).unwrap();
    assert_eq!(ledger.commit(&lagrange), checkpoint.commitments, "the same root");
    println!(
        "{} acknowledged, {} in the log, {} batches",
        told.transactions.len(),
        places.len(),
        checkpoint.head.number - 1
    );
}
