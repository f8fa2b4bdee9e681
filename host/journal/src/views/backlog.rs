//! How far behind the host is.

use std::sync::Arc;

use serde::Serialize;

use crate::{Journal, JournalError};

/// How long a count is good for those who may ask as often as they like, milliseconds.
pub(crate) const GOOD_MS: i64 = 1_000;

/// What is not finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Events that have unfinished runs or none yet.
    pub events: u64,
    /// Of these, events without runs yet.
    pub unplanned: u64,
    /// Runs that wait for a retry.
    pub waiting: u64,
    /// Parked runs.
    pub parked: u64,
    /// Age of the oldest unfinished event, milliseconds; 0 without one.
    pub oldest_ms: u64,
}

impl Journal {
    /// The backlog as counted within the last second, by one count for all who ask at once: strangers who ask for the
    /// host's health must not load the store. A failure is kept as long.
    pub async fn recent_backlog(&self) -> Result<Backlog, Arc<JournalError>> {
        let journal = self.clone();
        let count = || async move { journal.backlog().await.map_err(Arc::new) };
        let counted = self.backlog.get(&self.clock, count).await;
        counted.unwrap_or_else(|| Err(Arc::new(JournalError::Corrupt("the backlog could not be counted".into()))))
    }

    /// The backlog of the whole host.
    pub async fn backlog(&self) -> Result<Backlog, JournalError> {
        let (recorded, oldest_recorded): (i64, Option<i64>) =
            sqlx::query_as("SELECT COUNT(*), MIN(received_at) FROM events WHERE state = 0")
                .fetch_one(self.reader())
                .await?;
        let (planned, oldest_planned): (i64, Option<i64>) =
            sqlx::query_as("SELECT COUNT(*), MIN(received_at) FROM events WHERE state = 1")
                .fetch_one(self.reader())
                .await?;
        let (waiting, parked): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM runs WHERE state = 1 AND state < 2), \
             (SELECT COUNT(*) FROM runs WHERE state = 4)",
        )
        .fetch_one(self.reader())
        .await?;
        let oldest = [oldest_recorded, oldest_planned].into_iter().flatten().min();
        Ok(Backlog {
            events: (recorded + planned) as u64,
            unplanned: recorded as u64,
            waiting: waiting as u64,
            parked: parked as u64,
            oldest_ms: oldest.map_or(0, |at| self.clock.now().saturating_sub(at).max(0) as u64),
        })
    }
}
