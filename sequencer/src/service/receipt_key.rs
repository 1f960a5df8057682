//! The key that signs receipts: the poster's, or one of the sequencer's own, made at the first start.

use super::StartError;
use crate::config::Config;
use alloy::signers::local::PrivateKeySigner;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use zeroize::Zeroizing;

const FILE: &str = "receipt.key";

/// The poster's key binds receipts to the contract's operator. Without a poster the key is kept in
/// the data directory, readable for its owner only.
pub fn receipt_key(config: &Config) -> Result<PrivateKeySigner, StartError> {
    if let Some(wallet) = &config.wallet {
        return Ok(wallet.signer().clone());
    }
    let path = config.data_dir.join(FILE);
    let refuse =
        |problem: String| StartError::ReceiptKey { path: path.display().to_string(), problem };
    match std::fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(text) => {
            // The parser's own message could quote the secret.
            text.trim().parse().map_err(|_| refuse("no private key in hexadecimal".to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = PrivateKeySigner::random();
            let text = Zeroizing::new(hex::encode(key.to_bytes()));
            let failed = |error: std::io::Error| refuse(error.to_string());
            let mut options = OpenOptions::new();
            let options = options.write(true).create_new(true).mode(0o600);
            let mut file = options.open(&path).map_err(failed)?;
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(refuse(error.to_string())),
    }
}
