use ark_bn254::Fr;
use ark_ff::{BigInteger, PrimeField};
use kerros_circuits::groth16::Compiled;
use std::path::Path;
pub fn write(c: &Compiled, path: &Path) {
    let mut h = vec![];
    h.extend(32u32.to_le_bytes());
    h.extend(Fr::MODULUS.to_bytes_le());
    for n in [c.variables as u32, 0, 9, c.variables as u32 - 10] {
        h.extend(n.to_le_bytes());
    }
    h.extend((c.variables as u64).to_le_bytes());
    h.extend((c.constraints.len() as u32).to_le_bytes());
    let mut k = vec![];
    for r in &c.constraints {
        for t in [&r.a, &r.b, &r.c] {
            k.extend((t.len() as u32).to_le_bytes());
            for (v, f) in t {
                k.extend(v.to_le_bytes());
                k.extend(f.into_bigint().to_bytes_le());
            }
        }
    }
    let m: Vec<u8> = (0..c.variables as u64).flat_map(|v| v.to_le_bytes()).collect();
    let mut out = b"r1cs".to_vec();
    out.extend(1u32.to_le_bytes());
    out.extend(3u32.to_le_bytes());
    for (i, s) in [(1u32, h), (2, k), (3, m)] {
        out.extend(i.to_le_bytes());
        out.extend((s.len() as u64).to_le_bytes());
        out.extend(s);
    }
    std::fs::write(path, out).unwrap();
}
