//! What can be wrong in a post's words and in its bytes.

use super::life::Life;
use alloy::primitives::{Address, U256};
use ark_bn254::{Fq2, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use kerros_protocol::encoding::{g1_to_be, g2_to_be};
use kerros_verifier::contract::Post;
use rand::Rng;
use rand::rngs::StdRng;
use std::ops::Range;

/// Scalars of a post.
const SCALARS: usize = 4;
/// Its points of G1.
const POINTS: usize = 13;
/// The first five of the data's bytes are counts of 16 bits.
const COUNTS: usize = 5;
/// Bytes of a record of each section.
const BYTES: [usize; COUNTS] = [58, 66, 18, 37, 12];
const EXITS: usize = 3;
/// Place of the flag in an exit.
const FORCED: usize = 14;

fn modulus(text: &str) -> U256 {
    text.parse().expect("a number")
}

fn r() -> U256 {
    modulus("21888242871839275222246405745257275088548364400416034343698204186575808495617")
}

fn q() -> U256 {
    modulus("21888242871839275222246405745257275088696311157297823662689037894645226208583")
}

fn scalar(post: &mut Post, at: usize) -> &mut U256 {
    match at {
        0 => &mut post.h,
        1 => &mut post.A,
        2 => &mut post.Delta,
        _ => &mut post.Z,
    }
}

fn point(post: &mut Post, at: usize) -> &mut [U256] {
    match at {
        0..3 => &mut post.oldC[2 * at..2 * at + 2],
        3..6 => &mut post.grownC[2 * (at - 3)..2 * (at - 3) + 2],
        6..9 => &mut post.newC[2 * (at - 6)..2 * (at - 6) + 2],
        9 => &mut post.Q,
        10 => &mut post.W,
        11 => &mut post.proof[..2],
        _ => &mut post.proof[6..],
    }
}

fn words<const N: usize>(bytes: &[u8]) -> [U256; N] {
    std::array::from_fn(|i| U256::from_be_slice(&bytes[32 * i..32 * i + 32]))
}

/// Another word in the place of one.
fn other_word(rng: &mut StdRng, word: U256, modulus: U256) -> U256 {
    let any = U256::from_be_bytes(rng.r#gen::<[u8; 32]>());
    match rng.gen_range(0..8) {
        0 => U256::ZERO,
        1 => word.wrapping_add(U256::from(1)),
        2 => word.wrapping_sub(U256::from(1)),
        3 => word.wrapping_add(modulus),
        4 => modulus,
        5 => U256::MAX,
        6 => any % modulus,
        _ => word ^ (U256::from(1) << rng.gen_range(0..256)),
    }
}

/// Another point, on the curve or not.
fn other_point(rng: &mut StdRng, point: &mut [U256]) {
    match rng.gen_range(0..7) {
        0 => point.fill(U256::ZERO),
        1 => point.copy_from_slice(&[U256::from(1), U256::from(2)]),
        2 => point.fill(U256::from(1)),
        3 => point.swap(0, 1),
        // Its negative; not in range if y is 0.
        4 => point[1] = q() - point[1],
        5 => {
            let any = G1Affine::generator() * ark_bn254::Fr::from(rng.r#gen::<u64>());
            point.copy_from_slice(&words::<2>(&g1_to_be(&any.into_affine())));
        }
        _ => {
            let at = rng.gen_range(0..2);
            point[at] = other_word(rng, point[at], q());
        }
    }
}

/// Another B of the proof.
fn other_b(rng: &mut StdRng, b: &mut [U256]) {
    match rng.gen_range(0..7) {
        0 => b.fill(U256::ZERO),
        1 => b.swap(0, 1),
        2 => b.swap(2, 3),
        3 => b.rotate_left(2),
        4 => {
            // On the curve, and most likely not in the subgroup.
            let found = (0..).find_map(|_| {
                let x = Fq2::new(rng.r#gen::<u64>().into(), rng.r#gen::<u64>().into());
                G2Affine::get_point_from_x_unchecked(x, rng.r#gen())
            });
            b.copy_from_slice(&words::<4>(&g2_to_be(&found.expect("half of all x have one"))));
        }
        5 => b[2..].iter_mut().for_each(|y| *y = q() - *y),
        _ => {
            let at = rng.gen_range(0..4);
            b[at] = other_word(rng, b[at], q());
        }
    }
}

/// One of a section's records, if it has any.
fn record(rng: &mut StdRng, data: &[u8], section: usize) -> Option<Range<usize>> {
    let counts = data.get(..2 * COUNTS)?.chunks_exact(2);
    let counts: Vec<usize> = counts.map(|n| usize::from(n[0]) << 8 | usize::from(n[1])).collect();
    let before: usize = (0..section).map(|i| counts[i] * BYTES[i]).sum();
    let number = (counts[section] > 0).then(|| rng.gen_range(0..counts[section]))?;
    let start = 2 * COUNTS + before + number * BYTES[section];
    (start + BYTES[section] <= data.len()).then_some(start..start + BYTES[section])
}

fn other_data(rng: &mut StdRng, data: &mut Vec<u8>) {
    match rng.gen_range(0..9) {
        7 => {
            let section = rng.gen_range(0..COUNTS);
            if let Some(record) = record(rng, data, section) {
                data[record].fill(0);
            }
        }
        8 => {
            if let Some(record) = record(rng, data, EXITS) {
                data[record.start + FORCED] = rng.r#gen();
            }
        }
        0 => data.truncate(rng.gen_range(0..data.len().max(1))),
        1 => data.extend((0..rng.gen_range(1..80)).map(|_| rng.r#gen::<u8>())),
        2 => data.extend(vec![0; rng.gen_range(1..80)]),
        3 => {
            let place = 2 * rng.gen_range(0..COUNTS) + 1;
            if let Some(count) = data.get_mut(place) {
                *count = count.wrapping_add(rng.gen_range(1..=255));
            }
        }
        // A record, or a part of one, of zeros.
        4 if data.len() > 2 * COUNTS => {
            let from = rng.gen_range(2 * COUNTS..data.len());
            let to = (from + rng.gen_range(1..40)).min(data.len());
            data[from..to].fill(0);
        }
        _ => {
            let at = rng.gen_range(0..data.len().max(1));
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << rng.gen_range(0..8);
            }
        }
    }
}

/// Changes a post in one way; `before` is an older one. How many words are wrong then beside the first.
pub fn of_post(life: &mut Life<'_>, post: &mut Post, before: Option<&Post>) -> u32 {
    let at_maximum = life.rollup.book.k == life.rollup.key.k_max();
    let rng = &mut life.rng;
    match rng.gen_range(0..24) {
        0..3 => {
            let word = scalar(post, rng.gen_range(0..SCALARS));
            *word = other_word(rng, *word, r());
        }
        3..9 => {
            let at = rng.gen_range(0..POINTS);
            other_point(rng, point(post, at));
        }
        9..11 => other_b(rng, &mut post.proof[2..6]),
        11..16 => {
            let mut data = post.data.to_vec();
            other_data(rng, &mut data);
            post.data = data.into();
        }
        16 => {
            let number = post.batchNumber;
            let near = [number.wrapping_add(1), number.wrapping_sub(1), 0, u64::MAX];
            post.batchNumber = near[rng.gen_range(0..4)];
        }
        17 => {
            post.grow = !post.grow;
            if rng.gen_bool(0.5) {
                post.grownC = if post.grow { post.oldC } else { [U256::ZERO; 6] };
            }
        }
        18 if at_maximum => (post.grow, post.grownC) = (true, post.oldC),
        19 => post.beneficiary = Address::from(rng.r#gen::<[u8; 20]>()),
        // The same proof in other words: whoever refuses one of them and takes the other is wrong.
        20 => {
            post.proof[1] = q() - post.proof[1];
            post.proof[4] = q() - post.proof[4];
            post.proof[5] = q() - post.proof[5];
        }
        21 => {
            let (a, b) = (rng.gen_range(0..POINTS), rng.gen_range(0..POINTS));
            let kept = point(post, a).to_vec();
            let other = point(post, b).to_vec();
            point(post, a).copy_from_slice(&other);
            point(post, b).copy_from_slice(&kept);
            return 1;
        }
        // Parts of an older post.
        _ => {
            let Some(before) = before else { return 0 };
            match rng.gen_range(0..6) {
                0 => post.proof = before.proof,
                1 => (post.Q, post.W) = (before.Q, before.W),
                2 => post.newC = before.newC,
                3 => post.data = before.data.clone(),
                4 => post.oldC = before.oldC,
                _ => *post = before.clone(),
            }
        }
    }
    0
}

/// Changes a call's bytes in one way; how many words are wrong then beside the first.
pub fn of_bytes(rng: &mut StdRng, call: &mut Vec<u8>) -> u32 {
    const HEAD: usize = 4 + 32;
    let any_word = |rng: &mut StdRng| HEAD + 32 * rng.gen_range(0..39);
    if call.len() < HEAD + 39 * 32 {
        // Cut off already.
        call.push(rng.r#gen());
        return 0;
    }
    match rng.gen_range(0..10) {
        0 => call.truncate(rng.gen_range(0..call.len())),
        1 => call.extend(vec![0; rng.gen_range(1..70)]),
        2 => call.extend((0..rng.gen_range(1..70)).map(|_| rng.r#gen::<u8>())),
        // The places of the post and of its data, and the data's length.
        3 => {
            let word = [4, HEAD + 37 * 32, HEAD + 38 * 32][rng.gen_range(0..3)];
            let end = word + 32;
            match rng.gen_range(0..3) {
                0 => call[end - 1] ^= 1 << rng.gen_range(0..8),
                1 => call[end - 2] ^= 1 << rng.gen_range(0..8),
                _ => call[word..end].copy_from_slice(&rng.r#gen::<[u8; 32]>()),
            }
        }
        // Bits beyond a number, a flag or an address.
        4 => {
            let (word, bytes) = [(0, 24), (13, 31), (36, 12)][rng.gen_range(0..3)];
            call[HEAD + 32 * word + rng.gen_range(0..bytes)] ^= 1 << rng.gen_range(0..8);
        }
        // Behind the data.
        5 => {
            let last = call.len() - 1;
            call[last] ^= 1 << rng.gen_range(0..8);
        }
        6 => call[rng.gen_range(0..4)] ^= 1 << rng.gen_range(0..8),
        7 => {
            let (a, b) = (any_word(rng), any_word(rng));
            (0..32).for_each(|i| call.swap(a + i, b + i));
            return 1;
        }
        _ => {
            let at = rng.gen_range(0..call.len());
            call[at] ^= 1 << rng.gen_range(0..8);
        }
    }
    0
}
