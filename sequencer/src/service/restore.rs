//! Before serving: is the contract ours, and what did the database hold when it was left?

use super::StartError;
use crate::config::Config;
use crate::execution::{Execution, Policy};
use crate::journal::{Head, Journal};
use crate::main_chain::At;
use crate::ordering::Clock;
use crate::settlement::contract::Contract;
use kerros_protocol::commitment::{Commitments, Srs};
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::contract::Kerros;
use std::sync::Arc;

/// Chain id and number of batches, after checking that the contract is the key's.
pub async fn check_contract(
    contract: &Contract,
    key: &VerificationKey,
) -> Result<(u64, u64), StartError> {
    let chain_id = contract.chain.chain_id().await?;
    if contract.chain.code(contract.address, At::Latest).await?.is_empty() {
        return Err(StartError::NoContract { address: contract.address.to_string() });
    }
    let vk_hash = contract.read(Kerros::vkHashCall {}, At::Latest).await?;
    let k_genesis = contract.read(Kerros::kGenesisCall {}, At::Latest).await?;
    let k_max = contract.read(Kerros::kMaxCall {}, At::Latest).await?;
    if vk_hash.as_slice() != key.hash() || (k_genesis, k_max) != (key.k_genesis, key.k_max()) {
        return Err(StartError::OtherKey);
    }
    Ok((chain_id, contract.batch_number().await?))
}

/// The state the database was left in.
pub struct Restored {
    /// Database.
    pub journal: Arc<Journal>,
    /// Ledger and open batch.
    pub execution: Execution,
    /// `[L_i(τ)]_1` of the open batch's size.
    pub lagrange: Vec<ark_bn254::G1Affine>,
}

/// Opens the database and brings back the state it was left in.
pub fn restore(
    config: &Config,
    key: &VerificationKey,
    srs: &Srs,
    domain: ark_bn254::Fr,
    clock: &Clock,
) -> Result<Restored, StartError> {
    let journal = Journal::open(&config.data_dir)?;
    let mut deployment = kerros_protocol::encoding::fr_to_be(&domain).to_vec();
    deployment.extend_from_slice(&key.hash());
    journal.bind(&deployment)?;
    let head = match journal.head()? {
        Some(head) => head,
        None => {
            let head = Head {
                number: 1,
                k: key.k_genesis,
                commitments: Commitments::empty(),
                before_growth: None,
                first: 0,
                opened_ms: clock(),
                grow_next: false,
            };
            journal.put_head(&head)?;
            head
        }
    };
    let shape = key.shape;
    let ordered = shape.transfers + shape.exits;
    let policy = Policy {
        shape,
        k_max: key.k_max(),
        transactions_max: config.batch_transactions_max.unwrap_or(ordered),
        fee_min: config.fee_min,
        fee_key: config.fee_key,
        fee_owner: config.fee_owner,
        grow_at_percent: config.grow_at_percent,
    };
    let lagrange = srs.lagrange(head.k)?;
    let (number, accounts) = (head.number, journal.accounts()?);
    let mut execution = Execution::new(policy, head, &accounts);
    execution.replay(journal.operations(number)?)?;
    tracing::info!(
        batch = number,
        operations = execution.operations(),
        accounts = execution.allocated(),
        "restored"
    );
    Ok(Restored { journal: Arc::new(journal), execution, lagrange })
}
