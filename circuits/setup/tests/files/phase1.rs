//! Phases 1 that were tampered with.

use crate::scene::{POWER, SEEDS, Scene, ptau};
use crate::snarkjs::{powers_of_tau, snarkjs, text};
use ark_bn254::{Fq2, G2Affine};
use ark_ff::{AdditiveGroup, Field};
use kerros_setup::binfile::Bytes;
use kerros_setup::error::{FormatError, PointFault};
use kerros_setup::point;
use kerros_setup::ptau::{Ptau, PtauError};
use rand::rngs::OsRng;
use std::fs;
use std::ops::Range;

fn check(bytes: Vec<u8>) -> Result<(), PtauError> {
    Ptau::from_bytes(Bytes::Owned(bytes))?.verify(&mut OsRng, &|_| ())
}

/// Where the content of a section lies.
fn section(bytes: &[u8], wanted: u32) -> Range<usize> {
    let mut start = 12;
    loop {
        let kind = u32::from_le_bytes(bytes[start..start + 4].try_into().expect("4 bytes"));
        let length = u64::from_le_bytes(bytes[start + 4..start + 12].try_into().expect("8 bytes"));
        let content = start + 12..start + 12 + length as usize;
        if kind == wanted {
            return content;
        }
        start = content.end;
    }
}

/// Puts points `from` of a section of another file, or of this one, where `to` is.
fn moved(bytes: &[u8], kind: u32, len: usize, to: usize, other: &[u8], from: usize) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let (place, source) = (section(bytes, kind).start, section(other, kind).start);
    out[place + to * len..place + (to + 1) * len]
        .copy_from_slice(&other[source + from * len..source + (from + 1) * len]);
    out
}

#[test]
fn what_snarkjs_made_is_accepted() {
    let Some(scene) = Scene::get() else { return };
    assert_eq!(ptau(scene.phase1()).power(), POWER as u8);
    assert_eq!(check(scene.phase1()), Ok(()));
}

#[test]
fn a_flipped_byte_in_any_section_is_refused() {
    let Some(scene) = Scene::get() else { return };
    let bytes = scene.phase1();
    for kind in [1, 2, 3, 4, 5, 6, 12, 13, 14, 15] {
        let mut content = section(&bytes, kind);
        if kind == 1 {
            // Last is the power of the ceremony that the file is a part of.
            content.end -= 4;
        }
        let step = (content.len() / 12).max(1);
        for place in content.clone().step_by(step).chain([content.end - 1]) {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            assert!(check(flipped).is_err(), "section {kind}, byte {}", place - content.start);
        }
    }
}

#[test]
fn truncated_files_and_lengths_beyond_them_are_refused() {
    let Some(scene) = Scene::get() else { return };
    let bytes = scene.phase1();
    for end in (0..bytes.len()).step_by(611).chain([bytes.len() - 1]) {
        let refused = Ptau::from_bytes(Bytes::Owned(bytes[..end].to_vec())).err();
        assert!(matches!(refused, Some(FormatError::Truncated { .. })), "{end} bytes");
    }
    for kind in [1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15] {
        let mut longer = bytes.clone();
        let start = section(&bytes, kind).start;
        longer[start - 8..start].fill(0xff);
        let refused = Ptau::from_bytes(Bytes::Owned(longer)).err();
        assert!(matches!(refused, Some(FormatError::Truncated { .. })), "section {kind}");
    }
    let header = section(&bytes, 1).start;
    let with = |place: usize, value: u8| {
        let mut changed = bytes.clone();
        changed[place] = value;
        Ptau::from_bytes(Bytes::Owned(changed)).err().expect("refused")
    };
    assert!(matches!(with(header + 36, 29), FormatError::Range { found: 29, .. }));
    assert!(matches!(with(header + 36, 0), FormatError::Range { found: 0, .. }));
    assert!(matches!(with(header + 36, 5), FormatError::Length { section: 2, .. }));
    // A part of a smaller ceremony.
    assert!(matches!(with(header + 40, 5), FormatError::Range { found: 5, min: 6, .. }));
    assert_eq!(with(header + 4, 0), FormatError::Foreign { what: "base field" });
    assert_eq!(with(header - 12, 8), FormatError::Unknown { section: 8 });
}

#[test]
fn points_outside_their_group_are_refused() {
    let Some(scene) = Scene::get() else { return };
    let bytes = scene.phase1();
    let (outside, fault) = (outside_the_subgroup(), PointFault::Invalid);
    for kind in [3, 6, 13] {
        let mut changed = bytes.clone();
        let start = section(&bytes, kind).end - 128;
        changed[start..start + 128].copy_from_slice(&outside);
        let refused = check(changed).expect_err("refused");
        let PtauError::Format(FormatError::Point { section, fault: found, .. }) = refused else {
            panic!("{refused}")
        };
        assert_eq!((section, found), (kind, fault));
    }
    // Coordinates not below the modulus.
    let mut changed = bytes.clone();
    let start = section(&bytes, 4).start;
    changed[start..start + 32].fill(0xff);
    let point = FormatError::Point { section: 4, what: "alpha tau", index: 0, fault };
    assert_eq!(check(changed), Err(point.into()));
    // And the neutral element is no power.
    for kind in [4, 5, 6] {
        let mut changed = bytes.clone();
        let start = section(&bytes, kind).start;
        let len = if kind == 6 { 128 } else { 64 };
        changed[start..start + len].fill(0);
        let refused = check(changed).expect_err("refused");
        assert!(refused.to_string().contains("neutral element"), "{refused}");
    }
}

/// A point of the curve over the extension field that is not in the subgroup of the right order.
fn outside_the_subgroup() -> Vec<u8> {
    let mut x = Fq2::ONE;
    let point = loop {
        let found = G2Affine::get_point_from_x_unchecked(x, false);
        match found.filter(|point| !point.is_in_correct_subgroup_assuming_on_curve()) {
            Some(point) => break point,
            None => x.double_in_place(),
        };
    };
    assert!(point.is_on_curve());
    let mut out = Vec::new();
    point::put(&mut out, &point).expect("a vector takes everything");
    assert_eq!(point::decode::<G2Affine>(&out), Err(PointFault::Invalid));
    out
}

#[test]
fn powers_out_of_order_or_of_another_tau_are_refused() {
    let Some(scene) = Scene::get() else { return };
    let bytes = scene.phase1();
    let other = fs::read(powers_of_tau(POWER, SEEDS[1])).expect("snarkjs made it");
    let sections =
        [(2, 64, "tau in G1"), (3, 128, "tau in G2"), (4, 64, "alpha tau"), (5, 64, "beta tau")];
    for (kind, len, series) in sections {
        let last = section(&bytes, kind).len() / len - 1;
        for (to, from) in [(20, 21), (last, last - 1)] {
            let changed = moved(&bytes, kind, len, to, &bytes, from);
            assert_eq!(check(changed), Err(PtauError::NotPowers { series }));
        }
        let mut swapped = moved(&bytes, kind, len, 20, &bytes, 21);
        swapped = moved(&swapped, kind, len, 21, &bytes, 20);
        assert_eq!(check(swapped), Err(PtauError::NotPowers { series }));
        // The whole list of another ceremony.
        let mut changed = bytes.clone();
        changed[section(&bytes, kind)].copy_from_slice(&other[section(&other, kind)]);
        let refused = check(changed).expect_err("refused");
        let expected = match kind {
            // Its first power is compared with that of G2 first.
            2 => PtauError::NotPowers { series: "tau in G2" },
            5 => PtauError::BetaDiffers,
            _ => PtauError::NotPowers { series },
        };
        assert_eq!(refused, expected);
    }
    for (kind, len) in [(2, 64), (3, 128)] {
        let series = if kind == 2 { "tau in G1" } else { "tau in G2" };
        let changed = moved(&bytes, kind, len, 0, &bytes, 1);
        assert_eq!(check(changed), Err(PtauError::NotTheGenerator { series }));
    }
    assert_eq!(check(moved(&bytes, 6, 128, 0, &other, 0)), Err(PtauError::BetaDiffers));
}

#[test]
fn a_lagrange_form_that_is_not_that_of_the_powers_is_refused() {
    let Some(scene) = Scene::get() else { return };
    let bytes = scene.phase1();
    let other = fs::read(powers_of_tau(POWER, SEEDS[1])).expect("snarkjs made it");
    let sections = [
        (12, 64, "tau in G1"),
        (13, 128, "tau in G2"),
        (14, 64, "alpha tau"),
        (15, 64, "beta tau"),
    ];
    for (kind, len, series) in sections {
        let levels = POWER + u32::from(kind == 12);
        for level in 1..=levels {
            let (first, last) = ((1usize << level) - 1, (2usize << level) - 2);
            for place in [first, last] {
                let changed = moved(&bytes, kind, len, place, &other, place);
                let level = level as u8;
                assert_eq!(check(changed), Err(PtauError::NotLagrange { series, level }));
            }
        }
    }
}

#[test]
fn a_phase_1_that_nobody_contributed_to_is_refused() {
    let Some(_) = Scene::get() else { return };
    let dir = tempfile::TempDir::new().expect("temporary directory");
    let [empty, prepared] = ["empty", "prepared"].map(|name| dir.path().join(name));
    snarkjs(&["powersoftau", "new", "bn128", "4", text(&empty)]);
    snarkjs(&["powersoftau", "prepare", "phase2", text(&empty), text(&prepared)]);
    let bytes = fs::read(prepared).expect("snarkjs made it");
    assert_eq!(check(bytes), Err(PtauError::Trivial { what: "tau" }));
    let bytes = fs::read(empty).expect("snarkjs made it");
    let missing = FormatError::Missing { section: 12 };
    assert_eq!(check(bytes), Err(missing.into()));
}

#[test]
fn another_curve_is_refused() {
    let Some(_) = Scene::get() else { return };
    let dir = tempfile::TempDir::new().expect("temporary directory");
    let path = dir.path().join("other");
    snarkjs(&["powersoftau", "new", "bls12-381", "3", text(&path)]);
    let bytes = fs::read(path).expect("snarkjs made it");
    let length = FormatError::Length { section: 1, expected: 44, found: 60 };
    assert_eq!(check(bytes), Err(length.into()));
}
