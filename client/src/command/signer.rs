//! Whose receipts a wallet believes: the key named by hand, else the one met first.
//!
//! What was met first is kept in a file beside the wallet, `<wallet>.signers`: a line for each
//! deployment, domain 32 bytes and address 20 bytes in hexadecimal. Only public values.

use super::Failure;
use crate::sequencer::Info;
use alloy::primitives::Address as ChainAddress;
use kerros_protocol::account::Address;
use kerros_protocol::encoding::fr_to_be;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes of the file, at most: some 600 deployments.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The file of a wallet.
pub fn file(wallet: &Path) -> PathBuf {
    let mut name = wallet.as_os_str().to_owned();
    name.push(".signers");
    name.into()
}

fn find(text: &str, domain: &[u8; 32]) -> Result<Option<Address>, String> {
    for (number, line) in text.lines().enumerate() {
        let wrong = || format!("line {}: not a domain and an address", number + 1);
        let (known, signer) = line.split_once(' ').ok_or_else(wrong)?;
        let signer = super::address(signer).map_err(|_| wrong())?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(known, &mut bytes).map_err(|_| wrong())?;
        if bytes == *domain {
            return Ok(Some(signer));
        }
    }
    Ok(None)
}

/// The address that signs the sequencer's receipts, if it is the one known for this deployment; one
/// that is met first is remembered, and a notice given.
pub fn known(wallet: &Path, info: &Info) -> Result<ChainAddress, Failure> {
    let found = info.receipt_signer()?;
    let path = file(wallet);
    let refuse = |problem: String| Failure::Signers { path: path.clone(), problem };
    let text = match fs::metadata(&path) {
        Ok(data) if data.len() > FILE_BYTES_MAX => {
            return Err(refuse(format!("more than {FILE_BYTES_MAX} bytes")));
        }
        Ok(_) => fs::read_to_string(&path).map_err(|error| refuse(error.to_string()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(refuse(error.to_string())),
    };
    let domain = fr_to_be(&info.domain);
    match find(&text, &domain).map_err(refuse)? {
        Some(expected) if expected != found => {
            return Err(Failure::OtherSigner { expected, found });
        }
        Some(_) => {}
        None => {
            eprintln!(
                "kerros: receipts of this deployment are signed by {found}; remembered in {}, to be \
                       compared with the contract's operator",
                path.display()
            );
            // A last line without an end was written by hand.
            let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            let line = format!("{end}{} {found}\n", hex::encode(domain));
            let append = || OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
            let written = append().and_then(|mut file| file.write_all(line.as_bytes()));
            written.map_err(|error| refuse(error.to_string()))?;
        }
    }
    Ok(found.0.into())
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
}
