//! Native rules and circuit agree on random batches, good and bad.
//!
//! Each case is a random list of records with random defects. Native code (`witness::execute`,
//! which runs every record through `protocol::transition`) accepts or refuses the batch. If it
//! accepts, the cheat's witness must be the honest one, satisfy the circuit and open and update
//! the state; if it refuses, the cheat's witness must be refused by the circuit or by the opening.
//!
//! One difference is allowed and excluded here: native code wants one t for each signed record of
//! a batch, the circuit only for each account: it takes some payments in whose every order a balance
//! would overflow (SPEC.md section 4), and no other state comes of it.
//!
//! Seed: `KERROS_SEED` (hex, 32 bytes), else fresh; always printed. Cases: `KERROS_CASES`, in blocks
//! that all cores share, each with its own seed: the same seed gives the same cases everywhere.

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use kerros_circuits::witness::WitnessError;
use kerros_protocol::account::{Address, AssetId};
use kerros_protocol::amount::Fee;
use kerros_protocol::transaction::{SignedTransaction, Transaction};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use rand::RngCore;
use rayon::prelude::*;
use std::cell::RefCell;
use support::*;

/// Cases with one seed.
const BLOCK: u32 = 100;

/// What may be wrong with a signed record.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    None,
    Nonce(u32),
    PayeeKey,
    PayeeOwner,
    Signer,
    Signature,
    Domain,
    Amount,
    Asset,
}

#[derive(Debug, Clone)]
enum Record {
    Open {
        index: u32,
        wallet: u8,
        asset: u16,
    },
    Deposit {
        index: u32,
        wallet: u8,
        asset: u16,
        amount: u64,
    },
    Pay {
        from: u32,
        to: u32,
        amount: u64,
        fee: u16,
        defect: Defect,
    },
    Exit {
        from: u32,
        amount: u64,
        fee: u16,
        defect: Defect,
    },
    Force {
        from: u32,
        wallet: u8,
        wrong: u64,
    },
    /// Collects what was paid in this account's asset, plus an error.
    Collect {
        to: u32,
        error: i64,
    },
}

fn index_of() -> impl Strategy<Value = u32> {
    prop_oneof![24 => 1u32..=7, 1 => 8u32..=15, 1 => Just(16u32), 1 => Just((1 << 28) - 1)]
}

fn amount_of() -> impl Strategy<Value = u64> {
    prop_oneof![
        12 => 0u64..=400,
        2 => 400u64..=11_000,
        1 => Just(u64::MAX),
        1 => Just(u64::MAX - 20),
        1 => any::<u64>(),
    ]
}

fn fee_of() -> impl Strategy<Value = u16> {
    // Mantissa high, exponent low.
    prop_oneof![8 => Just(0u16), 8 => (0u16..20).prop_map(|m| m << 5), 1 => any::<u16>()]
}

fn defect_of() -> impl Strategy<Value = Defect> {
    prop_oneof![
        30 => Just(Defect::None),
        1 => any::<u32>().prop_map(Defect::Nonce),
        1 => Just(Defect::Nonce(1)),
        1 => Just(Defect::PayeeKey),
        1 => Just(Defect::PayeeOwner),
        1 => Just(Defect::Signer),
        1 => Just(Defect::Signature),
        1 => Just(Defect::Domain),
        1 => Just(Defect::Amount),
        1 => Just(Defect::Asset),
    ]
}

fn record_of() -> impl Strategy<Value = Record> {
    let wallet = || 1u8..=7;
    // Mostly the wallet and asset that belong to the index (see `play`), given as 0.
    let matching = || prop_oneof![12 => Just(0u8), 1 => wallet()];
    let asset = || prop_oneof![12 => Just(0u16), 1 => 1u16..=3];
    prop_oneof![
        2 => (prop_oneof![6 => 6u32..=7, 1 => index_of()], matching(), asset())
            .prop_map(|(index, wallet, asset)| Record::Open { index, wallet, asset }),
        2 => (index_of(), matching(), asset(), amount_of())
            .prop_map(|(index, wallet, asset, amount)| Record::Deposit { index, wallet, asset, amount }),
        6 => (index_of(), index_of(), amount_of(), fee_of(), defect_of())
            .prop_map(|(from, to, amount, fee, defect)| Record::Pay { from, to, amount, fee, defect }),
        2 => (index_of(), amount_of(), fee_of(), defect_of())
            .prop_map(|(from, amount, fee, defect)| Record::Exit { from, amount, fee, defect }),
        1 => (index_of(), matching(), prop_oneof![10 => Just(0u64), 1 => 1u64..=3])
            .prop_map(|(from, wallet, wrong)| Record::Force { from, wallet, wrong }),
        3 => (index_of(), prop_oneof![20 => Just(0i64), 1 => -2i64..=2])
            .prop_map(|(to, error)| Record::Collect { to, error }),
    ]
}

/// Mostly well-formed: batches that native code accepts must be common.
fn gentle_of() -> impl Strategy<Value = Record> {
    let asset_one = || prop_oneof![4 => Just(1u32), 2 => Just(2u32), 1 => Just(6u32)];
    prop_oneof![
        1 => (prop_oneof![9 => 1u32..=3, 1 => 4u32..=7], 0u64..=300).prop_map(|(index, amount)| Record::Deposit {
            index, wallet: 0, asset: 0, amount
        }),
        6 => (prop_oneof![5 => Just(1u32), 1 => Just(2u32)], asset_one(), 0u64..=150, 0u16..=9).prop_map(|(from, to, amount, fee)| {
            Record::Pay { from, to, amount, fee: fee << 5, defect: Defect::None }
        }),
        1 => (0u64..=100, 0u16..=9).prop_map(|(amount, fee)| Record::Pay {
            from: 3, to: 7, amount, fee: fee << 5, defect: Defect::None
        }),
        2 => (1u32..=3, 0u64..=200, 0u16..=9).prop_map(|(from, amount, fee)| Record::Exit {
            from, amount, fee: fee << 5, defect: Defect::None
        }),
        1 => (1u32..=9, prop_oneof![Just(0u8), Just(9u8)]).prop_map(|(from, wallet)| {
            Record::Force { from, wallet, wrong: 0 }
        }),
    ]
}

/// The wallet that account `i` belongs to or should, and its asset.
fn natural(i: u32) -> (u8, u16) {
    match i {
        1..=7 => (i as u8, if i == 3 || i == 7 { 2 } else { 1 }),
        _ => (9, 1),
    }
}

/// Plays records in class order within the shape's capacities. Gives the scene, how far forced
/// exits lie about their amounts, and how many records it took.
fn play(records: &[Record], gentle: bool) -> (Scene, Vec<u64>, usize) {
    let mut scene = Scene::new();
    let mut count = 0;
    if gentle {
        scene.open(6, 6, 1);
        scene.open(7, 7, 2);
        count += 2;
    }
    for record in records {
        if let Record::Open { index, wallet, asset } = *record
            && scene.data.opens.len() < 2
        {
            let (w, a) = natural(index);
            let (w, a) = (if wallet == 0 { w } else { wallet }, if asset == 0 { a } else { asset });
            scene.open(index, w, a);
            count += 1;
        }
    }
    for record in records {
        if let Record::Deposit { index, wallet, asset, amount } = *record
            && scene.data.deposits.len() < 2
        {
            let (w, a) = natural(index);
            let (w, a) = (if wallet == 0 { w } else { wallet }, if asset == 0 { a } else { asset });
            scene.deposit(index, w, a, amount);
            count += 1;
        }
    }
    let mut exits = 0;
    let mut fees = std::collections::BTreeMap::<u16, u64>::new();
    for record in records {
        match *record {
            Record::Pay { from, to, amount, fee, defect } if scene.transfers.len() < 4 => {
                let asset = scene.get(from).asset;
                let paid = Fee::from_float(fee).value() as u64;
                *fees.entry(asset).or_default() = fees.get(&asset).unwrap_or(&0).wrapping_add(paid);
                let real = scene.transfer_of(from, to, amount, fee);
                let mut signed = real;
                match defect {
                    Defect::Nonce(n) => signed.nonce = signed.nonce.wrapping_add(n),
                    Defect::PayeeKey => signed.payee_key = key(9),
                    Defect::PayeeOwner => signed.payee_owner = wallet(9).1,
                    Defect::Amount => signed.amount ^= 1,
                    _ => {}
                }
                let signed = sign(Transaction::Transfer(signed), natural(from).0, defect);
                scene.pay_authorised(&signed, real);
                count += 1;
            }
            Record::Exit { from, amount, fee, defect } if exits < 2 => {
                exits += 1;
                let asset = scene.get(from).asset;
                let paid = Fee::from_float(fee).value() as u64;
                *fees.entry(asset).or_default() = fees.get(&asset).unwrap_or(&0).wrapping_add(paid);
                let real = scene.exit_of(from, amount, fee, Address([0x77; 20]));
                let mut signed = real;
                let mut record = real;
                match defect {
                    Defect::Nonce(n) => signed.nonce = signed.nonce.wrapping_add(n),
                    Defect::Amount => signed.amount ^= 1,
                    Defect::Asset => {
                        let other = AssetId::new(real.asset.get() % 2 + 1).unwrap();
                        (signed.asset, record.asset) = (other, other);
                    }
                    _ => {}
                }
                let signed = sign(Transaction::Exit(signed), natural(from).0, defect);
                scene.exit_authorised(&signed, record);
                count += 1;
            }
            _ => {}
        }
    }
    let mut collect = |scene: &mut Scene, to: u32, error: i64| {
        let paid = fees.remove(&scene.get(to).asset).unwrap_or(0);
        scene.collect(to, paid.wrapping_add_signed(error));
    };
    for record in records {
        if let Record::Collect { to, error } = *record
            && scene.data.collects.len() < 2
        {
            collect(&mut scene, to, error);
            count += 1;
        }
    }
    if gentle {
        for to in [2, 3] {
            if scene.data.collects.len() < 2 {
                collect(&mut scene, to, 0);
                count += 1;
            }
        }
    }
    let mut wrong = Vec::new();
    for record in records {
        if let Record::Force { from, wallet: w, wrong: off } = *record
            && exits < 2
        {
            exits += 1;
            scene.force(from, wallet(if w == 0 { natural(from).0 } else { w }).1);
            wrong.push(off);
            count += 1;
        }
    }
    (scene, wrong, count)
}

fn sign(transaction: Transaction, signer: u8, defect: Defect) -> SignedTransaction {
    let signer = if defect == Defect::Signer { 9 } else { signer };
    let domain = if defect == Defect::Domain { DOMAIN + 1 } else { DOMAIN };
    let mut signed = SignedTransaction::sign(transaction, &wallet(signer).0, fr(domain));
    if defect == Defect::Signature {
        signed.signature.s.0[0] ^= 1;
    }
    signed
}

#[derive(Default)]
struct Counts {
    accepted: usize,
    refused: usize,
    records: usize,
    reasons: std::collections::BTreeMap<String, usize>,
}

impl Counts {
    fn plus(mut self, other: Self) -> Self {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.records += other.records;
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        self
    }
}

fn agree(records: &[Record], gentle: bool, counts: &RefCell<Counts>) -> Result<(), TestCaseError> {
    let (scene, wrong, count) = play(records, gentle);
    let mut batch = scene.sealed();
    let forced = batch.data.exits.iter_mut().filter(|exit| exit.forced);
    for (exit, off) in forced.zip(wrong) {
        exit.amount = exit.amount.wrapping_sub(off);
    }
    let native = kerros_circuits::witness::execute(&shape(), &scene.before, &batch, fr(DOMAIN));
    let witness = forge(&scene.before, &batch);
    let verdict = judge(&witness);
    let mut counts = counts.borrow_mut();
    counts.records += count;
    match native {
        Ok(executed) => {
            counts.accepted += 1;
            prop_assert!(verdict.accepted(&scene.before, &witness), "the circuit refuses");
            prop_assert!(verdict.updates(&scene.before, &executed.after), "another state");
            prop_assert_eq!(&executed.witness, &witness);
            let elements = batch.data.elements(&shape());
            let y = kerros_protocol::batch::evaluate(&elements, verdict.z);
            prop_assert_eq!(verdict.outputs.y, y, "other data");
        }
        Err(error) => {
            prop_assert!(error != WitnessError::Authorisations, "the generator's fault");
            counts.refused += 1;
            let reason = match &error {
                WitnessError::Rejected { section, rejection, .. } => {
                    format!("{section} {}", rejection.code())
                }
                WitnessError::Fees { .. } => "fees".to_owned(),
                WitnessError::ForcedExit { .. } => "forced exit".to_owned(),
                other => format!("{other}"),
            };
            *counts.reasons.entry(reason).or_default() += 1;
            let accepted = verdict.accepted(&scene.before, &witness);
            prop_assert!(!accepted, "the circuit accepts, native code says: {error}");
        }
    }
    Ok(())
}

#[test]
fn native_rules_and_circuit_agree_on_random_records() {
    let seed = match std::env::var("KERROS_SEED") {
        Ok(text) => blake3::Hash::from_hex(&text).unwrap().into(),
        Err(_) => {
            let mut seed = [0u8; 32];
            rand::rngs::OsRng.fill_bytes(&mut seed);
            seed
        }
    };
    println!("KERROS_SEED={}", blake3::Hash::from_bytes(seed).to_hex());
    let cases = std::env::var("KERROS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400u32);
    let blocks = (0..cases.div_ceil(BLOCK)).into_par_iter();
    let Counts { accepted, refused, records, reasons } = blocks
        .map(|block| play_cases(seed, block, BLOCK.min(cases - block * BLOCK)))
        .reduce(Counts::default, Counts::plus);
    println!("{records} records in {accepted} accepted and {refused} refused batches");
    println!("refusals: {reasons:#?}");
    if cases >= 400 {
        assert!(records >= 2_000 && accepted >= cases as usize / 20 && refused >= 50);
        assert!(reasons.len() >= 6, "{reasons:?}");
    }
}

fn play_cases(seed: [u8; 32], block: u32, cases: u32) -> Counts {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seed = blake3::keyed_hash(&seed, &block.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, seed.as_bytes());
    let mut runner = TestRunner::new_with_rng(config, rng);
    let counts = RefCell::new(Counts::default());
    let gentle = proptest::collection::vec(gentle_of(), 3..9).prop_map(|r| (true, r));
    let rough = proptest::collection::vec(record_of(), 2..14).prop_map(|r| (false, r));
    // A good batch with a few records of any kind.
    let mixed = (
        proptest::collection::vec(gentle_of(), 3..7),
        proptest::collection::vec(record_of(), 1..3),
    )
        .prop_map(|(mut records, more)| {
            records.extend(more);
            (true, records)
        });
    let case = prop_oneof![2 => gentle, 1 => rough, 2 => mixed];
    runner.run(&case, |(gentle, records)| agree(&records, gentle, &counts)).unwrap();
    counts.into_inner()
}
