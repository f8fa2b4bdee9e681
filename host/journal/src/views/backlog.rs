//! How far behind the host is: what is not finished, and what of it should be.

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

/// Events of active tenants that no lane has planned; a tenant that was resumed is late from then on.
const UNPLANNED: &str = "SELECT min(max(e.received_at, t.updated_at)) FROM events e JOIN tenants t ON t.id = e.tenant_id \
     WHERE e.state = 0 AND t.state = 'active'";
/// Runs whose time has come, of active tenants and open installations, that wait for nothing before them. A person looks
/// after those that a person had repaired, and after versions whose approval was taken back.
const UNFINISHED: &str = "SELECT min(max(r.next_at, t.updated_at, coalesce(i.updated_at, 0), coalesce(v.approved_at, 0))) \
     FROM runs r JOIN tenants t ON t.id = r.tenant_id LEFT JOIN installations i ON i.id = r.installation_id \
     LEFT JOIN versions v ON v.plugin_id = i.plugin_id AND v.digest = i.digest \
     WHERE r.state < 2 AND r.next_at <= $1 AND r.repaired_at IS NULL AND t.state = 'active' \
     AND coalesce(i.state, 'active') = 'active' AND v.revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM runs before \
     WHERE before.tenant_id = r.tenant_id AND before.order_id = r.order_id AND before.event_seq < r.event_seq \
     AND before.installation_id = r.installation_id AND before.state < 2)";

impl Journal {
    /// For how long the longest overdue event or run has been, milliseconds; 0 if nothing is. What waits for its retry,
    /// its installation or its shop is not.
    pub async fn overdue_ms(&self) -> Result<u64, JournalError> {
        let now = self.clock.now();
        let unplanned: Option<i64> = sqlx::query_scalar(UNPLANNED).fetch_one(self.reader()).await?;
        let unfinished: Option<i64> = sqlx::query_scalar(UNFINISHED).bind(now).fetch_one(self.reader()).await?;
        let since = [unplanned, unfinished].into_iter().flatten().min();
        Ok(since.map_or(0, |at| now.saturating_sub(at).max(0) as u64))
    }

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
