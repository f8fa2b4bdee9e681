//! A write of any shape: a closure over the write connection, or a script.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::{Executor, SqliteConnection};
use tokio::sync::oneshot;

use crate::script::Stopped;
use crate::{Ran, Script, ScriptError, WriteError};

/// A write whose types the writer need not know.
pub(super) trait Job: Send {
    /// Does the work between two statements: false if it failed and must be rolled back, in which case the second was not
    /// executed.
    fn run_between<'c>(
        &'c mut self,
        before: Option<&'static str>,
        after: &'static str,
        connection: &'c mut SqliteConnection,
    ) -> BoxFuture<'c, Result<bool, Broken>>;

    /// Whether its waiter must not be answered before the log is synced.
    fn is_synced(&self) -> bool;

    /// Answers the waiter, once the fate of the group is known.
    fn answer(self: Box<Self>, group: Result<(), WriteError>);
}

/// One of the statements around a write failed.
pub(super) enum Broken {
    Before(sqlx::Error),
    After(sqlx::Error),
}

pub(super) struct Write<F, R, E> {
    work: Option<F>,
    outcome: Option<Result<R, E>>,
    answer: oneshot::Sender<Result<R, E>>,
}

impl<F, R, E> Write<F, R, E> {
    pub(super) fn new(work: F, answer: oneshot::Sender<Result<R, E>>) -> Self {
        Write { work: Some(work), outcome: None, answer }
    }
}

impl<F, R, E> Job for Write<F, R, E>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<R, E>> + Send,
    R: Send,
    E: From<WriteError> + Send,
{
    fn run_between<'c>(
        &'c mut self,
        before: Option<&'static str>,
        after: &'static str,
        connection: &'c mut SqliteConnection,
    ) -> BoxFuture<'c, Result<bool, Broken>> {
        Box::pin(async move {
            if let Some(before) = before {
                connection.execute(before).await.map_err(Broken::Before)?;
            }
            let Some(work) = self.work.take() else { return Ok(false) };
            let within = &mut *connection;
            // A panic in one write must not end the writer, and with it every other write.
            let ended = AssertUnwindSafe(async move { work(within).await }).catch_unwind().await;
            let outcome = ended.unwrap_or_else(|_| Err(E::from(WriteError::Panicked)));
            let is_done = self.outcome.insert(outcome).is_ok();
            if is_done {
                connection.execute(after).await.map_err(Broken::After)?;
            }
            Ok(is_done)
        })
    }

    fn is_synced(&self) -> bool {
        true
    }

    fn answer(self: Box<Self>, group: Result<(), WriteError>) {
        answer(self.answer, self.outcome, group);
    }
}

pub(super) struct ScriptWrite {
    script: Option<Script>,
    synced: bool,
    outcome: Option<Result<Ran, ScriptError>>,
    answer: oneshot::Sender<Result<Ran, ScriptError>>,
}

impl ScriptWrite {
    pub(super) fn new(script: Script, synced: bool, answer: oneshot::Sender<Result<Ran, ScriptError>>) -> Self {
        ScriptWrite { script: Some(script), synced, outcome: None, answer }
    }
}

impl Job for ScriptWrite {
    fn run_between<'c>(
        &'c mut self,
        before: Option<&'static str>,
        after: &'static str,
        connection: &'c mut SqliteConnection,
    ) -> BoxFuture<'c, Result<bool, Broken>> {
        Box::pin(async move {
            let Some(script) = self.script.take() else { return Ok(false) };
            let outcome = match script.run_between(before, Some(after), connection).await {
                Ok(ran) => Ok(ran),
                Err(Stopped::Within(error)) => Err(error),
                Err(Stopped::Before(error)) => return Err(Broken::Before(error)),
                Err(Stopped::After(error)) => return Err(Broken::After(error)),
            };
            Ok(self.outcome.insert(outcome).is_ok())
        })
    }

    fn is_synced(&self) -> bool {
        self.synced
    }

    fn answer(self: Box<Self>, group: Result<(), WriteError>) {
        answer(self.answer, self.outcome, group);
    }
}

fn answer<R, E: From<WriteError>>(
    waiter: oneshot::Sender<Result<R, E>>,
    outcome: Option<Result<R, E>>,
    group: Result<(), WriteError>,
) {
    let outcome = match (outcome, group) {
        // Its own error says more than the group's.
        (Some(Err(own)), _) => Err(own),
        (_, Err(group)) => Err(E::from(group)),
        (Some(Ok(done)), Ok(())) => Ok(done),
        (None, Ok(())) => Err(E::from(WriteError::Closed)),
    };
    // A waiter that went away needs no answer.
    let _ = waiter.send(outcome);
}
