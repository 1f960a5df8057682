//! What a mined transaction spent its gas on, step by step. The state before every block is kept, so
//! that any transaction can be run again and watched. Knows no contract: a step says what it did as
//! far as somebody may want to tell steps apart.

use alloy::primitives::{Address, Bytes, U256};
use revm::Inspector;
use revm::bytecode::opcode;
use revm::context_interface::ContextTr;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::Jumps;
use revm::interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter};

/// A transaction's gas: `gas_used` is the greater of `floor` and what was spent less `refund`;
/// `intrinsic` and all steps together are what was spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// As the receipt says.
    pub gas_used: u64,
    /// Taken before the first step: the transaction itself and its input.
    pub intrinsic: u64,
    /// Instructions of the called contract, in order.
    pub steps: Vec<Step>,
    /// Given back in the end.
    pub refund: u64,
    /// What the input costs at least (EIP-7623).
    pub floor: u64,
}

/// One instruction of the called contract. What contracts and precompiles that it calls spend is the
/// call's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Gas, memory growth included.
    pub gas: u64,
    /// What it did.
    pub operation: Operation,
}

/// What an instruction did. Numbers beyond memory's bounds saturate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read 32 bytes of the input.
    LoadInput {
        /// Place of the first.
        offset: usize,
    },
    /// Copied a part of the input to memory.
    CopyInput {
        /// Place of its first byte.
        offset: usize,
        /// Bytes.
        length: usize,
    },
    /// Hashed memory.
    Hash {
        /// Bytes.
        length: usize,
    },
    /// Copied another contract's code.
    CopyCode,
    /// Read or wrote storage, permanent or transient.
    Storage,
    /// Emitted a log.
    Log,
    /// Called a contract or a precompile.
    Call {
        /// Whose code ran.
        to: Address,
        /// The call's input.
        input: Bytes,
    },
    /// Anything else.
    Other,
}

/// Watches a transaction: gas left before each step of the outermost frame.
#[derive(Default)]
pub(super) struct Recorder {
    depth: usize,
    steps: Vec<(u64, Operation)>,
}

impl Recorder {
    /// Ends the recording. `limit` is the transaction's gas limit, `spent` what it spent of it.
    pub(super) fn finish(self, limit: u64, spent: u64) -> (u64, Vec<Step>) {
        let left = limit.saturating_sub(spent);
        let first = self.steps.first().map_or(left, |(gas, _)| *gas);
        let after: Vec<u64> =
            self.steps.iter().skip(1).map(|(gas, _)| *gas).chain([left]).collect();
        let steps = self.steps.into_iter().zip(after);
        let steps =
            steps.map(|((before, operation), after)| Step { gas: before - after, operation });
        (limit.saturating_sub(first), steps.collect())
    }
}

/// What an instruction is about to do; operands from the top of the stack.
fn operation(interpreter: &Interpreter<EthInterpreter>) -> Operation {
    let operand = |place: usize| {
        // A step that lacks an operand fails, whatever is said about it.
        interpreter.stack.peek(place).unwrap_or(U256::ZERO).saturating_to::<usize>()
    };
    match interpreter.bytecode.opcode() {
        opcode::CALLDATALOAD => Operation::LoadInput { offset: operand(0) },
        opcode::CALLDATACOPY => Operation::CopyInput { offset: operand(1), length: operand(2) },
        opcode::KECCAK256 => Operation::Hash { length: operand(1) },
        opcode::EXTCODECOPY => Operation::CopyCode,
        opcode::SLOAD | opcode::SSTORE | opcode::TLOAD | opcode::TSTORE => Operation::Storage,
        opcode::LOG0..=opcode::LOG4 => Operation::Log,
        _ => Operation::Other,
    }
}

impl<C: ContextTr> Inspector<C, EthInterpreter> for Recorder {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut C) {
        if self.depth == 1 {
            self.steps.push((interpreter.gas.remaining(), operation(interpreter)));
        }
    }
    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        if self.depth == 1
            && let Some((_, operation)) = self.steps.last_mut()
        {
            let (to, input) = (inputs.bytecode_address, inputs.input.bytes(context));
            *operation = Operation::Call { to, input };
        }
        self.depth += 1;
        None
    }
    fn call_end(&mut self, _: &mut C, _: &CallInputs, _: &mut CallOutcome) {
        self.depth -= 1;
    }
    fn create(&mut self, _: &mut C, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.depth += 1;
        None
    }
    fn create_end(&mut self, _: &mut C, _: &CreateInputs, _: &mut CreateOutcome) {
        self.depth -= 1;
    }
}
