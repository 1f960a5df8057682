//! A step of phase 2 in the transcript.
//!
//! `[δ]_1 after ‖ [s]_1 ‖ [s·x]_1 ‖ [s'·x]_2 ‖ transcript hash 64 ‖ type 4 ‖ length 4 ‖ parameters`. Parameters
//! are `1 ‖ length ‖ name`, `2 ‖ exponent` and `3 ‖ length ‖ beacon`, each at most once and in this
//! order; the last two are there for a beacon and for nothing else.

use super::{TRANSCRIPT, single};
use crate::binfile::Reader;
use crate::error::FormatError;
use crate::point;
use ark_bn254::{G1Affine, G2Affine};

const BY_SECRET: u32 = 0;
const BY_BEACON: u32 = 1;
const NAME: u8 = 1;
const EXPONENT: u8 = 2;
const BEACON: u8 = 3;

/// Public randomness that a step was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beacon {
    /// The value is hashed 2^this times.
    pub iterations_exponent: u8,
    /// The value, at most 255 bytes.
    pub value: Vec<u8>,
}

/// A step of phase 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// `[δ]_1` after the step.
    pub delta_after: G1Affine,
    /// `[s]_1`.
    pub g1_s: G1Affine,
    /// `[s·x]_1`, x the step's secret.
    pub g1_sx: G1Affine,
    /// `x` times the point of G2 that the transcript hash stands for.
    pub g2_spx: G2Affine,
    /// blake2b of all before this step, and of the first two points.
    pub transcript: [u8; 64],
    /// Who says to have made it, at most 255 bytes; empty if nobody does. Anything may stand here.
    pub name: String,
    /// The beacon that it was made of, if of any.
    pub beacon: Option<Beacon>,
}

pub(super) fn read_all(section: &[u8]) -> Result<Vec<Contribution>, FormatError> {
    let mut reader = Reader::new(section);
    reader.take("circuit hash", 64)?;
    let count = reader.u32("number of contributions")?;
    let contributions =
        (0..count as usize).map(|index| read(&mut reader, index)).collect::<Result<Vec<_>, _>>()?;
    match reader.remaining() as u64 {
        0 => Ok(contributions),
        extra => {
            let found = section.len() as u64;
            Err(FormatError::Length { section: TRANSCRIPT, expected: found - extra, found })
        }
    }
}

fn read(reader: &mut Reader, index: usize) -> Result<Contribution, FormatError> {
    let delta_after = single(reader, TRANSCRIPT, "delta of contribution", index)?;
    let g1_s = single(reader, TRANSCRIPT, "s of contribution", index)?;
    let g1_sx = single(reader, TRANSCRIPT, "sx of contribution", index)?;
    let g2_spx = single(reader, TRANSCRIPT, "spx of contribution", index)?;
    let transcript = reader.array("transcript hash")?;
    let kind = reader.u32("type of contribution")?;
    let length = reader.u32("length of parameters")?;
    let parameters = reader.take("parameters", length.into())?;
    let (name, beacon) = read_parameters(kind, parameters, index)?;
    Ok(Contribution { delta_after, g1_s, g1_sx, g2_spx, transcript, name, beacon })
}

fn read_parameters(
    kind: u32,
    bytes: &[u8],
    index: usize,
) -> Result<(String, Option<Beacon>), FormatError> {
    let refused = |what| FormatError::Contribution { index, what };
    let mut reader = Reader::new(bytes);
    let (mut name, mut exponent, mut value) = (String::new(), None, None);
    let mut last = 0;
    while reader.remaining() > 0 {
        let parameter = reader.u8("parameter")?;
        if parameter <= last {
            return Err(refused("parameters must be sorted"));
        }
        last = parameter;
        match parameter {
            NAME => {
                let length = reader.u8("length of name")?;
                let bytes = reader.take("name", length.into())?.to_vec();
                name = String::from_utf8(bytes).map_err(|_| refused("name is not UTF-8"))?;
                if name.is_empty() {
                    return Err(refused("name is there and empty"));
                }
            }
            EXPONENT => exponent = Some(reader.u8("iterations")?),
            BEACON => {
                let length = reader.u8("length of beacon")?;
                value = Some(reader.take("beacon", length.into())?.to_vec());
            }
            _ => return Err(refused("parameter is none of this format")),
        }
    }
    match (kind, exponent, value) {
        (BY_SECRET, None, None) => Ok((name, None)),
        (BY_BEACON, Some(iterations_exponent), Some(value)) => {
            Ok((name, Some(Beacon { iterations_exponent, value })))
        }
        (BY_SECRET | BY_BEACON, ..) => Err(refused("parameters are not those of its type")),
        _ => Err(refused("type is none of this format")),
    }
}

pub(super) fn encode_all(circuit_hash: &[u8; 64], contributions: &[Contribution]) -> Vec<u8> {
    let mut out = circuit_hash.to_vec();
    let count = u32::try_from(contributions.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    for contribution in contributions {
        contribution.encode(&mut out);
    }
    out
}

fn put_bytes(out: &mut Vec<u8>, parameter: u8, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(u8::MAX.into())];
    out.extend_from_slice(&[parameter, bytes.len() as u8]);
    out.extend_from_slice(bytes);
}

impl Contribution {
    fn encode(&self, out: &mut Vec<u8>) {
        let written = "a vector takes everything";
        for point in [&self.delta_after, &self.g1_s, &self.g1_sx] {
            point::put(out, point).expect(written);
        }
        point::put(out, &self.g2_spx).expect(written);
        out.extend_from_slice(&self.transcript);
        let mut parameters = Vec::new();
        if !self.name.is_empty() {
            put_bytes(&mut parameters, NAME, self.name.as_bytes());
        }
        if let Some(Beacon { iterations_exponent, value }) = &self.beacon {
            parameters.extend_from_slice(&[EXPONENT, *iterations_exponent]);
            put_bytes(&mut parameters, BEACON, value);
        }
        let kind = if self.beacon.is_some() { BY_BEACON } else { BY_SECRET };
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&(parameters.len() as u32).to_le_bytes());
        out.extend_from_slice(&parameters);
    }
}
