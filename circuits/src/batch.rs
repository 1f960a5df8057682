//! The circuit of a batch, as an outline (SPEC.md section 6).
//!
//! Public inputs: `[h, β, z, y, A, Δ, Z, n, domain]`. First everything that is fixed before the
//! challenges, absorbed into h; then, with β and z, what is evaluated there.

use crate::access::enforce_linked;
use crate::builder::{Builder, Num};
use crate::fees::enforce_fees;
use crate::gadgets::poseidon::sponge;
use crate::journal::{
    CollectWitness, DepositWitness, ExitWitness, Journal, OpenWitness, TransferWitness,
    sponge_start,
};
use crate::touched::Touched;
use ark_bn254::Fr;
use kerros_protocol::batch::Shape;

/// A whole witness: every slot of every section and the table of touched accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchWitness {
    /// O slots.
    pub opens: Vec<OpenWitness>,
    /// D slots.
    pub deposits: Vec<DepositWitness>,
    /// T slots.
    pub transfers: Vec<TransferWitness>,
    /// E slots.
    pub exits: Vec<ExitWitness>,
    /// F slots.
    pub collects: Vec<CollectWitness>,
    /// The table of [`crate::touched`], ascending.
    pub touched: Vec<Fr>,
    /// Size of the ledger.
    pub n: Fr,
    /// Chain and contract.
    pub domain: Fr,
}

impl BatchWitness {
    /// A batch in which nothing happens.
    pub fn empty(shape: &Shape, k: u8, domain: Fr) -> Self {
        let [o, d, t, e, f] = shape.sections().map(|n| n as usize);
        Self {
            opens: vec![OpenWitness::default(); o],
            deposits: vec![DepositWitness::default(); d],
            transfers: vec![TransferWitness::padding(); t],
            exits: vec![ExitWitness::padding(); e],
            collects: vec![CollectWitness::default(); f],
            touched: (0..=shape.accesses() as u64).rev().map(|below| -Fr::from(below)).collect(),
            n: Fr::from(1u64 << k),
            domain,
        }
    }
}

/// What the circuit computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outputs {
    /// Hash of everything bound before the challenges.
    pub h: Fr,
    /// `Σ d_j·z^j`.
    pub y: Fr,
    /// `Σ o_i·x_i/(z − x_i)`.
    pub a: Fr,
    /// `Σ δ_i·x_i/(z − x_i)`.
    pub delta: Fr,
    /// `Π (z − x_i)`.
    pub z_s: Fr,
}

/// Makes the circuit. `challenges` is called once with h and gives (β, z).
pub fn synthesize<E>(
    b: &mut Builder,
    shape: &Shape,
    witness: &BatchWitness,
    challenges: impl FnOnce(Fr) -> Result<(Fr, Fr), E>,
) -> Result<Outputs, E> {
    // Fixed before the challenges.
    let n = b.input(7, witness.n);
    let domain = b.input(8, witness.domain);
    let mut journal = Journal::default();
    for (slot, open) in witness.opens.iter().enumerate() {
        b.scope(|| format!("O[{slot}]."));
        journal.open(b, open);
    }
    for (slot, deposit) in witness.deposits.iter().enumerate() {
        b.scope(|| format!("D[{slot}]."));
        journal.deposit(b, slot, deposit);
    }
    for (slot, transfer) in witness.transfers.iter().enumerate() {
        b.scope(|| format!("T[{slot}]."));
        journal.transfer(b, &domain, transfer);
    }
    for (slot, exit) in witness.exits.iter().enumerate() {
        b.scope(|| format!("E[{slot}]."));
        journal.exit(b, &domain, slot, exit);
    }
    for (slot, collect) in witness.collects.iter().enumerate() {
        b.scope(|| format!("F[{slot}]."));
        journal.collect(b, slot, collect);
    }
    b.scope(String::new);
    let touched = Touched::new(b, &witness.touched, &n);

    // The binding rule: h fixes all of it.
    b.part("sponge");
    let mut absorbed = std::mem::take(&mut journal.absorbed);
    absorbed.extend(touched.absorbed());
    let computed_h = sponge(b, sponge_start(shape), &absorbed);
    let h = b.input(0, computed_h.value);
    b.enforce_equal(&computed_h, &h);

    // Evaluated at the challenges.
    let (beta, z) = challenges(h.value)?;
    let (beta, z) = (b.input(1, beta), b.input(2, z));
    let computed_y = evaluate(b, &journal.published, &z);
    let y = b.input(3, computed_y.value);
    b.enforce_equal(&computed_y, &y);
    let openings = enforce_linked(b, &beta, &z, &journal.accesses);
    touched.enforce_of(b, &z, &journal.accesses);
    let mut output = |position, computed: &Num| {
        let output = b.input(position, computed.value);
        b.enforce_equal(computed, &output);
        output.value
    };
    let a = output(4, &openings.a);
    let delta = output(5, &openings.delta);
    let z_s = output(6, &openings.z_s);
    enforce_fees(b, &beta, &journal.fees, &journal.collected);
    Ok(Outputs { h: h.value, y: y.value, a, delta, z_s })
}

/// `Σ d_j·z^j` by Horner's rule: mirrors [`kerros_protocol::batch::evaluate`].
fn evaluate(b: &mut Builder, elements: &[Num], z: &Num) -> Num {
    b.part("data");
    let mut sum = Num::zero();
    for element in elements.iter().rev() {
        sum = &b.mul(&sum, z) + element;
    }
    sum
}
