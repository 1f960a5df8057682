//! A deployed rollup with an operator, users and tokens, on any chain.

use super::data::{Data, SHAPE};
use super::forge::{self, K_GENESIS, K_MAX, Ledger};
use crate::main_chain::embedded::{BASE_FEE, development_wallet};
use crate::main_chain::{
    At, Call, Clock, Embedded, Genesis, MainChain, MainChainError, Receipt, Wallet, deploy, submit,
};
use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::{SolCall, SolConstructor};
use ark_bn254::Fr;
use kerros_verifier::contract::{
    Kerros, KerrosErrors, Parameters, Post, TestToken, deployment_code, test_token_code,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tempfile::TempDir;

/// Wei that pay for an entry that meets an empty queue, on a chain with the embedded one's base fee.
pub const ENTRY_FEE: u64 = ENTRY_FEE_BASE + 2 * ENTRY_GAS * BASE_FEE;
/// What the deployment asks for.
pub const ENTRY_FEE_BASE: u64 = 32_000_000_000;
/// `ENTRY_GAS` in `Queue.sol`.
const ENTRY_GAS: u64 = 60_000;
pub const FORCE_WINDOW: u64 = 86_400;
pub const ENTRY_WINDOW: u64 = 60;
pub const SILENCE: u64 = 43_200;
/// The test token's unit in base units.
pub const UNIT: u64 = 100;

/// Lets time pass on a chain.
pub type TimeMachine = Box<dyn Fn(u64) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

pub struct World {
    pub chain: Arc<dyn MainChain>,
    pub time: TimeMachine,
    pub kerros: Address,
    pub token: Address,
    pub asset: u16,
    pub operator: Wallet,
    pub alice: Wallet,
    pub bob: Wallet,
    pub ledger: Ledger,
    _directory: Option<TempDir>,
}

pub fn fixed_clock() -> Clock {
    Arc::new(|| 1_750_000_000)
}

pub fn embedded() -> (Embedded, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let chain = Embedded::open(directory.path(), &Genesis::development(5), fixed_clock()).unwrap();
    (chain, directory)
}

pub fn wallet(index: u32) -> Wallet {
    Wallet::new(development_wallet(index))
}

pub fn parameters() -> Parameters {
    Parameters {
        operator: wallet(0).address(),
        admin: wallet(0).address(),
        kGenesis: K_GENESIS,
        kMax: K_MAX,
        forceWindow: FORCE_WINDOW,
        entryWindow: ENTRY_WINDOW,
        silence: SILENCE,
        entryFee: u128::from(ENTRY_FEE_BASE),
    }
}

/// Init code of one of the contracts in `verifier/contracts/test`.
pub fn artifact(json: &str) -> Bytes {
    let parsed: serde_json::Value = serde_json::from_str(json).unwrap();
    parsed["bytecode"].as_str().unwrap().parse().unwrap()
}

impl World {
    pub async fn embedded() -> Self {
        Self::of_shape(SHAPE).await
    }

    pub async fn of_shape(shape: [u32; 5]) -> Self {
        let (embedded, directory) = embedded();
        let chain = Arc::clone(embedded.chain());
        let time: TimeMachine = Box::new(move |seconds| {
            let chain = Arc::clone(&chain);
            Box::pin(async move {
                chain.advance_time(seconds).unwrap();
                chain.mine().unwrap();
            })
        });
        let wallets = [wallet(0), wallet(1), wallet(2)];
        Self::new(Arc::new(embedded), time, wallets, shape, Some(directory)).await
    }

    pub async fn new(
        chain: Arc<dyn MainChain>,
        time: TimeMachine,
        [operator, alice, bob]: [Wallet; 3],
        shape: [u32; 5],
        directory: Option<TempDir>,
    ) -> Self {
        let key = forge::key(&*chain, shape).await;
        let vk_hash = forge::vk_hash(&key);
        let parameters =
            Parameters { operator: operator.address(), admin: operator.address(), ..parameters() };
        let code = deployment_code(key.into(), parameters);
        let kerros = deploy(&*chain, &operator, code).await.unwrap();
        let token = deploy(&*chain, &operator, test_token_code("Test", "TST", 6)).await.unwrap();
        let chain_id = chain.chain_id().await.unwrap();
        let ledger = Ledger {
            commitments: [Fr::from(0u64); 3],
            k: K_GENESIS,
            number: 0,
            head: 0,
            domain: forge::domain(chain_id, kerros),
            vk_hash,
            shape,
        };
        let mut world = Self {
            chain,
            time,
            kerros,
            token,
            asset: 0,
            operator,
            alice,
            bob,
            ledger,
            _directory: directory,
        };
        world.asset = world.register(token).await;
        for user in [world.alice.clone(), world.bob.clone()] {
            world.fund(token, &user).await;
        }
        world
    }

    /// A million units of a token, all of them approved.
    pub async fn fund(&self, token: Address, user: &Wallet) {
        let amount = U256::from(1_000_000 * UNIT);
        let mint = TestToken::mintCall { to: user.address(), amount };
        self.send(user, token, mint).await.unwrap();
        let approve = TestToken::approveCall { spender: self.kerros, amount: U256::MAX };
        self.send(user, token, approve).await.unwrap();
    }

    /// Registers a token with a unit of 100 base units.
    pub async fn register(&self, token: Address) -> u16 {
        let call = Kerros::registerAssetCall { token, unitExponent: 2 };
        self.send(&self.operator, self.kerros, call).await.unwrap();
        self.read(Kerros::assetOfTokenCall(token)).await
    }

    /// Deploys a contract without arguments.
    pub async fn place(&self, artifact_json: &str) -> Address {
        deploy(&*self.chain, &self.operator, artifact(artifact_json)).await.unwrap()
    }

    pub async fn send<C: SolCall>(
        &self,
        from: &Wallet,
        to: Address,
        call: C,
    ) -> Result<Receipt, MainChainError> {
        self.pay(from, to, call, 0).await
    }

    pub async fn pay<C: SolCall>(
        &self,
        from: &Wallet,
        to: Address,
        call: C,
        wei: u64,
    ) -> Result<Receipt, MainChainError> {
        let input = call.abi_encode().into();
        let receipt = submit(&*self.chain, from, Some(to), U256::from(wei), input).await?;
        assert!(receipt.succeeded, "estimated to succeed, yet it failed");
        Ok(receipt)
    }

    /// Asks a contract.
    pub async fn ask<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let call = Call { to: Some(to), input: call.abi_encode().into(), ..Call::default() };
        let output = self.chain.call(call, At::Latest).await.unwrap();
        C::abi_decode_returns(&output).unwrap()
    }

    /// Asks the rollup.
    pub async fn read<C: SolCall>(&self, call: C) -> C::Return {
        self.ask(self.kerros, call).await
    }

    pub async fn post(&self, from: &Wallet, post: Post) -> Result<Receipt, MainChainError> {
        self.send(from, self.kerros, Kerros::postCall { p: post }).await
    }

    /// Forges and posts by the operator.
    pub async fn advance(&mut self, data: &Data, grow: bool) -> Receipt {
        let beneficiary = self.operator.address();
        let post = self.ledger.forge(&*self.chain, data, grow, beneficiary).await;
        self.post(&self.operator, post).await.unwrap()
    }

    pub async fn deposit(&self, user: &Wallet, units: u64, key: u64) -> Receipt {
        let call = deposit_call(self.asset, units, key, user.address());
        self.pay(user, self.kerros, call, 10 * ENTRY_FEE).await.unwrap()
    }

    pub async fn force(&self, user: &Wallet, index: u32) -> Receipt {
        let call = Kerros::forceExitCall { index };
        self.pay(user, self.kerros, call, 10 * ENTRY_FEE).await.unwrap()
    }

    pub async fn withdrawable(&self, account: Address) -> U256 {
        self.read(Kerros::withdrawableCall { _0: self.asset, _1: account }).await
    }
}

pub fn deposit_call(asset: u16, units: u64, key: u64, owner: Address) -> Kerros::depositCall {
    Kerros::depositCall { asset, baseAmount: U256::from(units * UNIT), key: U256::from(key), owner }
}

/// The contract's own error out of a refusal.
pub fn refusal<T>(result: Result<T, MainChainError>) -> KerrosErrors {
    match result {
        Ok(_) => panic!("it was accepted"),
        Err(error) => match error.contract_error() {
            Some(own) => own.clone(),
            None => panic!("not the contract's own error: {error}"),
        },
    }
}

/// Deploys with other arguments than usual.
pub async fn deploy_with(
    chain: &dyn MainChain,
    change: impl FnOnce(&mut Kerros::constructorCall),
) -> Result<Address, MainChainError> {
    let mut arguments = Kerros::constructorCall {
        key: forge::key(chain, SHAPE).await.into(),
        parameters: parameters(),
    };
    change(&mut arguments);
    let mut code = Kerros::BYTECODE.to_vec();
    code.extend(arguments.abi_encode());
    deploy(chain, &wallet(0), code.into()).await
}
