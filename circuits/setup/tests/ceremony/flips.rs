//! One flipped bit anywhere in the file of an ended ceremony.

use crate::quiet;
use crate::scene::{NAMES, Scene};
use kerros_setup::verify::{Stage, verify_from};
use kerros_setup::zkey::Zkey;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs;

/// Bytes of the container's head and of a section's.
const HEAD: usize = 12;
/// Of the sections that hold a list of points or coefficients, every so manyth byte is flipped; of the
/// others every byte.
const STRIDE: usize = 7;

/// The sections of a well-formed file: type and place.
fn sections(bytes: &[u8]) -> Vec<(u8, std::ops::Range<usize>)> {
    let (mut at, mut found) = (HEAD, Vec::new());
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at + 4..at + HEAD].try_into().expect("8 bytes"));
        let start = at + HEAD;
        at = start + usize::try_from(length).expect("small");
        found.push((bytes[start - HEAD], start..at));
    }
    found
}

#[test]
fn a_flipped_bit_is_refused_wherever_it_is_but_in_a_name() {
    let Some(scene) = Scene::get() else { return };
    let bytes = fs::read(scene.file("ended.zkey")).expect("made");
    let right =
        verify_from(&scene.initial, &scene.key("ended"), Stage::Final, &quiet).expect("right");
    let sections = sections(&bytes);
    assert_eq!(
        sections.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    );
    // Each stride begins elsewhere, so that no field of a list's elements is missed.
    let offset = usize::from(rand::random::<u8>());
    let in_list = |at: &usize| {
        sections.iter().any(|(kind, place)| (3..=9).contains(kind) && place.contains(at))
    };
    let flipped: Vec<usize> =
        (0..bytes.len()).filter(|at| !in_list(at) || (at + offset) % STRIDE == 0).collect();
    let accepted: BTreeSet<usize> = flipped
        .par_iter()
        .filter(|at| {
            let mut bytes = bytes.clone();
            bytes[**at] ^= 1 << (rand::random::<u8>() % 8);
            let Ok(key) = Zkey::decode(&bytes) else { return false };
            match verify_from(&scene.initial, &key, Stage::Final, &quiet) {
                Ok(found) => {
                    assert!(hashes(&found) == hashes(&right));
                    true
                }
                Err(_) => false,
            }
        })
        .copied()
        .collect();
    // snarkjs hashes no names: they prove nothing, and are said to.
    let named: BTreeSet<usize> = NAMES
        .iter()
        .flat_map(|name| {
            let place = bytes.windows(name.len()).position(|window| window == name.as_bytes());
            let start = place.expect("it is in the file");
            start..start + name.len()
        })
        .collect();
    println!("{} bits flipped, {} accepted", flipped.len(), accepted.len());
    assert!(accepted.is_subset(&named), "{:?}", accepted.difference(&named));
}

fn hashes(ceremony: &kerros_setup::verify::Report) -> Vec<[u8; 64]> {
    ceremony.contributions.iter().map(|step| step.hash).collect()
}
