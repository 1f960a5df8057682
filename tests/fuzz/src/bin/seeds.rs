//! Writes the first corpus from real objects: a contract on the embedded chain, an account, a deposit, a
//! payment, a forced exit and the batch that serves them, posted and accepted; receipts, messages, rows and
//! files of the same. Not a target, but built like one, so that nothing is built twice: `run seeds`.

#![no_main]

use alloy::primitives::{Address as ChainAddress, B256, U256};
use alloy::signers::SignerSync;
use alloy::sol_types::SolCall;
use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use kerros_client::contract::Contract;
use kerros_client::deployment::{Terms, deploy_kerros, deploy_test_token};
use kerros_client::wallet::Wallet as Holder;
use kerros_protocol::account::{Account, AccountIndex, Address};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{
    Authorisation, BatchData, DepositRecord, ExitRecord, OpenRecord, SealedBatch, Shape,
    TransferRecord,
};
use kerros_protocol::commitment::{Commitments, SrsHeader, SrsWriter};
use kerros_protocol::encoding::{fr_to_be, g1_to_be, g2_to_be};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::proto::{self, BatchState};
use kerros_protocol::receipt::{Opening, Promise, Promised, Receipt};
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::api::convert;
use kerros_sequencer::execution::QueueEntry;
use kerros_sequencer::journal::{
    AttemptEvent, BatchRecord, Checkpoint, Group, GroupSeal, Happened, Head, LeaseRecord,
    Operation, Origin, PostRecord, ProofRecord, ReceiptPlace, keys,
};
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::rpc::{RpcOptions, router};
use kerros_sequencer::main_chain::{
    At, Call, Embedded, Genesis, LogQuery, MainChain, Wallet, deploy,
};
use kerros_verifier::contract::Kerros;
use kerros_verifier::promise::{Held, Subject};
use kerros_verifier::{post, trapdoor};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tower::ServiceExt;

/// Seeds of all targets: the byte that chooses a decoder, then its input.
#[derive(Default)]
struct Seeds(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, kind: u8, input: impl AsRef<[u8]>) {
        let seed = [&[kind], input.as_ref()].concat();
        self.0.entry(target).or_default().push(seed);
    }
    fn write(&self, corpus: &Path) {
        for (target, seeds) in &self.0 {
            let directory = corpus.join(target);
            std::fs::create_dir_all(&directory).expect("a directory");
            for seed in seeds {
                let name = &blake3::hash(seed).to_hex()[..16];
                std::fs::write(directory.join(name), seed).expect("written");
            }
            println!("{target}: {} seeds", seeds.len());
        }
    }
}

/// What everything below is about.
struct Scene {
    key: VerificationKey,
    domain: Fr,
    contract: Address,
    batch: SealedBatch,
    proof: kerros_protocol::transcript::BatchProof,
    payment: SignedTransaction,
    withdrawal: SignedTransaction,
    open: OpenRecord,
    account: Account,
    holder: Holder,
}

/// Deploys, deposits, asks for an exit and posts.
async fn scene(chain: &Arc<dyn MainChain>) -> Scene {
    let (operator, admin) =
        (Wallet::new(development_wallet(0)), Wallet::new(development_wallet(1)));
    let shape = Shape::new([2, 1, 4, 2, 1]).expect("a good shape");
    let key = trapdoor::key(shape, 4, 6);
    let terms = Terms::usual(operator.address(), admin.address());
    // A creation that is short.
    deploy(&**chain, &operator, vec![0].into()).await.expect("deployed");
    let contract = deploy_kerros(&**chain, &operator, &key, &terms).await.expect("deployed");
    let token = deploy_test_token(&**chain, &admin, "Test", "TST", 6).await.expect("deployed");
    let kerros = Contract::new(Arc::clone(chain), contract);
    let asset = kerros.register_asset(&admin, token, 0).await.expect("registered").value;
    let holder = Holder::from_bytes([1; 32], &operator.signer().to_bytes().0).expect("keys");
    let (owner, account_key) = (holder.address(), holder.account_key());
    kerros.mint(&operator, token, owner, U256::from(1_000)).await.expect("minted");
    let asset = kerros.asset(asset).await.expect("registered");
    kerros.deposit(&operator, &asset, 1_000, account_key, owner).await.expect("queued");
    let index = AccountIndex::FIRST;
    let domain = transcript::domain(chain.chain_id().await.expect("embedded"), &contract);
    let fee = Fee::exact(0).expect("exact");
    let transfer = Transfer {
        from: index,
        to: index,
        amount: 5,
        fee,
        nonce: 0,
        payee_key: account_key,
        payee_owner: owner,
    };
    let exit = Exit { from: index, amount: 7, fee, nonce: 1, asset: asset.id, recipient: owner };
    let sign = |transaction| SignedTransaction::sign(transaction, holder.layer2(), domain);
    let (payment, withdrawal) =
        (sign(Transaction::Transfer(transfer)), sign(Transaction::Exit(exit)));
    let open = OpenRecord { index, asset: asset.id, owner, key: account_key };
    let (amount, forced) = (1_000, false);
    let data = BatchData {
        opens: vec![open],
        deposits: vec![DepositRecord { index, amount, asset: asset.id, key: account_key, owner }],
        transfers: vec![TransferRecord { from: index, to: index, amount: 5, fee }],
        exits: vec![ExitRecord {
            from: index,
            amount: 7,
            fee,
            forced,
            asset: asset.id.get(),
            recipient: owner,
        }],
        collects: Vec::new(),
    };
    let account =
        Account { key: account_key.get(), balance: 993, nonce: 2, asset: asset.id.get(), owner };
    let mut ledger = Ledger::new(4);
    ledger.set(index, account);
    let first = kerros.state().await.expect("deployed").head;
    let authorised = |order, signed: &SignedTransaction| Authorisation {
        order,
        public_key: signed.public_key,
        signature: signed.signature,
    };
    let batch = SealedBatch {
        number: 1,
        k: 4,
        before_growth: None,
        old: Commitments::empty(),
        new: trapdoor::commit(&ledger).expect("no divisor is 0"),
        first,
        end: first + 1,
        beneficiary: owner,
        data,
        transfers: vec![authorised(0, &payment)],
        exits: vec![Some(authorised(1, &withdrawal))],
    };
    let proof = trapdoor::prove(&key, domain, &batch).expect("no divisor is 0");
    let receipt = kerros.post(&operator, post::post(&batch, &proof)).await.expect("accepted");
    assert!(receipt.succeeded);
    kerros.force_exit(&operator, index).await.expect("queued");
    Scene { key, domain, contract, batch, proof, payment, withdrawal, open, account, holder }
}

fn protocol(seeds: &mut Seeds, s: &Scene) {
    for signed in [&s.payment, &s.withdrawal] {
        seeds.add("transactions", 0, signed.encode());
        seeds.add("transactions", 2, signed.transaction.encode());
    }
    let stream: Vec<u8> = (0..=255).collect();
    seeds.add("transactions", 3, &stream);
    seeds.add("transactions", 3, stream.repeat(3));
    let published = SealedBatch { transfers: Vec::new(), exits: Vec::new(), ..s.batch.clone() };
    let grown = SealedBatch { before_growth: Some(s.batch.new), k: 5, ..s.batch.clone() };
    seeds.add("batches", 0, s.batch.data.encode());
    for batch in [&s.batch, &published, &grown] {
        seeds.add("batches", 3, batch.encode());
    }
    seeds.add("batches", 6, s.account.encode());
    seeds.add("batches", 6, Account::EMPTY.encode());
    seeds.add("batches", 7, s.key.shape.to_string());
    seeds.add("proofs", 0, s.proof.encode());
    seeds.add("proofs", 1, s.batch.new.to_be());
    seeds.add("proofs", 2, g1_to_be(&G1Affine::generator()));
    seeds.add("proofs", 2, g1_to_be(&G1Affine::identity()));
    seeds.add("proofs", 3, g2_to_be(&G2Affine::generator()));
    seeds.add("proofs", 3, g2_to_be(&s.key.delta2));
    seeds.add("proofs", 4, fr_to_be(&-Fr::from(1u64)));
    let key = s.key.encode();
    seeds.add("keys", 0, &key);
    seeds.add("keys", 1, &key[..key.len() - 32]);
    let (k_genesis, k_max) = (1, 2);
    let tau_powers = s.key.tau_powers[..=usize::from(k_max)].to_vec();
    let header = SrsHeader { development: true, k_genesis, k_max, tau_powers };
    let mut writer = SrsWriter::new(Vec::new(), &header).expect("memory");
    let head = 15 + (usize::from(k_max) + 1) * 128;
    for k in k_genesis..=k_max {
        writer.lagrange(&vec![G1Affine::generator(); 1 << k]).expect("memory");
    }
    let file = writer.finish();
    seeds.add("keys", 2, &file[..head + 32]);
    seeds.add("keys", 3, &file[..head]);
    seeds.add("keys", 4, [&file[..head], &file[head + 32..]].concat());
    // The least proving key that has a layout: 10 variables, a domain of 2.
    let mut proving = b"KERROSPK".to_vec();
    proving.extend(2u32.to_be_bytes());
    proving.resize(128, 1);
    proving.extend(10u64.to_be_bytes());
    proving.extend(2u64.to_be_bytes());
    proving.resize(128 + 64 + 4 * 64 + 2 * 128 + 20 * 64 + 64 + 10 * 128, 0);
    seeds.add("keys", 5, proving);
    for kind in 0..12 {
        seeds.add("kernels", kind, stream.repeat(8));
    }
}

fn receipts(seeds: &mut Seeds, s: &Scene) -> (Receipt, Receipt<Opening>) {
    let signer = development_wallet(0);
    let id = s.payment.transaction.id();
    let promise = Promise { id, batch: 1, order: 0, previous: [0; 32], deadline_ms: 99 };
    let record = s.open;
    let opening = Opening { record, batch: 1, previous: [0; 32], deadline_ms: 99 };
    fn signed<P: Promised>(promise: P, domain: Fr, signer: &impl SignerSync) -> Receipt<P> {
        let mut receipt =
            Receipt { promise, index: 1, count: 2, path: vec![[3; 32]], signature: [0; 65] };
        let digest = receipt.digest(domain).expect("within its group");
        receipt.signature = signer.sign_hash_sync(&digest.into()).expect("signs").as_bytes();
        receipt
    }
    let (receipt, opening) =
        (signed(promise, s.domain, &signer), signed(opening, s.domain, &signer));
    let held = |subject| Held { chain_id: 31_337, contract: s.contract, subject }.to_json();
    let payment = held(Subject::Transaction(Box::new(s.payment), receipt.clone()));
    let withdrawal = held(Subject::Transaction(Box::new(s.withdrawal), receipt.clone()));
    let opened = held(Subject::Opening(opening.clone()));
    for text in [&payment, &withdrawal, &opened] {
        seeds.add("receipts", 0, text);
    }
    for (one, other) in [(&payment, &withdrawal), (&opened, &opened), (&payment, &opened)] {
        seeds.add("receipts", 1, format!("{one}\0{other}"));
    }
    seeds.add("receipts", 2, [&3u32.to_be_bytes()[..], &[7; 32 * 6]].concat());
    seeds.add("receipts", 3, [5; 24]);
    (receipt, opening)
}

async fn chain_side(seeds: &mut Seeds, s: &Scene, chain: &dyn MainChain, node: &axum::Router) {
    let address = ChainAddress::from(s.contract.0);
    let head = chain.head().await.expect("embedded").number;
    let query = LogQuery { from: 0, to: head, address, topic0: Vec::new() };
    let logs = chain.logs(query).await.expect("embedded");
    for log in &logs {
        let mut bytes = vec![u8::try_from(log.topics.len()).expect("at most four")];
        log.topics.iter().for_each(|topic| bytes.extend_from_slice(topic.as_slice()));
        bytes.extend_from_slice(&log.data);
        seeds.add("events", 0, &bytes);
        seeds.add("journal", 16, bytes);
    }
    let view = |call: Vec<u8>| Call { to: Some(address), input: call.into(), ..Call::default() };
    for index in 0..3 {
        let call = view(Kerros::queueEntryCall { index }.abi_encode());
        if let Ok(entry) = chain.call(call, At::Latest).await {
            seeds.add("events", 3, entry);
        }
    }
    let shape = chain.call(view(Kerros::shapeCall {}.abi_encode()), At::Latest).await;
    seeds.add("events", 5, shape.expect("a view"));
    let again = post::post(&s.batch, &s.proof);
    let calldata = Kerros::postCall { p: again }.abi_encode();
    match chain.call(view(calldata.clone()), At::Latest).await {
        Err(kerros_sequencer::main_chain::MainChainError::Reverted { data, .. }) => {
            seeds.add("events", 4, data);
        }
        other => panic!("a batch was accepted twice: {other:?}"),
    }
    // "Error(string)" with "no".
    let reason = "08c379a0".to_owned()
        + &format!("{:064x}{:064x}", 32, 2)
        + "6e6f000000000000000000000000000000000000000000000000000000000000";
    seeds.add("events", 4, hex::decode(reason).expect("hexadecimal"));
    seeds.add("calldata", 0, &calldata);
    let grown = SealedBatch { before_growth: Some(s.batch.new), k: 5, ..s.batch.clone() };
    let grown = Kerros::postCall { p: post::post(&grown, &s.proof) }.abi_encode();
    seeds.add("calldata", 0, &grown);
    let words = 4 + 32 + 37 * 32;
    let data = s.batch.data.encode();
    seeds.add("calldata", 1, [&calldata[36..words], &data].concat());
    for (kind, method, params) in [
        (0, "eth_getTransactionByHash", json!([logs[1].transaction])),
        (0, "eth_getTransactionByHash", json!([B256::ZERO])),
        (2, "eth_getLogs", json!([{"address": address, "fromBlock": "0x0", "toBlock": "latest"}])),
        (9, "eth_getBlockByNumber", json!(["0x1", true])),
        (9, "eth_getTransactionReceipt", json!([logs[1].transaction])),
        (9, "eth_call", json!([{"to": address, "input": "0x5b34b966"}, "latest"])),
        (9, "eth_estimateGas", json!([{"to": address, "value": "0x1"}])),
        (9, "eth_feeHistory", json!(["0x4", "latest", [10.0, 50.0]])),
        (9, "eth_getStorageAt", json!([address, "0x0", "latest"])),
        (9, "eth_sendRawTransaction", json!(["0x02f86c0102"])),
        (9, "eth_getCode", json!([address, {"blockHash": logs[0].block_hash}])),
        (9, "debug_traceTransaction", json!([logs[1].transaction])),
        (9, "eth_chainId", json!([])),
    ] {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = request.to_string();
        let (kind_of_node, rest) = (body.as_bytes()[0], &body.as_bytes()[1..]);
        seeds.add("node", kind_of_node, rest);
        let request = Request::post("/").body(Body::from(body)).expect("a request");
        let answer = node.clone().oneshot(request).await.expect("always answers").into_body();
        let answer = to_bytes(answer, 1 << 24).await.expect("a body");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let result = &answer["result"];
        match (kind, method) {
            (9, "eth_getBlockByNumber") => {
                seeds.add("answers", 3, result["transactions"].to_string().as_bytes());
            }
            (9, _) => {}
            _ => seeds.add("answers", kind, result.to_string()),
        }
    }
    let batch = json!([{"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber"}, {}]).to_string();
    seeds.add("node", batch.as_bytes()[0], &batch.as_bytes()[1..]);
}

fn messages(seeds: &mut Seeds, s: &Scene, receipt: &Receipt, opening: &Receipt<Opening>) {
    let record = batch_record(s);
    let receipt = Some(convert::receipt(receipt.clone()));
    let opening = Some(convert::opening(opening.clone()));
    let (transaction, sealed_batch) = (s.payment.encode(), s.batch.encode());
    let (key, owner) = (s.open.key.to_be().to_vec(), s.open.owner.0.to_vec());
    let account = Some(convert::account(s.open.index, &s.account));
    let batch = Some(convert::batch_with_proof(record));
    let id = s.payment.transaction.id().0.to_vec();
    let info = proto::GetInfoResponse {
        chain_id: 31_337,
        contract: s.contract.0.to_vec(),
        domain: fr_to_be(&s.domain).to_vec(),
        vk_hash: s.key.hash().to_vec(),
        shape: Some(convert::shape(&s.key.shape)),
        verification_key: s.key.encode(),
        receipt_signer: owner.clone(),
        ..Default::default()
    };
    let lease = proto::Lease { batch_number: 1, epoch: 2, sealed_batch, ..Default::default() };
    let detail = proto::RejectionDetail {
        reason: "WRONG_NONCE".to_owned(),
        transient: true,
        retry_after_ms: 250,
        message: "nonce 4, account expects 3".to_owned(),
        values: [("have".to_owned(), "4".to_owned())].into(),
    };
    let mut answers: Vec<(u8, Vec<u8>)> = vec![
        (0, info.encode_to_vec()),
        (
            1,
            proto::OpenAccountResponse {
                index: 1,
                batch_number: 1,
                opened: true,
                receipt: opening,
            }
            .encode_to_vec(),
        ),
        (2, proto::SubmitTransactionResponse { receipt: receipt.clone() }.encode_to_vec()),
        (4, proto::GetAccountResponse { account: account.clone() }.encode_to_vec()),
        (
            5,
            proto::ListAccountsResponse {
                accounts: account.into_iter().collect(),
                next_after_index: 1,
            }
            .encode_to_vec(),
        ),
        (
            7,
            proto::GetTransactionResponse {
                receipt,
                state: BatchState::Posted.into(),
                transaction: transaction.clone(),
            }
            .encode_to_vec(),
        ),
        (8, proto::GetBatchResponse { batch: batch.clone() }.encode_to_vec()),
        (
            9,
            proto::ListBatchesResponse {
                batches: batch.into_iter().collect(),
                next_before_number: 1,
            }
            .encode_to_vec(),
        ),
        (13, proto::LeaseBatchResponse { lease: Some(lease) }.encode_to_vec()),
    ];
    let status = detail.into_status(tonic::Code::FailedPrecondition);
    answers.push((19, [&[9], status.details()].concat()));
    let phases = vec![proto::Phase { name: "witness".to_owned(), micros: 5 }];
    let triple = proto::AccountTriple { key: key.clone(), asset: 1, owner: owner.clone() };
    use proto::get_account_request::By;
    let requests: Vec<(u8, Vec<u8>)> = vec![
        (1, proto::OpenAccountRequest { asset: 1, owner, key: key.clone() }.encode_to_vec()),
        (2, proto::SubmitTransactionRequest { transaction }.encode_to_vec()),
        (4, proto::GetAccountRequest { by: Some(By::Index(1)) }.encode_to_vec()),
        (4, proto::GetAccountRequest { by: Some(By::Triple(triple)) }.encode_to_vec()),
        (5, proto::ListAccountsRequest { key, page_size: 3, after_index: 1 }.encode_to_vec()),
        (7, proto::GetTransactionRequest { transaction_id: id }.encode_to_vec()),
        (
            15,
            proto::SubmitProofRequest {
                batch_number: 1,
                epoch: 2,
                proof: s.proof.encode(),
                phases,
                constraints: 9,
            }
            .encode_to_vec(),
        ),
    ];
    answers.into_iter().for_each(|(kind, bytes)| seeds.add("messages", kind, bytes));
    requests.into_iter().for_each(|(kind, bytes)| seeds.add("messages", kind + 20, bytes));
}

fn batch_record(s: &Scene) -> BatchRecord {
    BatchRecord {
        number: 1,
        state: BatchState::Verified.into(),
        counts: vec![1, 1, 1, 1, 0],
        k: 4,
        old_root: s.batch.old.root(4).0.to_vec(),
        new_root: s.batch.new.root(4).0.to_vec(),
        end: 1,
        proof: Some(ProofRecord {
            prover_id: "one".to_owned(),
            epoch: 2,
            proof: s.proof.encode(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn journal(seeds: &mut Seeds, s: &Scene) {
    let operations = vec![
        Operation::Open(s.open),
        Operation::Deposit { entry: s.batch.first, record: s.batch.data.deposits[0] },
        Operation::Signed(Box::new(s.payment)),
        Operation::Signed(Box::new(s.withdrawal)),
        Operation::ForcedExit { entry: 2, from: s.open.index, requester: s.open.owner },
    ];
    for operation in &operations {
        let mut bytes = Vec::new();
        operation.write(&mut bytes);
        seeds.add("journal", 6, bytes);
    }
    let seal = GroupSeal { first_order: 0, previous: [0; 32], deadline_ms: 99, signature: [1; 65] };
    let mut group = Group { batch: 2, sequence: 0, operations, seal };
    let stored = group.sign(s.domain, |_| [2; 65]).expect("it has transactions").store(&group.seal);
    seeds.add("journal", 3, [&[0; 4][..], &group.encode()].concat());
    seeds.add("journal", 5, &stored);
    let head = Head { number: 2, k: 5, grows: true, first: 1, opened_ms: 9 };
    let (commitments, before_growth) = (s.batch.new, Some(s.batch.old));
    let checkpoint = Checkpoint { head, commitments, before_growth };
    seeds.add("journal", 7, checkpoint.encode());
    let place = ReceiptPlace { batch: 2, sequence: 0, index: 1 }.encode();
    seeds.add("journal", 8, place);
    let deposit = &s.batch.data.deposits[0];
    for content in [
        QueueEntry::Deposit {
            amount: deposit.amount,
            asset: deposit.asset,
            key: deposit.key,
            owner: deposit.owner,
        },
        QueueEntry::ForcedExit { from: s.open.index, requester: s.open.owner },
    ] {
        let origin = Origin { block: 9, block_hash: B256::repeat_byte(4), log_index: 2, content };
        seeds.add("journal", 9, origin.encode());
    }
    let record = batch_record(s).encode_to_vec();
    seeds.add("journal", 10, &record);
    let signed = PostRecord { hash: vec![1; 32], raw: vec![2; 40], nonce: 3, ..Default::default() };
    let attempt = AttemptEvent { at_ms: 5, what: Some(Happened::Signed(signed)) }.encode_to_vec();
    seeds.add("journal", 11, &attempt);
    let lease = LeaseRecord { epoch: 2, prover_id: "one".to_owned(), failures: 1 };
    seeds.add("journal", 12, lease.encode_to_vec());
    seeds.add("journal", 15, [b"KERRWM01".as_slice(), &[0; 52]].concat());
    let mut rows = Vec::new();
    let mut row = |family: &str, key: &[u8], value: &[u8]| {
        let family = keys::FAMILIES.iter().position(|known| *known == family).expect("a family");
        rows.push(u8::try_from(family).expect("thirteen"));
        rows.push(u8::try_from(key.len()).expect("short"));
        rows.extend_from_slice(key);
        rows.extend(u16::try_from(value.len()).expect("short").to_be_bytes());
        rows.extend_from_slice(value);
    };
    let id = s.payment.transaction.id();
    row(keys::GROUPS, &keys::group(2, 0), &group.encode());
    row(keys::RECEIPTS, &keys::group(2, 0), &stored);
    row(keys::OPENINGS, &keys::group(2, 0), &stored);
    row(keys::TRANSACTIONS, &id.0, &place);
    row(keys::OPENED, &keys::account(s.open.index), &place);
    row(keys::ACCOUNTS, &keys::account(s.open.index), &s.account.encode());
    row(keys::RECORDS, &keys::batch(1), &record);
    row(keys::ATTEMPTS, &keys::attempt(1, 1, 0), &attempt);
    seeds.add("journal", 0, rows);
}

fn files(seeds: &mut Seeds, s: &Scene) {
    let wallet = std::env::temp_dir().join(format!("kerros-seed-{}.wallet", std::process::id()));
    s.holder.create(&wallet).expect("written");
    seeds.add("files", 3, std::fs::read(&wallet).expect("readable"));
    std::fs::remove_file(&wallet).expect("there");
    seeds.add("files", 4, [1; 64]);
    seeds.add("files", 0, "poll_ms = 500\nlog_format = \"json\"\noperator_calls = true\n");
    seeds.add(
        "files",
        0,
        "listen = \"127.0.0.1:1\"\nbatch_age_ms = 0x10\nmain_chain = \"http://u:p@h/x,http://i\"\n",
    );
    let domain = hex::encode(fr_to_be(&s.domain));
    let signer = hex::encode(s.open.owner.0);
    seeds.add("files", 2, format!("data_dir = \"d\"\nkey = 'k'\nowner = \"0x{signer}\"\n"));
    seeds.add("files", 5, format!("{domain} {signer} http://127.0.0.1:7400\n{domain} {signer}\n"));
    seeds.add("files", 6, "https://user:secret@example.org:8545/v3/key?token=1");
    seeds.add("files", 6, format!("0x{domain}"));
}

/// And ends.
fn write() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let directory = std::env::temp_dir().join(format!("kerros-seeds-{}", std::process::id()));
        let genesis = Genesis::development(4);
        let clock: kerros_sequencer::main_chain::Clock = Arc::new(|| 1_800_000_000);
        let chain = Embedded::open(&directory, &genesis, clock).expect("a new chain");
        let node = router(Arc::clone(chain.chain()), RpcOptions { test_hooks: false });
        let offered: Arc<dyn MainChain> = Arc::new(chain);
        let s = scene(&offered).await;
        let mut seeds = Seeds::default();
        protocol(&mut seeds, &s);
        let (receipt, opening) = receipts(&mut seeds, &s);
        chain_side(&mut seeds, &s, &*offered, &node).await;
        messages(&mut seeds, &s, &receipt, &opening);
        journal(&mut seeds, &s);
        files(&mut seeds, &s);
        seeds.write(Path::new("corpus"));
        println!("contract {}", s.contract);
        std::fs::remove_dir_all(&directory).expect("there");
    });
    std::process::exit(0)
}

fuzz_target!(
    init: {
        write();
    },
    |_data: &[u8]| {}
);
