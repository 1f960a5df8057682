//! Settings of the real binary: flags beat the environment, that beats the file, that beats the
//! defaults; what is wrong is told precisely; a secret is never shown.

use crate::child::{BINARY, Site};
use crate::operations::{settled, stopped};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Settings that have no default.
const REQUIRED: &str = r#"
data_dir = "data"
key = "keys/verification.key"
srs = 'keys/srs.bin'
contract = "0x0101010101010101010101010101010101010101"
main_chain = "http://user:pAsSwOrD@127.0.0.1:1/v3/aPiKeY?token=tOkEn"
fee_key = "0x0202020202020202020202020202020202020202020202020202020202020202"
owner = "0x0303030303030303030303030303030303030303"
"#;
const URL: &str = "http://user:pAsSwOrD@127.0.0.1:1/v3/aPiKeY?token=tOkEn";
const URL_SECRETS: [&str; 3] = ["pAsSwOrD", "aPiKeY", "tOkEn"];
/// What somebody may take for a key of the file.
const PRIVATE_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const UNSHOWN: &str = "unknown key, not shown because it does not look like a setting's name";

fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sequencer.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}
/// Runs to the end, without variables of ours.
fn run(file: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(BINARY);
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("KERROS_")) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").arg("--config").arg(file).args(arguments);
    command.envs(environment.iter().copied()).output().unwrap()
}
fn all(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}
/// The line of one setting.
fn printed(output: &Output, key: &str) -> String {
    assert!(output.status.success(), "{}", all(output));
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with(&format!("{key} = ")));
    line.unwrap_or_else(|| panic!("no {key} in\n{text}")).to_owned()
}

#[test]
fn each_layer_beats_the_one_below_and_says_that_it_does() {
    let none = file(REQUIRED);
    let some =
        file(&format!("{REQUIRED}\n# every ten seconds\npoll_ms = 10_000\noperator_calls = true"));
    let (variables, flags) = (
        [("KERROS_POLL_MS", "30"), ("KERROS_OPERATOR_CALLS", "false")],
        ["--print-config", "--poll-ms", "40", "--operator-calls"],
    );
    let path = some.1.display();
    let cases = [
        (run(&none.1, &flags[..1], &[]), "500 # default".to_owned(), "false # default".to_owned()),
        (
            run(&some.1, &flags[..1], &[]),
            format!("10000 # file, {path} line 11"),
            format!("true # file, {path} line 12"),
        ),
        (
            run(&some.1, &flags[..1], &variables),
            "30 # environment, KERROS_POLL_MS".to_owned(),
            "false # environment, KERROS_OPERATOR_CALLS".to_owned(),
        ),
        (run(&some.1, &flags, &variables), "40 # flag".to_owned(), "true # flag".to_owned()),
    ];
    for (output, poll, operator) in &cases {
        assert_eq!(printed(output, "poll_ms"), format!("poll_ms = {poll}"));
        assert_eq!(printed(output, "operator_calls"), format!("operator_calls = {operator}"));
    }
    // The file's own place is a setting with two layers, and a flag takes a switch back.
    let output = run(&some.1, &["--print-config", "--operator-calls=false"], &[]);
    assert_eq!(printed(&output, "operator_calls"), "operator_calls = false # flag");
}

#[test]
fn what_is_printed_is_a_file_with_the_same_effect() {
    let embedded = REQUIRED.replace(URL, "embedded:a \\\"b\\\"");
    let first = file(&embedded);
    let values = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(" # ").unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    let output = run(&first.1, &["--print-config", "--lease-ms", "77"], &[]);
    assert!(output.status.success(), "{}", all(&output));
    let second = file(&String::from_utf8_lossy(&output.stdout));
    let again = run(&second.1, &["--print-config"], &[]);
    assert!(values(&output).contains(&"lease_ms = 77".to_owned()));
    assert_eq!(values(&again), values(&output));
}

#[test]
fn the_example_for_operators_is_a_file_that_is_read() {
    let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/sequencer.toml"));
    let output = run(example, &["--print-config"], &[]);
    assert!(printed(&output, "confirmations").starts_with("confirmations = 64 # file, "));
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_file_line_and_key() {
    for (line, problem) in [
        ("pol_ms = 1", "unknown key `pol_ms`"),
        ("config = \"another\"", "unknown key `config`"),
        ("[sequencer]", "unknown key `sequencer`"),
        ("poll_ms = \"1\"", "`poll_ms` has type string, needs integer"),
        ("operator_calls = 1", "`operator_calls` has type integer, needs boolean"),
        ("listen = 7400", "`listen` has type integer, needs string"),
        ("poll_ms = 0", "`poll_ms`: 0 is not in 1..=3600000"),
        ("post_bump_ms = 99", "`post_bump_ms`: 99 is not in 100..=86400000"),
        ("post_fee_max_gwei = 0", "`post_fee_max_gwei`: 0 is not in 1..=1000000"),
        ("head_age_ms = \"1\"", "`head_age_ms` has type string, needs integer"),
        ("grow_at_percent = 101", "`grow_at_percent`: 101 is not in 1..=100"),
        ("listen = \"nowhere\"", "`listen`: invalid socket address syntax"),
        ("log_format = \"xml\"", "`log_format`: needs text or json"),
        ("poll_ms = 1\npoll_ms = 2", "duplicate key"),
        ("poster_key = \"0x0d0d\"", "unknown key `poster_key`"),
        (&format!("{PRIVATE_KEY} = 1"), UNSHOWN),
        (&format!("\"0x{PRIVATE_KEY}\" = 1"), UNSHOWN),
    ] {
        let (_dir, path) = file(&format!("{REQUIRED}{line}\n"));
        let output = run(&path, &[], &[]);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let at = if line.contains('\n') { 10 } else { 9 };
        let told = String::from_utf8_lossy(&output.stderr);
        let need = format!("kerros-sequencer: {}, line {at}: {problem}\n", path.display());
        assert_eq!(told, need, "{line}");
    }
    let output = run(Path::new("/no/such/file"), &[], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(all(&output).contains("/no/such/file: No such file"), "{}", all(&output));
}

#[test]
fn a_setting_that_is_missing_in_every_layer_is_named() {
    let (_dir, path) = file(&REQUIRED.replace("owner =", "# owner ="));
    let output = run(&path, &[], &[]);
    assert_eq!(output.status.code(), Some(2));
    let told = all(&output);
    assert!(
        told.contains("--owner <OWNER>") && !told.contains("--contract <CONTRACT>\n"),
        "{told}"
    );
    // Any layer will do.
    let owner = "03".repeat(20);
    assert!(run(&path, &["--print-config"], &[("KERROS_OWNER", &owner)]).status.success());
    assert!(run(&path, &["--print-config", "--owner", &owner], &[]).status.success());
}

#[test]
fn a_key_in_the_place_of_its_files_path_is_refused_and_not_repeated() {
    let key = "0d".repeat(32);
    let (_dir, path) = file(&format!("{REQUIRED}poster_key_file = \"0x{key}\"\n"));
    for arguments in [&[][..], &["--print-config"], &["--help"]] {
        let output = run(&path, arguments, &[("KERROS_POSTER_KEY_FILE", &key)]);
        assert!(!all(&output).contains(&key), "{}", all(&output));
        assert_eq!(output.status.code(), Some(if arguments == ["--help"] { 0 } else { 2 }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_of_a_node_is_neither_printed_nor_logged() {
    let site = Site::new().await;
    let (_dir, path) = file(REQUIRED);
    let mut flags = vec!["--allow-development".to_owned()];
    flags.push("--log-filter=trace,alloy_transport_http::reqwest_transport=trace".to_owned());
    for name in ["key", "srs"] {
        flags.push(format!("--{name}={}", site.path().join(name).display()));
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    // Nobody there, and somebody who answers nonsense.
    let alone = run(&path, &flags, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = listener.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4_096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let other = format!("--main-chain={}", URL.replace("127.0.0.1:1", &node.to_string()));
    let with_other: Vec<&str> = flags.iter().copied().chain([other.as_str()]).collect();
    let refused = run(&path, &with_other, &[]);
    // If it did not ask the node, nobody else does.
    drop(TcpStream::connect(node));
    assert!(answering.join().unwrap().contains("aPiKeY"), "the node is sent the whole URL");
    for output in [&alone, &refused] {
        assert_eq!(output.status.code(), Some(1));
        let told = all(output);
        assert!(told.contains("main chain not reachable") && told.contains("TRACE"), "{told}");
    }
    let printed = run(&path, &["--print-config"], &[]);
    assert!(all(&printed).contains("main_chain = \"http://127.0.0.1:1/…\""), "{}", all(&printed));
    let help = run(&path, &["--help"], &[("KERROS_MAIN_CHAIN", URL)]);
    for output in [alone, refused, printed, help] {
        for secret in URL_SECRETS {
            assert!(!all(&output).contains(secret), "{secret} in {}", all(&output));
        }
    }
}

#[test]
fn several_nodes_come_from_any_layer_and_only_where_they_are_is_shown() {
    let other = "https://node.example/v3/tOkEn";
    let both = format!("{URL},{other}");
    let (_two_dir, two) = file(&REQUIRED.replace(URL, &both));
    let (_one_dir, one) = file(REQUIRED);
    let flags = [URL, other].map(|url| format!("--main-chain={url}"));
    for output in [
        run(&two, &["--print-config"], &[]),
        run(&one, &["--print-config"], &[("KERROS_MAIN_CHAIN", &both)]),
        run(&one, &["--print-config", &flags[0], &flags[1]], &[]),
    ] {
        let line = printed(&output, "main_chain");
        let shown = "main_chain = \"http://127.0.0.1:1/…,https://node.example/…\" # ";
        assert!(line.starts_with(shown), "{line}");
        for secret in URL_SECRETS {
            assert!(!all(&output).contains(secret), "{secret} in {}", all(&output));
        }
    }
}

#[test]
fn nodes_that_cannot_be_compared_are_refused() {
    for (nodes, problem) in [
        (format!("{URL},{URL}"), "node 2 is node 1 again"),
        (format!("{URL},embedded:chain"), "an embedded chain stands alone"),
    ] {
        let (_dir, path) = file(&REQUIRED.replace(URL, &nodes));
        let output = run(&path, &[], &[]);
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told, format!("kerros-sequencer: main_chain: {problem}\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_configured_by_a_file_posts_and_never_shows_its_key() {
    let site = Site::new().await;
    let key = std::fs::read_to_string(site.path().join("poster")).unwrap();
    let mut text = String::new();
    for (name, value) in site.settings() {
        let name = name.replace('-', "_");
        match value.parse::<u64>().is_ok() || value == "true" {
            true => writeln!(text, "{name} = {value}").unwrap(),
            false => writeln!(text, "{name} = {value:?}").unwrap(),
        }
    }
    let (_dir, path) = file(&text);
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(&path).arg("--log-filter=trace");
    let process = site.launch(command, false).unwrap();
    settled(&site, &process).await;
    let said = stopped(&site, process).await;
    let printed = all(&run(&path, &["--print-config"], &[]));
    assert!(said.contains("TRACE") && said.contains("post sent"), "the log says much");
    assert!(printed.contains(&site.path().join("poster").display().to_string()));
    let key = key.to_lowercase();
    for text in [said, printed] {
        let text = text.to_lowercase();
        // Neither the whole nor a piece that is long enough to be no chance.
        for piece in [&key[..16], &key[24..40], &key[48..]] {
            assert!(!text.contains(piece), "a piece of the key is shown");
        }
    }
}
