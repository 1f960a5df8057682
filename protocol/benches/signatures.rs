//! Microseconds per signed transaction, on one thread: one by one and in chunks, with as many
//! different keys as transactions (the dearest case) and with 16 keys. Run with
//! `cargo bench -p kerros-protocol --bench signatures`.

use ark_bn254::Fr;
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::amount::Fee;
use kerros_protocol::eddsa::{KeyCache, Point, PrivateKey};
use kerros_protocol::poseidon;
use kerros_protocol::transaction::{SignedTransaction, Transaction, Transfer, decode_and_verify};
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 25;

/// The least of several runs, in microseconds per item: the machine may be shared.
fn microseconds(items: usize, mut run: impl FnMut()) -> f64 {
    run();
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().unwrap_or(Duration::ZERO).as_secs_f64() * 1e6 / items as f64
}

fn transaction(nonce: u32) -> Transaction {
    Transaction::Transfer(Transfer {
        from: AccountIndex::new(3).expect("in range"),
        to: AccountIndex::new(4).expect("in range"),
        amount: 1_000_000,
        fee: Fee::exact(20).expect("exact"),
        nonce,
        payee_key: AccountKey::new(Fr::from(5u64)).expect("not 0"),
        payee_owner: Address([0x11; 20]),
    })
}

fn encoded(count: u32, keys: u32, domain: Fr) -> Vec<Vec<u8>> {
    let secret = |nonce: u32| {
        let mut bytes = [0x42; 32];
        bytes[..4].copy_from_slice(&(nonce % keys).to_le_bytes());
        PrivateKey::from_bytes(bytes)
    };
    (0..count)
        .map(|nonce| SignedTransaction::sign(transaction(nonce), &secret(nonce), domain).encode())
        .collect()
}

fn main() {
    let mut rng = rand::thread_rng();
    let domain = Fr::from(77u64);
    for inputs in [2usize, 4, 5, 16] {
        let words: Vec<Fr> = (1..=inputs as u64).map(|word| -Fr::from(word)).collect();
        let time = microseconds(200, || {
            for _ in 0..200 {
                black_box(poseidon::hash(black_box(&words)));
            }
        });
        println!("Poseidon of {inputs} words: {time:.1} us");
    }
    for (keys, label) in [(512, "different keys"), (16, "16 keys")] {
        let items = encoded(512, keys, domain);
        let packed: Vec<[u8; 32]> = items
            .iter()
            .map(|item| item[item.len() - 64..item.len() - 32].try_into().expect("32 bytes"))
            .collect();
        let points: Vec<Point> =
            packed.iter().map(|bytes| Point::unpack(bytes).expect("a point")).collect();
        let time = microseconds(packed.len(), || {
            packed.iter().for_each(|bytes| assert!(black_box(Point::unpack(bytes)).is_ok()));
        });
        println!("{label}: unpacking a point: {time:.1} us");
        let time = microseconds(points.len(), || {
            points.iter().for_each(|point| assert!(black_box(point.is_in_subgroup())));
        });
        println!("{label}: subgroup test: {time:.1} us");
        let time = microseconds(64, || {
            for item in &items[..64] {
                let signed = SignedTransaction::decode(item).expect("own encoding");
                assert!(signed.verify_signature(domain).is_ok());
            }
        });
        println!("{label}: decode and verify one by one: {time:.1} us");
        let slices: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let mut cache = KeyCache::new(1 << 12, &mut rng);
        for size in [1, 16, 64, 256, 512] {
            let time = microseconds(slices.len(), || {
                for chunk in slices.chunks(size) {
                    let answers = decode_and_verify(chunk, domain, &mut cache, &mut rng);
                    assert!(answers.iter().all(|answer| matches!(answer, Ok((_, Ok(()))))));
                }
            });
            println!("{label}: decode_and_verify, chunks of {size}: {time:.1} us");
        }
        for bad in [1, 256] {
            let mut items = items[..256].to_vec();
            // The lowest bit of S: a wrong equation, found by halving.
            items.iter_mut().take(bad).for_each(|item| {
                let s = item.len() - 32;
                item[s] ^= 1;
            });
            let slices: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
            let time = microseconds(slices.len(), || {
                let answers = decode_and_verify(&slices, domain, &mut cache, &mut rng);
                assert_eq!(answers.iter().filter(|a| matches!(a, Ok((_, Err(_))))).count(), bad);
            });
            println!("{label}: a chunk of 256 with {bad} bad: {time:.1} us");
        }
    }
}
