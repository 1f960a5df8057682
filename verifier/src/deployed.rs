//! Whether what is deployed is the committed artifact with the key file's constants. Pure.

use crate::chain::Deployment;
use crate::contract::{Kerros, key_code};
use crate::post::key_words;
use kerros_protocol::verification_key::VerificationKey;
use thiserror::Error;

/// Where deployed code is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodeError {
    /// Another length.
    #[error("{what}: {have} bytes, must be {need}")]
    Length {
        /// Contract or constants.
        what: &'static str,
        /// Deployed.
        have: usize,
        /// Expected.
        need: usize,
    },
    /// Another byte.
    #[error("{what}: byte {position} differs from {expected}")]
    Byte {
        /// Contract or constants.
        what: &'static str,
        /// Place.
        position: usize,
        /// What it was compared with.
        expected: &'static str,
    },
    /// An immutable's place holds no value that the contract's getters name.
    #[error("contract: the immutable at byte {position} is {value}, which no getter names")]
    Immutable {
        /// Place.
        position: usize,
        /// Word.
        value: String,
    },
}

/// Compares code and constants. An immutable is a `PUSH32` of zeros in the artifact: there, and only
/// there, the deployed code may have a word, which must be one of the deployment's values.
pub fn compare_code(
    code: &[u8],
    constants: &[u8],
    deployment: &Deployment,
    key: &VerificationKey,
) -> Result<(), CodeError> {
    let expected = key_code(&key_words(key));
    same_length("constants", constants.len(), expected.len())?;
    if let Some(position) = (0..expected.len()).find(|i| constants[*i] != expected[*i]) {
        let expected = "the key file";
        return Err(CodeError::Byte { what: "constants", position, expected });
    }
    let artifact = &Kerros::DEPLOYED_BYTECODE;
    same_length("contract", code.len(), artifact.len())?;
    let values = values(deployment);
    let mut position = 0;
    while position < artifact.len() {
        if code[position] != artifact[position] {
            let expected = "the committed artifact";
            return Err(CodeError::Byte { what: "contract", position, expected });
        }
        let pushed = match artifact[position] {
            opcode @ 0x60..=0x7f => usize::from(opcode - 0x5f),
            _ => 0,
        };
        let start = position + 1;
        let end = (start + pushed).min(artifact.len());
        let (have, need) = (&code[start..end], &artifact[start..end]);
        if have != need {
            if need.len() < 32 || need.iter().any(|byte| *byte != 0) {
                let expected = "the committed artifact";
                return Err(CodeError::Byte { what: "contract", position: start, expected });
            }
            if !values.iter().any(|value| value == have) {
                let value = hex::encode(have);
                return Err(CodeError::Immutable { position: start, value });
            }
        }
        position = end;
    }
    Ok(())
}

fn same_length(what: &'static str, have: usize, need: usize) -> Result<(), CodeError> {
    if have == need { Ok(()) } else { Err(CodeError::Length { what, have, need }) }
}

/// All that the contract keeps as immutables, as words.
fn values(deployment: &Deployment) -> Vec<[u8; 32]> {
    let word = |bytes: &[u8]| {
        let mut word = [0u8; 32];
        word[32 - bytes.len()..].copy_from_slice(bytes);
        word
    };
    let d = deployment;
    let mut values = vec![d.vk_hash];
    values.extend([d.operator, d.admin, d.key_code].map(|address| word(address.as_slice())));
    values.extend([d.force_window, d.entry_window, d.silence].map(|n| word(&n.to_be_bytes())));
    values.extend([d.k_genesis, d.k_max].map(|n| word(&[n])));
    values.extend(d.shape.map(|n| word(&n.to_be_bytes())));
    values.push(word(&d.entry_fee.to_be_bytes()));
    values
}
