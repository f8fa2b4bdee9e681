//! The thread behind the writer: gather what waits, write it in one transaction, commit, answer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};
use tokio::sync::mpsc;

use super::Shared;
use super::log::Log;
use super::rows::{Batch, Queue};
use super::transaction::{Fatal, Transaction};
use super::write::Job;
use crate::WriteError;
use crate::lock::FolderLock;

/// Rows of one kind in a group. With two cores and a fast disk larger groups gain nothing.
const ROWS_PER_GROUP: usize = 512;
/// Writes in a group: fewer, since each costs three trips to SQLite and the acknowledgements of the group wait.
const WRITES_PER_GROUP: usize = 128;
/// Writes in a group that also holds rows: acknowledgements wait for the whole group.
const WRITES_BESIDE_ROWS: usize = 16;

pub(super) struct GroupCommit {
    /// None after a failure that leaves its state in doubt.
    connection: Option<SqliteConnection>,
    reopen: SqliteConnectOptions,
    kinds: Vec<Box<dyn Queue>>,
    writes: mpsc::Receiver<Box<dyn Job>>,
    shared: Arc<Shared>,
    log: Log,
    /// Held until the last group is committed.
    _lock: FolderLock,
}

/// What waited, rows first.
struct Group {
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

    fn answer(self, fate: Result<(), WriteError>) {
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
        lock: FolderLock,
    ) -> GroupCommit {
        let log = Log::of(reopen.get_filename());
        GroupCommit { connection: Some(connection), reopen, kinds: Vec::new(), writes, shared, log, _lock: lock }
    }

    pub(super) async fn run(mut self) {
        loop {
            // Read before gathering: what was queued before the close is still written.
            let closing = self.shared.closing.load(Ordering::Acquire);
            let mut group = self.gather();
            if group.is_empty() {
                self.log.settle();
                if closing {
                    break;
                }
                self.shared.wake.notified().await;
                continue;
            }
            let fate = self.write(&mut group).await;
            self.count(&group, fate.is_ok());
            // The commit has returned, or nothing of the group is in the store: only now may answers leave.
            let fate = fate.map_err(|fatal| WriteError::Commit(fatal.cause));
            // On the server's own threads: waking hundreds of waiters from outside costs a system call for many of them,
            // and the next group would wait for it.
            tokio::spawn(async move { group.answer(fate) });
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the store did not close cleanly; nothing is lost");
        }
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
        let synced = group.is_synced();
        match fill(group, synced, &mut self.log, &mut connection).await {
            Ok(()) => {
                self.connection = Some(connection);
                self.log.committed(synced);
                Ok(())
            }
            Err(fatal) => {
                tracing::error!(error = %fatal.cause, "a group of writes was refused; its waiters are told");
                // Where there is nothing left to roll back, a new connection is surer than a guess.
                let clean = connection.execute("ROLLBACK").await.is_ok() && !fatal.in_doubt && synced;
                self.keep(connection, clean).await;
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
async fn fill(group: &mut Group, synced: bool, log: &mut Log, connection: &mut SqliteConnection) -> Result<(), Fatal> {
    let mut transaction = Transaction::new(connection, synced);
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
        // What fails alone needs no savepoint: two trips to SQLite less, which every step of a quiet lane waits for.
        transaction.begin().await?;
        if !alone.run(transaction.connection).await {
            return transaction.roll_back().await;
        }
        return transaction.commit().await;
    }
    for write in &mut group.writes {
        transaction.begin().await?;
        transaction.connection.execute("SAVEPOINT job").await?;
        if !write.run(transaction.connection).await {
            transaction.connection.execute("ROLLBACK TO job").await?;
        }
        transaction.connection.execute("RELEASE job").await?;
    }
    transaction.commit().await
}
