//! What a prover puts into the journal's slots; constrains nothing.

use crate::gadgets::eddsa::SignatureWitness;
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;

/// Witness of an O slot; all 0 for padding. Numbers are field elements so that tests can put in
/// what an honest builder never would.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenWitness {
    /// Account index.
    pub index: Fr,
    /// Asset id.
    pub asset: Fr,
    /// Owner.
    pub owner: Fr,
    /// Key.
    pub key: Fr,
}

/// Witness of a D slot.
#[derive(Debug, Clone, Copy, Default)]
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
}

/// Witness of a T slot.
#[derive(Debug, Clone, Copy)]
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
    /// Payee's key.
    pub payee_key: Fr,
    /// Payee's owner.
    pub payee_owner: Fr,
    /// Authorisation.
    pub signature: SignatureWitness,
}

/// Witness of an E slot.
#[derive(Debug, Clone, Copy)]
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
    /// Nonce if signed.
    pub nonce: Fr,
    /// The account's key.
    pub key: Fr,
    /// The account's owner.
    pub owner: Fr,
    /// Authorisation if signed.
    pub signature: SignatureWitness,
}

/// Witness of an F slot.
#[derive(Debug, Clone, Copy, Default)]
pub struct CollectWitness {
    /// Account index.
    pub to: Fr,
    /// Asset units.
    pub amount: Fr,
    /// The account's asset.
    pub asset: Fr,
}

impl TransferWitness {
    /// An unused slot.
    pub fn padding() -> Self {
        let [from, to, amount, fee, order, nonce, asset, key, payee_key, payee_owner] =
            [Fr::ZERO; 10];
        let signature = SignatureWitness::masked();
        Self { from, to, amount, fee, order, nonce, asset, key, payee_key, payee_owner, signature }
    }
}

impl ExitWitness {
    /// An unused slot.
    pub fn padding() -> Self {
        let [from, amount, fee, forced, asset, recipient, order, nonce, key, owner] =
            [Fr::ZERO; 10];
        let signature = SignatureWitness::masked();
        Self { from, amount, fee, forced, asset, recipient, order, nonce, key, owner, signature }
    }
}
