//! `kerros-verifier` as a process: bad input gets a precise error and exit code 1.

use kerros_verifier::trapdoor;
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

#[test]
fn a_key_goes_to_snarkjs_and_comes_back_byte_by_byte() {
    let dir = tempfile::tempdir().expect("directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let shape = "2,2,4,2,2";
    let key = trapdoor::key(shape.parse().expect("a shape"), 3, 5);
    trapdoor::srs(&key, path("srs").as_ref()).expect("written");
    std::fs::write(path("key"), key.encode()).expect("written");
    let output = run(&["key", "--snarkjs", &path("key")]);
    assert!(output.status.success());
    std::fs::write(path("json"), &output.stdout).expect("written");
    let (json, srs, back) = (path("json"), path("srs"), path("back"));
    let import = ["import-key", &json, "--shape", shape, "--srs", &srs, "--to", &back];
    assert!(run(&import).status.success());
    assert_eq!(std::fs::read(&back).expect("written"), key.encode());
    assert!(refused(&run(&import)).contains("exists"), "nothing is overwritten");

    let text = String::from_utf8(output.stdout).expect("text");
    std::fs::remove_file(&back).expect("removed");
    for (what, wrong) in [
        ("another curve", text.replace("bn128", "bls12381")),
        ("another number of inputs", text.replace("\"nPublic\": 9", "\"nPublic\": 8")),
        ("half of it", text[..text.len() / 2].to_owned()),
    ] {
        assert_ne!(wrong, text, "{what}");
        std::fs::write(&json, wrong).expect("written");
        assert!(refused(&run(&import)).contains(&json), "{what}");
        assert!(std::fs::metadata(&back).is_err(), "{what}");
    }
}
