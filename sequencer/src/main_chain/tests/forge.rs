//! Posts that the contract accepts for any data at all, because the trapdoors of their key are
//! known: every point is a known multiple of the generator, so that the one missing point of each
//! equation can be solved for. This shows that the contract's equations, transcript and encodings
//! are the protocol's, written here a second time; it says nothing about the circuit.

use super::data::Data;
use crate::main_chain::{At, Call, MainChain};
use alloy::primitives::{Address, B256, U256, address, keccak256};
use ark_bn254::Fr;
use ark_ff::{BigInteger, Field, PrimeField};
use kerros_verifier::contract::{KeyWords, Post};

/// Multiples of the generators behind the key.
const ALPHA: u64 = 7;
const BETA: u64 = 2;
const DELTA: u64 = 3;
const TAU: u64 = 5;
/// IC_i is (11 + i) times the generator.
const IC: u64 = 11;
/// "tau^n" for each growth: any multiples do, the equation knows no other.
const TAU_POWERS: [u64; 2] = [3, 2];

pub const K_GENESIS: u8 = 2;
pub const K_MAX: u8 = 4;

/// Multiples of G2's generator in EIP-197 order.
pub fn g2(multiple: u64) -> [U256; 4] {
    let words: [&str; 4] = match multiple {
        1 => [
            "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2",
            "1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed",
            "090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b",
            "12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa",
        ],
        2 => [
            "203e205db4f19b37b60121b83a7333706db86431c6d835849957ed8c3928ad79",
            "27dc7234fd11d3e8c36c59277c3e6f149d5cd3cfa9a62aee49f8130962b4b3b9",
            "195e8aa5b7827463722b8c153931579d3505566b4edf48d498e185f0509de152",
            "04bb53b8977e5f92a0bc372742c4830944a59b4fe6b1c0466e2a6dad122b5d2e",
        ],
        3 => [
            "1014772f57bb9742735191cd5dcfe4ebbc04156b6878a0a7c9824f32ffb66e85",
            "06064e784db10e9051e52826e192715e8d7e478cb09a5e0012defa0694fbc7f5",
            "021e2335f3354bb7922ffcc2f38d3323dd9453ac49b55441452aeaca147711b2",
            "058e1d5681b5b9e0074b0f9c8d2c68a069b920d74521e79765036d57666c5597",
        ],
        5 => [
            "0a09ccf561b55fd99d1c1208dee1162457b57ac5af3759d50671e510e428b2a1",
            "2e539c423b302d13f4e5773c603948eaf5db5df8ae8a9a9113708390a06410d8",
            "19b763513924a736e4eebd0d78c91c1bc1d657fee4214057d21414011cfcc763",
            "2f8d9f9ab83727c77a2fec063cb7b6e5eb23044ccf535ad49d46d394fb6f6bf6",
        ],
        _ => panic!("no such multiple was computed"),
    };
    words.map(|word| U256::from_str_radix(word, 16).unwrap())
}

pub fn word(value: Fr) -> U256 {
    U256::from_be_slice(&value.into_bigint().to_bytes_be())
}

pub fn scalar(value: U256) -> Fr {
    Fr::from_be_bytes_mod_order(&value.to_be_bytes::<32>())
}

fn challenge(parts: &[&[u8]]) -> Fr {
    Fr::from_be_bytes_mod_order(keccak256(parts.concat()).as_slice())
}

fn bytes(words: &[U256]) -> Vec<u8> {
    words.iter().flat_map(U256::to_be_bytes::<32>).collect()
}

/// A multiple of G1's generator, by the precompile.
pub async fn g1(chain: &dyn MainChain, multiple: Fr) -> [U256; 2] {
    let input = bytes(&[U256::from(1), U256::from(2), word(multiple)]);
    let to = Some(address!("0000000000000000000000000000000000000007"));
    let call = Call { to, input: input.into(), ..Call::default() };
    let output = chain.call(call, At::Latest).await.unwrap();
    [U256::from_be_slice(&output[..32]), U256::from_be_slice(&output[32..])]
}

/// The key whose trapdoors are known.
pub async fn key(chain: &dyn MainChain, shape: [u32; 5]) -> KeyWords {
    let mut ic = [[U256::ZERO; 2]; 10];
    for (place, multiple) in ic.iter_mut().zip(IC..) {
        *place = g1(chain, Fr::from(multiple)).await;
    }
    KeyWords {
        alpha1: g1(chain, Fr::from(ALPHA)).await,
        beta2: g2(BETA),
        gamma2: g2(1),
        delta2: g2(DELTA),
        ic,
        tau2: g2(TAU),
        shape,
        tau_powers: TAU_POWERS.map(g2).to_vec(),
    }
}

/// The digest of the key, from the protocol's words.
pub fn vk_hash(key: &KeyWords) -> B256 {
    let mut all = bytes(&key.alpha1);
    for part in [&key.beta2, &key.gamma2, &key.delta2] {
        all.extend(bytes(part));
    }
    all.extend(bytes(&key.ic.concat()));
    all.extend(bytes(&key.tau2));
    all.extend(key.shape.iter().flat_map(|capacity| capacity.to_be_bytes()));
    keccak256(all)
}

pub fn domain(chain_id: u64, contract: Address) -> Fr {
    let id = U256::from(chain_id).to_be_bytes::<32>();
    challenge(&[b"kerros.v1", &id, contract.as_slice()])
}

/// The commitments as multiples of the generator, and where the rollup stands.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub commitments: [Fr; 3],
    pub k: u8,
    pub number: u64,
    pub head: u64,
    pub domain: Fr,
    pub vk_hash: B256,
    pub shape: [u32; 5],
}

impl Ledger {
    pub async fn points(chain: &dyn MainChain, commitments: [Fr; 3]) -> [U256; 6] {
        let mut words = [U256::ZERO; 6];
        for (place, multiple) in words.chunks_exact_mut(2).zip(commitments) {
            place.copy_from_slice(&g1(chain, multiple).await);
        }
        words
    }

    pub fn root(points: &[U256; 6], k: u8) -> B256 {
        keccak256([bytes(points), vec![k]].concat())
    }

    /// A batch with this data, to a state drawn from its number; `self` moves on.
    pub async fn forge(
        &mut self,
        chain: &dyn MainChain,
        data: &Data,
        grow: bool,
        beneficiary: Address,
    ) -> Post {
        let old_points = Self::points(chain, self.commitments).await;
        let (mut old, mut opening) = (self.commitments, old_points);
        let mut grown_points = [U256::ZERO; 6];
        if grow {
            let step = usize::from(self.k - K_GENESIS);
            let factor = (Fr::from(TAU_POWERS[step]) + Fr::from(1u64)) / Fr::from(2u64);
            old = old.map(|commitment| commitment * factor);
            grown_points = Self::points(chain, old).await;
            opening = grown_points;
            self.k += 1;
        }
        self.number += 1;
        let fresh =
            |salt: u64| challenge(&[b"test", &self.number.to_be_bytes(), &salt.to_be_bytes()]);
        let new = [fresh(0), fresh(1), fresh(2)];
        let (h, a, delta, z_product, q) = (fresh(3), fresh(4), fresh(5), fresh(6), fresh(7));
        let new_points = Self::points(chain, new).await;
        let q_point = g1(chain, q).await;

        let encoded = data.encode();
        let end = self.head + data.served();
        let ctx = keccak256(
            [
                &bytes(&[word(self.domain)])[..],
                self.vk_hash.as_slice(),
                &self.number.to_be_bytes(),
                Self::root(&opening, self.k).as_slice(),
                Self::root(&new_points, self.k).as_slice(),
                keccak256(&encoded).as_slice(),
                &self.head.to_be_bytes(),
                &end.to_be_bytes(),
                beneficiary.as_slice(),
                &bytes(&[word(h)]),
            ]
            .concat(),
        );
        let beta = challenge(&[b"kerros.v1.beta", ctx.as_slice()]);
        let z = challenge(&[b"kerros.v1.z", &bytes(&[word(beta)]), &bytes(&q_point)]);
        let gamma = challenge(&[b"kerros.v1.gamma", &bytes(&[word(z)])]);
        let (mut y, mut power) = (Fr::from(0u64), Fr::from(1u64));
        for element in data.elements(self.shape) {
            y += element * power;
            power *= z;
        }

        // The opening equation, solved for W.
        let n = Fr::from(1u64 << self.k);
        let c = (z.pow([1 << self.k]) - Fr::from(1u64)) / n;
        let mut e = -z_product * q - (c * a + gamma * c * delta);
        for (power, (before, after)) in (0u64..).zip(old.into_iter().zip(new)) {
            e += beta.pow([power]) * (before + gamma * (after - before));
        }
        let w = e / (Fr::from(TAU) - z);

        // The Groth16 equation with A = 9, B = 2, solved for C.
        let inputs = [Fr::from(1u64), h, beta, z, y, a, delta, z_product, n, self.domain];
        let sum: Fr = inputs.iter().zip(IC..).map(|(input, ic)| *input * Fr::from(ic)).sum();
        let (proof_a, proof_b) = (9u64, 2u64);
        let rest = Fr::from(proof_a * proof_b) - Fr::from(ALPHA * BETA) - sum;
        let proof_c = rest / Fr::from(DELTA);

        let mut proof = [U256::ZERO; 8];
        proof[..2].copy_from_slice(&g1(chain, Fr::from(proof_a)).await);
        proof[2..6].copy_from_slice(&g2(proof_b));
        proof[6..].copy_from_slice(&g1(chain, proof_c).await);
        self.commitments = new;
        self.head = end;
        Post {
            batchNumber: self.number,
            oldC: old_points,
            grownC: grown_points,
            grow,
            newC: new_points,
            h: word(h),
            A: word(a),
            Delta: word(delta),
            Z: word(z_product),
            Q: q_point,
            W: g1(chain, w).await,
            proof,
            beneficiary,
            data: encoded.into(),
        }
    }

    /// An opening of these words at index `index`, which no honest ledger needs to contain.
    pub async fn open(
        &self,
        chain: &dyn MainChain,
        index: u32,
        words: [U256; 3],
    ) -> ([U256; 6], [U256; 2]) {
        let points = Self::points(chain, self.commitments).await;
        let weight = challenge(&[&bytes(&points), &index.to_be_bytes(), &bytes(&words)]);
        let mut value = Fr::from(0u64);
        for (power, (commitment, word)) in (0u64..).zip(self.commitments.into_iter().zip(words)) {
            value += weight.pow([power]) * (commitment - scalar(word));
        }
        let witness = value / (Fr::from(TAU) - point(index));
        (points, g1(chain, witness).await)
    }
}

/// x(i) as the protocol defines it.
fn point(index: u32) -> Fr {
    let mut x = Fr::from(1u64);
    for bit in 0..28u32 {
        if (index >> bit) & 1 == 1 {
            // omega of order 2^(bit + 1)
            let full = Fr::from(5u64).pow((-Fr::from(1u64) / Fr::from(1u64 << 28)).into_bigint());
            x *= full.pow([1 << (27 - bit)]);
        }
    }
    x
}
