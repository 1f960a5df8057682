//! The whole service: starts everything, watches over it, stops it in order.
//!
//! Every task is supervised: one that ends before it was told to, with an error or not, ends the
//! service, and the handle says which one and why.

mod failure;
mod observe;
mod opening;
mod page;
mod rebuild;
mod receipt_key;
pub(crate) mod restore;
mod supervision;
mod tasks;

pub use failure::{SequencerError, StartError, TaskError};
pub use rebuild::{RestoreError, RestoreReport, Trust, restore_from_chain};

use crate::admission::{Admission, Pace, Repeats};
use crate::api::{
    BoundedIncoming, Deployment, LongCalls, ProverApi, SequencerApi, Services, bind, serve,
};
use crate::config::Config;
use crate::disk::Disk;
use crate::health::Thresholds;
use crate::jobs::Jobs;
use crate::lifecycle::Lifecycle;
use crate::limits::{COMMANDS_MAX, LONG_CALLS_MAX, PACE_MS_MAX, READS_MAX};
use crate::main_chain::MainChain;
use crate::ordering::{Clock, Ordering, Parts, ReceiptSigner, Shared};
use crate::proving::Proving;
use crate::sealing::{Sealing, sealer};
use crate::settlement::contract::Contract;
use crate::settlement::finality::Finality;
use crate::settlement::post::Poster;
use crate::settlement::queue::{Cursor, QueueFollower};
use crate::settlement::view::{Waits, Watched};
use crate::verification::{BatchVerifier, KeyVerifier};
use kerros_protocol::account::Address;
use kerros_protocol::commitment::Srs;
use kerros_protocol::test_chains::is_test_chain;
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;
use observe::{Health, Observer};
use receipt_key::receipt_key;
use restore::{Restored, State, check_contract, restore};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use supervision::{Tasks, told};
use tasks::{Settlement, Ticks, look_at_disk};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

const WEI_PER_GWEI: u128 = 1_000_000_000;

/// The sequencer as a library.
pub struct Sequencer;

/// A running sequencer.
pub struct SequencerHandle {
    /// Where wallets are served.
    pub address: SocketAddr,
    /// Where provers are served.
    pub prover_address: SocketAddr,
    /// Where `/metrics` and `/health/…` are served.
    pub metrics_address: Option<SocketAddr>,
    admission: Admission,
    shared: Shared,
    lifecycle: Arc<Lifecycle>,
    stop: watch::Sender<bool>,
    supervisor: JoinHandle<Result<(), SequencerError>>,
}

impl SequencerHandle {
    /// Seals the open batch; gives its number, 0 if it is empty.
    pub async fn seal(&self) -> Option<u64> {
        self.admission.seal().await.ok()
    }
    /// Doubles the ledger with the next batch; gives the k it will have.
    pub async fn grow(&self) -> Option<u8> {
        self.admission.grow().await.ok()
    }
    /// The executed state.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
    /// States of batches.
    pub fn lifecycle(&self) -> &Arc<Lifecycle> {
        &self.lifecycle
    }
    /// Resolves when the service has ended, with the reason if nobody asked for it.
    pub async fn wait(&mut self) -> Result<(), SequencerError> {
        let panicked = |_| SequencerError { task: "supervisor", source: TaskError::Panicked };
        (&mut self.supervisor).await.map_err(panicked)?
    }
    /// Stops: no new calls, open ones are answered, the writer finishes, everything is on disk.
    pub async fn shutdown(mut self) -> Result<(), SequencerError> {
        // Nobody listens any more if it has ended already.
        let _ = self.stop.send(true);
        self.wait().await
    }
}

/// The system's clock in Unix milliseconds.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Checkers pause the longer, the more batches wait beyond `slow` for their proof or their post.
fn pace(lifecycle: Arc<Lifecycle>, slow: usize) -> Pace {
    Arc::new(move || {
        let beyond = lifecycle.unsettled().saturating_sub(slow);
        u64::try_from(beyond).unwrap_or(u64::MAX).min(PACE_MS_MAX)
    })
}

/// Settings, key and reference string by themselves.
fn check_files(config: &Config, key: &VerificationKey, srs: &Srs) -> Result<(), StartError> {
    config.check(key.shape.transfers + key.shape.exits)?;
    if key.development && !config.allow_development {
        return Err(StartError::Development { what: "the verification key" });
    }
    if srs.header.development && !config.allow_development {
        return Err(StartError::Development { what: "the reference string" });
    }
    if srs.header.tau_powers != key.tau_powers || srs.header.k_genesis != key.k_genesis {
        return Err(StartError::OtherSetup);
    }
    Ok(())
}

/// A key with known secrets is for test chains only, whatever else is allowed.
fn check_chain(config: &Config, key: &VerificationKey, chain_id: u64) -> Result<(), StartError> {
    if key.development && !is_test_chain(chain_id, &config.test_chains) {
        return Err(StartError::DevelopmentOnChain { chain_id });
    }
    Ok(())
}

impl Sequencer {
    /// Starts a sequencer; it serves and settles until the handle is shut down.
    pub async fn start(
        config: Config,
        main_chain: Arc<dyn MainChain>,
        key: VerificationKey,
        srs: Srs,
    ) -> Result<SequencerHandle, StartError> {
        let verifier = Arc::new(KeyVerifier(key.clone()));
        Self::start_with(config, main_chain, key, srs, verifier, system_clock()).await
    }

    /// [`Sequencer::start`] with another check of proofs and another clock: for tests.
    pub async fn start_with(
        config: Config,
        main_chain: Arc<dyn MainChain>,
        key: VerificationKey,
        srs: Srs,
        verifier: Arc<dyn BatchVerifier>,
        clock: Clock,
    ) -> Result<SequencerHandle, StartError> {
        crate::metrics::recorder();
        let shape = key.shape;
        check_files(&config, &key, &srs)?;
        let address = alloy::primitives::Address::from(config.contract.0);
        let contract = Contract { chain: main_chain, address };
        let (chain_id, have) = check_contract(&contract, &key).await?;
        check_chain(&config, &key, chain_id)?;
        let domain = transcript::domain(chain_id, &config.contract);
        crate::metrics::started(chain_id, address.to_string(), shape.to_string(), clock());

        let (open_config, open_key) = (config.clone(), key.clone());
        let (open_srs, open_clock) = (srs.clone(), Arc::clone(&clock));
        let opened = tokio::task::spawn_blocking(move || {
            restore(&open_config, &open_key, &open_srs, domain, &open_clock)
        });
        let Restored { journal, watermark, state } =
            opened.await.map_err(|_| StartError::Cancelled)??;
        let State { execution, book, lifecycle } = state;
        let ours = lifecycle.open() - 1;
        if have > ours {
            return Err(StartError::Behind { have, ours });
        }
        let disk = Disk::new(config.data_dir.clone(), config.disk_reserve_bytes);
        let signer =
            ReceiptSigner { key: receipt_key(&config)?, domain, promise_ms: config.promise_ms };
        let shared = Shared::new(execution);
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let pace = pace(Arc::clone(&lifecycle), config.unsettled_slow);
        let (threads, repeats) = (config.admission_threads, Arc::<Repeats>::default());
        let (admission, checkers) =
            Admission::new(domain, threads, Arc::clone(&repeats), commands.clone(), &pace);
        let proving = Arc::new(Proving::new(
            Jobs::new(config.lease_ms, config.quarantine_after),
            Arc::clone(&lifecycle),
            Arc::clone(&journal),
            key.clone(),
            domain,
            Arc::clone(&verifier),
            Arc::clone(&clock),
        )?);
        let (halted, waits) = (Arc::new(Mutex::new(None)), Arc::<Waits>::default());
        let written = Arc::new(watch::Sender::new(0));
        let sequencer_api = SequencerApi {
            deployment: Arc::new(Deployment {
                chain_id,
                contract: config.contract,
                domain,
                key: key.clone(),
                beneficiary: config.beneficiary,
                receipt_signer: Address(signer.key.address().into_array()),
                promise_ms: config.promise_ms,
            }),
            admission: admission.clone(),
            shared: shared.clone(),
            lifecycle: Arc::clone(&lifecycle),
            journal: Arc::clone(&journal),
            halted: Arc::clone(&halted),
            written: Arc::clone(&written),
            pace: Arc::clone(&pace),
            disk: disk.clone(),
            operator_calls: config.operator_calls,
            long_calls: LongCalls::default(),
            reads: Arc::new(Semaphore::new(READS_MAX)),
        };
        let prover_api = ProverApi {
            proving: Arc::clone(&proving),
            lifecycle: Arc::clone(&lifecycle),
            journal: Arc::clone(&journal),
            heartbeat_ms: u32::try_from(config.lease_ms / 4).unwrap_or(u32::MAX),
            seats: Arc::new(Semaphore::new(LONG_CALLS_MAX)),
        };

        let incoming = bind(config.listen, admission.hall().clone()).await?;
        let address = incoming.address();
        let mut servers: Vec<(&'static str, BoundedIncoming, Services)> = Vec::new();
        let mut services = Services { sequencer: Some(sequencer_api), prover: None };
        let mut prover_address = address;
        if let Some(listen) = config.prover_listen {
            let incoming = bind(listen, admission.hall().clone()).await?;
            prover_address = incoming.address();
            let services = Services { sequencer: None, prover: Some(prover_api) };
            servers.push(("prover api", incoming, services));
        } else {
            if !address.ip().is_loopback() {
                tracing::warn!(
                    %address,
                    "PROVERS ARE SERVED WHERE WALLETS ARE: anybody can take their leases; give them an \
                     address of their own (--prover-listen)"
                );
            }
            services.prover = Some(prover_api);
        }
        servers.push(("sequencer api", incoming, services));
        let mut metrics_listener = None;
        if let Some(listen) = config.metrics_listen {
            let listener = TcpListener::bind(listen).await.map_err(StartError::Metrics)?;
            metrics_listener = Some(listener);
        }
        let metrics_address =
            metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok());

        let next = shared.read().await.queue_next();
        let follower = QueueFollower {
            contract: contract.clone(),
            shared: shared.clone(),
            commands: commands.clone(),
            journal: Arc::clone(&journal),
            confirmations: config.confirmations,
            poll_ms: config.poll_ms,
            cursor: Cursor::new(&journal, next)?,
        };
        follower.begin().await?;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Tasks::default();
        let health = Arc::new(Health::new(Vec::new()));
        for (name, incoming, services) in servers {
            let (health, stopped) = (health.subscribe(), told(stopped.clone()));
            tasks
                .server(name, async move { Ok(serve(incoming, services, health, stopped).await?) });
        }
        // Of no runtime yet: it will be the observer's.
        let pages = metrics_listener.map(TcpListener::into_std).transpose();
        let pages = pages.map_err(StartError::Metrics)?;
        let observer = Observer {
            thresholds: Thresholds { stall_ms: config.stall_ms, progress_ms: config.progress_ms },
            health,
            commands: commands.clone(),
            admission: admission.clone(),
            pace,
            shared: shared.clone(),
            lifecycle: Arc::clone(&lifecycle),
            proving: Arc::clone(&proving),
            halted: Arc::clone(&halted),
            waits: Arc::clone(&waits),
            disk: disk.clone(),
            clock: Arc::clone(&clock),
        };
        tasks.thread("observer", move || observer.run_apart(pages));
        let ticks = Ticks { commands: commands.clone(), proving, journal: Arc::clone(&journal) };
        tasks.background("ticks", ticks.run());
        tasks.background("disk", look_at_disk(disk.clone()));
        tasks.background("queue", async move { Ok(follower.run().await?) });
        let settlement = Settlement {
            poster: config.wallet.clone().map(|wallet| Poster {
                watched: Watched {
                    contract: contract.clone(),
                    chain_id,
                    confirmations: config.confirmations,
                    head_age_ms_max: config.head_age_ms_max,
                    clock: Arc::clone(&clock),
                    highest: 0,
                    waits: Arc::clone(&waits),
                },
                wallet,
                lifecycle: Arc::clone(&lifecycle),
                journal: Arc::clone(&journal),
                key,
                clock: Arc::clone(&clock),
                bump_ms: config.post_bump_ms,
                fee_max: u128::from(config.post_fee_max_gwei) * WEI_PER_GWEI,
                resent: None,
                doubted: 0,
                contradicted: None,
            }),
            finality: Finality {
                contract,
                lifecycle: Arc::clone(&lifecycle),
                journal: Arc::clone(&journal),
                confirmations: config.confirmations,
                clock: Arc::clone(&clock),
            },
            halted,
            poll_ms: config.poll_ms,
            balance: None,
        };
        tasks.background("settlement", settlement.run());
        let sealing = Sealing {
            journal: Arc::clone(&journal),
            lifecycle: Arc::clone(&lifecycle),
            beneficiary: config.beneficiary,
            shape,
        };
        let (sealer_handle, sealer) = sealer(sealing, book);
        let parts = Parts {
            shared: shared.clone(),
            journal,
            lifecycle: Arc::clone(&lifecycle),
            sealer: sealer_handle,
            srs,
            verifier,
            signer,
            repeats,
            written,
            disk,
            batch_age_ms_max: config.batch_age_ms_max,
            clock,
        };
        let ordering = Ordering::new(parts, watermark)?;
        tasks.thread("writer", move || Ok(ordering.run(inbox)?));
        tasks.thread("sealer", move || Ok(sealer.run()?));
        for checker in checkers {
            tasks.thread("checker", move || {
                checker.run();
                Ok(())
            });
        }
        let closing = admission.clone();
        let supervisor =
            tokio::spawn(tasks.supervise(stopped, closing, commands, Arc::clone(&lifecycle)));
        tracing::info!(batch = lifecycle.open(), "Open");
        tracing::info!(%address, %prover_address, "serving");
        Ok(SequencerHandle {
            address,
            prover_address,
            metrics_address,
            admission,
            shared,
            lifecycle,
            stop,
            supervisor,
        })
    }
}
