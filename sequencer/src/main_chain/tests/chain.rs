//! The embedded chain by itself: restart, refusals, old states, time, and bad requests.

use super::world::{embedded, fixed_clock, wallet};
use crate::main_chain::embedded::Operation;
use crate::main_chain::rpc::{RpcOptions, router};
use crate::main_chain::{
    At, Call, Embedded, Genesis, LogQuery, MainChain, MainChainError, Refusal, deploy, submit,
};
use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use kerros_verifier::contract::{TestToken, test_token_code};
use std::sync::Arc;

#[tokio::test]
async fn a_restart_resumes_at_the_same_head_with_the_same_state() {
    let directory = tempfile::tempdir().unwrap();
    let genesis = Genesis::development(3);
    let alice = wallet(1);
    let (token, hash, head) = {
        let chain = Embedded::open(directory.path(), &genesis, fixed_clock()).unwrap();
        let token = deploy(&chain, &alice, test_token_code("T", "T", 6)).await.unwrap();
        let mint = TestToken::mintCall { to: alice.address(), amount: U256::from(5) };
        let receipt = submit(&chain, &alice, Some(token), U256::ZERO, mint.abi_encode().into())
            .await
            .unwrap();
        chain.chain().advance_time(1000).unwrap();
        chain.chain().mine().unwrap();
        (token, receipt.transaction, chain.head().await.unwrap())
    };
    let chain = Embedded::open(directory.path(), &genesis, fixed_clock()).unwrap();
    assert_eq!(chain.head().await.unwrap(), head);
    assert_eq!(head.timestamp, 1_750_001_000);
    assert_eq!(chain.nonce(alice.address()).await.unwrap(), 2);
    let receipt = chain.receipt(hash).await.unwrap().unwrap();
    assert_eq!((receipt.block, receipt.logs.len(), receipt.succeeded), (2, 1, true));
    let question = Call {
        to: Some(token),
        input: TestToken::balanceOfCall(alice.address()).abi_encode().into(),
        ..Call::default()
    };
    let balance = chain.call(question.clone(), At::Latest).await.unwrap();
    assert_eq!(U256::from_be_slice(&balance), U256::from(5));
    let before = chain.call(question.clone(), At::Block(1)).await.unwrap();
    assert_eq!(U256::from_be_slice(&before), U256::ZERO, "the state before the mint is kept");
    assert_eq!(chain.call(question, At::Block(0)).await.unwrap(), Bytes::new());
    let query = LogQuery { from: 0, to: 99, address: token, topic0: vec![] };
    assert_eq!(chain.logs(query).await.unwrap(), receipt.logs);

    let other = Genesis { chain_id: 5, ..genesis };
    drop(chain);
    assert!(matches!(
        Embedded::open(directory.path(), &other, fixed_clock()),
        Err(MainChainError::GenesisMismatch { .. })
    ));
}

#[tokio::test]
async fn a_trace_adds_up_to_the_receipt_and_tells_steps_apart() {
    let (chain, _directory) = embedded();
    let alice = wallet(1);
    let token = deploy(&chain, &alice, test_token_code("T", "T", 6)).await.unwrap();
    let call = TestToken::mintCall { to: alice.address(), amount: U256::from(5) }.abi_encode();
    let bytes = call.clone().into();
    let receipt = submit(&chain, &alice, Some(token), U256::ZERO, bytes).await.unwrap();
    let trace = chain.chain().trace(receipt.transaction).unwrap().expect("mined");
    let tokens: u64 = call.iter().map(|byte| if *byte == 0 { 1 } else { 4 }).sum();
    assert_eq!((trace.intrinsic, trace.floor), (21_000 + 4 * tokens, 21_000 + 10 * tokens));
    let spent = trace.intrinsic + trace.steps.iter().map(|step| step.gas).sum::<u64>();
    assert_eq!((trace.gas_used, receipt.gas_used), (spent - trace.refund, spent - trace.refund));
    let count = |wanted: &dyn Fn(&Operation) -> bool| {
        trace.steps.iter().filter(|step| wanted(&step.operation)).count()
    };
    assert_eq!(count(&|operation| *operation == Operation::Log), 1);
    assert_eq!(count(&|operation| *operation == Operation::LoadInput { offset: 36 }), 1);
    assert_eq!(count(&|operation| *operation == Operation::Hash { length: 64 }), 1);
    assert!(count(&|operation| *operation == Operation::Storage) >= 2);
    assert_eq!(chain.chain().trace(Default::default()).unwrap(), None);
}

#[tokio::test]
async fn transactions_are_refused_for_reasons_one_can_act_on() {
    let (chain, _directory) = embedded();
    let alice = wallet(1);
    let payee = Address::repeat_byte(7);
    let to = Some(payee);
    let send = |nonce, value: u64, gas| {
        let call = Call { to, value: U256::from(value), ..Call::default() };
        let (alice, chain) = (alice.clone(), chain.clone());
        async move {
            let signed = alice.sign(&chain, call, nonce, gas).await.unwrap();
            chain.send_raw(signed.raw).await
        }
    };
    let refused = |answer: Result<_, MainChainError>| match answer {
        Err(MainChainError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let high = Refusal::NonceTooHigh { expected: Some(0), got: Some(1) };
    assert_eq!(refused(send(1, 1, 21_000).await), high);
    send(0, 1, 21_000).await.unwrap();
    assert_eq!(refused(send(0, 1, 21_000).await), Refusal::AlreadyKnown);
    let low = Refusal::NonceTooLow { expected: Some(1), got: Some(0) };
    assert_eq!(refused(send(0, 2, 21_000).await), low);
    assert!(matches!(refused(send(1, 1, 20_999).await), Refusal::GasLimit { .. }));
    assert!(matches!(refused(send(1, 1, 1 << 25).await), Refusal::GasLimit { .. }));
    let poor = wallet(4_000);
    let call = Call { to, value: U256::from(1), ..Call::default() };
    let signed = poor.sign(&chain, call, 0, 21_000).await.unwrap();
    assert_eq!(refused(chain.send_raw(signed.raw).await), Refusal::InsufficientFunds);
    for junk in [&b""[..], b"\x02", b"\xff\xff", &[0xc0], &[0x02, 0xc0]] {
        let answer = chain.send_raw(Bytes::copy_from_slice(junk)).await;
        assert!(matches!(refused(answer), Refusal::Malformed { .. }));
    }
    assert_eq!(chain.head().await.unwrap().number, 1, "only one was mined");
    assert_eq!(chain.balance(payee, At::Latest).await.unwrap(), U256::from(1));
    assert!(matches!(
        chain.balance(payee, At::Block(2)).await,
        Err(MainChainError::NoBlock { number: 2 })
    ));
}

#[tokio::test]
async fn time_never_stands_still_and_never_runs_backwards() {
    let (chain, _directory) = embedded();
    chain.chain().mine().unwrap();
    let first = chain.head().await.unwrap();
    chain.chain().mine().unwrap();
    let second = chain.head().await.unwrap();
    assert_eq!((first.timestamp, second.timestamp), (1_750_000_000, 1_750_000_001));
    assert_eq!(second.parent, first.hash);
    chain.chain().advance_time(500).unwrap();
    chain.chain().mine().unwrap();
    assert_eq!(chain.head().await.unwrap().timestamp, 1_750_000_500);
}

async fn ask(url: &str, body: impl Into<reqwest::Body>) -> serde_json::Value {
    let client = reqwest::Client::new();
    let text = client.post(url).body(body).send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

#[tokio::test]
async fn malformed_requests_get_json_rpc_errors() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (chain, _directory) = embedded();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = router(Arc::clone(chain.chain()), RpcOptions::default());
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let code = |answer: &serde_json::Value| answer["error"]["code"].as_i64().unwrap();
    for (body, expected) in [
        ("", -32700),
        ("{", -32700),
        ("\u{0}", -32700),
        ("[]", -32600),
        ("{}", -32600),
        ("5", -32600),
        ("null", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_nothing"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"evm_mine"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance"}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x1"]}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":{}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{},"latest",{}]}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{},"0xffff"]}"#, -32001),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x00"]}"#, -32000),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["0x1","0x99"]}"#, -32001),
    ] {
        let answer = ask(&url, body).await;
        assert_eq!(code(&answer), expected, "{body}: {answer}");
    }
    let answer = ask(&url, vec![b' '; 9 << 20]).await;
    assert_eq!(code(&answer), -32600, "{answer}");
    let many = format!("[{}]", vec!["1"; 201].join(","));
    assert_eq!(code(&ask(&url, many).await), -32600);
    let batch = r#"[{"jsonrpc":"2.0","id":"a","method":"eth_chainId"}, 7,
        {"jsonrpc":"2.0","method":"eth_chainId"},
        {"jsonrpc":"2.0","id":null,"method":"eth_blockNumber"}]"#;
    let answers = ask(&url, batch).await;
    assert_eq!(answers.as_array().unwrap().len(), 3, "a notification is not answered");
    assert_eq!(answers[0]["result"], "0x7a69");
    assert_eq!(code(&answers[1]), -32600);
    assert_eq!(answers[2]["result"], "0x0");
}
