//! Receipts in files, and whether the main chain keeps what they promise (SPEC.md section 10).
//!
//! Batch data name no transaction ids and no places: what is judged is whether the promised batch can
//! have executed the transaction, by its fields and by the nonces that the payer's records used.

use crate::receipt::{ReceiptCheck, ReceiptFault};
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::batch::{BatchData, OpenRecord};
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::receipt::{Opening, Promise, Receipt};
use kerros_protocol::transaction::{SignedTransaction, Transaction};
use kerros_protocol::transcript;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest file of a receipt, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 << 10;

/// Why a file holds no receipt.
#[derive(Debug, Error)]
pub enum FileError {
    /// Not JSON of this form.
    #[error("not a receipt: {0}")]
    Json(#[from] serde_json::Error),
    /// A field with other bytes than it must have.
    #[error("field {field}: not {bytes} bytes in hexadecimal")]
    Hex {
        /// Its name.
        field: &'static str,
        /// How many it must have.
        bytes: usize,
    },
    /// A value out of its range.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// A receipt with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A transaction was acknowledged.
    Transaction(Box<SignedTransaction>, Receipt),
    /// An account was opened.
    Opening(Receipt<Opening>),
}

/// A receipt that says which deployment it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The rollup's contract.
    pub contract: Address,
    /// What is promised.
    pub subject: Subject,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum About {
    Transaction { transaction: String, order: u16 },
    Opening { index: u32, asset: u16, owner: String, key: String },
}

/// The file: hexadecimal without prefix, numbers as numbers.
#[derive(Serialize, Deserialize)]
struct Form {
    #[serde(flatten)]
    about: About,
    chain_id: u64,
    contract: String,
    batch: u64,
    previous: String,
    deadline_ms: u64,
    group_index: u32,
    group_count: u32,
    path: Vec<String>,
    signature: String,
}

fn array<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], FileError> {
    let mut bytes = [0; N];
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| FileError::Hex { field, bytes: N })?;
    Ok(bytes)
}

impl Held {
    /// As JSON text.
    pub fn to_json(&self) -> String {
        let (about, batch, previous, deadline_ms) = match &self.subject {
            Subject::Transaction(signed, Receipt { promise, .. }) => {
                let transaction = hex::encode(signed.encode());
                let about = About::Transaction { transaction, order: promise.order };
                (about, promise.batch, promise.previous, promise.deadline_ms)
            }
            Subject::Opening(Receipt { promise, .. }) => {
                let OpenRecord { index, asset, owner, key } = promise.record;
                let (owner, key) = (hex::encode(owner.0), hex::encode(key.to_be()));
                let (index, asset) = (index.get(), asset.get());
                let about = About::Opening { index, asset, owner, key };
                (about, promise.batch, promise.previous, promise.deadline_ms)
            }
        };
        let (group_index, group_count, path, signature) = match &self.subject {
            Subject::Transaction(_, r) => (r.index, r.count, &r.path, &r.signature),
            Subject::Opening(r) => (r.index, r.count, &r.path, &r.signature),
        };
        let form = Form {
            about,
            chain_id: self.chain_id,
            contract: self.contract.to_string(),
            batch,
            previous: hex::encode(previous),
            deadline_ms,
            group_index,
            group_count,
            path: path.iter().map(hex::encode).collect(),
            signature: hex::encode(signature),
        };
        serde_json::to_string_pretty(&form).expect("strings and numbers")
    }
    /// Reads [`Held::to_json`]. Nothing is checked but the form.
    pub fn from_json(text: &str) -> Result<Self, FileError> {
        let form: Form = serde_json::from_str(text)?;
        let (batch, deadline_ms) = (form.batch, form.deadline_ms);
        let previous = array("previous", &form.previous)?;
        let path = form.path.iter().map(|hash| array("path", hash)).collect::<Result<_, _>>()?;
        let (index, count) = (form.group_index, form.group_count);
        let signature = array("signature", &form.signature)?;
        let subject = match form.about {
            About::Transaction { transaction, order } => {
                let bytes = hex::decode(transaction);
                let bytes = bytes.map_err(|_| FileError::Hex { field: "transaction", bytes: 0 })?;
                let signed = SignedTransaction::decode(&bytes)?;
                let id = signed.transaction.id();
                let promise = Promise { id, batch, order, previous, deadline_ms };
                let receipt = Receipt { promise, index, count, path, signature };
                Subject::Transaction(Box::new(signed), receipt)
            }
            About::Opening { index: account, asset, owner, key } => {
                let record = OpenRecord {
                    index: AccountIndex::new(account)?,
                    asset: AssetId::new(asset)?,
                    owner: Address(array("owner", &owner)?),
                    key: AccountKey::from_be(&array("key", &key)?)?,
                };
                let promise = Opening { record, batch, previous, deadline_ms };
                Subject::Opening(Receipt { promise, index, count, path, signature })
            }
        };
        let (chain_id, contract) = (form.chain_id, Address(array("contract", &form.contract)?));
        Ok(Self { chain_id, contract, subject })
    }
    /// The promised batch.
    pub fn batch(&self) -> u64 {
        match &self.subject {
            Subject::Transaction(_, receipt) => receipt.promise.batch,
            Subject::Opening(receipt) => receipt.promise.batch,
        }
    }
    /// The promised time, Unix ms.
    pub fn deadline_ms(&self) -> u64 {
        match &self.subject {
            Subject::Transaction(_, receipt) => receipt.promise.deadline_ms,
            Subject::Opening(receipt) => receipt.promise.deadline_ms,
        }
    }
    /// Whether this signer promised it, for its own deployment.
    pub fn check(&self, signer: Address) -> Result<(), ReceiptFault> {
        let domain = transcript::domain(self.chain_id, &self.contract);
        let check = ReceiptCheck { domain, signer: signer.0.into() };
        match &self.subject {
            Subject::Transaction(_, receipt) => check.check(receipt),
            Subject::Opening(receipt) => check.check(receipt),
        }
    }
    /// Whether two that this signer gave contradict each other.
    pub fn contradicts(&self, other: &Held, signer: Address) -> Result<bool, ReceiptFault> {
        let domain = transcript::domain(self.chain_id, &self.contract);
        let check = ReceiptCheck { domain, signer: signer.0.into() };
        match (&self.subject, &other.subject) {
            (Subject::Transaction(_, one), Subject::Transaction(_, two)) => {
                check.contradict(one, two)
            }
            (Subject::Opening(one), Subject::Opening(two)) => check.contradict_openings(one, two),
            _ => Ok(false),
        }
    }
    /// Whether the promised batch has what was promised; `before` are the accounts before it.
    pub fn is_in(&self, data: &BatchData, before: &Ledger) -> Result<(), Missing> {
        match &self.subject {
            Subject::Opening(receipt) => match data.opens.contains(&receipt.promise.record) {
                true => Ok(()),
                false => Err(Missing::Opening { index: receipt.promise.record.index }),
            },
            Subject::Transaction(signed, _) => find(&signed.transaction, data, before),
        }
    }
}

/// Why a batch does not have what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Missing {
    /// No such record in section O.
    #[error("the batch does not open account {index} as promised")]
    Opening {
        /// The account.
        index: AccountIndex,
    },
    /// The payer's records used other nonces.
    #[error("the batch uses {count} nonces of account {index} from {first} on, not {nonce}")]
    Nonce {
        /// The payer.
        index: AccountIndex,
        /// Its nonce before the batch.
        first: u32,
        /// Its signed records in the batch.
        count: usize,
        /// The transaction's.
        nonce: u32,
    },
    /// None of the payer's records has the transaction's fields.
    #[error("no record of account {index} in the batch pays what the transaction says")]
    Record {
        /// The payer.
        index: AccountIndex,
    },
}

/// A payer's signed records use its nonces one after the other; of several, data do not say which has
/// which.
fn find(transaction: &Transaction, data: &BatchData, before: &Ledger) -> Result<(), Missing> {
    let (index, nonce) = (transaction.from(), transaction.nonce());
    let transfers = data.transfers.iter().filter(|record| record.from == index);
    let exits = data.exits.iter().filter(|record| record.from == index && !record.forced);
    let (first, count) =
        (before.get(index).nonce, transfers.clone().count() + exits.clone().count());
    if nonce < first || (nonce - first) as usize >= count {
        return Err(Missing::Nonce { index, first, count, nonce });
    }
    let found = match transaction {
        Transaction::Transfer(t) => transfers
            .clone()
            .any(|record| (record.to, record.amount, record.fee) == (t.to, t.amount, t.fee)),
        Transaction::Exit(e) => exits.clone().any(|record| {
            (record.amount, record.fee, record.asset, record.recipient)
                == (e.amount, e.fee, e.asset.get(), e.recipient)
        }),
    };
    if found { Ok(()) } else { Err(Missing::Record { index }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use ark_bn254::Fr;
    use kerros_protocol::account::Account;
    use kerros_protocol::amount::Fee;
    use kerros_protocol::batch::{ExitRecord, TransferRecord};
    use kerros_protocol::eddsa::PrivateKey;
    use kerros_protocol::receipt::Promised;
    use kerros_protocol::transaction::{Exit, Transfer};

    fn index(index: u32) -> AccountIndex {
        AccountIndex::new(index).expect("in range")
    }
    fn payment(nonce: u32) -> Transaction {
        let payee_key = AccountKey::new(Fr::from(5u64)).expect("not 0");
        let (from, to, fee) = (index(1), index(2), Fee::exact(3).expect("exact"));
        let payee_owner = Address([1; 20]);
        Transaction::Transfer(Transfer { from, to, amount: 7, fee, nonce, payee_key, payee_owner })
    }
    fn withdrawal(nonce: u32) -> Transaction {
        let (asset, fee) = (AssetId::new(1).expect("in range"), Fee::exact(0).expect("exact"));
        let recipient = Address([9; 20]);
        Transaction::Exit(Exit { from: index(1), amount: 4, fee, nonce, asset, recipient })
    }
    fn signed<P: Promised>(key: &PrivateKeySigner, promise: P) -> Receipt<P> {
        let domain = transcript::domain(7, &Address([3; 20]));
        let mut receipt =
            Receipt { promise, index: 0, count: 1, path: Vec::new(), signature: [0; 65] };
        let digest = receipt.digest(domain).expect("alone in its group");
        receipt.signature = key.sign_hash_sync(&digest.into()).expect("signs").as_bytes();
        receipt
    }
    fn acknowledged(key: &PrivateKeySigner, transaction: Transaction) -> Held {
        let domain = transcript::domain(7, &Address([3; 20]));
        let secret = PrivateKey::from_bytes([1; 32]);
        let signed_transaction = SignedTransaction::sign(transaction, &secret, domain);
        let (id, previous) = (transaction.id(), [4; 32]);
        let promise = Promise { id, batch: 5, order: 6, previous, deadline_ms: 99 };
        let subject = Subject::Transaction(Box::new(signed_transaction), signed(key, promise));
        Held { chain_id: 7, contract: Address([3; 20]), subject }
    }
    fn opened(key: &PrivateKeySigner) -> (Held, OpenRecord) {
        let account = AccountKey::new(Fr::from(5u64)).expect("not 0");
        let (asset, owner) = (AssetId::new(1).expect("in range"), Address([1; 20]));
        let record = OpenRecord { index: index(8), asset, owner, key: account };
        let promise = Opening { record, batch: 5, previous: [4; 32], deadline_ms: 99 };
        let subject = Subject::Opening(signed(key, promise));
        (Held { chain_id: 7, contract: Address([3; 20]), subject }, record)
    }

    #[test]
    fn files_give_back_what_was_kept_and_any_other_value_does_not_hold() {
        let key = PrivateKeySigner::random();
        let signer = Address(key.address().into_array());
        for held in
            [acknowledged(&key, payment(1)), acknowledged(&key, withdrawal(1)), opened(&key).0]
        {
            let text = held.to_json();
            assert_eq!(Held::from_json(&text).expect("own form"), held);
            assert_eq!(held.check(signer), Ok(()));
            assert!(held.check(Address([8; 20])).is_err());
            let form: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let mut fields = form.as_object().expect("an object").clone();
            fields.remove("path");
            for (name, value) in fields {
                let mut other = form.clone();
                other[&name] = match value {
                    serde_json::Value::Number(n) => (n.as_u64().expect("whole") + 1).into(),
                    value => {
                        // Another digit at the end of what is hexadecimal.
                        let text = value.as_str().expect("text");
                        let last = if text.ends_with('0') { "1" } else { "0" };
                        format!("{}{last}", &text[..text.len() - 1]).into()
                    }
                };
                let good = Held::from_json(&other.to_string());
                let good = good.is_ok_and(|other| other.check(signer).is_ok());
                // The signature of the transaction is not what the sequencer signed for.
                assert!(!good || name == "transaction", "{name}");
                let mut short = form.clone();
                short.as_object_mut().expect("an object").remove(&name);
                assert!(Held::from_json(&short.to_string()).is_err(), "without {name}");
            }
        }
        assert!(Held::from_json("{}").is_err() && Held::from_json("").is_err());
    }

    #[test]
    fn a_transaction_is_in_a_batch_by_its_payers_nonces_and_its_fields() {
        let key = PrivateKeySigner::random();
        let (from, to, fee) = (index(1), index(2), Fee::exact(3).expect("exact"));
        let paid = TransferRecord { from, to, amount: 7, fee };
        let free = Fee::exact(0).expect("exact");
        let left = ExitRecord {
            from,
            amount: 4,
            fee: free,
            forced: false,
            asset: 1,
            recipient: Address([9; 20]),
        };
        let mut before = Ledger::new(4);
        before.set(from, Account { nonce: 10, ..Account::EMPTY });
        let data = |transfers: &[TransferRecord], exits: &[ExitRecord]| BatchData {
            transfers: transfers.to_vec(),
            exits: exits.to_vec(),
            ..BatchData::default()
        };
        let judge =
            |transaction, data: &BatchData| acknowledged(&key, transaction).is_in(data, &before);
        assert_eq!(judge(payment(10), &data(&[paid], &[])), Ok(()));
        assert_eq!(judge(withdrawal(10), &data(&[], &[left])), Ok(()));
        // Two records: the data do not say which has which nonce.
        for nonce in [10, 11] {
            assert_eq!(judge(payment(nonce), &data(&[paid], &[left])), Ok(()));
            assert_eq!(judge(withdrawal(nonce), &data(&[paid], &[left])), Ok(()));
        }
        for nonce in [9, 11] {
            let missing = Missing::Nonce { index: from, first: 10, count: 1, nonce };
            assert_eq!(judge(payment(nonce), &data(&[paid], &[])), Err(missing));
        }
        let none = Missing::Nonce { index: from, first: 10, count: 0, nonce: 10 };
        assert_eq!(judge(payment(10), &data(&[], &[])), Err(none));
        // A forced exit uses no nonce.
        let forced = ExitRecord { forced: true, ..left };
        assert_eq!(judge(withdrawal(10), &data(&[], &[forced])), Err(none));
        let others = [
            TransferRecord { to: index(3), ..paid },
            TransferRecord { amount: 8, ..paid },
            TransferRecord { fee: free, ..paid },
        ];
        for other in others {
            let missing = Missing::Record { index: from };
            assert_eq!(judge(payment(10), &data(&[other], &[])), Err(missing));
        }
        let others = [
            ExitRecord { amount: 5, ..left },
            ExitRecord { fee, ..left },
            ExitRecord { asset: 2, ..left },
            ExitRecord { recipient: Address([8; 20]), ..left },
        ];
        for other in others {
            let missing = Missing::Record { index: from };
            assert_eq!(judge(withdrawal(10), &data(&[], &[other])), Err(missing));
        }
    }

    #[test]
    fn an_opening_is_in_a_batch_that_has_exactly_its_record() {
        let (held, record) = opened(&PrivateKeySigner::random());
        let before = Ledger::new(4);
        let data = |record| BatchData { opens: vec![record], ..BatchData::default() };
        assert_eq!(held.is_in(&data(record), &before), Ok(()));
        let missing = Err(Missing::Opening { index: record.index });
        for other in [
            OpenRecord { index: index(9), ..record },
            OpenRecord { asset: AssetId::new(2).expect("in range"), ..record },
            OpenRecord { owner: Address([2; 20]), ..record },
            OpenRecord { key: AccountKey::new(Fr::from(6u64)).expect("not 0"), ..record },
        ] {
            assert_eq!(held.is_in(&data(other), &before), missing);
        }
        assert_eq!(held.is_in(&BatchData::default(), &before), missing);
    }
}
