//! Watching over the tasks and ending them in order.

use super::failure::{SequencerError, TaskError};
use crate::admission::Admission;
use crate::lifecycle::Lifecycle;
use crate::limits::SHUTDOWN_MS_MAX;
use crate::mempool::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Resolves when told to stop, or when the handle is gone.
pub async fn told(mut stopped: watch::Receiver<bool>) {
    // An error means that the handle was dropped: stop as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}

type TaskResult = (&'static str, Result<(), TaskError>);

/// All tasks: servers end when told, then background tasks are dropped, the writer and its helpers end last.
#[derive(Default)]
pub struct Tasks {
    servers: JoinSet<TaskResult>,
    background: JoinSet<TaskResult>,
    threads: JoinSet<TaskResult>,
}

impl Tasks {
    pub fn server(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), TaskError>> + Send + 'static,
    ) {
        self.servers.spawn(async move { (name, task.await) });
    }
    pub fn background(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), TaskError>> + Send + 'static,
    ) {
        self.background.spawn(async move { (name, task.await) });
    }
    /// A thread of its own, so that profiles and /proc tell it from the runtime's.
    pub fn thread(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(), TaskError> + Send + 'static,
    ) {
        let (done, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("kerros-{name}"));
        let started = thread.spawn(move || done.send(work()).is_ok());
        self.threads.spawn(async move {
            let result = match started {
                Ok(_) => ended.await.unwrap_or(Err(TaskError::Panicked)),
                Err(error) => Err(TaskError::Thread(error)),
            };
            (name, result)
        });
    }

    pub async fn supervise(
        mut self,
        stopped: watch::Receiver<bool>,
        admission: Admission,
        commands: mpsc::Sender<Command>,
        lifecycle: Arc<Lifecycle>,
    ) -> Result<(), SequencerError> {
        let asked = stopped.clone();
        let ended = tokio::select! {
            biased;
            () = told(stopped) => None,
            Some(ended) = self.servers.join_next() => Some(ended),
            Some(ended) = self.background.join_next() => Some(ended),
            Some(ended) = self.threads.join_next() => Some(ended),
        };
        let mut first = match ended.map(failure) {
            None => None,
            Some(Ok(error)) => Some(error),
            // Told at the same moment, and the server was quicker than we.
            Some(Err(_)) if *asked.borrow() => None,
            Some(Err(task)) => Some(SequencerError { task, source: TaskError::Early }),
        };
        lifecycle.stop();
        self.background.shutdown().await;
        let late = Duration::from_millis(SHUTDOWN_MS_MAX);
        if first.is_some() {
            self.servers.abort_all();
        }
        let drained = tokio::time::timeout(late, async {
            while let Some(ended) = self.servers.join_next().await {
                if let Ok(error) = failure(ended) {
                    first.get_or_insert(error);
                }
            }
        });
        if drained.await.is_err() {
            tracing::warn!("open calls were cut off");
            self.servers.shutdown().await;
        }
        // Checkers first: what they still hold reaches the writer before its end.
        admission.close();
        // Fails if the writer has ended already.
        let _ = commands.send(Command::Stop).await;
        while let Some(ended) = self.threads.join_next().await {
            if let Ok(error) = failure(ended) {
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(()), Err)
    }
}

/// The failure of a task that has ended; its name if it has not failed.
fn failure(
    ended: Result<TaskResult, tokio::task::JoinError>,
) -> Result<SequencerError, &'static str> {
    match ended {
        Ok((task, Err(source))) => Ok(SequencerError { task, source }),
        Ok((task, Ok(()))) => Err(task),
        Err(error) if error.is_cancelled() => Err("a cancelled task"),
        Err(_) => Ok(SequencerError { task: "a task", source: TaskError::Panicked }),
    }
}
