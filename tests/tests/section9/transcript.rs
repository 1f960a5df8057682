//! Challenges, the queue behind them, growth and the post: 12, 14, 18 and 23.

use crate::stage::{BOTH, Forgery, ONE, Stage, known, weight};
use ark_bn254::{Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::account::{Account, AccountKey};
use kerros_protocol::batch::evaluate;
use kerros_protocol::commitment::point;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::{self, BatchProof, gamma};
use kerros_prover::basis::Basis;
use kerros_tests::world::{index, key};
use kerros_verifier::contract::{Kerros, KerrosErrors as E, Post};
use kerros_verifier::post::post;

/// F's values by index.
pub fn values(ledger: &Ledger, beta: Fr) -> Vec<Fr> {
    (0..ledger.size())
        .map(|i| if i == 0 { Fr::ZERO } else { ledger.get(index(i)).combine(beta) })
        .collect()
}

/// F(z).
pub fn at(values: &[Fr], z: Fr) -> Fr {
    let n = Fr::from(values.len() as u64);
    let c = (z.pow([values.len() as u64]) - ONE) / n;
    (0..).zip(values).map(|(i, value)| *value * c * weight(i, z)).sum()
}

/// `(z^n − 1)/n`.
pub fn c(k: u8, z: Fr) -> Fr {
    (z.pow([1u64 << k]) - ONE) / Fr::from(1u64 << k)
}

/// The opening of a polynomial that vanishes at z, by its values.
pub fn quotient_by(stage: &Stage, k: u8, values: &[Fr], z: Fr) -> G1Affine {
    let divided: Vec<Fr> = (0..).zip(values).map(|(i, value)| *value / (point(i) - z)).collect();
    stage.keys.points(k).unwrap().kernels.commit(&divided)
}

/// Account 2 pays out of a balance that it never had: the circuit is content, the state is not.
async fn overdraft() -> (Stage, crate::stage::Case, Forgery) {
    let mut stage = Stage::new().await;
    stage.world.transfer(2, 2, 1, 400, 0);
    let case = stage.seal();
    let mut f = case.forgery();
    f.witness.transfers[0].before += Fr::from(1_000_000u64);
    (stage, case, f)
}

#[tokio::test]
async fn attack_14_z_drawn_before_q() {
    // A wrong A is made good by a Q that is solved for at a known z: a constant. W is then honest.
    let (stage, case, f) = overdraft().await;
    let (beta, z) = known();
    let (outputs, groth16) = stage.groth16(&f.witness, |_| (beta, z));
    let (old, new) = (values(&f.before, beta), values(&f.after, beta));
    let c = c(f.batch.k, z);
    let constant = (at(&old, z) - c * outputs.a) / outputs.z_s;
    let q = (G1Affine::generator() * constant).into_affine();
    let gamma = gamma(&z);
    let rest = |i: usize| {
        let claimed = outputs.z_s * constant + c * (outputs.a + gamma * outputs.delta);
        old[i] + gamma * (new[i] - old[i]) - claimed
    };
    let rest: Vec<Fr> = (0..old.len()).map(rest).collect();
    let w = quotient_by(&stage, f.batch.k, &rest, z);
    let (h, a, delta, z_s) = (outputs.h, outputs.a, outputs.delta, outputs.z_s);
    let proof = BatchProof { h, a, delta, z_s, q, w, groth16 };
    assert_eq!(stage.holds(&f, &proof, (beta, z)), BOTH, "a balance from nowhere");
    let real = f.statement(&stage).beta(&h);
    assert_ne!(transcript::z(&real, &q), z);
    stage.no_proof("Q solved for", &post(&f.batch, &proof)).await;
    // The same with W at infinity, for which all of E must vanish.
    let mut flat = proof;
    flat.w = G1Affine::identity();
    let mut sum = G1Affine::generator() * (-c * (a + gamma * delta));
    let mut power = ONE;
    for (old, new) in f.batch.old.0.iter().zip(&f.batch.new.0) {
        sum += (*old * (ONE - gamma) + *new * gamma) * power;
        power *= beta;
    }
    flat.q = (sum * z_s.inverse().unwrap()).into_affine();
    assert_eq!(stage.holds(&f, &flat, (beta, z)), BOTH);
    stage.no_proof("Q solved for, W at infinity", &post(&f.batch, &flat)).await;
    stage.accepts(&stage.honest(&case)).await;
}

#[tokio::test]
async fn attack_14_challenges_drawn_before_the_new_commitments() {
    // The state that is committed to has a rich account 6; a constant in f_0 makes F' − F right at z.
    let mut stage = Stage::new().await;
    stage.world.transfer(1, 1, 2, 100, 0);
    let case = stage.seal();
    let (beta, z) = known();
    let mut f = case.forgery();
    let rich = Account { balance: 1_000_000, ..f.after.get(index(1)) };
    f.commit_to(&stage, 6, |account| *account = rich);
    let honest = (values(&case.executed.after, beta), values(&f.after, beta));
    let constant = at(&honest.0, z) - at(&honest.1, z);
    f.batch.new.0[0] = (f.batch.new.0[0] + G1Affine::generator() * constant).into_affine();
    let (mut proof, _) = stage.prove(&f, Some((beta, z)));
    // What the constant and the rich account add to the polynomial that is opened.
    let gamma = gamma(&z);
    let added: Vec<Fr> =
        (0..honest.0.len()).map(|i| gamma * (honest.1[i] - honest.0[i] + constant)).collect();
    let more = quotient_by(&stage, f.batch.k, &added, z);
    proof.w = (proof.w + more).into_affine();
    assert_eq!(stage.holds(&f, &proof, (beta, z)), BOTH, "an account from nowhere");
    stage.no_proof("C' solved for", &post(&f.batch, &proof)).await;
    stage.accepts(&stage.honest(&case)).await;
}

#[tokio::test]
async fn attack_14_other_data_of_equal_evaluation() {
    // Two opens' keys change so that y stays, at the z that the honest proof has.
    let mut stage = Stage::new().await;
    stage.world.open(6, 6, 1);
    stage.world.open(7, 7, 1);
    let case = stage.seal();
    let f = case.forgery();
    let (proof, drawn @ (_, z)) = stage.prove(&f, None);
    assert_eq!(stage.holds(&f, &proof, drawn), BOTH);
    let mut other = f.clone();
    let shifted = |key: AccountKey, by: Fr| AccountKey::new(key.get() + by).unwrap();
    let opens = &mut other.batch.data.opens;
    opens[0].key = shifted(opens[0].key, z.square());
    opens[1].key = shifted(opens[1].key, -ONE);
    let shape = &stage.keys.verification.shape;
    let y = |f: &Forgery| evaluate(&f.batch.data.elements(shape), z);
    assert_eq!(y(&other), y(&f));
    assert_eq!(stage.holds(&other, &proof, drawn), BOTH, "at that z it is the same batch");
    stage.no_proof("other data", &post(&other.batch, &proof)).await;
    stage.accepts(&post(&case.batch, &proof)).await;
}

#[tokio::test]
async fn attack_18_queue_contents_that_are_enqueued_once_z_is_known() {
    // A good proof of a batch in which wallet 7 deposits a million. Then wallet 7 deposits 1, for a key
    // that makes up for it in y.
    let mut stage = Stage::new().await;
    let mut dreamt = stage.world.clone();
    dreamt.open(7, 7, 1);
    dreamt.deposit(7, 7, 1, 1_000_000);
    let awake = std::mem::replace(&mut stage.world, dreamt);
    let dream = stage.seal();
    stage.world = awake;
    let f = dream.forgery();
    let (proof, drawn @ (_, z)) = stage.prove(&f, None);
    assert_eq!(stage.holds(&f, &proof, drawn), BOTH, "nothing but the queue is wrong");

    let mut real = f.clone();
    let record = &mut real.batch.data.deposits[0];
    let saved = Fr::from(u128::from(record.amount - 1) << 16);
    record.amount = 1;
    record.key = AccountKey::new(key(7).get() + saved / z).unwrap();
    stage.chain.deposit_for(7, 1, 1, record.key).await;
    let shape = &stage.keys.verification.shape;
    let y = |f: &Forgery| evaluate(&f.batch.data.elements(shape), z);
    assert_eq!(y(&real), y(&f));
    assert_eq!(stage.holds(&real, &proof, drawn), BOTH, "at that z it is the same batch");
    let refused = stage.refusal(&post(&f.batch, &proof)).await;
    assert!(matches!(refused, E::QueueMismatch(_)), "{refused:?}");
    stage.no_proof("the queue's own record", &post(&real.batch, &proof)).await;
    // What the queue holds can be served.
    let key = real.batch.data.deposits[0].key;
    stage.open_for(7, 7, 1, key);
    let case = stage.seal();
    stage.accepts(&stage.honest(&case)).await;
}

#[tokio::test]
async fn attack_12_growth_called_to_kill_proofs_in_flight() {
    // A proof is made; until it is posted nothing but another post could grow the ledger, and nobody
    // but the operator posts.
    let mut stage = Stage::new().await;
    stage.world.transfer(1, 1, 2, 100, 0);
    let mut grown = stage.world.clone();
    let case = stage.seal();
    let in_flight = stage.honest(&case);
    grown.grow();
    std::mem::swap(&mut stage.world, &mut grown);
    let growth = stage.seal();
    assert!(growth.batch.before_growth.is_some());
    let growth = stage.honest(&growth);
    assert!(matches!(stage.refusal_of(9, &growth).await, E::OperatorNotSilent(_)));
    let expected = [
        "claim",
        "claimEther",
        "deposit",
        "escape",
        "forceExit",
        "freeze",
        "post",
        "refund",
        "registerAsset",
    ];
    assert_eq!(changing_functions(), expected, "none but post touches root, size or number");
    stage.accepts(&in_flight).await;
}

/// Names of the contract's functions that can change something, in order.
fn changing_functions() -> Vec<String> {
    let json = include_str!("../../../verifier/contracts/artifacts/Kerros.json");
    let artifact: serde_json::Value = serde_json::from_str(json).unwrap();
    let changing = |entry: &&serde_json::Value| {
        entry["type"] == "function"
            && !["view", "pure"].contains(&entry["stateMutability"].as_str().unwrap())
    };
    let entries = artifact["abi"].as_array().unwrap().iter().filter(changing);
    let mut names: Vec<String> =
        entries.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn attack_23_a_copied_post_takes_the_fees() {
    let mut stage = Stage::new().await;
    stage.chain.deposit(1, 1, 40).await;
    stage.world.deposit(1, 1, 1, 40);
    let case = stage.seal();
    let good = stage.honest(&case);
    let thief = alloy::primitives::Address::from(kerros_tests::world::wallet(9).1.0);
    let copied = Post { beneficiary: thief, ..good.clone() };
    assert!(matches!(stage.refusal_of(9, &copied).await, E::OperatorNotSilent(_)));
    stage.wait(2 * 86_400);
    let refused = stage.refusal_of(9, &copied).await;
    assert!(matches!(refused, E::ProofRejected(_)), "{refused:?}");
    stage.no_proof("the operator's own copy", &copied).await;
    // Copied as it is, it pays whom it names.
    let credit = async |account| stage.chain.ask(Kerros::etherCreditCall(account)).await;
    let before = (credit(thief).await, credit(good.beneficiary).await);
    stage.accepts_from(9, &good).await;
    assert_eq!(credit(thief).await, before.0);
    assert!(credit(good.beneficiary).await > before.1);
}
