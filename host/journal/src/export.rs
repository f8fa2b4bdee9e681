//! One tenant's part of the journal, in clear, a page at a time: what a merchant may ask for (PIPL). Pages, so that a slow
//! reader of the export holds no read transaction, which would keep the log from being written back.

use fangshi_database::{EventSeq, InstallationId, RunId, TenantId};
use serde_json::{Value, json};

use crate::places::First;
use crate::snapshot::SnapshotRow;
use crate::{Journal, JournalError, seal};

/// Where an export stands. Begins with the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportCursor {
    section: Section,
    after: i64,
    key: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Events,
    Runs,
    Snapshots,
    Kv,
    End,
}

#[derive(sqlx::FromRow)]
struct KvRead {
    installation_id: i64,
    key_digest: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
    updated_at: i64,
}

impl Section {
    fn next(self) -> Section {
        match self {
            Section::Events => Section::Runs,
            Section::Runs => Section::Snapshots,
            Section::Snapshots => Section::Kv,
            Section::Kv | Section::End => Section::End,
        }
    }
}

const EVENTS: i64 = 100;
/// A run brings its attempts, calls, effects and log lines.
const RUNS: i64 = 10;
const SNAPSHOTS: i64 = 50;
const KEYS: i64 = 20;

impl Journal {
    /// The next lines of a tenant's export, each an object with `line` (event, run, snapshot, kv); `None` at the end. A run
    /// holds its attempts, with their calls and log lines, and its effects.
    ///
    /// # Errors
    /// The store can't be read, or a value does not open.
    pub async fn export(
        &self,
        tenant: TenantId,
        cursor: &mut ExportCursor,
    ) -> Result<Option<Vec<Value>>, JournalError> {
        while cursor.section != Section::End {
            let lines = match cursor.section {
                Section::Events => self.export_events(tenant, cursor).await?,
                Section::Runs => self.export_runs(tenant, cursor).await?,
                Section::Snapshots => self.export_snapshots(tenant, cursor).await?,
                Section::Kv => self.export_kv(tenant, cursor).await?,
                Section::End => Vec::new(),
            };
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
            *cursor = ExportCursor { section: cursor.section.next(), ..ExportCursor::default() };
        }
        Ok(None)
    }

    async fn export_events(&self, tenant: TenantId, cursor: &mut ExportCursor) -> Result<Vec<Value>, JournalError> {
        let ids = self.places(tenant, First::Oldest, (cursor.after, i64::MAX), EVENTS).await?;
        let mut lines = Vec::with_capacity(ids.len());
        for id in ids {
            cursor.after = id;
            let Some(event) = there(self.event(tenant, EventSeq(id)).await)? else { continue };
            lines.push(json!({
                "line": "event", "seq": event.seq, "order_id": event.lane.order(), "source": event.source,
                "created_at": event.created_at, "received_at": event.received_at,
                "body": serde_json::from_slice::<Value>(&event.body).unwrap_or(Value::Null),
            }));
        }
        Ok(lines)
    }

    async fn export_runs(&self, tenant: TenantId, cursor: &mut ExportCursor) -> Result<Vec<Value>, JournalError> {
        let ids: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM runs WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3")
                .bind(tenant.0)
                .bind(cursor.after)
                .bind(RUNS)
                .fetch_all(self.reader())
                .await?;
        let mut lines = Vec::with_capacity(ids.len());
        for id in ids {
            cursor.after = id;
            // A run that went meanwhile is no longer the tenant's.
            let Some(run) = self.run(tenant, RunId(id)).await? else { continue };
            let mut line = serde_json::to_value(run).map_err(|error| JournalError::Corrupt(error.to_string()))?;
            line["line"] = "run".into();
            lines.push(line);
        }
        Ok(lines)
    }

    async fn export_snapshots(&self, tenant: TenantId, cursor: &mut ExportCursor) -> Result<Vec<Value>, JournalError> {
        let ids: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM snapshots WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3")
                .bind(tenant.0)
                .bind(cursor.after)
                .bind(SNAPSHOTS)
                .fetch_all(self.reader())
                .await?;
        let mut lines = Vec::with_capacity(ids.len());
        for id in ids {
            cursor.after = id;
            let Some(snapshot) = there(self.snapshot(tenant, id).await)? else { continue };
            let SnapshotRow { order_id, digest, json, read_at, .. } = snapshot;
            lines.push(json!({
                "line": "snapshot", "order_id": &*order_id, "digest": hex::encode(digest), "read_at": read_at,
                "order": &*json,
            }));
        }
        Ok(lines)
    }

    async fn export_kv(&self, tenant: TenantId, cursor: &mut ExportCursor) -> Result<Vec<Value>, JournalError> {
        let rows: Vec<KvRead> = sqlx::query_as(
            "SELECT installation_id, key_digest, key, value, updated_at FROM kv \
             WHERE tenant_id = $1 AND (installation_id, key_digest) > ($2, $3) \
             ORDER BY installation_id, key_digest LIMIT $4",
        )
        .bind(tenant.0)
        .bind(cursor.after)
        .bind(&cursor.key)
        .bind(KEYS)
        .fetch_all(self.reader())
        .await?;
        let mut lines = Vec::with_capacity(rows.len());
        for KvRead { installation_id: installation, key_digest: digest, key, value, updated_at } in rows {
            let keyed: [u8; 32] =
                digest.as_slice().try_into().map_err(|_| JournalError::Corrupt("digest of a key".into()))?;
            let name = seal::kv_row(InstallationId(installation), &keyed);
            let key = self.unseal(tenant, seal::KV_KEY, &name, &key)?;
            let value = self.unseal(tenant, seal::KV_VALUE, &name, &value)?;
            lines.push(json!({
                "line": "kv", "installation": InstallationId(installation), "key": String::from_utf8_lossy(&key),
                "value_hex": hex::encode(value), "updated_at": updated_at,
            }));
            (cursor.after, cursor.key) = (installation, digest);
        }
        Ok(lines)
    }
}

/// What was erased between the look at its number and the reading is no longer the tenant's.
fn there<T>(read: Result<T, JournalError>) -> Result<Option<T>, JournalError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(JournalError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_erased_is_left_out_and_what_is_damaged_is_not() {
        assert!(matches!(there(Ok(1)), Ok(Some(1))));
        assert!(matches!(there::<i64>(Err(JournalError::NotFound("event e1".into()))), Ok(None)));
        assert!(there::<i64>(Err(JournalError::Corrupt("event e1".into()))).is_err());
    }
}
