//! The one writer, with group commit.
//!
//! Whatever waits is written in one transaction and answered after the sync that follows its commit, so one sync pays for
//! many; while it is under way, the next group is written. Two things can wait: rows of a kind that is inserted often
//! (events; [`Rows`]) and other writes ([`Writer::run`], [`Writer::submit`]). In a group the rows come first, and few
//! writes ride with them: a row never waits behind a queue of writes.
//!
//! One bad row or write fails alone; a commit that fails fails all of its group; and no answer leaves before the sync has
//! returned, but to those that asked for it sooner.

mod group;
mod log;
mod rows;
mod sync;
#[cfg(test)]
mod tests;
mod transaction;
mod write;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::lock::FolderLock;
pub use rows::{BatchInsert, Inserted, Rows, insert_row};

use self::group::GroupCommit;
use self::sync::{SyncLog, Syncer};
use self::write::{Job, ScriptWrite, Write};
use crate::{Ran, Script, ScriptError, WriteError};

/// Writes that may wait before [`Writer::submit`] itself waits.
const WAITING_WRITES: usize = 1024;

/// The handle of the one writer. Clones are the same writer; it ends when the last is dropped.
#[derive(Clone, Debug)]
pub struct Writer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writes: mpsc::Sender<Box<dyn Job>>,
    shared: Arc<Shared>,
    /// Told when the last group is committed.
    ended: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

/// What handles and the task share.
#[derive(Default)]
struct Shared {
    /// Something waits, or the writer shall close.
    wake: Notify,
    closing: AtomicBool,
    /// Nobody waits any more for a log that can't be synced.
    stopping: AtomicBool,
    /// Kinds of rows that the task has not adopted yet.
    announced: Mutex<Vec<Box<dyn rows::Queue>>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    commits: AtomicU64,
    unsynced: AtomicU64,
    failed_commits: AtomicU64,
    rows: AtomicU64,
    writes: AtomicU64,
    largest_group: AtomicU64,
}

/// What the writer did since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterStats {
    /// Groups committed: each one transaction.
    pub commits: u64,
    /// Of these, groups that were answered before the log was synced: none of their waiters asked for that.
    pub unsynced: u64,
    /// Groups that could not be begun or committed; all of their waiters got an error.
    pub failed_commits: u64,
    /// Rows in committed groups, duplicates and refused ones included.
    pub rows: u64,
    /// Writes in committed groups, failed ones included.
    pub writes: u64,
    /// Rows and writes of the largest group.
    pub largest_group: u64,
    /// Writes that wait for a group now.
    pub waiting: u64,
}

impl Writer {
    /// Starts the writer as a task: a group is one trip to SQLite, so it waits for its turn behind requests once, and each
    /// thread between a waiter and the store would have to be woken.
    pub(crate) fn start(connection: SqliteConnection, reopen: SqliteConnectOptions, lock: FolderLock) -> Writer {
        let sync_log = sync::log_of(reopen.get_filename());
        Writer::start_with(connection, reopen, lock, sync_log)
    }

    fn start_with(
        connection: SqliteConnection,
        reopen: SqliteConnectOptions,
        lock: FolderLock,
        sync_log: SyncLog,
    ) -> Writer {
        let (writes, waiting) = mpsc::channel(WAITING_WRITES);
        let shared = Arc::new(Shared::default());
        let syncer = Syncer::new(sync_log, reopen.clone(), Arc::clone(&shared));
        let group_commit = GroupCommit::new(connection, reopen, waiting, Arc::clone(&shared), syncer, lock);
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move {
            group_commit.run().await;
            let _ = end.send(());
        });
        Writer { inner: Arc::new(Inner { writes, shared, ended: tokio::sync::Mutex::new(Some(ended)) }) }
    }

    /// Runs `write` inside the next group, in a savepoint of its own, and answers once the group is durable. If it
    /// returns an error (or panics), its own changes are rolled back and the rest of the group goes on.
    ///
    /// `write` must not begin, commit or roll back transactions, and must return the error of any statement that
    /// fails: after some errors (disk full) SQLite has ended the transaction, and going on would write outside it.
    /// Waiting for anything but the connection holds up every other write. Once submitted, a write is carried out
    /// even if the caller stops waiting.
    ///
    /// ```ignore
    /// writer.submit(move |c| Box::pin(async move {
    ///     sqlx::query("UPDATE tenants SET name = $1").bind(name).execute(c).await?;
    ///     Ok::<_, TenantsError>(())
    /// })).await?;
    /// ```
    ///
    /// # Errors
    /// What `write` returned, or a [`WriteError`] turned into `E`.
    pub async fn submit<R, E, F>(&self, write: F) -> Result<R, E>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: From<WriteError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.queue(Box::new(Write::new(write, answer))).await?;
        answered.await.map_err(|_| WriteError::Closed)?
    }

    /// Executes a script inside the next group: as [`Writer::submit`], with fewer trips to SQLite.
    ///
    /// Unless it is `synced`, it is answered once the group is committed, though the log may not be synced yet: that follows
    /// within milliseconds, or with the next group. Later writes never survive without earlier ones, so a loss of power
    /// undoes the last of these alone, and nothing that was answered after a sync. A crash of the process undoes none. That
    /// is for steps that would be taken again just so: what anybody outside is told must be synced, or a later write be.
    ///
    /// # Errors
    /// The first statement that failed, a condition that does not hold, or what happened to the whole group.
    pub async fn run(&self, script: Script, synced: bool) -> Result<Ran, ScriptError> {
        let (answer, answered) = oneshot::channel();
        self.queue(Box::new(ScriptWrite::new(script, synced, answer))).await?;
        answered.await.map_err(|_| WriteError::Closed)?
    }

    async fn queue(&self, job: Box<dyn Job>) -> Result<(), WriteError> {
        self.inner.writes.send(job).await.map_err(|_| WriteError::Closed)?;
        self.inner.shared.wake.notify_one();
        Ok(())
    }

    /// A queue for rows of kind `K`, written by multi-row inserts and ahead of everything else in a group. Make one
    /// at the start and keep it; clones are the same queue.
    pub fn rows<K: BatchInsert>(&self) -> Rows<K> {
        let (rows, queue) = rows::queue::<K>(Arc::clone(&self.inner.shared));
        self.inner.shared.announced.lock().unwrap_or_else(PoisonError::into_inner).push(queue);
        rows
    }

    /// Whether the writer takes writes: until the store is closed, or its task dies. A dead one refuses every
    /// write from then on, and only another process helps.
    pub fn is_alive(&self) -> bool {
        !self.inner.writes.is_closed()
    }

    /// Returns when the writer takes no more writes.
    pub async fn ended(&self) {
        self.inner.writes.closed().await;
    }

    /// What the writer did so far.
    pub fn stats(&self) -> WriterStats {
        let counts = &self.inner.shared.counts;
        WriterStats {
            commits: counts.commits.load(Ordering::Relaxed),
            unsynced: counts.unsynced.load(Ordering::Relaxed),
            failed_commits: counts.failed_commits.load(Ordering::Relaxed),
            rows: counts.rows.load(Ordering::Relaxed),
            writes: counts.writes.load(Ordering::Relaxed),
            largest_group: counts.largest_group.load(Ordering::Relaxed),
            waiting: WAITING_WRITES.saturating_sub(self.inner.writes.capacity()) as u64,
        }
    }

    /// From here on a log that can't be synced is not waited for: its waiters are told that the store is closed.
    pub(crate) fn stopping(&self) {
        self.inner.shared.stopping.store(true, Ordering::Release);
    }

    /// Commits what waits and ends the writer; later writes answer [`WriteError::Closed`].
    pub(crate) async fn close(&self) {
        self.inner.shared.close();
        if let Some(ended) = self.inner.ended.lock().await.take() {
            let _ = ended.await;
        }
    }
}

impl Shared {
    fn close(&self) {
        self.stopping.store(true, Ordering::Release);
        self.closing.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("closing", &self.closing).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
    }
}
