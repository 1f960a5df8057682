//! The circuit in iden3's `.r1cs`, for snarkjs.

use crate::binfile::{put_head, put_section, write_whole};
use crate::error::FileError;
use ark_bn254::Fr;
use ark_ff::{BigInteger, PrimeField};
use kerros_circuits::builder::{Constraint, INPUT_COUNT};
use std::io::{self, Write};
use std::path::Path;

const KIND: &str = "r1cs";
const HEADER: u32 = 1;
const CONSTRAINTS: u32 = 2;
const LABELS: u32 = 3;
const WORD: u32 = 32;
const HEADER_LEN: u64 = 4 + WORD as u64 + 4 * 4 + 8 + 4;
const TERM_LEN: u64 = 4 + WORD as u64;

/// Writes a circuit. All inputs are public inputs, none is an output; a wire's label is its number.
pub fn write(out: &mut impl Write, constraints: &[Constraint], variables: usize) -> io::Result<()> {
    put_head(out, KIND, 3)?;
    put_section(out, HEADER, HEADER_LEN)?;
    out.write_all(&WORD.to_le_bytes())?;
    out.write_all(&Fr::MODULUS.to_bytes_le())?;
    out.write_all(&number(variables)?)?;
    out.write_all(&0u32.to_le_bytes())?;
    out.write_all(&number(INPUT_COUNT - 1)?)?;
    out.write_all(&0u32.to_le_bytes())?;
    out.write_all(&(variables as u64).to_le_bytes())?;
    out.write_all(&number(constraints.len())?)?;

    let rows = || constraints.iter().flat_map(|c| [&c.a, &c.b, &c.c]);
    let length = rows().map(|terms| 4 + terms.len() as u64 * TERM_LEN).sum();
    put_section(out, CONSTRAINTS, length)?;
    for terms in rows() {
        out.write_all(&number(terms.len())?)?;
        for (variable, coefficient) in terms {
            out.write_all(&variable.to_le_bytes())?;
            out.write_all(&coefficient.into_bigint().to_bytes_le())?;
        }
    }

    put_section(out, LABELS, variables as u64 * 8)?;
    (0..variables as u64).try_for_each(|label| out.write_all(&label.to_le_bytes()))
}

/// Writes a file, whole or not at all.
pub fn save(path: &Path, constraints: &[Constraint], variables: usize) -> Result<(), FileError> {
    write_whole(path, |out| write(out, constraints, variables))
}

fn number(value: usize) -> io::Result<[u8; 4]> {
    let number = u32::try_from(value).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(number.to_le_bytes())
}
