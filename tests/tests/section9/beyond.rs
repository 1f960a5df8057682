//! Beyond the list: an attacker with the operator's key and a prover, and what he could still choose
//! late, move or merge.

use crate::stage::{BOTH, Forgery, NEITHER, NO_STATE, NO_WITNESS, ONE, Stage, known, weight};
use crate::transcript::{at, c, quotient_by, values};
use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, One};
use kerros_protocol::account::{Account, two_to};
use kerros_protocol::batch::evaluate;
use kerros_protocol::encoding::keccak256;
use kerros_protocol::transcript::{BatchProof, Challenges, gamma, public_inputs};
use kerros_tests::world::index;
use kerros_verifier::batch::equations_that_hold;
use kerros_verifier::contract::{KerrosErrors as E, Post};
use kerros_verifier::post::post;
use kerros_verifier::{VerifyError, verify_batch};

#[tokio::test]
async fn a_and_delta_shifted_against_each_other_once_gamma_is_known() {
    // The opening sees A + γ·Δ alone: the circuit must say what each of them is.
    let mut stage = Stage::new().await;
    stage.world.transfer(1, 1, 2, 100, 0);
    let case = stage.seal();
    let f = case.forgery();
    let (proof, drawn @ (_, z)) = stage.prove(&f, None);
    let shift = Fr::from(12_345u64);
    let mut moved = proof;
    moved.a += gamma(&z) * shift;
    moved.delta -= shift;
    assert_eq!(stage.holds(&f, &moved, drawn), NO_WITNESS);
    stage.no_proof("A and Δ", &post(&f.batch, &moved)).await;
    // Z and Q: the opening sees their product alone, but z is drawn after Q.
    let mut scaled = proof;
    scaled.z_s = scaled.z_s.double();
    scaled.q = (scaled.q * Fr::from(2u64).inverse().unwrap()).into_affine();
    assert_eq!(stage.holds(&f, &scaled, drawn), NO_WITNESS);
    stage.no_proof("Z and Q", &post(&f.batch, &scaled)).await;
    stage.accepts(&post(&f.batch, &proof)).await;
}

/// The main chain's product of five pairings with challenges and ρ of the caller's choice.
fn merged(stage: &Stage, f: &Forgery, p: &BatchProof, (beta, z): (Fr, Fr), rho: Fr) -> bool {
    let key = &stage.keys.verification;
    let challenges = Challenges { beta, z, gamma: gamma(&z) };
    let y = evaluate(&f.batch.data.elements(&key.shape), z);
    let mut scalars = vec![ONE];
    scalars.extend(public_inputs(&f.statement(stage), &challenges, y, p));
    let inputs = G1Projective::msm_unchecked(&key.ic, &scalars);
    let c = c(f.batch.k, z);
    let claimed = G1Affine::generator() * (c * (p.a + challenges.gamma * p.delta));
    let mut e = p.q * -p.z_s - claimed + p.w * z;
    let mut power = ONE;
    for (old, new) in f.batch.old.0.iter().zip(&f.batch.new.0) {
        e += (*old * (ONE - challenges.gamma) + *new * challenges.gamma) * power;
        power *= beta;
    }
    let g1 = [
        p.groth16.a,
        -key.alpha1,
        (e * rho - inputs).into_affine(),
        -p.groth16.c,
        (p.w * -rho).into_affine(),
    ];
    let g2 = [p.groth16.b, key.beta2, G2Affine::generator(), key.delta2, key.tau2()];
    Bn254::multi_pairing(g1, g2).0.is_one()
}

#[tokio::test]
async fn an_error_of_one_equation_made_up_for_in_the_other_under_a_known_rho() {
    // γ2 = [1]_2 pairs with the sum of inputs and with E + z·W: for known ρ and z, a wrong input is
    // made up for by another Q.
    let mut stage = Stage::new().await;
    stage.world.transfer(1, 1, 2, 100, 0);
    let case = stage.seal();
    let f = case.forgery();
    let (proof, drawn @ (_, z)) = stage.prove(&f, None);
    let rho = proof.rho(&z);
    assert!(merged(&stage, &f, &proof, drawn, rho));
    let (g, ic) = (G1Affine::generator(), &stage.keys.verification.ic);
    let (s, c) = (Fr::from(77u64), c(f.batch.k, z));
    let mut attempts = [proof; 3];
    attempts[0].a += s;
    attempts[1].delta += s;
    attempts[2].z_s += s;
    let errors = [
        ic[5] * s + g * (rho * c * s),
        ic[6] * s + g * (rho * gamma(&z) * c * s),
        ic[7] * s + proof.q * (rho * s),
    ];
    for (mut bad, error) in attempts.into_iter().zip(errors) {
        bad.q = (bad.q - error * (rho * bad.z_s).inverse().unwrap()).into_affine();
        assert!(merged(&stage, &f, &bad, drawn, rho), "under the ρ and z that were known");
        let key = &stage.keys.verification;
        let verified = verify_batch(key, &f.statement(&stage), &f.batch.data, &bad);
        assert_eq!(verified, Err(VerifyError::Pairing), "Rust");
        stage.no_proof("made up for", &post(&f.batch, &bad)).await;
    }
    // The same assignment's proof, written otherwise, is as good: it says the same.
    let mut turned = proof;
    (turned.groth16.a, turned.groth16.b) = (-turned.groth16.a, -turned.groth16.b);
    stage.accepts(&post(&f.batch, &turned)).await;
}

#[tokio::test]
async fn q_at_infinity_with_an_opening_solved_for() {
    // Without Q the opening says F(z) = c·A: the payer's owner, which a payment does not name, makes it
    // so, whatever balance it claims.
    let mut stage = Stage::new().await;
    stage.world.transfer(2, 2, 1, 400, 0);
    let case = stage.seal();
    let mut f = case.forgery();
    let known @ (beta, z) = known();
    let (old, new) = (values(&f.before, beta), values(&f.after, beta));
    let c = c(f.batch.k, z);
    f.witness.transfers[0].before += Fr::from(1_000_000u64);
    let opened = |f: &Forgery| stage.groth16(&f.witness, |_| known);
    let missing = at(&old, z) / c - opened(&f).0.a;
    f.witness.transfers[0].owner += missing / (beta.square() * weight(2, z));
    let (outputs, groth16) = opened(&f);
    let gamma = gamma(&z);
    let claimed = c * (outputs.a + gamma * outputs.delta);
    let rest: Vec<Fr> =
        old.iter().zip(&new).map(|(o, n)| *o + gamma * (*n - *o) - claimed).collect();
    let proof = BatchProof {
        h: outputs.h,
        a: outputs.a,
        delta: outputs.delta,
        z_s: outputs.z_s,
        q: G1Affine::identity(),
        w: quotient_by(&stage, f.batch.k, &rest, z),
        groth16,
    };
    assert_eq!(stage.holds(&f, &proof, known), BOTH, "a balance from nowhere");
    stage.no_proof("Q at infinity", &post(&f.batch, &proof)).await;
    stage.accepts(&stage.honest(&case)).await;
}

#[tokio::test]
async fn a_proof_for_another_ledger_size_or_domain() {
    let mut stage = Stage::new().await;
    stage.world.transfer(1, 1, 2, 100, 0);
    let case = stage.seal();
    let mut large = case.forgery();
    large.witness.n = Fr::from(32u64);
    let mut foreign = case.forgery();
    foreign.witness.domain += ONE;
    // Index 20 is beyond the ledger of 16; in one of 32 it could be opened.
    let mut beyond = large.clone();
    beyond.witness.transfers[0].to = Fr::from(20u64);
    beyond.batch.data.transfers[0].to = index(20);
    let forgeries = [(large, NO_WITNESS), (foreign, NO_WITNESS), (beyond, NEITHER)];
    stage.has_no_room(&case, &forgeries).await;
}

#[tokio::test]
async fn a_post_of_one_contract_sent_to_another() {
    // The same chain, operator, key and state; only the address differs.
    let mut here = Stage::empty().await;
    let there = here.second().await;
    here.world.open(6, 6, 1);
    let case = here.seal();
    let good = here.honest(&case);
    there.no_proof("proved for another contract", &good).await;
    here.accepts(&good).await;
    let mut f = case.forgery();
    f.witness.domain = there.domain;
    let (own, drawn) = there.prove(&f, None);
    assert_eq!(there.holds(&f, &own, drawn), BOTH);
    there.accepts(&post(&f.batch, &own)).await;
}

#[tokio::test]
async fn an_empty_batch_posted_again_under_the_next_number() {
    // Nothing happens in it, so that root, data and queue are the same again.
    let mut stage = Stage::new().await;
    let case = stage.seal();
    let first = stage.honest(&case);
    stage.accepts(&first).await;
    assert!(matches!(stage.refusal(&first).await, E::WrongBatchNumber(_)));
    let again = Post { batchNumber: first.batchNumber + 1, ..first };
    stage.no_proof("an empty batch again", &again).await;
    let case = stage.seal();
    stage.accepts(&stage.honest(&case)).await;
}

#[tokio::test]
async fn growth_to_a_ledger_with_one_account_more_and_a_good_batch_on_it() {
    let mut stage = Stage::new().await;
    stage.world.grow();
    stage.world.transfer(1, 1, 2, 100, 0);
    let case = stage.seal();
    // The batch is honest, on a grown state in which account 20 is rich.
    let mut f = case.forgery();
    let rich = Account { balance: 1_000_000, ..f.before.get(index(1)) };
    f.before.set(index(20), rich);
    f.batch.old = f.before.commit(&stage.keys.lagrange(f.batch.k).unwrap());
    f.commit_to(&stage, 20, |account| *account = rich);
    let (proof, drawn) = stage.prove(&f, None);
    assert_eq!(stage.holds(&f, &proof, drawn), BOTH, "the batch's own check is satisfied");
    let refused = stage.refusal(&post(&f.batch, &proof)).await;
    assert!(matches!(refused, E::GrowthRejected(_)), "{refused:?}");
    // The account is there, but not in what growth shows.
    let mut shown = f.clone();
    shown.batch.old = case.batch.old;
    let (proof, drawn) = stage.prove(&shown, None);
    assert_eq!(stage.holds(&shown, &proof, drawn), NO_STATE);
    stage.no_proof("grown behind the growth", &post(&shown.batch, &proof)).await;
    let good = stage.honest(&case);
    let beside = Post { grow: false, grownC: [alloy::primitives::U256::ZERO; 6], ..good.clone() };
    stage.no_proof("the grown batch without growth", &beside).await;
    stage.accepts(&good).await;
}

#[tokio::test]
async fn a_real_proof_for_another_key_number_or_queue_range() {
    let mut stage = Stage::new().await;
    stage.world.transfer(1, 1, 2, 100, 0);
    let case = stage.seal();
    let f = case.forgery();
    let mut others = vec![f.statement(&stage); 5];
    others[0].vk_hash[0] ^= 1;
    others[1].number += 1;
    (others[2].first, others[2].end) = (0, 0);
    others[3].old = others[3].new;
    others[4].domain = Fr::from(1u64);
    for (number, other) in others.iter().enumerate() {
        let (proof, _) = stage.prove_for(&f, other, None);
        stage.no_proof(&format!("statement {number}"), &post(&f.batch, &proof)).await;
    }
    stage.accepts(&stage.honest(&case)).await;
}

#[tokio::test]
async fn an_account_opened_at_index_0_or_beyond_the_ledger() {
    // The contract does not look at an open's index: the circuit's table must.
    let mut stage = Stage::new().await;
    stage.world.open(6, 6, 1);
    let case = stage.seal();
    let key = &stage.keys.verification;
    // At index 0, with 0 in the table twice, and with the open left out of it.
    for filler in [Fr::ZERO, -ONE] {
        let mut f = case.forgery();
        f.witness.opens[0].index = Fr::ZERO;
        let six = f.witness.touched.pop();
        assert_eq!(six, Some(Fr::from(6u64)));
        let at = f.witness.touched.len() - 1;
        f.witness.touched.insert(at, filler);
        let mut elements = f.batch.data.elements(&key.shape);
        elements[0] -= two_to(176) * Fr::from(6u64);
        let mut data = f.batch.data.encode();
        data[10..14].fill(0);
        let mut statement = f.statement(&stage);
        statement.data_hash = keccak256(&[&data]);
        for fixed in [None, Some(known())] {
            let (proof, (beta, z)) = stage.prove_for(&f, &statement, fixed);
            let challenges = Challenges { beta, z, gamma: gamma(&z) };
            let y = evaluate(&elements, z);
            let holds = equations_that_hold(key, &statement, &challenges, y, &proof);
            assert!(!holds.0, "the circuit has no place for it");
            let post = Post { data: data.clone().into(), ..post(&f.batch, &proof) };
            stage.no_proof("index 0", &post).await;
        }
    }
    let mut f = case.forgery();
    f.witness.opens[0].index = Fr::from(20u64);
    f.batch.data.opens[0].index = index(20);
    f.relist();
    stage.has_no_room(&case, &[(f, NEITHER)]).await;
}
