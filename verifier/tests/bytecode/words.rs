//! Every word that stands for a field element or a point, one by one: what is not below its modulus,
//! not on its curve or not in its subgroup is refused, in calls and at the deployment; and what the
//! contract makes of precompiles that fail or return nothing.

use crate::machine::Machine;
use crate::price::{index, served};
use crate::rollup::{Rollup, account_words, operator, owner, parameters, person};
use crate::trapdoor;
use alloy::primitives::{Address, U256, address};
use ark_bn254::{Fq2, G2Affine};
use ark_ec::AffineRepr;
use kerros_protocol::account::Account;
use kerros_protocol::batch::{BatchData, TransferRecord};
use kerros_protocol::encoding::g2_to_be;
use kerros_verifier::contract::{Kerros, KerrosErrors as E, Key, Post, Revert, deployment_code};
use kerros_verifier::post::key_words;
use revm::precompile::Precompiles;

const SHAPE: &str = "2,2,4,3,2";

fn r() -> U256 {
    let text = "21888242871839275222246405745257275088548364400416034343698204186575808495617";
    text.parse().unwrap()
}

fn q() -> U256 {
    let text = "21888242871839275222246405745257275088696311157297823662689037894645226208583";
    text.parse().unwrap()
}

/// Words that mean the same as `value` modulo `modulus`, or nothing.
fn too_large(value: U256, modulus: U256) -> [U256; 3] {
    [modulus, modulus + value, U256::MAX]
}

/// A rollup with one account, and a good post for it that grows, opens and deposits: no word is 0.
fn grown() -> (Rollup, Post) {
    let mut rollup = Rollup::new(SHAPE, 2, 4, |_| ());
    let alice = person(1);
    let account =
        Account { key: 9u64.into(), balance: 50, nonce: 3, asset: 1, owner: owner(alice) };
    rollup.deposit(alice, 50, 9).result.unwrap();
    let mut new = rollup.book.clone();
    new.set(1, account);
    let post = rollup.forge(served(1, alice, 50, 9), &new, operator());
    rollup.post(operator(), &post, new, 1).result.unwrap();
    rollup.deposit(person(2), 7, 10).result.unwrap();
    let mut new = rollup.book.clone();
    new.grow();
    new.set(1, Account { balance: 49, ..account });
    let mut data = served(2, person(2), 7, 10);
    let fee = kerros_protocol::amount::Fee::ZERO;
    data.transfers = vec![TransferRecord { from: index(1), to: index(2), amount: 1, fee }];
    let post = rollup.forge(data, &new, operator());
    (rollup, post)
}

/// The words of a post that are coordinates.
fn coordinate(post: &mut Post, at: usize) -> &mut U256 {
    match at {
        0..6 => &mut post.oldC[at],
        6..12 => &mut post.grownC[at - 6],
        12..18 => &mut post.newC[at - 12],
        18..20 => &mut post.Q[at - 18],
        20..22 => &mut post.W[at - 20],
        _ => &mut post.proof[at - 22],
    }
}
const COORDINATES: usize = 30;
/// Places of the first coordinate of points of G1 that are not bound by a root.
const FREE_POINTS: [usize; 10] = [6, 8, 10, 12, 14, 16, 18, 20, 22, 28];
const PROOF_B: usize = 24;

fn refusal(rollup: &mut Rollup, post: Post) -> E {
    let (kerros, call) = (rollup.kerros, Kerros::postCall { p: post });
    match rollup.machine.attempt(operator(), kerros, &call) {
        Err(Revert::Kerros(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A point of the twist's curve that is not in the subgroup, as four words.
fn outside_the_subgroup() -> [U256; 4] {
    let point = (1u64..)
        .filter_map(|x| G2Affine::get_point_from_x_unchecked(Fq2::from(x), false))
        .find(|point| !point.is_in_correct_subgroup_assuming_on_curve())
        .unwrap();
    assert!(point.is_on_curve() && !point.is_zero());
    let bytes = g2_to_be(&point);
    std::array::from_fn(|i| U256::from_be_slice(&bytes[32 * i..32 * (i + 1)]))
}

#[test]
fn every_word_of_a_post_is_below_its_modulus() {
    let (mut rollup, good) = grown();
    type Scalar = fn(&mut Post) -> &mut U256;
    let scalars: [(&str, Scalar); 4] = [
        ("h", |p| &mut p.h),
        ("A", |p| &mut p.A),
        ("Delta", |p| &mut p.Delta),
        ("Z", |p| &mut p.Z),
    ];
    for (name, scalar) in scalars {
        let mut bad = good.clone();
        for value in too_large(*scalar(&mut bad), r()) {
            *scalar(&mut bad) = value;
            let refused = refusal(&mut rollup, bad.clone());
            let E::NotFieldElement(values) = refused else { panic!("{name}: {refused:?}") };
            assert_eq!(values.value, value, "{name}");
        }
    }
    for at in 0..COORDINATES {
        let mut bad = good.clone();
        let right = *coordinate(&mut bad, at);
        assert!(!right.is_zero(), "word {at} says nothing");
        for value in too_large(right, q()) {
            *coordinate(&mut bad, at) = value;
            let refused = refusal(&mut rollup, bad.clone());
            let E::NotCoordinate(values) = refused else { panic!("{at}: {refused:?}") };
            assert_eq!(values.value, value, "word {at}");
        }
    }
    let call = Kerros::postCall { p: good };
    rollup.send(operator(), U256::ZERO, &call).result.expect("unchanged it is good");
}

#[test]
fn every_point_of_a_post_is_on_its_curve_and_in_its_subgroup() {
    let (mut rollup, good) = grown();
    let one = U256::from(1);
    for at in FREE_POINTS {
        let mut bad = good.clone();
        (*coordinate(&mut bad, at), *coordinate(&mut bad, at + 1)) = (one, one);
        let refused = refusal(&mut rollup, bad);
        assert!(matches!(refused, E::NotOnCurve(_) | E::PairingRefused(_)), "{at}: {refused:?}");
    }
    // Each commitment grows for itself: what is wrong in two of them does not cancel.
    let mut bad = good.clone();
    bad.grownC[..4].rotate_left(2);
    assert!(matches!(refusal(&mut rollup, bad), E::GrowthRejected(_)));
    // Infinity is a point, though not the right one.
    for at in FREE_POINTS {
        let mut bad = good.clone();
        (*coordinate(&mut bad, at), *coordinate(&mut bad, at + 1)) = (U256::ZERO, U256::ZERO);
        match refusal(&mut rollup, bad) {
            E::GrowthRejected(_) if at < 12 => (),
            E::ProofRejected(_) if at >= 12 => (),
            refused => panic!("{at}: {refused:?}"),
        }
    }
    for at in [0, 2, 4] {
        let mut bad = good.clone();
        (*coordinate(&mut bad, at), *coordinate(&mut bad, at + 1)) = (one, one);
        assert!(matches!(refusal(&mut rollup, bad), E::WrongRoot(_)));
    }
    let mut bad = good.clone();
    bad.proof[PROOF_B - 22] += one;
    assert!(matches!(refusal(&mut rollup, bad), E::PairingRefused(_)));
    let mut bad = good.clone();
    bad.proof[2..6].copy_from_slice(&outside_the_subgroup());
    assert!(matches!(refusal(&mut rollup, bad), E::PairingRefused(_)));
}

#[test]
fn keys_in_the_data_are_below_r_too() {
    let (mut rollup, good) = grown();
    let (open, deposit) = (10 + 26, 10 + 58 + 14);
    for value in too_large(U256::from(10), r()) {
        for (place, is_open) in [(open, true), (deposit, false)] {
            let mut data = good.data.to_vec();
            assert_eq!(data[place..place + 32], U256::from(10).to_be_bytes::<32>());
            data[place..place + 32].copy_from_slice(&value.to_be_bytes::<32>());
            let refused = refusal(&mut rollup, Post { data: data.into(), ..good.clone() });
            match is_open {
                true => assert!(matches!(refused, E::BadOpen(_)), "{refused:?}"),
                false => assert!(matches!(refused, E::QueueMismatch(_)), "{refused:?}"),
            }
        }
        let call = Kerros::depositCall {
            asset: 1,
            baseAmount: U256::from(1),
            key: value,
            owner: person(1),
        };
        let kerros = rollup.kerros;
        let refused = rollup.machine.attempt(person(1), kerros, &call);
        assert!(matches!(refused, Err(Revert::Kerros(E::BadKey(_)))), "{refused:?}");
    }
}

#[test]
fn the_last_word_of_a_post_ends_in_zeros() {
    let (mut rollup, good) = grown();
    let call = alloy::sol_types::SolCall::abi_encode(&Kerros::postCall { p: good });
    let padding = 32 - (10 + 58 + 66 + 18) % 32;
    for place in call.len() - padding..call.len() {
        let mut dirty = call.clone();
        dirty[place] = 1;
        let kerros = rollup.kerros;
        let refused = rollup.machine.call(operator(), kerros, U256::ZERO, &dirty).result;
        let Err(Revert::Kerros(E::NonCanonicalCalldata(_))) = refused else { panic!("{place}") };
    }
    let kerros = rollup.kerros;
    rollup.machine.call(operator(), kerros, U256::ZERO, &call).result.expect("the clean one");
}

#[test]
fn every_word_of_an_escape_is_what_an_account_can_hold() {
    let (mut rollup, _) = grown();
    let right = account_words(&rollup.book.get(1));
    let good = rollup.book.escape(1, right);
    let kerros = rollup.kerros;
    rollup.machine.advance(crate::rollup::FORCE_WINDOW + 1);
    rollup.send(person(3), U256::ZERO, &Kerros::freezeCall { entry: 1 }).result.unwrap();
    let mut refusal =
        |call: &Kerros::escapeCall| match rollup.machine.attempt(person(3), kerros, call) {
            Err(Revert::Kerros(error)) => error,
            other => panic!("{other:?}"),
        };
    for (place, word) in right.into_iter().enumerate() {
        for value in too_large(word, r()) {
            let mut bad = good.clone();
            bad.words[place] = value;
            match (place, refusal(&bad)) {
                (0, E::NotFieldElement(values)) => assert_eq!(values.value, value),
                (1 | 2, E::BadAccountWords(_)) => (),
                (_, refused) => panic!("word {place} {value}: {refused:?}"),
            }
        }
    }
    for place in 0..6 {
        for value in too_large(good.commitments[place], q()) {
            let mut bad = good.clone();
            bad.commitments[place] = value;
            assert!(matches!(refusal(&bad), E::WrongRoot(_)));
        }
    }
    for place in 0..2 {
        for value in too_large(good.witness[place], q()) {
            let mut bad = good.clone();
            bad.witness[place] = value;
            let refused = refusal(&bad);
            let E::NotCoordinate(values) = refused else { panic!("{refused:?}") };
            assert_eq!(values.value, value);
        }
    }
    let bad = Kerros::escapeCall { witness: [U256::from(1); 2], ..good.clone() };
    assert!(matches!(refusal(&bad), E::NotOnCurve(_)));
    for index in [0, 4, 5, 1 << 28, u32::MAX] {
        assert!(matches!(refusal(&Kerros::escapeCall { index, ..good.clone() }), E::BadIndex(_)));
    }
    rollup.send(person(3), U256::ZERO, &good).result.expect("unchanged it is good");
}

/// Deploys with a changed key.
fn deployed(change: impl FnOnce(&mut Key)) -> Result<Address, Revert> {
    let key = trapdoor::key(SHAPE.parse().unwrap(), 2, 4);
    let mut words: Key = key_words(&key).into();
    change(&mut words);
    let code = deployment_code(words, parameters(&key));
    Machine::new(&[operator()]).create(operator(), code)
}

#[test]
fn every_constant_of_a_key_is_on_its_curve_and_in_its_subgroup() {
    deployed(|_| ()).expect("unchanged it is good");
    let refused = |change: &dyn Fn(&mut Key)| match deployed(change) {
        Err(Revert::Kerros(error)) => error,
        other => panic!("{other:?}"),
    };
    let one = U256::from(1);
    for at in 0..11 {
        fn point(key: &mut Key, at: usize) -> &mut [U256] {
            if at == 10 { &mut key.alpha1 } else { &mut key.ic[2 * at..2 * at + 2] }
        }
        assert!(matches!(refused(&|key| point(key, at).fill(one)), E::NotOnCurve(_)));
        for place in 0..2 {
            for wrong in 0..3 {
                let error = refused(&|key| {
                    let word = &mut point(key, at)[place];
                    *word = too_large(*word, q())[wrong];
                });
                assert!(matches!(error, E::NotOnCurve(_)), "{at}: {error:?}");
            }
        }
    }
    for at in 0..5 {
        fn point(key: &mut Key, at: usize) -> &mut [U256; 4] {
            match at {
                0 => &mut key.beta2,
                1 => &mut key.delta2,
                2 => &mut key.tau2,
                _ => &mut key.tauPowers[at - 3],
            }
        }
        let error = refused(&|key| *point(key, at) = outside_the_subgroup());
        assert!(matches!(error, E::PairingRefused(_)), "{at}: {error:?}");
        for place in 0..4 {
            let error = refused(&|key| point(key, at)[place] += one);
            assert!(matches!(error, E::PairingRefused(_)), "{at}: {error:?}");
            for wrong in 0..3 {
                let error = refused(&|key| {
                    let word = &mut point(key, at)[place];
                    *word = too_large(*word, q())[wrong];
                });
                assert!(matches!(error, E::PairingRefused(_)), "{at}: {error:?}");
            }
        }
    }
}

#[test]
fn a_key_whose_delta_is_gamma_or_its_negative_is_refused() {
    let gamma = |key: &Key| key.gamma2;
    let same = deployed(|key| key.delta2 = gamma(key));
    assert!(matches!(same, Err(Revert::Kerros(E::DeltaEqualsGamma(_)))), "{same:?}");
    let negative = deployed(|key| {
        let [x1, x0, y1, y0] = gamma(key);
        key.delta2 = [x1, x0, q() - y1, q() - y0];
    });
    assert!(matches!(negative, Err(Revert::Kerros(E::DeltaEqualsGamma(_)))), "{negative:?}");
    // Written otherwise, the same points.
    let disguised = deployed(|key| {
        key.delta2 = gamma(key);
        key.delta2[0] += q();
    });
    assert!(matches!(disguised, Err(Revert::Kerros(E::PairingRefused(_)))), "{disguised:?}");
    let other = deployed(|key| key.gamma2 = key.beta2);
    assert!(matches!(other, Err(Revert::Kerros(E::GammaNotGenerator(_)))), "{other:?}");
}

#[test]
fn precompiles_that_run_out_of_gas_or_return_nothing_pass_no_batch() {
    let (mut rollup, good) = grown();
    let (kerros, call) = (rollup.kerros, Kerros::postCall { p: good });
    let mut gas = rollup
        .machine
        .fork()
        .call(operator(), kerros, U256::ZERO, &alloy::sol_types::SolCall::abi_encode(&call))
        .gas;
    let (mut starved, step) = (0, gas / 97);
    // What was spent is less than what must be given: a call keeps a 64th back.
    while gas > 100_000 {
        gas -= step;
        match rollup.machine.attempt_within(gas, operator(), kerros, &call) {
            Ok(()) => panic!("accepted with {gas} gas"),
            Err(Revert::Kerros(E::NotOnCurve(_) | E::PairingRefused(_))) => starved += 1,
            Err(_) => (),
        }
    }
    assert!(starved > 10, "{starved} times a precompile had too little");

    // A chain without the pairing, then without any of the curve's operations.
    let byzantium = Precompiles::byzantium();
    let addition = address!("0000000000000000000000000000000000000006");
    let product = address!("0000000000000000000000000000000000000007");
    let mut without_pairing = Precompiles::homestead().clone();
    without_pairing.extend([addition, product].map(|place| byzantium.get(&place).unwrap().clone()));
    rollup.machine.keep_precompiles(Box::leak(Box::new(without_pairing)));
    let refused = rollup.machine.attempt(operator(), kerros, &call);
    assert!(matches!(refused, Err(Revert::Kerros(E::PairingRefused(_)))), "{refused:?}");
    for only in [addition, product] {
        let mut one = Precompiles::homestead().clone();
        one.extend([byzantium.get(&only).unwrap().clone()]);
        rollup.machine.keep_precompiles(Box::leak(Box::new(one)));
        let refused = rollup.machine.attempt(operator(), kerros, &call);
        assert!(matches!(refused, Err(Revert::Kerros(E::NotOnCurve(_)))), "{refused:?}");
    }
    rollup.machine.keep_precompiles(Precompiles::homestead());
    let refused = rollup.machine.attempt(operator(), kerros, &call);
    assert!(matches!(refused, Err(Revert::Kerros(E::NotOnCurve(_)))), "{refused:?}");
    let key = trapdoor::key(SHAPE.parse().unwrap(), 2, 4);
    let code = deployment_code(key_words(&key).into(), parameters(&key));
    let refused = rollup.machine.create(operator(), code);
    assert!(matches!(refused, Err(Revert::Kerros(E::NotOnCurve(_)))), "{refused:?}");
}

#[test]
fn a_batch_without_use_is_still_a_batch() {
    // The base line of the tests above: nothing of them depends on what the batch holds.
    let (mut rollup, _) = grown();
    rollup.advance(BatchData::default()).result.expect("an empty batch");
}
