//! What the operator is to be told: durable before it is sent, and sent until somebody took it.
//!
//! Some alerts tell of a thing that happened (a run was parked); they are written in the transaction of that thing. Others
//! tell of a condition that holds (a tenant is stopped); whoever watches names all that hold, and one is told once for as
//! long as it does. Alerts hold codes, ids, counts and times.

use fangshi_database::TenantId;
use sqlx::SqliteConnection;

use crate::step::Step;
use crate::{Journal, JournalError};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertKind {
    /// Runs were given up; the subject is the reason.
    RunParked,
    /// The platform decides by itself soon, or at a time that can't be found out, and a run is not done; the subject is the
    /// run.
    DeadlineNear,
    /// A tenant is suspended or revoked; the subject says which.
    TenantStopped,
    /// The platform fails for a shop, and its calls are held back; the subject is the platform.
    BreakerOpen,
    /// The host paused an installation whose runs ended badly by its own fault, one after the other; the subject is the
    /// installation.
    InstallationQuarantined,
    /// Something has been overdue for longer than it should be.
    BacklogOld,
}

impl AlertKind {
    const ALL: [AlertKind; 6] = [
        AlertKind::RunParked,
        AlertKind::DeadlineNear,
        AlertKind::TenantStopped,
        AlertKind::BreakerOpen,
        AlertKind::InstallationQuarantined,
        AlertKind::BacklogOld,
    ];

    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            AlertKind::RunParked => "run-parked",
            AlertKind::DeadlineNear => "deadline-near",
            AlertKind::TenantStopped => "tenant-stopped",
            AlertKind::BreakerOpen => "breaker-open",
            AlertKind::InstallationQuarantined => "installation-quarantined",
            AlertKind::BacklogOld => "backlog-old",
        }
    }

    fn from_code(code: &str) -> Result<AlertKind, JournalError> {
        let known = AlertKind::ALL.into_iter().find(|kind| kind.code() == code);
        known.ok_or_else(|| JournalError::Corrupt(format!("kind of alert {code}")))
    }
}

/// A condition that holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Tenant stopped, breaker open or backlog old.
    pub kind: AlertKind,
    /// Whose; [`TenantId::HOST`] for the host itself.
    pub tenant: TenantId,
    /// A code.
    pub subject: &'static str,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its number.
    pub id: i64,
    /// What it is about.
    pub kind: AlertKind,
    /// Whose; [`TenantId::HOST`] for the host itself.
    pub tenant: TenantId,
    /// A code or an id.
    pub subject: String,
    /// How often it happened.
    pub count: u32,
    /// The first time, unix milliseconds.
    pub first_at: i64,
    /// The last time, unix milliseconds.
    pub last_at: i64,
    /// When it was over, unix milliseconds; of a thing that happened: at once.
    pub ended_at: Option<i64>,
    /// Sendings that failed.
    pub tries: u32,
    /// When it was sent, unix milliseconds.
    pub sent_at: Option<i64>,
}

/// Alerts that are over stay to be read for so long after they were sent, or ended if nobody took them, milliseconds: 30
/// days.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// No alert that was refused waits for longer than this, milliseconds: an hour.
pub const ALERT_WAIT_MS: i64 = 3_600_000;

#[derive(sqlx::FromRow)]
struct AlertRead {
    id: i64,
    kind: String,
    tenant_id: i64,
    subject: String,
    count: i64,
    first_at: i64,
    last_at: i64,
    ended_at: Option<i64>,
    tries: i64,
    sent_at: Option<i64>,
}

impl Journal {
    /// Tells which conditions hold now: new ones become alerts, those that hold no longer end. Takes alerts away that were
    /// over long ago.
    pub async fn conditions_hold(&self, holding: Vec<Condition>) -> Result<(), JournalError> {
        let now = self.clock.now();
        let open: Vec<(i64, String, i64, String)> =
            sqlx::query_as("SELECT id, kind, tenant_id, subject FROM alerts WHERE ended_at IS NULL")
                .fetch_all(self.reader())
                .await?;
        let is = |condition: &Condition, row: &(i64, String, i64, String)| {
            row.1 == condition.kind.code() && row.2 == condition.tenant.0 && row.3 == condition.subject
        };
        let over: Vec<i64> =
            open.iter().filter(|row| !holding.iter().any(|one| is(one, row))).map(|row| row.0).collect();
        let new: Vec<Condition> = holding.into_iter().filter(|one| !open.iter().any(|row| is(one, row))).collect();
        let too_old = now.saturating_sub(KEPT_MS);
        let stale: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM alerts WHERE ended_at < $1 AND coalesce(sent_at, 0) < $1)",
        )
        .bind(too_old)
        .fetch_one(self.reader())
        .await?;
        // Looked at every few seconds: nothing is written where nothing changes.
        if over.is_empty() && new.is_empty() && !stale {
            return Ok(());
        }
        self.write(move |conn| {
            Box::pin(async move {
                for id in over {
                    let text = "UPDATE alerts SET ended_at = $2 WHERE id = $1";
                    sqlx::query(text).bind(id).bind(now).execute(&mut *conn).await?;
                }
                for Condition { kind, tenant, subject } in new {
                    raise(conn, kind, tenant, subject, None, now).await?;
                }
                sqlx::query("DELETE FROM alerts WHERE ended_at < $1 AND coalesce(sent_at, 0) < $1")
                    .bind(too_old)
                    .execute(conn)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Alerts that are to be sent by now, the oldest first. One that nobody refused waits for nothing; one
    /// that waits for longer than any can was noted by a clock that was set back since.
    pub async fn due_alerts(&self, limit: u32) -> Result<Vec<Alert>, JournalError> {
        let now = self.clock.now();
        let rows = sqlx::query_as(
            "SELECT id, kind, tenant_id, subject, count, first_at, last_at, ended_at, tries, sent_at FROM alerts \
             WHERE sent_at IS NULL AND (tries = 0 OR next_at <= $1 OR next_at > $3) ORDER BY next_at, id LIMIT $2",
        )
        .bind(now)
        .bind(i64::from(limit))
        .bind(now.saturating_add(ALERT_WAIT_MS))
        .fetch_all(self.reader())
        .await?;
        let due = alerts(rows)?;
        if !due.is_empty() {
            // Readers see what is committed before it is synced, and nobody outside hears of what power may still undo.
            self.take(Step::new(), true).await?;
        }
        Ok(due)
    }

    /// Alerts, newest first, before one.
    pub async fn alerts(&self, before: Option<i64>, limit: u32) -> Result<Vec<Alert>, JournalError> {
        let rows = sqlx::query_as(
            "SELECT id, kind, tenant_id, subject, count, first_at, last_at, ended_at, tries, sent_at FROM alerts \
             WHERE id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        alerts(rows)
    }

    /// How many alerts wait to be sent.
    pub async fn alerts_waiting(&self) -> Result<u64, JournalError> {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM alerts WHERE sent_at IS NULL").fetch_one(self.reader()).await?;
        Ok(count as u64)
    }

    /// Somebody took the alert as it was read. What happened again meanwhile is another alert: whoever took this one knows
    /// its number.
    pub async fn alert_sent(&self, alert: &Alert) -> Result<(), JournalError> {
        let (alert, now) = (alert.clone(), self.clock.now());
        self.write(move |conn| {
            Box::pin(async move {
                let row: Option<(i64, i64, Option<i64>)> =
                    sqlx::query_as("SELECT count, last_at, ended_at FROM alerts WHERE id = $1 AND sent_at IS NULL")
                        .bind(alert.id)
                        .fetch_optional(&mut *conn)
                        .await?;
                let Some((count, last_at, ended_at)) = row else { return Ok(()) };
                let rest = count - i64::from(alert.count);
                // With a rest, what was sent is over; a condition that holds is then the rest's.
                sqlx::query(
                    "UPDATE alerts SET sent_at = $2, tries = 0, count = $3, last_at = $4, ended_at = $5 WHERE id = $1",
                )
                .bind(alert.id)
                .bind(now)
                .bind(if rest > 0 { i64::from(alert.count) } else { count })
                .bind(if rest > 0 { alert.last_at } else { last_at })
                .bind(if rest > 0 { alert.ended_at.or(Some(last_at)) } else { ended_at })
                .execute(&mut *conn)
                .await?;
                if rest > 0 {
                    sqlx::query(
                        "INSERT INTO alerts (kind, tenant_id, subject, count, first_at, last_at, ended_at, next_at) \
                         VALUES ($1, $2, $3, $4, $5, $5, $6, $7)",
                    )
                    .bind(alert.kind.code())
                    .bind(alert.tenant.0)
                    .bind(alert.subject)
                    .bind(rest)
                    .bind(last_at)
                    .bind(ended_at)
                    .bind(now)
                    .execute(conn)
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Nobody took it: not again before `next_at`, unix milliseconds, which is [`ALERT_WAIT_MS`] off at most.
    pub async fn alert_refused(&self, alert: &Alert, next_at: i64) -> Result<(), JournalError> {
        let id = alert.id;
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query("UPDATE alerts SET tries = tries + 1, next_at = $2 WHERE id = $1 AND sent_at IS NULL")
                    .bind(id)
                    .bind(next_at)
                    .execute(conn)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}

/// Writes an alert within the transaction of what it tells of. `ended_at`: none for a condition that holds.
pub(crate) async fn raise(
    conn: &mut SqliteConnection,
    kind: AlertKind,
    tenant: TenantId,
    subject: &str,
    ended_at: Option<i64>,
    now: i64,
) -> Result<(), JournalError> {
    let mut step = Step::new();
    add_alert(&mut step, kind, tenant, subject, ended_at, now);
    step.carry_out(conn).await.map(drop)
}

/// The same, as a statement of a step.
pub(crate) fn add_alert(
    step: &mut Step,
    kind: AlertKind,
    tenant: TenantId,
    subject: &str,
    ended_at: Option<i64>,
    now: i64,
) {
    step.add(
        "INSERT INTO alerts (kind, tenant_id, subject, count, first_at, last_at, ended_at, next_at) \
         VALUES ($1, $2, $3, 1, $5, $5, $4, $5) ON CONFLICT (kind, tenant_id, subject) WHERE sent_at IS NULL \
         DO UPDATE SET count = alerts.count + 1, last_at = excluded.last_at, ended_at = excluded.ended_at",
    )
    .bind(kind.code())
    .bind(tenant.0)
    .bind(subject.to_owned())
    .bind(ended_at)
    .bind(now);
}

fn alerts(rows: Vec<AlertRead>) -> Result<Vec<Alert>, JournalError> {
    rows.into_iter()
        .map(|row| {
            Ok(Alert {
                id: row.id,
                kind: AlertKind::from_code(&row.kind)?,
                tenant: TenantId(row.tenant_id),
                subject: row.subject,
                count: row.count as u32,
                first_at: row.first_at,
                last_at: row.last_at,
                ended_at: row.ended_at,
                tries: row.tries as u32,
                sent_at: row.sent_at,
            })
        })
        .collect()
}
