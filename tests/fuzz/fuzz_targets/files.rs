//! Files of an operator and a holder: settings, wallets.

#![no_main]

// The settings' reader belongs to the service's program, not to its library.
#[path = "../../../sequencer/src/arguments.rs"]
mod arguments;
#[path = "../../../sequencer/src/logs.rs"]
#[allow(dead_code)]
mod logs;
#[path = "../../../sequencer/src/settings.rs"]
#[allow(dead_code)]
mod settings;

use arguments::{Arguments, Hex};
use kerros_client::command::signer;
use kerros_client::wallet::Wallet;
use kerros_fuzz::{bounded, choose, scratch};
use kerros_kernels::Path as KernelPath;
use kerros_sequencer::main_chain::{Ethereum, without_path};
use libfuzzer_sys::fuzz_target;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// A file in memory, readable for its owner only.
fn file(bytes: &[u8], name: &str) -> PathBuf {
    let path = scratch(name);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(bytes)).expect("memory");
    path
}

fn settings(bytes: &[u8], flags: &[&str]) {
    let path = file(bytes, "toml");
    let mut line = vec!["kerros-sequencer".into(), "--config".into(), path.into_os_string()];
    line.extend(flags.iter().map(Into::into));
    // What the parser's own tables take; the values live as long as the process.
    let read = bounded(bytes, 4 << 20, 512, |_| settings::read::<Arguments>(line));
    match read {
        Ok((arguments, settings)) => {
            assert!(arguments.poll_ms > 0 && (1..=100).contains(&arguments.grow_at_percent));
            settings.print(|_, value| value.to_owned());
        }
        Err(error) => drop(error.to_string()),
    }
}

/// What an operator must always say.
const NEEDED: [&str; 7] = [
    "--data-dir=d",
    "--key=k",
    "--srs=s",
    "--contract=0505050505050505050505050505050505050505",
    "--main-chain=embedded:x",
    "--fee-key=0505050505050505050505050505050505050505050505050505050505050505",
    "--owner=0505050505050505050505050505050505050505",
];

fn wallet(bytes: &[u8]) {
    let path = file(bytes, "wallet");
    let Ok(wallet) = bounded(bytes, 65_536, 4, |_| Wallet::open(&path)) else { return };
    let copy = path.with_extension("copy");
    let _ = fs::remove_file(&copy);
    wallet.create(&copy).expect("memory");
    let again = Wallet::open(&copy).expect("what was written");
    assert_eq!((again.account_key(), again.address()), (wallet.account_key(), wallet.address()));
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 7) else { return };
    match kind {
        0 | 1 => settings(rest, &NEEDED),
        2 => settings(rest, &[]),
        3 => wallet(rest),
        4 => {
            // Fresh keys in the form that wallets have.
            let words: Vec<String> = rest.chunks(32).take(2).map(hex::encode).collect();
            let [layer2, chain] = words.as_slice() else { return };
            let text = format!("kerros-wallet-v1\nlayer2 {layer2}\nmain-chain {chain}\n");
            wallet(text.as_bytes());
        }
        5 => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            let known = bounded(rest, 4_096, 64, |_| signer::check_form(text));
            assert!(known.is_err() || known == Ok(text.lines().count()));
        }
        _ => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            let _ = (text.parse::<Hex<20>>().is_ok(), text.parse::<Hex<32>>().is_ok());
            let _ = text.parse::<KernelPath>().is_ok();
            // A URL carries keys: nothing behind the host may be shown.
            let shown = without_path(text);
            assert!(shown == "?" || shown.ends_with("/…"));
            let _ = Ethereum::connect(text).is_ok();
        }
    }
});
