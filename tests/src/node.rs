//! What only a development node does.

use alloy::providers::{Provider, ProviderBuilder};
use kerros_sequencer::main_chain::embedded::development_wallet;
use serde_json::{Value, json};

/// 1,000 ether.
const RICH_WEI: &str = "0x3635c9adc5dea00000";

/// Calls a method of its own.
pub async fn raw(url: &str, method: &'static str, arguments: Value) -> Value {
    let provider = ProviderBuilder::new().connect_http(url.parse().expect("a URL"));
    provider.raw_request(method.into(), arguments).await.expect("anvil answers")
}

/// Makes the first development wallets rich.
pub async fn enrich(url: &str, wallets: u32) {
    for w in 0..wallets {
        let account = development_wallet(w).address();
        raw(url, "anvil_setBalance", json!([account, RICH_WEI])).await;
    }
}

/// Lets time pass, in seconds.
pub async fn pass(url: &str, seconds: u64) {
    raw(url, "evm_increaseTime", json!([seconds])).await;
    raw(url, "evm_mine", json!([])).await;
}
