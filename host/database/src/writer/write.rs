//! A write of any shape: a closure over the write connection.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use crate::WriteError;

/// A write whose types the writer need not know.
pub(super) trait Job: Send {
    /// Does the work; false if it failed and must be rolled back.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, bool>;

    /// Whether its waiter must not be answered before the log is synced.
    fn is_synced(&self) -> bool;

    /// Answers the waiter, once the fate of the group is known.
    fn answer(self: Box<Self>, group: Result<(), WriteError>);
}

pub(super) struct Write<F, R, E> {
    work: Option<F>,
    synced: bool,
    outcome: Option<Result<R, E>>,
    answer: oneshot::Sender<Result<R, E>>,
}

impl<F, R, E> Write<F, R, E> {
    pub(super) fn new(work: F, synced: bool, answer: oneshot::Sender<Result<R, E>>) -> Self {
        Write { work: Some(work), synced, outcome: None, answer }
    }
}

impl<F, R, E> Job for Write<F, R, E>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<R, E>> + Send,
    R: Send,
    E: From<WriteError> + Send,
{
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return false };
            // A panic in one write must not end the writer, and with it every other write.
            let ended = AssertUnwindSafe(async move { work(connection).await }).catch_unwind().await;
            let outcome = ended.unwrap_or_else(|_| Err(E::from(WriteError::Panicked)));
            self.outcome.insert(outcome).is_ok()
        })
    }

    fn is_synced(&self) -> bool {
        self.synced
    }

    fn answer(self: Box<Self>, group: Result<(), WriteError>) {
        let outcome = match (self.outcome, group) {
            // Its own error says more than the group's.
            (Some(Err(own)), _) => Err(own),
            (_, Err(group)) => Err(E::from(group)),
            (Some(Ok(done)), Ok(())) => Ok(done),
            (None, Ok(())) => Err(E::from(WriteError::Closed)),
        };
        // A waiter that went away needs no answer.
        let _ = self.answer.send(outcome);
    }
}
