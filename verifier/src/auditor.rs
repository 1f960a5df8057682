//! `kerros-verifier audit`: what is compared with what, and the report of it.

use crate::held::Receipts;
use crate::{Failure, read_key, settled};
use alloy::primitives::{Address as ChainAddress, B256};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kerros_protocol::account::Address;
use kerros_protocol::batch::BatchData;
use kerros_protocol::commitment::Srs;
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::chain::{
    ChainError, CreatedBy, Deployment, Event, History, Item, Proofs, Queued, Reader, Replay,
    Standing,
};
use kerros_verifier::deployed::{compare_code, compare_creation};
use serde_json::{Value, json};
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
    /// Transaction that created the contract, where no node has state old enough to find it.
    #[arg(long, value_name = "HASH")]
    creation: Option<B256>,
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
        let (bytes, wrong) = self.created(&reader, &deployment, &key).await?;
        let compared =
            "the transaction that created it with the committed init code and its arguments";
        report.check("creation", compared, bytes, wrong);

        let proofs = Proofs::From(self.from);
        let mut replay = Replay::new(key, &deployment, proofs)?.with_srs(srs.clone());
        let mut history = History::start(Arc::clone(&reader), self.contract, deployment.block);
        let bar = ProgressBar::new(Standing::read(&reader, self.contract).await?.number);
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
            self.settle(&reader, &replay, &queued, srs.as_ref(), &mut report).await?;
            receipts.ended(head.timestamp.saturating_mul(1_000));
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
                settled::balances(&replay)
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
        queued: &[Queued],
        srs: Option<&Srs>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let standing = Standing::read(reader, self.contract).await?;
        let wrong = settled::state(reader, replay, &standing).await?;
        let compared = "storage: root, number, size, queue, counts, latch, operator's last batch";
        report.check("state", compared, 10, wrong);
        let wrong = settled::queue(reader, replay, queued).await?;
        let compared = "queue entries: events with storage, field by field";
        report.check("queue", compared, queued.len() as u64, wrong);
        let wrong = settled::claims(reader, replay).await?;
        let count = (replay.withdrawable.len() + replay.ether.len()) as u64;
        report.check("claims", "what may be claimed: events with storage", count, wrong);
        let wrong = settled::money(reader, replay).await?;
        let compared = "supply with accounts and queue, tokens and ether held with what is owed";
        report.check("money", compared, replay.assets.len() as u64 + 1, wrong);
        if let Some(srs) = srs {
            let k = replay.state.ledger.k();
            let anew = replay.state.ledger.commit(&srs.lagrange(k)?);
            let wrong = (anew != replay.commitments).then(|| "they differ".to_owned());
            let compared = "the replayed accounts' commitments with the posted ones";
            report.check("commitments", compared, 3, wrong);
        }
        Ok(())
    }

    /// Whether the contract was created by the committed init code with these arguments: then its
    /// storage began as the init code leaves it, and every immutable is what its getter says.
    async fn created(
        &self,
        reader: &Reader,
        deployment: &Deployment,
        key: &VerificationKey,
    ) -> Result<(u64, Option<String>), ChainError> {
        let by = match self.creation {
            Some(hash) => CreatedBy::Transaction(hash),
            None if deployment.block_is_exact => CreatedBy::Block(deployment.block),
            None => {
                let why = "not shown: no node has state so old that the creation can be found; name its transaction (--creation)";
                return Ok((0, Some(why.to_owned())));
            }
        };
        let Some(found) = reader.creation(self.contract, by).await? else {
            let why = format!("no transaction creates {} there ({by:?})", self.contract);
            return Ok((0, Some(why)));
        };
        let wrong = compare_creation(&found.input, deployment, key).err();
        Ok((found.input.len() as u64, wrong.map(|error| error.to_string())))
    }
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
    receipts.posted(batch, data, before, block.timestamp.saturating_mul(1_000));
    Ok(())
}
