//! Each refusal for its own reason, and the last value that is not refused.

use crate::machine::Machine;
use crate::price::{forced, served};
use crate::rollup::{Rollup, operator, parameters, person};
use crate::trapdoor;
use alloy::primitives::{Address, U256, hex};
use alloy::sol_types::SolCall;
use kerros_protocol::batch::BatchData;
use kerros_verifier::contract::{
    Kerros, KerrosErrors as E, Key, Parameters, Post, Revert, deployment_code, test_token_code,
};
use kerros_verifier::post::key_words;

fn small() -> Rollup {
    Rollup::new("4,4,8,4,2", 3, 6, |_| ())
}

/// The reason that a call is refused for.
fn refusal(rollup: &mut Rollup, from: Address, call: &impl SolCall) -> E {
    let kerros = rollup.kerros;
    match rollup.machine.attempt(from, kerros, call) {
        Err(Revert::Kerros(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn deployed(
    (k_genesis, k_max): (u8, u8),
    change: impl FnOnce(&mut Key, &mut Parameters),
) -> Result<(), E> {
    let key = trapdoor::key("2,2,4,3,2".parse().unwrap(), k_genesis, k_max);
    let (mut words, mut terms): (Key, _) = (key_words(&key).into(), parameters(&key));
    change(&mut words, &mut terms);
    let code = deployment_code(words, terms);
    match Machine::new(&[operator()]).create(operator(), code) {
        Ok(_) => Ok(()),
        Err(Revert::Kerros(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_deployment_has_windows_that_work() {
    let windows = |force: u64, entry: u64, silence: u64| {
        deployed((2, 2), |_, terms| {
            (terms.forceWindow, terms.entryWindow, terms.silence) = (force, entry, silence);
        })
    };
    let most = u64::from(u32::MAX);
    for (force, entry, silence) in [(2, 1, 1), (most, most, most - 1)] {
        assert_eq!(windows(force, entry, silence), Ok(()));
    }
    for (force, entry, silence) in
        [(2, 1, 0), (1, 1, 1), (2, 1, 3), (most + 1, 1, 1), (2, 0, 1), (2, most + 1, 1)]
    {
        let refused = windows(force, entry, silence);
        assert!(matches!(refused, Err(E::BadWindows(_))), "{refused:?}");
    }
}

#[test]
fn a_deployment_has_an_operator_an_admin_and_ledger_sizes() {
    let nobody = deployed((2, 2), |_, terms| terms.operator = Address::ZERO);
    assert!(matches!(nobody, Err(E::ZeroAddress(_))), "{nobody:?}");
    let nobody = deployed((2, 2), |_, terms| terms.admin = Address::ZERO);
    assert!(matches!(nobody, Err(E::ZeroAddress(_))), "{nobody:?}");
    // Two opens and index 0 need 2^2.
    for (from, to) in [(2, 2), (2, 4), (27, 28), (28, 28)] {
        assert_eq!(deployed((from, to), |_, _| ()), Ok(()), "{from} to {to}");
    }
    for (from, to) in [(3, 2), (1, 2), (0, 0), (28, 29), (29, 29)] {
        let refused = deployed((2, 2), |_, terms| (terms.kGenesis, terms.kMax) = (from, to));
        assert!(matches!(refused, Err(E::BadLedgerSize(_))), "{from} to {to}: {refused:?}");
    }
    for (have, need) in [((2, 3), 2), ((2, 4), 3), ((2, 3), 4)] {
        let refused = deployed(have, |_, terms| terms.kMax = need);
        let Err(E::WrongTauPowerCount(counts)) = refused else { panic!("{refused:?}") };
        assert_eq!(counts.expected, U256::from(need - 2));
        assert_eq!(counts.got, U256::from(have.1 - 2));
    }
}

#[test]
fn a_deployment_has_a_shape_that_can_be_proved() {
    let with = |shape: [u32; 5]| deployed((16, 16), |key, _| key.shape = shape);
    let most = 0xffff;
    for shape in
        [[1, 1, 0, 1, 0], [most, most, most, 1, most], [2, 1, 1, most, 0], [most, 1, 0, most, most]]
    {
        assert_eq!(with(shape), Ok(()), "{shape:?}");
    }
    for shape in [
        [1, 0, 1, 1, 1],
        [1, 1, 1, 0, 1],
        [1, 2, 1, 1, 1],
        [most + 1, 1, 1, 1, 1],
        [1, most + 1, 1, 1, 1],
        [1, 1, most + 1, 1, 1],
        [1, 1, 0, most + 1, 1],
        [1, 1, 1, 1, most + 1],
        [1, 1, most, 2, 1],
        [1, 1, 1 << 31, 1 << 31, 1],
    ] {
        let refused = with(shape);
        assert!(matches!(refused, Err(E::BadShape(_))), "{shape:?}: {refused:?}");
    }
}

#[test]
fn a_constant_at_infinity_is_refused() {
    let refused = |change: &dyn Fn(&mut Key)| {
        let refused = deployed((2, 4), |key, _| change(key));
        assert!(matches!(refused, Err(E::ConstantAtInfinity(_))), "{refused:?}");
    };
    refused(&|key| key.alpha1.fill(U256::ZERO));
    refused(&|key| key.beta2.fill(U256::ZERO));
    refused(&|key| key.delta2.fill(U256::ZERO));
    refused(&|key| key.tau2.fill(U256::ZERO));
    refused(&|key| key.tauPowers[0].fill(U256::ZERO));
    refused(&|key| key.tauPowers[1].fill(U256::ZERO));
    // A point of the inputs may be: its input has no weight then, which the ceremony's check finds.
    for at in 0..4 {
        let gamma = deployed((2, 2), |key, _| key.gamma2[at] += U256::from(1));
        assert!(matches!(gamma, Err(E::GammaNotGenerator(_))), "{gamma:?}");
    }
    // Half of gamma's coordinates are not gamma.
    for at in 0..2 {
        let other = deployed((2, 2), |key, _| key.delta2[at] = key.gamma2[at]);
        assert!(matches!(other, Err(E::PairingRefused(_))), "{other:?}");
    }
}

#[test]
fn the_constants_are_kept_as_they_were_given() {
    let mut rollup = small();
    let key = rollup.key.clone();
    assert_eq!(rollup.read(Kerros::vkHashCall {}).0, key.hash());
    let words = key_words(&key);
    for (size, power) in (3..6u8).zip(&words.tau_powers) {
        assert_eq!(rollup.read(Kerros::tauPowerCall { size }), *power);
    }
    for size in [0, 2, 6, 7] {
        let refused = refusal(&mut rollup, person(1), &Kerros::tauPowerCall { size });
        assert!(matches!(refused, E::LedgerAtMaximum(_)), "{refused:?}");
    }
    assert_eq!(rollup.read(Kerros::shapeCall {}), [4, 4, 8, 4, 2].map(U256::from));
    let place = rollup.read(Kerros::keyCodeCall {});
    let code = kerros_verifier::contract::key_code(&words);
    assert_eq!(rollup.machine.code(place), code);
}

#[test]
fn only_tokens_are_registered_and_only_65535_of_them() {
    let mut rollup = small();
    let register = |token| Kerros::registerAssetCall { token, unitExponent: 0 };
    let refused = refusal(&mut rollup, operator(), &register(Address::ZERO));
    assert!(matches!(refused, E::ZeroAddress(_)), "{refused:?}");
    for token in [person(1), rollup.kerros] {
        let refused = refusal(&mut rollup, operator(), &register(token));
        assert!(matches!(refused, E::TokenHasNoCode(_)), "{refused:?}");
    }
    let mut token = || {
        let code = test_token_code("U", "U", 6);
        rollup.machine.create(operator(), code).unwrap()
    };
    let (last, beyond) = (token(), token());
    // As if so many were registered; the count is the contract's first slot.
    rollup.machine.write(rollup.kerros, U256::ZERO, U256::from(u16::MAX - 1));
    assert_eq!(rollup.read(Kerros::assetCountCall {}), u16::MAX - 1);
    rollup.send(operator(), U256::ZERO, &register(last)).result.expect("the last id");
    assert_eq!(rollup.read(Kerros::assetOfTokenCall(last)), u16::MAX);
    let refused = refusal(&mut rollup, operator(), &register(beyond));
    assert!(matches!(refused, E::TooManyAssets(_)), "{refused:?}");
}

#[test]
fn what_a_batch_could_not_serve_is_not_queued() {
    let mut rollup = Rollup::new("2,2,4,3,2", 2, 2, |_| ());
    let alice = person(1);
    let deposit = |asset, units: u64, key: u64, owner| Kerros::depositCall {
        asset,
        baseAmount: U256::from(units),
        key: U256::from(key),
        owner,
    };
    let mut refused = |call| refusal(&mut rollup, alice, &call);
    for asset in [0, 2, u16::MAX] {
        assert!(matches!(refused(deposit(asset, 1, 1, alice)), E::UnknownAsset(_)));
    }
    assert!(matches!(refused(deposit(1, 0, 1, alice)), E::ZeroAmount(_)));
    assert!(matches!(refused(deposit(1, 1, 0, alice)), E::BadKey(_)));
    assert!(matches!(refused(deposit(1, 1, 1, Address::ZERO)), E::ZeroOwner(_)));
    // All of a supply, and one more.
    let fee = rollup.entry_fee();
    rollup.send(alice, fee, &deposit(1, u64::MAX - 1, 1, alice)).result.unwrap();
    let bound = refusal(&mut rollup, alice, &deposit(1, 2, 1, alice));
    let E::SupplyBound(values) = bound else { panic!("{bound:?}") };
    assert_eq!((values.asset, values.supply, values.units), (1, u64::MAX - 1, U256::from(2)));
    rollup.deposit(alice, 1, 1).result.expect("the whole supply");
    assert!(matches!(refusal(&mut rollup, alice, &deposit(1, 1, 1, alice)), E::SupplyBound(_)));
    // Three accounts and index 0 are the ledger.
    let token = rollup.machine.create(operator(), test_token_code("U", "U", 6)).unwrap();
    rollup.register(token, 0).unwrap();
    rollup.fund(token, alice);
    let fee = rollup.entry_fee();
    rollup.send(alice, fee, &deposit(2, 1, 2, alice)).result.expect("the last account");
    let full = refusal(&mut rollup, alice, &deposit(2, 1, 3, alice));
    let E::LedgerFull(values) = full else { panic!("{full:?}") };
    assert_eq!((values.needed, values.limit), (U256::from(4), U256::from(3)));
    for index in [0, 4, u32::MAX] {
        let refused = refusal(&mut rollup, alice, &Kerros::forceExitCall { index });
        assert!(matches!(refused, E::BadIndex(_)), "{refused:?}");
    }
    rollup.force(alice, 3).result.expect("the last index");
    let tail = rollup.read(Kerros::tailCall {});
    for index in [tail, tail + 1, u64::MAX] {
        let refused = refusal(&mut rollup, alice, &Kerros::queueEntryCall { index });
        assert!(matches!(refused, E::EntryNotPending(_)), "{refused:?}");
    }
    assert!(rollup.read(Kerros::queueEntryCall { index: tail - 1 }).pending);
}

#[test]
fn a_queue_that_cannot_be_counted_takes_no_more() {
    let mut rollup = small();
    // Batch number, head, tail and k are one word of the contract; as if so many waited.
    let waiting = |tail: u64| (U256::from(tail) << 128) | (U256::from(3) << 192);
    for (tail, fits) in [((1 << 24) - 1, true), (1 << 24, false)] {
        rollup.machine.write(rollup.kerros, U256::from(6), waiting(tail));
        assert_eq!(rollup.read(Kerros::tailCall {}), tail);
        assert_eq!(rollup.read(Kerros::kCall {}), 3);
        let fee = rollup.entry_fee();
        let outcome = rollup.machine.fork().call(
            person(1),
            rollup.kerros,
            fee,
            &Kerros::forceExitCall { index: 1 }.abi_encode(),
        );
        match outcome.result {
            Ok(_) => assert!(fits, "{tail} wait"),
            Err(Revert::Kerros(E::QueueFull(_))) => assert!(!fits, "{tail} wait"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_served_entry_is_told_and_waits_no_more() {
    let mut rollup = small();
    let alice = person(1);
    rollup.deposit(alice, 5, 9).result.unwrap();
    rollup.force(alice, 1).result.unwrap();
    rollup.advance(served(1, alice, 5, 9)).result.unwrap();
    let [served, waiting] =
        [0, 1].map(|index| rollup.read(Kerros::queueEntryCall { index }).pending);
    assert!(!served && waiting);
    for entry in [0, 2, u64::MAX] {
        let refused = refusal(&mut rollup, alice, &Kerros::freezeCall { entry });
        assert!(matches!(refused, E::EntryNotPending(_)), "{refused:?}");
    }
    let refused = refusal(&mut rollup, alice, &Kerros::refundCall { entry: 1 });
    assert!(matches!(refused, E::NotFrozen(_)), "{refused:?}");
    rollup.machine.advance(2 * crate::rollup::FORCE_WINDOW);
    rollup.send(alice, U256::ZERO, &Kerros::freezeCall { entry: 1 }).result.unwrap();
    for entry in [0, 2, u64::MAX] {
        let refused = refusal(&mut rollup, alice, &Kerros::refundCall { entry });
        assert!(matches!(refused, E::EntryNotPending(_)), "{refused:?}");
    }
    rollup.send(alice, U256::ZERO, &Kerros::refundCall { entry: 1 }).result.unwrap();
    let again = refusal(&mut rollup, alice, &Kerros::refundCall { entry: 1 });
    assert!(matches!(again, E::EntryNotPending(_)), "{again:?}");
}

/// A post of these bytes; nothing else is wrong but the proof.
fn post_of(rollup: &Rollup, data: Vec<u8>) -> Kerros::postCall {
    let good = rollup.forge(BatchData::default(), &rollup.book, operator());
    Kerros::postCall { p: Post { data: data.into(), ..good } }
}

fn counts(counts: [u16; 5]) -> Vec<u8> {
    counts.iter().flat_map(|count| count.to_be_bytes()).collect()
}

#[test]
fn every_record_that_begins_with_nothing_is_named() {
    let mut rollup = small();
    // Opens and deposits of nothing are refused before: an asset or the queue's entry is missing.
    for (section, bytes, capacity) in [(2, 18, 8), (3, 37, 4), (4, 12, 2)] {
        for count in 1..=capacity {
            for empty in 0..count {
                let mut number = [0; 5];
                number[section] = count;
                let mut data = counts(number);
                for record in 0..count {
                    let mut one = vec![0; bytes];
                    one[3] = u8::from(record != empty);
                    data.extend(one);
                }
                let call = post_of(&rollup, data);
                let refused = refusal(&mut rollup, operator(), &call);
                let E::EmptyRecord(values) = refused else { panic!("{refused:?}") };
                let named = (values.section, values.record);
                assert_eq!(named, (U256::from(section), U256::from(empty)));
            }
        }
    }
    // Two of them: the first.
    for (section, bytes) in [(2, 18), (3, 37), (4, 12)] {
        let mut number = [0; 5];
        number[section] = 2;
        let call = post_of(&rollup, [counts(number), vec![0; 2 * bytes]].concat());
        let refused = refusal(&mut rollup, operator(), &call);
        let E::EmptyRecord(values) = refused else { panic!("{refused:?}") };
        assert_eq!((values.section, values.record), (U256::from(section), U256::ZERO));
    }
}

#[test]
fn the_datas_length_is_what_its_counts_say() {
    let mut rollup = small();
    let mut refused = |data: Vec<u8>| {
        let call = post_of(&rollup, data);
        refusal(&mut rollup, operator(), &call)
    };
    for (data, expected) in [
        (vec![], 10),
        (vec![0, 1], 10),
        (counts([0; 5])[..9].to_vec(), 10),
        (counts([0, 0, 1, 0, 0]), 28),
        ([counts([0; 5]), vec![0]].concat(), 10),
        (counts([1, 1, 1, 1, 1]), 10 + 58 + 66 + 18 + 37 + 12),
    ] {
        let got = data.len();
        let E::WrongDataLength(values) = refused(data) else { panic!("{got} bytes") };
        assert_eq!((values.expected, values.got), (U256::from(expected), U256::from(got)));
    }
    for (section, capacity) in [4u16, 4, 8, 4, 2].into_iter().enumerate() {
        let mut number = [0; 5];
        number[section] = capacity + 1;
        let E::CountAboveCapacity(values) = refused(counts(number)) else { panic!("{section}") };
        assert_eq!(values.section, U256::from(section));
        let bound = (values.count, values.capacity);
        assert_eq!(bound, (U256::from(capacity + 1), U256::from(capacity)));
        number[section] = capacity;
        assert!(matches!(refused(counts(number)), E::WrongDataLength(_)));
    }
}

#[test]
fn a_stranger_posts_after_the_silence_and_serves_what_is_old_and_fits() {
    let mut rollup = Rollup::new("4,2,8,1,2", 3, 6, |_| ());
    let (alice, stranger) = (person(1), person(5));
    let attempt = |rollup: &mut Rollup, data: BatchData| {
        let post = rollup.forge(data, &rollup.book, stranger);
        let kerros = rollup.kerros;
        rollup.machine.attempt(stranger, kerros, &Kerros::postCall { p: post })
    };
    rollup.machine.advance(crate::rollup::SILENCE);
    let early = attempt(&mut rollup, BatchData::default());
    let Err(Revert::Kerros(E::OperatorNotSilent(times))) = early else { panic!("{early:?}") };
    assert_eq!(times.allowedFrom, times.nowSeconds);
    rollup.machine.advance(1);
    assert_eq!(attempt(&mut rollup, BatchData::default()), Ok(()));
    // Four entries: two deposits, then two exits of which one fits.
    rollup.deposit(alice, 5, 9).result.unwrap();
    rollup.deposit(alice, 6, 9).result.unwrap();
    (0..2).for_each(|_| drop(rollup.force(alice, 1).result.unwrap()));
    let one = served(1, alice, 5, 9);
    let mut two = one.clone();
    two.deposits.push(served(1, alice, 6, 9).deposits[0]);
    let three = BatchData { exits: vec![forced(1, alice, 11)], ..two.clone() };
    rollup.machine.advance(3_600);
    for data in [BatchData::default(), one.clone(), two.clone(), three.clone()] {
        assert_eq!(attempt(&mut rollup, data), Ok(()), "not old yet");
    }
    rollup.machine.advance(1);
    for (data, entry) in [(BatchData::default(), 0), (one, 1), (two, 2)] {
        let refused = attempt(&mut rollup, data);
        let Err(Revert::Kerros(E::MustServe(must))) = refused else { panic!("{refused:?}") };
        assert_eq!(must.entry, entry);
    }
    assert_eq!(attempt(&mut rollup, three.clone()), Ok(()), "the last exit does not fit");
    // The operator need not.
    let post = rollup.forge(BatchData::default(), &rollup.book, operator());
    let kerros = rollup.kerros;
    let call = Kerros::postCall { p: post };
    assert_eq!(rollup.machine.attempt(operator(), kerros, &call), Ok(()));
    // A stranger's batch does not end the operator's silence, the operator's does.
    let before = rollup.read(Kerros::lastOperatorPostCall {});
    let new = rollup.book.clone();
    let post = rollup.forge(three, &new, stranger);
    rollup.post(stranger, &post, new, 3).result.unwrap();
    assert_eq!(rollup.read(Kerros::lastOperatorPostCall {}), before);
    let data = BatchData { exits: vec![forced(1, alice, 0)], ..BatchData::default() };
    rollup.advance(data).result.unwrap();
    assert_eq!(rollup.read(Kerros::lastOperatorPostCall {}), rollup.machine.now());
    // A third deposit does not fit either.
    (0..3).for_each(|_| drop(rollup.deposit(alice, 5, 9).result.unwrap()));
    rollup.machine.advance(crate::rollup::SILENCE + 1);
    let mut two = served(1, alice, 5, 9);
    two.opens.clear();
    let refused = attempt(&mut rollup, two.clone());
    assert!(matches!(refused, Err(Revert::Kerros(E::MustServe(_)))), "{refused:?}");
    two.deposits.push(two.deposits[0]);
    assert_eq!(attempt(&mut rollup, two), Ok(()));
}

#[test]
fn a_tokens_books_that_run_backwards_move_nothing() {
    // Answers a question of one word with a counter, and counts down whenever it is told to move.
    let code = hex!("36 6024 14 600f 57 6001 5f54 03 5f55 00 5b 5f54 5f52 6020 5f f3");
    let mut rollup = small();
    let token = rollup.machine.place(&code);
    rollup.machine.write(token, U256::ZERO, U256::from(1_000));
    rollup.register(token, 0).unwrap();
    let call = Kerros::depositCall {
        asset: 2,
        baseAmount: U256::from(1),
        key: U256::from(1),
        owner: person(1),
    };
    let fee = rollup.entry_fee();
    let refused = rollup.send(person(1), fee, &call).result;
    let Err(Revert::Kerros(E::MovedAmount(values))) = refused else { panic!("{refused:?}") };
    assert_eq!((values.expected, values.got), (U256::from(1), U256::ZERO));
}

#[test]
fn one_transaction_may_ask_twice() {
    let mut rollup = small();
    // Copies its input, calls the rollup with it twice with half of the ether each time.
    let kerros = rollup.kerros;
    let call = [&hex!("5f5f365f 34 6001 1c 73")[..], kerros.as_slice(), &hex!("5af1")].concat();
    let code = [&hex!("365f5f37")[..], &call, &call, &hex!("16 6049 57 5f5ffd 5b00")].concat();
    let twice = rollup.machine.place(&code);
    let input = Kerros::forceExitCall { index: 1 }.abi_encode();
    let value = rollup.entry_fee() * U256::from(4);
    let outcome = rollup.machine.call(person(1), twice, value, &input);
    outcome.result.expect("the lock is open again after the first");
    assert_eq!(rollup.read(Kerros::tailCall {}), 2);
}
