//! One main-chain node over HTTP JSON-RPC: a question, an answer, and another try if the failure is
//! one that passes. Does not know what the answers mean.

use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::transports::http::{Http, reqwest};
use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;
use thiserror::Error;

/// Time for one question and its answer.
const REQUEST_SECONDS_MAX: u64 = 30;
/// Time for a connection to come about.
const CONNECT_SECONDS_MAX: u64 = 5;
/// Times a question is asked before the node counts as gone.
const TRIES_MAX: u32 = 6;
/// Pause before the second try; doubled for each further one.
const PAUSE_MS: u64 = 250;
/// Pause that a node may ask for.
const PAUSE_MS_MAX: u64 = 10_000;
/// Characters of a node's own words that are passed on.
const WORDS_MAX: usize = 200;

/// Why a node gave no answer that can be used. Names scheme and host only: URLs carry keys.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeError {
    /// Not a URL of a node.
    #[error("a node's URL: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// No answer, after all tries.
    #[error("{node}: {method}: {reason} ({tries} tries)")]
    Unreachable {
        /// Which.
        node: String,
        /// The question.
        method: &'static str,
        /// Last failure.
        reason: String,
        /// How often it was asked.
        tries: u32,
    },
    /// The node refuses the question.
    #[error("{node}: {method}: {message} (code {code})")]
    Refused {
        /// Which.
        node: String,
        /// The question.
        method: &'static str,
        /// JSON-RPC code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// An answer of another form than the question's.
    #[error("{node}: {method}: {reason}")]
    Nonsense {
        /// Which.
        node: String,
        /// The question.
        method: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
}

/// A node. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Node {
    name: String,
    provider: RootProvider,
}

/// What the HTTP client says, but for the URL: those of nodes carry keys.
pub fn without_url(error: Box<dyn Error + Send + Sync>) -> String {
    let error = match error.downcast::<reqwest::Error>() {
        Ok(error) => error.without_url(),
        Err(other) => return other.to_string(),
    };
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A failure that another try may cure, with the pause the node asks for.
struct Passing {
    reason: String,
    pause: Option<Duration>,
}

impl Node {
    /// Will speak to the node at this URL. Does not connect yet.
    pub fn new(url: &str) -> Result<Self, NodeError> {
        // A second installation is refused, which is as good; without one rustls panics.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |reason: String| NodeError::Url { reason };
        let url: reqwest::Url = url.parse().map_err(|error| wrong(format!("{error}")))?;
        let host = url.host_str().ok_or_else(|| wrong("it names no host".to_owned()))?;
        let name = match url.port() {
            Some(port) => format!("{}://{host}:{port}", url.scheme()),
            None => format!("{}://{host}", url.scheme()),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("{name}: neither http nor https")));
        }
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(REQUEST_SECONDS_MAX))
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .build()
            .map_err(|error| wrong(format!("HTTP client: {}", error.without_url())))?;
        let client = RpcClient::new(Http::with_client(client, url), false);
        Ok(Self { name, provider: RootProvider::new(client) })
    }

    /// Scheme, host and port.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks; again, with growing pauses, while the failure is one that passes.
    pub async fn ask<R>(&self, method: &'static str, params: &Value) -> Result<R, NodeError>
    where
        R: DeserializeOwned + Debug + Send + Sync + Unpin + 'static,
    {
        let mut tries = 1;
        loop {
            let answer = self.provider.raw_request::<_, R>(method.into(), params.clone()).await;
            let error = match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let passing = self.passing(method, error)?;
            if tries == TRIES_MAX {
                let (node, reason) = (self.name.clone(), passing.reason);
                return Err(NodeError::Unreachable { node, method, reason, tries });
            }
            let own = Duration::from_millis(PAUSE_MS << (tries - 1));
            let asked = passing.pause.unwrap_or_default();
            let longest = Duration::from_millis(PAUSE_MS_MAX);
            tokio::time::sleep(own.max(asked).min(longest)).await;
            tries += 1;
        }
    }

    /// Sorts failures: what may pass, or the error for good.
    fn passing(&self, method: &'static str, error: TransportError) -> Result<Passing, NodeError> {
        let node = self.name.clone();
        // Not the body of an HTTP error: some gateways repeat the path there, and the key with it.
        let status = |status: u16, pause| match status {
            408 | 429 | 500.. => Ok(Passing { reason: format!("HTTP status {status}"), pause }),
            _ => Err(NodeError::Refused {
                node: node.clone(),
                method,
                code: status.into(),
                message: "HTTP status".to_owned(),
            }),
        };
        match error {
            RpcError::ErrorResp(payload) => {
                let (code, message) = (payload.code, shortened(&payload.message));
                let text = message.to_lowercase();
                let busy = code == 429
                    || ["rate limit", "too many requests", "try again", "compute units"]
                        .iter()
                        .any(|phrase| text.contains(phrase));
                match busy {
                    true => Ok(Passing { reason: message, pause: None }),
                    false => Err(NodeError::Refused { node, method, code, message }),
                }
            }
            RpcError::DeserError { err, .. } => {
                let reason = format!("the answer cannot be read: {}", shortened(&err.to_string()));
                Err(NodeError::Nonsense { node, method, reason })
            }
            RpcError::Transport(TransportErrorKind::HttpError(error)) => status(error.status, None),
            RpcError::Transport(TransportErrorKind::HttpErrorWithRetryAfter {
                error,
                retry_after,
            }) => status(error.status, Some(retry_after)),
            RpcError::Transport(TransportErrorKind::Custom(error)) => {
                Ok(Passing { reason: without_url(error), pause: None })
            }
            other => {
                let reason = shortened(&other.to_string());
                Err(NodeError::Nonsense { node, method, reason })
            }
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_name_holds_neither_path_nor_password() {
        let node = Node::new("https://user:secret@example.org/v3/key?token=1").expect("a URL");
        assert_eq!(node.name(), "https://example.org");
        assert_eq!(
            Node::new("http://127.0.0.1:8545").expect("a URL").name(),
            "http://127.0.0.1:8545"
        );
        for bad in ["", "example.org", "ftp://example.org/key", "http://"] {
            let Err(NodeError::Url { reason }) = Node::new(bad) else { panic!("{bad} is taken") };
            assert!(!reason.contains("key"), "{reason}");
        }
    }
}
