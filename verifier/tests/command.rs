//! `kerros-verifier` as a process: bad input gets a precise error and exit code 1.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kerros-verifier")).args(arguments).output().expect("started")
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn a_file_that_is_no_key_is_named_with_what_is_wrong() {
    let path = std::env::temp_dir().join(format!("kerros-no-key-{}", std::process::id()));
    std::fs::write(&path, [7u8; 100]).expect("written");
    let text = refused(&run(&["key", path.to_str().expect("text")]));
    assert!(text.contains("digest does not match"), "{text}");
    std::fs::write(&path, [7u8; 3]).expect("written");
    let text = refused(&run(&["key", path.to_str().expect("text")]));
    assert!(text.contains("needs 32 bytes, 3 left"), "{text}");
    std::fs::remove_file(&path).expect("removed");
    let text = refused(&run(&["key", path.to_str().expect("text")]));
    assert!(text.contains("No such file"), "{text}");
}

#[test]
fn an_audit_without_a_key_file_fails_before_it_asks_anybody() {
    let contract = "0x0000000000000000000000000000000000000001";
    let arguments = ["audit", "--rpc", "http://127.0.0.1:1", "--contract", contract, "--key", "/x"];
    assert!(refused(&run(&arguments)).contains("/x"));
}
