//! Deadlines after which the platform decides by itself: noted when they become known, and told before they pass.

use fangshi_database::{RunId, TenantId};
use sqlx::SqliteConnection;

use crate::alerts::{AlertKind, raise};
use crate::lane::Fence;
use crate::step::Step;
use crate::{Journal, JournalError, RunState};

/// A run that is not done while its deadline comes near, or has passed.
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

/// A run that is not done, whose deadline stands in an order that nobody has read for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownDeadline {
    /// Whose.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// Its order.
    pub order_id: String,
    /// Ready, waiting or parked.
    pub state: RunState,
    /// CreateTime of its event, unix seconds.
    pub created_at: i64,
    /// Whether the operator was told that the deadline is not known.
    pub told: bool,
}

/// How long after its event a deadline is looked for, seconds: 8 days. A buyer's wish waits for no longer than a week.
const LOOKED_FOR_S: i64 = 8 * 86_400;

/// No look for a deadline is put off for longer than this, milliseconds: an hour.
const LOOK_WITHIN_MS: i64 = 3_600_000;

/// A deadline that was found makes the run one that is to be told of (again); that the order shows none changes nothing
/// but that nobody looks any more.
const NOTE: &str = "UPDATE runs SET deadline_at = COALESCE($1, deadline_at), deadline_look_at = NULL, \
     alerted_at = CASE WHEN $1 IS NULL THEN alerted_at END WHERE id = $2 AND tenant_id = $3 \
     AND (deadline_look_at IS NOT NULL OR NOT $4)";

impl Journal {
    /// Notes a run's deadline as an attempt saw it in the order, unix milliseconds; none if the order shows none.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if somebody else entered the lane.
    pub async fn set_deadline(&self, fence: &Fence, run: RunId, deadline_at: Option<i64>) -> Result<(), JournalError> {
        let tenant = fence.lane.tenant;
        let held = Step::held(fence);
        self.write(move |conn| {
            Box::pin(async move {
                held.carry_out(conn).await?;
                note(conn, tenant, run, deadline_at, false).await
            })
        })
        .await
    }

    /// The same from outside the lane, for a run whose deadline is still looked for. It needs no fence: it says what the
    /// order says, and gives way to an attempt that has read it meanwhile.
    pub async fn deadline_found(
        &self,
        tenant: TenantId,
        run: RunId,
        deadline_at: Option<i64>,
    ) -> Result<(), JournalError> {
        self.write(move |conn| Box::pin(async move { note(conn, tenant, run, deadline_at, true).await })).await
    }

    /// Runs neither done nor rejected whose deadline should be looked for by `now_ms`, the longest overdue first. Where
    /// the event is older than any deadline lasts, the order need not be found out about any more. A look that is put off for
    /// longer than any can be was noted by a clock that was set back since.
    pub async fn unknown_deadlines(&self, now_ms: i64, limit: u32) -> Result<Vec<UnknownDeadline>, JournalError> {
        let rows: Vec<UnknownRow> = sqlx::query_as(
            "SELECT r.tenant_id, r.id, r.order_id, r.state, e.created_at, r.alerted_at IS NOT NULL \
             FROM runs r JOIN events e ON e.seq = r.event_seq WHERE r.deadline_look_at IS NOT NULL \
             AND (r.deadline_look_at <= $1 OR r.deadline_look_at > $4) AND r.state <> 2 AND r.state <> 3 \
             AND e.created_at > $3 ORDER BY r.deadline_look_at LIMIT $2",
        )
        .bind(now_ms)
        .bind(i64::from(limit))
        .bind(now_ms.div_euclid(1_000) - LOOKED_FOR_S)
        .bind(now_ms.saturating_add(LOOK_WITHIN_MS))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|(tenant, run, order_id, state, created_at, told)| {
                let (tenant, run, state) = (TenantId(tenant), RunId(run), RunState::from_code(state)?);
                Ok(UnknownDeadline { tenant, run, order_id, state, created_at, told })
            })
            .collect()
    }

    /// The deadlines of these could not be found: look again then, unix milliseconds. Whoever was not told of yet becomes
    /// an alert, in one transaction.
    pub async fn deadlines_unknown(&self, runs: Vec<RunId>, look_at_ms: i64) -> Result<(), JournalError> {
        let (now, runs) = (self.clock.now(), listed(runs));
        self.write(move |conn| {
            Box::pin(async move {
                let untold: Vec<(i64, i64)> = sqlx::query_as(
                    "SELECT tenant_id, id FROM runs WHERE deadline_look_at IS NOT NULL AND alerted_at IS NULL \
                     AND id IN (SELECT value FROM json_each($1))",
                )
                .bind(runs.as_str())
                .fetch_all(&mut *conn)
                .await?;
                for (tenant, run) in untold {
                    let run = RunId(run).to_string();
                    raise(conn, AlertKind::DeadlineNear, TenantId(tenant), &run, Some(now), now).await?;
                }
                sqlx::query(
                    "UPDATE runs SET deadline_look_at = $1, alerted_at = COALESCE(alerted_at, $2) \
                     WHERE deadline_look_at IS NOT NULL AND id IN (SELECT value FROM json_each($3))",
                )
                .bind(look_at_ms)
                .bind(now)
                .bind(runs)
                .execute(conn)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Runs neither done nor rejected whose deadline is not after `until_ms`, and of which nobody was told yet. What is
    /// held, queued or parked counts: the platform waits for none of them.
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
        let runs = listed(near.iter().map(|near| near.run).collect());
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

/// Tenant, run, order, state, the event's CreateTime, whether it was told.
type UnknownRow = (i64, i64, String, i64, i64, bool);

fn listed(runs: Vec<RunId>) -> String {
    serde_json::Value::from(runs.into_iter().map(|run| run.0).collect::<Vec<_>>()).to_string()
}

/// `looked_for`: only while somebody still looks for it.
async fn note(
    conn: &mut SqliteConnection,
    tenant: TenantId,
    run: RunId,
    deadline_at: Option<i64>,
    looked_for: bool,
) -> Result<(), JournalError> {
    sqlx::query(NOTE).bind(deadline_at).bind(run.0).bind(tenant.0).bind(looked_for).execute(conn).await?;
    Ok(())
}
