//! Attacks on the opening and on the seams between proofs, with real Groth16 proofs.
//!
//! The circuit cannot know the state: a witness with forged opening words satisfies it, and its
//! Groth16 proof verifies. The KZG half of the same pairing product must then fail. The other tests
//! mix parts of two good proofs, and move a good proof to another batch, chain or key.

#![allow(clippy::unwrap_used)] // a test may panic

use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, One, UniformRand};
use kerros_circuits::batch::{BatchWitness, synthesize};
use kerros_circuits::builder::Builder;
use kerros_circuits::witness::{Executed, execute};
use kerros_protocol::account::{Account, AccountIndex, Address};
use kerros_protocol::batch::{BatchData, SealedBatch, evaluate};
use kerros_protocol::commitment::Commitments;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::{
    BatchProof, Challenges, Statement, gamma, public_inputs, statement, z,
};
use kerros_prover::keys::ProverKeys;
use kerros_prover::openings::{Claims, opening, quotient};
use kerros_prover::prove::prove_batch;
use kerros_tests::world::{everything, index, wallet};
use kerros_tests::{World, keys};
use kerros_verifier::{VerifyError, verify_batch, verify_growth};
use rand::rngs::OsRng;
use std::convert::Infallible;
use std::sync::Arc;

const ONE: Fr = <Fr as Field>::ONE;

fn domain() -> Fr {
    Fr::from(4242u64)
}

fn lagrange(keys: &ProverKeys, k: u8) -> Arc<Vec<G1Affine>> {
    keys.lagrange(k).unwrap()
}

/// A state in which accounts 1, 2 and 4 exist, its world, and the next batch with its statement.
struct Stage {
    keys: Arc<ProverKeys>,
    before: Ledger,
    batch: SealedBatch,
    world: World,
}

impl Stage {
    /// Account 1 pays account 2 in the next batch.
    fn payment() -> Self {
        Self::with(|world| world.transfer(1, 1, 2, 100, 0))
    }
    fn with(fill: impl FnOnce(&mut World)) -> Self {
        let keys = keys::small();
        let mut world = World::new(keys.verification.shape, keys::K_GENESIS, domain());
        world.open(1, 1, 1);
        world.open(2, 2, 1);
        world.deposit(1, 1, 1, 10_000);
        world.deposit(2, 2, 1, 500);
        world.seal(|k| lagrange(&keys, k));
        // Never touched below: without it Q would be 0, and many a change no change.
        world.open(4, 4, 2);
        world.deposit(4, 4, 2, 123);
        world.seal(|k| lagrange(&keys, k));
        let before = world.sealed.clone();
        fill(&mut world);
        let batch = world.seal(|k| lagrange(&keys, k));
        Self { keys, before, batch, world }
    }
    fn statement(&self) -> Statement {
        statement(&self.keys.verification, domain(), &self.batch)
    }
    fn executed(&self) -> Executed {
        execute(&self.keys.verification.shape, &self.before, &self.batch, domain()).unwrap()
    }
    fn verify(&self, proof: &BatchProof) -> Result<(), VerifyError> {
        verify_batch(&self.keys.verification, &self.statement(), &self.batch.data, proof)
    }
    /// What a cheating prover makes of any witness: Q and W as if the state were `believed`.
    fn prove(
        &self,
        statement: &Statement,
        witness: &BatchWitness,
        (believed, after): (&Ledger, &Ledger),
        touched: &[(AccountIndex, Account)],
    ) -> BatchProof {
        let points = self.keys.points(self.batch.k).unwrap();
        let mut builder = Builder::witness_only();
        let mut drawn = None;
        let shape = &self.keys.verification.shape;
        let outputs = synthesize(&mut builder, shape, witness, |h| {
            let beta = statement.beta(&h);
            let q = quotient(believed, touched, beta, &points.kernels);
            let z = z(&beta, &q.commitment);
            drawn = Some((q, beta, z));
            Ok::<_, Infallible>((beta, z))
        });
        let outputs = outputs.unwrap_or_else(|never| match never {});
        let (q, beta, z) = drawn.unwrap();
        let assignment = builder.into_assignment();
        let randomness = [Fr::rand(&mut OsRng), Fr::rand(&mut OsRng)];
        let (groth16, _) = self.keys.groth16.prove(&assignment, randomness);
        let claims = Claims { a: outputs.a, delta: outputs.delta, z_s: outputs.z_s };
        let w = opening(&q, after, touched, (beta, z, gamma(&z)), &claims, &points.kernels);
        BatchProof {
            h: outputs.h,
            a: outputs.a,
            delta: outputs.delta,
            z_s: outputs.z_s,
            q: q.commitment,
            w,
            groth16,
        }
    }
    /// The Groth16 equation alone.
    fn groth16_holds(&self, statement: &Statement, data: &BatchData, proof: &BatchProof) -> bool {
        let key = &self.keys.verification;
        let challenges = Challenges::draw(statement, &proof.h, &proof.q);
        let y = evaluate(&data.elements(&key.shape), challenges.z);
        let mut scalars = vec![ONE];
        scalars.extend(public_inputs(statement, &challenges, y, proof));
        let inputs = G1Projective::msm_unchecked(&key.ic, &scalars).into_affine();
        let g1 = [proof.groth16.a, -key.alpha1, -inputs, -proof.groth16.c];
        let g2 = [proof.groth16.b, key.beta2, G2Affine::generator(), key.delta2];
        Bn254::multi_pairing(g1, g2).0.is_one()
    }
}

/// A ledger whose account `i` was changed.
fn changed(ledger: &Ledger, i: u32, change: impl FnOnce(&mut Account)) -> Ledger {
    let mut ledger = ledger.clone();
    let mut account = ledger.get(index(i));
    change(&mut account);
    ledger.set(index(i), account);
    ledger
}

#[test]
fn an_opening_value_that_is_not_the_states_passes_groth16_and_fails_the_pairing() {
    let stage = Stage::payment();
    let honest = stage.executed();
    let statement = stage.statement();
    let proof =
        stage.prove(&statement, &honest.witness, (&stage.before, &honest.after), &honest.touched);
    assert_eq!(stage.verify(&proof), Ok(()), "the cheat's tools make good proofs");
    type Forgery = (&'static str, fn(&mut Account));
    let forgeries: [Forgery; 4] = [
        ("a richer account", |a| a.balance += 1_000_000),
        ("a smaller nonce is a replay", |a| a.nonce += 1),
        ("another owner", |a| a.owner = Address([9; 20])),
        ("another balance and nonce of the same packed sum", |a| {
            a.balance -= 1;
            a.nonce += 1;
        }),
    ];
    for (name, forgery) in forgeries {
        // Account 2 receives, so none of its fields is signed by the cheat but the owner.
        let target = if name == "another owner" { 1 } else { 2 };
        let believed = changed(&stage.before, target, forgery);
        let shape = &stage.keys.verification.shape;
        let forged = execute(shape, &believed, &stage.batch, domain()).expect(name);
        for opened_as in [&stage.before, &believed] {
            let after = &forged.after;
            let proof =
                stage.prove(&statement, &forged.witness, (opened_as, after), &forged.touched);
            assert!(stage.groth16_holds(&statement, &stage.batch.data, &proof), "{name}");
            assert_eq!(stage.verify(&proof), Err(VerifyError::Pairing), "{name}");
            let other_w = BatchProof { w: G1Affine::identity(), ..proof };
            assert_eq!(stage.verify(&other_w), Err(VerifyError::Pairing), "{name}");
        }
    }
}

#[test]
fn an_account_opened_over_an_existing_one_passes_groth16_and_fails_the_pairing() {
    // Wallet 9 "opens" account 2, which holds 500: in the circuit this is a good open.
    let stage = Stage::with(|world| world.open(5, 9, 1));
    let mut batch = stage.batch.clone();
    batch.data.opens[0].index = index(2);
    let mut emptied = stage.before.clone();
    emptied.set(index(2), Account::EMPTY);
    let shape = &stage.keys.verification.shape;
    let forged = execute(shape, &emptied, &batch, domain()).unwrap();
    let points = lagrange(&stage.keys, batch.k);
    batch.new = forged.after.commit(&points);
    let stage = Stage { batch, ..stage };
    for opened_as in [&stage.before, &emptied] {
        let statement = stage.statement();
        let states = (opened_as, &forged.after);
        let proof = stage.prove(&statement, &forged.witness, states, &forged.touched);
        assert!(stage.groth16_holds(&statement, &stage.batch.data, &proof));
        assert_eq!(stage.verify(&proof), Err(VerifyError::Pairing));
    }
}

#[test]
fn a_new_commitment_that_changes_more_than_the_records_is_refused() {
    let stage = Stage::payment();
    let honest = stage.executed();
    let points = lagrange(&stage.keys, stage.batch.k);
    // Account 1 keeps what it paid; an untouched account appears; only C_2 (owners) changes.
    let richer = changed(&honest.after, 1, |a| a.balance += 100);
    let mut minted = honest.after.clone();
    minted.set(index(7), Account { balance: 5, ..honest.after.get(index(1)) });
    let robbed = changed(&honest.after, 2, |a| a.owner = Address([9; 20]));
    for after in [richer, minted, robbed] {
        let mut batch = stage.batch.clone();
        batch.new = after.commit(&points);
        let statement = statement(&stage.keys.verification, domain(), &batch);
        for claimed in [&after, &honest.after] {
            let states = (&stage.before, claimed);
            let proof = stage.prove(&statement, &honest.witness, states, &honest.touched);
            assert!(stage.groth16_holds(&statement, &batch.data, &proof));
            let key = &stage.keys.verification;
            let result = verify_batch(key, &statement, &batch.data, &proof);
            assert_eq!(result, Err(VerifyError::Pairing));
        }
    }
}

#[test]
fn every_part_of_a_proof_is_needed_as_it_is() {
    let stage = Stage::with(everything_again);
    let proved =
        prove_batch(&stage.keys, &stage.before, &stage.batch, domain(), &mut OsRng).unwrap();
    let good = proved.proof;
    assert_eq!(stage.verify(&good), Ok(()));
    assert!(!good.q.is_zero() && !good.w.is_zero());
    let point = (G1Affine::generator() * Fr::from(5u64)).into_affine();
    let infinity = G1Affine::identity();
    let mut bad = Vec::new();
    for change in [ONE, -ONE, Fr::from(1u64 << 40)] {
        bad.push(BatchProof { h: good.h + change, ..good });
        bad.push(BatchProof { a: good.a + change, ..good });
        bad.push(BatchProof { delta: good.delta + change, ..good });
        bad.push(BatchProof { z_s: good.z_s + change, ..good });
    }
    bad.push(BatchProof { a: good.delta, delta: good.a, ..good });
    bad.push(BatchProof { a: Fr::ZERO, delta: Fr::ZERO, z_s: Fr::ZERO, ..good });
    for other in [point, infinity, -good.q, good.w] {
        bad.push(BatchProof { q: other, ..good });
    }
    for other in [point, infinity, -good.w, good.q] {
        bad.push(BatchProof { w: other, ..good });
    }
    for other in [point, infinity] {
        let mut proof = good;
        proof.groth16.a = other;
        bad.push(proof);
        let mut proof = good;
        proof.groth16.c = other;
        bad.push(proof);
    }
    let mut proof = good;
    proof.groth16.b = -proof.groth16.b;
    bad.push(proof);
    for (number, proof) in bad.iter().enumerate() {
        assert_eq!(stage.verify(proof), Err(VerifyError::Pairing), "change {number}");
    }
    // Groth16 proofs can be re-randomised by anybody (−A, −B): that is another ρ, not another batch.
    let mut again = good;
    (again.groth16.a, again.groth16.b) = (-good.groth16.a, -good.groth16.b);
    assert_eq!(stage.verify(&again), Ok(()));
}

/// Every kind of record, on accounts that exist.
fn everything_again(world: &mut World) {
    world.open(3, 3, 1);
    world.deposit(3, 3, 1, 77);
    world.transfer(1, 1, 3, 1_000, 20);
    world.transfer(2, 2, 1, 70, 0);
    world.exit(1, 1, 300, 5, Address([0x77; 20]));
    world.collect(2, 25);
    world.force(3, wallet(3).1);
}

#[test]
fn attack_14_and_23_a_proof_is_good_for_its_own_statement_only() {
    let stage = Stage::payment();
    let proved =
        prove_batch(&stage.keys, &stage.before, &stage.batch, domain(), &mut OsRng).unwrap();
    let (proof, honest) = (proved.proof, stage.statement());
    let key = &stage.keys.verification;
    let data = &stage.batch.data;
    let mut others = vec![honest.clone(); 7];
    others[0].domain += ONE;
    others[1].number += 1;
    others[2].beneficiary = Address([1; 20]);
    (others[3].first, others[3].end) = (honest.first + 1, honest.end + 1);
    others[4].k += 1;
    others[5].old = Commitments::empty();
    others[6].new = honest.old;
    for j in 0..3 {
        for point in [G1Affine::identity(), honest.old.0[(j + 1) % 3]] {
            let (mut old, mut new) = (honest.clone(), honest.clone());
            old.old.0[j] = point;
            new.new.0[j] = point;
            others.extend([old, new]);
        }
    }
    for (number, other) in others.iter().enumerate() {
        let result = verify_batch(key, other, data, &proof);
        assert_eq!(result, Err(VerifyError::Pairing), "statement {number}");
    }
    // Old and new exchanged: the batch backwards.
    let backwards = Statement { old: honest.new, new: honest.old, ..honest.clone() };
    assert_eq!(verify_batch(key, &backwards, data, &proof), Err(VerifyError::Pairing));
    // Other data under its own hash, the same under a foreign one.
    let mut other_data = data.clone();
    other_data.transfers[0].amount += 1;
    let result = verify_batch(key, &honest, &other_data, &proof);
    assert_eq!(result, Err(VerifyError::DataHash));
    let mut restated = honest.clone();
    restated.data_hash = kerros_protocol::encoding::keccak256(&[&other_data.encode()]);
    let result = verify_batch(key, &restated, &other_data, &proof);
    assert_eq!(result, Err(VerifyError::Pairing));
    let mut foreign = honest.clone();
    foreign.vk_hash[0] ^= 1;
    assert_eq!(verify_batch(key, &foreign, data, &proof), Err(VerifyError::KeyHash));
    let mut skipped = honest;
    skipped.end += 1;
    let result = verify_batch(key, &skipped, data, &proof);
    assert!(matches!(result, Err(VerifyError::QueueRange { .. })));
}

#[test]
fn parts_of_two_batches_proofs_do_not_mix() {
    let first = Stage::payment();
    let second = Stage::with(|world| world.transfer(1, 1, 2, 200, 0));
    let prove = |stage: &Stage| {
        prove_batch(&stage.keys, &stage.before, &stage.batch, domain(), &mut OsRng).unwrap().proof
    };
    let (mine, other) = (prove(&first), prove(&second));
    assert_eq!(first.verify(&mine), Ok(()));
    assert_eq!(first.verify(&other), Err(VerifyError::Pairing), "same state, other payment");
    let mut mixes = vec![mine; 7];
    mixes[0].groth16 = other.groth16;
    mixes[1].w = other.w;
    mixes[2].q = other.q;
    (mixes[3].q, mixes[3].w) = (other.q, other.w);
    (mixes[4].a, mixes[4].delta, mixes[4].z_s) = (other.a, other.delta, other.z_s);
    mixes[5].h = other.h;
    mixes[6] = BatchProof { w: mine.w, q: mine.q, ..other };
    for (number, mix) in mixes.iter().enumerate() {
        assert_eq!(first.verify(mix), Err(VerifyError::Pairing), "mix {number}");
    }
    // Two proofs of one statement share everything before ρ but the Groth16 part, which may be
    // exchanged: both are proofs of the same assignment.
    let again = prove(&first);
    assert_ne!(again.groth16, mine.groth16);
    let exchanged = BatchProof { groth16: again.groth16, ..mine };
    assert_eq!(first.verify(&exchanged), Ok(()));
}

#[test]
fn a_ledger_that_is_not_the_doubled_one_is_no_growth() {
    let mut stage = Stage::payment();
    let key = &stage.keys.verification;
    let small = stage.world.commitments;
    let mut grown = stage.world.sealed.clone();
    grown.grow();
    let k = grown.k();
    let points = lagrange(&stage.keys, k);
    let large = grown.commit(&points);
    assert_eq!(verify_growth(key, &small, &large, k - 1), Ok(()));
    // Not grown, grown from another size, with another account, with columns exchanged.
    stage.world.grow();
    let richer = changed(&grown, 2, |a| a.balance += 1).commit(&points);
    let mut exchanged = large;
    exchanged.0.swap(0, 1);
    let swapped_before = Commitments([small.0[1], small.0[0], small.0[2]]);
    for (before, after, k) in [
        (small, small, k - 1),
        (small, large, k),
        (large, large, k),
        (small, richer, k - 1),
        (small, exchanged, k - 1),
        (swapped_before, large, k - 1),
    ] {
        assert_eq!(verify_growth(key, &before, &after, k), Err(VerifyError::Growth));
    }
    // Errors in two columns do not cancel: the scalar is drawn after both.
    let g = G1Affine::generator();
    let mut cancelled = large;
    cancelled.0[0] = (cancelled.0[0] + g).into_affine();
    cancelled.0[1] = (cancelled.0[1] - g).into_affine();
    assert_eq!(verify_growth(key, &small, &cancelled, k - 1), Err(VerifyError::Growth));
}

#[test]
fn everything_in_one_batch_is_good_for_comparison() {
    let keys = keys::small();
    let mut world = World::new(keys.verification.shape, keys::K_GENESIS, domain());
    let before = world.sealed.clone();
    everything(&mut world);
    let batch = world.seal(|k| lagrange(&keys, k));
    let stage = Stage { keys, before, batch, world };
    let proved =
        prove_batch(&stage.keys, &stage.before, &stage.batch, domain(), &mut OsRng).unwrap();
    assert_eq!(stage.verify(&proved.proof), Ok(()));
}
