//! Deadlines after which the platform decides by itself: noted when they become known, and told before they pass.

use fangshi_database::{RunId, TenantId};
use sqlx::Row;

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

    /// Runs neither done nor rejected whose deadline is not after `until_ms`, and of which nobody was told; each is
    /// given once. What is held, queued or parked counts: the platform waits for none of them.
    pub async fn near_deadlines(&self, until_ms: i64, limit: u32) -> Result<Vec<NearDeadline>, JournalError> {
        // A read first: nearly always there is nothing, and that should cost no write.
        let any: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM runs WHERE deadline_at IS NOT NULL AND alerted_at IS NULL AND deadline_at <= $1 LIMIT 1",
        )
        .bind(until_ms)
        .fetch_optional(self.reader())
        .await?;
        if any.is_none() {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let rows = self
            .write(move |conn| {
                Box::pin(async move {
                    let rows = sqlx::query(
                        "UPDATE runs SET alerted_at = $1 WHERE id IN (SELECT id FROM runs WHERE deadline_at IS NOT NULL \
                         AND alerted_at IS NULL AND deadline_at <= $2 ORDER BY deadline_at LIMIT $3) \
                         RETURNING tenant_id, id, order_id, state, deadline_at",
                    )
                    .bind(now)
                    .bind(until_ms)
                    .bind(i64::from(limit))
                    .fetch_all(&mut *conn)
                    .await?;
                    Ok(rows)
                })
            })
            .await?;
        let mut near = Vec::new();
        for row in rows {
            let state = RunState::from_code(row.try_get("state")?)?;
            if matches!(state, RunState::Done | RunState::Rejected) {
                continue;
            }
            near.push(NearDeadline {
                tenant: TenantId(row.try_get("tenant_id")?),
                run: RunId(row.try_get("id")?),
                order_id: row.try_get("order_id")?,
                state,
                deadline_at: row.try_get("deadline_at")?,
            });
        }
        Ok(near)
    }
}
