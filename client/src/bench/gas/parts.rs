//! A post's transaction, taken apart: which part each instruction's gas belongs to.
//!
//! Parts are told by what the contract does, not by where in its code, so that they hold for any build of
//! it: calls of precompiles by their input, the evaluation of y between the last challenge's hash and the
//! reading of the key, the queue between the hash of the root and that of the domain. What
//! instructions cannot split is split by a rule, see [`Parts`].

use super::super::BenchError;
use alloy::primitives::Address;
use kerros_protocol::batch::BatchData;
use kerros_protocol::encoding::g1_to_be;
use kerros_protocol::verification_key::{IC_LEN, VerificationKey};
use kerros_sequencer::main_chain::embedded::{Operation, Trace};
use std::collections::BTreeSet;
use std::ops::Range;

/// Gas that every transaction pays.
const TRANSACTION_GAS: u64 = 21_000;
/// Gas of a calldata token (EIP-7623): a zero byte is one, any other four.
const TOKEN_GAS: u64 = 4;
/// Gas of a pair in a call of the pairing precompile (EIP-1108), beside 45,000 for the call.
const PAIR_GAS: u64 = 34_000;
/// Transfers that a turn of the contract's loop evaluates (`BatchData.sol`).
const TURN: usize = 4;
/// Bytes hashed for a root: three points and the ledger's size.
const ROOT_BYTES: usize = 3 * 64 + 1;
/// Bytes hashed for the domain: a label, chain id, contract.
const DOMAIN_BYTES: usize = 9 + 32 + 20;
/// Precompiles of BN254.
const ADD: Address = Address::with_last_byte(6);
const MUL: Address = Address::with_last_byte(7);
const PAIRING: Address = Address::with_last_byte(8);

/// What a post's gas went to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Reading the key, a multiplication and an addition for each point of IC, and of the one pairing call
    /// what Groth16 alone would need: the call and its pairs but one.
    pub groth16: u64,
    /// The other multiplications and additions, and the pair that KZG adds to the call.
    pub kzg: u64,
    /// The records as calldata, counts and padding included.
    pub calldata: u64,
    /// y, the powers for padding included.
    pub evaluation: u64,
    /// Copying the records to memory and hashing them.
    pub hashing: u64,
    /// What opens, exits and the queue's entries read, check and write.
    pub queue: u64,
    /// Storage and logs elsewhere: root, number, head and the batch's event.
    pub storage: u64,
    /// The transaction itself and all calldata but the records: commitments, openings, proof.
    pub transaction: u64,
    /// Everything else: transcript, arithmetic, checks of words, memory.
    pub rest: u64,
    /// What EIP-7623's floor takes beyond all this.
    pub floor_excess: u64,
}

impl Parts {
    /// With their names, in the order of the report.
    pub fn all(&self) -> [(&'static str, u64); 10] {
        [
            ("groth16", self.groth16),
            ("kzg", self.kzg),
            ("calldata", self.calldata),
            ("evaluation", self.evaluation),
            ("hashing", self.hashing),
            ("queue", self.queue),
            ("storage", self.storage),
            ("transaction", self.transaction),
            ("rest", self.rest),
            ("floor_excess", self.floor_excess),
        ]
    }
    /// All of it.
    pub fn total(&self) -> u64 {
        self.all().iter().map(|(_, gas)| gas).sum()
    }
    /// What grows with the records.
    pub fn data(&self) -> u64 {
        self.calldata + self.evaluation + self.hashing + self.floor_excess
    }
}

/// A post taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Add up to the receipt's gas.
    pub parts: Parts,
    /// What the transaction's input costs at least (EIP-7623).
    pub floor: u64,
    /// Transfers in it.
    pub transfers: usize,
    /// Bytes of all records, counts included.
    pub data_bytes: usize,
    /// Bytes of the transfers.
    pub transfers_bytes: usize,
    /// Gas of the transfers' bytes.
    pub transfers_calldata: u64,
    /// Gas of evaluating one more transfer.
    pub evaluation_per_transfer: f64,
    /// Multiplication and addition for one point of IC, on average.
    pub input_gas: u64,
}

impl Measured {
    /// Bytes of a transfer.
    pub fn transfer_bytes(&self) -> f64 {
        self.transfers_bytes as f64 / self.transfers.max(1) as f64
    }
    /// Whether the floor decides what is paid.
    pub fn floor_binds(&self) -> bool {
        self.parts.floor_excess > 0
    }
}

/// Where things are in a post, and the key it is checked against.
pub(super) struct Layout {
    data: Range<usize>,
    data_bytes: usize,
    transfers: Range<usize>,
    transfer_count: usize,
    ic: [[u8; 64]; IC_LEN],
}

impl Layout {
    /// Of this input. The contract insists on records at its end, padded to whole words.
    pub fn new(key: &VerificationKey, input: &[u8], data: &BatchData) -> Self {
        let data_bytes = data.encode().len();
        let start = input.len() - data_bytes.next_multiple_of(32);
        let before = BatchData {
            opens: data.opens.clone(),
            deposits: data.deposits.clone(),
            ..BatchData::default()
        };
        let with = BatchData { transfers: data.transfers.clone(), ..before.clone() };
        let at = |data: &BatchData| start + data.encode().len();
        Self {
            data: start..input.len(),
            data_bytes,
            transfers: at(&before)..at(&with),
            transfer_count: data.transfers.len(),
            ic: key.ic.each_ref().map(g1_to_be),
        }
    }
}

fn calldata(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| if *byte == 0 { TOKEN_GAS } else { 4 * TOKEN_GAS }).sum()
}

/// The stretches of a post that are told by where they begin and end.
struct Marks {
    queue: Range<usize>,
    copy: usize,
    data_hash: usize,
    evaluation: Range<usize>,
}

impl Marks {
    fn find(trace: &Trace, layout: &Layout) -> Result<Self, BenchError> {
        let steps = &trace.steps;
        let missing = |what| move || BenchError::Measure(what);
        let last = |until: usize, wanted: &dyn Fn(usize) -> bool| {
            steps[..until].iter().rposition(
                |step| matches!(step.operation, Operation::Hash { length } if wanted(length)),
            )
        };
        let whole = Operation::CopyInput { offset: layout.data.start, length: layout.data_bytes };
        let copy = steps.iter().position(|step| step.operation == whole);
        let copy = copy.ok_or_else(missing("the post does not copy its records"))?;
        let hashed = Operation::Hash { length: layout.data_bytes };
        let data_hash = steps[copy..].iter().position(|step| step.operation == hashed);
        let data_hash =
            copy + data_hash.ok_or_else(missing("the post does not hash its records"))?;
        let domain = last(copy, &|length| length == DOMAIN_BYTES);
        let domain = domain.ok_or_else(missing("the post does not hash its domain"))?;
        let root = last(domain, &|length| length == ROOT_BYTES);
        let root = root.ok_or_else(missing("the post does not hash its root"))?;
        let key = steps.iter().position(|step| step.operation == Operation::CopyCode);
        let key = key.ok_or_else(missing("the post does not read its key"))?;
        let challenge = last(key, &|_| true).filter(|challenge| *challenge > data_hash);
        let challenge = challenge.ok_or_else(missing("the post draws no challenge"))?;
        let marks =
            Self { queue: root + 1..domain, copy, data_hash, evaluation: challenge + 1..key };
        Ok(marks)
    }
}

/// What one more transfer costs to evaluate: gas between the first reads of two transfers that have the same
/// place in a turn of the loop, as far apart as there are. Every transfer must be read.
fn evaluation_per_transfer(
    trace: &Trace,
    layout: &Layout,
    evaluation: &Range<usize>,
) -> Result<f64, BenchError> {
    let steps = &trace.steps[evaluation.clone()];
    let (mut seen, mut first_reads) = (BTreeSet::new(), Vec::new());
    for (place, step) in steps.iter().enumerate() {
        if let Operation::LoadInput { offset } = step.operation
            && layout.transfers.contains(&offset)
            && seen.insert(offset)
        {
            first_reads.push(place);
        }
    }
    let count = first_reads.len();
    if count != layout.transfer_count {
        return Err(BenchError::Measure("the evaluation does not read every transfer"));
    }
    // Those that fill no turn are read before all others.
    let (first, last) = (count % TURN, count.saturating_sub(TURN));
    if first >= last {
        return Ok(0.0);
    }
    let between = &steps[first_reads[first]..first_reads[last]];
    let gas = between.iter().map(|step| step.gas).sum::<u64>();
    Ok(gas as f64 / (last - first) as f64)
}

/// Takes a post apart.
pub(super) fn measure(
    trace: &Trace,
    input: &[u8],
    layout: &Layout,
) -> Result<Measured, BenchError> {
    let marks = Marks::find(trace, layout)?;
    let mut parts = Parts {
        calldata: calldata(&input[layout.data.clone()]),
        transaction: TRANSACTION_GAS + calldata(&input[..layout.data.start]),
        ..Parts::default()
    };
    if trace.intrinsic != parts.calldata + parts.transaction {
        return Err(BenchError::Measure("calldata costs otherwise than assumed"));
    }
    let (mut of_groth16, mut inputs, mut inputs_gas) = (false, 0, 0);
    for (place, step) in trace.steps.iter().enumerate() {
        let part = match &step.operation {
            Operation::Call { to: MUL, input } => {
                of_groth16 = layout.ic.iter().any(|point| input.starts_with(point));
                inputs += usize::from(of_groth16);
                if of_groth16 { &mut parts.groth16 } else { &mut parts.kzg }
            }
            Operation::Call { to: ADD, .. } if of_groth16 => &mut parts.groth16,
            Operation::Call { to: ADD, .. } => &mut parts.kzg,
            Operation::Call { to: PAIRING, .. } => {
                parts.kzg += PAIR_GAS;
                parts.groth16 += step.gas.saturating_sub(PAIR_GAS);
                continue;
            }
            Operation::CopyCode => &mut parts.groth16,
            _ if marks.evaluation.contains(&place) => &mut parts.evaluation,
            _ if place == marks.copy || place == marks.data_hash => &mut parts.hashing,
            _ if marks.queue.contains(&place) => &mut parts.queue,
            Operation::Storage | Operation::Log => &mut parts.storage,
            _ => &mut parts.rest,
        };
        *part += step.gas;
        if of_groth16 && matches!(step.operation, Operation::Call { .. }) {
            inputs_gas += step.gas;
        }
    }
    if inputs != layout.ic.len() {
        return Err(BenchError::Measure("the post does not multiply every point of IC once"));
    }
    parts.storage = parts
        .storage
        .checked_sub(trace.refund)
        .ok_or(BenchError::Measure("more is refunded than storage costs"))?;
    parts.floor_excess = trace.gas_used.saturating_sub(parts.total());
    if parts.total() != trace.gas_used {
        return Err(BenchError::Measure("the parts do not add up to the receipt's gas"));
    }
    Ok(Measured {
        parts,
        floor: trace.floor,
        transfers: layout.transfer_count,
        data_bytes: layout.data_bytes,
        transfers_bytes: layout.transfers.len(),
        transfers_calldata: calldata(&input[layout.transfers.clone()]),
        evaluation_per_transfer: evaluation_per_transfer(trace, layout, &marks.evaluation)?,
        input_gas: inputs_gas / layout.ic.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerros_protocol::account::AccountIndex;
    use kerros_protocol::amount::Fee;
    use kerros_protocol::batch::{Shape, TransferRecord};
    use kerros_sequencer::main_chain::embedded::Step;
    use kerros_verifier::trapdoor;

    /// Words of a post before its records.
    const HEAD: usize = 1_284;

    fn data() -> BatchData {
        let [from, to] = [0x0001_0203, 0x0004_0506].map(|i| AccountIndex::new(i).unwrap());
        let transfer = TransferRecord { from, to, amount: 0x0102, fee: Fee::from_float(0x0103) };
        BatchData { transfers: vec![transfer; 9], ..BatchData::default() }
    }

    /// A post's input, its layout and a trace of it in which every step of a part costs the same.
    fn post() -> (Vec<u8>, Layout, Trace) {
        let data = data();
        let key = trapdoor::key(Shape::new([1, 1, 9, 1, 1]).unwrap(), 2, 2);
        let mut input = vec![1u8; HEAD];
        input.extend(data.encode());
        // Counts 10, transfers 162 bytes, all in six words.
        input.resize(HEAD + 192, 0);
        let at = |i: usize| Operation::LoadInput { offset: HEAD + 10 + 18 * i };
        let call = |to, input: &[u8]| Operation::Call { to, input: input.to_vec().into() };
        let mut steps = vec![
            (1_000, Operation::Hash { length: ROOT_BYTES }),
            (3, Operation::Storage),
            (4, at(0)),
            (1_000, Operation::Hash { length: DOMAIN_BYTES }),
            (50, Operation::CopyInput { offset: HEAD, length: 172 }),
            (1_000, Operation::Other),
            (60, Operation::Hash { length: 172 }),
            (1_000, Operation::Hash { length: 46 }),
            (7, Operation::Other),
            (10, at(8)),
        ];
        // Two turns, each of which reads its transfers twice.
        for turn in [4, 0] {
            steps.push((20, Operation::Other));
            steps.extend([0, 1, 2, 3, 0, 1, 2, 3].map(|i| (30, at(turn + i))));
        }
        steps.push((2_600, Operation::CopyCode));
        for point in key.ic.iter().map(g1_to_be) {
            steps.push((6_100, call(MUL, &[&point[..], &[1; 32]].concat())));
            steps.push((250, call(ADD, &[2; 128])));
        }
        steps.push((6_100, call(MUL, &[3; 96])));
        steps.push((250, call(ADD, &[2; 128])));
        steps.push((215_100, call(PAIRING, &[0; 960])));
        steps.push((2_900, Operation::Storage));
        steps.push((1_900, Operation::Log));
        let steps: Vec<Step> =
            steps.into_iter().map(|(gas, operation)| Step { gas, operation }).collect();
        let intrinsic = 21_000 + calldata(&input);
        let spent = intrinsic + steps.iter().map(|step| step.gas).sum::<u64>();
        let trace = Trace { gas_used: spent, intrinsic, steps, refund: 0, floor: 1 };
        let layout = Layout::new(&key, &input, &data);
        (input, layout, trace)
    }

    #[test]
    fn every_step_belongs_to_one_part_and_the_parts_add_up() {
        let (input, layout, trace) = post();
        let measured = measure(&trace, &input, &layout).unwrap();
        // In a record, 4 + 4 + 8 + 2 bytes, 8 are zero and 10 are not; of the counts only one is not.
        let transfers = 9 * (8 * 4 + 10 * 16);
        let expected = Parts {
            groth16: 2_600 + 10 * (6_100 + 250) + 181_100,
            kzg: 6_350 + 34_000,
            calldata: transfers + 29 * 4 + 16,
            evaluation: 7 + 10 + 2 * (20 + 8 * 30),
            hashing: 50 + 60,
            queue: 3 + 4,
            storage: 2_900 + 1_900,
            transaction: 21_000 + 16 * HEAD as u64,
            rest: 4_000,
            floor_excess: 0,
        };
        assert_eq!(measured.parts, expected);
        assert_eq!(measured.parts.total(), trace.gas_used);
        assert_eq!((measured.transfers_bytes, measured.data_bytes), (162, 172));
        assert_eq!((measured.transfers_calldata, measured.input_gas), (transfers, 6_350));
        assert_eq!(measured.evaluation_per_transfer, f64::from(20 + 8 * 30) / 4.0);

        let refunded = Trace { refund: 100, gas_used: trace.gas_used - 100, ..trace.clone() };
        let parts = measure(&refunded, &input, &layout).unwrap().parts;
        assert_eq!(parts, Parts { storage: expected.storage - 100, ..expected });
        let bound = Trace { gas_used: trace.gas_used + 5, ..trace };
        let bound = measure(&bound, &input, &layout).unwrap();
        assert!(bound.floor_binds());
        assert_eq!(bound.parts, Parts { floor_excess: 5, ..expected });
    }

    #[test]
    fn a_trace_of_something_else_is_refused() {
        let (input, layout, trace) = post();
        let refused = |change: &dyn Fn(&mut Trace)| {
            let mut other = trace.clone();
            change(&mut other);
            let Err(BenchError::Measure(why)) = measure(&other, &input, &layout) else {
                panic!("taken apart");
            };
            why
        };
        let without = |wanted: fn(&Operation) -> bool| {
            refused(&|trace| trace.steps.retain(|step| !wanted(&step.operation)))
        };
        let why = [
            without(|step| *step == Operation::CopyCode),
            without(|step| matches!(step, Operation::CopyInput { .. })),
            without(|step| *step == Operation::Hash { length: ROOT_BYTES }),
            without(|step| *step == Operation::Hash { length: DOMAIN_BYTES }),
            without(|step| *step == Operation::Hash { length: 46 }),
            without(|step| matches!(step, Operation::Call { to: MUL, .. })),
            without(|step| *step == Operation::LoadInput { offset: HEAD + 10 + 18 }),
            refused(&|trace| trace.intrinsic += 1),
            refused(&|trace| trace.gas_used -= 1),
            refused(&|trace| trace.refund = 1 << 40),
        ];
        let different: std::collections::BTreeSet<_> = why.iter().collect();
        assert_eq!(different.len(), why.len(), "{why:?}");
    }
}
