//! Key files: verification keys, headers of reference strings, proving keys; with the right digest, too.

#![no_main]

use ark_bn254::G2Affine;
use ark_ec::AffineRepr;
use kerros_circuits::proving_key::check_form;
use kerros_fuzz::{bounded, canonical, choose, scratch, with_digest};
use kerros_protocol::commitment::{Srs, SrsHeader, SrsWriter};
use kerros_protocol::limits::LEDGER_K_MAX;
use kerros_protocol::verification_key::VerificationKey;
use libfuzzer_sys::fuzz_target;

fn verification_key(bytes: &[u8]) {
    let Ok(key) = bounded(bytes, 8_192, 4, VerificationKey::decode) else { return };
    canonical(bytes, key.encode());
    assert!(key.k_genesis <= key.k_max() && key.k_max() <= LEDGER_K_MAX);
    assert!(key.delta2 != key.gamma2() && key.delta2 != -key.gamma2() && !key.delta2.is_zero());
    assert!(key.tau_powers.iter().all(G2Affine::is_in_correct_subgroup_assuming_on_curve));
    key.hash();
}

fn header(bytes: &[u8]) {
    let mut rest = bytes;
    let read = bounded(bytes, 16_384, 4, |_| SrsHeader::read(&mut rest));
    let Ok(header) = read else { return };
    let written = SrsWriter::new(Vec::new(), &header).expect("memory").finish();
    canonical(&bytes[..bytes.len() - rest.len()], written);
}

/// A whole file: what the header promises is looked for before memory is taken for it.
fn file(bytes: &[u8]) {
    let path = scratch("srs");
    std::fs::write(&path, bytes).expect("memory");
    if let Ok(srs) = Srs::open(&path) {
        for k in 0..=LEDGER_K_MAX {
            bounded(bytes, 16_384, 16, |_| srs.lagrange(k).is_ok());
        }
    }
}

/// As it is, and with its digest put right: header's first 77 bytes ‖ digest ‖ padding ‖ body.
fn proving_key(bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    if whole.len() >= 128 {
        let digest = *blake3::hash(&whole[128..]).as_bytes();
        whole[77..109].copy_from_slice(&digest);
    }
    for bytes in [bytes, &whole] {
        let Ok((variables, domain)) = bounded(bytes, 4_096, 0, check_form) else { continue };
        // Points of 64 and 128 bytes that were all there.
        assert!(variables.saturating_mul(64 * 4) <= bytes.len() + 64 * 10 && domain <= bytes.len());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 6) else { return };
    match kind {
        0 => verification_key(rest),
        1 => verification_key(&with_digest(rest)),
        2 => header(rest),
        3 => header(&with_digest(rest)),
        4 => {
            // Behind the header's own length, so that sizes follow it.
            let end = rest.get(14).map_or(0, |k_max| 15 + (usize::from(*k_max) + 1) * 128);
            let (head, tail) = rest.split_at(end.min(rest.len()));
            file(&[with_digest(head), tail.to_vec()].concat());
        }
        _ => proving_key(rest),
    }
});
