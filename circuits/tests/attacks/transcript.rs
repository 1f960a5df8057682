//! Challenges, the verification key and the post: 14, 16 and 23.

use crate::ONE;
use crate::support::*;
use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use kerros_protocol::account::Address;
use kerros_protocol::commitment::Commitments;
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::transcript::{self, BatchProof, Groth16Proof, Statement};
use kerros_protocol::verification_key::{IC_LEN, VerificationKey};

fn statement() -> Statement {
    Statement {
        domain: fr(DOMAIN),
        vk_hash: [1; 32],
        number: 1,
        k: K,
        old: Commitments::empty(),
        new: Commitments::empty(),
        data_hash: [2; 32],
        first: 3,
        end: 4,
        beneficiary: Address([5; 20]),
    }
}

fn other_point() -> G1Affine {
    (G1Projective::generator() * fr(77)).into_affine()
}

#[test]
fn attack_14_challenges_drawn_before_what_they_must_bind() {
    // β binds h and everything the verifier knows, every commitment included.
    let h = fr(6);
    let honest = statement();
    let mut others: Vec<Statement> = vec![honest.clone(); 8];
    others[0].domain += ONE;
    others[1].vk_hash[31] ^= 1;
    others[2].number += 1;
    others[3].k += 1;
    others[4].data_hash[0] ^= 1;
    others[5].first += 1;
    others[6].end += 1;
    others[7].beneficiary.0[19] ^= 1;
    for j in 0..3 {
        let (mut old, mut new) = (honest.clone(), honest.clone());
        old.old.0[j] = other_point();
        new.new.0[j] = other_point();
        others.extend([old, new]);
    }
    let mut betas = vec![honest.beta(&h), honest.beta(&(h + ONE))];
    betas.extend(others.iter().map(|statement| statement.beta(&h)));
    let count = betas.len();
    betas.sort_unstable();
    betas.dedup();
    assert_eq!(betas.len(), count, "every part changes β, each differently");
    // z binds β and Q, γ binds z.
    let beta = betas[0];
    let z = transcript::z(&beta, &G1Affine::identity());
    assert_ne!(z, transcript::z(&(beta + ONE), &G1Affine::identity()));
    assert_ne!(z, transcript::z(&beta, &other_point()));
    assert_ne!(transcript::gamma(&z), transcript::gamma(&(z + ONE)));
}

fn proof() -> BatchProof {
    let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
    BatchProof {
        h: fr(1),
        a: fr(2),
        delta: fr(3),
        z_s: fr(4),
        q: g1,
        w: g1,
        groth16: Groth16Proof { a: g1, b: g2, c: g1 },
    }
}

#[test]
fn attack_14_rho_is_drawn_after_both_proofs() {
    let z = fr(9);
    let honest = proof();
    let mut others = [honest; 8];
    others[0].h += ONE;
    others[1].a += ONE;
    others[2].delta += ONE;
    others[3].z_s += ONE;
    others[4].w = other_point();
    others[5].groth16.a = other_point();
    others[6].groth16.b = -others[6].groth16.b;
    others[7].groth16.c = other_point();
    let mut rhos: Vec<Fr> = others.iter().map(|proof| proof.rho(&z)).collect();
    rhos.extend([honest.rho(&z), honest.rho(&(z + ONE))]);
    let count = rhos.len();
    rhos.sort_unstable();
    rhos.dedup();
    assert_eq!(rhos.len(), count);
    // Q needs no place of its own: z binds it.
    let swapped = BatchProof { q: other_point(), ..honest };
    assert_eq!(swapped.rho(&z), honest.rho(&z));
    assert_ne!(transcript::z(&ONE, &swapped.q), transcript::z(&ONE, &honest.q));
}

#[test]
fn attack_16_a_key_with_gamma_equal_delta() {
    let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
    let good = VerificationKey {
        development: true,
        shape: shape(),
        alpha1: g1,
        beta2: -g2,
        delta2: (g2 * Fr::from(2u64)).into(),
        ic: [g1; IC_LEN],
        k_genesis: 4,
        tau_powers: vec![g2; 5],
    };
    assert!(VerificationKey::decode(&good.encode()).is_ok());
    // Equal x, both of them: C of a proof could cancel the inputs. At infinity C counts for nothing.
    for delta2 in [good.gamma2(), -good.gamma2(), G2Affine::identity()] {
        let bad = VerificationKey { delta2, ..good.clone() };
        assert!(VerificationKey::decode(&bad.encode()).is_err());
    }
    for bad in [
        VerificationKey { alpha1: G1Affine::identity(), ..good.clone() },
        VerificationKey { beta2: G2Affine::identity(), ..good.clone() },
        VerificationKey { tau_powers: vec![G2Affine::identity(); 5], ..good.clone() },
    ] {
        assert!(VerificationKey::decode(&bad.encode()).is_err());
    }
    // A flag has one form: the digest that follows is right.
    let mut other = good.encode();
    other[12] = 2;
    let end = other.len() - 32;
    let digest = *blake3::hash(&other[..end]).as_bytes();
    other[end..].copy_from_slice(&digest);
    let out_of_range = DecodeError::OutOfRange { what: "development", value: 2, min: 0, max: 1 };
    assert_eq!(VerificationKey::decode(&other), Err(out_of_range));
}

#[test]
fn attack_23_a_copied_post_with_another_beneficiary() {
    let (h, mut copied) = (fr(6), statement());
    copied.beneficiary = Address([0x66; 20]);
    assert_ne!(copied.beta(&h), statement().beta(&h));
}
