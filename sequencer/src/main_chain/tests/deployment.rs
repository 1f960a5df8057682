//! What the contract refuses to be deployed with, and what it says of itself afterwards.

use super::data::SHAPE;
use super::forge::{self, K_GENESIS, Ledger};
use super::world::{World, deploy_with, embedded, refusal};
use crate::main_chain::At;
use alloy::primitives::{Address, U256};
use kerros_verifier::contract::{Kerros, KerrosErrors as E};

#[tokio::test]
async fn a_deployed_contract_shows_its_constants_and_an_empty_ledger() {
    let world = World::embedded().await;
    let key = forge::key(&*world.chain, SHAPE).await;
    assert_eq!(world.read(Kerros::vkHashCall {}).await, forge::vk_hash(&key));
    assert_eq!(world.read(Kerros::domainCall {}).await, forge::word(world.ledger.domain));
    let empty = Ledger::root(&[U256::ZERO; 6], K_GENESIS);
    assert_eq!(world.read(Kerros::rootCall {}).await, empty);
    assert_eq!(world.read(Kerros::kCall {}).await, K_GENESIS);
    assert_eq!(world.read(Kerros::batchNumberCall {}).await, 0);
    let shape = world.read(Kerros::shapeCall {}).await;
    assert_eq!(shape, SHAPE.map(U256::from));
    assert_eq!(world.read(Kerros::tauPowerCall { size: 2 }).await, key.tau_powers[0]);
    assert_eq!(world.read(Kerros::tauPowerCall { size: 3 }).await, key.tau_powers[1]);
    let code = world.chain.code(world.kerros, At::Latest).await.unwrap();
    assert!(code.len() <= 24_576, "{} bytes", code.len());
    let constants = world.read(Kerros::keyCodeCall {}).await;
    let constants = world.chain.code(constants, At::Latest).await.unwrap();
    assert_eq!(constants.len(), 1 + 38 * 32 + 2 * 128);
    assert_eq!(constants[0], 0, "nobody can run the constants");
}

#[tokio::test]
async fn unsound_or_malformed_keys_are_refused() {
    let (chain, _directory) = embedded();
    let off = U256::from(5);
    let q: U256 = "21888242871839275222246405745257275088696311157297823662689037894645226208583"
        .parse()
        .unwrap();

    let refused = refusal(deploy_with(&chain, |a| a.key.gamma2 = forge::g2(2)).await);
    assert!(matches!(refused, E::GammaNotGenerator(_)));
    let refused = refusal(deploy_with(&chain, |a| a.key.delta2 = forge::g2(1)).await);
    assert!(matches!(refused, E::DeltaEqualsGamma(_)));
    let refused = refusal(
        deploy_with(&chain, |a| {
            let g = forge::g2(1);
            a.key.delta2 = [g[0], g[1], q - g[2], q - g[3]];
        })
        .await,
    );
    assert!(matches!(refused, E::DeltaEqualsGamma(_)), "delta = -gamma is as bad");
    let refused = refusal(deploy_with(&chain, |a| a.key.alpha1 = [off, off]).await);
    assert!(matches!(refused, E::NotOnCurve(_)));
    let refused = refusal(deploy_with(&chain, |a| a.key.alpha1 = [U256::ZERO; 2]).await);
    assert!(matches!(refused, E::ConstantAtInfinity(_)));
    let refused = refusal(deploy_with(&chain, |a| a.key.ic[19] = off).await);
    assert!(matches!(refused, E::NotOnCurve(_)));
    let refused = refusal(deploy_with(&chain, |a| a.key.tau2[0] = off).await);
    assert!(matches!(refused, E::PairingRefused(_)));
    let refused = refusal(deploy_with(&chain, |a| a.key.tauPowers[1] = [U256::ZERO; 4]).await);
    assert!(matches!(refused, E::ConstantAtInfinity(_)));
    let refused = refusal(deploy_with(&chain, |a| a.key.tauPowers.truncate(1)).await);
    assert!(matches!(refused, E::WrongTauPowerCount(_)));
}

#[tokio::test]
async fn shapes_and_parameters_outside_the_protocol_are_refused() {
    let (chain, _directory) = embedded();
    for shape in [
        [2, 0, 4, 3, 2],
        [2, 2, 4, 0, 2],
        [1, 2, 4, 3, 2],
        [2, 2, 65_534, 3, 2],
        [2, 2, 65_536, 3, 2],
    ] {
        let refused = refusal(deploy_with(&chain, |a| a.key.shape = shape).await);
        assert!(matches!(refused, E::BadShape(_)), "{shape:?}");
    }
    let refused = refusal(deploy_with(&chain, |a| a.key.shape[0] = 4).await);
    assert!(matches!(refused, E::BadLedgerSize(_)), "four opens need more than four indexes");
    let refused = refusal(deploy_with(&chain, |a| a.parameters.kMax = 1).await);
    assert!(matches!(refused, E::BadLedgerSize(_)));
    let refused = refusal(deploy_with(&chain, |a| a.parameters.kMax = 29).await);
    assert!(matches!(refused, E::BadLedgerSize(_)));
    let refused =
        refusal(deploy_with(&chain, |a| a.parameters.silence = a.parameters.forceWindow).await);
    assert!(matches!(refused, E::BadWindows(_)));
    let refused = refusal(deploy_with(&chain, |a| a.parameters.entryWindow = 0).await);
    assert!(matches!(refused, E::BadWindows(_)));
    let refused = refusal(deploy_with(&chain, |a| a.parameters.operator = Address::ZERO).await);
    assert!(matches!(refused, E::ZeroAddress(_)));
    let refused = refusal(deploy_with(&chain, |a| a.parameters.admin = Address::ZERO).await);
    assert!(matches!(refused, E::ZeroAddress(_)));
}
