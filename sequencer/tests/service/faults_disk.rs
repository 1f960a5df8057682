//! A disk that fills up: a small file system of the test's own.

use crate::child::{Process, Site, skipped};
use crate::rig::{account_key, at, becomes, owner, reason, secret, transfer, transient};
use crate::told::{Told, audit, check, load};
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{GetAccountRequest, RejectionDetail, get_account_request::By};
use kerros_protocol::proto::{GetInfoRequest, OpenAccountRequest, SubmitTransactionRequest};
use kerros_protocol::transaction::SignedTransaction;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::Status;
use tonic::transport::Channel;

const RESERVE: usize = 24 << 20;

/// A mounted tmpfs.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: PathBuf, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        let size = format!("size={mib}m");
        let mount = mount.args(["-t", "tmpfs", "-o", &size, "kerros-test"]).arg(&path);
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        skipped("a tmpfs may not be mounted here (it needs root)");
        None
    }
}
impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a process that a failing test left may still hold it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn client(process: &Process) -> SequencerServiceClient<Channel> {
    SequencerServiceClient::connect(format!("http://{}", process.address)).await.unwrap()
}

async fn pay(site: &Site, process: &Process, told: &Mutex<Told>) -> Result<(), Status> {
    let mut client = client(process).await;
    let request = GetAccountRequest { by: Some(By::Index(1)) };
    let nonce = client.get_account(request).await?.into_inner().account.unwrap().nonce;
    let transaction = transfer(1, (2, 2), 1, 0, nonce);
    let bytes = SignedTransaction::sign(transaction, &secret(1), site.domain).encode();
    let request = SubmitTransactionRequest { transaction: bytes.clone() };
    let receipt = client.submit_transaction(request).await?.into_inner().receipt.unwrap();
    told.lock().unwrap().transactions.push((bytes, receipt));
    Ok(())
}

fn fill(path: &Path, bytes: usize) {
    // Fails when the disk is full: as full as can be.
    let _ = std::fs::write(path, vec![1u8; bytes]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_below_its_reserve_refuses_writes_serves_reads_and_resumes() {
    let mut site = Site::new().await;
    let Some(mounted) = Mounted::new(site.data(), 64) else { return };
    site.arguments = vec!["--disk-reserve-bytes".to_owned(), RESERVE.to_string()];
    site.arguments.push("--metrics-listen=127.0.0.1:0".to_owned());
    let told = Arc::new(Mutex::new(Told::default()));
    let process = site.start();
    check(&process, &Told::default(), 0).await.unwrap();
    pay(&site, &process, &told).await.unwrap();
    let health = process.metrics.clone().unwrap();
    becomes(&health, |codes| codes.is_empty()).await;
    let filler = mounted.0.join("filler");
    for _ in 0..2 {
        fill(&filler, (64 << 20) - RESERVE);
        tokio::time::sleep(Duration::from_millis(600)).await;
        let status = pay(&site, &process, &told).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status)),
            (tonic::Code::ResourceExhausted, "DISK_FULL".to_owned())
        );
        assert!(transient(&status));
        let detail = RejectionDetail::from_status(&status).unwrap();
        assert!(detail.retry_after_ms > 0);
        let mut client = client(&process).await;
        let request = OpenAccountRequest {
            asset: 1,
            owner: owner(1).0.to_vec(),
            key: account_key(9).to_be().to_vec(),
        };
        let status = client.open_account(request).await.unwrap_err();
        assert_eq!(reason(&status), "DISK_FULL");
        becomes(&health, |codes| codes == ["DISK_FULL"]).await;
        // Reads go on.
        let by = Some(By::Index(at(1).get()));
        client.get_account(GetAccountRequest { by }).await.unwrap();
        client.get_info(GetInfoRequest {}).await.unwrap();
        std::fs::remove_file(&filler).unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        pay(&site, &process, &told).await.unwrap();
        becomes(&health, |codes| codes.is_empty()).await;
    }
    process.kill();
    let known = told.lock().unwrap().clone();
    let process = site.start();
    check(&process, &known, 0).await.unwrap();
    process.kill();
    audit(&site, &known);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_all_the_same_ends_the_process_before_it_answers() {
    let mut site = Site::new().await;
    // Less than the database sets aside for its log, which it could go on writing to for long.
    let Some(mounted) = Mounted::new(site.data(), 24) else { return };
    site.arguments = ["--disk-reserve-bytes", "0"].map(str::to_owned).to_vec();
    let told = Arc::new(Mutex::new(Told::default()));
    let mut process = site.start();
    check(&process, &Told::default(), 0).await.unwrap();
    let payers = load(&site, &process, &told).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    fill(&mounted.0.join("filler"), 64 << 20);
    assert_eq!(process.ended(Duration::from_secs(20)).await, Some(false), "it ends with an error");
    for payer in payers {
        payer.await.unwrap();
    }
    std::fs::remove_file(mounted.0.join("filler")).unwrap();
    let known = told.lock().unwrap().clone();
    assert!(known.transactions.len() > 10);
    let process = site.start();
    check(&process, &known, 0).await.unwrap();
    process.kill();
    audit(&site, &known);
}
