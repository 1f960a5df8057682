//! One life of a rollup on every kind of node: the embedded chain directly, the embedded chain
//! through its JSON-RPC server, and anvil. The three must agree, gas included.

use super::anvil::Anvil;
use super::data::{Data, SHAPE};
use super::world::{FORCE_WINDOW, TimeMachine, World, embedded, refusal, wallet};
use crate::main_chain::rpc::{RpcOptions, serve};
use crate::main_chain::{
    At, Call, Ethereum, LogQuery, MainChainError, Refusal, Wallet, await_receipt,
};
use alloy::network::EthereumWallet;
use alloy::primitives::U256;
use alloy::providers::{Provider, ProviderBuilder};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolEvent};
use kerros_verifier::contract::{Kerros, KerrosErrors as E, TestToken};
use std::sync::Arc;

/// Lives through everything that matters; returns the gas of each batch.
async fn whole_life(mut world: World) -> Vec<u64> {
    let (asset, alice) = (world.asset, world.alice.address());
    let mut gas = Vec::new();
    let first = world.chain.head().await.unwrap().number;
    world.deposit(&world.alice, 70, 9).await;
    let data = Data {
        opens: vec![(1, asset, alice, U256::from(9))],
        deposits: vec![(1, 70, asset, U256::from(9), alice)],
        transfers: vec![(1, 2, 3, 4), (1, 2, 5, 6)],
        exits: vec![(1, 20, 0, 0, asset, alice)],
        ..Data::default()
    };
    let receipt = world.advance(&data, false).await;
    gas.push(receipt.gas_used);

    // What settlement and the auditor ask.
    let published = world.chain.transaction(receipt.transaction).await.unwrap().unwrap();
    assert_eq!((published.from, published.to), (world.operator.address(), Some(world.kerros)));
    assert_eq!(published.block, Some(receipt.block));
    let call = Kerros::postCall::abi_decode(&published.input).unwrap();
    assert_eq!(call.p.data, data.encode());
    let head = world.chain.head().await.unwrap();
    assert_eq!(head.number, receipt.block);
    assert_eq!(head.hash, receipt.block_hash);
    let parent = world.chain.block(head.number - 1).await.unwrap().unwrap();
    assert_eq!(head.parent, parent.hash);
    assert!(head.timestamp >= parent.timestamp);
    assert_eq!(world.chain.block(head.number + 1).await.unwrap(), None);
    let query = LogQuery {
        from: first,
        to: head.number,
        address: world.kerros,
        topic0: vec![Kerros::BatchPosted::SIGNATURE_HASH, Kerros::DepositQueued::SIGNATURE_HASH],
    };
    let logs = world.chain.logs(query).await.unwrap();
    assert_eq!(logs.len(), 2);
    assert_eq!(logs[1], *receipt.logs.last().unwrap());
    let number = Call {
        to: Some(world.kerros),
        input: Kerros::batchNumberCall {}.abi_encode().into(),
        ..Call::default()
    };
    let now = world.chain.call(number.clone(), At::Latest).await.unwrap();
    let then = world.chain.call(number.clone(), At::Block(parent.number)).await.unwrap();
    assert_eq!(
        (U256::from_be_slice(&now), U256::from_be_slice(&then)),
        (U256::from(1), U256::ZERO)
    );
    let by_hash = |hash| world.chain.call(number.clone(), At::Hash(hash));
    assert_eq!(by_hash(head.hash).await.unwrap(), now);
    assert_eq!(by_hash(parent.hash).await.unwrap(), then);
    let gone = by_hash(receipt.transaction).await;
    assert!(matches!(gone, Err(MainChainError::BlockGone { .. })), "{gone:?}");
    let operator = world.operator.address();
    let after = world.chain.nonce_at(operator, At::Hash(head.hash)).await.unwrap();
    let before = world.chain.nonce_at(operator, At::Hash(parent.hash)).await.unwrap();
    assert_eq!((after, before), (published.nonce + 1, published.nonce));
    assert_eq!(world.chain.nonce_at(operator, At::Latest).await.unwrap(), after);
    let gone = world.chain.nonce_at(operator, At::Hash(receipt.transaction)).await;
    assert!(matches!(gone, Err(MainChainError::BlockGone { .. })), "{gone:?}");
    let post = Call {
        from: Some(operator),
        to: published.to,
        input: published.input.clone(),
        ..Call::default()
    };
    // Where it is in already it would revert; before that it would not.
    assert!(world.chain.estimate_gas(post.clone(), At::Hash(parent.hash)).await.is_ok());
    let again = world.chain.estimate_gas(post, At::Hash(head.hash)).await;
    assert!(matches!(again, Err(MainChainError::Reverted { .. })), "{again:?}");
    let future = world.chain.call(number, At::Block(head.number + 100)).await;
    assert!(matches!(future, Err(MainChainError::NoBlock { .. })), "{future:?}");
    assert_eq!(world.chain.receipt(head.hash).await.unwrap(), None);
    assert_eq!(world.chain.transaction(head.hash).await.unwrap(), None);

    // A transaction that fails in its block keeps its reason.
    let nonce = world.chain.nonce(alice).await.unwrap();
    let bad = Call {
        to: Some(world.kerros),
        input: Kerros::freezeCall { entry: 7 }.abi_encode().into(),
        ..Call::default()
    };
    let signed = world.alice.sign(&*world.chain, bad, nonce, 100_000).await.unwrap();
    assert_eq!(world.chain.send_raw(signed.raw.clone()).await.unwrap(), signed.hash);
    let failed = await_receipt(&*world.chain, signed.hash).await.unwrap();
    assert!(!failed.succeeded);
    let reason = MainChainError::reverted(failed.revert.unwrap());
    assert!(matches!(reason.contract_error(), Some(E::EntryNotPending(_))));
    match world.chain.send_raw(signed.raw).await {
        Err(MainChainError::Refused(Refusal::AlreadyKnown | Refusal::NonceTooLow { .. })) => (),
        other => panic!("{other:?}"),
    }

    // A node may make two blocks in one second, and writing the same second again is cheaper.
    (world.time)(5).await;
    gas.push(world.advance(&Data::default(), true).await.gas_used);
    world.force(&world.alice, 5).await;
    // On the embedded chain blocks run ahead of a clock that stands still.
    (world.time)(FORCE_WINDOW + 1_000).await;
    let call = Kerros::freezeCall { entry: 1 };
    world.send(&world.bob, world.kerros, call).await.unwrap();
    let refused = {
        let post = world.ledger.clone().forge(&*world.chain, &data, false, alice).await;
        refusal(world.post(&world.operator, post).await)
    };
    assert!(matches!(refused, E::IsFrozen(_)));
    let words = [
        U256::from(9),
        U256::from(50) | (U256::from(asset) << 96),
        U256::from_be_slice(alice.as_slice()),
    ];
    let (commitments, witness) = world.ledger.open(&*world.chain, 7, words).await;
    let call = Kerros::escapeCall { commitments, index: 7, words, witness };
    world.send(&world.bob, world.kerros, call).await.unwrap();
    let had = world.ask(world.token, TestToken::balanceOfCall(alice)).await;
    let claim = Kerros::claimCall { asset, account: alice };
    world.send(&world.bob, world.kerros, claim).await.unwrap();
    let has = world.ask(world.token, TestToken::balanceOfCall(alice)).await;
    assert_eq!(has - had, U256::from(7_000));
    gas
}

/// Time passes on a node that has the test hooks.
fn time_over(url: &str) -> TimeMachine {
    let url = url.to_owned();
    Box::new(move |seconds| {
        let url = url.clone();
        Box::pin(async move {
            let body = serde_json::json!([
                {"jsonrpc": "2.0", "id": 1, "method": "evm_increaseTime", "params": [seconds]},
                {"jsonrpc": "2.0", "id": 2, "method": "evm_mine", "params": []},
            ]);
            let client = reqwest::Client::new();
            let request = client.post(url).header("content-type", "application/json");
            let answer = request.body(body.to_string()).send().await.unwrap();
            let text = answer.text().await.unwrap();
            assert!(!text.contains("error"), "{text}");
        })
    })
}

async fn world_over(url: &str, wallets: [Wallet; 3]) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let node = Ethereum::connect(url).unwrap();
    World::new(Arc::new(node), time_over(url), wallets, SHAPE, None).await
}

/// Serves an embedded chain; the directory must outlive it.
async fn embedded_over_http() -> (String, tempfile::TempDir) {
    let (chain, directory) = embedded();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let options = RpcOptions { test_hooks: true };
    let served = Arc::clone(chain.chain());
    tokio::spawn(serve(listener, served, options, std::future::pending()));
    (url, directory)
}

/// The gas of the embedded chain, for comparison.
async fn reference() -> Vec<u64> {
    whole_life(World::embedded().await).await
}

#[tokio::test]
async fn a_whole_life_on_the_embedded_chain() {
    println!("gas of batches: {:?}", reference().await);
}

#[tokio::test]
async fn a_whole_life_over_the_embedded_chains_json_rpc() {
    let (url, _directory) = embedded_over_http().await;
    let wallets = [wallet(0), wallet(1), wallet(2)];
    let gas = whole_life(world_over(&url, wallets).await).await;
    assert_eq!(gas, reference().await);
}

#[tokio::test]
async fn alloys_wallet_fillers_work_over_the_embedded_chains_json_rpc() {
    let (url, _directory) = embedded_over_http().await;
    let world = world_over(&url, [wallet(0), wallet(1), wallet(2)]).await;
    let signer = crate::main_chain::embedded::development_wallet(3);
    let account = signer.address();
    let provider = ProviderBuilder::new()
        .wallet(EthereumWallet::from(signer))
        .connect_http(url.parse().unwrap());
    let token = TestToken::new(world.token, &provider);
    let pending = token.mint(account, U256::from(9)).send().await.unwrap();
    let receipt = pending.get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(token.balanceOf(account).call().await.unwrap(), U256::from(9));
    let block =
        provider.get_block(receipt.block_hash.unwrap().into()).full().await.unwrap().unwrap();
    assert_eq!(block.transactions.len(), 1);
    let rollup = Kerros::new(world.kerros, &provider);
    let error = rollup.freeze(3).call().await.err().expect("nothing waits");
    assert!(error.as_decoded_error::<Kerros::EntryNotPending>().is_some());
}

#[tokio::test]
async fn a_whole_life_on_anvil() {
    let Some(anvil) = Anvil::start().await else { return };
    let wallets = [0, 1, 2].map(|index: usize| {
        Wallet::new(anvil.keys[index].parse::<PrivateKeySigner>().expect("a key"))
    });
    let gas = whole_life(world_over(&anvil.url, wallets).await).await;
    let expected = reference().await;
    for (anvils, ours) in gas.iter().zip(&expected) {
        // Addresses and hence challenges differ: a few zero bytes more or less in the call.
        assert!(anvils.abs_diff(*ours) < 200, "{gas:?} against {expected:?}");
    }
}
