//! The transcript: ctx, β, z, γ, ρ and the ONE order of public inputs (SPEC.md section 5).
//!
//! Labels are ASCII; field elements, digests and coordinates 32 bytes big-endian; G1 x‖y; G2 in
//! EIP-197 order; numbers of batches and queue entries uint64; addresses 20 bytes. The contract
//! computes the same values from the same bytes.

use crate::account::{AccountIndex, Address};
use crate::commitment::{Commitments, Root};
use crate::encoding::{DecodeError, Reader, fr_to_be, g1_to_be, g2_to_be, keccak_to_fr, keccak256};
use crate::verification_key::VerificationKey;
use ark_bn254::{Fr, G1Affine, G2Affine};

/// Names of the Groth16 public inputs, in order.
pub const PUBLIC_INPUTS: [&str; 9] = ["h", "beta", "z", "y", "A", "Delta", "Z", "n", "domain"];

/// `domain = keccak("kerros.v1" ‖ chainid uint256 ‖ contract 20) mod r`.
pub fn domain(chain_id: u64, contract: &Address) -> Fr {
    let mut id = [0u8; 32];
    id[24..].copy_from_slice(&chain_id.to_be_bytes());
    keccak_to_fr(&[b"kerros.v1", &id, &contract.0])
}

/// What a batch claims, all of it known to the verifier before any proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Chain and contract.
    pub domain: Fr,
    /// [`VerificationKey::hash`].
    pub vk_hash: [u8; 32],
    /// Number of the batch.
    pub number: u64,
    /// Exponent of the ledger's size (after growth).
    pub k: u8,
    /// Commitments before the batch (after growth).
    pub old: Commitments,
    /// Commitments after the batch.
    pub new: Commitments,
    /// keccak of the batch data.
    pub data_hash: [u8; 32],
    /// First queue entry consumed.
    pub first: u64,
    /// First queue entry not consumed.
    pub end: u64,
    /// Address credited with entry fees.
    pub beneficiary: Address,
}

impl Statement {
    /// Root before the batch (after growth).
    pub fn old_root(&self) -> Root {
        self.old.root(self.k)
    }
    /// Root after the batch.
    pub fn new_root(&self) -> Root {
        self.new.root(self.k)
    }
    /// `keccak(domain ‖ vkHash ‖ batchNumber ‖ oldRoot ‖ newRoot ‖ keccak(data) ‖ first ‖ end ‖
    /// beneficiary ‖ h)`.
    pub fn context(&self, h: &Fr) -> [u8; 32] {
        keccak256(&[
            &fr_to_be(&self.domain),
            &self.vk_hash,
            &self.number.to_be_bytes(),
            &self.old_root().0,
            &self.new_root().0,
            &self.data_hash,
            &self.first.to_be_bytes(),
            &self.end.to_be_bytes(),
            &self.beneficiary.0,
            &fr_to_be(h),
        ])
    }
    /// β, drawn after h and all commitments.
    pub fn beta(&self, h: &Fr) -> Fr {
        keccak_to_fr(&[b"kerros.v1.beta", &self.context(h)])
    }
    /// n as a public input.
    pub fn ledger_size(&self) -> Fr {
        Fr::from(1u64 << self.k)
    }
}

/// z, drawn after β and Q.
pub fn z(beta: &Fr, q: &G1Affine) -> Fr {
    keccak_to_fr(&[b"kerros.v1.z", &fr_to_be(beta), &g1_to_be(q)])
}

/// γ, drawn after z.
pub fn gamma(z: &Fr) -> Fr {
    keccak_to_fr(&[b"kerros.v1.gamma", &fr_to_be(z)])
}

/// The scalar that batches the three equations of growth, k before growth.
pub fn growth_scalar(before: &Commitments, after: &Commitments, k: u8) -> Fr {
    keccak_to_fr(&[b"kerros.v1.grow", &before.to_be(), &after.to_be(), &[k]])
}

/// δ of an escape: the scalar that batches the openings of an account's three words.
pub fn escape(commitments: &Commitments, index: AccountIndex, words: &[Fr; 3]) -> Fr {
    let [w0, w1, w2] = words.map(|word| fr_to_be(&word));
    keccak_to_fr(&[&commitments.to_be(), &index.get().to_be_bytes(), &w0, &w1, &w2])
}

/// A Groth16 proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groth16Proof {
    /// `[A]_1`.
    pub a: G1Affine,
    /// `[B]_2`.
    pub b: G2Affine,
    /// `[C]_1`.
    pub c: G1Affine,
}

/// What a prover returns for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchProof {
    /// Hash of the bound witness, a circuit output.
    pub h: Fr,
    /// A, a circuit output: `Σ o_i·x_i/(z − x_i)`.
    pub a: Fr,
    /// Δ, a circuit output: `Σ δ_i·x_i/(z − x_i)`.
    pub delta: Fr,
    /// Z, a circuit output: `Π (z − x_i)`.
    pub z_s: Fr,
    /// Quotient commitment.
    pub q: G1Affine,
    /// Opening proof at z.
    pub w: G1Affine,
    /// The circuit's proof.
    pub groth16: Groth16Proof,
}

impl BatchProof {
    /// Bytes of [`BatchProof::encode`].
    pub const LEN: usize = 4 * 32 + 2 * 64 + 256;

    /// h ‖ A ‖ Δ ‖ Z ‖ Q ‖ W ‖ proof A ‖ B ‖ C.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::LEN);
        for value in [&self.h, &self.a, &self.delta, &self.z_s] {
            out.extend_from_slice(&fr_to_be(value));
        }
        out.extend_from_slice(&g1_to_be(&self.q));
        out.extend_from_slice(&g1_to_be(&self.w));
        out.extend_from_slice(&self.groth16.to_be());
        out
    }
    /// Reads [`BatchProof::encode`]; every element canonical, every point in its group.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let proof = Self {
            h: r.take_fr("h")?,
            a: r.take_fr("A")?,
            delta: r.take_fr("Delta")?,
            z_s: r.take_fr("Z")?,
            q: r.take_g1("Q")?,
            w: r.take_g1("W")?,
            groth16: Groth16Proof {
                a: r.take_g1("proof A")?,
                b: r.take_g2("proof B")?,
                c: r.take_g1("proof C")?,
            },
        };
        r.finish("batch proof")?;
        Ok(proof)
    }
    /// ρ, which merges the Groth16 and the KZG equation into one pairing product.
    pub fn rho(&self, z: &Fr) -> Fr {
        keccak_to_fr(&[
            b"kerros.v1.rho",
            &fr_to_be(z),
            &self.groth16.to_be(),
            &g1_to_be(&self.w),
            &fr_to_be(&self.a),
            &fr_to_be(&self.delta),
            &fr_to_be(&self.z_s),
            &fr_to_be(&self.h),
        ])
    }
}

impl Groth16Proof {
    /// A ‖ B ‖ C, 256 bytes.
    pub fn to_be(&self) -> [u8; 256] {
        let mut out = [0u8; 256];
        out[..64].copy_from_slice(&g1_to_be(&self.a));
        out[64..192].copy_from_slice(&g2_to_be(&self.b));
        out[192..].copy_from_slice(&g1_to_be(&self.c));
        out
    }
}

/// The challenges of one batch, in the order they are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenges {
    /// Combines words, columns and postings.
    pub beta: Fr,
    /// Where polynomials and the grand product are evaluated.
    pub z: Fr,
    /// Combines opening and update.
    pub gamma: Fr,
}

impl Challenges {
    /// Draws all three as the verifier does.
    pub fn draw(statement: &Statement, h: &Fr, q: &G1Affine) -> Self {
        let beta = statement.beta(h);
        let z = z(&beta, q);
        Self { beta, z, gamma: gamma(&z) }
    }
}

/// `[h, β, z, y, A, Δ, Z, n, domain]`.
pub fn public_inputs(
    statement: &Statement,
    challenges: &Challenges,
    y: Fr,
    proof: &BatchProof,
) -> [Fr; PUBLIC_INPUTS.len()] {
    [
        proof.h,
        challenges.beta,
        challenges.z,
        y,
        proof.a,
        proof.delta,
        proof.z_s,
        statement.ledger_size(),
        statement.domain,
    ]
}

/// The statement of a batch under a key.
pub fn statement(
    key: &VerificationKey,
    domain: Fr,
    batch: &crate::batch::SealedBatch,
) -> Statement {
    Statement {
        domain,
        vk_hash: key.hash(),
        number: batch.number,
        k: batch.k,
        old: batch.old,
        new: batch.new,
        data_hash: keccak256(&[&batch.data.encode()]),
        first: batch.first,
        end: batch.end,
        beneficiary: batch.beneficiary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::{AffineRepr, CurveGroup};

    #[test]
    fn a_proof_is_read_back_and_nothing_may_follow_it() {
        let fr = |n: u64| Fr::from(n);
        let g1 = |n| (G1Affine::generator() * fr(n)).into_affine();
        let b = (G2Affine::generator() * fr(8)).into_affine();
        let groth16 = Groth16Proof { a: g1(7), b, c: g1(9) };
        let [h, a, delta, z_s] = [1, 2, 3, 4].map(fr);
        let proof = BatchProof { h, a, delta, z_s, q: g1(5), w: g1(6), groth16 };
        let bytes = proof.encode();
        assert_eq!(bytes.len(), BatchProof::LEN);
        assert_eq!(BatchProof::decode(&bytes), Ok(proof));
        assert!(BatchProof::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(BatchProof::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn the_ledgers_size_is_two_to_the_k() {
        let (commitments, beneficiary) = (Commitments::empty(), Address::ZERO);
        let statement = Statement {
            domain: Fr::from(1u64),
            vk_hash: [0; 32],
            number: 1,
            k: 28,
            old: commitments,
            new: commitments,
            data_hash: [0; 32],
            first: 0,
            end: 0,
            beneficiary,
        };
        assert_eq!(statement.ledger_size(), Fr::from(1u64 << 28));
    }

    #[test]
    fn a_domain_is_of_one_chain_and_one_contract() {
        let of = |chain, contract| domain(chain, &Address([contract; 20]));
        assert_ne!(of(1, 1), of(2, 1));
        assert_ne!(of(1, 1), of(1, 2));
    }
}
