//! `kerros tx` and `kerros batch`: what became of transactions and batches.

use super::receipt::ReceiptAt;
use super::{Failure, Said, SequencerAt};
use clap::Args;
use kerros_protocol::proto::{Batch, BatchState, Sections};
use kerros_protocol::transaction::{Transaction, TransactionId};
use kerros_verifier::promise::Subject;
use serde_json::{Value, json};

fn transaction_id(text: &str) -> Result<TransactionId, String> {
    let mut bytes = [0u8; 32];
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, &mut bytes).map_err(|error| error.to_string())?;
    Ok(TransactionId(bytes))
}

/// Arguments of `kerros tx`.
#[derive(Debug, Args)]
pub struct TxArgs {
    #[command(flatten)]
    sequencer: SequencerAt,
    /// The transaction's id: 64 hexadecimal digits.
    #[arg(value_parser = transaction_id)]
    id: TransactionId,
    #[command(flatten)]
    receipt: ReceiptAt,
}

impl TxArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        self.receipt.check()?;
        let (client, info) = self.sequencer.connect().await?;
        let (signed, receipt, state) = client.transaction(self.id).await?;
        let subject = || Subject::Transaction(Box::new(signed), receipt.clone());
        self.receipt.keep(&info, subject)?;
        let transaction = signed.transaction;
        let (kind, to) = match &transaction {
            Transaction::Transfer(transfer) => ("transfer", transfer.to.to_string()),
            Transaction::Exit(exit) => ("withdrawal", exit.recipient.to_string()),
        };
        let (from, amount) = (transaction.from(), transaction.amount());
        let (fee, nonce) = (transaction.fee().value(), transaction.nonce());
        let (batch, order, state) =
            (receipt.promise.batch, receipt.promise.order, state_name(state));
        Ok(Said {
            text: format!(
                "{kind} of {amount} from account {from} to {to}, fee {fee}, nonce {nonce}\n\
                 batch {batch} ({state}), place {order}"
            ),
            json: json!({
                "kind": kind,
                "from": from.get(),
                "to": to,
                "amount": amount,
                "fee": fee.to_string(),
                "nonce": nonce,
                "batch": batch,
                "order": order,
                "state": state,
            }),
        })
    }
}

/// Arguments of `kerros batch`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kerros batch --last 5\n  kerros batch 3 --json")]
pub struct BatchArgs {
    #[command(flatten)]
    sequencer: SequencerAt,
    /// The batch; the newest ones if absent.
    number: Option<u64>,
    /// How many of the newest.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    last: u32,
}

impl BatchArgs {
    /// Runs the command.
    pub async fn run(self) -> Result<Said, Failure> {
        let (client, _) = self.sequencer.connect().await?;
        let batches = match self.number {
            Some(number) => vec![client.batch(number, false).await?],
            None => client.batches(self.last).await?,
        };
        let mut text = format!(
            "{:>6} {:<9} {:<24} {:>9} {:>9}  new root",
            "batch", "state", "O,D,T,E,F", "proved ms", "gas"
        );
        for batch in &batches {
            let proving = batch.proof.as_ref().map_or(0, |proof| proving_micros(proof) / 1000);
            let gas = batch.settlement.as_ref().map_or(0, |settlement| settlement.gas_used);
            text += &format!(
                "\n{:>6} {:<9} {:<24} {:>9} {:>9}  {}{}",
                batch.number,
                state_name(batch.state()),
                sections(batch.counts.as_ref()),
                proving,
                gas,
                root(&batch.new_root),
                if batch.quarantined { " QUARANTINED: not proved so far" } else { "" },
            );
        }
        Ok(Said { json: batches.iter().map(to_json).collect(), text })
    }
}

/// The state's word in logs, metrics and here.
pub fn state_name(state: BatchState) -> &'static str {
    match state {
        BatchState::Unspecified => "unknown",
        BatchState::Open => "open",
        BatchState::Sealed => "sealed",
        BatchState::Proved => "proved",
        BatchState::Verified => "verified",
        BatchState::Posted => "posted",
        BatchState::Final => "final",
    }
}

fn sections(counts: Option<&Sections>) -> String {
    let Sections { opens, deposits, transfers, exits, collects } =
        counts.copied().unwrap_or_default();
    format!("{opens},{deposits},{transfers},{exits},{collects}")
}

fn root(bytes: &[u8]) -> String {
    if bytes.is_empty() { "-".to_owned() } else { format!("0x{}", hex::encode(bytes)) }
}

/// Sum of all phases, in microseconds.
pub fn proving_micros(proof: &kerros_protocol::proto::ProofInfo) -> u64 {
    proof.phases.iter().map(|phase| phase.micros).sum()
}

/// A batch as `kerros batch --json` and `kerros demo --json` show it.
pub fn to_json(batch: &Batch) -> Value {
    let counts = batch.counts.unwrap_or_default();
    let proof = batch.proof.as_ref().map(|proof| {
        let phases = proof.phases.iter().map(|phase| (phase.name.clone(), json!(phase.micros)));
        json!({
            "prover": proof.prover_id,
            "epoch": proof.epoch,
            "constraints": proof.constraints,
            "phases_us": phases.collect::<serde_json::Map<_, _>>(),
            "proving_us": proving_micros(proof),
            "verify_us": proof.verify_micros,
        })
    });
    let settlement = batch.settlement.as_ref().map(|settlement| {
        json!({
            "transaction": root(&settlement.transaction_hash),
            "block": settlement.block_number,
            "gas_used": settlement.gas_used,
            "calldata_bytes": settlement.calldata_len,
        })
    });
    json!({
        "number": batch.number,
        "state": state_name(batch.state()),
        "quarantined": batch.quarantined,
        "opens": counts.opens,
        "deposits": counts.deposits,
        "transfers": counts.transfers,
        "exits": counts.exits,
        "collects": counts.collects,
        "k": batch.k,
        "grows": batch.grows,
        "old_root": root(&batch.old_root),
        "new_root": root(&batch.new_root),
        "queue_first": batch.queue_first,
        "queue_end": batch.queue_end,
        "data_bytes": batch.data_len,
        "proof": proof,
        "settlement": settlement,
    })
}
