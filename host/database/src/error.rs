//! What can go wrong with the store.

use std::path::PathBuf;
use std::sync::Arc;

/// The store cannot be opened. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Another process works in the data folder.
    #[error(
        "the data folder {} is in use by {holder}: stop that process, or give this one another data_dir",
        .data_dir.display()
    )]
    Locked {
        /// The folder.
        data_dir: PathBuf,
        /// What the lock file says about the process that holds it.
        holder: String,
    },
    /// The data folder or a file in it cannot be made or opened.
    #[error("cannot use {}: {cause}; data_dir must be a folder this process may write to", .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The store was written by a newer Fangshi.
    #[error(
        "the store {} has schema {found}, and this binary knows schemas up to {known}: start the newer binary \
         that wrote it, or restore the backup made before the upgrade",
        .path.display()
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The newest migration applied to the store.
        found: i64,
        /// The newest migration of this binary.
        known: i64,
    },
    /// A migration was applied in another form, or only half.
    #[error(
        "the schema of {} does not fit this binary ({cause}): start the binary that wrote it, or restore a backup",
        .path.display()
    )]
    ForeignSchema {
        /// The database file.
        path: PathBuf,
        /// What differs.
        cause: String,
    },
    /// SQLite refused.
    #[error(
        "the store {} cannot be opened: {cause}; see that its disk has room and that this process may write there. If the \
         file itself is damaged, restore a backup (`fangshi restore`)",
        .path.display()
    )]
    Sql {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        cause: sqlx::Error,
    },
}

/// A write did not become durable. Nothing of it is in the store, with the one exception named at
/// [`WriteError::Commit`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// The transaction that carried the write could not be begun or committed (disk full, I/O error). Every write of
    /// the group gets this. After an I/O error *inside* the commit a crash may still find the rows in the store:
    /// to the platform that is a callback it pushes again, which deduplicates. A commit that can't be synced is not
    /// answered at all until it is.
    #[error("the store could not commit: {0}")]
    Commit(Arc<sqlx::Error>),
    /// This row alone was refused; others of its group went on.
    #[error("the store refused the row: {0}")]
    Row(Arc<sqlx::Error>),
    /// The job panicked; its own changes were rolled back, others of its group went on.
    #[error("the write failed inside the host")]
    Panicked,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl WriteError {
    /// True if the disk is full or the allowed size of the store is reached.
    pub fn is_full(&self) -> bool {
        match self {
            WriteError::Commit(cause) | WriteError::Row(cause) => is_full(cause),
            WriteError::Panicked | WriteError::Closed => false,
        }
    }
}

/// A statement that fails inside a write fails that write alone.
impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        WriteError::Row(Arc::new(error))
    }
}

/// SQLITE_FULL (13), plain or extended.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse::<i64>().ok());
    code.is_some_and(|code| code & 0xff == 13)
}
