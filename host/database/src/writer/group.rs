//! The task behind the writer: gather what waits, write it in one transaction, commit, and hand it on to be synced and
//! answered.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};
use tokio::sync::mpsc;

use super::Shared;
use super::log::Log;
use super::rows::{Batch, Queue};
use super::sync::{Dead, Syncer};
use super::transaction::{BEGIN, COMMIT, Fatal, Transaction};
use super::write::Job;
use crate::WriteError;
use crate::database::truncate_log;
use crate::lock::FolderLock;

/// Rows of one kind in a group. With two cores and a fast disk larger groups gain nothing.
const ROWS_PER_GROUP: usize = 128;
/// Rows for which a group is written while the log is synced for another: fewer are not worth a sync of their own, and
/// wait for the end of that one.
const WORTH_A_SYNC: usize = 96;
/// Writes in a group: fewer, since each costs three trips to SQLite and the acknowledgements of the group wait.
const WRITES_PER_GROUP: usize = 128;
/// Writes in a group that also holds rows: acknowledgements wait for the whole group.
const WRITES_BESIDE_ROWS: usize = 16;
/// A write among others fails alone.
const SAVE: &str = "SAVEPOINT job";
const RELEASE: &str = "RELEASE job";
const UNDO: &str = "ROLLBACK TO job; RELEASE job";
/// Between two tries to get room on a full disk out of the log.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct GroupCommit {
    /// None after a failure that leaves its state in doubt.
    connection: Option<SqliteConnection>,
    reopen: SqliteConnectOptions,
    kinds: Vec<Box<dyn Queue>>,
    writes: mpsc::Receiver<Box<dyn Job>>,
    shared: Arc<Shared>,
    log: Log,
    syncer: Syncer,
    /// When the log was last emptied because the disk was full.
    emptied_at: Option<Instant>,
    /// Held until the last group is committed.
    _lock: FolderLock,
}

/// What waited, rows first.
pub(super) struct Group {
    rows: Vec<Box<dyn Batch>>,
    writes: Vec<Box<dyn Job>>,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.writes.is_empty()
    }

    /// Whether anybody's answer waits for the sync of the log.
    fn is_synced(&self) -> bool {
        !self.rows.is_empty() || self.writes.iter().any(|write| write.is_synced())
    }

    pub(super) fn answer(self, fate: Result<(), WriteError>) {
        for batch in self.rows {
            batch.answer(fate.clone());
        }
        for write in self.writes {
            write.answer(fate.clone());
        }
    }
}

impl GroupCommit {
    pub(super) fn new(
        connection: SqliteConnection,
        reopen: SqliteConnectOptions,
        writes: mpsc::Receiver<Box<dyn Job>>,
        shared: Arc<Shared>,
        syncer: Syncer,
        lock: FolderLock,
    ) -> GroupCommit {
        let log = Log::of(reopen.get_filename());
        let (connection, kinds, emptied_at) = (Some(connection), Vec::new(), None);
        GroupCommit { connection, reopen, kinds, writes, shared, log, syncer, emptied_at, _lock: lock }
    }

    pub(super) async fn run(mut self) {
        if let Err(Dead) = self.write_groups().await {
            tracing::error!("the log of the store can't be synced any more: no write is taken");
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the store did not close cleanly; nothing is lost");
        }
    }

    async fn write_groups(&mut self) -> Result<(), Dead> {
        loop {
            while self.syncer.is_busy() && self.writes.is_empty() && self.rows_waiting() < WORTH_A_SYNC {
                tokio::select! {
                    idle = self.syncer.idle() => idle?,
                    () = self.shared.wake.notified() => {}
                }
            }
            self.syncer.catch_up().await?;
            // Read before gathering: what was queued before the close is still written.
            let closing = self.shared.closing.load(Ordering::Acquire);
            let mut group = self.gather();
            if group.is_empty() {
                if closing {
                    return self.syncer.end().await;
                }
                self.rest().await;
                continue;
            }
            let fate = self.write(&mut group).await;
            self.count(&group, fate.is_ok());
            match fate {
                Ok(()) if group.is_synced() => self.syncer.answer_after_sync(group).await?,
                Ok(()) => {
                    self.shared.counts.unsynced.fetch_add(1, Ordering::Relaxed);
                    group.answer(Ok(()));
                    self.syncer.sync_soon();
                }
                Err(fatal) => {
                    if fatal.is_full() {
                        self.empty_log().await;
                    }
                    group.answer(Err(WriteError::Commit(fatal.cause)));
                }
            }
        }
    }

    /// Until something waits, or a sync is due.
    async fn rest(&mut self) {
        let woken = self.shared.wake.notified();
        match self.syncer.due() {
            Some(due) => drop(tokio::time::timeout_at(due, woken).await),
            None => woken.await,
        }
    }

    fn rows_waiting(&self) -> usize {
        self.kinds.iter().map(|kind| kind.waiting()).sum()
    }

    fn gather(&mut self) -> Group {
        self.kinds.append(&mut self.shared.announced.lock().unwrap_or_else(PoisonError::into_inner));
        let rows: Vec<_> = self.kinds.iter_mut().filter_map(|kind| kind.take(ROWS_PER_GROUP)).collect();
        let most = if rows.is_empty() { WRITES_PER_GROUP } else { WRITES_BESIDE_ROWS };
        self.kinds.retain(|kind| !kind.is_finished());
        let mut writes = Vec::new();
        while writes.len() < most
            && let Ok(write) = self.writes.try_recv()
        {
            writes.push(write);
        }
        Group { rows, writes }
    }

    async fn write(&mut self, group: &mut Group) -> Result<(), Fatal> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reopen.connect().await?,
        };
        match fill(group, &mut self.log, &mut connection).await {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(fatal) => {
                tracing::error!(error = %fatal.cause, "a group of writes was refused; its waiters are told");
                // Where there is nothing left to roll back, a new connection is surer than a guess; unless nothing began, since
                // another program held the file for longer than this waits.
                let undone = connection.execute("ROLLBACK").await.is_ok() || fatal.is_busy();
                self.keep(connection, undone && !fatal.in_doubt).await;
                Err(fatal)
            }
        }
    }

    async fn keep(&mut self, connection: SqliteConnection, clean: bool) {
        if clean {
            self.connection = Some(connection);
        } else {
            let _ = connection.close().await;
        }
    }

    /// The log of a full disk may be what fills it: most of what it holds has a place in the store already.
    async fn empty_log(&mut self) {
        if self.emptied_at.is_some_and(|emptied| emptied.elapsed() < AGAIN) {
            return;
        }
        self.emptied_at = Some(Instant::now());
        match truncate_log(&self.reopen).await {
            Ok(emptied) => tracing::info!(emptied, "the disk is full: the log of the store was brought back"),
            Err(error) => tracing::warn!(%error, "the disk is full, and the log of the store can't be brought back"),
        }
    }

    fn count(&self, group: &Group, committed: bool) {
        let counts = &self.shared.counts;
        if !committed {
            counts.failed_commits.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let rows = group.rows.iter().map(|batch| batch.len() as u64).sum::<u64>();
        let writes = group.writes.len() as u64;
        counts.commits.fetch_add(1, Ordering::Relaxed);
        counts.rows.fetch_add(rows, Ordering::Relaxed);
        counts.writes.fetch_add(writes, Ordering::Relaxed);
        counts.largest_group.fetch_max(rows + writes, Ordering::Relaxed);
    }
}

/// Writes the group and commits it.
async fn fill(group: &mut Group, log: &mut Log, connection: &mut SqliteConnection) -> Result<(), Fatal> {
    let mut transaction = Transaction::new(connection);
    if log.is_short() {
        // Nobody else may lengthen the log meanwhile.
        transaction.begin().await?;
        log.make_room();
    }
    let kinds = group.rows.len();
    for (place, batch) in group.rows.iter_mut().enumerate() {
        let last = group.writes.is_empty() && place + 1 == kinds;
        batch.run(&mut transaction, last).await?;
    }
    if let (true, [alone]) = (kinds == 0, group.writes.as_mut_slice()) {
        // What fails alone needs no savepoint.
        let begin = (!transaction.begun).then_some(BEGIN);
        return match alone.run_between(begin, COMMIT, transaction.connection).await? {
            true => Ok(()),
            false => transaction.roll_back().await,
        };
    }
    for write in &mut group.writes {
        transaction.begin().await?;
        if !write.run_between(Some(SAVE), RELEASE, transaction.connection).await? {
            transaction.connection.execute(UNDO).await?;
        }
    }
    transaction.commit().await
}
