//! Orders as they were read. One row per content, shared by every attempt and call that saw it.

use std::sync::Arc;

use fangshi_database::{Binding, Script, TenantId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::lane::LaneKey;
use crate::salt::canonical;
use crate::{Journal, JournalError, seal};

/// An order as it was read at one moment.
#[derive(Clone)]
pub struct SnapshotRow {
    /// The order's id.
    pub order_id: Arc<str>,
    /// Digest of the canonical JSON.
    pub digest: [u8; 32],
    /// getorder's `order` object.
    pub json: Arc<Value>,
    /// Unix milliseconds.
    pub read_at: i64,
}

impl SnapshotRow {
    /// A snapshot just read.
    pub fn new(order_id: &str, json: Value, read_at: i64) -> SnapshotRow {
        let digest = Sha256::digest(canonical(&json)).into();
        SnapshotRow { order_id: Arc::from(order_id), digest, json: Arc::new(json), read_at }
    }

    /// The platform's `update_time`, unix seconds.
    pub fn update_time(&self) -> Option<i64> {
        integer(self.json.get("update_time"))
    }
}

impl std::fmt::Debug for SnapshotRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotRow").field("order_id", &self.order_id).finish_non_exhaustive()
    }
}

/// A number that the platform may send as text.
fn integer(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A snapshot, sealed and on its way to the writer.
pub(crate) struct SealedSnapshot {
    tenant: TenantId,
    order_id: Arc<str>,
    digest: [u8; 32],
    status: Option<i64>,
    update_time: Option<i64>,
    read_at: i64,
    body: Vec<u8>,
}

impl SealedSnapshot {
    pub(crate) fn seal(journal: &Journal, tenant: TenantId, snapshot: &SnapshotRow) -> Result<Self, JournalError> {
        let name = seal::snapshot_row(&snapshot.order_id, &snapshot.digest);
        Ok(SealedSnapshot {
            tenant,
            order_id: snapshot.order_id.clone(),
            digest: snapshot.digest,
            status: integer(snapshot.json.get("status")),
            update_time: snapshot.update_time(),
            read_at: snapshot.read_at,
            body: journal.seal(tenant, seal::SNAPSHOT_BODY, &name, snapshot.json.to_string().as_bytes())?,
        })
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Writes it unless its content is there already.
    pub(crate) fn add_to(&self, script: &mut Script) {
        script
            .add(
                "INSERT INTO snapshots (tenant_id, order_id, digest, status, update_time, read_at, body) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            )
            .bind(self.tenant.0)
            .bind(self.order_id.to_string())
            .bind(self.digest.to_vec())
            .bind(self.status)
            .bind(self.update_time)
            .bind(self.read_at)
            .bind(self.body.clone());
    }
}

/// The values of `(SELECT id FROM snapshots WHERE tenant_id = … AND order_id = … AND digest = …)`: its id, if there is one.
pub(crate) fn bind_snapshot<'s>(to: Binding<'s>, snapshot: Option<&SealedSnapshot>) -> Binding<'s> {
    to.bind(snapshot.map(|snapshot| snapshot.tenant.0))
        .bind(snapshot.map(|snapshot| snapshot.order_id.to_string()))
        .bind(snapshot.map(|snapshot| snapshot.digest.to_vec()))
}

impl Journal {
    /// The order as it was last read at or before a time (unix milliseconds), else as it was first read after it; `None`
    /// if it was never read.
    pub async fn snapshot_near(&self, order: &LaneKey, at_ms: i64) -> Result<Option<SnapshotRow>, JournalError> {
        let id: Option<(i64,)> = sqlx::query_as(
            "SELECT id FROM snapshots WHERE tenant_id = $1 AND order_id = $2 \
             ORDER BY read_at > $3, abs(read_at - $3), id LIMIT 1",
        )
        .bind(order.tenant.0)
        .bind(&*order.order_id)
        .bind(at_ms)
        .fetch_optional(self.reader())
        .await?;
        match id {
            Some((id,)) => Ok(Some(self.snapshot(order.tenant, id).await?)),
            None => Ok(None),
        }
    }

    /// Reads a snapshot back by its row's id.
    pub(crate) async fn snapshot(&self, tenant: TenantId, id: i64) -> Result<SnapshotRow, JournalError> {
        let row: Option<(String, Vec<u8>, i64, Vec<u8>)> =
            sqlx::query_as("SELECT order_id, digest, read_at, body FROM snapshots WHERE id = $1 AND tenant_id = $2")
                .bind(id)
                .bind(tenant.0)
                .fetch_optional(self.reader())
                .await?;
        let (order_id, digest, read_at, body) = row.ok_or_else(|| JournalError::NotFound(format!("snapshot {id}")))?;
        let digest: [u8; 32] =
            digest.try_into().map_err(|_| JournalError::Corrupt("length of a snapshot's digest".into()))?;
        let plain = self.unseal(tenant, seal::SNAPSHOT_BODY, &seal::snapshot_row(&order_id, &digest), &body)?;
        let json = serde_json::from_slice(&plain).map_err(|_| JournalError::Corrupt("JSON of a snapshot".into()))?;
        Ok(SnapshotRow { order_id: Arc::from(order_id), digest, json: Arc::new(json), read_at })
    }
}
