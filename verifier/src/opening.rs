//! The escape hatch's check of one account, as the contract makes it (SPEC.md section 7).

use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{Field, One};
use kerros_protocol::commitment::{Commitments, Opening, point};
use kerros_protocol::transcript;
use kerros_protocol::verification_key::VerificationKey;

/// Whether the opening holds against the commitments:
/// `e(Σδ^j·C_j − Σδ^j·w_j·[1]_1 + x(i)·W, [1]_2) = e(W, [τ]_2)`.
pub fn opening_holds(key: &VerificationKey, commitments: &Commitments, opening: &Opening) -> bool {
    let Opening { index, words, witness } = opening;
    let delta = transcript::escape(commitments, *index, words);
    let value = words[0] + delta * (words[1] + delta * words[2]);
    let bases = [&commitments.0[..], &[G1Affine::generator(), *witness]].concat();
    let scalars = [Fr::ONE, delta, delta.square(), -value, point(index.get())];
    let left = G1Projective::msm_unchecked(&bases, &scalars).into_affine();
    let g1 = [left, -*witness];
    Bn254::multi_pairing(g1, [G2Affine::generator(), key.tau2()]).0.is_one()
}
