//! An account, its parts and its three state words (SPEC.md section 2).
//!
//! This module knows no transition rules and no commitment.

use crate::encoding::{DecodeError, fr_from_be, fr_from_bytes20, fr_to_be};
use crate::limits::{INDEX_BITS, NONCE_BITS};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, Zero};
use std::fmt;

/// Index of an account, `1 ≤ i < 2^28`. 0 is never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountIndex(u32);

impl AccountIndex {
    /// The first index that can be used.
    pub const FIRST: AccountIndex = AccountIndex(1);
    /// The last one.
    pub const LAST: AccountIndex = AccountIndex((1 << INDEX_BITS) - 1);

    /// Checks the range.
    pub fn new(index: u32) -> Result<Self, DecodeError> {
        let max = Self::LAST.0;
        if (1..=max).contains(&index) {
            Ok(Self(index))
        } else {
            Err(DecodeError::OutOfRange {
                what: "account index",
                value: index.into(),
                min: 1,
                max: max.into(),
            })
        }
    }
    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
    /// The number as a position in a vector.
    pub const fn position(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for AccountIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Id of an asset registered on the main chain, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetId(u16);

impl AssetId {
    /// Refuses 0, which stands for "account does not exist".
    pub fn new(id: u16) -> Result<Self, DecodeError> {
        if id == 0 {
            let (value, min, max) = (0, 1, u16::MAX.into());
            return Err(DecodeError::OutOfRange { what: "asset id", value, min, max });
        }
        Ok(Self(id))
    }
    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A 160-bit main-chain address. 0 is allowed here: it marks an empty account's owner.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// The zero address.
    pub const ZERO: Address = Address([0; 20]);

    /// Whether this is the zero address.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 20]
    }
    /// The address as a 160-bit integer in Fr.
    pub fn to_fr(&self) -> Fr {
        fr_from_bytes20(&self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// x-coordinate of a holder's Baby Jubjub public key (circomlib coordinates), never 0.
/// A key that came in by a deposit may belong to no curve point; then nobody can sign for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey(Fr);

impl AccountKey {
    /// Refuses 0.
    pub fn new(x: Fr) -> Result<Self, DecodeError> {
        if x.is_zero() {
            let max = u64::MAX;
            return Err(DecodeError::OutOfRange { what: "account key", value: 0, min: 1, max });
        }
        Ok(Self(x))
    }
    /// Decodes 32 big-endian bytes, below r and not 0.
    pub fn from_be(bytes: &[u8; 32]) -> Result<Self, DecodeError> {
        Self::new(fr_from_be("account key", bytes)?)
    }
    /// 32 bytes, big-endian.
    pub fn to_be(&self) -> [u8; 32] {
        fr_to_be(&self.0)
    }
    /// The field element.
    pub fn get(&self) -> Fr {
        self.0
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.to_be()))
    }
}

/// An account's five fields; [`Account::EMPTY`] is all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Holder's key, 0 only when empty.
    pub key: Fr,
    /// Balance in asset units.
    pub balance: u64,
    /// Signed transactions so far.
    pub nonce: u32,
    /// Asset id; 0 means that the account does not exist.
    pub asset: u16,
    /// Main-chain address for forced exits and the escape hatch.
    pub owner: Address,
}

impl Account {
    /// The account that does not exist.
    pub const EMPTY: Account =
        Account { key: Fr::ZERO, balance: 0, nonce: 0, asset: 0, owner: Address::ZERO };

    /// Length of [`Account::encode`].
    pub const ENCODED_LEN: usize = 32 + 8 + 4 + 2 + 20;

    /// Whether the account does not exist.
    pub fn is_empty(&self) -> bool {
        self.asset == 0
    }
    /// `w0 = key`, `w1 = balance + 2^64·nonce + 2^96·asset`, `w2 = owner`.
    pub fn words(&self) -> [Fr; 3] {
        let low = u128::from(self.balance)
            | (u128::from(self.nonce) << 64)
            | (u128::from(self.asset) << (64 + NONCE_BITS));
        [self.key, Fr::from(low), self.owner.to_fr()]
    }
    /// `Σ β^j·w_j`.
    pub fn combine(&self, beta: Fr) -> Fr {
        let [w0, w1, w2] = self.words();
        w0 + beta * (w1 + beta * w2)
    }
    /// key 32 ‖ balance 8 ‖ nonce 4 ‖ asset 2 ‖ owner 20, big-endian.
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let mut out = [0u8; Self::ENCODED_LEN];
        out[..32].copy_from_slice(&fr_to_be(&self.key));
        out[32..40].copy_from_slice(&self.balance.to_be_bytes());
        out[40..44].copy_from_slice(&self.nonce.to_be_bytes());
        out[44..46].copy_from_slice(&self.asset.to_be_bytes());
        out[46..].copy_from_slice(&self.owner.0);
        out
    }
    /// Reads [`Account::encode`]; refuses a half-empty account.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = crate::encoding::Reader::new(bytes);
        let account = Account {
            key: r.take_fr("account key")?,
            balance: r.take_u64("balance")?,
            nonce: r.take_u32("nonce")?,
            asset: r.take_u16("asset")?,
            owner: Address(r.take_array("owner")?),
        };
        r.finish("account")?;
        let exists = !account.key.is_zero() && account.asset != 0 && !account.owner.is_zero();
        if exists || account == Account::EMPTY {
            Ok(account)
        } else {
            Err(DecodeError::UnknownFormat { what: "account" })
        }
    }
}

/// `2^bits` in Fr.
pub fn two_to(bits: u32) -> Fr {
    Fr::from(2u64).pow([u64::from(bits)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Account = Account {
        key: Fr::ONE,
        balance: 0x0102_0304_0506_0708,
        nonce: 0x090a_0b0c,
        asset: 0x0d0e,
        owner: Address([0x0f; 20]),
    };

    #[test]
    fn an_account_is_read_back_and_half_an_account_is_refused() {
        for account in [HELD, Account::EMPTY, Account { balance: 0, nonce: 0, ..HELD }] {
            assert_eq!(Account::decode(&account.encode()), Ok(account));
        }
        let halves = [
            Account { key: Fr::ZERO, ..HELD },
            Account { asset: 0, ..HELD },
            Account { owner: Address::ZERO, ..HELD },
            Account { balance: 1, ..Account::EMPTY },
            Account { nonce: 1, ..Account::EMPTY },
        ];
        for half in halves {
            let refused = DecodeError::UnknownFormat { what: "account" };
            assert_eq!(Account::decode(&half.encode()), Err(refused), "{half:?}");
        }
        let bytes = [&HELD.encode()[..], &[0]].concat();
        assert!(Account::decode(&bytes).is_err());
        assert!(Account::decode(&bytes[..bytes.len() - 2]).is_err());
    }

    #[test]
    fn the_words_hold_every_field_at_its_place() {
        let [key, numbers, owner] = HELD.words();
        assert_eq!((key, owner), (HELD.key, HELD.owner.to_fr()));
        let shifted = |value: u64, bits| Fr::from(value) * two_to(bits);
        let (nonce, asset) = (HELD.nonce.into(), HELD.asset.into());
        let sum = shifted(HELD.balance, 0) + shifted(nonce, 64) + shifted(asset, 96);
        assert_eq!(numbers, sum);
        let beta = Fr::from(3u64);
        assert_eq!(HELD.combine(beta), key + beta * numbers + beta * beta * owner);
    }

    #[test]
    fn what_stands_for_nothing_is_no_index_asset_or_key() {
        let last = AccountIndex::LAST.get();
        for (index, is_index) in [(0, false), (1, true), (last, true), (last + 1, false)] {
            assert_eq!(AccountIndex::new(index).is_ok(), is_index, "{index}");
        }
        assert!(AssetId::new(0).is_err() && AssetId::new(1).is_ok());
        assert!(AccountKey::new(Fr::ZERO).is_err() && AccountKey::new(Fr::ONE).is_ok());
        assert!(
            AccountKey::from_be(&[0; 32]).is_err() && AccountKey::from_be(&[0xff; 32]).is_err()
        );
        assert!(Address::ZERO.is_zero() && !HELD.owner.is_zero());
    }
}
