//! Receipts: files in JSON, as the client's API carries them, and whether they hold.

#![no_main]

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use ark_bn254::Fr;
use kerros_fuzz::{bounded, canonical, choose};
use kerros_protocol::account::Address;
use kerros_protocol::receipt::{GROUP_RECEIPTS_MAX, Promised, Receipt, Tree};
use kerros_protocol::transcript;
use kerros_verifier::promise::{FILE_BYTES_MAX, Held, Subject};
use kerros_verifier::receipt::check_deadline;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SIGNER: LazyLock<PrivateKeySigner> =
    LazyLock::new(|| PrivateKeySigner::from_bytes(&[9; 32].into()).expect("a key"));

fn held(text: &str) -> Option<Held> {
    if text.len() as u64 > FILE_BYTES_MAX {
        return None;
    }
    let held = bounded(text.as_bytes(), 8_192, 64, |_| Held::from_json(text)).ok()?;
    // Spaces and order of fields are the writer's choice; what was read is not.
    assert_eq!(Held::from_json(&held.to_json()).ok().as_ref(), Some(&held));
    if held.check(Address(SIGNER.address().into_array())).is_ok() {
        let (index, count) = match &held.subject {
            Subject::Transaction(_, receipt) => (receipt.index, receipt.count),
            Subject::Opening(receipt) => (receipt.index, receipt.count),
        };
        assert!(index < count && count <= GROUP_RECEIPTS_MAX);
    }
    Some(held)
}

/// The same promise for one deployment, alone in its group and signed: files as a judge takes them.
fn signed(mut held: Held) -> Held {
    (held.chain_id, held.contract) = (7, Address([3; 20]));
    let domain = transcript::domain(held.chain_id, &held.contract);
    match &mut held.subject {
        Subject::Transaction(_, receipt) => alone(receipt, domain),
        Subject::Opening(receipt) => alone(receipt, domain),
    }
    assert_eq!(held.check(Address(SIGNER.address().into_array())), Ok(()));
    held
}

fn alone<P: Promised>(receipt: &mut Receipt<P>, domain: Fr) {
    (receipt.index, receipt.count) = (0, 1);
    receipt.path.clear();
    let digest = receipt.digest(domain).expect("alone in its group");
    receipt.signature = SIGNER.sign_hash_sync(&digest.into()).expect("signs").as_bytes();
}

/// Two receipts convict or do not, in whichever order they are shown, and never a receipt itself.
fn judge(one: Held, other: Held) {
    // A restore is looked for in every batch between two openings: far apart is only slow.
    if one.batch().abs_diff(other.batch()) > 1_000 {
        return;
    }
    let signer = Address(SIGNER.address().into_array());
    let verdict = one.contradicts(&other, signer).expect("both are signed");
    assert_eq!(other.contradicts(&one, signer), Ok(verdict));
    assert_eq!(one.contradicts(&one, signer), Ok(false));
}

fn tree(bytes: &[u8]) {
    let Some((count, hashes)) = bytes.split_first_chunk::<4>() else { return };
    let hashes: Vec<[u8; 32]> = hashes.as_chunks::<32>().0.to_vec();
    let count = u32::from_be_bytes(*count);
    let restored = bounded(bytes, 4_096, 8, |_| Tree::restore(count, &hashes));
    let Some(tree) = restored else { return };
    canonical(hashes.as_flattened(), tree.hashes().flatten().copied().collect::<Vec<_>>());
    for index in 0..count {
        tree.path(index as usize);
    }
    tree.root();
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 4) else { return };
    match kind {
        0 => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            held(text);
        }
        1 => {
            // Two files, judged against each other.
            let Ok(text) = std::str::from_utf8(rest) else { return };
            let Some((one, other)) = text.split_once('\0') else { return };
            let (Some(one), Some(other)) = (held(one), held(other)) else { return };
            judge(signed(one), signed(other));
        }
        2 => tree(rest),
        _ => {
            let Some(words) = rest.first_chunk::<24>() else { return };
            let word =
                |at: usize| u64::from_be_bytes(words[at..at + 8].try_into().expect("eight bytes"));
            let _ = check_deadline(word(0), word(8), word(16));
        }
    }
});
