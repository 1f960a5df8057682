//! Signed transactions alone and in chunks: strict bytes, and a chunk's answers are those of its items.

#![no_main]

use ark_bn254::Fr;
use kerros_fuzz::{bounded, canonical, choose};
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::eddsa::{KeyCache, Point, PrivateKey};
use kerros_protocol::encoding::Reader;
use kerros_protocol::transaction::{
    Exit, SignedTransaction, Transaction, Transfer, decode_and_verify,
};
use libfuzzer_sys::arbitrary::{self, Unstructured};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

const DOMAIN: u64 = 7;

fn strict(data: &[u8]) {
    let Ok(signed) = bounded(data, 4_096, 4, SignedTransaction::decode) else { return };
    let written = signed.encode();
    canonical(data, &written);
    let transaction = signed.transaction;
    assert_eq!(SignedTransaction::id_of(data), Some(transaction.id()));
    assert!((1..=AccountIndex::LAST.get()).contains(&transaction.from().get()));
    let Point { x, y } = signed.public_key.0;
    assert!(Point::new(x, y).is_ok(), "the key is on its curve");
    let Point { x, y } = signed.signature.r8;
    assert!(Point::new(x, y).is_ok(), "R8 is on its curve");
    transaction.message(Fr::from(DOMAIN));
    Fee::at_most(transaction.fee().value().try_into().unwrap_or(u64::MAX));
}

/// A transaction whose fields come from the input, signed here; then one edit of its bytes.
fn item(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let index = |n: u32| AccountIndex::new(n).unwrap_or(AccountIndex::FIRST);
    let (from, to) = (index(u.arbitrary()?), index(u.arbitrary()?));
    let (amount, nonce, fee) = (u.arbitrary()?, u.arbitrary()?, Fee::from_float(u.arbitrary()?));
    let transaction = if u.arbitrary()? {
        let payee_key = AccountKey::new(Fr::from(1 + u64::from(u.arbitrary::<u32>()?)));
        let payee_owner = Address(u.arbitrary()?);
        let payee_key = payee_key.expect("not 0");
        Transaction::Transfer(Transfer { from, to, amount, fee, nonce, payee_key, payee_owner })
    } else {
        let asset = AssetId::new(u.arbitrary::<u16>()?.max(1)).expect("not 0");
        let recipient = Address(u.arbitrary()?);
        Transaction::Exit(Exit { from, amount, fee, nonce, asset, recipient })
    };
    let secret = PrivateKey::from_bytes([u.int_in_range(1..=4)?; 32]);
    let domain = Fr::from(DOMAIN + u64::from(u.ratio(1, 8)?));
    let mut bytes = SignedTransaction::sign(transaction, &secret, domain).encode();
    if u.ratio(1, 2)? {
        let at = u.choose_index(bytes.len())?;
        bytes[at] = u.arbitrary()?;
    }
    if u.ratio(1, 16)? {
        bytes.truncate(u.choose_index(bytes.len())?);
    }
    Ok(bytes)
}

fn chunk(items: &[Vec<u8>], seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut keys = KeyCache::new(2, &mut rng);
    let slices: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
    let domain = Fr::from(DOMAIN);
    let answers = decode_and_verify(&slices, domain, &mut keys, &mut rng);
    assert_eq!(answers.len(), items.len());
    for (item, answer) in items.iter().zip(answers) {
        let alone = SignedTransaction::decode(item);
        let alone = alone.map(|signed| (signed, signed.verify_signature(domain)));
        assert_eq!(answer, alone, "together and alone");
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 4) else { return };
    match kind {
        0 | 1 => strict(rest),
        2 => {
            let mut reader = Reader::new(rest);
            let taken = Transaction::take(&mut reader);
            if let Ok(transaction) = taken {
                canonical(&rest[..rest.len() - reader.remaining()], transaction.encode());
            }
        }
        _ => {
            let mut u = Unstructured::new(rest);
            let seed = u.arbitrary().unwrap_or_default();
            let count = u.int_in_range(1..=6).unwrap_or(1);
            let items: Result<Vec<_>, _> = (0..count).map(|_| item(&mut u)).collect();
            if let Ok(items) = items {
                chunk(&items, seed);
            }
        }
    }
});
