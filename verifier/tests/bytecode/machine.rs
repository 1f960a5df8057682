//! The EVM alone: deployed bytecode in memory, time and base fee as the test says, one call after the
//! other, millions of them. Rules are those of Osaka; knows no rollup.

use alloy::primitives::{Address, Bytes, Log, TxKind, U256, address, keccak256};
use alloy::sol_types::SolCall;
use kerros_verifier::contract::Revert;
use revm::context::result::{ExecutionResult, ResultAndState};
use revm::context::{Context, TxEnv};
use revm::database::InMemoryDB;
use revm::handler::MainnetContext;
use revm::precompile::Precompiles;
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, Bytecode};
use revm::{Database, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext, MainnetEvm};

/// Gas of a transaction (EIP-7825).
const GAS_MAX: u64 = 1 << 24;
/// Asks, and owns nothing that counts.
const OBSERVER: Address = address!("00000000000000000000000000000000000b5e4e");
const RICH_WEI: u128 = u128::MAX;
pub const CHAIN_ID: u64 = 31_337;
const GENESIS_TIME: u64 = 1_750_000_000;

/// An in-memory chain.
pub struct Machine {
    evm: MainnetEvm<MainnetContext<InMemoryDB>>,
}

/// What a transaction did.
#[derive(Debug)]
pub struct Outcome {
    pub result: Result<Bytes, Revert>,
    pub gas: u64,
    pub logs: Vec<Log>,
    /// Contracts of which a slot changed.
    pub changed: Vec<Address>,
    pub created: Option<Address>,
}

impl Machine {
    /// An empty chain on which these accounts are rich.
    pub fn new(rich: &[Address]) -> Self {
        let mut state = InMemoryDB::default();
        for account in rich.iter().chain([&OBSERVER]) {
            let balance = U256::from(RICH_WEI);
            state.insert_account_info(*account, AccountInfo { balance, ..AccountInfo::default() });
        }
        Self::on(state, GENESIS_TIME, 0)
    }

    fn on(state: InMemoryDB, now: u64, base_fee: u64) -> Self {
        let evm = Context::mainnet()
            .with_db(state)
            .modify_cfg_chained(|cfg| {
                *cfg = std::mem::take(cfg)
                    .with_spec_and_mainnet_gas_params(SpecId::OSAKA)
                    .with_chain_id(CHAIN_ID);
                cfg.disable_nonce_check = true;
            })
            .modify_block_chained(|block| {
                block.timestamp = U256::from(now);
                block.basefee = base_fee;
                block.gas_limit = 4 * GAS_MAX;
            })
            .build_mainnet();
        Self { evm }
    }

    /// A copy that goes its own way.
    pub fn fork(&self) -> Self {
        let state = self.evm.ctx.journaled_state.database.clone();
        Self::on(state, self.now(), self.base_fee())
    }

    /// Seconds of the block.
    pub fn now(&self) -> u64 {
        self.evm.ctx.block.timestamp.to()
    }

    pub fn advance(&mut self, seconds: u64) {
        self.evm.ctx.block.timestamp += U256::from(seconds);
    }

    pub fn base_fee(&self) -> u64 {
        self.evm.ctx.block.basefee
    }

    pub fn set_base_fee(&mut self, wei: u64) {
        self.evm.ctx.block.basefee = wei;
    }

    /// Runs a transaction and keeps what it did.
    pub fn transact(
        &mut self,
        from: Address,
        to: TxKind,
        value: U256,
        data: impl Into<Bytes>,
    ) -> Outcome {
        let ResultAndState { result, state } = self.run(GAS_MAX, from, to, value, data.into());
        let mut changed: Vec<Address> = state
            .iter()
            .filter(|(_, account)| account.storage.values().any(|slot| slot.is_changed()))
            .map(|(address, _)| *address)
            .collect();
        changed.sort_unstable();
        self.evm.commit(state);
        let gas = result.tx_gas_used();
        let created = result.created_address();
        match result {
            ExecutionResult::Success { output, logs, .. } => {
                Outcome { result: Ok(output.into_data()), gas, logs, changed, created }
            }
            ExecutionResult::Revert { output, .. } => {
                let result = Err(Revert::decode(&output));
                Outcome { result, gas, logs: Vec::new(), changed, created: None }
            }
            ExecutionResult::Halt { reason, .. } => panic!("halted: {reason:?}"),
        }
    }

    pub fn call(&mut self, from: Address, to: Address, value: U256, call: &[u8]) -> Outcome {
        self.transact(from, TxKind::Call(to), value, Bytes::copy_from_slice(call))
    }

    /// Creates a contract.
    pub fn create(&mut self, from: Address, code: Bytes) -> Result<Address, Revert> {
        let outcome = self.transact(from, TxKind::Create, U256::ZERO, code);
        outcome.result.map(|_| outcome.created.expect("a creation has an address"))
    }

    /// Whether a call would succeed now, and why not.
    pub fn attempt(
        &mut self,
        from: Address,
        to: Address,
        call: &impl SolCall,
    ) -> Result<(), Revert> {
        self.attempt_within(GAS_MAX, from, to, call)
    }

    /// The same with less gas; running out of it is a refusal without data.
    pub fn attempt_within(
        &mut self,
        gas: u64,
        from: Address,
        to: Address,
        call: &impl SolCall,
    ) -> Result<(), Revert> {
        self.judge(gas, from, to, call.abi_encode().into())
    }

    /// The same of bytes that need not be a call.
    pub fn try_call(&mut self, from: Address, to: Address, input: Bytes) -> Result<(), Revert> {
        self.judge(GAS_MAX, from, to, input)
    }

    fn judge(&mut self, gas: u64, from: Address, to: Address, input: Bytes) -> Result<(), Revert> {
        match self.run(gas, from, TxKind::Call(to), U256::ZERO, input).result {
            ExecutionResult::Success { .. } => Ok(()),
            ExecutionResult::Revert { output, .. } => Err(Revert::decode(&output)),
            ExecutionResult::Halt { .. } => Err(Revert::Empty),
        }
    }

    /// Takes precompiles away: calls of their addresses succeed then, and return nothing.
    pub fn keep_precompiles(&mut self, kept: &'static Precompiles) {
        self.evm.precompiles.precompiles = kept;
    }

    /// Asks a contract, changing nothing.
    pub fn ask<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        let input = call.abi_encode();
        let done = self.run(GAS_MAX, OBSERVER, TxKind::Call(to), U256::ZERO, input.into());
        let output = match done.result {
            ExecutionResult::Success { output, .. } => output.into_data(),
            other => panic!("{} failed: {other:?}", C::SIGNATURE),
        };
        C::abi_decode_returns(&output).expect("its own ABI")
    }

    /// Puts code at an address of its own.
    pub fn place(&mut self, code: &[u8]) -> Address {
        let at = Address::from_slice(&keccak256(code)[12..]);
        let code = Bytecode::new_raw(Bytes::copy_from_slice(code));
        let state = &mut self.evm.ctx.journaled_state.database;
        state.insert_account_info(at, AccountInfo::from_bytecode(code));
        at
    }

    /// Writes a slot, as no call could.
    pub fn write(&mut self, of: Address, slot: U256, value: U256) {
        let state = &mut self.evm.ctx.journaled_state.database;
        state.insert_account_storage(of, slot, value).expect("a database in memory does not fail");
    }

    /// Code of an account.
    pub fn code(&mut self, account: Address) -> Bytes {
        let state = &mut self.evm.ctx.journaled_state.database;
        let found = state.basic(account).expect("a database in memory does not fail");
        let info = found.expect("an account");
        let code = match info.code {
            Some(code) => code,
            None => state.code_by_hash(info.code_hash).expect("a database in memory does not fail"),
        };
        code.original_bytes()
    }

    /// Wei of an account.
    pub fn balance(&mut self, account: Address) -> U256 {
        let state = &mut self.evm.ctx.journaled_state.database;
        let found = state.basic(account).expect("a database in memory does not fail");
        found.map_or(U256::ZERO, |info| info.balance)
    }

    fn run(
        &mut self,
        gas_limit: u64,
        caller: Address,
        kind: TxKind,
        value: U256,
        data: Bytes,
    ) -> ResultAndState {
        let nonce = match kind {
            // A contract's address follows from it.
            TxKind::Create => {
                let state = &mut self.evm.ctx.journaled_state.database;
                let found = state.basic(caller).expect("a database in memory does not fail");
                found.map_or(0, |info| info.nonce)
            }
            TxKind::Call(_) => 0,
        };
        let transaction = TxEnv {
            caller,
            gas_limit,
            gas_price: u128::from(self.base_fee()),
            kind,
            value,
            data,
            nonce,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        self.evm.transact(transaction).expect("valid in form, and paid")
    }
}
