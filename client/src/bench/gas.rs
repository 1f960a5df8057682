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
mod records;
mod table;

pub use blob::Blob;
pub use parts::Parts;
pub use table::{json, text};

use super::{BenchError, busy};
use crate::contract::{Contract, took_effect};
use crate::devnet::{ADMIN, OPERATOR, World};
use crate::progress::Bar;
use alloy::primitives::{Address as ChainAddress, U256};
use ark_bn254::Fr;
use kerros_protocol::account::Address;
use kerros_protocol::batch::{BatchData, SealedBatch, Shape};
use kerros_protocol::commitment::Commitments;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript;
use kerros_protocol::transition::replay;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::embedded::{Trace, development_wallet};
use kerros_sequencer::main_chain::{Embedded, Genesis, MainChain, Wallet, submit};
use kerros_sequencer::settlement::contract::post_call;
use kerros_verifier::trapdoor;
use parts::{Layout, Measured};
use rand::SeedableRng;
use rand::rngs::StdRng;
use records::Holders;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

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
    std::fs::create_dir_all(&dir).map_err(super::io_at(dir.display()))?;
    let mut rollup = Rollup::deploy(shape, dir).await?;
    let mut rng = StdRng::seed_from_u64(transfers.into());
    let holders = Holders::draw(ACCOUNTS, K, transfers, &mut rng)?;
    bar.say("deposits");
    rollup.deposit(&holders).await?;
    bar.say("posts");
    let opening = rollup.post(holders.opening()).await?;
    let batch = holders.payments(transfers, &mut rng)?;
    let measured = rollup.post(batch).await?;
    Ok(Row { transfers, blob: Blob::of(&measured), measured, opening })
}

/// A contract with the ledger that its posts make.
struct Rollup {
    chain: Embedded,
    contract: Contract,
    world: World,
    key: VerificationKey,
    domain: Fr,
    ledger: Ledger,
    commitments: Commitments,
    number: u64,
    first: u64,
}

impl Rollup {
    async fn deploy(shape: Shape, dir: PathBuf) -> Result<Self, BenchError> {
        let key = busy(move || trapdoor::key(shape, K, K + 1)).await?;
        let clock = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(0, |since| since.as_secs())
        };
        let genesis = Genesis::development(ADMIN + 1);
        let chain = Embedded::open(&dir.join("chain"), &genesis, Arc::new(clock))?;
        let shared: Arc<dyn MainChain> = Arc::new(chain.clone());
        let world = World::ensure(&dir, Arc::clone(&shared), &key).await?;
        let contract = Contract::new(shared, world.contract);
        let domain = transcript::domain(world.chain_id, &world.contract);
        Ok(Self {
            chain,
            contract,
            world,
            key,
            domain,
            ledger: Ledger::new(K),
            commitments: Commitments::empty(),
            number: 1,
            first: 0,
        })
    }

    /// Queues what the opening batch serves, in its order.
    async fn deposit(&self, holders: &Holders) -> Result<(), BenchError> {
        let wallet = Wallet::new(development_wallet(OPERATOR));
        let asset = self.world.assets.first().ok_or(BenchError::Bug("no asset"))?.asset;
        let units = holders.deposits().map(|record| U256::from(record.amount)).sum::<U256>();
        let base_units = units * asset.base_units(1);
        let minter = Address(wallet.address().into_array());
        self.contract.mint(&wallet, asset.token, minter, base_units).await?;
        self.contract.approve(&wallet, asset.token, base_units).await?;
        for record in holders.deposits() {
            let (amount, key, owner) = (record.amount, record.key, record.owner);
            self.contract.deposit(&wallet, &asset, amount, key, owner).await?;
        }
        Ok(())
    }

    /// Posts a batch of these records and takes its transaction apart.
    async fn post(&mut self, data: BatchData) -> Result<Measured, BenchError> {
        replay(&mut self.ledger, &data).map_err(|_| BenchError::Bug("the records are wrong"))?;
        let ledger = std::mem::replace(&mut self.ledger, Ledger::new(K));
        let (ledger, new) = busy(move || {
            let new = trapdoor::commit(&ledger);
            (ledger, new)
        })
        .await?;
        self.ledger = ledger;
        let new = new?;
        let operator = Wallet::new(development_wallet(OPERATOR));
        let batch = SealedBatch {
            number: self.number,
            k: K,
            before_growth: None,
            old: self.commitments,
            new,
            first: self.first,
            end: self.first + data.queue_entries(),
            beneficiary: Address(operator.address().into_array()),
            data,
            transfers: Vec::new(),
            exits: Vec::new(),
        };
        let proof = trapdoor::prove(&self.key, self.domain, &batch)?;
        let input = post_call(&batch, &proof);
        let to = Some(ChainAddress::from(self.world.contract.0));
        let sent = input.clone().into();
        let receipt = submit(&self.chain, &operator, to, U256::ZERO, sent).await?;
        let receipt = took_effect(receipt)?;
        let transaction = receipt.transaction;
        let chain = Arc::clone(self.chain.chain());
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
        let layout = Layout::new(&self.key, &input, &batch.data);
        let measured = parts::measure(&trace, &input, &layout)?;
        (self.commitments, self.number, self.first) = (new, self.number + 1, batch.end);
        Ok(measured)
    }
}
