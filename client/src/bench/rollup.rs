//! The contract on an embedded chain of its own, and posts that it accepts although nothing was proved:
//! their proofs are forged with a setup whose secrets are known (`kerros_verifier::trapdoor`). Everything
//! else is real: queue, deposits, records, roots.

use super::records::Holders;
use super::{BenchError, busy, io_at};
use crate::contract::{Contract, took_effect};
use crate::devnet::{ADMIN, OPERATOR, World};
use alloy::primitives::{Address as ChainAddress, U256};
use ark_bn254::Fr;
use kerros_protocol::account::Address;
use kerros_protocol::batch::{BatchData, SealedBatch, Shape};
use kerros_protocol::commitment::{Commitments, Root};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript;
use kerros_protocol::transition::replay;
use kerros_protocol::verification_key::VerificationKey;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Embedded, Genesis, MainChain, Receipt, Wallet, submit};
use kerros_sequencer::settlement::contract::post_call;
use kerros_verifier::trapdoor;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A contract with the ledger that its posts make.
pub(super) struct Rollup {
    /// The chain.
    pub chain: Embedded,
    /// Contract and tokens.
    pub world: World,
    /// Of the contract.
    pub key: VerificationKey,
    contract: Contract,
    domain: Fr,
    ledger: Ledger,
    commitments: Commitments,
    number: u64,
    first: u64,
}

/// A batch on the main chain.
pub(super) struct Posted {
    /// Of its transaction.
    pub receipt: Receipt,
    /// Calldata.
    pub input: Vec<u8>,
    /// Records.
    pub data: BatchData,
}

impl Rollup {
    /// Deploys for batches of this shape and ledgers of 2^k places, from the first k to the last.
    pub async fn deploy(shape: Shape, k: [u8; 2], dir: PathBuf) -> Result<Self, BenchError> {
        std::fs::create_dir_all(&dir).map_err(io_at(dir.display()))?;
        let [k_genesis, k_max] = k;
        let key = busy(move || trapdoor::key(shape, k_genesis, k_max)).await?;
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
            world,
            key,
            contract,
            domain,
            ledger: Ledger::new(k_genesis),
            commitments: Commitments::empty(),
            number: 1,
            first: 0,
        })
    }

    /// Of the ledger after the last post.
    pub fn root(&self) -> Root {
        self.commitments.root(self.ledger.k())
    }

    /// Queues what the opening batch serves, in its order.
    pub async fn deposit(&self, holders: &Holders) -> Result<(), BenchError> {
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

    /// Posts a batch of these records.
    pub async fn post(&mut self, data: BatchData) -> Result<Posted, BenchError> {
        replay(&mut self.ledger, &data).map_err(|_| BenchError::Bug("the records are wrong"))?;
        let k = self.ledger.k();
        let ledger = std::mem::replace(&mut self.ledger, Ledger::new(k));
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
            k,
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
        (self.commitments, self.number, self.first) = (new, self.number + 1, batch.end);
        Ok(Posted { receipt, input, data: batch.data })
    }
}
