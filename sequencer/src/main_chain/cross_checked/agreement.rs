//! What several nodes say to one question: asked at once, compared, the failures named.

use super::super::{Answer, MainChain, MainChainError};
use super::{CrossChecked, GRACE_MS};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

pub(super) type Said<T> = Vec<(usize, Result<T, MainChainError>)>;
pub(super) type Ask<T> = Arc<dyn Fn(Arc<dyn MainChain>) -> Answer<'static, T> + Send + Sync>;

/// A question that each node is asked.
pub(super) fn ask<T: 'static, F>(
    question: impl Fn(Arc<dyn MainChain>) -> F + Send + Sync + 'static,
) -> Ask<T>
where
    F: Future<Output = Result<T, MainChainError>> + Send + 'static,
{
    Arc::new(move |chain| Box::pin(question(chain)))
}

/// Whether an error is what the chain says, and not what befell the question.
pub(super) fn is_answer(error: &MainChainError) -> bool {
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
    /// Asks these nodes at once; once `enough` are content with what came, the others have a moment.
    pub(super) async fn gather<T: Send + 'static>(
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
    pub(super) async fn agreed<T, K>(
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
    pub(super) fn disagreement<T>(&self, method: &'static str, said: &Said<T>) -> MainChainError {
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
    pub(super) fn named<T>(
        &self,
        node: usize,
        result: Result<T, MainChainError>,
    ) -> MainChainError {
        let name = &self.nodes[node].name;
        match result {
            Err(MainChainError::Unreachable { reason }) if self.nodes.len() > 1 => {
                MainChainError::Unreachable { reason: format!("node {name}: {reason}") }
            }
            Err(error) => error,
            Ok(_) => self.too_few(),
        }
    }
    pub(super) fn too_few(&self) -> MainChainError {
        let out = self.with(|state| {
            let names = self.nodes.iter().zip(&state.left_out);
            let out =
                names.filter_map(|(node, why)| Some(format!("{}: {}", node.name, why.as_ref()?)));
            out.collect::<Vec<_>>().join("; ")
        });
        MainChainError::Unreachable { reason: format!("too few nodes agree; left out are {out}") }
    }

    /// The answers there are, if they are enough.
    pub(super) async fn some<T: Send + 'static>(
        &self,
        question: Ask<T>,
    ) -> Result<Vec<T>, MainChainError> {
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
