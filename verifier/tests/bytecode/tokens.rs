//! Tokens and recipients that do what they please when the contract pays.

use crate::price::{forced, served};
use crate::rollup::{Rollup, artifact, operator, owner, person};
use alloy::primitives::{Address, U256};
use alloy::sol_types::{SolCall, SolEvent};
use kerros_protocol::account::AssetId;
use kerros_protocol::batch::BatchData;
use kerros_verifier::contract::{Kerros, KerrosErrors as E, Revert, TestToken};

pub const RELAY: &str = include_str!("../../contracts/artifacts/Relay.json");
pub const SILENT: &str = include_str!("../../contracts/artifacts/SilentToken.json");
pub const FEE: &str = include_str!("../../contracts/artifacts/FeeToken.json");
pub const FALSE: &str = include_str!("../../contracts/artifacts/FalseToken.json");
pub const HOOK: &str = include_str!("../../contracts/artifacts/HookToken.json");
pub const MOODY: &str = include_str!("../../contracts/artifacts/MoodyToken.json");

alloy::sol! {
    /// `verifier/contracts/test/Relay.sol`.
    contract Relay {
        event Tried(bool ok);
        function relay(address target, bytes calldata data) external payable returns (bytes memory);
        function onMoneyMoving(address target, bytes calldata data) external;
    }
    /// `verifier/contracts/test/Tokens.sol`.
    contract MoodyToken {
        enum Mood { Plain, Reverts, False, Nonsense, Short, Idle, Fee }
        function setMood(Mood to) external;
    }
}

/// A rollup with one more token as asset 2.
fn with_token(json: &str) -> (Rollup, Address) {
    let mut rollup = Rollup::new("4,4,8,4,2", 3, 6, |_| ());
    let token = rollup.machine.create(operator(), artifact(json)).unwrap();
    rollup.register(token, 0).unwrap();
    rollup.fund(token, person(1));
    (rollup, token)
}

fn deposit(rollup: &mut Rollup, units: u64) -> Result<alloy::primitives::Bytes, Revert> {
    let (alice, amount) = (person(1), U256::from(units));
    let fee = rollup.entry_fee();
    let (key, owner) = (U256::from(9), alice);
    let call = Kerros::depositCall { asset: 2, baseAmount: amount, key, owner };
    rollup.send(alice, fee, &call).result
}

/// Alice's deposit of asset 2, of which a batch pays so much to somebody.
fn paid_out(rollup: &mut Rollup, recipient: Address, units: u64) {
    deposit(rollup, 1_000).unwrap();
    let mut data = served(1, person(1), 1_000, 9);
    let asset = AssetId::new(2).unwrap();
    data.opens[0].asset = asset;
    data.deposits[0].asset = asset;
    let mut exit = forced(1, recipient, units);
    (exit.forced, exit.asset, exit.recipient) = (false, 2, owner(recipient));
    data.exits = vec![exit];
    rollup.advance(data).result.unwrap();
}

fn withdrawable(rollup: &mut Rollup, account: Address) -> u64 {
    rollup.read(Kerros::withdrawableCall { _0: 2, _1: account }).to()
}

#[test]
fn whatever_a_token_says_a_claim_pays_exactly_or_not_at_all() {
    use MoodyToken::Mood;
    let (mut rollup, token) = with_token(MOODY);
    let (alice, kerros) = (person(1), rollup.kerros);
    paid_out(&mut rollup, alice, 400);
    let claim = Kerros::claimCall { asset: 2, account: alice };
    let holding = TestToken::balanceOfCall(kerros);
    for mood in [Mood::Reverts, Mood::False, Mood::Nonsense, Mood::Short, Mood::Idle, Mood::Fee] {
        let call = MoodyToken::setMoodCall { to: mood };
        rollup.machine.call(alice, token, U256::ZERO, &call.abi_encode()).result.unwrap();
        let refused = deposit(&mut rollup, 50);
        match mood {
            Mood::Idle | Mood::Fee => {
                assert!(matches!(refused, Err(Revert::Kerros(E::MovedAmount(_)))), "{refused:?}")
            }
            _ => assert!(matches!(refused, Err(Revert::Kerros(E::TransferFailed(_))))),
        }
        let claimed = rollup.machine.attempt(person(2), kerros, &claim);
        match mood {
            // What leaves the contract is right; what the token keeps of it is between it and Alice.
            Mood::Fee => assert_eq!(claimed, Ok(())),
            Mood::Idle => assert!(matches!(claimed, Err(Revert::Kerros(E::MovedAmount(_))))),
            _ => assert!(matches!(claimed, Err(Revert::Kerros(E::TransferFailed(_))))),
        }
        assert_eq!(withdrawable(&mut rollup, alice), 400);
        assert_eq!(rollup.machine.ask(token, &holding), U256::from(1_000));
    }
    let plain = MoodyToken::setMoodCall { to: Mood::Plain };
    rollup.machine.call(alice, token, U256::ZERO, &plain.abi_encode()).result.unwrap();
    rollup.send(person(2), U256::ZERO, &claim).result.unwrap();
    assert_eq!(rollup.machine.ask(token, &holding), U256::from(600));
    let again = rollup.send(person(2), U256::ZERO, &claim).result;
    assert!(matches!(again, Err(Revert::Kerros(E::NothingToClaim(_)))));
}

#[test]
fn a_token_that_returns_nothing_pays_claims() {
    let (mut rollup, token) = with_token(SILENT);
    let bob = person(2);
    paid_out(&mut rollup, bob, 400);
    let claim = Kerros::claimCall { asset: 2, account: bob };
    rollup.send(person(3), U256::ZERO, &claim).result.unwrap();
    assert_eq!(rollup.machine.ask(token, &TestToken::balanceOfCall(bob)), U256::from(400));
}

#[test]
fn a_recipient_that_calls_back_is_paid_once() {
    let (mut rollup, token) = with_token(HOOK);
    let kerros = rollup.kerros;
    let relay = rollup.machine.create(operator(), artifact(RELAY)).unwrap();
    // Ether credit for the relay: it sends too much with a request of its own.
    let through = Relay::relayCall {
        target: kerros,
        data: Kerros::forceExitCall { index: 1 }.abi_encode().into(),
    };
    let value = rollup.entry_fee() * U256::from(3);
    rollup.machine.call(person(1), relay, value, &through.abi_encode()).result.unwrap();
    let credit = rollup.read(Kerros::etherCreditCall(relay));
    assert!(!credit.is_zero());
    let served_first = BatchData { exits: vec![forced(1, relay, 0)], ..BatchData::default() };
    rollup.advance(served_first).result.unwrap();
    paid_out(&mut rollup, relay, 400);

    let claim_ether = Kerros::claimEtherCall { account: relay };
    let refused = rollup.send(person(2), U256::ZERO, &claim_ether).result;
    assert!(matches!(refused, Err(Revert::Kerros(E::EtherTransferFailed(_)))), "it takes no ether");
    assert_eq!(rollup.read(Kerros::etherCreditCall(relay)), credit);

    let claim = Kerros::claimCall { asset: 2, account: relay };
    let inner: [Vec<u8>; 5] = [
        claim.abi_encode(),
        claim_ether.abi_encode(),
        Kerros::forceExitCall { index: 1 }.abi_encode(),
        Kerros::freezeCall { entry: 0 }.abi_encode(),
        Kerros::refundCall { entry: 0 }.abi_encode(),
    ];
    for call in inner {
        let arm = Relay::onMoneyMovingCall { target: kerros, data: call.into() };
        rollup.machine.call(person(1), relay, U256::ZERO, &arm.abi_encode()).result.unwrap();
        let mut tokens = Rollup { machine: rollup.machine.fork(), ..clone(&rollup) };
        for outer in [claim.abi_encode(), claim_ether.abi_encode()] {
            let outcome = tokens.machine.call(person(2), kerros, U256::ZERO, &outer);
            outcome.result.expect("paid");
            let tried = outcome.logs.iter().find(|log| log.address == relay).expect("called back");
            let tried = Relay::Tried::decode_log_data(&tried.data).unwrap();
            assert!(!tried.ok, "the call inside was refused");
        }
        let got = tokens.machine.ask(token, &TestToken::balanceOfCall(relay));
        assert_eq!(got, U256::from(400));
        assert_eq!(tokens.machine.balance(relay), credit);
    }
}

fn clone(rollup: &Rollup) -> Rollup {
    let (key, book) = (rollup.key.clone(), rollup.book.clone());
    Rollup { machine: rollup.machine.fork(), key, book, ..*rollup }
}

#[test]
fn a_recipient_that_takes_nothing_stops_no_batch() {
    let (mut rollup, _) = with_token(HOOK);
    let strict = rollup.machine.create(operator(), artifact(RELAY)).unwrap();
    rollup.force(person(1), 1).result.unwrap();
    let data = BatchData { exits: vec![forced(1, person(1), 0)], ..BatchData::default() };
    let new = rollup.book.clone();
    let post = rollup.forge(data, &new, strict);
    rollup.post(operator(), &post, new, 1).result.expect("credited, not paid");
    let owed = rollup.read(Kerros::etherCreditCall(strict));
    assert!(!owed.is_zero());
    let claim = Kerros::claimEtherCall { account: strict };
    let refused = rollup.send(person(1), U256::ZERO, &claim).result;
    assert!(matches!(refused, Err(Revert::Kerros(E::EtherTransferFailed(_)))));
    assert_eq!(rollup.read(Kerros::etherCreditCall(strict)), owed);
    rollup.advance(BatchData::default()).result.expect("the next batch");
}
