//! Accepting connections, never more than the bound at once.

use crate::admission::{Hall, Source};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::transport::server::Connected;

/// Pause after a failed accept (out of file descriptors, for instance).
const ACCEPT_RETRY_MS: u64 = 50;

/// An accepted connection; gives its place back when it ends.
pub struct Connection {
    stream: TcpStream,
    source: Arc<Source>,
    _seat: OwnedSemaphorePermit,
}

/// What every request of a connection carries.
#[derive(Clone)]
pub struct Peer {
    /// Whose seats its requests take.
    pub source: Arc<Source>,
}

impl Connected for Connection {
    type ConnectInfo = Peer;
    fn connect_info(&self) -> Peer {
        Peer { source: Arc::clone(&self.source) }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Connections as they are accepted.
pub struct BoundedIncoming {
    address: SocketAddr,
    accepted: mpsc::Receiver<io::Result<Connection>>,
}

impl BoundedIncoming {
    /// Accepts at most `max` connections at once; further ones wait in the system's backlog. Ends
    /// when dropped.
    pub fn new(listener: TcpListener, max: usize, hall: Hall) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let seats = Arc::new(Semaphore::new(max));
        let (send, accepted) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Ok(seat) = Arc::clone(&seats).acquire_owned().await {
                let stream = tokio::select! {
                    () = send.closed() => return,
                    accepted = listener.accept() => accepted,
                };
                let connection = match stream {
                    Ok((stream, _)) => {
                        // Only latency is lost if the system refuses.
                        let _ = stream.set_nodelay(true);
                        Connection { stream, source: hall.source(), _seat: seat }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accept failed");
                        tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                        continue;
                    }
                };
                if send.send(Ok(connection)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { address, accepted })
    }
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl tokio_stream::Stream for BoundedIncoming {
    type Item = io::Result<Connection>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.accepted.poll_recv(context)
    }
}
