//! Several nodes as one main chain that believes none of them alone.
//!
//! Two nodes at least must say the same; of two both, so that one that lies, lags or is silent stops
//! everything rather than mislead anybody: with three, one of them may. The head is the highest
//! block of which so many say the same, time and all, and each time it is asked for, every node is asked which
//! chain it is on; who is elsewhere, silent or far behind is left out, loudly, until it is not any
//! more. What is asked "now" is asked of that head by its hash. Receipts and logs above it do not exist
//! yet. Transactions are handed to all; that one takes them is enough, and that one refuses them
//! proves nothing.
//!
//! Not compared, because honest nodes differ: gas estimates (the upper middle: of two the greater, of
//! three one node can neither starve nor bloat a transaction), maximum fee and tip (the lower middle of
//! each: one node cannot make anybody pay more) and the next number with waiting transactions (the greatest: a gap is
//! noticed, a number used twice replaces something).

mod agreement;
mod answers;

use super::{At, BlockHead, MainChain, MainChainError};
use agreement::{Said, ask};
use std::sync::{Arc, Mutex, PoisonError};

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

/// The block of which enough of these say the same. All of it is compared: nobody computes a hash here.
fn common_block(blocks: &[BlockHead], quorum: usize) -> Option<BlockHead> {
    let votes = |one: &BlockHead| blocks.iter().filter(|other| *other == one).count();
    blocks.iter().find(|block| votes(block) >= quorum).copied()
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
            && greatest > head.number.saturating_add(LAG_BLOCKS_MAX)
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
            let known: Vec<BlockHead> = said.iter().map(|(_, block)| *block).collect();
            let settled = |blocks: &Said<BlockHead>| {
                let blocks = blocks.iter().filter_map(|(_, block)| block.as_ref().ok());
                let blocks: Vec<BlockHead> = known.iter().chain(blocks).copied().collect();
                common_block(&blocks, quorum).is_some()
            };
            let blocks = self.gather(&above, question, settled).await;
            said.extend(blocks.into_iter().filter_map(|(node, block)| Some((node, block.ok()?))));
            let blocks: Vec<BlockHead> = said.iter().map(|(_, block)| *block).collect();
            let Some(block) = common_block(&blocks, quorum) else { continue };
            for (node, head) in heads {
                let has = said.iter().find(|(other, _)| other == node);
                verdicts[*node] = match has {
                    Some((_, other)) if *other == block => None,
                    Some(_) => Some(format!("has another block {number}")),
                    None if head.number > number => Some(format!("did not show block {number}")),
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
}
