//! The rows of `tenants`: sealed on the way in, opened on the way out.

use std::collections::BTreeSet;

use fangshi_database::TenantId;
use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use crate::tenant::{NewTenant, Platform, SuspendedBy, Tenant, TenantKind, TenantState};
use crate::{CallbackKeys, CustodyError, Place, TenantsError, Vault};

const NAME: Place = Place { table: "tenants", column: "name" };
const APPSECRET: Place = Place { table: "tenants", column: "appsecret" };
const CALLBACK_TOKEN: Place = Place { table: "tenants", column: "callback_token" };
const AES_KEY: Place = Place { table: "tenants", column: "encoding_aes_key" };
const PREVIOUS_AES_KEY: Place = Place { table: "tenants", column: "previous_encoding_aes_key" };

/// The number that the next tenant gets, unless somebody else is faster.
pub(crate) async fn next(db: &SqlitePool) -> Result<TenantId, TenantsError> {
    let last: Option<i64> =
        sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'tenants'").fetch_optional(db).await?;
    Ok(TenantId(last.unwrap_or(0) + 1))
}

/// Takes a number for a new tenant; what is sealed follows with [`write`], in the same transaction.
pub(crate) async fn claim(c: &mut SqliteConnection, new: &NewTenant, now: i64) -> Result<TenantId, TenantsError> {
    let inserted: Option<i64> = sqlx::query_scalar(
        "INSERT INTO tenants (platform, kind, appid, name, state, created_at, updated_at) \
         VALUES ($1, $2, $3, x'', 'active', $4, $4) ON CONFLICT (platform, appid) DO NOTHING RETURNING id",
    )
    .bind(new.platform.code())
    .bind(new.credentials.kind().code())
    .bind(&new.appid)
    .bind(now)
    .fetch_optional(&mut *c)
    .await?;
    if let Some(id) = inserted {
        return Ok(TenantId(id));
    }
    let taken: i64 = sqlx::query_scalar("SELECT id FROM tenants WHERE platform = $1 AND appid = $2")
        .bind(new.platform.code())
        .bind(&new.appid)
        .fetch_one(c)
        .await?;
    Err(TenantsError::DuplicateAppid { appid: new.appid.clone(), tenant: TenantId(taken) })
}

/// Writes everything of a tenant that can change.
pub(crate) async fn write(c: &mut SqliteConnection, vault: &Vault, t: &Tenant, now: i64) -> Result<(), TenantsError> {
    let secret = |place, secret: Option<&SecretString>| {
        secret.map(|secret| vault.seal(t.id, place, &row_name(t.id), secret.expose_secret().as_bytes())).transpose()
    };
    let keys = t.callback_keys.as_ref();
    let (reason, since) = t.state.because().unzip();
    let sets = t.permission_sets.as_ref().map(sets_text);
    sqlx::query(
        "UPDATE tenants SET user_name = $2, name = $3, state = $4, suspended_reason = $5, suspended_since = $6, \
         appsecret = $7, callback_token = $8, encoding_aes_key = $9, previous_encoding_aes_key = $10, updated_at = $11, \
         decode_budget = $12, permission_sets = $13, suspended_by = $14, plan = $15, limits = $16 WHERE id = $1",
    )
    .bind(t.id.0)
    .bind(&t.user_name)
    .bind(vault.seal(t.id, NAME, &row_name(t.id), t.name.as_bytes())?)
    .bind(t.state.code())
    .bind(reason)
    .bind(since)
    .bind(secret(APPSECRET, t.appsecret.as_ref())?)
    .bind(secret(CALLBACK_TOKEN, keys.map(|keys| &keys.token))?)
    .bind(secret(AES_KEY, keys.map(|keys| &keys.encoding_aes_key))?)
    .bind(secret(PREVIOUS_AES_KEY, keys.and_then(|keys| keys.previous_encoding_aes_key.as_ref()))?)
    .bind(now)
    .bind(t.decode_budget)
    .bind(sets)
    .bind(by(&t.state))
    .bind(&t.plan)
    .bind(t.limits.to_string())
    .execute(c)
    .await?;
    Ok(())
}

/// Stops a tenant because its authorization ended; false if it stays as it is: the operator's suspension stands, and an end
/// is not told twice. The row decides, whatever a process has in memory.
pub(crate) async fn stop(
    c: &mut SqliteConnection,
    id: TenantId,
    state: &TenantState,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let (reason, since) = state.because().unzip();
    let done = sqlx::query(
        "UPDATE tenants SET state = $2, suspended_reason = $3, suspended_since = $4, suspended_by = $5, updated_at = $6 \
         WHERE id = $1 AND (state = 'active' OR ($2 = 'revoked' AND state = 'suspended' AND suspended_by = 'platform'))",
    )
    .bind(id.0)
    .bind(state.code())
    .bind(reason)
    .bind(since)
    .bind(by(state))
    .bind(now)
    .execute(c)
    .await?;
    Ok(done.rows_affected() == 1)
}

fn by(state: &TenantState) -> Option<&'static str> {
    match state {
        TenantState::Suspended { by, .. } => Some(by.code()),
        TenantState::Active | TenantState::Revoked { .. } => None,
    }
}

/// Permission sets as a JSON list.
pub(crate) fn sets_text(sets: &BTreeSet<u16>) -> String {
    serde_json::json!(sets).to_string()
}

/// Every tenant.
pub(crate) async fn all(db: &SqlitePool, vault: &Vault) -> Result<Vec<Tenant>, TenantsError> {
    let rows = sqlx::query(
        "SELECT id, platform, kind, appid, user_name, name, state, suspended_by, suspended_reason, suspended_since, created_at, \
         decode_budget, permission_sets, plan, limits, appsecret, callback_token, encoding_aes_key, previous_encoding_aes_key FROM tenants \
         WHERE state <> 'deleted' ORDER BY id",
    )
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| read(row, vault)).collect()
}

fn read(row: &SqliteRow, vault: &Vault) -> Result<Tenant, TenantsError> {
    let id = TenantId(row.try_get("id")?);
    let code = |what: &str, found: &str| sqlx::Error::Decode(format!("tenants.{what} of {id} is {found:?}").into());
    let text = |place: Place| -> Result<Option<String>, TenantsError> {
        let Some(sealed) = row.try_get::<Option<&[u8]>, _>(place.column)? else { return Ok(None) };
        let mut plain = vault.unseal(id, place, &row_name(id), sealed)?;
        let text = String::from_utf8(std::mem::take(&mut *plain));
        Ok(Some(text.map_err(|_| CustodyError::Unsealable { table: place.table, column: place.column, tenant: id })?))
    };
    let secret = |place| Ok::<_, TenantsError>(text(place)?.map(SecretString::from));

    let platform: &str = row.try_get("platform")?;
    let kind: &str = row.try_get("kind")?;
    let reason = row.try_get::<Option<String>, _>("suspended_reason")?.unwrap_or_default();
    let since = row.try_get::<Option<i64>, _>("suspended_since")?.unwrap_or_default();
    let sets: Option<&str> = row.try_get("permission_sets")?;
    let permission_sets =
        sets.map(|text| serde_json::from_str(text).map_err(|_| code("permission_sets", text))).transpose()?;
    let state = match row.try_get("state")? {
        "active" => TenantState::Active,
        "suspended" => {
            let by: &str = row.try_get("suspended_by")?;
            let by = SuspendedBy::from_code(by).ok_or_else(|| code("suspended_by", by))?;
            TenantState::Suspended { by, reason, since }
        }
        "revoked" => TenantState::Revoked { reason, since },
        other => return Err(code("state", other).into()),
    };
    let limits: &str = row.try_get("limits")?;
    let callback_keys = match (secret(CALLBACK_TOKEN)?, secret(AES_KEY)?) {
        (Some(token), Some(encoding_aes_key)) => {
            Some(CallbackKeys { token, encoding_aes_key, previous_encoding_aes_key: secret(PREVIOUS_AES_KEY)? })
        }
        _ => None,
    };
    Ok(Tenant {
        id,
        platform: Platform::from_code(platform).ok_or_else(|| code("platform", platform))?,
        kind: TenantKind::from_code(kind).ok_or_else(|| code("kind", kind))?,
        appid: row.try_get("appid")?,
        user_name: row.try_get("user_name")?,
        name: text(NAME)?.unwrap_or_default(),
        state,
        permission_sets,
        created_at: row.try_get("created_at")?,
        decode_budget: row.try_get("decode_budget")?,
        plan: row.try_get("plan")?,
        limits: serde_json::from_str(limits).map_err(|_| code("limits", limits))?,
        callback_keys,
        appsecret: secret(APPSECRET)?,
    })
}

fn row_name(id: TenantId) -> [u8; 8] {
    id.0.to_be_bytes()
}
