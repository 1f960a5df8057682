//! Registering assets, and tokens that depart from the standard.

use super::world::{ENTRY_FEE, UNIT, World, deposit_call, refusal};
use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use kerros_verifier::contract::{Kerros, KerrosErrors as E, TestToken};

const SILENT: &str = include_str!("../../../../verifier/contracts/artifacts/SilentToken.json");
const FEE: &str = include_str!("../../../../verifier/contracts/artifacts/FeeToken.json");
const FALSE: &str = include_str!("../../../../verifier/contracts/artifacts/FalseToken.json");
const HOOK: &str = include_str!("../../../../verifier/contracts/artifacts/HookToken.json");
const RELAY: &str = include_str!("../../../../verifier/contracts/artifacts/Relay.json");

alloy::sol! {
    /// `verifier/contracts/test/Relay.sol`.
    contract Relay {
        function relay(address target, bytes calldata data) external payable returns (bytes memory);
        function onTokensMoving(address target, bytes calldata data) external;
    }
}

#[tokio::test]
async fn only_the_admin_registers_and_only_proper_tokens_once() {
    let world = World::embedded().await;
    let (kerros, operator) = (world.kerros, world.operator.clone());
    let register = |token, exponent| Kerros::registerAssetCall { token, unitExponent: exponent };
    let fresh = world.place(SILENT).await;
    let refused = refusal(world.send(&world.alice, kerros, register(fresh, 2)).await);
    assert!(matches!(refused, E::OnlyAdmin(_)));
    let refused = refusal(world.send(&operator, kerros, register(Address::ZERO, 2)).await);
    assert!(matches!(refused, E::ZeroAddress(_)));
    let refused = refusal(world.send(&operator, kerros, register(operator.address(), 2)).await);
    assert!(matches!(refused, E::TokenHasNoCode(_)));
    let refused = refusal(world.send(&operator, kerros, register(kerros, 2)).await);
    assert!(matches!(refused, E::TokenHasNoCode(_)));
    let refused = refusal(world.send(&operator, kerros, register(world.token, 2)).await);
    assert!(matches!(refused, E::TokenKnown(_)));
    let refused = refusal(world.send(&operator, kerros, register(fresh, 37)).await);
    assert!(matches!(refused, E::UnitTooLarge(_)));
    world.send(&operator, kerros, register(fresh, 36)).await.unwrap();
    assert_eq!(world.read(Kerros::assetCountCall {}).await, 2);
    let asset = world.read(Kerros::assetsCall(2)).await;
    assert_eq!((asset.token, asset.unitExponent, asset.supply), (fresh, 36, 0));
}

#[tokio::test]
async fn a_token_that_returns_nothing_is_as_good_as_any() {
    let world = World::embedded().await;
    let token = world.place(SILENT).await;
    let asset = world.register(token).await;
    world.fund(token, &world.alice).await;
    let call = deposit_call(asset, 5, 1, world.alice.address());
    world.pay(&world.alice, world.kerros, call, ENTRY_FEE).await.unwrap();
    let held = world.ask(token, TestToken::balanceOfCall(world.kerros)).await;
    assert_eq!(held, U256::from(5 * UNIT));
}

#[tokio::test]
async fn tokens_that_take_a_fee_or_do_not_move_are_refused() {
    let world = World::embedded().await;
    let token = world.place(FEE).await;
    let asset = world.register(token).await;
    world.fund(token, &world.alice).await;
    let call = deposit_call(asset, 5, 1, world.alice.address());
    let refused = refusal(world.pay(&world.alice, world.kerros, call, ENTRY_FEE).await);
    let E::MovedAmount(amounts) = refused else { panic!("{refused:?}") };
    assert_eq!((amounts.expected, amounts.got), (U256::from(500), U256::from(499)));

    let token = world.place(FALSE).await;
    let asset = world.register(token).await;
    let call = deposit_call(asset, 5, 1, world.alice.address());
    let refused = refusal(world.pay(&world.alice, world.kerros, call, ENTRY_FEE).await);
    assert!(matches!(refused, E::TransferFailed(_)));
}

#[tokio::test]
async fn a_token_cannot_call_back_into_a_deposit() {
    let world = World::embedded().await;
    let token = world.place(HOOK).await;
    let asset = world.register(token).await;
    let relay = world.place(RELAY).await;
    let alice = world.alice.address();
    let inner: Bytes = deposit_call(asset, 1, 1, alice).abi_encode().into();
    let hook = Relay::onTokensMovingCall { target: world.kerros, data: inner };
    world.send(&world.alice, relay, hook).await.unwrap();
    let mint = TestToken::mintCall { to: relay, amount: U256::from(10 * UNIT) };
    world.send(&world.alice, token, mint).await.unwrap();
    let approve = TestToken::approveCall { spender: world.kerros, amount: U256::MAX };
    let through = |to, data: Vec<u8>| Relay::relayCall { target: to, data: data.into() };
    world.send(&world.alice, relay, through(token, approve.abi_encode())).await.unwrap();
    let outer = through(world.kerros, deposit_call(asset, 1, 1, alice).abi_encode());
    let refused = refusal(world.pay(&world.alice, relay, outer, ENTRY_FEE).await);
    assert!(
        matches!(refused, E::TransferFailed(_)),
        "the inner call failed, and the token with it"
    );
}

#[tokio::test]
async fn ether_and_tokens_are_claimed_once_by_anybody_to_the_recorded_account() {
    let world = World::embedded().await;
    let alice = world.alice.address();
    world.deposit(&world.alice, 5, 1).await;
    let excess = world.read(Kerros::etherCreditCall(alice)).await;
    assert_eq!(excess, U256::from(9 * ENTRY_FEE));
    let before = world.chain.balance(alice, crate::main_chain::At::Latest).await.unwrap();
    let claim = Kerros::claimEtherCall { account: alice };
    world.send(&world.bob, world.kerros, claim).await.unwrap();
    let after = world.chain.balance(alice, crate::main_chain::At::Latest).await.unwrap();
    assert_eq!(after - before, excess);
    let claim = Kerros::claimEtherCall { account: alice };
    let refused = refusal(world.send(&world.bob, world.kerros, claim).await);
    assert!(matches!(refused, E::NothingToClaim(_)));
    let claim = Kerros::claimCall { asset: world.asset, account: alice };
    let refused = refusal(world.send(&world.bob, world.kerros, claim).await);
    assert!(matches!(refused, E::NothingToClaim(_)));
}
