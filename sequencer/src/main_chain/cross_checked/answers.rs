//! The questions of a main chain, each as several nodes are to be asked it.

use super::super::{
    Answer, At, BlockHead, Call, Fees, LogEntry, LogQuery, MainChain, MainChainError,
    PublishedTransaction, Receipt, Refusal,
};
use super::CrossChecked;
use super::agreement::{Said, ask, is_answer};
use alloy::primitives::{Address, B256, Bytes, U256};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinError;

/// Of refusals the one that says most; one that took the transaction is enough.
fn send_rank(result: &Result<B256, MainChainError>) -> u8 {
    match result {
        Ok(_) => 0,
        Err(MainChainError::Refused(Refusal::AlreadyKnown)) => 1,
        Err(MainChainError::Refused(Refusal::FeeTooLow { .. })) => 2,
        Err(MainChainError::Refused(_)) => 3,
        Err(error) if is_answer(error) => 4,
        Err(_) => 5,
    }
}

impl MainChain for CrossChecked {
    fn chain_id(&self) -> Answer<'_, u64> {
        // Of the nodes that disagree with the others the head's question tells.
        Box::pin(async move {
            match self.nodes.as_slice() {
                [only] => only.chain.chain_id().await,
                _ => self.first_chain_id().await,
            }
        })
    }
    fn head(&self) -> Answer<'_, BlockHead> {
        Box::pin(self.look())
    }
    fn block(&self, number: u64) -> Answer<'_, Option<BlockHead>> {
        Box::pin(async move {
            let agreed = self.agreed_number().await?;
            let question =
                ask(move |chain: Arc<dyn MainChain>| async move { chain.block(number).await });
            let found = self.agreed("block", question, |block| {
                // All of it: a hash alone would let the first to answer choose the time.
                block.filter(|block| block.number <= agreed)
            });
            Ok(found.await?.filter(|block| block.number <= agreed))
        })
    }
    fn balance(&self, account: Address, at: At) -> Answer<'_, U256> {
        Box::pin(async move {
            let at = self.place(at).await?;
            let question = ask(move |chain: Arc<dyn MainChain>| async move {
                chain.balance(account, at).await
            });
            self.agreed("balance", question, |balance| *balance).await
        })
    }
    fn code(&self, account: Address, at: At) -> Answer<'_, Bytes> {
        Box::pin(async move {
            let at = self.place(at).await?;
            let question =
                ask(move |chain: Arc<dyn MainChain>| async move { chain.code(account, at).await });
            self.agreed("code", question, Bytes::clone).await
        })
    }
    fn nonce(&self, account: Address) -> Answer<'_, u64> {
        Box::pin(async move {
            let question =
                ask(move |chain: Arc<dyn MainChain>| async move { chain.nonce(account).await });
            Ok(self.some(question).await?.into_iter().max().unwrap_or_default())
        })
    }
    fn nonce_at(&self, account: Address, at: At) -> Answer<'_, u64> {
        Box::pin(async move {
            let at = self.place(at).await?;
            let question = ask(move |chain: Arc<dyn MainChain>| async move {
                chain.nonce_at(account, at).await
            });
            self.agreed("nonce_at", question, |nonce| *nonce).await
        })
    }
    fn fees(&self) -> Answer<'_, Fees> {
        Box::pin(async move {
            let question = ask(|chain: Arc<dyn MainChain>| async move { chain.fees().await });
            let fees = self.some(question).await?;
            // Each for itself: a modest maximum must not bring in a tip that is all of it.
            let lower = |part: fn(&Fees) -> u128| {
                let mut parts: Vec<u128> = fees.iter().map(part).collect();
                parts.sort_unstable();
                parts[(parts.len() - 1) / 2]
            };
            let max_fee_per_gas = lower(|fees| fees.max_fee_per_gas);
            let tip = lower(|fees| fees.max_priority_fee_per_gas);
            Ok(Fees { max_fee_per_gas, max_priority_fee_per_gas: tip.min(max_fee_per_gas) })
        })
    }
    fn call(&self, call: Call, at: At) -> Answer<'_, Bytes> {
        Box::pin(async move {
            let at = self.place(at).await?;
            let question = ask(move |chain: Arc<dyn MainChain>| {
                let call = call.clone();
                async move { chain.call(call, at).await }
            });
            self.agreed("call", question, Bytes::clone).await
        })
    }
    fn estimate_gas(&self, call: Call, at: At) -> Answer<'_, u64> {
        Box::pin(async move {
            let at = self.place(at).await?;
            let estimates = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&estimates);
            let question = ask(move |chain: Arc<dyn MainChain>| {
                let (call, seen) = (call.clone(), Arc::clone(&seen));
                async move {
                    let gas = chain.estimate_gas(call, at).await?;
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(gas);
                    Ok(())
                }
            });
            // That it can be done is compared, not what it costs.
            self.agreed("estimate_gas", question, |()| ()).await?;
            let mut estimates = estimates.lock().unwrap_or_else(PoisonError::into_inner);
            estimates.sort_unstable();
            Ok(estimates[estimates.len() / 2])
        })
    }
    fn send_raw(&self, transaction: Bytes) -> Answer<'_, B256> {
        Box::pin(async move {
            let nodes = self.in_use();
            let question = ask(move |chain: Arc<dyn MainChain>| {
                let transaction = transaction.clone();
                // In a task of its own: who is slow gets it although another has said that it has it.
                let sent = tokio::spawn(async move { chain.send_raw(transaction).await });
                let ended = |error: JoinError| MainChainError::Unreachable {
                    reason: format!("the node's task: {error}"),
                };
                async move { sent.await.map_err(ended)? }
            });
            let taken = |said: &Said<B256>| said.iter().any(|(_, result)| send_rank(result) < 2);
            let said = self.gather(&nodes, question, taken).await;
            for (node, result) in &said {
                if let Err(error) = result {
                    tracing::debug!(node = self.nodes[*node].name, %error, "sending");
                }
            }
            let best = said.into_iter().min_by_key(|(_, result)| send_rank(result));
            match best {
                None => Err(self.too_few()),
                Some((node, Err(error))) => Err(self.named::<B256>(node, Err(error))),
                Some((_, hash)) => hash,
            }
        })
    }
    fn receipt(&self, transaction: B256) -> Answer<'_, Option<Receipt>> {
        Box::pin(async move {
            let agreed = self.agreed_number().await?;
            let question = ask(move |chain: Arc<dyn MainChain>| async move {
                let receipt = chain.receipt(transaction).await?;
                Ok(receipt.filter(|receipt| receipt.block <= agreed))
            });
            // What a revert returned not every node can tell.
            self.agreed("receipt", question, |receipt: &Option<Receipt>| {
                receipt.as_ref().map(|receipt| Receipt { revert: None, ..receipt.clone() })
            })
            .await
        })
    }
    fn logs(&self, query: LogQuery) -> Answer<'_, Vec<LogEntry>> {
        Box::pin(async move {
            let to = query.to.min(self.agreed_number().await?);
            if to < query.from {
                return Ok(Vec::new());
            }
            let query = LogQuery { to, ..query };
            let question = ask(move |chain: Arc<dyn MainChain>| {
                let query = query.clone();
                async move { chain.logs(query).await }
            });
            self.agreed("logs", question, Vec::clone).await
        })
    }
    fn transaction(&self, hash: B256) -> Answer<'_, Option<PublishedTransaction>> {
        Box::pin(async move {
            let agreed = self.agreed_number().await?;
            let question = ask(move |chain: Arc<dyn MainChain>| async move {
                let mut found = chain.transaction(hash).await?;
                if let Some(found) = &mut found {
                    found.block = found.block.filter(|block| *block <= agreed);
                }
                Ok(found)
            });
            // Not a disagreement: what waits gets round. It is known once enough nodes have it.
            let found = self.some(question).await?;
            let known = found.into_iter().flatten().collect::<Vec<_>>();
            Ok(known.first().filter(|_| known.len() >= self.quorum()).cloned())
        })
    }
}
