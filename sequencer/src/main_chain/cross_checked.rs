//! Several nodes as one main chain that believes none of them alone.
//!
//! Two nodes at least must say the same; of two both, so that one that lies, lags or is silent stops
//! everything rather than mislead anybody: with three, one of them may. The head is the highest
//! block that so many have with the same hash, and each time it is asked for, every node is asked which
//! chain it is on; who is elsewhere, silent or far behind is left out, loudly, until it is not any
//! more. What is asked "now" is asked of that head by its hash. Receipts and logs above it do not exist
//! yet. Transactions are handed to all; that one takes them is enough.
//!
//! Not compared, because honest nodes differ: gas estimates (the greatest), fees (the lower middle:
//! one node cannot make anybody pay more) and the next number with waiting transactions (the greatest: a gap is
//! noticed, a number used twice replaces something).

use super::{
    Answer, At, BlockHead, Call, Fees, LogEntry, LogQuery, MainChain, MainChainError,
    PublishedTransaction, Receipt, Refusal,
};
use alloy::primitives::{Address, B256, Bytes, U256};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Nodes that must agree if there are more.
const QUORUM: usize = 2;
/// Once enough nodes agree the others have so long to answer too, in ms.
const GRACE_MS: u64 = 1_000;
/// A node whose head is lower than the others' by more blocks than this is told about.
const LAG_BLOCKS_MAX: u64 = 8;
/// Blocks below the lowest useful head in which a common one is looked for.
const FORK_BLOCKS_MAX: u64 = 8;

/// A node and the name it has in logs, which must not hold what only we may know.
#[derive(Clone)]
pub struct Node {
    /// For messages and metrics.
    pub name: String,
    /// The node.
    pub chain: Arc<dyn MainChain>,
}

#[derive(Default)]
struct State {
    /// Of each node: why it is left out.
    left_out: Vec<Option<String>>,
    /// What all agreed on first.
    chain_id: Option<u64>,
    head: Option<BlockHead>,
}

/// Nodes that are compared.
pub struct CrossChecked {
    nodes: Vec<Node>,
    state: Mutex<State>,
}

type Said<T> = Vec<(usize, Result<T, MainChainError>)>;
type Ask<T> = Arc<dyn Fn(Arc<dyn MainChain>) -> Answer<'static, T> + Send + Sync>;

/// A question that each node is asked.
fn ask<T: 'static, F>(question: impl Fn(Arc<dyn MainChain>) -> F + Send + Sync + 'static) -> Ask<T>
where
    F: Future<Output = Result<T, MainChainError>> + Send + 'static,
{
    Arc::new(move |chain| Box::pin(question(chain)))
}

/// Whether an error is what the chain says, and not what befell the question.
fn is_answer(error: &MainChainError) -> bool {
    matches!(
        error,
        MainChainError::Reverted { .. }
            | MainChainError::Halted { .. }
            | MainChainError::NoBlock { .. }
            | MainChainError::BlockGone { .. }
            | MainChainError::TooManyLogs { .. }
    )
}

impl CrossChecked {
    /// Compares these nodes.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(nodes: Vec<Node>) -> Self {
        assert!(!nodes.is_empty(), "somebody has to be asked");
        let left_out = vec![None; nodes.len()];
        let state = Mutex::new(State { left_out, ..State::default() });
        Self { nodes, state }
    }

    fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
    fn quorum(&self) -> usize {
        QUORUM.min(self.nodes.len())
    }
    fn in_use(&self) -> Vec<usize> {
        let all = 0..self.nodes.len();
        self.with(|state| all.filter(|node| state.left_out[*node].is_none()).collect())
    }

    /// Asks these nodes at once; once `enough` are content with what came, the others have a moment.
    async fn gather<T: Send + 'static>(
        &self,
        nodes: &[usize],
        question: Ask<T>,
        enough: impl Fn(&Said<T>) -> bool,
    ) -> Said<T> {
        let mut asked = JoinSet::new();
        for node in nodes.iter().copied() {
            let (chain, question) = (Arc::clone(&self.nodes[node].chain), Arc::clone(&question));
            asked.spawn(async move { (node, question(chain).await) });
        }
        let mut said = Vec::new();
        while !asked.is_empty() {
            let next = match enough(&said) {
                true => {
                    let grace = Duration::from_millis(GRACE_MS);
                    match tokio::time::timeout(grace, asked.join_next()).await {
                        Ok(next) => next,
                        Err(_) => break,
                    }
                }
                false => asked.join_next().await,
            };
            // A node's code that panics has not answered.
            said.extend(next.and_then(Result::ok));
        }
        said
    }

    /// What at least a quorum says, equal by `key`.
    async fn agreed<T, K>(
        &self,
        method: &'static str,
        question: Ask<T>,
        key: impl Fn(&T) -> K,
    ) -> Result<T, MainChainError>
    where
        T: Send + 'static,
        K: PartialEq,
    {
        let quorum = self.quorum();
        let nodes = self.in_use();
        if nodes.len() < quorum {
            return Err(self.too_few());
        }
        let same =
            |one: &Result<T, MainChainError>, other: &Result<T, MainChainError>| match (one, other)
            {
                (Ok(one), Ok(other)) => key(one) == key(other),
                (Err(one), Err(other)) => is_answer(one) && one.to_string() == other.to_string(),
                _ => false,
            };
        let winner = |said: &Said<T>| {
            let votes = |one| said.iter().filter(|(_, other)| same(one, other)).count();
            // A failure is not even like itself, unless there is nobody to compare it with.
            (0..said.len()).find(|at| votes(&said[*at].1) >= quorum)
        };
        let mut said = self.gather(&nodes, question, |said: &Said<T>| winner(said).is_some()).await;
        let answers =
            |result: &Result<T, MainChainError>| result.as_ref().map_or_else(is_answer, |_| true);
        let Some(at) = winner(&said) else {
            let differ = said.iter().filter(|(_, result)| answers(result)).count() > 1;
            let failed = said.iter().position(|(_, result)| !answers(result));
            return Err(match (differ, failed) {
                (true, _) => self.disagreement(method, &said),
                (false, Some(at)) => {
                    let (node, result) = said.swap_remove(at);
                    self.named(node, result)
                }
                (false, None) => self.too_few(),
            });
        };
        let others = |(_, other): &&(usize, Result<T, MainChainError>)| {
            answers(other) && !same(&said[at].1, other)
        };
        if said.iter().filter(others).count() > 0 {
            let disagreement = self.disagreement(method, &said);
            tracing::warn!(%disagreement, "outvoted");
        }
        said.swap_remove(at).1
    }
    fn disagreement<T>(&self, method: &'static str, said: &Said<T>) -> MainChainError {
        metrics::counter!(crate::metrics::NODES_DISAGREE, "method" => method).increment(1);
        let mut nodes = String::new();
        for (node, result) in said {
            let name = &self.nodes[*node].name;
            let result = match result {
                Ok(_) => "an answer of its own".to_owned(),
                Err(error) => error.to_string(),
            };
            // Writing to a string does not fail.
            let _ = write!(nodes, "{}{name}: {result}", if nodes.is_empty() { "" } else { "; " });
        }
        MainChainError::Disagreement { method, nodes }
    }
    /// A node's failure, with its name if there are others.
    fn named<T>(&self, node: usize, result: Result<T, MainChainError>) -> MainChainError {
        let name = &self.nodes[node].name;
        match result {
            Err(MainChainError::Unreachable { reason }) if self.nodes.len() > 1 => {
                MainChainError::Unreachable { reason: format!("node {name}: {reason}") }
            }
            Err(error) => error,
            Ok(_) => self.too_few(),
        }
    }
    fn too_few(&self) -> MainChainError {
        let out = self.with(|state| {
            let names = self.nodes.iter().zip(&state.left_out);
            let out =
                names.filter_map(|(node, why)| Some(format!("{}: {}", node.name, why.as_ref()?)));
            out.collect::<Vec<_>>().join("; ")
        });
        MainChainError::Unreachable { reason: format!("too few nodes agree; left out are {out}") }
    }

    /// Leaves nodes out, or takes them in again, and says so when it changes.
    fn judge(&self, verdicts: Vec<Option<String>>) {
        let before = self.with(|state| std::mem::replace(&mut state.left_out, verdicts.clone()));
        for ((node, before), now) in self.nodes.iter().zip(before).zip(verdicts) {
            crate::metrics::node(&node.name, now.is_none());
            match (before, now) {
                (None, Some(why)) => {
                    tracing::warn!(node = node.name, %why, "MAIN-CHAIN NODE LEFT OUT");
                }
                (Some(_), None) => tracing::info!(node = node.name, "main-chain node is back"),
                _ => {}
            }
        }
    }

    /// Asks every node for its chain and its head, leaves out who cannot be believed, and finds the
    /// highest block that enough of them have.
    async fn look(&self) -> Result<BlockHead, MainChainError> {
        let quorum = self.quorum();
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        let question = ask(|chain: Arc<dyn MainChain>| async move {
            Ok((chain.chain_id().await?, chain.head().await?))
        });
        let good = |said: &Said<(u64, BlockHead)>| {
            said.iter().filter(|(_, result)| result.is_ok()).count() >= quorum
        };
        let said = self.gather(&all, question, good).await;
        let expected = match self.with(|state| state.chain_id) {
            Some(id) => id,
            None => self.first_chain_id().await?,
        };
        let mut verdicts = vec![Some("no answer in time".to_owned()); self.nodes.len()];
        let mut heads: Vec<(usize, BlockHead)> = Vec::new();
        for (node, result) in said {
            verdicts[node] = match result {
                Err(error) => Some(error.to_string()),
                Ok((found, _)) if found != expected => {
                    Some(MainChainError::OtherChain { expected, found }.to_string())
                }
                Ok((_, head)) => {
                    heads.push((node, head));
                    None
                }
            };
        }
        heads.sort_by_key(|(_, head)| std::cmp::Reverse(head.number));
        let found = match heads.get(quorum - 1) {
            Some((_, lowest)) => self.common(&heads, lowest.number, &mut verdicts).await,
            None => None,
        };
        let greatest = heads.first().map_or(0, |(_, head)| head.number);
        if let Some(head) = found
            && greatest > head.number + LAG_BLOCKS_MAX
        {
            // Of two nodes nobody can say which is wrong; the agreed block is then old, and the caller
            // looks at its age.
            tracing::warn!(agreed = head.number, greatest, "main-chain nodes are far apart");
        }
        self.judge(verdicts);
        self.with(|state| state.head = found.or(state.head));
        match found {
            Some(head) => Ok(head),
            None if heads.len() >= quorum => Err(MainChainError::Disagreement {
                method: "head",
                nodes: heads
                    .iter()
                    .map(|(node, head)| {
                        format!("{}: block {}", self.nodes[*node].name, head.number)
                    })
                    .collect::<Vec<_>>()
                    .join("; "),
            }),
            None => Err(self.too_few()),
        }
    }
    /// The highest block, not above `from`, that enough nodes have; those that do not are left out.
    async fn common(
        &self,
        heads: &[(usize, BlockHead)],
        from: u64,
        verdicts: &mut [Option<String>],
    ) -> Option<BlockHead> {
        let quorum = self.quorum();
        for number in (from.saturating_sub(FORK_BLOCKS_MAX)..=from).rev() {
            let mut said: Vec<(usize, BlockHead)> =
                heads.iter().copied().filter(|(_, head)| head.number == number).collect();
            let above = heads.iter().filter(|(_, head)| head.number > number);
            let above: Vec<usize> = above.map(|(node, _)| *node).collect();
            let question = ask(move |chain: Arc<dyn MainChain>| async move {
                chain.block(number).await?.ok_or(MainChainError::NoBlock { number })
            });
            let blocks = self.gather(&above, question, |_| false).await;
            said.extend(blocks.into_iter().filter_map(|(node, block)| Some((node, block.ok()?))));
            let votes = |hash: B256| said.iter().filter(|(_, block)| block.hash == hash).count();
            let found = said.iter().find(|(_, block)| votes(block.hash) >= quorum);
            let Some((_, block)) = found.copied() else { continue };
            for (node, head) in heads {
                let has = said.iter().find(|(other, _)| other == node);
                verdicts[*node] = match has {
                    Some((_, other)) if other.hash == block.hash => None,
                    Some(_) => Some(format!("has another block {number}")),
                    None => Some(format!("is at block {}, the others at {number}", head.number)),
                };
            }
            return Some(block);
        }
        None
    }
    /// All nodes must be on one chain at first; afterwards who is on another is left out.
    async fn first_chain_id(&self) -> Result<u64, MainChainError> {
        if let Some(id) = self.with(|state| state.chain_id) {
            return Ok(id);
        }
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        let question = ask(|chain: Arc<dyn MainChain>| async move { chain.chain_id().await });
        let said: Said<u64> = self.gather(&all, question, |_| false).await;
        let mut ids = said.iter().filter_map(|(_, result)| result.as_ref().ok());
        let first = ids.next().copied();
        if ids.any(|id| Some(*id) != first) {
            return Err(self.disagreement("chain_id", &said));
        }
        let have = said.iter().filter(|(_, result)| result.is_ok()).count();
        match first.filter(|_| have >= self.quorum()) {
            Some(id) => {
                self.with(|state| state.chain_id = Some(id));
                Ok(id)
            }
            None => {
                let failed = said.into_iter().find(|(_, result)| result.is_err());
                Err(failed
                    .map_or_else(|| self.too_few(), |(node, result)| self.named(node, result)))
            }
        }
    }

    /// "Now" is the agreed head.
    async fn place(&self, at: At) -> Result<At, MainChainError> {
        match at {
            At::Latest if self.nodes.len() > 1 => Ok(At::Hash(self.look().await?.hash)),
            at => Ok(at),
        }
    }
    /// The number of the head that was agreed on last.
    async fn agreed_number(&self) -> Result<u64, MainChainError> {
        match self.with(|state| state.head) {
            Some(head) => Ok(head.number),
            None => Ok(self.look().await?.number),
        }
    }
    /// The answers there are, if they are enough.
    async fn some<T: Send + 'static>(&self, question: Ask<T>) -> Result<Vec<T>, MainChainError> {
        let (nodes, quorum) = (self.in_use(), self.quorum());
        let good = |said: &Said<T>| said.iter().filter(|(_, r)| r.is_ok()).count() >= quorum;
        let said = self.gather(&nodes, question, good).await;
        let (mut answers, mut failed) = (Vec::new(), None);
        for (node, result) in said {
            match result {
                Ok(answer) => answers.push(answer),
                Err(error) if failed.is_none() => failed = Some((node, error)),
                Err(_) => {}
            }
        }
        match (answers.len() >= quorum, failed) {
            (true, _) => Ok(answers),
            (false, Some((node, error))) => Err(self.named::<T>(node, Err(error))),
            (false, None) => Err(self.too_few()),
        }
    }
}

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
                block.filter(|block| block.number <= agreed).map(|block| block.hash)
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
            let mut fees = self.some(question).await?;
            fees.sort_by_key(|fees| fees.max_fee_per_gas);
            Ok(fees[(fees.len() - 1) / 2])
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
            let greatest = Arc::new(Mutex::new(0));
            let seen = Arc::clone(&greatest);
            let question = ask(move |chain: Arc<dyn MainChain>| {
                let (call, seen) = (call.clone(), Arc::clone(&seen));
                async move {
                    let gas = chain.estimate_gas(call, at).await?;
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    *seen = gas.max(*seen);
                    Ok(())
                }
            });
            // That it can be done is compared, not what it costs.
            self.agreed("estimate_gas", question, |()| ()).await?;
            let greatest = *greatest.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(greatest)
        })
    }
    fn send_raw(&self, transaction: Bytes) -> Answer<'_, B256> {
        Box::pin(async move {
            let nodes = self.in_use();
            let question = ask(move |chain: Arc<dyn MainChain>| {
                let transaction = transaction.clone();
                async move { chain.send_raw(transaction).await }
            });
            let taken = |said: &Said<B256>| said.iter().any(|(_, result)| send_rank(result) < 2);
            let said = self.gather(&nodes, question, taken).await;
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
