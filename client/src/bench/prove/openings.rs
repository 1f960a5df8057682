//! What Q and W cost by the size of the ledger.

use super::{ProveParameters, load};
use crate::bench::process::CIRCUIT;
use crate::bench::{BenchError, state};
use crate::progress::Bar;
use ark_bn254::{Fr, G1Affine};
use ark_ff::AdditiveGroup;
use kerros_protocol::account::{Account, AccountIndex};
use kerros_protocol::batch::Shape;
use kerros_protocol::ledger::Ledger;
use kerros_prover::basis::Basis;
use kerros_prover::openings::{Claims, opening, quotient};
use kerros_prover::phases::{Spent, Watch};
use kerros_prover::stock::StockBasis;

/// Accounts that the batch touches, at most: of a batch of some hundred transfers.
const TOUCHED: u32 = 512;

/// What the openings cost on one size of the ledger.
#[derive(Debug, Clone)]
pub struct OpeningsRow {
    /// Exponent of the ledger's size.
    pub k: u8,
    /// Q and W by our prover.
    pub ours: [Spent; 2],
    /// By arkworks.
    pub stock: Option<[Spent; 2]>,
}

/// A ledger in which every place is taken, and accounts spread over it.
fn full(k: u8) -> Result<(Ledger, Vec<(AccountIndex, Account)>), BenchError> {
    let size = 1u32 << k;
    let step = (size / TOUCHED).max(1);
    let (mut ledger, mut touched) = (Ledger::new(k), Vec::new());
    for i in 1..size {
        let (key, owner) = state::nobody(i as usize)?;
        let account = Account { key: key.get(), balance: 1 << 40, nonce: i, asset: 1, owner };
        let index =
            AccountIndex::new(i).map_err(|_| BenchError::Bug("the ledger is below 2^28"))?;
        ledger.set(index, account);
        if i % step == 0 {
            touched.push((index, account));
        }
    }
    Ok((ledger, touched))
}

/// Measures one size. The commitments of both provers must be the same.
pub(super) fn row(parameters: &ProveParameters, k: u8) -> Result<OpeningsRow, BenchError> {
    let keys = load(parameters, Shape::new(CIRCUIT)?, k)?;
    let points = keys.points(k)?;
    let bar = Bar::spinner("openings");
    let (before, touched) = full(k)?;
    let mut after = before.clone();
    for (index, account) in &touched {
        after.set(*index, Account { balance: account.balance + 1, ..*account });
    }
    let [beta, z, gamma] = [7u64, 1_000_003, 11].map(Fr::from);
    // What they cost does not depend on what is claimed.
    let claims = Claims { a: Fr::ZERO, delta: Fr::ZERO, z_s: Fr::ZERO };
    let measure = |basis: &dyn Basis| -> ([G1Affine; 2], [Spent; 2]) {
        let (q, q_spent) = Watch::of(|| quotient(&before, &touched, beta, basis));
        let at = (beta, z, gamma);
        let (w, w_spent) = Watch::of(|| opening(&q, &after, &touched, at, &claims, basis));
        ([q.commitment, w], [q_spent, w_spent])
    };
    let stock = parameters.against_stock.then(|| StockBasis::new(k, points.lagrange.to_vec()));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..parameters.repeats {
        let (commitments, spent) = measure(&points.kernels);
        ours.push(spent);
        if let Some(stock) = &stock {
            let (expected, spent) = measure(stock);
            state::require("the openings' commitments", commitments, expected)?;
            theirs.push(spent);
        }
    }
    bar.done(&format!("2^{k} places"));
    let ours = median(ours).ok_or(BenchError::Bug("at least one measurement"))?;
    Ok(OpeningsRow { k, ours, stock: median(theirs) })
}

fn median(mut runs: Vec<[Spent; 2]>) -> Option<[Spent; 2]> {
    runs.sort_by_key(|[q, w]| q.cpu + w.cpu);
    (!runs.is_empty()).then(|| runs[runs.len() / 2])
}
