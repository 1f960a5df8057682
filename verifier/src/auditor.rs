//! `kerros-verifier audit`: what is compared with what, and the report of it.

use crate::held::Receipts;
use crate::{Failure, read_key};
use alloy::primitives::{Address as ChainAddress, U256};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kerros_protocol::account::Address;
use kerros_protocol::batch::BatchData;
use kerros_protocol::commitment::Srs;
use kerros_verifier::audit::QueueEntry;
use kerros_verifier::chain::{
    ChainError, Deployment, Event, History, Item, Proofs, Queued, Reader, Replay, Standing,
    StoredEntry,
};
use kerros_verifier::contract::{Kerros, TestToken};
use kerros_verifier::deployed::compare_code;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Arguments of the audit.
#[derive(Args)]
pub struct AuditArgs {
    /// JSON-RPC endpoint of a main-chain node; given again, all answers must be equal.
    #[arg(long, required = true)]
    rpc: Vec<String>,
    /// Address of the Kerros contract.
    #[arg(long)]
    contract: ChainAddress,
    /// Verification key file.
    #[arg(long)]
    key: PathBuf,
    /// Batches below this number are replayed from their data, but their proofs are not checked.
    #[arg(long, value_name = "BATCH", default_value_t = 1)]
    from: u64,
    /// Reference string: a wrong batch is named more precisely, and the last commitments are made anew.
    #[arg(long, value_name = "FILE")]
    srs: Option<PathBuf>,
    /// Blocks below the newest one at which everything is read.
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    confirmations: u64,
    /// First block to look at, where no node has state old enough to find the deployment.
    #[arg(long, value_name = "BLOCK")]
    from_block: Option<u64>,
    /// A receipt to be judged, as `kerros transfer --receipt` writes it; may be given again.
    #[arg(long = "receipt", value_name = "FILE")]
    receipts: Vec<PathBuf>,
    /// Who signs receipts; the contract's operator if absent.
    #[arg(long, value_name = "ADDRESS")]
    receipt_signer: Option<ChainAddress>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// One line of the report.
struct Check {
    name: &'static str,
    compared: String,
    count: u64,
    wrong: Option<String>,
}

struct Report {
    checks: Vec<Check>,
    facts: Vec<(&'static str, Value)>,
}

impl Report {
    fn check(&mut self, name: &'static str, compared: &str, count: u64, wrong: Option<String>) {
        self.checks.push(Check { name, compared: compared.to_owned(), count, wrong });
    }
    fn failed(&self) -> usize {
        self.checks.iter().filter(|check| check.wrong.is_some()).count()
    }
    fn print(&self, as_json: bool, receipts: &Receipts) {
        if as_json {
            let checks = self.checks.iter().map(|check| {
                json!({
                    "name": check.name, "compared": check.compared, "count": check.count,
                    "verdict": if check.wrong.is_some() { "wrong" } else { "ok" }, "why": check.wrong,
                })
            });
            let mut report: serde_json::Map<String, Value> = self
                .facts
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect();
            report.insert("checks".to_owned(), checks.collect());
            report.insert("receipts".to_owned(), receipts.json());
            let verdict = if self.failed() == 0 { "ok" } else { "wrong" };
            report.insert("verdict".to_owned(), json!(verdict));
            println!("{}", Value::Object(report));
            return;
        }
        for (name, value) in &self.facts {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            println!("{name:<18} {text}");
        }
        for Check { name, compared, count, wrong } in &self.checks {
            match wrong {
                None => println!("ok     {name:<12} {count:>8}  {compared}"),
                Some(why) => println!("WRONG  {name:<12} {count:>8}  {compared}: {why}"),
            }
        }
        receipts.lines().for_each(|line| println!("{line}"));
    }
}

impl AuditArgs {
    /// Audits, prints the report, fails if anything does not hold.
    pub async fn run(self) -> Result<(), Failure> {
        let key = read_key(&self.key)?;
        let srs = self.srs.as_deref().map(Srs::open).transpose()?;
        let reader = Arc::new(Reader::connect(&self.rpc, self.confirmations).await?);
        let deployment = Deployment::read(&reader, self.contract, self.from_block).await?;
        let here = Address(self.contract.into_array());
        let signer = self.receipt_signer.unwrap_or(deployment.operator).into_array();
        let signer = Address(signer);
        let mut receipts = Receipts::load(&self.receipts, reader.chain_id(), here, signer)?;
        let standing = Standing::read(&reader, self.contract).await?;
        let (head, start) = (reader.head(), Instant::now());

        let facts = vec![
            ("chain_id", json!(reader.chain_id())),
            ("contract", json!(self.contract.to_string())),
            ("nodes", json!(reader.names())),
            ("head", json!(head.number)),
            ("head_hash", json!(head.hash.to_string())),
            ("deployed_at", json!(deployment.block)),
            ("development_key", json!(key.development)),
        ];
        let mut report = Report { checks: Vec::new(), facts };
        let code = reader.code(self.contract).await?;
        let constants = reader.code(deployment.key_code).await?;
        let wrong = compare_code(&code, &constants, &deployment, &key).err().map(|e| e.to_string());
        let compared = "deployed code with the committed artifact, its constants with the key file";
        report.check("code", compared, (code.len() + constants.len()) as u64, wrong);

        let proofs = Proofs::From(self.from);
        let mut replay = Replay::new(key, &deployment, proofs)?.with_srs(srs.clone());
        let mut history = History::start(Arc::clone(&reader), self.contract, deployment.block);
        let bar = ProgressBar::new(standing.number);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:40} {pos}/{len} batches, {per_sec}, {eta}")
        {
            bar.set_style(style);
        }
        let (mut queued, mut records, mut wrong) = (Vec::new(), 0usize, None);
        while let Some(item) = history.next().await? {
            let next = replay.state.number + 1;
            let before = (item.post.is_some() && receipts.are_about(next))
                .then(|| replay.state.ledger.clone());
            match replay.apply(&item) {
                Ok(step) => {
                    if let Event::Queued(entry) = step.event {
                        queued.push(entry);
                    }
                    if let Some(post) = step.post {
                        records += post.data.counts().iter().sum::<usize>();
                        if let Some(before) = before {
                            judge(&reader, &mut receipts, next, &post.data, &before, &item).await?;
                        }
                        bar.inc(1);
                    }
                }
                Err(fault) => {
                    wrong = Some(format!("after batch {}: {fault}", replay.state.number));
                    break;
                }
            }
        }
        bar.finish_and_clear();
        let seconds = start.elapsed().as_secs_f64();
        let number = replay.state.number;
        let compared = match self.from {
            0 | 1 => "every batch: data, queue, transcript, proof, root, events".to_owned(),
            from => {
                format!("every batch: data, queue, root, events; proofs from batch {from} on only")
            }
        };
        let whole = wrong.is_none();
        report.check("batches", &compared, number, wrong);
        if whole {
            self.settle(&reader, &replay, &standing, &queued, srs.as_ref(), &mut report).await?;
            receipts.ended(head.timestamp * 1_000);
        }
        reader.still_there().await?;
        report.facts.extend([
            ("batches", json!(number)),
            ("records", json!(records)),
            ("root", json!(replay.state.root.to_string())),
            ("ledger_k", json!(replay.state.ledger.k())),
            ("queue_head", json!(replay.state.head)),
            ("queue_waiting", json!(replay.waiting.len())),
            ("frozen", json!(replay.frozen.map(|frozen| frozen.entry))),
            (
                "balances",
                balances(&replay)
                    .iter()
                    .map(|(id, units)| (id.to_string(), json!(units.to_string())))
                    .collect::<Value>(),
            ),
            ("seconds", json!(seconds)),
            ("batches_per_second", json!(number as f64 / seconds.max(f64::MIN_POSITIVE))),
        ]);
        report.print(self.json, &receipts);
        match (report.failed(), receipts.broken()) {
            (0, 0) => Ok(()),
            (0, count) => {
                Err(format!("{count} of the receipts given are broken promises of {signer}").into())
            }
            (count, _) => Err(format!("{count} checks do not hold").into()),
        }
    }

    /// What is compared once everything is replayed.
    async fn settle(
        &self,
        reader: &Reader,
        replay: &Replay,
        standing: &Standing,
        queued: &[Queued],
        srs: Option<&Srs>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let wrong = replay.settled(standing).err().map(|fault| fault.to_string());
        report.check("state", "root, number, size, queue, assets, latch in storage", 7, wrong);
        let mut wrong = None;
        for entry in queued {
            let stored = StoredEntry::read(reader, self.contract, entry.entry).await?;
            let pending = entry.entry >= replay.state.head;
            let same = (&stored.content, stored.sender, stored.deadline, stored.pending)
                == (&entry.content, entry.sender, entry.deadline, pending);
            if !same || stored.refunded != replay.refunded.contains(&entry.entry) {
                wrong = Some(format!("entry {}: event {entry:?}, storage {stored:?}", entry.entry));
                break;
            }
        }
        let compared = "queue entries: events with storage, field by field";
        report.check("queue", compared, queued.len() as u64, wrong);
        let mut wrong = None;
        for ((asset, account), units) in &replay.withdrawable {
            let call = Kerros::withdrawableCall { _0: *asset, _1: account.0.into() };
            let stored = reader.call(self.contract, &call).await?;
            if stored != U256::from(*units) {
                wrong =
                    Some(format!("asset {asset}, {account}: {stored} stored, {units} replayed"));
                break;
            }
        }
        for (account, wei) in &replay.ether {
            let stored =
                reader.call(self.contract, &Kerros::etherCreditCall(account.0.into())).await?;
            if stored != *wei {
                wrong = Some(format!("ether of {account}: {stored} stored, {wei} in events"));
                break;
            }
        }
        let count = (replay.withdrawable.len() + replay.ether.len()) as u64;
        report.check("claims", "what may be claimed: events with storage", count, wrong);
        let wrong = self.money(reader, replay).await?;
        let compared =
            "supply with accounts and waiting deposits, tokens held with supply and claims";
        report.check("money", compared, replay.assets.len() as u64, wrong);
        if let Some(srs) = srs {
            let k = replay.state.ledger.k();
            let anew = replay.state.ledger.commit(&srs.lagrange(k)?);
            let wrong = (anew != replay.commitments).then(|| "they differ".to_owned());
            report.check(
                "commitments",
                "the replayed accounts' commitments with the posted ones",
                3,
                wrong,
            );
        }
        Ok(())
    }

    async fn money(&self, reader: &Reader, replay: &Replay) -> Result<Option<String>, ChainError> {
        let held = balances(replay);
        for (id, asset) in (1u16..).zip(&replay.assets) {
            let mut units = held.get(&id).copied().unwrap_or(0);
            for waiting in replay.waiting.iter().filter(|w| !replay.refunded.contains(&w.entry)) {
                if let QueueEntry::Deposit { asset, amount, .. } = &waiting.content
                    && *asset == id
                {
                    units += u128::from(*amount);
                }
            }
            let stored = reader.call(self.contract, &Kerros::assetsCall(id)).await?;
            let fixed = (stored.token.into_array(), stored.unitExponent);
            if fixed != (asset.token.0, asset.unit_exponent) {
                return Ok(Some(format!(
                    "asset {id}: storage and event name different tokens or units"
                )));
            }
            if u128::from(stored.supply) != units {
                let supply = stored.supply;
                return Ok(Some(format!(
                    "asset {id}: supply {supply}, accounts and queue hold {units}"
                )));
            }
            let owed = replay.withdrawable.iter().filter(|((asset, _), _)| *asset == id);
            let owed = units + owed.map(|(_, units)| *units).sum::<u128>();
            let unit = U256::from(10).pow(U256::from(asset.unit_exponent));
            let need = U256::from(owed) * unit;
            let call = TestToken::balanceOfCall(self.contract);
            let have = reader.call(asset.token.0.into(), &call).await?;
            if have < need {
                return Ok(Some(format!("asset {id}: {have} base units held, {need} owed")));
            }
        }
        Ok(None)
    }
}

/// Units in accounts that did not escape, by asset.
fn balances(replay: &Replay) -> BTreeMap<u16, u128> {
    let mut balances: BTreeMap<u16, u128> = BTreeMap::new();
    for (index, account) in replay.state.ledger.existing() {
        if !replay.escaped.contains(&index) {
            *balances.entry(account.asset).or_default() += u128::from(account.balance);
        }
    }
    balances
}

async fn judge(
    reader: &Reader,
    receipts: &mut Receipts,
    batch: u64,
    data: &BatchData,
    before: &kerros_protocol::ledger::Ledger,
    item: &Item,
) -> Result<(), ChainError> {
    let block = reader.block(item.log.place.block).await?;
    receipts.posted(batch, data, before, block.timestamp * 1_000);
    Ok(())
}
