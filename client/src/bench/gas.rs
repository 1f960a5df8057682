//! What a batch costs on the main chain, part by part.
//!
//! For each size the contract is put on the embedded chain (the rules of Osaka), accounts are opened and
//! funded through its real queue, and a batch of so many transfers is posted. Its transaction is then run
//! again step by step: the parts are what its instructions cost and add up to the receipt's gas.
//!
//! Proofs are forged with a setup whose secrets are known (`kerros_verifier::trapdoor`). To the main chain they
//! are proofs like any others: gas does not depend on who made them, and no circuit has to be set up
//! for a large batch.

mod blob;
mod parts;
mod table;

pub use blob::Blob;
pub use parts::Parts;
pub use table::{json, text};

use super::records::Holders;
use super::rollup::{Posted, Rollup};
use super::{BenchError, busy};
use crate::progress::Bar;
use kerros_protocol::batch::Shape;
use kerros_sequencer::main_chain::embedded::Trace;
use parts::{Layout, Measured};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::path::PathBuf;
use std::sync::Arc;

/// What a batch may cost whatever its size, in gas.
pub const VERIFICATION_GAS_MAX: u64 = 480_000;
/// Calldata of a transfer, in bytes.
pub const TRANSFER_BYTES_MAX: f64 = 18.0;
/// What evaluating one more transfer may cost, in gas.
pub const EVALUATION_GAS_MAX: f64 = 100.0;

/// Accounts that pay each other, all opened and funded by the first batch.
const ACCOUNTS: u32 = 64;
/// The ledger has 2^20 places: indices are as long as those of a million accounts.
const K: u8 = 20;
/// Capacities of signed and forced exits and of collects; they are not used up.
const OTHERS: [u32; 2] = [4, 2];

/// Parameters of `kerros bench gas`.
#[derive(Debug, Clone)]
pub struct GasParameters {
    /// Where the chains are kept, one directory a size.
    pub dir: PathBuf,
    /// Transfers of a batch, one measurement each; 12 to 32,768.
    pub transfers: Vec<u32>,
}

/// What one batch cost.
#[derive(Debug, Clone)]
pub struct Row {
    /// Transfers in it.
    pub transfers: u32,
    /// What its transaction's gas went to.
    pub measured: Measured,
    /// What its transfers would cost in blobs.
    pub blob: Blob,
    /// The batch before it, which opened and funded the accounts.
    pub opening: Measured,
}

impl Row {
    /// What does not depend on the number of transfers.
    pub fn verification(&self) -> u64 {
        self.measured.parts.total() - self.measured.parts.data()
    }
    /// All gas by the number of transfers.
    pub fn per_transfer(&self) -> f64 {
        self.measured.parts.total() as f64 / f64::from(self.transfers)
    }
    /// Whether no target is missed.
    pub fn holds(&self) -> bool {
        self.verification() <= VERIFICATION_GAS_MAX
            && self.measured.transfer_bytes() <= TRANSFER_BYTES_MAX
            && self.measured.evaluation_per_transfer <= EVALUATION_GAS_MAX
    }
}

/// Measures every size in turn.
pub async fn gas(parameters: &GasParameters) -> Result<Vec<Row>, BenchError> {
    let mut rows = Vec::with_capacity(parameters.transfers.len());
    for (place, transfers) in parameters.transfers.iter().enumerate() {
        let bar = Bar::spinner(&format!("{transfers} transfers"));
        let dir = parameters.dir.join(format!("{place}-transfers-{transfers}"));
        let row = tokio::select! {
            row = measure(dir, *transfers, &bar) => row?,
            // Without signals nobody can interrupt.
            Ok(()) = tokio::signal::ctrl_c() => return Err(BenchError::Interrupted),
        };
        bar.done(&format!("{} gas", row.measured.parts.total()));
        rows.push(row);
    }
    Ok(rows)
}

async fn measure(dir: PathBuf, transfers: u32, bar: &Bar) -> Result<Row, BenchError> {
    let [exits, collects] = OTHERS;
    let shape = Shape::new([ACCOUNTS, ACCOUNTS, transfers, exits, collects])?;
    let mut rollup = Rollup::deploy(shape, [K, K + 1], dir).await?;
    let mut rng = StdRng::seed_from_u64(transfers.into());
    let holders = Holders::draw(ACCOUNTS, K, transfers, &mut rng)?;
    bar.say("deposits");
    rollup.deposit(&holders).await?;
    bar.say("posts");
    let opening = rollup.post(holders.opening()).await?;
    let opening = take_apart(&rollup, opening).await?;
    let payments = rollup.post(holders.payments(transfers, &mut rng)?).await?;
    let measured = take_apart(&rollup, payments).await?;
    Ok(Row { transfers, blob: Blob::of(&measured), measured, opening })
}

/// Runs a post's transaction again and tells what its gas went to.
async fn take_apart(rollup: &Rollup, posted: Posted) -> Result<Measured, BenchError> {
    let Posted { receipt, input, data } = posted;
    let (chain, transaction) = (Arc::clone(rollup.chain.chain()), receipt.transaction);
    let trace: Trace = busy(move || chain.trace(transaction))
        .await??
        .ok_or(BenchError::Bug("the post is in no block"))?;
    if trace.gas_used != receipt.gas_used {
        return Err(BenchError::Differs {
            what: "gas of a post run again",
            have: trace.gas_used.to_string(),
            need: receipt.gas_used.to_string(),
        });
    }
    parts::measure(&trace, &input, &Layout::new(&rollup.key, &input, &data))
}
