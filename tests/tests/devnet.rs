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
    fn audit(&self, receipts: &[&Path]) -> Result<Value, String> {
        let text = |name: &str| self.ready[name].as_str().expect("text").to_owned();
        let key = Path::new(&text("keys")).join("verification.key");
        let output = Command::new(built("kerros-verifier"))
            .args(["audit", "--json", "--rpc", &text("rpc"), "--contract", &text("contract")])
            .arg("--key")
            .arg(key)
            .args(receipts.iter().flat_map(|path| [Path::new("--receipt"), path]))
            .output()
            .expect("started");
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
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
    let receipts = ["open.json", "paid.json", "again.json"].map(|name| dir.path().join(name));
    let bob = devnet.run("bob", &format!("open --asset 1 --receipt {}", receipts[0].display()));
    let bob = bob.expect("opened")["index"].as_u64().expect("index");
    let kept = receipts[1].display();
    let transfer = format!("transfer --from {alice} --to {bob} --amount 300 --receipt {kept}");
    let paid = devnet.run("alice", &transfer);
    let id = paid.expect("acknowledged")["transaction_id"].as_str().expect("id").to_owned();
    let left = devnet.run("bob", &format!("withdraw --from {bob} --amount 120")).expect("taken");
    let batch = left["batch"].as_u64().expect("number");

    assert_eq!(devnet.run("alice", &transfer), Err(1), "a receipt is not overwritten");
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
    devnet.run("alice", &format!("tx {id} --receipt {}", receipts[2].display())).expect("known");
    let [open, paid, again] = [0, 1, 2].map(|n| receipts[n].as_path());
    assert_eq!(std::fs::read(paid).expect("kept"), std::fs::read(again).expect("kept"));
    let report = devnet.audit(&[open, paid]).expect("sound");
    for receipt in report["receipts"].as_array().expect("a list") {
        assert_eq!(receipt["verdict"], "kept", "{report:#}");
    }
    assert_eq!(report["receipts"].as_array().map(Vec::len), Some(2));
    // One word changed: the sequencer has not promised that.
    let text = std::fs::read_to_string(paid).expect("kept");
    let forged = text.replace(r#""batch": "#, r#""batch": 1"#);
    std::fs::write(again, forged).expect("written");
    let refused = devnet.audit(&[again]).expect_err("forged");
    assert!(refused.contains("again.json") && refused.contains("not by"), "{refused}");
    assert_eq!((&report["verdict"], &report["balances"]["1"]), (&"ok".into(), &"880".into()));
    devnet.stop();
}
