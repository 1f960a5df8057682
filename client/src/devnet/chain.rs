//! The embedded main chain of a development stack, served over JSON-RPC.

use super::{DevnetError, io_at, people};
use kerros_sequencer::main_chain::{Embedded, Genesis, MainChain, rpc};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A main chain in this process and its port; the port closes when this is dropped.
pub(crate) struct ServedChain {
    /// The chain, without the port.
    pub chain: Arc<dyn MainChain>,
    /// The port.
    pub url: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<io::Result<()>>,
}

impl ServedChain {
    /// Opens the chain in a directory, or makes it, and serves it; port 0 takes any.
    pub async fn start(dir: &Path, rpc: SocketAddr) -> Result<Self, DevnetError> {
        let clock = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(0, |since| since.as_secs())
        };
        let genesis = Genesis::development(people::PERSONS_MAX + people::FIRST);
        Self::serve(Embedded::open(dir, &genesis, Arc::new(clock))?, rpc).await
    }
    /// Serves a chain; port 0 takes any.
    pub async fn serve(embedded: Embedded, rpc: SocketAddr) -> Result<Self, DevnetError> {
        let listener = TcpListener::bind(rpc).await.map_err(io_at(rpc))?;
        let url = format!("http://{}", listener.local_addr().map_err(io_at(rpc))?);
        let (stop, mut stopped) = watch::channel(false);
        let told = async move {
            // The sender is gone with the chain: stop as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let options = rpc::RpcOptions { test_hooks: true };
        let task = tokio::spawn(rpc::serve(listener, Arc::clone(embedded.chain()), options, told));
        Ok(Self { chain: Arc::new(embedded), url, stop, task })
    }
    /// Closes the port and waits for open calls.
    pub async fn shutdown(self) -> Result<(), DevnetError> {
        // The server may have ended by itself.
        let _ = self.stop.send(true);
        match self.task.await {
            Ok(done) => done.map_err(io_at("JSON-RPC")),
            Err(_) => Err(DevnetError::Directory("the JSON-RPC server panicked")),
        }
    }
}
