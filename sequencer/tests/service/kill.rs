//! The real binary, killed with SIGKILL at random moments of a run. An independent journal of what
//! was acknowledged, kept by the clients, must be part of the state that comes back.

use crate::rig::{OPERATOR, Rig, account_key, owner};
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{self, GetInfoRequest};
use kerros_protocol::transaction::SignedTransaction;
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
        .arg("--allow-development")
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(at) = line.strip_prefix("sequencer ") {
            address = Some(at.to_owned());
        }
        if line == "ready" {
            break;
        }
    }
    let address = address.expect("the sequencer tells where it listens");
    Process { child, address }
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
    let Rig { dir, chain, contract, key, srs } = {
        let rig = Rig::new("8,4,16,4,2", 5, 9).await;
        for name in 1..=PAYERS {
            rig.deposit(1, 1_000_000, name, owner(0)).await;
        }
        rig
    };
    let rig = Rig { dir, chain, contract, key, srs };
    let domain = rig.domain();
    let (contract, path) = (hex::encode(rig.contract), rig.dir.path().to_owned());
    // The binary opens the chain itself.
    let Rig { dir, chain, .. } = rig;
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
            if counted % 16 == 0 {
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
            process.child.kill().unwrap();
            process.child.wait().unwrap();
            break;
        }
        let mut work = Vec::new();
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
    drop(dir);
}
