//! Records that say what nobody signed or queued: 8 to 11, 13, 15 and 19.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::access::{LinkWitness, time};
use kerros_circuits::witness::{WitnessError, execute};
use kerros_protocol::account::Address;
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{BatchData, BatchDataError, CollectRecord};
use kerros_protocol::eddsa::{Point, Signature};

#[test]
fn attack_08_a_strangers_forced_exit_does_not_touch_the_victims_nonce() {
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.force(1, wallet(9).1);
    let executed = scene.execute().unwrap();
    assert_eq!(executed.after.get(index(1)).nonce, 8, "raised by the payment alone");
    let verdict = judge(&executed.witness);
    assert!(verdict.accepted(&scene.before, &executed.witness));
    // Whatever nonce it claims to have found: the one that the payment left is read.
    for nonce in [7u64, 9] {
        let mut w = executed.witness.clone();
        w.exits[0].nonce = fr(nonce);
        assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
    }
    // The owner's own forced exit does not either.
    let mut scene = Scene::new();
    scene.force(1, wallet(1).1);
    let after = scene.execute().unwrap().after;
    assert_eq!((after.get(index(1)).nonce, after.get(index(1)).balance), (7, 0));
}

#[test]
fn attack_09_forced_is_two() {
    // 2 is neither signed nor matched with the queue.
    let mut scene = Scene::new();
    scene.exit(2, 2, 500, 0, Address([9; 20]));
    for forced in [fr(2), fr(3), -ONE, fr(2).inverse().unwrap()] {
        let mut w = scene.honest();
        w.exits[0].forced = forced;
        assert!(!judge(&w).satisfied());
    }
    let bytes = scene.sealed().data.encode();
    let mut forced_two = bytes.clone();
    forced_two[10 + 14] = 2;
    assert!(BatchData::decode(&bytes, &shape()).is_ok());
    assert!(BatchData::decode(&forced_two, &shape()).is_err());
}

#[test]
fn attack_10_the_poster_opens_the_payees_index_with_another_key_or_owner() {
    for what in 0..2 {
        let mut scene = Scene::new();
        // The payer was told index 6 for wallet 6 and signs that.
        scene.open(6, 6, 1);
        scene.pay(1, 1, 6, 100, 0);
        assert!(scene.execute().is_ok());
        match what {
            0 => scene.data.opens[0].key = key(9),
            _ => scene.data.opens[0].owner = wallet(9).1,
        }
        scene.must_be_refused();
        // The journal may name what was signed or what was opened: either half fails.
        let mut w = scene.forged();
        w.transfers[0].payee_key = key(6).get();
        w.transfers[0].payee_owner = wallet(6).1.to_fr();
        scene.refuses(&w);
    }
    // Opened with another asset: the payer's account has one asset, and pays in no other.
    let mut scene = Scene::new();
    scene.open(6, 6, 2);
    scene.pay(1, 1, 6, 100, 0);
    scene.must_be_refused();
}

#[test]
fn attack_11_a_forced_exit_that_runs_before_the_same_users_deposit() {
    let mut scene = Scene::new();
    scene.deposit(2, 2, 1, 1_000);
    scene.pay(1, 1, 2, 100, 0);
    scene.force(2, wallet(2).1);
    let batch = scene.sealed();
    assert_eq!(batch.data.exits[0].amount, 1_600, "everything that came in earlier leaves");
    let honest = scene.honest();
    assert!(judge(&honest).accepted(&scene.before, &honest));
    // Only the old balance leaves, and the rest comes in afterwards.
    let mut early = batch;
    early.data.exits[0].amount = 500;
    assert!(execute(&shape(), &scene.before, &early, fr(DOMAIN)).is_err());
    // The exit reads the state and the deposit reads the exit, whatever the gaps say.
    let forced = time::FORCED;
    for exit_gap in [Fr::ZERO, honest.exits[0].link.gap] {
        for deposit_gap in [Fr::ZERO, fr(time::DEPOSIT) - ONE - fr(forced)] {
            let mut w = honest.clone();
            w.exits[0].amount = fr(500);
            w.exits[0].before = fr(500);
            w.exits[0].link = LinkWitness { first: ONE, last: Fr::ZERO, gap: exit_gap };
            w.deposits[0].before = Fr::ZERO;
            w.deposits[0].link = LinkWitness { first: Fr::ZERO, last: Fr::ZERO, gap: deposit_gap };
            w.transfers[0].payee_before -= fr(500);
            w.transfers[0].payee_link.last = ONE;
            // Exit and deposit change places in the table: accesses 12 and 2.
            let at = w.touched.iter().position(|value| *value == -fr(13)).unwrap();
            w.touched.remove(at);
            let at = w.touched.iter().position(|value| *value == -fr(2)).unwrap();
            w.touched.insert(at, -fr(3));
            assert_eq!(judge(&w).violated.len(), 1, "what the deposit reads is not written");
        }
    }
    // A forced exit at the time of an open or of a transfer: its time is not its own to choose.
    for order in [1u64, 0xffff] {
        let mut w = honest.clone();
        w.exits[0].order = fr(order);
        assert!(!judge(&w).satisfied());
    }
}

#[test]
fn attack_13_records_that_spill_into_the_next_sections_offsets() {
    // Three opens in a shape of two: the third's elements would be the first deposit's.
    let mut data = BatchData::default();
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(7, 6, 1);
    scene.open(8, 6, 1);
    data.opens = scene.data.opens.clone();
    let full = BatchDataError::SectionFull { section: 'O', have: 3, capacity: 2 };
    assert_eq!(BatchData::decode(&data.encode(), &shape()), Err(full.clone()));
    assert_eq!(scene.execute().err(), Some(WitnessError::Capacity(full)));
    // Every section starts at its own offset however short the ones before it are, and the
    // circuit's elements are at the same ones.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 5);
    scene.pay(1, 1, 2, 6, 8);
    scene.exit(1, 1, 7, 0, Address([9; 20]));
    scene.collect(2, 8);
    let elements = scene.sealed().data.elements(&shape());
    let used: Vec<usize> = (0..elements.len()).filter(|i| elements[*i] != Fr::ZERO).collect();
    assert_eq!(used, [4, 5, 6, 10, 14, 15, 18]);
    let verdict = judge(&scene.honest());
    assert_eq!(verdict.outputs.y, kerros_protocol::batch::evaluate(&elements, verdict.z));
}

#[test]
fn attack_15_r8_off_the_curve() {
    // Bytes that are no point are refused; in the circuit R8 is no witness at all, it is computed
    // from S, h and A. (S ≥ ℓ and keys of low order: see `refusals`.)
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    let packed = scene.transfers[0].signature.pack();
    let off = (0..=u8::MAX).find_map(|byte| {
        let mut bytes = packed;
        bytes[0] ^= byte;
        Signature::unpack(&bytes).is_err().then_some(bytes)
    });
    assert!(off.is_some(), "half of all y are on no point");
    // A native caller who builds such a point by hand is refused by the equation.
    let mut batch = scene.sealed();
    let r8 = batch.transfers[0].signature.r8;
    batch.transfers[0].signature.r8 = Point { x: r8.x + ONE, y: r8.y };
    assert!(execute(&shape(), &scene.before, &batch, fr(DOMAIN)).is_err());
    let w = forge(&scene.before, &batch);
    assert!(!judge(&w).satisfied());
}

#[test]
fn attack_19_a_fee_on_somebodys_forced_no_op() {
    // A stranger's forced exit of account 1 is a no-op; the sequencer adds a fee and collects it.
    let mut scene = Scene::new();
    scene.force(1, wallet(9).1);
    let mut batch = scene.sealed();
    batch.data.exits[0].fee = Fee::exact(40).unwrap();
    batch.data.collects.push(CollectRecord { to: index(5), amount: 10 });
    batch.data.collects.push(CollectRecord { to: index(2), amount: 30 });
    assert!(execute(&shape(), &scene.before, &batch, fr(DOMAIN)).is_err());
    let w = forge(&scene.before, &batch);
    assert_eq!(judge(&w).violated.len(), 1, "forced exits pay no fee");
}
