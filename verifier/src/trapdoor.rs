//! A setup whose secrets are known, so that proofs verify without a circuit: for measuring and testing
//! the main chain's side. Chain, contract, verifier and everything between them are real; what such a
//! proof says about the batch is worth nothing.
//!
//! The secrets are the constants below, open to everybody. Keys and reference strings made here are
//! marked development: a production configuration refuses them, and no value may depend on them.

use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::batch::{SealedBatch, Shape, evaluate};
use kerros_protocol::commitment::{Commitments, Srs, SrsError, SrsHeader, SrsWriter, point};
use kerros_protocol::encoding::keccak_to_fr;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::{BatchProof, Challenges, Groth16Proof, public_inputs, statement};
use kerros_protocol::verification_key::{IC_LEN, VerificationKey};
use std::fs::File;
use std::io;
use std::path::Path;
use thiserror::Error;

/// τ of the reference string.
pub const TAU: u64 = 0x5eed_0001;
/// α of the Groth16 key.
pub const ALPHA: u64 = 0x5eed_0002;
/// β of the Groth16 key.
pub const BETA: u64 = 0x5eed_0003;
/// δ of the Groth16 key.
pub const DELTA: u64 = 0x5eed_0004;
/// `IC[i] = [IC + i]_1`.
pub const IC: u64 = 0x5eed_0100;

/// Why there is no reference string or no proof.
#[derive(Debug, Error)]
pub enum TrapdoorError {
    /// The file of the reference string.
    #[error("reference string: {0}")]
    Io(#[from] io::Error),
    /// The file just written cannot be opened.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// A divisor is zero: a challenge or a domain point is a secret. Of negligible probability.
    #[error("{0} is zero: another batch will do")]
    Zero(&'static str),
}

fn g1(scalar: Fr) -> G1Affine {
    (G1Affine::generator() * scalar).into_affine()
}
fn g2(scalar: Fr) -> G2Affine {
    (G2Affine::generator() * scalar).into_affine()
}
fn inverse(divisor: Fr, what: &'static str) -> Result<Fr, TrapdoorError> {
    divisor.inverse().ok_or(TrapdoorError::Zero(what))
}

/// The key of the known secrets, for any shape and any ledger sizes.
pub fn key(shape: Shape, k_genesis: u8, k_max: u8) -> VerificationKey {
    let tau_powers = (0..=k_max).map(|k| g2(Fr::from(TAU).pow([1u64 << k]))).collect();
    VerificationKey {
        development: true,
        shape,
        alpha1: g1(Fr::from(ALPHA)),
        beta2: g2(Fr::from(BETA)),
        delta2: g2(Fr::from(DELTA)),
        ic: std::array::from_fn::<_, IC_LEN, _>(|i| g1(Fr::from(IC + i as u64))),
        k_genesis,
        tau_powers,
    }
}

/// `L_i(τ) = x(i)(τ^n − 1)/(n(τ − x(i)))` of a ledger of `n = 2^k` accounts.
fn lagrange(k: u8, i: u32) -> Result<Fr, TrapdoorError> {
    let (tau, n, x) = (Fr::from(TAU), 1u64 << k, point(i));
    let below = inverse(Fr::from(n) * (tau - x), "tau less a domain point")?;
    Ok(x * (tau.pow([n]) - Fr::ONE) * below)
}

/// The reference string of the known secret, written to `path`.
pub fn srs(key: &VerificationKey, path: &Path) -> Result<Srs, TrapdoorError> {
    let (k_genesis, k_max) = (key.k_genesis, key.k_max());
    let tau_powers = key.tau_powers.clone();
    let header = SrsHeader { development: true, k_genesis, k_max, tau_powers };
    let mut writer = SrsWriter::new(File::create(path)?, &header)?;
    for k in k_genesis..=k_max {
        let points: Result<Vec<_>, _> = (0..1 << k).map(|i| lagrange(k, i).map(g1)).collect();
        writer.lagrange(&points?)?;
    }
    writer.finish().sync_all()?;
    Ok(Srs::open(path)?)
}

/// The ledger's commitments, from the secret alone: no reference string, however large the ledger.
pub fn commit(ledger: &Ledger) -> Result<Commitments, TrapdoorError> {
    let mut sums = [Fr::ZERO; 3];
    for (index, account) in ledger.existing() {
        let weight = lagrange(ledger.k(), index.get())?;
        for (sum, word) in sums.iter_mut().zip(account.words()) {
            *sum += weight * word;
        }
    }
    Ok(Commitments(sums.map(g1)))
}

/// A proof that verifies, made from the secrets. Says nothing about the batch. Its words are as long as
/// those of any other proof, so that they cost the same as calldata.
pub fn prove(
    key: &VerificationKey,
    domain: Fr,
    batch: &SealedBatch,
) -> Result<BatchProof, TrapdoorError> {
    let statement = statement(key, domain, batch);
    let any = |word: u8| keccak_to_fr(&[b"kerros.trapdoor", &statement.data_hash, &[word]]);
    let infinity = G1Affine::identity();
    let (a, b) = (any(0), any(1));
    let mut proof = BatchProof {
        h: any(2),
        a: any(3),
        delta: any(4),
        z_s: any(5),
        q: g1(any(6)),
        w: infinity,
        groth16: Groth16Proof { a: g1(a), b: g2(b), c: infinity },
    };
    let challenges = Challenges::draw(&statement, &proof.h, &proof.q);
    let Challenges { beta, z, gamma } = challenges;
    // W = E/(τ − z)
    let c = (z.pow([1u64 << statement.k]) - Fr::ONE) / statement.ledger_size();
    let mut e =
        proof.q * -proof.z_s - G1Affine::generator() * (c * (proof.a + gamma * proof.delta));
    let mut power = Fr::ONE;
    for (old, new) in statement.old.0.iter().zip(&statement.new.0) {
        e += (*old * (Fr::ONE - gamma) + *new * gamma) * power;
        power *= beta;
    }
    proof.w = (e * inverse(Fr::from(TAU) - z, "tau less z")?).into_affine();
    // a·b = α·β + inputs + c·δ
    let y = evaluate(&batch.data.elements(&key.shape), z);
    let inputs = public_inputs(&statement, &challenges, y, &proof);
    let mut sum = Fr::from(IC);
    for (i, input) in inputs.iter().enumerate() {
        sum += Fr::from(IC + 1 + i as u64) * input;
    }
    let c = (a * b - Fr::from(ALPHA) * Fr::from(BETA) - sum) / Fr::from(DELTA);
    if c == Fr::ZERO {
        return Err(TrapdoorError::Zero("C of the proof"));
    }
    proof.groth16.c = g1(c);
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VerifyError, verify_batch};
    use kerros_protocol::account::{Account, AccountIndex, Address, AssetId};
    use kerros_protocol::amount::Fee;
    use kerros_protocol::batch::{BatchData, TransferRecord};

    const K: u8 = 4;

    /// Accounts 1 and 5, with this balance each.
    fn ledger(balance: u64) -> Ledger {
        let mut ledger = Ledger::new(K);
        for i in [1, 5] {
            let (asset, owner) = (AssetId::new(1).unwrap().get(), Address([7; 20]));
            let account = Account { key: Fr::from(9u64), balance, nonce: 0, asset, owner };
            ledger.set(AccountIndex::new(i).unwrap(), account);
        }
        ledger
    }

    fn batch() -> SealedBatch {
        let [from, to] = [1, 5].map(|i| AccountIndex::new(i).unwrap());
        let transfer = TransferRecord { from, to, amount: 3, fee: Fee::ZERO };
        SealedBatch {
            number: 1,
            k: K,
            before_growth: None,
            old: commit(&ledger(5)).unwrap(),
            new: commit(&ledger(6)).unwrap(),
            first: 0,
            end: 0,
            beneficiary: Address([0xbe; 20]),
            data: BatchData { transfers: vec![transfer; 3], ..BatchData::default() },
            transfers: Vec::new(),
            exits: Vec::new(),
        }
    }

    #[test]
    fn a_forged_proof_verifies_and_any_other_word_does_not() {
        let key = key(Shape::new([2, 2, 4, 1, 1]).unwrap(), K, K);
        assert!(key.development);
        let (domain, batch) = (Fr::from(77u64), batch());
        let proof = prove(&key, domain, &batch).unwrap();
        let good = statement(&key, domain, &batch);
        verify_batch(&key, &good, &batch.data, &proof).unwrap();

        let refused = Err(VerifyError::Pairing);
        for change in [
            |proof: &mut BatchProof| proof.h += Fr::ONE,
            |proof: &mut BatchProof| proof.a += Fr::ONE,
            |proof: &mut BatchProof| proof.delta += Fr::ONE,
            |proof: &mut BatchProof| proof.z_s += Fr::ONE,
            |proof: &mut BatchProof| proof.q = g1(Fr::from(2u64)),
            |proof: &mut BatchProof| proof.w = G1Affine::generator(),
            |proof: &mut BatchProof| proof.groth16.a = G1Affine::generator(),
            |proof: &mut BatchProof| proof.groth16.b = G2Affine::generator(),
            |proof: &mut BatchProof| proof.groth16.c = G1Affine::generator(),
        ] {
            let mut other = proof;
            change(&mut other);
            assert_eq!(verify_batch(&key, &good, &batch.data, &other), refused, "{other:?}");
        }
        let mut other = batch.clone();
        other.data.transfers[1].amount += 1;
        let about = statement(&key, domain, &other);
        assert_eq!(verify_batch(&key, &about, &other.data, &proof), refused);
        let mut other = batch.clone();
        other.new = batch.old;
        let about = statement(&key, domain, &other);
        assert_eq!(verify_batch(&key, &about, &other.data, &proof), refused);
    }

    #[test]
    fn commitments_from_the_secret_are_those_from_its_reference_string() {
        let key = key(Shape::new([2, 2, 4, 1, 1]).unwrap(), K, K + 1);
        let path = std::env::temp_dir().join(format!("kerros-trapdoor-{}", std::process::id()));
        let made = srs(&key, &path);
        let points = made.as_ref().map(|srs| srs.lagrange(K));
        std::fs::remove_file(&path).unwrap();
        let ledger = ledger(5);
        assert_eq!(ledger.commit(&points.unwrap().unwrap()), commit(&ledger).unwrap());
        let header = made.unwrap().header;
        assert!(header.development);
        assert_eq!((header.k_genesis, header.k_max), (K, K + 1));
    }
}
