//! A contributor who does as it likes, with secrets of its choice. Made of the format's definition
//! alone, not of the code under test.

use ark_bn254::{Fr, G1Affine};
use ark_ec::CurveGroup;
use ark_ff::{Field, UniformRand};
use blake2::{Blake2b512, Digest};
use kerros_protocol::encoding::{g1_to_be, g2_to_be};
use kerros_setup::snark_rng::hash_to_g2;
use kerros_setup::zkey::{Contribution, Zkey};
use rand::rngs::OsRng;

/// A contribution whose parts need not be made of one secret.
#[derive(Clone, Copy)]
pub struct Step {
    /// Of `g1_sx`.
    pub g1: Fr,
    /// Of `g2_spx`.
    pub g2: Fr,
    /// What δ is multiplied by, in the transcript and in the key.
    pub delta: Fr,
    /// What C is divided by.
    pub c: Fr,
    /// What H is divided by.
    pub h: Fr,
}

impl Step {
    /// An honest one.
    pub fn of(secret: Fr) -> Self {
        Self { g1: secret, g2: secret, delta: secret, c: secret, h: secret }
    }

    /// Makes the step.
    pub fn take(&self, key: &Zkey) -> Zkey {
        self.take_with(key, G1Affine::rand(&mut OsRng))
    }

    /// Makes the step with a base of its choice for the proof in G1.
    pub fn take_with(&self, key: &Zkey, g1_s: G1Affine) -> Zkey {
        let mut key = key.clone();
        let times = |point: G1Affine, factor: Fr| (point * factor).into_affine();
        let divided = |points: &mut [G1Affine], by: Fr| {
            let inverse = by.inverse().expect("not zero");
            points.iter_mut().for_each(|point| *point = times(*point, inverse));
        };
        divided(&mut key.c, self.c);
        divided(&mut key.h, self.h);
        key.delta1 = times(key.delta1, self.delta);
        key.delta2 = (key.delta2 * self.delta).into_affine();
        let g1_sx = times(g1_s, self.g1);
        let transcript = transcript(&key, &g1_s, &g1_sx);
        key.contributions.push(Contribution {
            delta_after: key.delta1,
            g1_s,
            g1_sx,
            g2_spx: (hash_to_g2(&transcript) * self.g2).into_affine(),
            transcript,
            name: "forger".to_owned(),
            beacon: None,
        });
        key
    }
}

fn transcript(key: &Zkey, g1_s: &G1Affine, g1_sx: &G1Affine) -> [u8; 64] {
    let mut hasher = Blake2b512::new_with_prefix(key.circuit_hash);
    for step in &key.contributions {
        for point in [step.delta_after, step.g1_s, step.g1_sx] {
            hasher.update(g1_to_be(&point));
        }
        hasher.update(g2_to_be(&step.g2_spx));
        hasher.update(step.transcript);
    }
    hasher.update(g1_to_be(g1_s));
    hasher.update(g1_to_be(g1_sx));
    hasher.finalize().into()
}
