//! The five kinds of record: bytes on chain and field elements.
//!
//! An element is the big-endian integer of the fields it joins, in the order of the bytes.
//! Indices are 4 bytes of which the circuit allows 28 bits; the decoder refuses the rest.

use crate::account::{AccountIndex, AccountKey, Address, AssetId};
use crate::amount::Fee;
use crate::encoding::{DecodeError, Reader};
use crate::transaction::exit_second_element;
use ark_bn254::Fr;
use ark_ff::PrimeField;

/// Opens an empty account; authorised by nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRecord {
    /// The empty account.
    pub index: AccountIndex,
    /// Its asset from now on.
    pub asset: AssetId,
    /// Its owner from now on, not zero.
    pub owner: Address,
    /// Its key from now on.
    pub key: AccountKey,
}

/// Credits a deposit of the main chain's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepositRecord {
    /// Chosen by the poster among the accounts with this asset, key and owner.
    pub index: AccountIndex,
    /// Asset units, not zero.
    pub amount: u64,
    /// As in the queue.
    pub asset: AssetId,
    /// As in the queue.
    pub key: AccountKey,
    /// As in the queue.
    pub owner: Address,
}

/// A layer-2 payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferRecord {
    /// Payer.
    pub from: AccountIndex,
    /// Payee.
    pub to: AccountIndex,
    /// Asset units.
    pub amount: u64,
    /// Paid by the payer on top.
    pub fee: Fee,
}

/// A payment to the main chain, signed or forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitRecord {
    /// Payer.
    pub from: AccountIndex,
    /// Asset units; 0 in a forced exit that has no effect.
    pub amount: u64,
    /// Paid on top; 0 if forced.
    pub fee: Fee,
    /// Authorised by the queue instead of a signature.
    pub forced: bool,
    /// The account's asset; 0 only for a forced exit of an account that does not exist.
    pub asset: u16,
    /// Who may claim on the main chain.
    pub recipient: Address,
}

/// Pays collected fees to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectRecord {
    /// Account that receives.
    pub to: AccountIndex,
    /// Asset units.
    pub amount: u64,
}

fn be_element(parts: &[&[u8]]) -> Fr {
    // Never longer than 26 bytes, hence below r.
    Fr::from_be_bytes_mod_order(&parts.concat())
}

fn take_index(reader: &mut Reader<'_>) -> Result<AccountIndex, DecodeError> {
    AccountIndex::new(reader.take_u32("account index")?)
}

fn take_owner(reader: &mut Reader<'_>) -> Result<Address, DecodeError> {
    let owner = Address(reader.take_array("owner")?);
    if owner.is_zero() {
        let max = u64::MAX;
        return Err(DecodeError::OutOfRange { what: "owner", value: 0, min: 1, max });
    }
    Ok(owner)
}

impl OpenRecord {
    /// index 4 ‖ asset 2 ‖ owner 20 ‖ key 32.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.index.get().to_be_bytes());
        out.extend_from_slice(&self.asset.get().to_be_bytes());
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.key.to_be());
    }
    /// Takes [`OpenRecord::write`].
    pub fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            index: take_index(reader)?,
            asset: AssetId::new(reader.take_u16("asset")?)?,
            owner: take_owner(reader)?,
            key: AccountKey::from_be(&reader.take_array("key")?)?,
        })
    }
    /// `[index‖asset‖owner]`, `[key]`.
    pub fn elements(&self) -> [Fr; 2] {
        let (index, asset) = (self.index.get().to_be_bytes(), self.asset.get().to_be_bytes());
        [be_element(&[&index, &asset, &self.owner.0]), self.key.get()]
    }
}

impl DepositRecord {
    /// index 4 ‖ amount 8 ‖ asset 2 ‖ key 32 ‖ owner 20.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.index.get().to_be_bytes());
        out.extend_from_slice(&self.amount.to_be_bytes());
        out.extend_from_slice(&self.asset.get().to_be_bytes());
        out.extend_from_slice(&self.key.to_be());
        out.extend_from_slice(&self.owner.0);
    }
    /// Takes [`DepositRecord::write`].
    pub fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            index: take_index(reader)?,
            amount: reader.take_u64("amount")?,
            asset: AssetId::new(reader.take_u16("asset")?)?,
            key: AccountKey::from_be(&reader.take_array("key")?)?,
            owner: take_owner(reader)?,
        })
    }
    /// `[index‖amount‖asset]`, `[key]`, `[owner]`.
    pub fn elements(&self) -> [Fr; 3] {
        let (index, amount) = (self.index.get().to_be_bytes(), self.amount.to_be_bytes());
        let asset = self.asset.get().to_be_bytes();
        [be_element(&[&index, &amount, &asset]), self.key.get(), self.owner.to_fr()]
    }
}

impl TransferRecord {
    /// from 4 ‖ to 4 ‖ amount 8 ‖ fee 2.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.from.get().to_be_bytes());
        out.extend_from_slice(&self.to.get().to_be_bytes());
        out.extend_from_slice(&self.amount.to_be_bytes());
        out.extend_from_slice(&self.fee.float().to_be_bytes());
    }
    /// Takes [`TransferRecord::write`].
    pub fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            from: take_index(reader)?,
            to: take_index(reader)?,
            amount: reader.take_u64("amount")?,
            fee: Fee::from_float(reader.take_u16("fee")?),
        })
    }
    /// `[from‖to‖amount‖fee]`.
    pub fn element(&self) -> Fr {
        let mut bytes = Vec::with_capacity(18);
        self.write(&mut bytes);
        be_element(&[&bytes])
    }
}

impl ExitRecord {
    /// from 4 ‖ amount 8 ‖ fee 2 ‖ forced 1 ‖ asset 2 ‖ recipient 20.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.from.get().to_be_bytes());
        out.extend_from_slice(&self.amount.to_be_bytes());
        out.extend_from_slice(&self.fee.float().to_be_bytes());
        out.push(u8::from(self.forced));
        out.extend_from_slice(&self.asset.to_be_bytes());
        out.extend_from_slice(&self.recipient.0);
    }
    /// Takes [`ExitRecord::write`].
    pub fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let from = take_index(reader)?;
        let amount = reader.take_u64("amount")?;
        let fee = Fee::from_float(reader.take_u16("fee")?);
        let forced = reader.take_flag("forced")?;
        let asset = reader.take_u16("asset")?;
        let recipient = Address(reader.take_array("recipient")?);
        Ok(Self { from, amount, fee, forced, asset, recipient })
    }
    /// `[from‖amount‖fee‖forced]`, `[asset‖recipient]`.
    pub fn elements(&self) -> [Fr; 2] {
        let mut bytes = Vec::with_capacity(37);
        self.write(&mut bytes);
        [be_element(&[&bytes[..15]]), exit_second_element(self.asset, &self.recipient)]
    }
}

impl CollectRecord {
    /// to 4 ‖ amount 8.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to.get().to_be_bytes());
        out.extend_from_slice(&self.amount.to_be_bytes());
    }
    /// Takes [`CollectRecord::write`].
    pub fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { to: take_index(reader)?, amount: reader.take_u64("amount")? })
    }
    /// `[to‖amount]`.
    pub fn element(&self) -> Fr {
        be_element(&[&self.to.get().to_be_bytes(), &self.amount.to_be_bytes()])
    }
}
