//! What a proof costs: by our prover and by arkworks' own, alternately on the same batch, key and
//! constraints; and what its openings cost by the size of the ledger.

mod figure;
mod openings;
mod table;

pub use figure::figure;
pub use openings::OpeningsRow;
pub use table::{json, text};

use super::{BenchError, busy, measure};
use crate::keys::{self, Parameters};
use crate::progress::Bar;
use ark_bn254::Fr;
use kerros_kernels::Path;
use kerros_protocol::batch::{SealedBatch, Shape};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::statement;
use kerros_prover::keys::ProverKeys;
use kerros_prover::phases::{Phases, Spent};
use kerros_prover::prove::{Backend, Proved, prove_batch, prove_with};
use kerros_prover::stock::Stock;
use kerros_prover::workload;
use kerros_verifier::verify_batch;
use rand::rngs::OsRng;
use std::path::PathBuf;

/// Parameters of `kerros bench prove`.
#[derive(Debug, Clone)]
pub struct ProveParameters {
    /// Where keys of all shapes are kept.
    pub keys: PathBuf,
    /// Transfers of a batch, one measurement each.
    pub transfers: Vec<u32>,
    /// The batches run on a ledger of `2^k` places, nearly all of them accounts that pay each other.
    pub k: u8,
    /// The openings alone are measured on ledgers of these sizes too.
    pub openings: Vec<u8>,
    /// Whether arkworks' prover runs too.
    pub against_stock: bool,
    /// Code of ours that computes.
    pub path: Path,
    /// Proofs of each batch by each prover; the median by processor time is reported.
    pub repeats: u32,
}

/// What a batch of one size costs.
#[derive(Debug, Clone)]
pub struct Row {
    /// Of the batch.
    pub transfers: u32,
    /// Of the circuit, padding and other sections included.
    pub constraints: usize,
    /// Our prover.
    pub ours: Phases,
    /// arkworks' prover.
    pub stock: Option<Phases>,
    /// Greatest resident memory of our prover alone, mapped keys included.
    pub peak_bytes: u64,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Report {
    /// Code of ours that computed.
    pub path: Path,
    /// Processors of this machine.
    pub cores: usize,
    /// Exponent of the ledger's size.
    pub k: u8,
    /// One entry a batch.
    pub rows: Vec<Row>,
    /// One entry a size of the ledger.
    pub openings: Vec<OpeningsRow>,
}

/// All phases but the witness, which both provers take from the same generator.
pub(super) fn proof(phases: &Phases) -> Spent {
    phases.total().without(phases.witness)
}

/// Runs the benchmark.
pub async fn prove(parameters: ProveParameters) -> Result<Report, BenchError> {
    busy(move || {
        let mut rows = Vec::with_capacity(parameters.transfers.len());
        for transfers in &parameters.transfers {
            rows.push(row(&parameters, *transfers)?);
        }
        let sizes = parameters.openings.iter();
        let openings = sizes.map(|k| openings::row(&parameters, *k)).collect::<Result<_, _>>()?;
        Ok(Report {
            path: parameters.path,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            k: parameters.k,
            rows,
            openings,
        })
    })
    .await?
}

/// Makes or finds the keys of a shape and loads them.
fn load(parameters: &ProveParameters, shape: Shape, k: u8) -> Result<ProverKeys, BenchError> {
    let bar = Bar::spinner("setup");
    let wanted = Parameters { shape, k_genesis: k, k_max: k };
    let (dir, _) = keys::ensure(&parameters.keys, &wanted, &|stage| bar.say(stage))?;
    bar.say("load");
    let keys = ProverKeys::load_for(&dir, parameters.path).map_err(keys::KeysError::from)?;
    bar.done(&format!("{} constraints", keys.constraints()));
    Ok(keys)
}

/// A batch to prove again and again.
struct Scene {
    keys: ProverKeys,
    before: Ledger,
    batch: SealedBatch,
    domain: Fr,
}

impl Scene {
    fn new(keys: ProverKeys, transfers: u32, k: u8) -> Result<Self, BenchError> {
        let accounts = 1 << k;
        let before = workload::ledger(k, accounts);
        let (domain, points) = (Fr::from(1u64), keys.points(k)?);
        let batch = workload::batch(&before, accounts, transfers, domain, &points.lagrange)
            .map_err(|_| BenchError::Bug("the workload is valid"))?;
        Ok(Self { keys, before, batch, domain })
    }
    /// Proves with a backend, ours if there is none, and verifies.
    fn prove(&self, backend: Option<&dyn Backend>) -> Result<Proved, BenchError> {
        let Self { keys, before, batch, domain } = self;
        let proved = match backend {
            None => prove_batch(keys, before, batch, *domain, &mut OsRng),
            Some(backend) => prove_with(backend, keys, before, batch, *domain, &mut OsRng),
        }?;
        let statement = statement(&keys.verification, *domain, batch);
        verify_batch(&keys.verification, &statement, &batch.data, &proved.proof)?;
        Ok(proved)
    }
}

fn row(parameters: &ProveParameters, transfers: u32) -> Result<Row, BenchError> {
    let keys = load(parameters, workload::shape(transfers)?, parameters.k)?;
    let scene = Scene::new(keys, transfers, parameters.k)?;
    let bar = Bar::steps("prove", u64::from(parameters.repeats));
    measure::forget_peak()?;
    let first = scene.prove(None)?;
    let peak_bytes = measure::peak_bytes(std::process::id())?;
    let stock = parameters.against_stock.then(|| Stock::of(&scene.keys, parameters.k));
    let stock = stock.transpose()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..parameters.repeats {
        ours.push(scene.prove(None)?.phases);
        if let Some(stock) = &stock {
            theirs.push(scene.prove(Some(stock))?.phases);
        }
        bar.step();
    }
    let mut theirs = median(theirs);
    if let (Some(phases), Some(stock)) = (&mut theirs, &stock) {
        let each = stock.multiplications(&first.assignment);
        phases.groth16.each = Some(each.map_err(kerros_prover::prove::ProveError::from)?);
    }
    let ours = median(ours).ok_or(BenchError::Bug("at least one proof"))?;
    bar.done(&format!(
        "{transfers} transfers, {:.2} s of CPU time",
        proof(&ours).cpu.as_secs_f64()
    ));
    let constraints = scene.keys.constraints();
    Ok(Row { transfers, constraints, ours, stock: theirs, peak_bytes })
}

/// The one whose processor time, without the witness, is in the middle.
fn median(mut runs: Vec<Phases>) -> Option<Phases> {
    runs.sort_by_key(|phases| proof(phases).cpu);
    (!runs.is_empty()).then(|| runs[runs.len() / 2])
}
