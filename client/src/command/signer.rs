//! Which deployment a wallet means, and whose receipts it believes: what is named by hand, else what was
//! met first.
//!
//! What was met first is kept in a file beside the wallet, `<wallet>.signers`: a line for each
//! deployment and URL, domain 32 bytes and the signer's address 20 bytes in hexadecimal, then the URL. A
//! sequencer names the contract that deposits go to: one that suddenly names another is refused.

use super::{Failure, SequencerAt};
use crate::contract::Identity;
use crate::sequencer::Info;
use alloy::primitives::Address as ChainAddress;
use kerros_protocol::account::Address;
use kerros_protocol::encoding::fr_to_be;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tonic::transport::Uri;

/// Bytes of the file, at most: some 600 deployments.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The file of a wallet.
pub fn file(wallet: &Path) -> PathBuf {
    let mut name = wallet.as_os_str().to_owned();
    name.push(".signers");
    name.into()
}

struct Met<'a> {
    domain: [u8; 32],
    signer: Address,
    url: Option<&'a str>,
}

fn read(text: &str) -> Result<Vec<Met<'_>>, String> {
    let lines = text.lines().enumerate().map(|(number, line)| {
        let wrong = || format!("line {}: not a domain, an address and a URL", number + 1);
        let mut parts = line.split(' ');
        let (Some(known), Some(signer), url, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let mut domain = [0; 32];
        hex::decode_to_slice(known, &mut domain).map_err(|_| wrong())?;
        let url = url.map(|url| url.trim_end_matches('/'));
        Ok(Met { domain, signer: super::address(signer).map_err(|_| wrong())?, url })
    });
    lines.collect()
}

/// Whether a file's text can be read: how many deployments it knows. Public for the fuzzer.
#[doc(hidden)]
pub fn check_form(text: &str) -> Result<usize, String> {
    read(text).map(|met| met.len())
}

/// What of a URL says where it leads: host and port in lower case and the path. Nothing else may get
/// into the file, least of all a line's end.
fn place(url: &str) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|_| format!("{url:?} is no URL"))?;
    let authority = uri.authority().ok_or_else(|| format!("{url:?} names no host"))?.as_str();
    let host = authority.rsplit('@').next().unwrap_or(authority).to_ascii_lowercase();
    let place = format!("{}://{host}{}", uri.scheme_str().unwrap_or("http"), uri.path());
    match place.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err(format!("{url:?} has a space or a line's end in it")),
        false => Ok(place.trim_end_matches('/').to_owned()),
    }
}

/// What a wallet has met, as text; empty if nothing.
fn load(path: &Path) -> Result<String, Failure> {
    let refuse = |problem| Failure::Signers { path: path.to_owned(), problem };
    match fs::metadata(path) {
        Ok(data) if data.len() > FILE_BYTES_MAX => {
            Err(refuse(format!("more than {FILE_BYTES_MAX} bytes")))
        }
        Ok(_) => fs::read_to_string(path).map_err(|error| refuse(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(refuse(error.to_string())),
    }
}

/// A deployment and a signer that hold against what is known. Nothing is written down before
/// [`Self::remember`]: whoever asks a node compares its chain first.
#[must_use]
pub struct Meeting {
    signer: ChainAddress,
    path: PathBuf,
    line: Option<String>,
    notice: Option<String>,
}

impl Meeting {
    /// Keeps what is met first, and gives notice; the address that signs the sequencer's receipts.
    pub fn remember(self) -> Result<ChainAddress, Failure> {
        if let Some(notice) = self.notice {
            eprintln!("{notice}");
        }
        if let Some(line) = self.line {
            let path = &self.path;
            let append = || OpenOptions::new().create(true).append(true).mode(0o600).open(path);
            let written = append().and_then(|mut file| file.write_all(line.as_bytes()));
            written.map_err(|error| Failure::Signers {
                path: path.clone(),
                problem: error.to_string(),
            })?;
        }
        Ok(self.signer)
    }
}

/// Compares deployment and signer with the ones named, or known of before.
pub fn meet(wallet: &Path, at: &SequencerAt, info: &Info) -> Result<Meeting, Failure> {
    let found = info.receipt_signer()?;
    let path = file(wallet);
    let refuse = |problem: String| Failure::Signers { path: path.clone(), problem };
    let text = load(&path)?;
    let met = read(&text).map_err(refuse)?;
    let (domain, url) = (fr_to_be(&info.domain), place(&at.sequencer_url).map_err(refuse)?);
    let url = url.as_str();
    let at_url = || met.iter().filter(|met| met.url == Some(url));
    let pinned = at_url().any(|met| met.domain == domain);
    if at.contract.is_none() && !pinned && at_url().next().is_some() {
        let (url, found, chain_id) = (url.to_owned(), info.contract, info.chain_id);
        return Err(Failure::OtherDeployment { url, found, chain_id });
    }
    let known = met.iter().find(|met| met.domain == domain).map(|met| met.signer);
    let expected = at.receipt_signer.or(known);
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        return Err(Failure::OtherSigner { expected, found });
    }
    // What was not named by hand is taken from the first meeting: contract, signer or both.
    let first = known.is_none() && (at.contract.is_none() || at.receipt_signer.is_none());
    let notice = first.then(|| {
        format!(
            "kerros: met contract {} on chain {}, whose receipts {found} signs; remembered in {}: compare \
             them with what the operator has published",
            info.contract,
            info.chain_id,
            path.display()
        )
    });
    let line = (!pinned).then(|| {
        // A last line without an end was written by hand.
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        format!("{end}{} {} {url}\n", hex::encode(domain), known.unwrap_or(found))
    });
    Ok(Meeting { signer: found.0.into(), path, line, notice })
}

/// Refuses a contract that is not among those that the wallet has met, if it has met any: for
/// whoever names a contract and asks no sequencer.
pub fn require_met(wallet: &Path, contract: Address, identity: &Identity) -> Result<(), Failure> {
    let path = file(wallet);
    let text = load(&path)?;
    let met = read(&text).map_err(|problem| Failure::Signers { path, problem })?;
    let domain = fr_to_be(&identity.domain);
    match met.is_empty() || met.iter().any(|met| met.domain == domain) {
        true => Ok(()),
        false => Err(Failure::NeverMet {
            contract,
            chain_id: identity.chain_id,
            domain: hex::encode(domain),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::failure::OTHER_SIGNER;
    use ark_bn254::Fr;
    use kerros_protocol::proto::GetInfoResponse;

    fn info(domain: u64, signer: u8) -> Info {
        Info {
            chain_id: 1,
            contract: Address([3; 20]),
            domain: Fr::from(domain),
            verification_key: None,
            message: GetInfoResponse { receipt_signer: vec![signer; 20], ..Default::default() },
        }
    }

    fn at(url: &str) -> SequencerAt {
        SequencerAt { sequencer_url: url.to_owned(), contract: None, receipt_signer: None }
    }
    fn known_at(wallet: &Path, at: &SequencerAt, info: &Info) -> Result<ChainAddress, Failure> {
        meet(wallet, at, info)?.remember()
    }
    /// At a URL of the deployment's own.
    fn known(wallet: &Path, info: &Info) -> Result<ChainAddress, Failure> {
        known_at(wallet, &at(&format!("http://{}", info.domain)), info)
    }

    #[test]
    fn a_url_that_serves_another_contract_than_before_is_refused_unless_that_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let wallet = dir.path().join("a.wallet");
        let there = at("http://127.0.0.1:7400");
        known_at(&wallet, &there, &info(1, 7)).expect("met first");
        known_at(&wallet, &at("http://127.0.0.1:7400/"), &info(1, 7)).expect("the same");
        let refused = known_at(&wallet, &there, &info(2, 7)).expect_err("another contract");
        assert!(matches!(refused, Failure::OtherDeployment { .. }), "{refused}");
        assert_eq!(refused.exit_code(), OTHER_SIGNER);
        known_at(&wallet, &at("http://[::1]:7400"), &info(2, 7)).expect("somewhere else");
        let named = SequencerAt { contract: Some(Address([3; 20])), ..there.clone() };
        known_at(&wallet, &named, &info(2, 7)).expect("named");
        known_at(&wallet, &there, &info(2, 7)).expect("named once");
        let named = SequencerAt { receipt_signer: Some(Address([9; 20])), ..there.clone() };
        let refused = known_at(&wallet, &named, &info(1, 7)).expect_err("another signer");
        assert!(matches!(refused, Failure::OtherSigner { .. }), "{refused}");
        // A signer named by hand is not kept: the one met first still holds without it.
        known_at(&wallet, &named, &info(1, 9)).expect("named");
        known_at(&wallet, &there, &info(1, 9)).expect_err("not the one met first");
        let text = fs::read_to_string(file(&wallet)).expect("written");
        assert_eq!(text.lines().count(), 3, "each once: {text}");
    }

    #[test]
    fn a_url_writes_no_lines_of_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let wallet = dir.path().join("a.wallet");
        let planted = format!("{} 0x{} http://bank:7400", "42".repeat(32), "66".repeat(20));
        for tail in ["/#a b", &format!("/#\n{planted}"), "/?a#b"] {
            let url = format!("http://127.0.0.1:7400{tail}");
            let _ = known_at(&wallet, &at(&url), &info(1, 7));
        }
        known_at(&wallet, &at("http://x@127.0.0.1:7400"), &info(1, 7)).expect("readable");
        let text = fs::read_to_string(file(&wallet)).expect("written");
        assert!(text.ends_with(" http://127.0.0.1:7400\n"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn the_signer_met_first_is_believed_and_no_other_after_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let wallet = dir.path().join("a.wallet");
        for (domain, signer) in [(1, 7), (1, 7), (2, 8), (1, 7), (2, 8)] {
            let known = known(&wallet, &info(domain, signer)).expect("the same as before");
            assert_eq!(known, ChainAddress::repeat_byte(signer));
        }
        let text = fs::read_to_string(file(&wallet)).expect("written");
        assert_eq!(text.lines().count(), 2, "each once: {text}");
        let failure = known(&wallet, &info(1, 8)).expect_err("another signer");
        assert!(matches!(failure, Failure::OtherSigner { .. }), "{failure}");
        assert_eq!(failure.exit_code(), OTHER_SIGNER);
    }

    #[test]
    fn a_file_that_says_something_else_is_refused_and_not_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let wallet = dir.path().join("a.wallet");
        let known_signer = format!("0x{}", "07".repeat(20));
        for domain in ["zz".repeat(32), "01".repeat(31), format!("0x{}", "01".repeat(32))] {
            fs::write(file(&wallet), format!("{domain} {known_signer}\n")).expect("written");
            let failure = known(&wallet, &info(1, 7)).expect_err("no domain");
            assert!(failure.to_string().contains("line 1"), "{domain}: {failure}");
        }
        // Upper case and a last line without an end are what an editor may leave.
        let domain = hex::encode_upper(fr_to_be(&Fr::from(0xabcdu64)));
        fs::write(file(&wallet), format!("{domain} {known_signer}")).expect("written");
        known(&wallet, &info(0xabcd, 7)).expect("the same");
        known(&wallet, &info(0xabcd, 8)).expect_err("another one");
        known(&wallet, &info(2, 9)).expect("met first");
        known(&wallet, &info(0xabcd, 7)).expect("still readable");
        fs::write(file(&wallet), "nonsense\n").expect("written");
        let failure = known(&wallet, &info(1, 7)).expect_err("no pins");
        assert!(failure.to_string().contains("line 1"), "{failure}");
        assert_eq!(fs::read_to_string(file(&wallet)).expect("there"), "nonsense\n");
    }

    #[test]
    fn nothing_is_kept_of_a_meeting_that_is_not_remembered() {
        let dir = tempfile::tempdir().expect("a directory");
        let wallet = dir.path().join("a.wallet");
        let meeting = meet(&wallet, &at("http://127.0.0.1:7400"), &info(1, 7)).expect("met first");
        assert!(!file(&wallet).exists(), "the node's chain is not compared yet");
        meeting.remember().expect("written");
        assert!(file(&wallet).exists());
    }

    #[test]
    fn a_wallet_that_has_met_deployments_knows_a_contract_by_its_chain_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let wallet = dir.path().join("a.wallet");
        let contract = Address([3; 20]);
        let identity = |domain: u64| Identity { chain_id: 1, domain: Fr::from(domain) };
        require_met(&wallet, contract, &identity(2)).expect("it has met nothing");
        known(&wallet, &info(1, 7)).expect("met first");
        require_met(&wallet, contract, &identity(1)).expect("that one");
        let refused = require_met(&wallet, contract, &identity(2)).expect_err("another chain");
        assert!(matches!(refused, Failure::NeverMet { .. }), "{refused}");
        assert_eq!(refused.exit_code(), OTHER_SIGNER);
    }
}
