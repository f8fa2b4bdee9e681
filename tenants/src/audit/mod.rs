//! The audit: who did what to whom, and when.
//!
//! One chain for the whole host, append-only. An entry is written inside the transaction of the change it speaks of: the
//! two are durable together or not at all. Its hash covers number, time, codes, ids, the digest of its details and the
//! hash before it. The details themselves are sealed with the tenant's data key: destroying the key deletes them, and
//! the chain still verifies. The digest is salted, so that it tells nothing about details that can be guessed.
//!
//! A chain alone cannot tell that its end was cut off: therefore its head is exported every day, to a file that is to be
//! copied elsewhere. A restore cuts the end off as well, and says so in an entry: heads that it took away are told apart.
//!
//! - `entry`: an entry and its hash, pure
//! - `rows`: the table
//! - `verify`: the chain against itself and against exported heads
//! - `heads`: the file of exported heads

mod entry;
mod heads;
mod rows;
mod verify;

use std::path::Path;
use std::sync::Arc;

use fangshi_database::TenantId;
use sqlx::SqliteConnection;

pub use self::entry::{Action, Actor, Entry};
pub use self::heads::{ExportedHead, read_heads};
pub use self::rows::{AuditFilter, AuditRecord, Head, head};
pub use self::verify::{Broken, CutHead, Restored, Verified, verify};

#[cfg(test)]
pub(crate) use self::entry::Link;
pub(crate) use self::rows::append;
#[cfg(test)]
pub(crate) use self::rows::list as list_with;

use crate::AuditError;
use crate::directory::Directory;
use crate::to_the_end::cut_off;

/// The audit of a store that is open. Clones are the same audit.
#[derive(Clone)]
pub struct Audit {
    directory: Arc<Directory>,
}

impl Audit {
    pub(crate) fn new(directory: Arc<Directory>) -> Audit {
        Audit { directory }
    }

    /// Writes an entry in a transaction of its own, for what changes nothing else in the store: a decode of buyer data,
    /// an unredacted view. Returns its number, once it is durable.
    ///
    /// # Errors
    /// The store refused: what was to be audited must not happen.
    pub async fn record(&self, entry: Entry) -> Result<i64, AuditError> {
        let directory = Arc::clone(&self.directory);
        self.directory
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move { Ok(append(c, &directory.vault, directory.clock.now(), entry).await?) })
            })
            .await
    }

    /// Writes an entry inside a transaction of the writer, beside the change it speaks of.
    ///
    /// # Errors
    /// As [`Audit::record`]; the caller returns it, so that its change is rolled back too.
    pub async fn append(&self, c: &mut SqliteConnection, entry: Entry) -> Result<i64, AuditError> {
        Ok(append(c, &self.directory.vault, self.directory.clock.now(), entry).await?)
    }

    /// Entries, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, AuditError> {
        Ok(rows::list(self.directory.db.reader(), &self.directory.vault, filter).await?)
    }

    /// Exports the head of the chain into `folder` if the day of `now` (unix ms, UTC) has none there yet; true if it did.
    ///
    /// # Errors
    /// The store cannot be read, or the file not be written.
    pub async fn export_head(&self, folder: &Path, now: i64) -> Result<bool, AuditError> {
        let db = self.directory.db.reader();
        let Some(head) = rows::head(db).await? else { return Ok(false) };
        let date = rows::date(db, now).await?;
        let folder = folder.to_owned();
        let written = tokio::task::spawn_blocking(move || heads::export(&folder, &ExportedHead::new(date, head)));
        match written.await {
            Ok(outcome) => outcome,
            Err(ended) => Err(AuditError::Heads { path: "heads".into(), problem: cut_off(&ended).to_string() }),
        }
    }
}

impl Entry {
    /// An entry without subjects and details.
    pub fn new(actor: Actor, action: Action, tenant: TenantId) -> Entry {
        Entry { actor, action, tenant, subjects: Vec::new(), details: serde_json::Value::Null }
    }

    /// The store was put back from a backup at `at` (unix ms), which ended so many sessions and unused links of the merchant
    /// page.
    pub fn restored(actor: Actor, at: i64, sessions: u64, links: u64) -> Entry {
        let details = serde_json::json!({entry::RESTORED_AT: at, "sessions": sessions, "links": links});
        Entry::new(actor, Action::StoreRestored, TenantId::HOST).with(details)
    }

    /// Adds an id that it is about.
    #[must_use]
    pub fn about(mut self, id: impl std::fmt::Display) -> Entry {
        self.subjects.push(id.to_string());
        self
    }

    /// What is to be sealed with it. Never a token or a key; buyer data never, either.
    #[must_use]
    pub fn with(mut self, details: serde_json::Value) -> Entry {
        self.details = details;
        self
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").finish_non_exhaustive()
    }
}
