//! Receipts that an audit judges on the way.

use crate::Failure;
use kerros_protocol::account::Address;
use kerros_protocol::batch::BatchData;
use kerros_protocol::ledger::Ledger;
use kerros_verifier::promise::{FILE_BYTES_MAX, Held};
use serde_json::{Value, json};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What became of a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its batch is not on the main chain, and the deadline has not passed.
    Pending,
    /// The promised batch has it, and was posted in time.
    Kept,
    /// Why whoever signed it has broken it.
    Broken(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("pending"),
            Self::Kept => f.write_str("kept"),
            Self::Broken(why) => write!(f, "BROKEN: {why}"),
        }
    }
}

struct Entry {
    path: PathBuf,
    held: Held,
    verdict: Verdict,
}

/// Receipts under judgement.
pub struct Receipts(Vec<Entry>);

fn read(path: &Path) -> Result<Held, Failure> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("more than {FILE_BYTES_MAX} bytes").into());
    }
    Ok(Held::from_json(&text)?)
}

impl Receipts {
    /// Reads files; refuses what this signer did not sign for this deployment.
    pub fn load(
        paths: &[PathBuf],
        chain_id: u64,
        contract: Address,
        signer: Address,
    ) -> Result<Self, Failure> {
        let mut entries = Vec::new();
        for path in paths {
            let at = |error: Failure| format!("{}: {error}", path.display());
            let held = read(path).map_err(at)?;
            if (held.chain_id, held.contract) != (chain_id, contract) {
                let (chain, contract) = (held.chain_id, held.contract);
                return Err(at(format!("is of contract {contract} on chain {chain}").into()).into());
            }
            held.check(signer).map_err(|fault| at(fault.into()))?;
            entries.push(Entry { path: path.clone(), held, verdict: Verdict::Pending });
        }
        for later in 1..entries.len() {
            for earlier in 0..later {
                if entries[later].held.contradicts(&entries[earlier].held, signer)? {
                    let other = entries[earlier].path.display();
                    let why = format!("it contradicts {other}, which has the same signer");
                    entries[later].verdict = Verdict::Broken(why);
                }
            }
        }
        Ok(Self(entries))
    }
    /// Whether one of them is about this batch.
    pub fn are_about(&self, batch: u64) -> bool {
        self.0.iter().any(|entry| entry.held.batch() == batch)
    }
    /// A batch that was posted in a block of this time, Unix ms; `before` are the accounts before it.
    pub fn posted(&mut self, batch: u64, data: &BatchData, before: &Ledger, block_ms: u64) {
        for entry in self.0.iter_mut().filter(|entry| entry.held.batch() == batch) {
            if entry.verdict != Verdict::Pending {
                continue;
            }
            let deadline_ms = entry.held.deadline_ms();
            entry.verdict = match entry.held.is_in(data, before) {
                Err(missing) => Verdict::Broken(missing.to_string()),
                Ok(()) if block_ms > deadline_ms => Verdict::Broken(format!(
                    "batch {batch} was posted at {block_ms} ms, promised was {deadline_ms} ms"
                )),
                Ok(()) => Verdict::Kept,
            };
        }
    }
    /// The main chain's newest block has this time, Unix ms: what is not posted may be late.
    pub fn ended(&mut self, head_ms: u64) {
        for entry in self.0.iter_mut().filter(|entry| entry.verdict == Verdict::Pending) {
            let (batch, deadline_ms) = (entry.held.batch(), entry.held.deadline_ms());
            if head_ms > deadline_ms {
                entry.verdict = Verdict::Broken(format!(
                    "batch {batch} is not posted at {head_ms} ms, promised was {deadline_ms} ms"
                ));
            }
        }
    }
    /// A line each.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|Entry { path, held, verdict }| {
            format!("receipt   {} (batch {}): {verdict}", path.display(), held.batch())
        })
    }
    /// The same as JSON.
    pub fn json(&self) -> Value {
        let entries = self.0.iter().map(|Entry { path, held, verdict }| {
            let (batch, deadline_ms) = (held.batch(), held.deadline_ms());
            let (verdict, why) = match verdict {
                Verdict::Pending => ("pending", None),
                Verdict::Kept => ("kept", None),
                Verdict::Broken(why) => ("broken", Some(why)),
            };
            json!({
                "file": path.display().to_string(),
                "batch": batch,
                "deadline_ms": deadline_ms,
                "verdict": verdict,
                "why": why,
            })
        });
        entries.collect()
    }
    /// How many are broken.
    pub fn broken(&self) -> usize {
        self.0.iter().filter(|entry| matches!(entry.verdict, Verdict::Broken(_))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerros_protocol::account::{AccountIndex, AccountKey, AssetId};
    use kerros_protocol::batch::OpenRecord;
    use kerros_protocol::receipt::{Opening, Receipt};
    use kerros_verifier::promise::Subject;

    fn receipts() -> (Receipts, OpenRecord) {
        let record = OpenRecord {
            index: AccountIndex::new(1).expect("in range"),
            asset: AssetId::new(1).expect("in range"),
            owner: Address([1; 20]),
            key: AccountKey::from_be(&[1; 32]).expect("below r"),
        };
        let promise = Opening { record, batch: 2, previous: [0; 32], deadline_ms: 1_000 };
        let (path, signature) = (Vec::new(), [0; 65]);
        let subject = Subject::Opening(Receipt { promise, index: 0, count: 1, path, signature });
        let held = Held { chain_id: 1, contract: Address([3; 20]), subject };
        let (path, verdict) = (PathBuf::from("r.json"), Verdict::Pending);
        (Receipts(vec![Entry { path, held, verdict }]), record)
    }
    fn batch(opens: &[OpenRecord]) -> BatchData {
        BatchData { opens: opens.to_vec(), ..BatchData::default() }
    }

    #[test]
    fn a_promise_is_kept_in_time_and_broken_late_elsewhere_or_never() {
        let before = Ledger::new(4);
        let verdict = |judge: &dyn Fn(&mut Receipts, OpenRecord)| {
            let (mut receipts, record) = receipts();
            assert!(receipts.are_about(2) && !receipts.are_about(1));
            judge(&mut receipts, record);
            (receipts.broken(), receipts.0[0].verdict.clone())
        };
        let kept = verdict(&|r, record| {
            r.posted(1, &batch(&[]), &before, 900);
            r.posted(2, &batch(&[record]), &before, 1_000);
            r.ended(9_000);
        });
        assert_eq!(kept, (0, Verdict::Kept));
        assert_eq!(verdict(&|r, _| r.ended(1_000)), (0, Verdict::Pending));
        for (broken, judged) in [
            verdict(&|r, record| r.posted(2, &batch(&[record]), &before, 1_001)),
            verdict(&|r, _| r.posted(2, &batch(&[]), &before, 500)),
            verdict(&|r, record| {
                r.posted(1, &batch(&[record]), &before, 500);
                r.ended(1_001);
            }),
        ] {
            assert!(broken == 1 && matches!(judged, Verdict::Broken(_)), "{judged:?}");
        }
    }
}
