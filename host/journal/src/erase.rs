//! The rows that a tenant's deletion leaves behind: gone in small steps, so that acknowledgements do not wait, and gone on
//! with after a crash. What they sealed cannot be read any more: the key went first (`Tenants::delete`).

use fangshi_database::TenantId;
use fangshi_tenants::Retention;
use sqlx::SqliteConnection;

use crate::places::First;
use crate::{Journal, JournalError};

/// A write that was under way when the key was destroyed may still bring a row. A deletion is looked through again before
/// it ends: no write waits that long.
const LOOKED_THROUGH_AFTER_MS: i64 = 60_000;

/// Runs whose rows go together.
const RUNS: i64 = 8;

/// Rows of these runs, children first.
const OF_RUNS: [&str; 4] = [
    "DELETE FROM logs WHERE run_id IN (SELECT id FROM runs WHERE tenant_id = $1 ORDER BY id LIMIT $2)",
    "DELETE FROM calls WHERE run_id IN (SELECT id FROM runs WHERE tenant_id = $1 ORDER BY id LIMIT $2)",
    "DELETE FROM attempts WHERE run_id IN (SELECT id FROM runs WHERE tenant_id = $1 ORDER BY id LIMIT $2)",
    "DELETE FROM effects WHERE run_id IN (SELECT id FROM runs WHERE tenant_id = $1 ORDER BY id LIMIT $2)",
];
const THE_RUNS: &str = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE tenant_id = $1 ORDER BY id LIMIT $2)";

/// Events that go together.
const EVENTS: i64 = 100;
const THE_EVENTS: &str = "DELETE FROM events WHERE seq IN (SELECT value FROM json_each($1))";

/// The rest, some at a time.
const REST: [&str; 9] = [
    "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE tenant_id = $1 LIMIT 200)",
    "DELETE FROM snapshots WHERE id IN (SELECT id FROM snapshots WHERE tenant_id = $1 LIMIT 50)",
    "DELETE FROM kv WHERE (installation_id, key_digest) IN \
     (SELECT installation_id, key_digest FROM kv WHERE tenant_id = $1 LIMIT 50)",
    "DELETE FROM lanes WHERE (tenant_id, order_id) IN \
     (SELECT tenant_id, order_id FROM lanes WHERE tenant_id = $1 LIMIT 200)",
    "DELETE FROM known_orders WHERE (tenant_id, order_id) IN \
     (SELECT tenant_id, order_id FROM known_orders WHERE tenant_id = $1 LIMIT 200)",
    "DELETE FROM reconciled WHERE (tenant_id, order_id, event_seq) IN \
     (SELECT tenant_id, order_id, event_seq FROM reconciled WHERE tenant_id = $1 LIMIT 200)",
    "DELETE FROM transitions WHERE (tenant_id, order_id, update_time) IN \
     (SELECT tenant_id, order_id, update_time FROM transitions WHERE tenant_id = $1 LIMIT 200)",
    "DELETE FROM reconciliations WHERE tenant_id = $1",
    "DELETE FROM salts WHERE tenant_id = $1",
];

impl Journal {
    /// What the life of tenants asks for by now (unix ms): the deletion of revoked ones whose time is over, and a pass
    /// over every deletion that is not finished. To be called at a start and now and then.
    ///
    /// # Errors
    /// The store refused; the next call goes on.
    pub async fn tend_tenants(&self, retention: Retention, now: i64) -> Result<(), JournalError> {
        let deleted = self.delete_expired(retention, now).await;
        // What is deleted already goes on its way, whatever hinders another deletion.
        self.erase_deleted(now).await?;
        deleted
    }

    async fn delete_expired(&self, retention: Retention, now: i64) -> Result<(), JournalError> {
        for tenant in self.tenants.expired(retention, now) {
            tracing::info!(tenant = %tenant.id, appid = tenant.appid, "deleting a revoked tenant: its retention is over");
            self.tenants.delete(tenant.id, &tenant.appid).await?;
        }
        Ok(())
    }

    /// Takes the rows of every deleted tenant.
    ///
    /// # Errors
    /// The store refused; the next call goes on.
    pub async fn erase_deleted(&self, now: i64) -> Result<(), JournalError> {
        for (tenant, begun_at) in self.tenants.deletions().await? {
            self.salts.write().unwrap_or_else(|e| e.into_inner()).remove(&tenant);
            let (mut rows, mut after) = (0, 0);
            loop {
                let taken = self.erase(tenant, &mut after).await?;
                let taken = if taken == 0 { self.tenants.erase(tenant).await? } else { taken };
                if taken == 0 {
                    break;
                }
                rows += taken;
            }
            // What was written over leaves the log as well; the deletion does not end before.
            let emptied = self.db.empty_log().await?;
            tracing::info!(%tenant, rows, emptied, "rows of a deleted tenant are gone");
            if rows == 0 && emptied && begun_at.saturating_add(LOOKED_THROUGH_AFTER_MS) <= now {
                self.tenants.finish_deletion(tenant).await?;
                tracing::info!(%tenant, "a tenant is deleted");
            }
        }
        Ok(())
    }

    /// One small step; gives how many rows it took, 0 when none is left. `after`: no events of the tenant lie before.
    async fn erase(&self, tenant: TenantId, after: &mut i64) -> Result<u64, JournalError> {
        let taken = self.write(move |c| Box::pin(async move { erase_runs(c, tenant).await })).await?;
        if taken > 0 {
            return Ok(taken);
        }
        // Read outside the writer: a tenant's events can lie far apart.
        let places = self.places(tenant, First::Oldest, (*after, i64::MAX), EVENTS).await?;
        if let Some(last) = places.last() {
            *after = *last;
            let places = serde_json::Value::from(places).to_string();
            return self
                .write(move |c| {
                    Box::pin(async move { Ok(sqlx::query(THE_EVENTS).bind(places).execute(c).await?.rows_affected()) })
                })
                .await;
        }
        self.write(move |c| Box::pin(async move { erase_rest(c, tenant).await })).await
    }
}

/// Runs of the tenant with their rows; events go after them, since runs name them.
async fn erase_runs(c: &mut SqliteConnection, tenant: TenantId) -> Result<u64, JournalError> {
    let mut taken = 0;
    for step in OF_RUNS.into_iter().chain([THE_RUNS]) {
        let done = sqlx::query(step).bind(tenant.0).bind(RUNS).execute(&mut *c).await?;
        taken += done.rows_affected();
    }
    Ok(taken)
}

async fn erase_rest(c: &mut SqliteConnection, tenant: TenantId) -> Result<u64, JournalError> {
    for step in REST {
        let done = sqlx::query(step).bind(tenant.0).execute(&mut *c).await?;
        if done.rows_affected() > 0 {
            return Ok(done.rows_affected());
        }
    }
    Ok(0)
}
