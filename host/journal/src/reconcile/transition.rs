//! Changes of status that the platform's chart does not have.

use fangshi_database::TenantId;
use sqlx::SqliteConnection;

use crate::lane::LaneKey;
use crate::{Journal, JournalError};

/// A net change of status without a way in the guide's chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The status before.
    pub from: i64,
    /// The status after.
    pub to: i64,
    /// Whether it is known from elsewhere than the guide.
    pub known: bool,
}

/// A transition as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionView {
    /// The order.
    pub order_id: String,
    /// What changed.
    pub transition: Transition,
    /// The order's `update_time` then, unix seconds.
    pub update_time: i64,
    /// When it was found, unix milliseconds.
    pub seen_at: i64,
}

impl Transition {
    pub(super) async fn write(
        self,
        conn: &mut SqliteConnection,
        order: &LaneKey,
        update_time: i64,
        now: i64,
    ) -> Result<(), JournalError> {
        sqlx::query(
            "INSERT INTO transitions (tenant_id, order_id, update_time, from_status, to_status, known, seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(order.tenant.0)
        .bind(&*order.order_id)
        .bind(update_time)
        .bind(self.from)
        .bind(self.to)
        .bind(self.known)
        .bind(now)
        .execute(conn)
        .await?;
        Ok(())
    }
}

impl Journal {
    /// A tenant's transitions that the chart does not have, newest first, and how many there are in all.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn transitions(&self, tenant: TenantId, limit: u32) -> Result<(Vec<TransitionView>, u64), JournalError> {
        let rows: Vec<(String, i64, i64, bool, i64, i64)> = sqlx::query_as(
            "SELECT order_id, from_status, to_status, known, update_time, seen_at FROM transitions \
             WHERE tenant_id = $1 ORDER BY seen_at DESC, order_id DESC LIMIT $2",
        )
        .bind(tenant.0)
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        let (all,): (i64,) = sqlx::query_as("SELECT count(*) FROM transitions WHERE tenant_id = $1")
            .bind(tenant.0)
            .fetch_one(self.reader())
            .await?;
        let views = rows.into_iter().map(|(order_id, from, to, known, update_time, seen_at)| TransitionView {
            order_id,
            transition: Transition { from, to, known },
            update_time,
            seen_at,
        });
        Ok((views.collect(), all as u64))
    }
}
