//! The transaction of a group. Every statement costs two threads a turn each, so it is begun by the first statement that
//! writes rows, and committed with the last one where that is of rows too.

use std::sync::Arc;

use sqlx::{Executor, SqliteConnection};

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
/// Commits that are not synced by themselves: see [`Writer::submit_unsynced`](super::Writer::submit_unsynced). The mode is of
/// the connection, so it is set back with the transaction's end.
const BEGIN_UNSYNCED: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";
const COMMIT_UNSYNCED: &str = "COMMIT; PRAGMA synchronous = FULL";
const ROLL_BACK_UNSYNCED: &str = "ROLLBACK; PRAGMA synchronous = FULL";

/// The transaction of a group is gone: nothing of it can be committed.
#[derive(Debug)]
pub(super) struct Fatal {
    pub(super) cause: Arc<sqlx::Error>,
    /// It may have been the commit that failed: after a failed sync the pages in the connection's hands are in doubt.
    pub(super) in_doubt: bool,
}

impl From<sqlx::Error> for Fatal {
    fn from(error: sqlx::Error) -> Self {
        Fatal { cause: Arc::new(error), in_doubt: false }
    }
}

/// The connection, and how far the group's transaction is.
pub(super) struct Transaction<'c> {
    pub(super) connection: &'c mut SqliteConnection,
    synced: bool,
    pub(super) begun: bool,
    pub(super) committed: bool,
}

impl<'c> Transaction<'c> {
    /// Of writes alone, if it is not to be synced.
    pub(super) fn new(connection: &'c mut SqliteConnection, synced: bool) -> Self {
        Transaction { connection, synced, begun: false, committed: false }
    }

    /// Begins it, if nothing has.
    pub(super) async fn begin(&mut self) -> Result<(), Fatal> {
        if !self.begun {
            let begin = if self.synced { BEGIN } else { BEGIN_UNSYNCED };
            self.connection.execute(begin).await?;
            self.begun = true;
        }
        Ok(())
    }

    /// Commits it, if nothing has.
    pub(super) async fn commit(self) -> Result<(), Fatal> {
        if !self.committed {
            let commit = if self.synced { COMMIT } else { COMMIT_UNSYNCED };
            let done = self.connection.execute(commit).await;
            done.map_err(|error| Fatal { cause: Arc::new(error), in_doubt: true })?;
        }
        Ok(())
    }

    /// Undoes it. An error means that SQLite has undone it already, with whatever was written since.
    pub(super) async fn roll_back(self) -> Result<(), Fatal> {
        let roll_back = if self.synced { "ROLLBACK" } else { ROLL_BACK_UNSYNCED };
        self.connection.execute(roll_back).await?;
        Ok(())
    }

    /// After some errors (disk full, I/O, out of memory) SQLite rolls back the whole transaction by itself; `error` is
    /// then the end of the group.
    pub(super) async fn ensure_open(&mut self, error: &Arc<sqlx::Error>) -> Result<(), Fatal> {
        if !self.begun {
            // Another program holds the file: it was waited for once, and the acknowledgements wait as well.
            if is_busy(error) {
                return Err(Fatal { cause: Arc::clone(error), in_doubt: false });
            }
            // Nothing of the group was written before.
            if self.connection.execute(BEGIN).await.is_ok() {
                self.begun = true;
                return Ok(());
            }
        }
        // SQLite refuses to begin inside a transaction: a BEGIN that succeeds tells that ours is gone.
        if self.connection.execute("BEGIN").await.is_ok() {
            let _ = self.connection.execute("ROLLBACK").await;
            return Err(Fatal { cause: Arc::clone(error), in_doubt: false });
        }
        self.begun = true;
        Ok(())
    }
}

/// SQLITE_BUSY and SQLITE_LOCKED, in any of their extended forms.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}
