//! The real binary, killed with SIGKILL at random moments of a run. An independent journal of what
//! was acknowledged, kept by the clients, must be part of the state that comes back. A prover works
//! all the while, and the chain must hold every batch once.

use crate::rig::{OPERATOR, Rig, account_key, owner, wallet};
use crate::simulator;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::proto::prover_service_client::ProverServiceClient;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{self, GetInfoRequest, RejectionDetail};
use kerros_protocol::transaction::SignedTransaction;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Embedded, Genesis, MainChain};
use kerros_sequencer::settlement::contract::Contract;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::transport::Channel;

const KILLS: u32 = 50;
const PAYERS: u8 = 4;

struct Process {
    child: Child,
    address: String,
    prover: String,
}

/// Starts the binary on the rig's directories; the embedded chain is the process's own.
fn start(dir: &std::path::Path, contract: &str) -> Process {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kerros-sequencer"))
        .args(["--data-dir", &dir.join("sequencer").display().to_string()])
        .args(["--key", &dir.join("key").display().to_string()])
        .args(["--srs", &dir.join("srs").display().to_string()])
        .args(["--contract", contract])
        .args(["--main-chain", &format!("embedded:{}", dir.join("chain").display())])
        .args(["--embedded-wallets", &crate::rig::WALLETS.to_string()])
        .args(["--fee-key", &hex::encode(account_key(OPERATOR).to_be())])
        .args(["--owner", &hex::encode(owner(0).0)])
        .args(["--listen", "127.0.0.1:0", "--poll-ms", "20", "--batch-age-ms", "60"])
        .args(["--poster-key-file", &dir.join("poster").display().to_string()])
        .args(["--prover-listen", "127.0.0.1:0", "--lease-ms", "1000", "--allow-development"])
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut address, mut prover) = (None, None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(at) = line.strip_prefix("sequencer ") {
            address = Some(at.to_owned());
        }
        if let Some(at) = line.strip_prefix("prover ") {
            prover = Some(at.to_owned());
        }
        if line == "ready" {
            break;
        }
    }
    let address = address.expect("the sequencer tells where it listens");
    Process { child, address, prover: prover.expect("it tells that too") }
}

async fn connect(process: &Process) -> SequencerServiceClient<Channel> {
    SequencerServiceClient::connect(format!("http://{}", process.address)).await.unwrap()
}

/// What a client was told.
#[derive(Default)]
struct Told {
    /// Signed bytes and receipt.
    transactions: Vec<(Vec<u8>, proto::Receipt)>,
    /// Key name and index.
    accounts: Vec<(u8, u32)>,
}

/// Pays from one account until the connection breaks; never skips a nonce that may be used.
async fn pay(
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
async fn prove(key: VerificationKey, domain: ark_bn254::Fr, address: String) {
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
            proof: simulator::prove(&key, domain, &batch).encode(),
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

async fn open_accounts(
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

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing_that_was_acknowledged() {
    let seed = std::env::var("KERROS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("KERROS_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let rig = Rig::new("8,4,16,4,2", 5, 9).await;
    for name in 1..=PAYERS {
        rig.deposit(1, 1_000_000, name, owner(0)).await;
    }
    let domain = rig.domain();
    let (contract, path) = (hex::encode(rig.contract), rig.dir.path().to_owned());
    std::fs::write(path.join("poster"), hex::encode(development_wallet(0).to_bytes())).unwrap();
    let nonce = rig.chain.nonce(wallet(0).address()).await.unwrap();
    let Rig { dir, chain, key, contract: contract_address, .. } = rig;
    // The binary opens the chain itself.
    drop(chain);
    let told = Arc::new(Mutex::new(Told::default()));
    let mut checked = 0;
    for kill in 0..=KILLS {
        let mut process = start(&path, &contract);
        let mut client = connect(&process).await;
        while client.get_info(GetInfoRequest {}).await.unwrap().into_inner().queue_next
            < PAYERS.into()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Everything told since the last kill, and at the end everything ever told, is there.
        let (transactions, accounts) = {
            let told = told.lock().unwrap();
            let from = if kill == KILLS { 0 } else { checked };
            (told.transactions[from..].to_vec(), told.accounts.clone())
        };
        checked += if kill == KILLS { 0 } else { transactions.len() };
        let mut counted = 0u64;
        for (bytes, receipt) in &transactions {
            let transaction_id = receipt.transaction_id.clone();
            let request = proto::GetTransactionRequest { transaction_id };
            let found = client.get_transaction(request).await.unwrap().into_inner();
            assert_eq!(found.receipt.as_ref(), Some(receipt), "kill {kill}, seed {seed}");
            assert_eq!(&found.transaction, bytes);
            let transaction = bytes.clone();
            if counted.is_multiple_of(16) {
                let request = proto::SubmitTransactionRequest { transaction };
                let again = client.submit_transaction(request).await.unwrap().into_inner();
                assert_eq!(again.receipt.as_ref(), Some(receipt), "kill {kill}, seed {seed}");
            }
            counted += 1;
        }
        for (name, index) in &accounts {
            let by = Some(proto::get_account_request::By::Index(*index));
            let found = client.get_account(proto::GetAccountRequest { by }).await.unwrap();
            let account = found.into_inner().account.unwrap();
            assert_eq!(account.key, account_key(*name).to_be().to_vec());
        }
        // Money is neither made nor lost, and nonces count what was executed.
        let mut total = 0;
        for index in 1..=u32::from(PAYERS) {
            let by = Some(proto::get_account_request::By::Index(index));
            let found = client.get_account(proto::GetAccountRequest { by }).await.unwrap();
            let account = found.into_inner().account.unwrap();
            total += account.balance;
            let acknowledged = told
                .lock()
                .unwrap()
                .transactions
                .iter()
                .filter(|(bytes, _)| bytes[1..5] == index.to_be_bytes())
                .count();
            assert!(u64::from(account.nonce) >= acknowledged as u64, "kill {kill}, seed {seed}");
        }
        assert_eq!(total, u64::from(PAYERS) * 1_000_000, "kill {kill}, seed {seed}");
        if kill == KILLS {
            println!("{} acknowledgements over {KILLS} kills", counted);
            assert!(counted > u64::from(KILLS), "the run did too little to mean anything");
            // All that was sealed is proved, posted and final in the end.
            let proving = tokio::spawn(prove(key.clone(), domain, process.prover.clone()));
            loop {
                let info = client.get_info(GetInfoRequest {}).await.unwrap().into_inner();
                assert_eq!(info.settlement_halted, "", "seed {seed}");
                if info.unsettled_batches == 0 && info.open_counts == Some(Default::default()) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            process.child.kill().unwrap();
            process.child.wait().unwrap();
            proving.await.unwrap();
            break;
        }
        let mut work = vec![tokio::spawn(prove(key.clone(), domain, process.prover.clone()))];
        for payer in 1..=PAYERS {
            work.push(tokio::spawn(pay(domain, payer, client.clone(), Arc::clone(&told))));
        }
        let first = 20 + u8::try_from(kill % 70).unwrap() * 3;
        work.push(tokio::spawn(open_accounts(first, client.clone(), Arc::clone(&told))));
        tokio::time::sleep(Duration::from_millis(rng.gen_range(1..250))).await;
        process.child.kill().unwrap(); // SIGKILL
        process.child.wait().unwrap();
        for task in work {
            task.await.unwrap();
        }
    }
    let genesis = Genesis::development(crate::rig::WALLETS);
    let chain = Embedded::open(&path.join("chain"), &genesis, Arc::new(|| 0)).unwrap();
    let posts = chain.nonce(wallet(0).address()).await.unwrap() - nonce;
    let contract = Contract { chain: Arc::new(chain), address: contract_address };
    let batches = contract.batch_number().await.unwrap();
    println!("{batches} batches, {posts} posts");
    assert_eq!(batches, posts, "every batch was posted once, seed {seed}");
    assert!(batches > u64::from(KILLS) / 2);
    drop(dir);
}
