//! The rows of this crate that a deletion leaves behind, in small steps.

use fangshi_database::TenantId;
use sqlx::{SqliteConnection, SqlitePool};

use super::Deletion;
use crate::TenantsError;

/// Rows by their table, children first. A component is megabytes: one a step.
const STEPS: [(&str, u32); 14] = [
    ("DELETE FROM access_tokens WHERE id IN (SELECT id FROM access_tokens WHERE tenant_id = $1 LIMIT $2)", 200),
    ("DELETE FROM links WHERE id IN (SELECT id FROM links WHERE tenant_id = $1 LIMIT $2)", 200),
    ("DELETE FROM decoded WHERE rowid IN (SELECT rowid FROM decoded WHERE tenant_id = $1 LIMIT $2)", 200),
    ("DELETE FROM decodes WHERE rowid IN (SELECT rowid FROM decodes WHERE tenant_id = $1 LIMIT $2)", 200),
    ("DELETE FROM tokens WHERE rowid IN (SELECT rowid FROM tokens WHERE tenant_id = $1 LIMIT $2)", 200),
    ("DELETE FROM refusals WHERE rowid IN (SELECT rowid FROM refusals WHERE tenant_id = $1 LIMIT $2)", 200),
    (
        "DELETE FROM subscriptions WHERE (tenant_id, hook, installation_id, from_seq) IN \
         (SELECT tenant_id, hook, installation_id, from_seq FROM subscriptions WHERE tenant_id = $1 LIMIT $2)",
        200,
    ),
    (
        "DELETE FROM grants WHERE rowid IN (SELECT grants.rowid FROM installations JOIN grants \
         ON grants.installation_id = installations.id WHERE installations.tenant_id = $1 LIMIT $2)",
        200,
    ),
    (
        "DELETE FROM schedules WHERE (installation_id, name) IN \
         (SELECT installation_id, name FROM schedules WHERE tenant_id = $1 LIMIT $2)",
        200,
    ),
    (
        "DELETE FROM faults WHERE (installation_id, hook) IN \
         (SELECT installation_id, hook FROM faults WHERE tenant_id = $1 LIMIT $2)",
        200,
    ),
    ("DELETE FROM installations WHERE id IN (SELECT id FROM installations WHERE tenant_id = $1 LIMIT $2)", 200),
    ("DELETE FROM versions WHERE id IN (SELECT id FROM versions WHERE tenant_id = $1 LIMIT $2)", 200),
    ("DELETE FROM components WHERE rowid IN (SELECT rowid FROM components WHERE tenant_id = $1 LIMIT $2)", 1),
    ("DELETE FROM plugins WHERE id IN (SELECT id FROM plugins WHERE tenant_id = $1 LIMIT $2)", 200),
];

/// One step; gives how many rows it took, 0 when none is left.
pub(crate) async fn erase(c: &mut SqliteConnection, tenant: TenantId) -> Result<u64, TenantsError> {
    for (step, most) in STEPS {
        let done = sqlx::query(step).bind(tenant.0).bind(most).execute(&mut *c).await?;
        if done.rows_affected() > 0 {
            return Ok(done.rows_affected());
        }
    }
    Ok(0)
}

/// Deletions that are not finished, with the time when they began, unix ms.
pub(crate) async fn begun(db: &SqlitePool) -> Result<Vec<(TenantId, i64)>, TenantsError> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT tenant_id, begun_at FROM deletions WHERE finished_at IS NULL ORDER BY tenant_id")
            .fetch_all(db)
            .await?;
    Ok(rows.into_iter().map(|(tenant, at)| (TenantId(tenant), at)).collect())
}

/// All deletions whose appid is known, finished or not.
pub(crate) async fn all(db: &SqlitePool) -> Result<Vec<Deletion>, TenantsError> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT tenant_id, appid, begun_at FROM deletions WHERE appid IS NOT NULL ORDER BY begun_at, tenant_id",
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(tenant, appid, at)| Deletion { tenant: TenantId(tenant), appid, at }).collect())
}

/// The tenant's own row goes last.
pub(crate) async fn finish(c: &mut SqliteConnection, tenant: TenantId, now: i64) -> Result<(), TenantsError> {
    sqlx::query("DELETE FROM tenants WHERE id = $1 AND state = 'deleted'").bind(tenant.0).execute(&mut *c).await?;
    sqlx::query("UPDATE deletions SET finished_at = $2 WHERE tenant_id = $1 AND finished_at IS NULL")
        .bind(tenant.0)
        .bind(now)
        .execute(c)
        .await?;
    Ok(())
}
