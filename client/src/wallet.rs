//! A holder's two keys, in one protected file: the layer-2 key that signs transfers and exits, and
//! the main-chain key that deposits, claims and forces exits.
//!
//! The file is readable by its user alone (mode 0600) and is refused if it is not. It is **not**
//! encrypted: whoever reads it has the money. Secrets are wiped when dropped and never printed;
//! `Debug` shows public parts only. This module knows no network.

use alloy::primitives::Address as ChainAddress;
use alloy::signers::local::PrivateKeySigner;
use kerros_protocol::account::{AccountKey, Address};
use kerros_protocol::eddsa::{PrivateKey, PublicKey};
use rand::{CryptoRng, RngCore};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

const MAGIC: &str = "kerros-wallet-v1";
/// Bytes of a wallet file, at most: magic, two hex keys, labels.
const FILE_BYTES_MAX: u64 = 1024;

/// Why a wallet could not be made, written or read.
#[derive(Debug, Error)]
pub enum WalletError {
    /// The file could not be read or written.
    #[error("wallet {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file exists: a wallet is never overwritten.
    #[error("wallet {path} exists already", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the file.
    #[error("wallet {path} has mode {mode:o}; only its user may read it (chmod 600)",
        path = path.display())]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The contents are no wallet. Says where, never what was found.
    #[error("wallet {path}: {what}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The part that is wrong.
        what: &'static str,
    },
    /// The 32 bytes are no secp256k1 key (0 or not below the curve's order).
    #[error("the main-chain key is not a key of secp256k1")]
    ChainKey,
    /// The layer-2 key's public x-coordinate is 0 (no honest key has it).
    #[error("the layer-2 key has no account key")]
    AccountKey,
}

/// A holder's keys with the public values derived from them.
pub struct Wallet {
    layer2: PrivateKey,
    chain: PrivateKeySigner,
    account_key: AccountKey,
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet")
            .field("account_key", &self.account_key)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl Wallet {
    /// From the two keys' 32 bytes each (layer 2: any; main chain: big-endian scalar).
    pub fn from_bytes(layer2: [u8; 32], chain: &[u8; 32]) -> Result<Self, WalletError> {
        let layer2 = PrivateKey::from_bytes(layer2);
        let chain = PrivateKeySigner::from_slice(chain).map_err(|_| WalletError::ChainKey)?;
        let account_key = layer2.public_key().account_key().map_err(|_| WalletError::AccountKey)?;
        Ok(Self { layer2, chain, account_key })
    }
    /// Draws both keys.
    pub fn generate(rng: &mut (impl RngCore + CryptoRng)) -> Result<Self, WalletError> {
        let mut layer2 = Zeroizing::new([0u8; 32]);
        let mut chain = Zeroizing::new([0u8; 32]);
        rng.fill_bytes(layer2.as_mut());
        rng.fill_bytes(chain.as_mut());
        Self::from_bytes(*layer2, &chain)
    }
    /// The key for layer-2 signatures.
    pub fn layer2(&self) -> &PrivateKey {
        &self.layer2
    }
    /// The layer-2 public key.
    pub fn public_key(&self) -> PublicKey {
        self.layer2.public_key()
    }
    /// The x-coordinate that stands in this holder's accounts.
    pub fn account_key(&self) -> AccountKey {
        self.account_key
    }
    /// The main-chain signer.
    pub fn signer(&self) -> &PrivateKeySigner {
        &self.chain
    }
    /// The main-chain address: owner of this holder's accounts.
    pub fn address(&self) -> Address {
        Address(self.chain.address().into_array())
    }
    /// The same address in alloy's type.
    pub fn chain_address(&self) -> ChainAddress {
        self.chain.address()
    }
    /// Writes a new file with mode 0600, synced; never overwrites one.
    pub fn create(&self, path: &Path) -> Result<(), WalletError> {
        let io = |source| WalletError::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        let mut file = match private_file(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(WalletError::Exists { path: path.to_owned() });
            }
            Err(error) => return Err(io(error)),
        };
        let layer2 = Zeroizing::new(self.layer2.to_bytes());
        let chain = Zeroizing::new(self.chain.to_bytes().0);
        let text = Zeroizing::new(format!(
            "{MAGIC}\nlayer2 {}\nmain-chain {}\n",
            Zeroizing::new(hex::encode(layer2.as_ref())).as_str(),
            Zeroizing::new(hex::encode(chain.as_ref())).as_str(),
        ));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
    }
    /// Reads [`Wallet::create`]'s file, strictly; refuses one that others may read.
    pub fn open(path: &Path) -> Result<Self, WalletError> {
        let io = |source| WalletError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        require_private(&file, path)?;
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(io)?;
        let malformed = |what| WalletError::Malformed { path: path.to_owned(), what };
        let mut lines = text.lines();
        if lines.next() != Some(MAGIC) {
            return Err(malformed("not a wallet of this version"));
        }
        let mut key = |label: &str, what| {
            let line = lines.next().and_then(|line| line.strip_prefix(label));
            let mut bytes = Zeroizing::new([0u8; 32]);
            match hex::decode_to_slice(line.unwrap_or_default(), bytes.as_mut()) {
                Ok(()) => Ok(bytes),
                Err(_) => Err(malformed(what)),
            }
        };
        let mut layer2 = key("layer2 ", "no layer-2 key")?;
        let chain = key("main-chain ", "no main-chain key")?;
        if lines.next().is_some() {
            return Err(malformed("something behind the keys"));
        }
        let wallet = Self::from_bytes(*layer2, &chain);
        layer2.zeroize();
        wallet
    }
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn require_private(file: &File, path: &Path) -> Result<(), WalletError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata();
    let metadata = metadata.map_err(|source| WalletError::Io { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(WalletError::NotPrivate { path: path.to_owned(), mode })
    }
}

#[cfg(not(unix))]
fn require_private(_file: &File, _path: &Path) -> Result<(), WalletError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn wallet() -> Wallet {
        Wallet::from_bytes([7; 32], &[9; 32]).expect("valid keys")
    }

    #[test]
    fn a_wallet_file_round_trips_and_is_private() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("deep/alice.wallet");
        wallet().create(&path).expect("written");
        let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let back = Wallet::open(&path).expect("read");
        assert_eq!(back.account_key(), wallet().account_key());
        assert_eq!(back.address(), wallet().address());
    }

    #[test]
    fn a_wallet_is_never_overwritten() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("w");
        wallet().create(&path).expect("written");
        assert!(matches!(wallet().create(&path), Err(WalletError::Exists { .. })));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("w");
        wallet().create(&path).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        assert!(matches!(Wallet::open(&path), Err(WalletError::NotPrivate { mode: 0o640, .. })));
    }

    #[test]
    fn malformed_files_are_refused_without_showing_their_contents() {
        let dir = tempfile::tempdir().expect("directory");
        let secret = "5e".repeat(31);
        for (i, text) in [
            String::new(),
            format!("{MAGIC}\n"),
            format!("{MAGIC}\nlayer2 {secret}\nmain-chain {secret}\n"),
            format!("{MAGIC}\nlayer2 {secret}5e\nmain-chain {secret}5e\nmore\n"),
        ]
        .iter()
        .enumerate()
        {
            let path = dir.path().join(i.to_string());
            private_file(&path).expect("new").write_all(text.as_bytes()).expect("written");
            let error = Wallet::open(&path).expect_err("malformed");
            assert!(matches!(error, WalletError::Malformed { .. }));
            assert!(!error.to_string().contains("5e5e"));
        }
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let text = format!("{:?}", wallet());
        assert!(!text.contains(&"07".repeat(8)) && !text.contains(&"09".repeat(8)), "{text}");
    }

    #[test]
    fn a_main_chain_key_of_zero_is_refused() {
        assert!(matches!(Wallet::from_bytes([1; 32], &[0; 32]), Err(WalletError::ChainKey)));
    }
}
