//! `kerros devnet` and the commands of a holder, as two terminals would run them: deposit,
//! transfer, withdraw, claim; Ctrl-C; start again and find everything.

use kerros_tests::command::built;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(300);

struct Devnet {
    process: Child,
    ready: Value,
}

impl Devnet {
    fn start(dir: &Path) -> Self {
        let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/kerros-keys");
        let mut process = Command::new(built("kerros"))
            .args(["devnet", "--json", "--batch-age", "500", "--keys", keys])
            .args(["--grpc", "127.0.0.1:0", "--rpc", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut text = String::new();
        for line in BufReader::new(process.stdout.take().expect("piped")).lines() {
            text += &line.expect("text");
            if let Ok(ready) = serde_json::from_str(&text) {
                return Self { process, ready };
            }
        }
        let ended = process.wait().expect("ended");
        panic!("devnet ended, {ended}: {text}");
    }
    fn run(&self, wallet: &str, line: &str) -> Result<Value, i32> {
        let wallets = self.ready["wallets"].as_array().expect("wallets");
        let wallet = wallets.iter().find(|w| w["name"] == wallet).expect("a test wallet");
        let output = Command::new(built("kerros"))
            .args(line.split(' '))
            .arg("--json")
            .env("KERROS_SEQUENCER", self.ready["sequencer"].as_str().expect("URL"))
            .env("KERROS_RPC", self.ready["rpc"].as_str().expect("URL"))
            .env("KERROS_WALLET", wallet["file"].as_str().expect("path"))
            .output()
            .expect("started");
        match output.status.code() {
            Some(0) => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
            code => Err(code.expect("not killed")),
        }
    }
    fn until(&self, wallet: &str, line: &str, good: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            if let Some(value) = self.run(wallet, line).ok().filter(&good) {
                return value;
            }
            assert!(started.elapsed() < WAIT, "{line}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    /// The auditor's command, from the main chain alone.
    fn audit(&self) -> Value {
        let text = |name: &str| self.ready[name].as_str().expect("text").to_owned();
        let key = Path::new(&text("keys")).join("verification.key");
        let output = Command::new(built("kerros-verifier"))
            .args(["audit", "--json", "--rpc", &text("rpc"), "--contract", &text("contract")])
            .arg("--key")
            .arg(key)
            .output()
            .expect("started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
    fn stop(mut self) {
        let id = self.process.id().to_string();
        let interrupt = Command::new("kill").args(["-INT", &id]).status();
        assert!(interrupt.expect("kill").success());
        assert_eq!(self.process.wait().expect("ended").code(), Some(0), "Ctrl-C stops cleanly");
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        // Only left running by a failed test.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_holder_deposits_transfers_withdraws_and_claims_across_a_restart() {
    let dir = tempfile::tempdir().expect("directory");
    let devnet = Devnet::start(dir.path());
    devnet.run("alice", "deposit --asset 1 --amount 1000").expect("queued");
    let account = devnet.until("alice", "account", |found| found[0]["balance"] == 1000);
    let alice = account[0]["index"].as_u64().expect("index");
    let bob =
        devnet.run("bob", "open --asset 1").expect("opened")["index"].as_u64().expect("index");
    let paid = devnet.run("alice", &format!("transfer --from {alice} --to {bob} --amount 300"));
    let id = paid.expect("acknowledged")["transaction_id"].as_str().expect("id").to_owned();
    let left = devnet.run("bob", &format!("withdraw --from {bob} --amount 120")).expect("taken");
    let batch = left["batch"].as_u64().expect("number");

    let too_much = format!("transfer --from {alice} --to {bob} --amount 701");
    assert_eq!(devnet.run("alice", &too_much), Err(3), "refused");
    let not_his = format!("transfer --from {alice} --to {bob} --amount 1");
    assert_eq!(devnet.run("bob", &not_his), Err(3), "refused");
    assert_eq!(devnet.run("alice", "batch 99"), Err(5), "not found");
    devnet.stop();

    let devnet = Devnet::start(dir.path());
    devnet.until("bob", &format!("batch {batch}"), |found| found[0]["state"] == "final");
    let found = devnet.run("alice", &format!("tx {id}")).expect("known");
    assert_eq!((&found["amount"], &found["state"]), (&300.into(), &"final".into()));
    let claimed = devnet.run("bob", "claim --asset 1").expect("claimed");
    assert_eq!(claimed["units"], "120");
    assert_eq!(devnet.run("bob", "claim --asset 1"), Err(5), "nothing is left");
    let accounts = devnet.run("bob", "account").expect("there");
    assert_eq!(accounts[0]["balance"], 180);
    let report = devnet.audit();
    assert_eq!((&report["verdict"], &report["balances"]["1"]), (&"ok".into(), &"880".into()));
    devnet.stop();
}
