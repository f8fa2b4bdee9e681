//! The rows of `decoded` and `decodes`.

use fangshi_database::{Digest, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};
use zeroize::Zeroizing;

use super::DecodeAsk;
use super::decide::Kept;
use crate::custody::decide::LEASE_MS;
use crate::{CustodyError, Place, TenantsError, Vault};

const ANSWER: Place = Place { table: "decoded", column: "answer" };

/// A row of `decoded`, opened.
pub(super) struct DecodedRow {
    pub(super) version: i64,
    pub(super) kept: Option<Kept>,
    pub(super) lease_until: i64,
}

/// What is inside the seal.
#[derive(Serialize, Deserialize)]
struct Sealed {
    mark: Digest,
    number_until: Option<i64>,
    decoded_at: i64,
    answer: Value,
}

pub(super) async fn is_kept(db: &SqlitePool, tenant: TenantId, order_id: &str) -> Result<bool, sqlx::Error> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM decoded WHERE tenant_id = $1 AND order_id = $2 AND answer IS NOT NULL")
            .bind(tenant.0)
            .bind(order_id)
            .fetch_optional(db)
            .await?;
    Ok(found.is_some())
}

const READ: &str = "SELECT version, answer, lease_until FROM decoded WHERE tenant_id = $1 AND order_id = $2";

pub(super) async fn read(db: &SqlitePool, vault: &Vault, ask: &DecodeAsk) -> Result<Option<DecodedRow>, TenantsError> {
    let row = sqlx::query(READ).bind(ask.tenant.0).bind(&ask.order_id).fetch_optional(db).await?;
    row.map(|row| open(&row, vault, ask.tenant, &ask.order_id)).transpose()
}

/// The row inside a write.
pub(super) async fn current(
    c: &mut SqliteConnection,
    vault: &Vault,
    ask: &DecodeAsk,
) -> Result<Option<DecodedRow>, TenantsError> {
    let row = sqlx::query(READ).bind(ask.tenant.0).bind(&ask.order_id).fetch_optional(c).await?;
    row.map(|row| open(&row, vault, ask.tenant, &ask.order_id)).transpose()
}

/// Live decodes of a day that count: answered, or without an answer so far.
pub(super) async fn used(c: &mut SqliteConnection, tenant: TenantId, day: i64) -> Result<u32, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM decodes WHERE tenant_id = $1 AND day = $2 AND live = 1 AND outcome < 2")
        .bind(tenant.0)
        .bind(day)
        .fetch_one(c)
        .await
}

/// Takes the lease on a version; version 0 is that of an order without a row.
pub(super) async fn lease(
    c: &mut SqliteConnection,
    ask: &DecodeAsk,
    version: i64,
    owner: &str,
    now: i64,
    until: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO decoded (tenant_id, order_id, version, lease_owner, lease_until) VALUES ($1, $2, $3, $4, $6) \
         ON CONFLICT (tenant_id, order_id) DO UPDATE SET lease_owner = $4, lease_until = $6 \
         WHERE version = $3 AND (lease_until <= $5 OR lease_until > $7)",
    )
    .bind(ask.tenant.0)
    .bind(&ask.order_id)
    .bind(version)
    .bind(owner)
    .bind(now)
    .bind(until)
    .bind(now.saturating_add(2 * LEASE_MS))
    .execute(c)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Prolongs the lease; false if it is another's by now.
pub(super) async fn hold_on(
    c: &mut SqliteConnection,
    ask: &DecodeAsk,
    version: i64,
    owner: &str,
    until: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE decoded SET lease_until = $5 \
         WHERE tenant_id = $1 AND order_id = $2 AND version = $3 AND lease_owner = $4",
    )
    .bind(ask.tenant.0)
    .bind(&ask.order_id)
    .bind(version)
    .bind(owner)
    .bind(until)
    .execute(c)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that the platform is asked; it counts from here on.
pub(super) async fn asked(c: &mut SqliteConnection, ask: &DecodeAsk, day: i64, now: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO decodes (tenant_id, installation_id, order_id, day, live, outcome, at) \
         VALUES ($1, $2, $3, $4, 1, 0, $5) RETURNING id",
    )
    .bind(ask.tenant.0)
    .bind(ask.installation.0)
    .bind(&ask.order_id)
    .bind(day)
    .bind(now)
    .fetch_one(c)
    .await
}

/// It does not count after all.
pub(super) async fn refused(c: &mut SqliteConnection, row: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE decodes SET outcome = 2 WHERE id = $1").bind(row).execute(c).await?;
    Ok(())
}

/// Keeps an answer in place of the version before. If the lease ran out and another call took its place, that one's
/// answer counts, and this one is served and not kept.
pub(super) async fn keep(
    c: &mut SqliteConnection,
    vault: &Vault,
    ask: &DecodeAsk,
    version: i64,
    owner: &str,
    kept: &Kept,
) -> Result<(), TenantsError> {
    let sealed = Sealed {
        mark: kept.mark,
        number_until: kept.number_until,
        decoded_at: kept.decoded_at,
        answer: kept.answer.clone(),
    };
    let plain = Zeroizing::new(serde_json::to_vec(&sealed).map_err(|error| CustodyError::Seal(error.to_string()))?);
    let sealed = vault.seal(ask.tenant, ANSWER, &row_name(&ask.order_id, version + 1), &plain)?;
    sqlx::query(
        "UPDATE decoded SET version = $3 + 1, answer = $5, lease_owner = NULL, lease_until = 0 \
         WHERE tenant_id = $1 AND order_id = $2 AND version = $3 AND lease_owner = $4",
    )
    .bind(ask.tenant.0)
    .bind(&ask.order_id)
    .bind(version)
    .bind(owner)
    .bind(sealed)
    .execute(c)
    .await?;
    Ok(())
}

/// Gives the lease back without an answer.
pub(super) async fn release(
    c: &mut SqliteConnection,
    ask: &DecodeAsk,
    version: i64,
    owner: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE decoded SET lease_owner = NULL, lease_until = 0 \
         WHERE tenant_id = $1 AND order_id = $2 AND version = $3 AND lease_owner = $4",
    )
    .bind(ask.tenant.0)
    .bind(&ask.order_id)
    .bind(version)
    .bind(owner)
    .execute(c)
    .await?;
    Ok(())
}

/// Kept answers by order id: order, when it was decoded, answer.
pub(super) async fn all(
    db: &SqlitePool,
    vault: &Vault,
    tenant: TenantId,
    after: &str,
    limit: u32,
) -> Result<Vec<(String, i64, Value)>, TenantsError> {
    let rows = sqlx::query(
        "SELECT order_id, version, answer, lease_until FROM decoded \
         WHERE tenant_id = $1 AND order_id > $2 AND answer IS NOT NULL ORDER BY order_id LIMIT $3",
    )
    .bind(tenant.0)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let order_id: String = row.try_get("order_id")?;
        if let Some(kept) = open(&row, vault, tenant, &order_id)?.kept {
            all.push((order_id, kept.decoded_at, kept.answer));
        }
    }
    Ok(all)
}

fn open(row: &SqliteRow, vault: &Vault, tenant: TenantId, order_id: &str) -> Result<DecodedRow, TenantsError> {
    let version: i64 = row.try_get("version")?;
    let kept = match row.try_get::<Option<&[u8]>, _>("answer")? {
        None => None,
        Some(sealed) => {
            let plain = vault.unseal(tenant, ANSWER, &row_name(order_id, version), sealed)?;
            let damaged = |_| CustodyError::Unsealable { table: ANSWER.table, column: ANSWER.column, tenant };
            let Sealed { mark, number_until, decoded_at, answer } = serde_json::from_slice(&plain).map_err(damaged)?;
            Some(Kept { mark, number_until, decoded_at, answer })
        }
    };
    Ok(DecodedRow { version, kept, lease_until: row.try_get("lease_until")? })
}

fn row_name(order_id: &str, version: i64) -> Vec<u8> {
    let mut name = version.to_be_bytes().to_vec();
    name.extend_from_slice(order_id.as_bytes());
    name
}
