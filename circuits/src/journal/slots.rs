//! What a prover puts into the journal's slots; constrains nothing.

use crate::access::LinkWitness;
use crate::gadgets::eddsa::SignatureWitness;
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;

/// Witness of an O slot; all 0 for padding. Numbers are field elements so that tests can put in
/// what an honest builder never would.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenWitness {
    /// Account index.
    pub index: Fr,
    /// Asset id.
    pub asset: Fr,
    /// Owner.
    pub owner: Fr,
    /// Key.
    pub key: Fr,
    /// 1 if no other record of the batch touches the account.
    pub last: Fr,
}

/// Witness of a D slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DepositWitness {
    /// Account index.
    pub index: Fr,
    /// Asset units.
    pub amount: Fr,
    /// Asset id.
    pub asset: Fr,
    /// Key.
    pub key: Fr,
    /// Owner.
    pub owner: Fr,
    /// Balance before.
    pub before: Fr,
    /// The account's nonce.
    pub nonce: Fr,
    /// Place in the account's path.
    pub link: LinkWitness,
}

/// Witness of a T slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferWitness {
    /// Payer's index.
    pub from: Fr,
    /// Payee's index.
    pub to: Fr,
    /// Asset units.
    pub amount: Fr,
    /// Fee float.
    pub fee: Fr,
    /// Place in the sequencer's order.
    pub order: Fr,
    /// Payer's nonce.
    pub nonce: Fr,
    /// Asset of both accounts.
    pub asset: Fr,
    /// Payer's key.
    pub key: Fr,
    /// Payer's owner.
    pub owner: Fr,
    /// Payer's balance before.
    pub before: Fr,
    /// Place in the payer's path.
    pub link: LinkWitness,
    /// Payee's key.
    pub payee_key: Fr,
    /// Payee's owner.
    pub payee_owner: Fr,
    /// Payee's balance before the credit.
    pub payee_before: Fr,
    /// Payee's nonce.
    pub payee_nonce: Fr,
    /// Place in the payee's path.
    pub payee_link: LinkWitness,
    /// Authorisation.
    pub signature: SignatureWitness,
}

/// Witness of an E slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitWitness {
    /// Account index.
    pub from: Fr,
    /// Asset units.
    pub amount: Fr,
    /// Fee float.
    pub fee: Fr,
    /// 0 or 1.
    pub forced: Fr,
    /// Asset id.
    pub asset: Fr,
    /// Main-chain recipient.
    pub recipient: Fr,
    /// Place in the sequencer's order; the slot number if forced.
    pub order: Fr,
    /// The account's nonce.
    pub nonce: Fr,
    /// The account's key.
    pub key: Fr,
    /// The account's owner.
    pub owner: Fr,
    /// Balance before.
    pub before: Fr,
    /// Place in the account's path.
    pub link: LinkWitness,
    /// Authorisation if signed.
    pub signature: SignatureWitness,
}

/// Witness of an F slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CollectWitness {
    /// Account index.
    pub to: Fr,
    /// Asset units.
    pub amount: Fr,
    /// The account's asset.
    pub asset: Fr,
    /// The account's key.
    pub key: Fr,
    /// The account's owner.
    pub owner: Fr,
    /// Balance before.
    pub before: Fr,
    /// The account's nonce.
    pub nonce: Fr,
    /// Place in the account's path.
    pub link: LinkWitness,
}

impl TransferWitness {
    /// An unused slot.
    pub fn padding() -> Self {
        Self {
            from: Fr::ZERO,
            to: Fr::ZERO,
            amount: Fr::ZERO,
            fee: Fr::ZERO,
            order: Fr::ZERO,
            nonce: Fr::ZERO,
            asset: Fr::ZERO,
            key: Fr::ZERO,
            owner: Fr::ZERO,
            before: Fr::ZERO,
            link: LinkWitness::default(),
            payee_key: Fr::ZERO,
            payee_owner: Fr::ZERO,
            payee_before: Fr::ZERO,
            payee_nonce: Fr::ZERO,
            payee_link: LinkWitness::default(),
            signature: SignatureWitness::masked(),
        }
    }
}

impl ExitWitness {
    /// An unused slot.
    pub fn padding() -> Self {
        Self {
            from: Fr::ZERO,
            amount: Fr::ZERO,
            fee: Fr::ZERO,
            forced: Fr::ZERO,
            asset: Fr::ZERO,
            recipient: Fr::ZERO,
            order: Fr::ZERO,
            nonce: Fr::ZERO,
            key: Fr::ZERO,
            owner: Fr::ZERO,
            before: Fr::ZERO,
            link: LinkWitness::default(),
            signature: SignatureWitness::masked(),
        }
    }
}
