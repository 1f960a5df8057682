//! `kerros bench state` as a user runs it, at its smallest: the report's fields, and that what it says
//! about the state is so. Times are not judged here.

use kerros_tests::command::built;
use serde_json::Value;
use std::process::Command;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_benchmark_of_state_starts_on_what_it_wrote_and_finds_the_same_root() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/kerros-keys");
    let dir = tempfile::tempdir().expect("directory");
    let picture = dir.path().join("state.svg");
    let output = Command::new(built("kerros"))
        .args(["bench", "state", "--smoke", "--json", "--keys", keys, "--plot"])
        .arg(&picture)
        .output()
        .expect("started");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let sizes = report["sizes"].as_array().expect("a list");
    let mut roots = Vec::new();
    for (size, (accounts, k, touched, compared)) in
        sizes.iter().zip([(100, 7, 99, 98), (1_000, 10, 999, 100)])
    {
        assert_eq!((&size["accounts"], &size["k"]), (&accounts.into(), &k.into()));
        assert_eq!((&size["touched"], &size["seals"]), (&touched.into(), &2.into()));
        assert_eq!(size["acknowledged"], 1_000);
        // Balances and nonces by local replay; money and root of all accounts were compared too, or
        // the exit code would not be 0.
        assert_eq!(size["accounts_compared"], compared);
        for name in [
            "start_seconds",
            "start_resident_bytes",
            "start_peak_bytes",
            "database_bytes",
            "seal_ms_mean",
            "acknowledged_per_second",
        ] {
            assert!(number(&size[name]) > 0.0, "{name}: {report:#}");
        }
        for name in ["start_cpu_seconds", "seal_cpu_ms_mean"] {
            assert!(number(&size[name]) >= 0.0, "{name}: {report:#}");
        }
        // 64 bytes a place, beside a header.
        let points = f64::from(64u32 << k);
        assert!(number(&size["reference_string_bytes"]) > points, "{report:#}");
        let root = size["root"].as_str().expect("hexadecimal").to_owned();
        assert_eq!(root.len(), 2 + 64, "{root}");
        roots.push(root);
    }
    assert_eq!((sizes.len(), roots.len()), (2, 2));
    assert_ne!(roots[0], roots[1]);

    let picture = std::fs::read_to_string(&picture).expect("the plot was written");
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
    for text in ["Start on the database", "Seal of one batch", "Memory and disk", "accounts"] {
        assert!(picture.contains(text), "{text} is missing in the plot");
    }
}

#[test]
fn a_directory_with_something_in_it_is_left_alone() {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::write(dir.path().join("mine"), b"precious").expect("written");
    let output = Command::new(built("kerros"))
        .args(["bench", "state", "--smoke", "--dir"])
        .arg(dir.path())
        .output()
        .expect("started");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
}
