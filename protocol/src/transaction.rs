//! What a client signs: transfers and exits, their canonical bytes, ids and signed messages
//! (SPEC.md section 4). This module checks signatures but knows no state.

mod chunk;

use crate::account::{AccountIndex, AccountKey, Address, AssetId, two_to};
use crate::amount::Fee;
use crate::eddsa::{self, Point, PointError, PrivateKey, PublicKey, Signature, SignatureError};
use crate::encoding::{DecodeError, Reader};
use crate::poseidon;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, MontFp};
pub use chunk::{Checked, decode_and_verify};

/// Moves `amount` from one account to another of the same asset; the fee is paid on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// The account that pays.
    pub from: AccountIndex,
    /// The account that receives; may be `from` itself.
    pub to: AccountIndex,
    /// Asset units.
    pub amount: u64,
    /// Paid on top of the amount, in the same asset.
    pub fee: Fee,
    /// Must equal the payer's nonce.
    pub nonce: u32,
    /// The payee's key, so that nobody can slip another account under the index.
    pub payee_key: AccountKey,
    /// The payee's main-chain owner, for the same reason.
    pub payee_owner: Address,
}

/// Takes `amount` out to `recipient` on the main chain; the fee is paid on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The account that pays.
    pub from: AccountIndex,
    /// Asset units.
    pub amount: u64,
    /// Paid on top of the amount, in the same asset.
    pub fee: Fee,
    /// Must equal the payer's nonce.
    pub nonce: u32,
    /// Must equal the account's asset.
    pub asset: AssetId,
    /// Main-chain address that may claim.
    pub recipient: Address,
}

/// A transaction that a holder signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// Layer-2 payment.
    Transfer(Transfer),
    /// Payment to the main chain.
    Exit(Exit),
}

/// `kind` of a transfer in the signed message and in the canonical encoding.
pub const KIND_TRANSFER: u8 = 1;
/// `kind` of an exit.
pub const KIND_EXIT: u8 = 2;

/// Where a 128-bit integer ends in the packed word.
const TWO_TO_128: Fr = MontFp!("340282366920938463463374607431768211456");

/// blake3 of [`Transaction::encode`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub [u8; 32]);

impl std::fmt::Display for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// `[asset‖recipient]`, the second element of an exit.
pub fn exit_second_element(asset: u16, recipient: &Address) -> Fr {
    Fr::from(asset) * two_to(crate::limits::OWNER_BITS) + recipient.to_fr()
}

impl Transaction {
    /// The account that pays.
    pub fn from(&self) -> AccountIndex {
        match self {
            Self::Transfer(t) => t.from,
            Self::Exit(e) => e.from,
        }
    }
    /// The signed nonce.
    pub fn nonce(&self) -> u32 {
        match self {
            Self::Transfer(t) => t.nonce,
            Self::Exit(e) => e.nonce,
        }
    }
    /// The fee.
    pub fn fee(&self) -> Fee {
        match self {
            Self::Transfer(t) => t.fee,
            Self::Exit(e) => e.fee,
        }
    }
    /// Asset units without the fee.
    pub fn amount(&self) -> u64 {
        match self {
            Self::Transfer(t) => t.amount,
            Self::Exit(e) => e.amount,
        }
    }
    /// Canonical bytes. Transfer: 1 ‖ from 4 ‖ to 4 ‖ amount 8 ‖ fee 2 ‖ nonce 4 ‖ payee key 32 ‖
    /// payee owner 20. Exit: 2 ‖ from 4 ‖ amount 8 ‖ fee 2 ‖ nonce 4 ‖ asset 2 ‖ recipient 20.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        match self {
            Self::Transfer(t) => {
                out.push(KIND_TRANSFER);
                out.extend_from_slice(&t.from.get().to_be_bytes());
                out.extend_from_slice(&t.to.get().to_be_bytes());
                out.extend_from_slice(&t.amount.to_be_bytes());
                out.extend_from_slice(&t.fee.float().to_be_bytes());
                out.extend_from_slice(&t.nonce.to_be_bytes());
                out.extend_from_slice(&t.payee_key.to_be());
                out.extend_from_slice(&t.payee_owner.0);
            }
            Self::Exit(e) => {
                out.push(KIND_EXIT);
                out.extend_from_slice(&e.from.get().to_be_bytes());
                out.extend_from_slice(&e.amount.to_be_bytes());
                out.extend_from_slice(&e.fee.float().to_be_bytes());
                out.extend_from_slice(&e.nonce.to_be_bytes());
                out.extend_from_slice(&e.asset.get().to_be_bytes());
                out.extend_from_slice(&e.recipient.0);
            }
        }
        out
    }
    /// Takes one canonical transaction.
    pub fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.take_u8("transaction kind")?;
        let from = AccountIndex::new(reader.take_u32("from")?)?;
        match kind {
            KIND_TRANSFER => Ok(Self::Transfer(Transfer {
                from,
                to: AccountIndex::new(reader.take_u32("to")?)?,
                amount: reader.take_u64("amount")?,
                fee: Fee::from_float(reader.take_u16("fee")?),
                nonce: reader.take_u32("nonce")?,
                payee_key: AccountKey::from_be(&reader.take_array("payee key")?)?,
                payee_owner: Address(reader.take_array("payee owner")?),
            })),
            KIND_EXIT => Ok(Self::Exit(Exit {
                from,
                amount: reader.take_u64("amount")?,
                fee: Fee::from_float(reader.take_u16("fee")?),
                nonce: reader.take_u32("nonce")?,
                asset: AssetId::new(reader.take_u16("asset")?)?,
                recipient: Address(reader.take_array("recipient")?),
            })),
            other => Err(DecodeError::OutOfRange {
                what: "transaction kind",
                value: other.into(),
                min: KIND_TRANSFER.into(),
                max: KIND_EXIT.into(),
            }),
        }
    }
    /// blake3 of the canonical bytes.
    pub fn id(&self) -> TransactionId {
        TransactionId(*blake3::hash(&self.encode()).as_bytes())
    }
    /// `M = Poseidon(domain, packed, e1, e2)`, `packed = kind + 2^4·from + 2^32·to + 2^60·amount
    /// + 2^124·fee + 2^140·nonce`.
    pub fn message(&self, domain: Fr) -> Fr {
        let (kind, to, e1, e2) = match self {
            Self::Transfer(t) => {
                (KIND_TRANSFER, t.to.get(), t.payee_key.get(), t.payee_owner.to_fr())
            }
            Self::Exit(e) => {
                (KIND_EXIT, 0, exit_second_element(e.asset.get(), &e.recipient), Fr::ZERO)
            }
        };
        let fee = u128::from(self.fee().float());
        let low = u128::from(kind)
            | (u128::from(self.from().get()) << 4)
            | (u128::from(to) << 32)
            | (u128::from(self.amount()) << 60)
            | (fee << 124);
        // Bits 128 and up: what the fee's upper 12 bits and the nonce leave of the first 128.
        let high = u64::from(self.fee().float() >> 4) | (u64::from(self.nonce()) << 12);
        let packed = Fr::from(low) + Fr::from(high) * TWO_TO_128;
        poseidon::hash(&[domain, packed, e1, e2])
    }
}

/// A transaction with the key and signature that authorise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What is signed.
    pub transaction: Transaction,
    /// The signer's whole public key; its x must be the account's key.
    pub public_key: PublicKey,
    /// EdDSA-Poseidon signature of [`Transaction::message`].
    pub signature: Signature,
}

impl SignedTransaction {
    /// Signs for the deployment named by `domain`.
    pub fn sign(transaction: Transaction, secret: &PrivateKey, domain: Fr) -> Self {
        Self {
            transaction,
            public_key: secret.public_key(),
            signature: secret.sign(transaction.message(domain)),
        }
    }
    /// Checks the signature (not that the key belongs to the account).
    pub fn verify_signature(&self, domain: Fr) -> Result<(), SignatureError> {
        eddsa::verify(&self.public_key, self.transaction.message(domain), &self.signature)
    }
    /// Canonical transaction ‖ packed public key 32 ‖ packed signature 64.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.transaction.encode();
        out.extend_from_slice(&self.public_key.0.pack());
        out.extend_from_slice(&self.signature.pack());
        out
    }
    /// The transaction's id, of bytes that [`SignedTransaction::decode`] takes; of others something
    /// else, or nothing if they are too few.
    pub fn id_of(bytes: &[u8]) -> Option<TransactionId> {
        let transaction = bytes.get(..bytes.len().checked_sub(32 + 64)?)?;
        Some(TransactionId(*blake3::hash(transaction).as_bytes()))
    }
    /// Reads [`SignedTransaction::encode`], strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_with(bytes, Point::unpack)
    }
    /// [`Self::decode`] with the given way to unpack the public key.
    fn decode_with(
        bytes: &[u8],
        unpack_key: impl FnOnce(&[u8; 32]) -> Result<Point, PointError>,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let transaction = Transaction::take(&mut reader)?;
        let key: [u8; 32] = reader.take_array("public key")?;
        let signature: [u8; 64] = reader.take_array("signature")?;
        reader.finish("transaction")?;
        let point = |what| move |_| DecodeError::NotOnCurve { what };
        Ok(Self {
            transaction,
            public_key: PublicKey(unpack_key(&key).map_err(point("public key"))?),
            signature: Signature::unpack(&signature).map_err(point("signature R8"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn transfer() -> Transaction {
        Transaction::Transfer(Transfer {
            from: AccountIndex::new(3).expect("in range"),
            to: AccountIndex::new(4).expect("in range"),
            amount: 1_000_000,
            fee: Fee::exact(20).expect("exact"),
            nonce: 9,
            payee_key: AccountKey::new(Fr::from(5u64)).expect("not 0"),
            payee_owner: Address([0x11; 20]),
        })
    }

    #[test]
    fn the_canonical_encoding_of_an_exit_is_frozen() {
        let exit = Transaction::Exit(Exit {
            from: AccountIndex::new(3).expect("in range"),
            amount: 1_000_000,
            fee: Fee::exact(20).expect("exact"),
            nonce: 9,
            asset: AssetId::new(7).expect("not 0"),
            recipient: Address([0x11; 20]),
        });
        let expected = "020000000300000000000f42400280000000090007\
                        1111111111111111111111111111111111111111";
        assert_eq!(hex::encode(exit.encode()), expected);
        assert_eq!(Transaction::take(&mut Reader::new(&exit.encode())), Ok(exit));
    }

    #[test]
    fn the_canonical_encoding_is_frozen() {
        assert_eq!(
            hex::encode(transfer().encode()),
            "01000000030000000400000000000f4240028000000009\
             0000000000000000000000000000000000000000000000000000000000000005\
             1111111111111111111111111111111111111111"
        );
        assert_eq!(
            transfer().id().to_string(),
            hex::encode(blake3::hash(&transfer().encode()).as_bytes())
        );
    }

    #[test]
    fn the_packed_word_is_the_sum_that_the_specification_states() {
        for (amount, fee, nonce) in [(u64::MAX, u16::MAX, u32::MAX), (1, 0x8001, 1), (0, 15, 0)] {
            let Transaction::Transfer(mut t) = transfer() else { unreachable!("a transfer") };
            (t.amount, t.fee, t.nonce) = (amount, Fee::from_float(fee), nonce);
            let packed = Fr::from(KIND_TRANSFER)
                + Fr::from(t.from.get()) * two_to(4)
                + Fr::from(t.to.get()) * two_to(32)
                + Fr::from(amount) * two_to(60)
                + Fr::from(fee) * two_to(124)
                + Fr::from(nonce) * two_to(140);
            let words = [Fr::from(7u64), packed, t.payee_key.get(), t.payee_owner.to_fr()];
            let message = Transaction::Transfer(t).message(Fr::from(7u64));
            assert_eq!(message, poseidon::hash(&words));
        }
    }

    #[test]
    fn signed_transactions_round_trip_and_bind_the_domain() {
        let secret = PrivateKey::from_bytes([1; 32]);
        let signed = SignedTransaction::sign(transfer(), &secret, Fr::from(77u64));
        let back = SignedTransaction::decode(&signed.encode()).expect("own encoding");
        assert_eq!(back, signed);
        let id = signed.transaction.id();
        assert_eq!(SignedTransaction::id_of(&signed.encode()), Some(id));
        assert_eq!(SignedTransaction::id_of(&[0; 95]), None);
        assert_eq!(back.verify_signature(Fr::from(77u64)), Ok(()));
        assert_eq!(back.verify_signature(Fr::from(78u64)), Err(SignatureError::Equation));
        let mut long = signed.encode();
        long.push(0);
        assert!(matches!(SignedTransaction::decode(&long), Err(DecodeError::Trailing { .. })));
    }
}
