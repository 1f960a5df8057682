//! Shapes, records and their bytes, against what SPEC.md section 4 states.

use super::*;
use crate::account::{AccountIndex, AccountKey, Address, AssetId, two_to};
use crate::amount::Fee;
use ark_ff::Field;

fn index(i: u32) -> AccountIndex {
    AccountIndex::new(i).expect("in range")
}

/// One record of every kind, two exits, all fields different.
fn data() -> BatchData {
    let key = AccountKey::new(Fr::from(0x4142u64)).expect("not 0");
    let asset = AssetId::new(0x0102).expect("not 0");
    let owner = Address([0x11; 20]);
    let fee = Fee::from_float(0x0304);
    let (from, to) = (index(0x0506), index(0x0708));
    let exit =
        ExitRecord { from, amount: 0x0b, fee, forced: false, asset: 0x0102, recipient: owner };
    BatchData {
        opens: vec![OpenRecord { index: to, asset, owner, key }],
        deposits: vec![DepositRecord { index: to, amount: 0x09, asset, key, owner }],
        transfers: vec![TransferRecord { from, to, amount: 0x0a, fee }],
        exits: vec![exit, ExitRecord { forced: true, fee: Fee::ZERO, ..exit }],
        collects: vec![CollectRecord { to, amount: 0x0c }],
    }
}

fn shape(text: &str) -> Result<Shape, ShapeError> {
    text.parse()
}

#[test]
fn the_bounds_of_a_shape_are_those_of_the_specification() {
    assert_eq!(shape("1,1,0,1,0").map(|s| s.sections()), Ok([1, 1, 0, 1, 0]));
    assert_eq!(shape("1,0,1,1,1"), Err(ShapeError::NoQueue));
    assert_eq!(shape("1,1,1,0,1"), Err(ShapeError::NoQueue));
    let fewer = ShapeError::OpensBelowDeposits { opens: 2, deposits: 3 };
    assert_eq!(shape("2,3,1,1,1"), Err(fewer));
    assert!(shape("3,3,1,1,1").is_ok());
    assert!(shape("1,1,65535,1,0").is_ok());
    assert_eq!(shape("1,1,65535,2,0"), Err(ShapeError::TooManyOrdered { have: 65_537 }));
    assert!(shape("65535,1,1,1,65535").is_ok());
    for (long, have) in [("65536,1,2,1,1", 65_543), ("1,1,1,1,65536", 65_541)] {
        assert_eq!(shape(long), Err(ShapeError::TooManyAccesses { have }));
    }
    for text in ["1,1,1,1", "1,1,1,1,1,1", "1,1,1,1,x", ""] {
        assert_eq!(shape(text), Err(ShapeError::Syntax));
    }
    let counted = shape("7,3,11,5,2").expect("a good shape");
    assert_eq!(counted.accesses(), 7 + 3 + 2 * 11 + 5 + 2);
    assert_eq!(counted.element_count(), 2 * 7 + 3 * 3 + 11 + 2 * 5 + 2);
    assert_eq!(hex::encode(counted.to_be()), "00000007000000030000000b0000000500000002");
}

#[test]
fn the_bytes_on_chain_are_frozen_and_read_strictly() {
    let owner = "11".repeat(20);
    let key = format!("{}4142", "00".repeat(30));
    let expected = [
        "00010001000100020001",
        &format!("000007080102{owner}{key}"),
        &format!("0000070800000000000000090102{key}{owner}"),
        "0000050600000708000000000000000a0304",
        &format!("00000506000000000000000b0304000102{owner}"),
        &format!("00000506000000000000000b0000010102{owner}"),
        "00000708000000000000000c",
    ];
    let (data, exact) = (data(), shape("1,1,1,2,1").expect("a good shape"));
    let bytes = data.encode();
    assert_eq!(hex::encode(&bytes), expected.concat());
    assert_eq!(BatchData::decode(&bytes, &exact), Ok(data.clone()));
    for length in 0..bytes.len() {
        assert!(BatchData::decode(&bytes[..length], &exact).is_err());
    }
    assert!(BatchData::decode(&[&bytes[..], &[0]].concat(), &exact).is_err());
    assert_eq!(data.queue_entries(), 2);
    // Where a field has a value that no record may have: asset, owner, key and forced.
    let zeroes = [(14, 2), (16, 20), (36, 32), (80, 2), (82, 32), (114, 20)];
    for (at, length) in zeroes {
        let mut bytes = bytes.clone();
        bytes[at..at + length].fill(0);
        let refused = BatchData::decode(&bytes, &exact);
        assert!(matches!(refused, Err(BatchDataError::Record { record: 0, .. })), "{at}");
    }
    let mut neither = bytes.clone();
    neither[134 + 18 + 14] = 2;
    let refused = BatchData::decode(&neither, &exact);
    assert!(matches!(refused, Err(BatchDataError::Record { section: 'E', record: 0, .. })));
}

#[test]
fn a_section_holds_its_capacity_and_no_more() {
    let (data, exact) = (data(), shape("1,1,1,2,1").expect("a good shape"));
    assert_eq!(data.check_capacity(&exact), Ok(()));
    let two = BatchData { deposits: vec![data.deposits[0]; 2], ..data.clone() };
    let crowded = [
        ('O', BatchData { opens: vec![data.opens[0]; 2], ..data.clone() }),
        ('D', two),
        ('T', BatchData { transfers: vec![data.transfers[0]; 2], ..data.clone() }),
        ('F', BatchData { collects: vec![data.collects[0]; 2], ..data.clone() }),
    ];
    for (section, data) in crowded {
        let full = BatchDataError::SectionFull { section, have: 2, capacity: 1 };
        assert_eq!(data.check_capacity(&exact), Err(full.clone()));
        assert_eq!(BatchData::decode(&data.encode(), &exact), Err(full));
    }
}

#[test]
fn elements_stand_at_fixed_places_whatever_the_sections_hold() {
    let (data, wide) = (data(), shape("2,2,3,3,2").expect("a good shape"));
    let number = |parts: &[(u64, u32)]| -> Fr {
        parts.iter().map(|(value, shift)| Fr::from(*value) * two_to(*shift)).sum()
    };
    let owner = data.opens[0].owner.to_fr();
    let (key, zero) = (Fr::from(0x4142u64), Fr::ZERO);
    let asset_owner = number(&[(0x0102, 160)]) + owner;
    let exit = number(&[(0x0506, 88), (0x0b, 24), (0x0304, 8)]);
    let forced = number(&[(0x0506, 88), (0x0b, 24), (1, 0)]);
    let expected = [
        vec![number(&[(0x0708, 176)]) + asset_owner, key, zero, zero],
        vec![number(&[(0x0708, 80), (0x09, 16), (0x0102, 0)]), key, owner, zero, zero, zero],
        vec![number(&[(0x0506, 112), (0x0708, 80), (0x0a, 16), (0x0304, 0)]), zero, zero],
        vec![exit, asset_owner, forced, asset_owner, zero, zero],
        vec![number(&[(0x0708, 64), (0x0c, 0)]), zero],
    ]
    .concat();
    assert_eq!(data.elements(&wide), expected);
    assert_eq!(expected.len(), wide.element_count());
    let z = Fr::from(5u64);
    let sum: Fr = expected.iter().zip(0u64..).map(|(d, j)| *d * z.pow([j])).sum();
    assert_eq!(evaluate(&expected, z), sum);
}
