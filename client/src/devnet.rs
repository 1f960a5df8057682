//! The whole stack in one process: embedded main chain with a JSON-RPC port, contract and two test
//! tokens, sequencer, provers that speak to it over gRPC like any others.
//!
//! Everything lives in one directory; starting again there resumes. The keys of operator, admin
//! and test wallets can be computed by anybody: for development only.

mod chain;
mod people;
mod world;

pub(crate) use chain::ServedChain;
pub(crate) use people::operator as person_operator;
pub use people::{ADMIN, OPERATOR, PERSONS_MAX, Person, person};
pub use world::{TOKENS, TestAsset, TestToken, World};

use crate::contract::{Contract, ContractError};
use crate::keys::KeysError;
use crate::sequencer::{SequencerClient, SequencerError};
use crate::wallet::WalletError;
use kerros_circuits::setup::{SetupError, SetupFiles, read_verification_key};
use kerros_protocol::account::Address;
use kerros_protocol::commitment::{Srs, SrsError};
use kerros_protocol::verification_key::VerificationKey;
use kerros_prover::keys::ProverKeys;
use kerros_prover::worker::{Status, Worker, WorkerConfig, WorkerError, WorkerHandle};
use kerros_sequencer::config::Config;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Ethereum, MainChain, MainChainError, Wallet};
use kerros_sequencer::{Sequencer, SequencerHandle};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;

/// Pause between the sequencer's looks at the main chain, in milliseconds.
const POLL_MS: u64 = 200;

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct DevnetConfig {
    /// Everything on disk.
    pub dir: PathBuf,
    /// Directory with `srs.bin`, `verification.key` and `proving.key`.
    pub keys: PathBuf,
    /// The sequencer's gRPC; port 0 takes any.
    pub grpc: SocketAddr,
    /// The main chain's JSON-RPC; port 0 takes any.
    pub rpc: SocketAddr,
    /// Prometheus metrics of all services; none if absent.
    pub metrics: Option<SocketAddr>,
    /// Prover services.
    pub provers: u16,
    /// Age at which a batch that is not empty is sealed, in milliseconds.
    pub batch_age_ms_max: u64,
    /// Least fee of a transaction, in asset units.
    pub fee_min: u64,
}

/// Why the stack did not start or stop.
#[derive(Debug, Error)]
pub enum DevnetError {
    /// A file or a port.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// `devnet.json` is damaged or belongs to another chain or key.
    #[error("devnet directory: {0}")]
    Directory(&'static str),
    /// Keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Key files.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Reference string.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// Main chain.
    #[error(transparent)]
    Chain(#[from] MainChainError),
    /// Contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// Wallet files.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// Sequencer.
    #[error("sequencer: {0}")]
    Sequencer(String),
    /// Sequencer over gRPC.
    #[error(transparent)]
    Client(#[from] SequencerError),
    /// Prover.
    #[error("prover: {0}")]
    Worker(#[from] WorkerError),
}

/// The running stack.
pub struct Devnet {
    /// Endpoint for wallets and provers.
    pub sequencer_url: String,
    /// Endpoint of the main chain.
    pub rpc_url: String,
    /// Contract, tokens, assets.
    pub world: World,
    sequencer: SequencerHandle,
    provers: Vec<WorkerHandle>,
    chain: ServedChain,
}

pub(crate) fn io_at(what: impl ToString) -> impl FnOnce(io::Error) -> DevnetError {
    move |source| DevnetError::Io { what: what.to_string(), source }
}

impl Devnet {
    /// Starts everything, or resumes what the directory holds. `progress` is told each stage.
    pub async fn start(
        config: &DevnetConfig,
        progress: &dyn Fn(&str),
    ) -> Result<Self, DevnetError> {
        progress("loading keys");
        let files = SetupFiles::in_dir(&config.keys);
        let key = read_verification_key(&files.verification_key)?;
        let srs = Srs::open(&files.srs)?;
        let keys_dir = config.keys.clone();
        let engine = tokio::task::spawn_blocking(move || ProverKeys::load(&keys_dir)).await;
        let engine = engine.map_err(|_| DevnetError::Directory("loading keys panicked"))??;
        let engine = Arc::new(engine);

        progress("main chain");
        std::fs::create_dir_all(&config.dir).map_err(io_at(config.dir.display()))?;
        let served = ServedChain::start(&config.dir.join("chain"), config.rpc).await?;
        let (rpc_url, chain) = (served.url.clone(), Arc::clone(&served.chain));

        progress("contract and tokens");
        let world = World::ensure(&config.dir, Arc::clone(&chain), &key).await?;

        progress("sequencer");
        let sequencer = start_sequencer(config, &world, chain, key, srs.clone()).await?;
        let sequencer_url = format!("http://{}", sequencer.address);

        progress("provers");
        let mut provers = Vec::new();
        for number in 1..=config.provers {
            let prover_id = format!("devnet-{number}");
            let worker = WorkerConfig { sequencer_url: sequencer_url.clone(), prover_id };
            provers.push(Worker::start(worker, engine.clone(), srs.clone()).await?);
        }
        Ok(Self { sequencer_url, rpc_url, world, sequencer, provers, chain: served })
    }

    /// A client of the sequencer.
    pub fn sequencer(&self) -> Result<SequencerClient, DevnetError> {
        Ok(SequencerClient::new(&self.sequencer_url)?)
    }
    /// The contract, seen through the JSON-RPC port as from another machine.
    pub fn contract(&self) -> Result<Contract, DevnetError> {
        let chain = Arc::new(Ethereum::connect(&self.rpc_url)?);
        Ok(Contract::new(chain, self.world.contract))
    }
    /// What each prover is doing.
    pub fn provers(&self) -> Vec<watch::Receiver<Status>> {
        self.provers.iter().map(WorkerHandle::status).collect()
    }
    /// Stops provers, sequencer and main chain, in this order, and waits for them.
    pub async fn shutdown(self) -> Result<(), DevnetError> {
        for prover in self.provers {
            prover.shutdown().await?;
        }
        let stopped = self.sequencer.shutdown().await;
        stopped.map_err(|error| DevnetError::Sequencer(error.to_string()))?;
        self.chain.shutdown().await
    }
}

async fn start_sequencer(
    config: &DevnetConfig,
    world: &World,
    chain: Arc<dyn MainChain>,
    key: VerificationKey,
    srs: Srs,
) -> Result<SequencerHandle, DevnetError> {
    let operator = development_wallet(OPERATOR);
    let owner = Address(operator.address().into_array());
    let fee_key = people::operator()?.account_key();
    let data_dir = config.dir.join("sequencer");
    let mut settings = Config::new(data_dir, world.contract, fee_key, owner);
    settings.listen = config.grpc;
    settings.metrics_listen = config.metrics;
    settings.wallet = Some(Wallet::new(operator));
    settings.fee_min = config.fee_min;
    settings.batch_age_ms_max = config.batch_age_ms_max;
    settings.poll_ms = POLL_MS;
    settings.operator_calls = true;
    settings.allow_development = true;
    let started = Sequencer::start(settings, chain, key, srs).await;
    started.map_err(|error| DevnetError::Sequencer(error.to_string()))
}
