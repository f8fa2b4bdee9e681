//! Deadlines after which the platform decides by itself: noted when they become known, and told before they pass.

use fangshi_database::{RunId, TenantId};

use crate::alerts::{AlertKind, raise};
use crate::enter::check;
use crate::lane::Fence;
use crate::{Journal, JournalError, RunState};

/// A run that is not done while its deadline comes near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearDeadline {
    /// Whose.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// Its order.
    pub order_id: String,
    /// Ready, waiting or parked.
    pub state: RunState,
    /// When the platform decides, unix milliseconds.
    pub deadline_at: i64,
}

impl Journal {
    /// Notes a run's deadline as the order shows it. `deadline_at` in unix milliseconds.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if somebody else entered the lane.
    pub async fn set_deadline(&self, fence: &Fence, run: RunId, deadline_at: i64) -> Result<(), JournalError> {
        let held = fence.clone();
        self.write(move |conn| {
            Box::pin(async move {
                check(conn, &held).await?;
                sqlx::query("UPDATE runs SET deadline_at = $1, alerted_at = NULL WHERE id = $2 AND tenant_id = $3")
                    .bind(deadline_at)
                    .bind(run.0)
                    .bind(held.lane.tenant.0)
                    .execute(&mut *conn)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Runs neither done nor rejected whose deadline is not after `until_ms`, and of which nobody was told yet. What is
    /// held, queued or parked counts: the platform waits for none of them. A wish for another SKU has its deadline from the
    /// first attempt on, since only the order tells it.
    pub async fn near_deadlines(&self, until_ms: i64, limit: u32) -> Result<Vec<NearDeadline>, JournalError> {
        let rows: Vec<(i64, i64, String, i64, i64)> = sqlx::query_as(
            "SELECT tenant_id, id, order_id, state, deadline_at FROM runs WHERE deadline_at IS NOT NULL \
             AND alerted_at IS NULL AND state <> 2 AND state <> 3 AND deadline_at <= $1 ORDER BY deadline_at LIMIT $2",
        )
        .bind(until_ms)
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|(tenant, run, order_id, state, deadline_at)| {
                let state = RunState::from_code(state)?;
                Ok(NearDeadline { tenant: TenantId(tenant), run: RunId(run), order_id, state, deadline_at })
            })
            .collect()
    }

    /// Makes alerts of near deadlines, and notes that they were told of, in one transaction.
    pub async fn deadlines_told(&self, near: Vec<NearDeadline>) -> Result<(), JournalError> {
        let now = self.clock.now();
        let runs = serde_json::Value::from(near.iter().map(|near| near.run.0).collect::<Vec<_>>()).to_string();
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query("UPDATE runs SET alerted_at = $1 WHERE id IN (SELECT value FROM json_each($2))")
                    .bind(now)
                    .bind(runs)
                    .execute(&mut *conn)
                    .await?;
                for near in near {
                    let run = near.run.to_string();
                    raise(conn, AlertKind::DeadlineNear, near.tenant, &run, Some(now), now).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
