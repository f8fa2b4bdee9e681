//! What a sweeper finds: lanes with something that should have been done by now, or will be.

use fangshi_database::{InstallationId, TenantId};

use crate::lane::LaneKey;
use crate::{Journal, JournalError};

/// A lane with a run that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLane {
    /// The lane.
    pub lane: LaneKey,
    /// The installation whose run is due.
    pub installation: InstallationId,
    /// Due since then, unix milliseconds.
    pub at_ms: i64,
    /// The run; breaks ties in the order of pages.
    pub id: i64,
}

impl Journal {
    /// Lanes with events whose runs don't exist yet, in the order of their keys, after one of them.
    pub async fn unplanned_lanes(&self, after: Option<&LaneKey>, limit: u32) -> Result<Vec<LaneKey>, JournalError> {
        let (tenant, order_id) = after.map_or((i64::MIN, ""), |lane| (lane.tenant.0, &*lane.order_id));
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT DISTINCT tenant_id, order_id FROM events WHERE state = 0 AND (tenant_id, order_id) > ($1, $2) \
             ORDER BY tenant_id, order_id LIMIT $3",
        )
        .bind(tenant)
        .bind(order_id)
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        Ok(rows.into_iter().map(|(tenant, order_id)| LaneKey::new(TenantId(tenant), &order_id)).collect())
    }

    /// Open runs that are due until a time, by time, after a place in that order.
    pub async fn due_runs(&self, until_ms: i64, after: (i64, i64), limit: u32) -> Result<Vec<DueLane>, JournalError> {
        let rows: Vec<(i64, String, i64, i64, i64)> = sqlx::query_as(
            "SELECT tenant_id, order_id, installation_id, next_at, id FROM runs \
             WHERE state < 2 AND next_at <= $1 AND (next_at, id) > ($2, $3) ORDER BY next_at, id LIMIT $4",
        )
        .bind(until_ms)
        .bind(after.0)
        .bind(after.1)
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        Ok(rows
            .into_iter()
            .map(|(tenant, order_id, installation, at_ms, id)| DueLane {
                lane: LaneKey::new(TenantId(tenant), &order_id),
                installation: InstallationId(installation),
                at_ms,
                id,
            })
            .collect())
    }

    /// Lanes of a tenant with open runs: what a resume pokes.
    pub async fn open_lanes(&self, tenant: TenantId) -> Result<Vec<LaneKey>, JournalError> {
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT DISTINCT order_id FROM runs WHERE tenant_id = $1 AND state < 2")
                .bind(tenant.0)
                .fetch_all(self.reader())
                .await?;
        Ok(rows.into_iter().map(|(order_id,)| LaneKey::new(tenant, &order_id)).collect())
    }
}
