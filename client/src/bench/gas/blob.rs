//! What a batch would cost with its transfers in blobs (EIP-4844), from what it costs as calldata.
//!
//! An estimate by the protocol's prices: this contract reads calldata only. Opens, deposits, exits and
//! collects would stay in calldata, since the contract compares them with its queue and credits them. For
//! the transfers, calldata, hash and evaluation go; for each blob, its versioned hash, its commitment, a value and
//! an opening come, checked by the point evaluation precompile at an x drawn after them. The circuit would
//! have to show that its records evaluate to that value, over the field of BLS12-381, so the value comes as
//! two public inputs more, and x as one more.

use super::parts::Measured;

/// Bytes of records in a blob: 4,096 field elements of 31 whole bytes.
pub const BLOB_BYTES: u64 = 4_096 * 31;
/// Blob gas of a blob.
pub const BLOB_GAS: u64 = 131_072;
/// Gas of the point evaluation precompile.
pub const POINT_EVALUATION_GAS: u64 = 50_000;
/// Gas of calling it (EIP-2929, warm) and of BLOBHASH.
const CALL_GAS: u64 = 100 + 3;
/// Calldata of commitment and opening, 48 bytes each, and value, 32, in five words: 16 gas a byte, the
/// 32 bytes of padding 4.
const OPENING_GAS: u64 = (48 + 48 + 32) * 16 + 32 * 4;
/// A blob costs at least so much execution gas at the base fee (EIP-7918).
pub const RESERVE_GAS: u64 = 8_192;

/// A batch with its transfers in blobs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blob {
    /// Bytes in blobs.
    pub bytes: u64,
    /// Blobs.
    pub blobs: u64,
    /// Their blob gas.
    pub blob_gas: u64,
    /// Execution gas that goes.
    pub saved: u64,
    /// Execution gas that comes.
    pub added: u64,
    /// Execution gas of the whole batch.
    pub gas_total: u64,
    /// The price of blob gas, by that of gas, below which blobs cost less; none if they never do.
    pub break_even: Option<f64>,
}

impl Blob {
    /// Of a batch posted as calldata.
    pub fn of(measured: &Measured) -> Self {
        let bytes = measured.transfers_bytes as u64;
        let blobs = bytes.div_ceil(BLOB_BYTES).max(1);
        let blob_gas = blobs * BLOB_GAS;
        let hashing = measured.parts.hashing * bytes / (measured.data_bytes as u64).max(1);
        let evaluation = measured.evaluation_per_transfer * measured.transfers as f64;
        let saved = measured.transfers_calldata
            + hashing
            + evaluation.round() as u64
            + measured.parts.floor_excess;
        let inputs = (1 + 2 * blobs) * measured.input_gas;
        let added = blobs * (POINT_EVALUATION_GAS + CALL_GAS + OPENING_GAS) + inputs;
        let gas_total = (measured.parts.total() + added).saturating_sub(saved);
        let less = saved.checked_sub(added).filter(|less| *less > 0);
        let break_even = less.map(|less| less as f64 / blob_gas as f64);
        Self { bytes, blobs, blob_gas, saved, added, gas_total, break_even }
    }
    /// Share of a batch's cost that blobs save when blob gas has its lowest price (EIP-7918), if they do.
    pub fn saving_at_reserve(&self) -> f64 {
        let calldata = (self.gas_total + self.saved).saturating_sub(self.added) as f64;
        1.0 - (self.gas_total + self.blobs * RESERVE_GAS) as f64 / calldata
    }
}

#[cfg(test)]
mod tests {
    use super::super::parts::Parts;
    use super::*;

    fn measured(transfers: usize) -> Measured {
        let (calldata, evaluation) = (transfers as u64 * 200, transfers as u64 * 90);
        let rest = 400_000;
        Measured {
            parts: Parts { calldata, evaluation, rest, ..Parts::default() },
            floor: 0,
            transfers,
            data_bytes: 10 + 18 * transfers,
            transfers_bytes: 18 * transfers,
            transfers_calldata: calldata,
            evaluation_per_transfer: 90.0,
            input_gas: 6_000,
        }
    }

    #[test]
    fn blobs_save_once_the_transfers_cost_more_than_the_openings() {
        let opening = 50_000 + 103 + 2_176;
        let small = Blob::of(&measured(16));
        assert_eq!((small.blobs, small.saved, small.added), (1, 290 * 16, opening + 3 * 6_000));
        assert_eq!((small.break_even, small.gas_total), (None, 400_000 + small.added));
        assert!(small.saving_at_reserve() < 0.0);

        let large = Blob::of(&measured(7_055));
        assert_eq!((large.blobs, large.blob_gas, large.bytes), (2, 262_144, 126_990));
        assert_eq!((large.saved, large.added), (290 * 7_055, 2 * opening + 5 * 6_000));
        let ratio = (large.saved - large.added) as f64 / 262_144.0;
        assert_eq!((large.break_even, large.gas_total), (Some(ratio), 400_000 + large.added));
        assert!(large.saving_at_reserve() > 0.0);
        assert_eq!(Blob::of(&measured(7_054)).blobs, 1, "126,972 of 126,976 bytes");
    }
}
