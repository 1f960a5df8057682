//! Posts that are refused, each for its own reason and with nothing changed.

use super::data::Data;
use super::world::{World, refusal};
use crate::main_chain::embedded::development_wallet;
use crate::main_chain::{At, MainChainError, Receipt, submit};
use alloy::consensus::{SignableTransaction, TxEip7702, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::eips::eip7702::Authorization;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::sol_types::SolCall;
use kerros_verifier::contract::{Kerros, KerrosErrors as E, Post};

const RELAY: &str = include_str!("../../../../verifier/contracts/artifacts/Relay.json");

/// A good post of this data at the world's state, changed, then posted by the operator.
async fn posted(world: &World, data: &Data, grow: bool, change: impl FnOnce(&mut Post)) -> E {
    let mut ledger = world.ledger.clone();
    let operator = world.operator.clone();
    let mut post = ledger.forge(&*world.chain, data, grow, operator.address()).await;
    change(&mut post);
    refusal(world.post(&operator, post).await)
}

/// Bytes that the operator sends to the contract as they are.
async fn raw(world: &World, bytes: Vec<u8>) -> Result<Receipt, MainChainError> {
    let (chain, operator) = (&*world.chain, &world.operator);
    submit(chain, operator, Some(world.kerros), U256::ZERO, bytes.into()).await
}

fn records(world: &World) -> Data {
    let (asset, alice) = (world.asset, world.alice.address());
    Data {
        opens: vec![(1, asset, alice, U256::from(9))],
        deposits: vec![(1, 7, asset, U256::from(9), alice)],
        transfers: vec![(1, 2, 3, 4)],
        exits: vec![(3, 0, 0, 1, asset, world.bob.address())],
        collects: vec![(1, 5)],
    }
}

/// A deposit by Alice and a forced exit by Bob wait.
async fn waiting() -> World {
    let world = World::embedded().await;
    world.deposit(&world.alice, 7, 9).await;
    world.force(&world.bob, 3).await;
    world
}

#[tokio::test]
async fn words_of_the_proof_are_checked_one_by_one() {
    let world = World::embedded().await;
    let data = Data::default();
    let big = U256::MAX;
    let one = U256::from(1);
    type Change = fn(&mut Post, U256);
    let scalars: [Change; 4] = [|p, v| p.h = v, |p, v| p.A = v, |p, v| p.Delta = v, |p, v| p.Z = v];
    for change in scalars {
        assert!(matches!(
            posted(&world, &data, false, |p| change(p, big)).await,
            E::NotFieldElement(_)
        ));
        let flipped = posted(&world, &data, false, |p| {
            change(p, one);
        })
        .await;
        assert!(matches!(flipped, E::ProofRejected(_)));
    }
    let coordinates: [Change; 5] = [
        |p, v| p.newC[5] = v,
        |p, v| p.Q[1] = v,
        |p, v| p.W[0] = v,
        |p, v| p.proof[0] = v,
        |p, v| p.proof[7] = v,
    ];
    for change in coordinates {
        assert!(matches!(
            posted(&world, &data, false, |p| change(p, big)).await,
            E::NotCoordinate(_)
        ));
        let off_curve = posted(&world, &data, false, |p| change(p, one)).await;
        assert!(matches!(off_curve, E::NotOnCurve(_) | E::PairingRefused(_)), "{off_curve:?}");
    }
    let refused = posted(&world, &data, false, |p| p.proof[2] = one).await;
    assert!(matches!(refused, E::PairingRefused(_)));
    for point in 0..3 {
        // Another valid point than the proved one.
        let refused = posted(&world, &data, false, |p| {
            (p.newC[2 * point], p.newC[2 * point + 1]) = (p.Q[0], p.Q[1]);
        })
        .await;
        assert!(matches!(refused, E::ProofRejected(_)));
    }
    let refused = posted(&world, &data, false, |p| p.Q = p.W).await;
    assert!(matches!(refused, E::ProofRejected(_)));
    let refused = posted(&world, &data, false, |p| p.W = p.Q).await;
    assert!(matches!(refused, E::ProofRejected(_)));
    let refused = posted(&world, &data, false, |p| {
        p.proof.copy_within(0..2, 6);
    })
    .await;
    assert!(matches!(refused, E::ProofRejected(_)));
}

#[tokio::test]
async fn numbers_roots_growth_and_beneficiary_are_bound() {
    let mut world = World::embedded().await;
    let data = Data::default();
    let refused = posted(&world, &data, false, |p| p.batchNumber = 2).await;
    let E::WrongBatchNumber(numbers) = refused else { panic!("{refused:?}") };
    assert_eq!((numbers.expected, numbers.got), (1, 2));
    let refused = posted(&world, &data, false, |p| {
        (p.oldC[0], p.oldC[1]) = (p.Q[0], p.Q[1]);
    })
    .await;
    assert!(matches!(refused, E::WrongRoot(_)));
    let refused = posted(&world, &data, false, |p| p.beneficiary = Address::ZERO).await;
    assert!(matches!(refused, E::ProofRejected(_)));
    let refused = posted(&world, &data, false, |p| p.grownC[0] = U256::from(1)).await;
    assert!(matches!(refused, E::GrownWithoutGrowth(_)));
    world.advance(&data, false).await;
    let refused = posted(&world, &data, true, |p| {
        (p.grownC[0], p.grownC[1]) = (p.oldC[0], p.oldC[1]);
    })
    .await;
    assert!(matches!(refused, E::GrowthRejected(_)));
    let refused = posted(&world, &data, true, |p| p.grow = false).await;
    assert!(matches!(refused, E::GrownWithoutGrowth(_)));
    world.advance(&data, true).await;
    world.advance(&data, true).await;
    assert_eq!(world.read(Kerros::kCall {}).await, 4);
    let last = world.ledger.clone();
    let mut post = world.ledger.forge(&*world.chain, &data, false, world.operator.address()).await;
    post.grow = true;
    let operator = world.operator.clone();
    assert!(matches!(refusal(world.post(&operator, post).await), E::LedgerAtMaximum(_)));
    world.ledger = last;
    world.advance(&data, false).await;
}

#[tokio::test]
async fn counts_and_length_of_the_data_must_be_exact() {
    let world = waiting().await;
    let good = records(&world);
    let bytes = good.encode();
    let refused = posted(&world, &good, false, |p| p.data = Bytes::new()).await;
    assert!(matches!(refused, E::WrongDataLength(_)));
    let refused = posted(&world, &good, false, |p| p.data = bytes[..9].to_vec().into()).await;
    assert!(matches!(refused, E::WrongDataLength(_)));
    let refused =
        posted(&world, &good, false, |p| p.data = bytes[..bytes.len() - 1].to_vec().into()).await;
    assert!(matches!(refused, E::WrongDataLength(_)));
    let longer = [&bytes[..], &[0]].concat();
    let refused = posted(&world, &good, false, |p| p.data = longer.into()).await;
    assert!(matches!(refused, E::WrongDataLength(_)));
    for (section, capacity) in super::data::SHAPE.into_iter().enumerate() {
        let mut crowded = bytes.clone();
        let count = u16::try_from(capacity + 1).unwrap();
        crowded[2 * section..2 * section + 2].copy_from_slice(&count.to_be_bytes());
        let refused = posted(&world, &good, false, |p| p.data = crowded.into()).await;
        let E::CountAboveCapacity(values) = refused else { panic!("{refused:?}") };
        assert_eq!(values.section, U256::from(section));
    }
}

#[tokio::test]
async fn records_that_are_no_records_are_refused() {
    let world = waiting().await;
    let asset = world.asset;
    let good = records(&world);
    let open = good.opens[0];
    for bad in [
        (open.0, 0, open.2, open.3),
        (open.0, asset + 1, open.2, open.3),
        (open.0, asset, Address::ZERO, open.3),
        (open.0, asset, open.2, U256::ZERO),
        (open.0, asset, open.2, U256::MAX),
    ] {
        let data = Data { opens: vec![open, bad], ..good.clone() };
        let refused = posted(&world, &data, false, |_| ()).await;
        let E::BadOpen(values) = refused else { panic!("{refused:?}") };
        assert_eq!(values.record, U256::from(1));
    }
    let exit = good.exits[0];
    let data = Data { exits: vec![(exit.0, 0, 0, 2, asset, exit.5)], ..good.clone() };
    assert!(matches!(posted(&world, &data, false, |_| ()).await, E::BadForcedFlag(_)));

    let data = Data { transfers: vec![(1, 2, 3, 4), (0, 0, 0, 0)], ..good.clone() };
    let refused = posted(&world, &data, false, |_| ()).await;
    let E::EmptyRecord(values) = refused else { panic!("{refused:?}") };
    assert_eq!((values.section, values.record), (U256::from(2), U256::from(1)));
    let data = Data { transfers: vec![(0, 0, 0, 0); 4], ..good.clone() };
    let refused = posted(&world, &data, false, |_| ()).await;
    let E::EmptyRecord(values) = refused else { panic!("{refused:?}") };
    assert_eq!((values.section, values.record), (U256::from(2), U256::ZERO));
    let nothing = (0, 0, 0, 0, 0, Address::ZERO);
    let data = Data { exits: vec![exit, nothing], ..good.clone() };
    assert!(matches!(posted(&world, &data, false, |_| ()).await, E::EmptyRecord(_)));
    let data = Data { collects: vec![(0, 0)], ..good.clone() };
    assert!(matches!(posted(&world, &data, false, |_| ()).await, E::EmptyRecord(_)));
}

#[tokio::test]
async fn records_must_be_the_queue_entry_by_entry() {
    let world = waiting().await;
    let asset = world.asset;
    let good = records(&world);
    let (index, amount, _, key, owner) = good.deposits[0];
    for bad in [
        (index, amount + 1, asset, key, owner),
        (index, amount, asset + 1, key, owner),
        (index, amount, asset, key + U256::from(1), owner),
        (index, amount, asset, key, world.bob.address()),
    ] {
        let data = Data { deposits: vec![bad], ..good.clone() };
        let refused = posted(&world, &data, false, |_| ()).await;
        let E::QueueMismatch(values) = refused else { panic!("{refused:?}") };
        assert_eq!(values.entry, 0);
    }
    let (from, ..) = good.exits[0];
    let bob = world.bob.address();
    for bad in [
        (from - 1, 0, 0, 1, asset, bob),
        (from, 0, 1, 1, asset, bob),
        (from, 0, 0, 1, asset, owner),
    ] {
        let data = Data { exits: vec![bad], ..good.clone() };
        let refused = posted(&world, &data, false, |_| ()).await;
        let E::QueueMismatch(values) = refused else { panic!("{refused:?}") };
        assert_eq!(values.entry, 1);
    }
    // The second entry cannot be served before the first, nor one that nobody made.
    let data = Data { deposits: vec![], ..good.clone() };
    let refused = posted(&world, &data, false, |_| ()).await;
    assert!(matches!(refused, E::QueueMismatch(_)));
    let data = Data { deposits: vec![good.deposits[0]; 2], exits: vec![], ..good.clone() };
    let refused = posted(&world, &data, false, |_| ()).await;
    assert!(matches!(refused, E::QueueMismatch(_)));
    let data = Data { exits: vec![good.exits[0]; 2], ..good.clone() };
    let refused = posted(&world, &data, false, |_| ()).await;
    assert!(matches!(refused, E::QueueTooShort(_)));
}

#[tokio::test]
async fn more_cannot_leave_than_came() {
    let world = waiting().await;
    let mut data = records(&world);
    data.exits[0].1 = 8;
    assert!(matches!(posted(&world, &data, false, |_| ()).await, E::SupplyUnderflow(_)));
}

#[tokio::test]
async fn contracts_and_strangers_do_not_post() {
    let mut world = World::embedded().await;
    let data = Data::default();
    let operator = world.operator.clone();
    let last = world.ledger.clone();
    let post = world.ledger.forge(&*world.chain, &data, false, operator.address()).await;
    let alice = world.alice.clone();
    let refused = refusal(world.post(&alice, post.clone()).await);
    assert!(matches!(refused, E::OperatorNotSilent(_)));
    let relay = world.place(RELAY).await;
    let call = Kerros::postCall { p: post.clone() }.abi_encode();
    let through = super::assets::Relay::relayCall { target: world.kerros, data: call.into() };
    let refused = refusal(world.send(&operator, relay, through).await);
    assert!(matches!(refused, E::SenderIsContract(_)));

    // One more word, or the data elsewhere, is another encoding of the same post.
    let mut call = Kerros::postCall { p: post }.abi_encode();
    call.extend([0; 32]);
    let sent = raw(&world, call).await;
    assert!(matches!(refusal(sent), E::NonCanonicalCalldata(_)));
    let mut call = Kerros::postCall {
        p: last.clone().forge(&*world.chain, &data, false, operator.address()).await,
    }
    .abi_encode();
    call[4 + 31] = 0x40;
    call.splice(36..36, [0; 32]);
    let sent = raw(&world, call).await;
    assert!(matches!(refusal(sent), E::NonCanonicalCalldata(_)));
    let garbage = Kerros::postCall::SELECTOR.to_vec();
    let sent = raw(&world, garbage).await;
    assert!(matches!(sent, Err(MainChainError::Reverted { .. })));
    world.ledger = last;
    world.advance(&data, false).await;
}

#[tokio::test]
async fn an_operator_with_code_of_its_own_does_not_post() {
    let mut world = World::embedded().await;
    let operator = world.operator.clone();
    let signer = development_wallet(0);
    let relay = world.place(RELAY).await;
    let nonce = world.chain.nonce(operator.address()).await.unwrap();
    let chain_id = world.chain.chain_id().await.unwrap();
    let authorization =
        Authorization { chain_id: U256::from(chain_id), address: relay, nonce: nonce + 1 };
    let signature = signer.sign_hash_sync(&authorization.signature_hash()).unwrap();
    let mut transaction = TxEip7702 {
        chain_id,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1,
        to: operator.address(),
        authorization_list: vec![authorization.into_signed(signature)],
        ..TxEip7702::default()
    };
    let signature = signer.sign_transaction_sync(&mut transaction).unwrap();
    let raw = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
    world.chain.send_raw(raw.into()).await.unwrap();
    let code = world.chain.code(operator.address(), At::Latest).await.unwrap();
    assert_eq!(code.len(), 23, "the delegation is in place");
    let data = Data::default();
    let post = world.ledger.forge(&*world.chain, &data, false, operator.address()).await;
    assert!(matches!(refusal(world.post(&operator, post).await), E::SenderIsContract(_)));
}
