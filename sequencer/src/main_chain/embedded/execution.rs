//! Running a transaction or a call in revm against the state after some block. Reads through
//! [`State`], writes nothing: the caller gets the changes and decides. Rules are those of Osaka, so
//! that gas is what a real chain charges.

use super::super::{Call, MainChainError, Refusal};
use super::store::{AccountRecord, Changes, Store};
use super::trace::{Recorder, Trace};
use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Transaction, TxEnvelope, Typed2718};
use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, TxKind, U256};
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction, ResultAndState};
use revm::context::{BlockEnv, Context, TxEnv};
use revm::context_interface::either::Either;
use revm::database_interface::{DBErrorMarker, DatabaseRef, WrapDatabaseRef};
use revm::handler::MainnetContext;
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, Bytecode, EvmState};
use revm::{ExecuteEvm, InspectEvm, MainBuilder, MainContext};

/// Gas of a block; also the bound of calls.
pub const BLOCK_GAS_MAX: u64 = 60_000_000;
/// Gas of a transaction (EIP-7825).
pub const TRANSACTION_GAS_MAX: u64 = 1 << 24;
/// Wei per gas that every block burns: constant, as the blocks are never full.
pub const BASE_FEE: u64 = 1_000_000_000;

/// The state after block `number`.
pub struct State<'a> {
    /// Where it is kept.
    pub store: &'a Store,
    /// The block.
    pub number: u64,
}

/// The store's failure in the form that revm wants.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StateError(String);

impl DBErrorMarker for StateError {}

impl From<MainChainError> for StateError {
    fn from(error: MainChainError) -> Self {
        Self(error.to_string())
    }
}

impl DatabaseRef for State<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let found = self.store.account(address, self.number)?;
        Ok(found.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        let code = self.store.code(code_hash)?;
        let code = code.ok_or_else(|| StateError(format!("no code {code_hash}")))?;
        Bytecode::new_raw_checked(code).map_err(|error| StateError(error.to_string()))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        Ok(self.store.slot(address, slot, self.number)?)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        Ok(self.store.block(number)?.map_or(B256::ZERO, |block| block.hash))
    }
}

/// Runs a transaction as part of block `number`, on the state after its parent.
pub fn transact(
    store: &Store,
    chain_id: u64,
    number: u64,
    timestamp: u64,
    transaction: &Recovered<TxEnvelope>,
) -> Result<(ExecutionResult, Changes), MainChainError> {
    let tx = environment(transaction)?;
    let mut evm = context(store, chain_id, number, timestamp).build_mainnet();
    let ResultAndState { result, state } = evm.transact(tx).map_err(refused)?;
    Ok((result, changes(state)))
}

/// Runs a transaction like [`transact`], drops what it changed and tells what it spent its gas on.
pub fn trace(
    store: &Store,
    chain_id: u64,
    number: u64,
    timestamp: u64,
    transaction: &Recovered<TxEnvelope>,
) -> Result<Trace, MainChainError> {
    let tx = environment(transaction)?;
    let limit = tx.gas_limit;
    let mut recorder = Recorder::default();
    let context = context(store, chain_id, number, timestamp);
    let mut evm = context.build_mainnet_with_inspector(&mut recorder);
    let result = evm.inspect_tx(tx).map_err(refused)?.result;
    let gas = result.gas();
    let (gas_used, refund, floor) = (gas.tx_gas_used(), gas.inner_refunded(), gas.floor_gas());
    let (intrinsic, steps) = recorder.finish(limit, gas.total_gas_spent());
    Ok(Trace { gas_used, intrinsic, steps, refund, floor })
}

/// Block `number`, on the state after its parent.
fn context(
    store: &Store,
    chain_id: u64,
    number: u64,
    timestamp: u64,
) -> MainnetContext<WrapDatabaseRef<State<'_>>> {
    let state = State { store, number: number - 1 };
    Context::mainnet()
        .with_db(WrapDatabaseRef(state))
        .modify_cfg_chained(|cfg| {
            *cfg = std::mem::take(cfg)
                .with_spec_and_mainnet_gas_params(SpecId::OSAKA)
                .with_chain_id(chain_id);
        })
        .with_block(block(number, timestamp, BASE_FEE))
}

/// Runs a call on the state after block `state_of`, as if in block `number` at `timestamp`. The
/// sender pays no gas and needs no right number. Changes are dropped.
pub fn simulate(
    store: &Store,
    chain_id: u64,
    state_of: u64,
    (number, timestamp): (u64, u64),
    call: &Call,
    gas: u64,
) -> Result<ExecutionResult, MainChainError> {
    let tx = TxEnv {
        caller: call.from.unwrap_or_default(),
        gas_limit: gas,
        gas_price: 0,
        kind: call.to.map_or(TxKind::Create, TxKind::Call),
        value: call.value,
        data: call.input.clone(),
        chain_id: Some(chain_id),
        ..TxEnv::default()
    };
    let mut evm = Context::mainnet()
        .with_db(WrapDatabaseRef(State { store, number: state_of }))
        .modify_cfg_chained(|cfg| {
            *cfg = std::mem::take(cfg)
                .with_spec_and_mainnet_gas_params(SpecId::OSAKA)
                .with_chain_id(chain_id);
            cfg.disable_nonce_check = true;
            cfg.tx_gas_limit_cap = Some(BLOCK_GAS_MAX);
        })
        .with_block(block(number, timestamp, 0))
        .build_mainnet();
    Ok(evm.transact(tx).map_err(refused)?.result)
}

fn block(number: u64, timestamp: u64, base_fee: u64) -> BlockEnv {
    BlockEnv {
        number: U256::from(number),
        timestamp: U256::from(timestamp),
        gas_limit: BLOCK_GAS_MAX,
        basefee: base_fee,
        ..BlockEnv::default()
    }
}

fn environment(transaction: &Recovered<TxEnvelope>) -> Result<TxEnv, MainChainError> {
    let inner = transaction.inner();
    if inner.is_eip4844() {
        return Err(Refusal::UnsupportedType { kind: inner.ty() }.into());
    }
    Ok(TxEnv {
        tx_type: inner.ty(),
        caller: transaction.signer(),
        gas_limit: inner.gas_limit(),
        gas_price: inner.max_fee_per_gas(),
        gas_priority_fee: inner.max_priority_fee_per_gas(),
        kind: inner.kind(),
        value: inner.value(),
        data: inner.input().clone(),
        nonce: inner.nonce(),
        chain_id: inner.chain_id(),
        access_list: inner.access_list().cloned().unwrap_or_default(),
        authorization_list: inner
            .authorization_list()
            .unwrap_or_default()
            .iter()
            .cloned()
            .map(Either::Left)
            .collect(),
        ..TxEnv::default()
    })
}

fn refused(error: EVMError<StateError>) -> MainChainError {
    let invalid = match error {
        EVMError::Transaction(invalid) => invalid,
        other => return MainChainError::Store { reason: other.to_string() },
    };
    let detail = invalid.to_string();
    match invalid {
        InvalidTransaction::NonceTooLow { tx, state } => {
            Refusal::NonceTooLow { expected: Some(state), got: Some(tx) }
        }
        InvalidTransaction::NonceTooHigh { tx, state } => {
            Refusal::NonceTooHigh { expected: Some(state), got: Some(tx) }
        }
        InvalidTransaction::LackOfFundForMaxFee { .. }
        | InvalidTransaction::OverflowPaymentInTransaction => Refusal::InsufficientFunds,
        InvalidTransaction::GasPriceLessThanBasefee
        | InvalidTransaction::PriorityFeeGreaterThanMaxFee => Refusal::FeeTooLow { detail },
        InvalidTransaction::CallerGasLimitMoreThanBlock
        | InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
        | InvalidTransaction::GasFloorMoreThanGasLimit { .. }
        | InvalidTransaction::TxGasLimitGreaterThanCap { .. } => Refusal::GasLimit { detail },
        InvalidTransaction::InvalidChainId | InvalidTransaction::MissingChainId => {
            Refusal::WrongChain
        }
        _ => Refusal::Invalid { detail },
    }
    .into()
}

/// What the block writes, in order of addresses and slots.
fn changes(state: EvmState) -> Changes {
    let mut touched: Vec<_> =
        state.into_iter().filter(|(_, account)| account.is_touched()).collect();
    touched.sort_unstable_by_key(|(address, _)| *address);
    let mut changes = Changes::default();
    for (address, account) in touched {
        // Since Cancun only a contract created in the same transaction disappears: it has no slots
        // on disk. An empty account is the same as none.
        if account.is_selfdestructed() {
            let gone = AccountRecord { balance: U256::ZERO, nonce: 0, code_hash: KECCAK256_EMPTY };
            changes.accounts.push((address, gone));
            continue;
        }
        let record = AccountRecord {
            balance: account.info.balance,
            nonce: account.info.nonce,
            code_hash: account.info.code_hash,
        };
        if let Some(code) = account.info.code.as_ref().filter(|code| !code.is_empty()) {
            changes.codes.push((record.code_hash, code.original_bytes()));
        }
        changes.accounts.push((address, record));
        let mut slots: Vec<_> = account
            .storage
            .iter()
            .filter(|(_, slot)| slot.is_changed())
            .map(|(slot, value)| (address, *slot, value.present_value()))
            .collect();
        slots.sort_unstable();
        changes.slots.extend(slots);
    }
    changes
}

/// The returned data of a call that succeeded; a revert or a halt as an error.
pub fn output(result: ExecutionResult) -> Result<Bytes, MainChainError> {
    match result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(MainChainError::reverted(output)),
        ExecutionResult::Halt { reason, .. } => {
            Err(MainChainError::Halted { reason: reason.to_string() })
        }
    }
}
