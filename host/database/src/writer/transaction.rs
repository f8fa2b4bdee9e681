//! The transaction of a group. Every trip wakes SQLite's thread and the writer, so it is begun by the first statement that
//! writes rows, and committed with the last one where that is of rows too.

use std::sync::Arc;

use sqlx::{Executor, SqliteConnection};

use super::write::Broken;
use crate::error::is_full;

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
const ROLL_BACK: &str = "ROLLBACK";

/// The transaction of a group is gone: nothing of it can be committed.
#[derive(Debug)]
pub(super) struct Fatal {
    pub(super) cause: Arc<sqlx::Error>,
    /// It may have been the commit that failed: what the connection holds in memory is in doubt.
    pub(super) in_doubt: bool,
}

impl From<sqlx::Error> for Fatal {
    fn from(error: sqlx::Error) -> Self {
        Fatal { cause: Arc::new(error), in_doubt: false }
    }
}

impl From<Broken> for Fatal {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Before(error) => error.into(),
            Broken::After(error) => Fatal { cause: Arc::new(error), in_doubt: true },
        }
    }
}

impl Fatal {
    /// The disk is full.
    pub(super) fn is_full(&self) -> bool {
        is_full(&self.cause)
    }

    /// Another program held the file for as long as this waits for it, so the transaction never began.
    pub(super) fn is_busy(&self) -> bool {
        is_busy(&self.cause)
    }
}

/// The connection, and how far the group's transaction is.
pub(super) struct Transaction<'c> {
    pub(super) connection: &'c mut SqliteConnection,
    pub(super) begun: bool,
    pub(super) committed: bool,
}

impl<'c> Transaction<'c> {
    pub(super) fn new(connection: &'c mut SqliteConnection) -> Self {
        Transaction { connection, begun: false, committed: false }
    }

    /// Begins it, if nothing has.
    pub(super) async fn begin(&mut self) -> Result<(), Fatal> {
        if !self.begun {
            self.connection.execute(BEGIN).await?;
            self.begun = true;
        }
        Ok(())
    }

    /// Commits it, if nothing has.
    pub(super) async fn commit(self) -> Result<(), Fatal> {
        if !self.committed {
            let done = self.connection.execute(COMMIT).await;
            done.map_err(|error| Fatal { cause: Arc::new(error), in_doubt: true })?;
        }
        Ok(())
    }

    /// Undoes it. An error means that SQLite has undone it already, with whatever was written since.
    pub(super) async fn roll_back(self) -> Result<(), Fatal> {
        self.connection.execute(ROLL_BACK).await?;
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
