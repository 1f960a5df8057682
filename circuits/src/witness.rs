//! From a sealed batch and the state before it to the circuit's witness.
//!
//! Records run section by section, signed ones by t, forced exits last; every step goes through
//! [`kerros_protocol::transition`], and each slot notes its accounts before the record. What links
//! them follows from the slots alone: [`link`].

mod link;

pub use link::link;

use crate::access::LinkWitness;
use crate::batch::BatchWitness;
use crate::gadgets::eddsa::SignatureWitness;
use crate::journal::{CollectWitness, DepositWitness, ExitWitness, OpenWitness, TransferWitness};
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use kerros_protocol::account::{Account, AccountIndex, AssetId};
use kerros_protocol::batch::{Authorisation, BatchDataError, SealedBatch, Shape};
use kerros_protocol::eddsa;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::rejection::Rejection;
use kerros_protocol::transaction::{Exit, SignedTransaction, Transaction, Transfer};
use kerros_protocol::transition;
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a batch has no witness: it cannot be proved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WitnessError {
    /// The batch does not fit the shape.
    #[error("{0}")]
    Capacity(#[from] BatchDataError),
    /// A record breaks a rule.
    #[error("section {section}, record {record}: {rejection}")]
    Rejected {
        /// O, D, T, E or F.
        section: char,
        /// Number of the record in its section.
        record: usize,
        /// The rule.
        rejection: Rejection,
    },
    /// Authorisations do not match the records, or two records share a place in the order.
    #[error("authorisations do not match the batch's records")]
    Authorisations,
    /// A forced exit publishes another amount or asset than the rules give.
    #[error("forced exit {record} publishes another amount or asset than the rules give")]
    ForcedExit {
        /// Number of the record in section E.
        record: usize,
    },
    /// Fees of an asset are not what is collected.
    #[error("asset {asset}: {paid} paid in fees, {collected} collected")]
    Fees {
        /// Asset id.
        asset: u16,
        /// Sum of fees.
        paid: u128,
        /// Sum of collects.
        collected: u128,
    },
}

/// A witness and what it did to the ledger.
pub struct Executed {
    /// For [`crate::batch::synthesize`].
    pub witness: BatchWitness,
    /// The ledger after the batch.
    pub after: Ledger,
    /// Touched accounts in ascending order with their states before the batch.
    pub touched: Vec<(AccountIndex, Account)>,
}

struct Run {
    ledger: Ledger,
    touched: BTreeMap<AccountIndex, Account>,
    fees: BTreeMap<u16, (u128, u128)>,
}

impl Run {
    fn touch(&mut self, index: AccountIndex) -> Account {
        let account = self.ledger.get(index);
        self.touched.entry(index).or_insert(account);
        account
    }
    fn fee(&mut self, asset: u16, paid: u128, collected: u128) {
        let sums = self.fees.entry(asset).or_default();
        sums.0 += paid;
        sums.1 += collected;
    }
}

fn refuse(section: char, record: usize) -> impl Fn(Rejection) -> WitnessError {
    move |rejection| WitnessError::Rejected { section, record, rejection }
}

/// Runs a batch on the ledger before it (already grown to the batch's size).
pub fn execute(
    shape: &Shape,
    before: &Ledger,
    batch: &SealedBatch,
    domain: Fr,
) -> Result<Executed, WitnessError> {
    let data = &batch.data;
    data.check_capacity(shape)?;
    let counted = (batch.transfers.len(), batch.exits.len());
    if counted != (data.transfers.len(), data.exits.len()) {
        return Err(WitnessError::Authorisations);
    }
    let mut witness = BatchWitness::empty(shape, before.k(), domain);
    let mut run = Run { ledger: before.clone(), touched: BTreeMap::new(), fees: BTreeMap::new() };
    for (slot, record) in data.opens.iter().enumerate() {
        run.touch(record.index);
        transition::open(&mut run.ledger, record).map_err(refuse('O', slot))?;
        witness.opens[slot] = OpenWitness {
            index: Fr::from(record.index.get()),
            asset: Fr::from(record.asset.get()),
            owner: record.owner.to_fr(),
            key: record.key.get(),
            last: Fr::ZERO,
        };
    }
    for (slot, record) in data.deposits.iter().enumerate() {
        let account = run.touch(record.index);
        transition::deposit(&mut run.ledger, record).map_err(refuse('D', slot))?;
        witness.deposits[slot] = DepositWitness {
            index: Fr::from(record.index.get()),
            amount: Fr::from(record.amount),
            asset: Fr::from(record.asset.get()),
            key: record.key.get(),
            owner: record.owner.to_fr(),
            before: Fr::from(account.balance),
            nonce: Fr::from(account.nonce),
            link: LinkWitness::default(),
        };
    }
    signed(&mut run, &mut witness, batch, domain)?;
    for (slot, record) in data.collects.iter().enumerate() {
        let account = run.touch(record.to);
        let asset = transition::collect(&mut run.ledger, record).map_err(refuse('F', slot))?;
        run.fee(asset, 0, record.amount.into());
        witness.collects[slot] = CollectWitness {
            to: Fr::from(record.to.get()),
            amount: Fr::from(record.amount),
            asset: Fr::from(asset),
            key: account.key,
            owner: account.owner.to_fr(),
            before: Fr::from(account.balance),
            nonce: Fr::from(account.nonce),
            link: LinkWitness::default(),
        };
    }
    forced(&mut run, &mut witness, batch)?;
    for (asset, (paid, collected)) in run.fees {
        if paid != collected {
            return Err(WitnessError::Fees { asset, paid, collected });
        }
    }
    link(&mut witness);
    Ok(Executed { witness, after: run.ledger, touched: run.touched.into_iter().collect() })
}

/// Section T and the signed records of section E, by t.
fn signed(
    run: &mut Run,
    witness: &mut BatchWitness,
    batch: &SealedBatch,
    domain: Fr,
) -> Result<(), WitnessError> {
    let mut order: BTreeMap<u16, (char, usize, &Authorisation)> = BTreeMap::new();
    let transfers = batch.transfers.iter().enumerate().map(|(slot, a)| ('T', slot, Some(a)));
    let exits = batch.exits.iter().enumerate().map(|(slot, a)| ('E', slot, a.as_ref()));
    for (section, slot, authorisation) in transfers.chain(exits) {
        let forced = section == 'E' && batch.data.exits[slot].forced;
        match authorisation {
            None if forced => {}
            Some(a) if !forced && !order.contains_key(&a.order) => {
                order.insert(a.order, (section, slot, a));
            }
            _ => return Err(WitnessError::Authorisations),
        }
    }
    for (t, (section, slot, authorisation)) in order {
        let transaction = match section {
            'T' => transfer_of(run, batch, slot),
            _ => exit_of(run, batch, slot),
        };
        let signed = SignedTransaction {
            transaction: transaction.map_err(refuse(section, slot))?,
            public_key: authorisation.public_key,
            signature: authorisation.signature,
        };
        let payer = run.touch(transaction_from(&signed));
        let mut credited = None;
        if let Transaction::Transfer(transfer) = &signed.transaction {
            credited = Some(run.touch(transfer.to));
        }
        transition::execute(&mut run.ledger, &signed, domain).map_err(refuse(section, slot))?;
        let message = signed.transaction.message(domain);
        let key = &signed.public_key.0;
        let signature = SignatureWitness {
            key_y: key.y,
            s: signed.signature.s,
            h: eddsa::challenge(&signed.signature.r8, key, message),
        };
        let fee = signed.transaction.fee();
        run.fee(payer.asset, fee.value(), 0);
        let spent = u64::try_from(u128::from(signed.transaction.amount()) + fee.value())
            .expect("the transition checked that the balance covers it");
        let left = payer.balance - spent;
        let from = signed.transaction.from();
        let [from, order, nonce] = [from.get(), t.into(), payer.nonce].map(Fr::from);
        let (amount, asset) = (Fr::from(signed.transaction.amount()), Fr::from(payer.asset));
        match (&signed.transaction, credited) {
            (Transaction::Transfer(transfer), Some(payee)) => {
                // A payment to oneself finds the account as the debit left it.
                let mut payee = payee;
                if transfer.to == transfer.from {
                    payee = Account { balance: left, nonce: payer.nonce + 1, ..payer };
                }
                witness.transfers[slot] = TransferWitness {
                    from,
                    to: Fr::from(transfer.to.get()),
                    amount,
                    fee: Fr::from(fee.float()),
                    order,
                    nonce,
                    asset,
                    key: payer.key,
                    owner: payer.owner.to_fr(),
                    before: Fr::from(payer.balance),
                    link: LinkWitness::default(),
                    payee_key: payee.key,
                    payee_owner: payee.owner.to_fr(),
                    payee_before: Fr::from(payee.balance),
                    payee_nonce: Fr::from(payee.nonce),
                    payee_link: LinkWitness::default(),
                    signature,
                };
            }
            (Transaction::Exit(exit), _) => {
                witness.exits[slot] = ExitWitness {
                    from,
                    amount,
                    fee: Fr::from(fee.float()),
                    forced: Fr::ZERO,
                    asset,
                    recipient: exit.recipient.to_fr(),
                    order,
                    nonce,
                    key: payer.key,
                    owner: payer.owner.to_fr(),
                    before: Fr::from(payer.balance),
                    link: LinkWitness::default(),
                    signature,
                };
            }
            (Transaction::Transfer(_), None) => unreachable!("a transfer's payee was touched"),
        }
    }
    Ok(())
}

fn transaction_from(signed: &SignedTransaction) -> AccountIndex {
    signed.transaction.from()
}

/// The transaction a payer must have signed for record `slot` in the present state.
fn transfer_of(run: &Run, batch: &SealedBatch, slot: usize) -> Result<Transaction, Rejection> {
    let record = &batch.data.transfers[slot];
    let (payer, payee) = (run.ledger.get(record.from), run.ledger.get(record.to));
    let index = record.to;
    let payee_key = kerros_protocol::account::AccountKey::new(payee.key)
        .map_err(|_| Rejection::PayeeEmpty { index })?;
    Ok(Transaction::Transfer(Transfer {
        from: record.from,
        to: record.to,
        amount: record.amount,
        fee: record.fee,
        nonce: payer.nonce,
        payee_key,
        payee_owner: payee.owner,
    }))
}

fn exit_of(run: &Run, batch: &SealedBatch, slot: usize) -> Result<Transaction, Rejection> {
    let record = &batch.data.exits[slot];
    let payer = run.ledger.get(record.from);
    let asset = AssetId::new(record.asset)
        .map_err(|_| Rejection::AssetMismatch { have: record.asset, need: payer.asset })?;
    Ok(Transaction::Exit(Exit {
        from: record.from,
        amount: record.amount,
        fee: record.fee,
        nonce: payer.nonce,
        asset,
        recipient: record.recipient,
    }))
}

/// The forced records of section E, by slot.
fn forced(
    run: &mut Run,
    witness: &mut BatchWitness,
    batch: &SealedBatch,
) -> Result<(), WitnessError> {
    for (slot, record) in batch.data.exits.iter().enumerate().filter(|(_, e)| e.forced) {
        let account = run.touch(record.from);
        let ran = transition::forced_exit(&mut run.ledger, record.from, record.recipient)
            .map_err(refuse('E', slot))?;
        if ran != *record {
            return Err(WitnessError::ForcedExit { record: slot });
        }
        witness.exits[slot] = ExitWitness {
            from: Fr::from(record.from.get()),
            amount: Fr::from(record.amount),
            fee: Fr::ZERO,
            forced: Fr::from(1u64),
            asset: Fr::from(account.asset),
            recipient: record.recipient.to_fr(),
            order: Fr::from(slot as u64),
            nonce: Fr::from(account.nonce),
            key: account.key,
            owner: account.owner.to_fr(),
            before: Fr::from(account.balance),
            link: LinkWitness::default(),
            signature: SignatureWitness::masked(),
        };
    }
    Ok(())
}
