//! Syncs the log of the store behind the writer, which is at the next group meanwhile.
//!
//! SQLite commits without a sync, and each commit is followed by one here: answers leave after it. A sync makes every
//! earlier commit durable with it, since the log is read up to its first gap.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::group::Group;
use super::{Shared, log};
use crate::database::truncate_log;

/// What nobody waits for is synced after so long, or with the next group that somebody waits for.
const SOON: Duration = Duration::from_millis(20);
/// Between two tries to mend a log that could not be synced.
const AGAIN: Duration = Duration::from_secs(1);

/// Makes the log durable as far as it is written.
pub(super) type SyncLog = Box<dyn FnMut() -> io::Result<()> + Send>;

/// The log of this database, whose connection to write is open.
///
/// It stays open: the system tells of an error in writing once for each open file, and whoever opens it later (a checkpoint of
/// SQLite's may have been told, and says nothing) hears of nothing. Another file in its place is of a store that was closed in
/// between; what was unsynced in the one before is not known to have reached it, so that counts as an error too.
pub(super) fn log_of(database: &Path) -> SyncLog {
    let log = log::file_of(database);
    let mut open = File::open(&log).ok();
    Box::new(move || {
        let there = std::fs::metadata(&log)?;
        match &open {
            Some(file) if is_same(&file.metadata()?, &there) => file.sync_data(),
            before => {
                let is_another = before.is_some();
                let file = File::open(&log)?;
                file.sync_data()?;
                open = Some(file);
                match is_another {
                    true => Err(io::Error::other("the log is another file than before")),
                    false => Ok(()),
                }
            }
        }
    })
}

fn is_same(open: &Metadata, there: &Metadata) -> bool {
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// One sync at a time, each on a thread that may block.
pub(super) struct Syncer {
    disk: Arc<Disk>,
    under_way: Option<JoinHandle<()>>,
    /// When what was committed and nobody waits for is to be synced.
    due: Option<Instant>,
}

struct Disk {
    sync_log: Mutex<SyncLog>,
    store: SqliteConnectOptions,
    shared: Arc<Shared>,
}

/// A sync has panicked: nobody knows what is durable.
#[derive(Debug)]
pub(super) struct Dead;

impl Syncer {
    pub(super) fn new(sync_log: SyncLog, store: SqliteConnectOptions, shared: Arc<Shared>) -> Syncer {
        let disk = Arc::new(Disk { sync_log: Mutex::new(sync_log), store, shared });
        Syncer { disk, under_way: None, due: None }
    }

    /// A group is committed: it is answered after a sync that begins when the one under way has ended.
    pub(super) async fn answer_after_sync(&mut self, group: Group) -> Result<(), Dead> {
        self.start(Some(group)).await
    }

    /// Something is committed that nobody waits for.
    pub(super) fn sync_soon(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + SOON);
    }

    /// When [`Syncer::catch_up`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Syncs what nobody waits for, once it is due.
    pub(super) async fn catch_up(&mut self) -> Result<(), Dead> {
        match self.due {
            Some(due) if due <= Instant::now() => self.start(None).await,
            _ => Ok(()),
        }
    }

    /// A sync is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Waits for the end of the sync under way.
    pub(super) async fn idle(&mut self) -> Result<(), Dead> {
        match &mut self.under_way {
            None => Ok(()),
            Some(sync) => {
                let ended = sync.await;
                self.under_way = None;
                ended.map_err(|_| Dead)
            }
        }
    }

    /// Syncs and answers what is left.
    pub(super) async fn end(&mut self) -> Result<(), Dead> {
        if self.due.is_some() {
            self.start(None).await?;
        }
        self.idle().await
    }

    async fn start(&mut self, group: Option<Group>) -> Result<(), Dead> {
        self.idle().await?;
        self.due = None;
        let (disk, server) = (Arc::clone(&self.disk), Handle::current());
        self.under_way = Some(spawn_blocking(move || {
            // Of a log that can't be synced before the end nobody knows, so nobody is told that it is durable.
            if disk.sync(&server)
                && let Some(group) = group
            {
                // On the server's own threads: waking hundreds of waiters from outside costs a system call for many of them.
                server.spawn(async move { group.answer(Ok(())) });
            }
        }));
        Ok(())
    }
}

impl Disk {
    /// Returns when everything that was committed before is durable; false if the host stops before that is so.
    fn sync(&self, server: &Handle) -> bool {
        let mut sync_log = self.sync_log.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = sync_log() else { return true };
        tracing::error!(%error, "the log of the store can't be synced: nothing is acknowledged until it is");
        // What was to be written may be lost without a second word from the system, so the log is given up: all of it is
        // brought into the store, and it begins anew.
        loop {
            match server.block_on(truncate_log(&self.store)) {
                Ok(true) if sync_log().is_ok() => break,
                Ok(_) => tracing::warn!("the log of the store can't be emptied yet"),
                Err(error) => tracing::error!(%error, "the log of the store can't be emptied"),
            }
            if self.shared.stopping.load(Ordering::Acquire) {
                return false;
            }
            server.block_on(tokio::time::sleep(AGAIN));
        }
        tracing::warn!("the log of the store began anew: nothing of it was lost");
        true
    }
}
