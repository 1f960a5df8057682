//! Records that say what nobody signed or queued: 9 to 11, 13, 15, 19 and 22.

use crate::stage::{BOTH, NEITHER, NO_STATE, NO_WITNESS, ONE, Stage, known, weight};
use alloy::primitives::U256;
use ark_bn254::Fr;
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ed_on_bn254::{EdwardsAffine, EdwardsProjective, Fr as Scalar};
use ark_ff::{AdditiveGroup, BigInteger, Field, PrimeField};
use kerros_circuits::access::{LinkWitness, time};
use kerros_protocol::account::AccountKey;
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::CollectRecord;
use kerros_protocol::eddsa;
use kerros_tests::world::{index, wallet};
use kerros_verifier::contract::{Kerros, KerrosErrors as E, Post};
use kerros_verifier::post::post;

/// Bytes of the counts, and of one record of each section.
const COUNTS: usize = 10;
const RECORDS: [usize; 5] = [58, 66, 18, 37, 12];

fn edit(post: &Post, change: impl FnOnce(&mut Vec<u8>)) -> Post {
    let mut data = post.data.to_vec();
    change(&mut data);
    Post { data: data.into(), ..post.clone() }
}

#[tokio::test]
async fn attack_09_forced_is_two() {
    // 2 is neither signed nor matched with the queue.
    let mut stage = Stage::new().await;
    stage.world.exit(2, 2, 400, 0, wallet(9).1);
    let case = stage.seal();
    // In the circuit's sums it would be a debit that lowers the nonce: A and Δ are off as well.
    let mut f = case.forgery();
    f.witness.exits[0].forced = Fr::from(2u64);
    f.witness.exits[0].signature.s = 1u64.into();
    let (proof, at) = stage.prove(&f, Some(known()));
    assert!(!stage.holds(&f, &proof, at).groth16);
    let signed = post(&f.batch, &proof);
    let flag = COUNTS + 4 + 8 + 2;
    let two = edit(&signed, |data| data[flag] = 2);
    assert!(matches!(stage.refusal(&two).await, E::BadForcedFlag(_)));
    // Forced, though nobody asked for it; then signed, though it is not.
    let one = edit(&signed, |data| data[flag] = 1);
    assert!(matches!(stage.refusal(&one).await, E::QueueTooShort(_)));
    stage.has_no_room(&case, &[(f, NEITHER)]).await;
}

#[tokio::test]
async fn attack_10_the_poster_opens_the_payees_index_with_another_key_or_owner() {
    // The payer was told index 6 for wallet 6 and signs that; the poster opens it for wallet 9. Knowing
    // β, the key that the open names makes up for the owner.
    let mut stage = Stage::new().await;
    stage.world.open(6, 6, 1);
    stage.world.transfer(1, 1, 6, 100, 0);
    let case = stage.seal();
    let (beta, _) = known();
    let thief = wallet(9).1;
    let mut f = case.forgery();
    let open = &mut f.witness.opens[0];
    open.key -= beta.square() * (thief.to_fr() - open.owner);
    open.owner = thief.to_fr();
    let record = &mut f.batch.data.opens[0];
    (record.key, record.owner) = (AccountKey::new(open.key).unwrap(), thief);
    let key = open.key;
    f.commit_to(&stage, 6, |account| (account.key, account.owner) = (key, thief));
    // Only the data and the state say so: the circuit's record is the honest one.
    let mut told = case.forgery();
    (told.batch, told.after) = (f.batch.clone(), f.after.clone());
    for fixed in [None, Some(known())] {
        let (proof, at) = stage.prove(&told, fixed);
        assert!(!stage.holds(&told, &proof, at).groth16, "the data's evaluation is another");
        stage.no_proof("other data than was proved", &post(&told.batch, &proof)).await;
    }
    stage.needs_the_challenges(&case, &f).await;
}

#[tokio::test]
async fn attack_11_a_forced_exit_that_runs_before_the_same_users_deposit() {
    // The exit reads the state and takes what was there; the deposit, which came first, reads what the
    // exit left. Times differ by less than 2^19, so knowing β the exit's key makes up for them, and the
    // key of a stranger's no-op for that in A.
    let mut stage = Stage::new().await;
    stage.chain.deposit(2, 1, 1_000).await;
    stage.chain.force(2, 2).await;
    stage.chain.force(9, 1).await;
    stage.world.deposit(2, 2, 1, 1_000);
    stage.world.force(2, wallet(2).1);
    stage.world.force(1, wallet(9).1);
    let case = stage.seal();
    assert_eq!(case.batch.data.exits[0].amount, 1_500);
    let (beta, z) = known();
    let mut f = case.forgery();
    let shift = -Fr::from(time::FORCED) / beta;
    let [exit, stranger] = &mut f.witness.exits[..] else { panic!("two exits") };
    (exit.before, exit.amount) = (Fr::from(500u64), Fr::from(500u64));
    exit.link = LinkWitness { first: ONE, last: Fr::ZERO, gap: Fr::ZERO };
    exit.key += shift;
    stranger.key -= shift * weight(2, z) / weight(1, z);
    let deposit = &mut f.witness.deposits[0];
    deposit.before = Fr::ZERO;
    deposit.link = LinkWitness { first: Fr::ZERO, last: ONE, gap: Fr::ZERO };
    f.relist();
    f.batch.data.exits[0].amount = 500;
    f.commit_to(&stage, 2, |account| account.balance = 1_000);
    stage.needs_the_challenges(&case, &f).await;
}

#[tokio::test]
async fn attack_13_records_that_spill_into_the_next_sections_offsets() {
    let mut stage = Stage::new().await;
    stage.chain.deposit(1, 1, 5).await;
    for (i, w) in [(6, 6), (7, 7)] {
        stage.world.open(i, w, 1);
    }
    stage.world.deposit(1, 1, 1, 5);
    let case = stage.seal();
    let good = stage.honest(&case);
    // A third open in a shape of two: its elements would be the deposit's.
    let third = [&[0u8; 3][..], &[8], &[0, 1], &wallet(8).1.0, &[7; 32]].concat();
    let at = COUNTS + 2 * RECORDS[0];
    let spilt = edit(&good, |data| {
        data[1] = 3;
        data.splice(at..at, third.clone());
    });
    let E::CountAboveCapacity(full) = stage.refusal(&spilt).await else { panic!("accepted") };
    assert_eq!(full.section, U256::ZERO);
    let instead = edit(&good, |data| {
        (data[1], data[3]) = (3, 0);
        data.splice(at..at + RECORDS[1], third);
    });
    assert!(matches!(stage.refusal(&instead).await, E::CountAboveCapacity(_)));
    // Bytes that belong to no record, or to one that is not counted.
    let longer = edit(&good, |data| data.push(0));
    assert!(matches!(stage.refusal(&longer).await, E::WrongDataLength(_)));
    let uncounted = edit(&good, |data| data[1] = 1);
    assert!(matches!(stage.refusal(&uncounted).await, E::WrongDataLength(_)));
    // The same elements at other places: a record more, all of it empty.
    let empty = edit(&good, |data| {
        data[5] = 1;
        let transfers = at + RECORDS[1];
        data.splice(transfers..transfers, vec![0; RECORDS[2]]);
    });
    assert!(matches!(stage.refusal(&empty).await, E::EmptyRecord(_)));
    stage.accepts(&good).await;
}

/// The x of a point of order 8, in circomlib's coordinates.
fn low_order() -> (AccountKey, Fr) {
    let order_eight = |y: u64| {
        let candidate = EdwardsAffine::get_point_from_y_unchecked(y.into(), false)?;
        let torsion = EdwardsProjective::from(candidate).mul_bigint(Scalar::MODULUS);
        (torsion.double().double() != EdwardsProjective::default()).then(|| torsion.into_affine())
    };
    let point = (2..).find_map(order_eight).unwrap();
    // arkworks' x is √168700 times circomlib's.
    let x = point.x * eddsa::A.sqrt().unwrap().inverse().unwrap();
    (AccountKey::new(x).unwrap(), point.y)
}

#[tokio::test]
async fn attack_15_a_key_of_low_order_a_large_s_and_no_signature() {
    // Wallet 5 deposits for a key of order 8, whose "signatures" are R8 = S·B8 for any S.
    let mut stage = Stage::new().await;
    let (key, key_y) = low_order();
    stage.deposit_for(7, 5, 300, key).await;
    let case = stage.seal();
    stage.accepts(&stage.honest(&case)).await;

    // Account 2 pays 10; the forger says that it was account 7, and that it was signed.
    stage.chain.force(5, 7).await;
    stage.world.transfer(2, 2, 1, 10, 0);
    stage.world.force(7, wallet(5).1);
    let case = stage.seal();
    let mut unsigned = case.forgery();
    let payment = &mut unsigned.witness.transfers[0];
    payment.signature.s = 1u64.into();
    let mut low = case.forgery();
    let payment = &mut low.witness.transfers[0];
    (payment.key, payment.signature.key_y) = (key.get(), key_y);
    payment.signature.h = Fr::ZERO;
    payment.signature.s = 0u64.into();
    // An S of the same residue is the same signature: what is proved of it does not differ.
    let mut large = case.forgery();
    assert!(!large.witness.transfers[0].signature.s.add_with_carry(&Scalar::MODULUS));
    let (proof, drawn) = stage.prove(&large, None);
    assert_eq!(stage.holds(&large, &proof, drawn), BOTH);
    assert_eq!(proof.h, stage.prove(&case.forgery(), None).0.h);
    // The twin pays, and account 7 leaves by its owner: nobody else could ever take it out.
    stage.has_no_room(&case, &[(unsigned, NO_WITNESS), (low, NEITHER)]).await;
}

#[tokio::test]
async fn attack_19_a_fee_on_somebodys_forced_no_op() {
    let mut stage = Stage::new().await;
    stage.chain.force(9, 1).await;
    stage.world.force(1, wallet(9).1);
    let case = stage.seal();
    let fee = Fee::exact(40).unwrap();
    let mut f = case.forgery();
    f.witness.exits[0].fee = Fr::from(fee.float());
    let collect = &mut f.witness.collects[0];
    let account = case.before.get(index(2));
    (collect.to, collect.amount, collect.asset) = (Fr::from(2u64), Fr::from(40u64), ONE);
    (collect.key, collect.owner) = (account.key, account.owner.to_fr());
    (collect.before, collect.nonce) = (Fr::from(account.balance), Fr::from(account.nonce));
    collect.link = LinkWitness { first: ONE, last: ONE, gap: Fr::ZERO };
    f.touched.push((index(2), account));
    f.relist();
    f.batch.data.collects.push(CollectRecord { to: index(2), amount: 40 });
    f.commit_to(&stage, 1, |account| account.balance -= 40);
    f.commit_to(&stage, 2, |account| account.balance += 40);
    // The data show it: the entry has no fee. They hide it: they are not what was proved.
    let mut shown = f.clone();
    shown.batch.data.exits[0].fee = fee;
    let (proof, at) = stage.prove(&shown, Some(known()));
    assert_eq!(stage.holds(&shown, &proof, at), NO_WITNESS, "forced exits pay no fee");
    let refused = stage.refusal(&post(&shown.batch, &proof)).await;
    assert!(matches!(refused, E::QueueMismatch(_)), "{refused:?}");
    stage.has_no_room(&case, &[(f, NO_WITNESS)]).await;
}

#[tokio::test]
async fn attack_22_a_payout_of_nothing_in_an_unknown_asset() {
    // Index 9 does not exist: its forced exit is an exit of 0 of asset 0, and stops nothing.
    let mut stage = Stage::new().await;
    stage.chain.force(9, 9).await;
    stage.world.force(9, wallet(9).1);
    let case = stage.seal();
    assert_eq!((case.batch.data.exits[0].amount, case.batch.data.exits[0].asset), (0, 0));
    // Another asset than the account's, registered or not, is refused by the proof alone.
    let named = |asset: u16| {
        let mut f = case.forgery();
        f.batch.data.exits[0].asset = asset;
        f.witness.exits[0].asset = Fr::from(asset);
        f
    };
    let forgeries = [1, 77].map(|asset| (named(asset), NO_STATE));
    stage.has_no_room(&case, &forgeries).await;
    for asset in [0, 77] {
        let account = alloy::primitives::Address::from(wallet(9).1.0);
        let call = Kerros::withdrawableCall { _0: asset, _1: account };
        assert_eq!(stage.chain.ask(call).await, U256::ZERO);
    }
}
