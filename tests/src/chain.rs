//! A main chain, embedded or any other, with a deployed contract, two tokens and rich wallets.

use crate::keys;
use crate::world::wallet;
use alloy::primitives::{Address as ChainAddress, Bytes, U256};
use alloy::sol_types::SolCall;
use ark_bn254::Fr;
use kerros_protocol::account::{AccountKey, Address};
use kerros_protocol::proto::get_account_request::By;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{AccountTriple, GetAccountRequest};
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{
    At, Call, Embedded, Genesis, MainChain, MainChainError, Receipt, Wallet, deploy,
    entry_fee_offer, submit,
};
use kerros_sequencer::{Config, Sequencer, SequencerHandle};
use kerros_verifier::contract::{
    Kerros, Parameters, Post, Revert, TestToken, deployment_code, test_token_code,
};
use kerros_verifier::post::key_words;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tonic::transport::Channel;

/// The chain, its contract and its tokens.
pub struct Chain {
    /// In-process EVM on disk, or a node.
    pub chain: Arc<dyn MainChain>,
    /// Kerros.
    pub contract: ChainAddress,
    /// Token of asset i + 1.
    pub tokens: Vec<ChainAddress>,
    _dir: Option<TempDir>,
}

/// Wallet 0 deploys, registers and posts.
pub const OPERATOR: u32 = 0;

impl Chain {
    /// Deploys on a new embedded chain.
    pub async fn deploy(key: &VerificationKey) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let genesis = Genesis::development(10);
        let clock = Arc::new(|| 1_700_000_100u64);
        let chain = Embedded::open(dir.path(), &genesis, clock).expect("a new chain");
        Self { _dir: Some(dir), ..Self::deploy_on(Arc::new(chain), key).await }
    }
    /// Deploys with a key; registers two assets with units of one base unit. The development
    /// wallets must be rich.
    pub async fn deploy_on(chain: Arc<dyn MainChain>, key: &VerificationKey) -> Self {
        let operator = Wallet::new(development_wallet(OPERATOR));
        let parameters = Parameters {
            operator: operator.address(),
            admin: operator.address(),
            kGenesis: key.k_genesis,
            kMax: key.k_max(),
            forceWindow: 7 * 86_400,
            entryWindow: 60,
            silence: 86_400,
            entryFee: 1_000_000_000,
        };
        let code = deployment_code(key_words(key).into(), parameters);
        let contract = deploy(&*chain, &operator, code).await.expect("deployment");
        let mut this = Self { chain, contract, tokens: Vec::new(), _dir: None };
        for symbol in ["AAA", "BBB"] {
            let code = test_token_code(symbol, symbol, 6);
            let token = deploy(&*this.chain, &operator, code).await.expect("token");
            let call = Kerros::registerAssetCall { token, unitExponent: 0 };
            this.send(OPERATOR, U256::ZERO, call).await.expect("registration");
            this.tokens.push(token);
        }
        this
    }
    /// The deployment's domain.
    pub async fn domain(&self) -> Fr {
        let chain_id = self.chain.chain_id().await.expect("embedded");
        transcript::domain(chain_id, &Address(self.contract.into_array()))
    }
    /// Sends a call of the contract from a development wallet.
    pub async fn send(
        &self,
        from: u32,
        value: U256,
        call: impl SolCall,
    ) -> Result<Receipt, MainChainError> {
        self.send_to(self.contract, from, value, call).await
    }
    /// Sends a call of any contract.
    pub async fn send_to(
        &self,
        to: ChainAddress,
        from: u32,
        value: U256,
        call: impl SolCall,
    ) -> Result<Receipt, MainChainError> {
        let wallet = Wallet::new(development_wallet(from));
        submit(&*self.chain, &wallet, Some(to), value, call.abi_encode().into()).await
    }
    /// Asks the contract.
    pub async fn ask<C: SolCall>(&self, call: C) -> C::Return {
        self.ask_at(self.contract, call).await
    }
    /// Asks any contract.
    pub async fn ask_at<C: SolCall>(&self, to: ChainAddress, call: C) -> C::Return {
        let call = Call { to: Some(to), input: call.abi_encode().into(), ..Call::default() };
        let bytes = self.chain.call(call, At::Latest).await.expect("a view");
        C::abi_decode_returns(&bytes).expect("its own ABI")
    }
    /// Deposits to wallet `w`'s account from its own main-chain wallet.
    pub async fn deposit(&self, w: u8, asset: u16, amount: u64) {
        self.deposit_for(w, asset, amount, crate::world::key(w)).await;
    }
    /// The same for any layer-2 key.
    pub async fn deposit_for(&self, w: u8, asset: u16, amount: u64, key: AccountKey) {
        let (from, base) = (u32::from(w), U256::from(amount));
        let token = self.tokens[usize::from(asset) - 1];
        let owner = ChainAddress::from(wallet(w).1.0);
        let mint = TestToken::mintCall { to: owner, amount: base };
        self.send_to(token, from, U256::ZERO, mint).await.expect("mint");
        let approve = TestToken::approveCall { spender: self.contract, amount: base };
        self.send_to(token, from, U256::ZERO, approve).await.expect("approve");
        let key = U256::from_be_bytes(key.to_be());
        let deposit = Kerros::depositCall { asset, baseAmount: base, key, owner };
        let fee = entry_fee_offer(&*self.chain, self.contract).await.expect("a fee");
        self.send(from, fee, deposit).await.expect("deposit");
    }
    /// Asks for a forced exit from wallet `w`.
    pub async fn force(&self, w: u8, index: u32) {
        let fee = entry_fee_offer(&*self.chain, self.contract).await.expect("a fee");
        self.send(w.into(), fee, Kerros::forceExitCall { index }).await.expect("forced exit");
    }
    /// Posts as the operator.
    pub async fn post(&self, post: &Post) -> Result<Receipt, MainChainError> {
        self.send(OPERATOR, U256::ZERO, Kerros::postCall { p: post.clone() }).await
    }
    /// Whether a post would be accepted now, and why not.
    pub async fn try_post(&self, post: &Post) -> Result<(), Revert> {
        let input: Bytes = Kerros::postCall { p: post.clone() }.abi_encode().into();
        let from = Some(development_wallet(OPERATOR).address());
        let call = Call { from, to: Some(self.contract), input, ..Call::default() };
        match self.chain.call(call, At::Latest).await {
            Ok(_) => Ok(()),
            Err(MainChainError::Reverted { reason, .. }) => Err(reason),
            Err(other) => panic!("the embedded chain failed: {other}"),
        }
    }
}

/// A sequencer's configuration on this chain, without a poster.
pub fn sequencer_config(data: &Path, chain: &Chain) -> Config {
    let contract = Address(chain.contract.into_array());
    let mut config = Config::new(data.to_owned(), contract, crate::world::key(9), wallet(9).1);
    config.allow_development = true;
    config.poll_ms = 50;
    config
}

/// A sequencer on this chain; `key` may be any that the contract was deployed with.
pub async fn start_sequencer(
    config: Config,
    chain: &Chain,
    key: &VerificationKey,
) -> SequencerHandle {
    let srs = keys::small_srs();
    Sequencer::start(config, chain.chain.clone(), key.clone(), srs).await.expect("started")
}

/// Waits until something holds, for a minute at most.
///
/// # Panics
/// After that minute.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

/// Waits until the sequencer has credited wallet `w`'s account of asset 1; index and balance.
pub async fn balance_once_funded(
    client: &mut SequencerServiceClient<Channel>,
    w: u8,
) -> (u32, u64) {
    let triple = AccountTriple {
        key: crate::world::key(w).to_be().to_vec(),
        asset: 1,
        owner: wallet(w).1.0.to_vec(),
    };
    let request = GetAccountRequest { by: Some(By::Triple(triple)) };
    for _ in 0..500 {
        if let Ok(answer) = client.get_account(request.clone()).await {
            let account = answer.into_inner().account.expect("an answer has an account");
            if account.balance > 0 {
                return (account.index, account.balance);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the deposit to wallet {w} was not credited in ten seconds")
}
