//! All events of a deployment, in order, each post with its transaction: read ahead by a task, a few at
//! a time, so that a long history needs little memory and checking does not wait for the network.

use super::event::LogEntry;
use super::failure::ChainError;
use super::reader::{PostTransaction, Reader};
use crate::contract::Kerros;
use alloy::primitives::Address;
use alloy::sol_types::SolEvent;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// Items that wait for the reader of a history.
const AHEAD_MAX: usize = 64;
/// Transactions asked for at once.
const TRANSACTIONS_AT_ONCE: usize = 16;

/// A log, and what only its transaction tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The log.
    pub log: LogEntry,
    /// Of a post; none for other events.
    pub post: Option<PostTransaction>,
}

/// A stream of [`Item`]s up to the reader's head.
#[derive(Debug)]
pub struct History {
    items: mpsc::Receiver<Result<Item, ChainError>>,
    task: JoinHandle<()>,
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl History {
    /// Begins to read at a block.
    pub fn start(reader: Arc<Reader>, contract: Address, from_block: u64) -> Self {
        let (sender, items) = mpsc::channel(AHEAD_MAX);
        let task = tokio::spawn(async move {
            if let Err(error) = read(&reader, contract, from_block, &sender).await {
                // Nobody listens any more: nobody to tell.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { items, task }
    }

    /// The next item; none at the head.
    pub async fn next(&mut self) -> Result<Option<Item>, ChainError> {
        self.items.recv().await.transpose()
    }
}

async fn read(
    reader: &Arc<Reader>,
    contract: Address,
    from_block: u64,
    items: &mpsc::Sender<Result<Item, ChainError>>,
) -> Result<(), ChainError> {
    let head = reader.head().number;
    let mut next = from_block;
    while next <= head {
        let last = head.min(next.saturating_add(reader.log_blocks() - 1));
        let logs = reader.logs(contract, next, last).await?;
        for logs in logs.chunks(TRANSACTIONS_AT_ONCE) {
            for item in with_transactions(reader, logs).await? {
                if items.send(Ok(item)).await.is_err() {
                    return Ok(());
                }
            }
        }
        next = last + 1;
    }
    Ok(())
}

async fn with_transactions(
    reader: &Arc<Reader>,
    logs: &[LogEntry],
) -> Result<Vec<Item>, ChainError> {
    let mut tasks = JoinSet::new();
    for (i, log) in logs.iter().enumerate() {
        if log.topics.first() == Some(&Kerros::BatchPosted::SIGNATURE_HASH) {
            let (reader, place) = (Arc::clone(reader), log.place);
            tasks.spawn(async move { (i, reader.transaction(&place).await) });
        }
    }
    let mut items: Vec<Item> =
        logs.iter().map(|log| Item { log: log.clone(), post: None }).collect();
    for (i, transaction) in tasks.join_all().await {
        items[i].post = Some(transaction?);
    }
    Ok(items)
}
