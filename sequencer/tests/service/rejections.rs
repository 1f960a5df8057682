//! Every refusal a caller can meet has its own code, over real gRPC.

use crate::rig::{
    OPERATOR, Rig, Running, account, at, exit, owner, reason, secret, transfer, transient,
};
use ark_bn254::Fr;
use ark_ff::{BigInteger, Field, PrimeField};
use kerros_protocol::account::Account;
use kerros_protocol::eddsa::{Point, PublicKey};
use kerros_protocol::proto;
use kerros_protocol::transaction::{SignedTransaction, Transaction};
use kerros_sequencer::Config;
use tonic::Code;

const ALICE: u8 = 1;
const BOB: u8 = 2;
const LAST: u8 = 3;
const RICH: u8 = 4;
const STRANGER: u8 = 9;

/// A point of order 4: x = 1/√a, y = 0.
fn low_order() -> Point {
    let a: Fr = kerros_protocol::eddsa::A;
    let x = a.sqrt().unwrap().inverse().unwrap();
    Point::new(x, Fr::from(0u64)).unwrap()
}

/// 1 Alice, 2 Bob, 3 a holder without nonces, 4 a full account, 5 Bob in asset 2, 6 a low-order key.
async fn started(change: impl FnOnce(&mut Config)) -> (Rig, Running) {
    let rig = Rig::new("4,2,4,2,2", 5, 6).await;
    rig.craft(&[
        account(ALICE, 1, 1_000, 7),
        account(BOB, 1, 1_000, 0),
        account(LAST, 1, 1_000, u32::MAX),
        account(RICH, 1, u64::MAX, 0),
        account(BOB, 2, 1_000, 0),
        Account { key: low_order().x, ..account(BOB, 1, 1_000, 0) },
    ]);
    let mut config = rig.config();
    change(&mut config);
    let running = rig.start(config).await;
    (rig, running)
}

async fn refused(running: &mut Running, bytes: Vec<u8>) -> (Code, String, bool) {
    let status = running.submit(bytes).await.unwrap_err();
    (status.code(), reason(&status), transient(&status))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_defect_of_a_transaction_has_its_own_code() {
    let (rig, mut running) = started(|config| config.fee_min = 1).await;
    let domain = rig.domain();
    let sign = |transaction, name| SignedTransaction::sign(transaction, &secret(name), domain);
    let good = |nonce| transfer(1, (2, BOB), 10, 1, nonce);
    let precondition = Code::FailedPrecondition;

    let mut high_s = sign(good(7), ALICE);
    high_s.signature.s.add_with_carry(&ark_ed_on_bn254::Fr::MODULUS);
    let mut bad = sign(good(7), ALICE);
    bad.transaction = transfer(1, (2, BOB), 11, 1, 7);
    let mut low = sign(transfer(6, (2, BOB), 10, 1, 0), ALICE);
    low.public_key = PublicKey(low_order());
    let other_domain = SignedTransaction::sign(good(7), &secret(ALICE), domain + Fr::from(1u64));

    let cases: Vec<(&str, bool, SignedTransaction)> = vec![
        ("INDEX_BEYOND_LEDGER", true, sign(transfer(40, (2, BOB), 1, 1, 0), ALICE)),
        ("INDEX_BEYOND_LEDGER", true, sign(transfer(1, (40, BOB), 1, 1, 7), ALICE)),
        ("ACCOUNT_EMPTY", true, sign(transfer(20, (2, BOB), 1, 1, 0), ALICE)),
        ("WRONG_KEY", false, sign(good(7), STRANGER)),
        ("SIGNATURE_SCALAR_NOT_REDUCED", false, high_s),
        ("SIGNATURE_LOW_ORDER_KEY", false, low),
        ("SIGNATURE_INVALID", false, bad),
        ("SIGNATURE_INVALID", false, other_domain),
        ("WRONG_NONCE", true, sign(good(8), ALICE)),
        ("WRONG_NONCE", false, sign(good(6), ALICE)),
        ("NONCE_EXHAUSTED", false, sign(transfer(3, (2, BOB), 1, 1, u32::MAX), LAST)),
        ("PAYEE_EMPTY", true, sign(transfer(1, (20, BOB), 1, 1, 7), ALICE)),
        ("PAYEE_MISMATCH", false, sign(transfer(1, (2, STRANGER), 1, 1, 7), ALICE)),
        ("ASSET_MISMATCH", false, sign(transfer(1, (5, BOB), 1, 1, 7), ALICE)),
        ("ASSET_MISMATCH", false, sign(exit(1, 2, 1, 1, 7), ALICE)),
        ("INSUFFICIENT_BALANCE", true, sign(transfer(1, (2, BOB), 1_000, 1, 7), ALICE)),
        ("INSUFFICIENT_BALANCE", true, sign(exit(1, 1, 1_000, 1, 7), ALICE)),
        ("BALANCE_OVERFLOW", true, sign(transfer(1, (4, RICH), 1, 1, 7), ALICE)),
        ("FEE_TOO_LOW", false, sign(transfer(1, (2, BOB), 1, 0, 7), ALICE)),
    ];
    for (code, may_pass, signed) in cases {
        let got = refused(&mut running, signed.encode()).await;
        assert_eq!(got, (precondition, code.to_owned(), may_pass), "{:?}", signed.transaction);
    }
    // Nothing of all this changed anything.
    assert_eq!(running.info().await.open_counts, Some(proto::Sections::default()));
    running.submit(sign(good(7), ALICE).encode()).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_defect_in_the_documented_order_is_reported() {
    let (rig, mut running) = started(|config| config.fee_min = 1).await;
    let code = async |running: &mut Running, transaction: Transaction, name: u8| {
        refused(running, rig.sign(transaction, name)).await.1
    };
    // Too low a fee, beyond the ledger, wrong nonce, too much: one cured at a time.
    let nothing = transfer(40, (2, BOB), 9_999, 0, 3);
    assert_eq!(code(&mut running, nothing, ALICE).await, "FEE_TOO_LOW");
    let beyond = transfer(40, (2, BOB), 9_999, 1, 3);
    assert_eq!(code(&mut running, beyond, ALICE).await, "INDEX_BEYOND_LEDGER");
    let wrong_key = transfer(1, (2, STRANGER), 9_999, 1, 3);
    assert_eq!(code(&mut running, wrong_key, STRANGER).await, "WRONG_KEY");
    assert_eq!(code(&mut running, wrong_key, ALICE).await, "WRONG_NONCE");
    let mismatch = transfer(1, (2, STRANGER), 9_999, 1, 7);
    assert_eq!(code(&mut running, mismatch, ALICE).await, "PAYEE_MISMATCH");
    let too_much = transfer(1, (2, BOB), 9_999, 1, 7);
    assert_eq!(code(&mut running, too_much, ALICE).await, "INSUFFICIENT_BALANCE");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_transaction_are_told_apart_from_long_ones() {
    let (rig, mut running) = started(|_| {}).await;
    let malformed = (Code::InvalidArgument, "TRANSACTION_MALFORMED".to_owned(), false);
    let good = rig.transfer((1, ALICE), (2, BOB), 1, 7);
    assert_eq!(refused(&mut running, Vec::new()).await, malformed);
    assert_eq!(refused(&mut running, good[..good.len() - 1].to_vec()).await, malformed);
    let long = (Code::InvalidArgument, "TRANSACTION_TOO_LARGE".to_owned(), false);
    assert_eq!(refused(&mut running, [good, vec![0]].concat()).await, long);
    let mut exit = rig.sign(exit(1, 1, 1, 0, 7), ALICE);
    exit.push(0);
    assert_eq!(refused(&mut running, exit).await, malformed);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_that_nobody_could_collect_is_refused() {
    let rig = Rig::new("2,1,2,1,0", 3, 3).await;
    rig.craft(&[account(ALICE, 1, 100, 0), account(BOB, 1, 0, 0)]);
    let mut running = rig.start(rig.config()).await;
    let fee = rig.sign(transfer(1, (2, BOB), 1, 1, 0), ALICE);
    let got = refused(&mut running, fee).await;
    assert_eq!(got, (Code::FailedPrecondition, "FEE_NOT_COLLECTABLE".to_owned(), false));
    running.submit(rig.transfer((1, ALICE), (2, BOB), 1, 0)).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shape_without_transfers_refuses_them() {
    let rig = Rig::new("2,1,0,1,1", 3, 3).await;
    rig.craft(&[account(ALICE, 1, 100, 0), account(BOB, 1, 0, 0)]);
    let mut running = rig.start(rig.config()).await;
    let got = refused(&mut running, rig.transfer((1, ALICE), (2, BOB), 1, 0)).await;
    assert_eq!(got.1, "NO_ROOM_IN_ANY_BATCH");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_an_account_is_idempotent_and_each_refusal_has_its_code() {
    let (_rig, mut running) = started(|_| {}).await;
    let index = running.open(1, owner(2), ALICE).await.unwrap();
    assert_eq!(index, 7);
    assert_eq!(running.open(1, owner(2), ALICE).await.unwrap(), index);
    let mut code = async |asset: u32, owner: Vec<u8>, key: Vec<u8>| {
        let request = proto::OpenAccountRequest { asset, owner, key };
        reason(&running.client.open_account(request).await.unwrap_err())
    };
    let key = crate::rig::account_key(BOB).to_be().to_vec();
    let address = owner(1).0.to_vec();
    assert_eq!(code(3, address.clone(), key.clone()).await, "ASSET_UNKNOWN");
    assert_eq!(code(1, vec![0; 20], key.clone()).await, "OWNER_ZERO");
    for (asset, owner, key) in [
        (0, address.clone(), key.clone()),
        (65_536, address.clone(), key.clone()),
        (1, address[1..].to_vec(), key.clone()),
        (1, address.clone(), key[1..].to_vec()),
        (1, address.clone(), vec![0; 32]),
        (1, address.clone(), vec![0xff; 32]),
    ] {
        assert_eq!(code(asset, owner, key).await, "INVALID_ARGUMENT");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_places_of_a_full_ledger_are_kept_for_deposits() {
    // 7 usable places; one batch's deposits and fee accounts are kept.
    let rig = Rig::new("2,1,2,1,1", 3, 3).await;
    let mut running = rig.start(rig.config()).await;
    for name in 1..=5 {
        running.open(1, owner(0), name).await.unwrap();
    }
    let status = running.open(1, owner(0), 6).await.unwrap_err();
    assert_eq!(reason(&status), "LEDGER_FULL");
    rig.deposit(1, 5, 7, owner(0)).await;
    running.served(1).await;
    assert_eq!(running.account(6).await.balance, 5);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_found_and_operator_calls_are_refused() {
    let (_rig, mut running) = started(|config| config.operator_calls = false).await;
    let id = proto::GetTransactionRequest { transaction_id: vec![1; 32] };
    let status = running.client.get_transaction(id).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "TRANSACTION_NOT_FOUND")
    );
    let by = Some(proto::get_account_request::By::Index(20));
    let status = running.client.get_account(proto::GetAccountRequest { by }).await.unwrap_err();
    assert_eq!(reason(&status), "ACCOUNT_NOT_FOUND");
    let status =
        running.client.get_account(proto::GetAccountRequest { by: None }).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_ARGUMENT");
    for number in [0, 3, u64::MAX] {
        let request = proto::GetBatchRequest { number, with_data: true };
        let status = running.client.get_batch(request).await.unwrap_err();
        assert_eq!(reason(&status), "BATCH_NOT_FOUND");
        let request = proto::GetBatchDataRequest { batch_number: number };
        let status = running.prover.get_batch_data(request).await.unwrap_err();
        assert_eq!(reason(&status), "BATCH_NOT_FOUND");
    }
    let status = running.client.seal_batch(proto::SealBatchRequest {}).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "OPERATOR_ONLY")
    );
    let status = running.client.grow_ledger(proto::GrowLedgerRequest {}).await.unwrap_err();
    assert_eq!(reason(&status), "OPERATOR_ONLY");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_fee_of_an_asset_opens_the_operators_account() {
    let (rig, mut running) = started(|_| {}).await;
    running.submit(rig.sign(transfer(1, (2, BOB), 1, 5, 7), ALICE)).await.unwrap();
    let fees = running.account(7).await;
    assert_eq!(fees.key, crate::rig::account_key(OPERATOR).to_be().to_vec());
    assert_eq!((fees.balance, at(fees.index)), (0, at(7)));
    running.seal().await;
    assert_eq!(running.account(7).await.balance, 5);
    running.stop().await;
}
