//! `kerros demo` as a user runs it: the built command, its exit code, its report.

use kerros_tests::command::built;
use serde_json::Value;
use std::process::Command;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_demo_holds_from_deposits_to_claims() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/kerros-keys");
    let output = Command::new(built("kerros"))
        .args(["demo", "--json", "--shape", "16,8,24,8,4", "--keys", keys])
        .output()
        .expect("started");
    let log = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}; standard error was:\n{log}"));
    assert_eq!(output.status.code(), Some(0), "{report:#}\n{log}");
    assert_eq!(report["holds"], true);

    assert!(number(&report["transfers"]) >= 60);
    assert!(number(&report["accounts"]) >= 10);
    let batches = report["batches"].as_array().expect("batches");
    assert!(batches.len() >= 2);
    let mut previous: Option<&Value> = None;
    for batch in batches {
        assert_eq!(batch["state"], "final");
        if let Some(previous) = previous {
            assert_eq!(batch["old_root"], previous["new_root"], "roots form a chain");
        }
        previous = Some(batch);
        assert!(number(&batch["proof"]["constraints"]) > 0);
        assert!(number(&batch["proof"]["proving_us"]) > 0);
        for phase in ["witness", "kzg_quotient", "groth16_fft", "groth16_msm", "kzg_opening"] {
            assert!(number(&batch["proof"]["phases_us"][phase]) > 0, "{phase}");
        }
        assert!(number(&batch["settlement"]["gas_used"]) > 100_000);
    }
    let last = previous.expect("at least two");
    assert_eq!(last["new_root"], report["root"], "the contract has the last batch's root");
    let transfers: u64 = batches.iter().map(|batch| number(&batch["transfers"])).sum();
    assert_eq!(transfers, number(&report["transfers"]));

    let books = report["books"].as_array().expect("books");
    assert_eq!(books.len(), 2);
    for books in books {
        let (deposits, fees) = (number(&books["deposits"]), number(&books["fees"]));
        let (balances, gone) = (number(&books["balances"]), number(&books["withdrawals"]));
        assert_eq!(deposits, balances + gone + fees);
        assert!(deposits > 0 && gone > 0 && fees > 0);
        assert_eq!(books["contract_tokens"], books["expected_tokens"]);
    }
    assert!(report["checks"].as_array().expect("checks").len() >= 20);
}

#[test]
fn the_ledger_is_doubled_while_the_demo_runs_with_two_provers() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/kerros-keys");
    let output = Command::new(built("kerros"))
        .args(["demo", "--json", "--shape", "8,8,24,8,4", "--k-genesis", "4", "--k-max", "6"])
        .args(["--provers", "2", "--keys", keys])
        .output()
        .expect("started");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let batches = report["batches"].as_array().expect("batches");
    // A batch that doubles the ledger starts from the grown root, every other from the last one.
    let grown = batches.windows(2).filter(|pair| pair[1]["old_root"] != pair[0]["new_root"]);
    assert_eq!(grown.count(), 1, "{report:#}");
    assert_eq!(report["root"], batches[batches.len() - 1]["new_root"]);
}

#[test]
fn too_few_transfers_are_refused_at_the_command_line() {
    let status = Command::new(built("kerros")).args(["demo", "--transfers", "59"]).output();
    assert_eq!(status.expect("started").status.code(), Some(2));
}
