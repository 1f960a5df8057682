//! Decoding and checking a chunk of signed transactions at once: what intake does with them.
//!
//! Answers are those of [`SignedTransaction::decode`] and [`SignedTransaction::verify_signature`],
//! item by item; only the cost is shared (SPEC.md section 4, batch verification).

use super::SignedTransaction;
use crate::eddsa::batch::{Claim, verify_all};
use crate::eddsa::{KeyCache, SignatureError};
use crate::encoding::DecodeError;
use ark_bn254::Fr;
use rand::{CryptoRng, RngCore};

/// A decoded transaction and the answer of its signature's check, or why it could not be decoded.
pub type Checked = Result<(SignedTransaction, Result<(), SignatureError>), DecodeError>;

/// Decodes each item and checks its signature for the deployment named by `domain`. Cost per item
/// falls until about 512 items; a chunk with bad signatures costs a few times more.
pub fn decode_and_verify(
    bytes: &[&[u8]],
    domain: Fr,
    keys: &mut KeyCache,
    rng: &mut (impl RngCore + CryptoRng),
) -> Vec<Checked> {
    let decoded: Vec<Result<SignedTransaction, DecodeError>> = bytes
        .iter()
        .map(|item| SignedTransaction::decode_with(item, |packed| keys.unpack(packed)))
        .collect();
    let claims: Vec<Claim> = decoded
        .iter()
        .flatten()
        .map(|signed| Claim {
            key: signed.public_key,
            message: signed.transaction.message(domain),
            signature: signed.signature,
        })
        .collect();
    let mut answers = verify_all(&claims, rng).into_iter();
    let mut answer = || answers.next().expect("one answer per claim, one claim per decoded item");
    decoded.into_iter().map(|item| item.map(|signed| (signed, answer()))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::transfer;
    use super::*;
    use crate::eddsa::PrivateKey;
    use rand::Rng;

    #[test]
    fn a_chunk_gets_the_answers_of_its_items_one_by_one() {
        let mut rng = rand::thread_rng();
        let domain = Fr::from(77u64);
        let secrets: Vec<PrivateKey> = (0..5).map(|_| PrivateKey::generate(&mut rng)).collect();
        let mut keys = KeyCache::new(4, &mut rng);
        for count in [0, 1, 2, 30, 100] {
            let mut items = Vec::new();
            for _ in 0..count {
                let secret = &secrets[rng.gen_range(0..secrets.len())];
                let other = Fr::from(rng.gen_range(76..78u64));
                let signed_for = if rng.gen_bool(0.8) { domain } else { other };
                let mut item = SignedTransaction::sign(transfer(), secret, signed_for).encode();
                match rng.gen_range(0..6) {
                    0 => item.truncate(rng.gen_range(0..item.len())),
                    1 => item.push(0),
                    // Any bit anywhere: fields, key, R8 or S.
                    2 | 3 => {
                        let at = rng.gen_range(0..item.len());
                        item[at] ^= 1 << rng.gen_range(0..8);
                    }
                    _ => {}
                }
                items.push(item);
            }
            let slices: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
            let answers = decode_and_verify(&slices, domain, &mut keys, &mut rng);
            assert_eq!(answers.len(), items.len());
            for (item, answer) in items.iter().zip(answers) {
                let alone = SignedTransaction::decode(item);
                let alone = alone.map(|signed| (signed, signed.verify_signature(domain)));
                assert_eq!(answer, alone, "{}", hex::encode(item));
            }
        }
    }
}
