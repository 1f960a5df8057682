//! `kerros bench gas` as a user runs it, at its smallest: the report's fields, that the parts add up,
//! and that the targets hold for the contract as it is committed.

use kerros_tests::command::built;
use serde_json::Value;
use std::process::Command;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_benchmark_of_gas_takes_posts_apart_without_a_remainder() {
    let output = Command::new(built("kerros"))
        .args(["bench", "gas", "--smoke", "--json"])
        .output()
        .expect("started");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let sizes = report.as_array().expect("a list");
    let transfers: Vec<u64> = sizes.iter().map(|size| number(&size["transfers"])).collect();
    assert_eq!(transfers, [16, 64]);
    for size in sizes {
        let parts = |of: &Value| -> u64 {
            of["parts"].as_object().expect("parts").values().map(number).sum()
        };
        let total = number(&size["gas_total"]);
        assert_eq!(parts(size), total);
        assert_eq!(number(&size["gas_verification"]) + number(&size["gas_data"]), total);
        assert_eq!(parts(&size["opening"]), number(&size["opening"]["gas_total"]));
        assert_eq!(size["bytes_per_transfer"], 18.0);
        // One merged call of five pairs: KZG has one of them and ten multiplications, Groth16 the rest.
        let kzg = number(&size["parts"]["kzg"]);
        assert_eq!(kzg, 34_000 + 10 * (6_000 + 150 + 2 * 100));
        let ours = &size["parts"];
        let groth16 = 45_000 + 4 * 34_000 + 100 + 10 * (6_000 + 150 + 2 * 100);
        assert!((groth16..groth16 + 5_000).contains(&number(&ours["groth16"])), "{size:#}");
        for part in ["calldata", "evaluation", "hashing", "queue", "storage", "transaction"] {
            assert!(number(&ours[part]) > 0, "{part}: {size:#}");
        }
        // An opening writes what sixty-four deposits need; payments write nothing of that.
        assert!(number(&size["opening"]["parts"]["queue"]) > 20 * number(&ours["queue"]));
        assert_eq!(number(&size["blob"]["blobs"]), 1);
        assert_eq!(
            (&size["blob"]["break_even"], &size["floor"]["binds"]),
            (&Value::Null, &false.into())
        );
    }
    let [small, large] = sizes.as_slice() else { panic!("two sizes") };
    let verification = |size: &Value| number(&size["gas_verification"]);
    assert!(verification(small).abs_diff(verification(large)) < 2_000, "{report:#}");
    // Of 48 transfers more: at most 16 gas a byte, 100 of evaluation, and some for hashing 18 bytes.
    let more = number(&large["gas_data"]) - number(&small["gas_data"]);
    assert!((48 * 18 * 4..=48 * (18 * 16 + 100 + 10)).contains(&more), "{report:#}");
}
