//! The rows of `tokens`. Every step that writes a secret writes all of them, sealed for the row's new version.

use fangshi_database::{BoxFuture, TenantId};
use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::decide::Standing;
use super::{Key, Planted, REVOKED, TokenKind, decide};
use crate::error::StoreError;
use crate::{CustodyError, Place, Vault};

const ACCESS: Place = Place { table: "tokens", column: "access" };
const REFRESH: Place = Place { table: "tokens", column: "refresh" };
const PREVIOUS_REFRESH: Place = Place { table: "tokens", column: "previous_refresh" };

/// A row, opened.
pub(crate) struct TokenRow {
    pub(crate) version: i64,
    pub(crate) secrets: Secrets,
    pub(crate) issued_at: i64,
    pub(crate) refresh_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) lease_owner: Option<String>,
    pub(crate) lease_until: i64,
    /// The code with which the platform wants a new authorization. Its words are not kept: they may quote what was sent,
    /// and `refused_message` is not sealed. The column is written NULL.
    pub(crate) refused: Option<i64>,
}

#[derive(Clone, Default)]
pub(crate) struct Secrets {
    pub(crate) access: Option<SecretString>,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) previous_refresh: Option<SecretString>,
}

impl Secrets {
    /// Whether this is the refresh token, or the one before it.
    pub(crate) fn has_refresh(&self, one: &SecretString) -> bool {
        let known = [&self.refresh, &self.previous_refresh];
        known.into_iter().flatten().any(|known| known.expose_secret() == one.expose_secret())
    }
}

/// A new token for a row, with its times in unix ms.
#[derive(Clone)]
pub(crate) struct Fresh {
    pub(crate) secrets: Secrets,
    pub(crate) issued_at: i64,
    pub(crate) refresh_at: i64,
    pub(crate) expires_at: i64,
}

impl TokenRow {
    pub(crate) fn standing(&self) -> Standing<'_> {
        Standing {
            has_access: self.secrets.access.is_some(),
            refresh_at: self.refresh_at,
            expires_at: self.expires_at,
            lease_owner: self.lease_owner.as_deref(),
            lease_until: self.lease_until,
            refused: self.refused.is_some(),
        }
    }
}

macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "version, access, refresh, previous_refresh, issued_at, refresh_at, expires_at, lease_owner, lease_until, \
             refused_code",
            $after
        )
    };
}

/// The row of a key.
pub(crate) async fn read(db: &SqlitePool, vault: &Vault, key: Key) -> Result<Option<TokenRow>, StoreError> {
    let row = sqlx::query(with_columns!("SELECT ", " FROM tokens WHERE tenant_id = $1 AND kind = $2"))
        .bind(key.tenant.0)
        .bind(key.kind.code())
        .fetch_optional(db)
        .await?;
    row.map(|row| open(&row, vault, key)).transpose()
}

/// The row of a key, inside a write.
async fn current(c: &mut SqliteConnection, vault: &Vault, key: Key) -> Result<Option<TokenRow>, StoreError> {
    let row = sqlx::query(with_columns!("SELECT ", " FROM tokens WHERE tenant_id = $1 AND kind = $2"))
        .bind(key.tenant.0)
        .bind(key.kind.code())
        .fetch_optional(c)
        .await?;
    row.map(|row| open(&row, vault, key)).transpose()
}

/// Takes the lease on a version, by compare-and-set; gives the row as it is then, or `None` if another was faster.
pub(crate) async fn lease(
    c: &mut SqliteConnection,
    vault: &Vault,
    key: Key,
    version: i64,
    owner: &str,
    now: i64,
    until: i64,
) -> Result<Option<TokenRow>, StoreError> {
    let row = sqlx::query(with_columns!(
        "UPDATE tokens SET lease_owner = $4, lease_until = $6 WHERE tenant_id = $1 AND kind = $2 AND version = $3 \
         AND (lease_owner IS NULL OR lease_owner = $4 OR lease_until <= $5 OR lease_until > $7) RETURNING ",
        ""
    ))
    .bind(key.tenant.0)
    .bind(key.kind.code())
    .bind(version)
    .bind(owner)
    .bind(now)
    .bind(until)
    .bind(now.saturating_add(2 * decide::LEASE_MS))
    .fetch_optional(c)
    .await?;
    row.map(|row| open(&row, vault, key)).transpose()
}

/// Gives the lease back without a new token.
pub(crate) async fn release(c: &mut SqliteConnection, key: Key, version: i64, owner: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE tokens SET lease_owner = NULL, lease_until = 0 \
         WHERE tenant_id = $1 AND kind = $2 AND version = $3 AND lease_owner = $4",
    )
    .bind(key.tenant.0)
    .bind(key.kind.code())
    .bind(version)
    .bind(owner)
    .execute(c)
    .await?;
    Ok(())
}

/// What became of a new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It stands in the row.
    Stored,
    /// The row has moved on: a refresh token that it did not know is kept as the previous one.
    SetAside,
    /// The row has moved on, or is gone, and nothing was written.
    Moved,
}

/// Writes the new token in place of `version`, by compare-and-set. If the row has moved on meanwhile, what the platform
/// gave is not lost.
pub(crate) async fn settle(
    c: &mut SqliteConnection,
    vault: &Vault,
    key: Key,
    version: i64,
    owner: &str,
    fresh: &Fresh,
) -> Result<Settled, StoreError> {
    let Some(row) = current(c, vault, key).await? else { return Ok(Settled::Moved) };
    if row.version == version && row.lease_owner.as_deref() == Some(owner) {
        put(c, vault, key, version + 1, fresh).await?;
        return Ok(Settled::Stored);
    }
    if let Some(refresh) = &fresh.secrets.refresh
        && !row.secrets.has_refresh(refresh)
    {
        let sealed = seal(vault, key, row.version, PREVIOUS_REFRESH, Some(refresh))?;
        sqlx::query("UPDATE tokens SET previous_refresh = $3 WHERE tenant_id = $1 AND kind = $2")
            .bind(key.tenant.0)
            .bind(key.kind.code())
            .bind(sealed)
            .execute(c)
            .await?;
        return Ok(Settled::SetAside);
    }
    Ok(Settled::Moved)
}

/// Whether the row is of this version.
pub(crate) fn is_version(c: &mut SqliteConnection, key: Key, version: i64) -> BoxFuture<'_, Result<bool, StoreError>> {
    Box::pin(async move {
        let found: Option<i64> = sqlx::query_scalar("SELECT version FROM tokens WHERE tenant_id = $1 AND kind = $2")
            .bind(key.tenant.0)
            .bind(key.kind.code())
            .fetch_optional(c)
            .await?;
        Ok(found == Some(version))
    })
}

/// Whether the platform wants a new authorization, and no other token came since `version` was refused.
pub(crate) fn is_refused(c: &mut SqliteConnection, key: Key, version: i64) -> BoxFuture<'_, Result<bool, StoreError>> {
    Box::pin(async move {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM tokens WHERE tenant_id = $1 AND kind = $2 AND version = $3 AND refused_code IS NOT NULL",
        )
        .bind(key.tenant.0)
        .bind(key.kind.code())
        .bind(version)
        .fetch_optional(c)
        .await?;
        Ok(found.is_some())
    })
}

/// Notes that the platform wants a new authorization; only for the version that was refused.
pub(crate) async fn refuse(
    c: &mut SqliteConnection,
    key: Key,
    version: i64,
    owner: &str,
    code: i64,
    now: i64,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE tokens SET refused_code = $5, refused_message = NULL, refused_at = $6, lease_owner = NULL, \
         lease_until = 0 WHERE tenant_id = $1 AND kind = $2 AND version = $3 AND lease_owner = $4",
    )
    .bind(key.tenant.0)
    .bind(key.kind.code())
    .bind(version)
    .bind(owner)
    .bind(code)
    .bind(now)
    .execute(c)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts the refresh token that the platform showed again in the place of the refused one, under the same version and
/// lease; false if the row has moved on.
pub(crate) async fn recover(
    c: &mut SqliteConnection,
    vault: &Vault,
    key: Key,
    version: i64,
    owner: &str,
    secrets: &Secrets,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE tokens SET refresh = $5, previous_refresh = $6 WHERE tenant_id = $1 AND kind = $2 AND version = $3 AND lease_owner = $4",
    )
    .bind(key.tenant.0)
    .bind(key.kind.code())
    .bind(version)
    .bind(owner)
    .bind(seal(vault, key, version, REFRESH, secrets.refresh.as_ref())?)
    .bind(seal(vault, key, version, PREVIOUS_REFRESH, secrets.previous_refresh.as_ref())?)
    .execute(c)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes the right to ask for tickets, by compare-and-set: not again before `gap_ms` have passed.
pub(crate) async fn may_ask_for_ticket(c: &mut SqliteConnection, now: i64, gap_ms: i64) -> Result<bool, StoreError> {
    ensure(c, Key::TICKET).await?;
    let done = sqlx::query(
        "UPDATE tokens SET asked_at = $3 WHERE tenant_id = $1 AND kind = $2 AND (asked_at = 0 OR asked_at <= $4)",
    )
    .bind(Key::TICKET.tenant.0)
    .bind(Key::TICKET.kind.code())
    .bind(now)
    .bind(now.saturating_sub(gap_ms))
    .execute(c)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a component's row holds something, from when to when, and when tickets were last asked for. Unix ms.
pub(crate) async fn times(db: &SqlitePool, key: Key) -> Result<Option<(i64, i64, i64)>, StoreError> {
    let row: Option<(bool, i64, i64, i64)> = sqlx::query_as(
        "SELECT access IS NOT NULL, issued_at, expires_at, asked_at FROM tokens WHERE tenant_id = $1 AND kind = $2",
    )
    .bind(key.tenant.0)
    .bind(key.kind.code())
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(held, issued, expires, asked)| if held { (issued, expires, asked) } else { (0, 0, asked) }))
}

/// Whether an authorization that ended by what the platform said of its tokens may have come back: the platform shows
/// another refresh token than those refused, or refused the account itself (61003).
pub(crate) async fn may_be_back(
    c: &mut SqliteConnection,
    vault: &Vault,
    tenant: TenantId,
    shown: Option<&SecretString>,
) -> Result<bool, StoreError> {
    let Some(row) = current(c, vault, Key::access(tenant)).await? else { return Ok(false) };
    let Some(code) = row.refused else { return Ok(false) };
    Ok(code == REVOKED || shown.is_some_and(|shown| !row.secrets.has_refresh(shown)))
}

/// Lets a refused refresh token be tried again.
pub(crate) async fn forget_refusal(c: &mut SqliteConnection, tenant: TenantId) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE tokens SET refused_code = NULL, refused_message = NULL, refused_at = NULL WHERE tenant_id = $1",
    )
    .bind(tenant.0)
    .execute(c)
    .await?;
    Ok(())
}

/// Takes back one version; a newer one stays.
pub(crate) async fn invalidate(c: &mut SqliteConnection, key: Key, version: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE tokens SET expires_at = 0, refresh_at = 0 WHERE tenant_id = $1 AND kind = $2 AND version = $3")
        .bind(key.tenant.0)
        .bind(key.kind.code())
        .bind(version)
        .execute(c)
        .await?;
    Ok(())
}

/// No access token is good any more, and nobody refreshes one.
pub(crate) async fn doubt_all(c: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE tokens SET refresh_at = 0, expires_at = 0, lease_owner = NULL, lease_until = 0 WHERE kind <> 'ticket'",
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Makes sure that the row is there, without a token; false if it must not be: the tenant is gone, and its data key with it.
pub(crate) async fn ensure(c: &mut SqliteConnection, key: Key) -> Result<bool, StoreError> {
    let data_key: Option<i64> = sqlx::query_scalar("SELECT 1 FROM data_keys WHERE tenant_id = $1 LIMIT 1")
        .bind(key.tenant.0)
        .fetch_optional(&mut *c)
        .await?;
    if data_key.is_none() {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO tokens (tenant_id, kind, version, issued_at, refresh_at, expires_at) VALUES ($1, $2, 0, 0, 0, 0) \
         ON CONFLICT (tenant_id, kind) DO NOTHING",
    )
    .bind(key.tenant.0)
    .bind(key.kind.code())
    .execute(c)
    .await?;
    Ok(true)
}

/// Puts tokens that came from outside into a tenant's row. A new refresh token without an access token takes the old
/// access token with it: it belonged to the authorization before. Gives the version, if it is a new one.
pub(crate) async fn plant(
    c: &mut SqliteConnection,
    vault: &Vault,
    tenant: TenantId,
    planted: Planted,
    now: i64,
) -> Result<Option<i64>, StoreError> {
    let key = Key { tenant, kind: TokenKind::Access };
    ensure(c, key).await?;
    if planted.access.is_none() && planted.refresh.is_none() {
        return Ok(None);
    }
    let Some(row) = current(c, vault, key).await? else { return Ok(None) };
    let version = row.version + 1;
    let (access, expires_at) = planted.access.map_or((None, 0), |(token, expires_at)| (Some(token), expires_at));
    let mut secrets = Secrets { access, ..row.secrets };
    if let Some(refresh) = planted.refresh {
        secrets.previous_refresh = secrets.refresh.replace(refresh);
    }
    let refresh_at = decide::refresh_at(TokenKind::Access, None, now, expires_at.saturating_sub(now), 500);
    put(c, vault, key, version, &Fresh { secrets, issued_at: now, refresh_at, expires_at }).await?;
    Ok(Some(version))
}

/// Plants what an authorization brought. A refresh token that is in force already changes nothing by itself, so that
/// asking again does no harm.
pub(crate) async fn plant_authorization(
    c: &mut SqliteConnection,
    vault: &Vault,
    tenant: TenantId,
    planted: Planted,
    now: i64,
) -> Result<Option<i64>, StoreError> {
    let key = Key { tenant, kind: TokenKind::Access };
    let current = current(c, vault, key).await?;
    let known = current.as_ref().filter(|row| row.refused.is_none()).and_then(|row| row.secrets.refresh.as_ref());
    let same = match (known, &planted.refresh) {
        (Some(known), Some(new)) => known.expose_secret() == new.expose_secret(),
        (_, None) => true,
        (None, Some(_)) => false,
    };
    if same && planted.access.is_none() {
        ensure(c, key).await?;
        return Ok(None);
    }
    let refresh = planted.refresh.filter(|_| !same);
    plant(c, vault, tenant, Planted { refresh, ..planted }, now).await
}

/// Keeps the component's ticket, unless a newer one is there. Times in unix ms.
pub(crate) async fn keep_ticket(
    c: &mut SqliteConnection,
    vault: &Vault,
    ticket: SecretString,
    created_at: i64,
    expires_at: i64,
) -> Result<(), StoreError> {
    let key = Key::TICKET;
    ensure(c, key).await?;
    let Some(row) = current(c, vault, key).await? else { return Ok(()) };
    if row.issued_at > created_at {
        return Ok(());
    }
    let secrets = Secrets { access: Some(ticket), ..Secrets::default() };
    put(c, vault, key, row.version + 1, &Fresh { secrets, issued_at: created_at, refresh_at: expires_at, expires_at })
        .await
}

async fn put(c: &mut SqliteConnection, vault: &Vault, key: Key, version: i64, fresh: &Fresh) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE tokens SET version = $3, access = $4, refresh = $5, previous_refresh = $6, issued_at = $7, \
         refresh_at = $8, expires_at = $9, lease_owner = NULL, lease_until = 0, refused_code = NULL, \
         refused_message = NULL, refused_at = NULL WHERE tenant_id = $1 AND kind = $2",
    )
    .bind(key.tenant.0)
    .bind(key.kind.code())
    .bind(version)
    .bind(seal(vault, key, version, ACCESS, fresh.secrets.access.as_ref())?)
    .bind(seal(vault, key, version, REFRESH, fresh.secrets.refresh.as_ref())?)
    .bind(seal(vault, key, version, PREVIOUS_REFRESH, fresh.secrets.previous_refresh.as_ref())?)
    .bind(fresh.issued_at)
    .bind(fresh.refresh_at)
    .bind(fresh.expires_at)
    .execute(c)
    .await?;
    Ok(())
}

fn seal(
    vault: &Vault,
    key: Key,
    version: i64,
    place: Place,
    secret: Option<&SecretString>,
) -> Result<Option<Vec<u8>>, CustodyError> {
    let row = row_name(key, version);
    secret.map(|secret| vault.seal(key.tenant, place, &row, secret.expose_secret().as_bytes())).transpose()
}

fn open(row: &SqliteRow, vault: &Vault, key: Key) -> Result<TokenRow, StoreError> {
    let version: i64 = row.try_get("version")?;
    let name = row_name(key, version);
    let secret = |place: Place| -> Result<Option<SecretString>, StoreError> {
        let Some(sealed) = row.try_get::<Option<&[u8]>, _>(place.column)? else { return Ok(None) };
        let plain = vault.unseal(key.tenant, place, &name, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| CustodyError::Unsealable {
            table: place.table,
            column: place.column,
            tenant: key.tenant,
        })?;
        Ok(Some(SecretString::from(text)))
    };
    Ok(TokenRow {
        version,
        secrets: Secrets {
            access: secret(ACCESS)?,
            refresh: secret(REFRESH)?,
            previous_refresh: secret(PREVIOUS_REFRESH)?,
        },
        issued_at: row.try_get("issued_at")?,
        refresh_at: row.try_get("refresh_at")?,
        expires_at: row.try_get("expires_at")?,
        lease_owner: row.try_get("lease_owner")?,
        lease_until: row.try_get("lease_until")?,
        refused: row.try_get("refused_code")?,
    })
}

fn row_name(key: Key, version: i64) -> Vec<u8> {
    let mut name = key.kind.code().as_bytes().to_vec();
    name.extend_from_slice(&version.to_be_bytes());
    name
}
