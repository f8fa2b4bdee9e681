//! The rows of `authorizations`: links and what became of them.

use fangshi_database::{AuthorizationId, Digest, TenantId};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::link::{Arrived, Link, LinkOpening, LinkState, NewLink};
use crate::audit::{self, Action, Actor, Entry};
use crate::{CustodyError, Place, TenantsError, Vault};

const PRE_AUTH_CODE: Place = Place { table: "authorizations", column: "pre_auth_code" };
const CODE: Place = Place { table: "authorizations", column: "code" };

const COLUMNS: &str = "id, auth_type, biz_appid, redirect, requested_by, created_at, expires_at, state, \
     appid, tenant_id, reason, ended_at";

/// A link whose code is to be asked about.
pub(crate) struct TakenLink {
    pub(crate) id: AuthorizationId,
    pub(crate) work_no: i64,
    pub(crate) tries: u32,
    pub(crate) created_at: i64,
    /// When its code came; what the merchant did is no younger. Unix ms.
    pub(crate) arrived_at: i64,
    pub(crate) expires_at: i64,
    /// The one account that may be authorized with it.
    pub(crate) biz_appid: Option<String>,
    /// The code may be spent by a call that got no answer.
    pub(crate) asked: bool,
    /// None: the code is gone, and the shop is looked for in the list.
    pub(crate) code: Option<SecretString>,
}

/// What a new link's row holds beside the wish.
pub(crate) struct Made<'a> {
    pub(crate) nonce: Digest,
    pub(crate) pre_auth_code: &'a SecretString,
    /// Who asked for it.
    pub(crate) actor: Actor,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
}

pub(crate) async fn insert(
    c: &mut SqliteConnection,
    vault: &Vault,
    new: &NewLink,
    made: Made<'_>,
) -> Result<AuthorizationId, TenantsError> {
    let code = made.pre_auth_code.expose_secret().as_bytes();
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO authorizations (nonce_digest, pre_auth_code, pre_auth_digest, auth_type, biz_appid, redirect, \
         requested_by, created_at, expires_at, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting') RETURNING id",
    )
    .bind(made.nonce.as_bytes().as_slice())
    .bind(vault.seal(TenantId::HOST, PRE_AUTH_CODE, made.nonce.as_bytes(), code)?)
    .bind(Digest::of(code).as_bytes().as_slice())
    .bind(new.auth_type)
    .bind(&new.biz_appid)
    .bind(&new.redirect)
    .bind(made.actor.to_string())
    .bind(made.created_at)
    .bind(made.expires_at)
    .fetch_one(&mut *c)
    .await?;
    let id = AuthorizationId(id);
    let entry = Entry::new(made.actor, Action::AuthorizationLinkMade, TenantId::HOST).about(id);
    let details = json!({"biz_appid": new.biz_appid, "auth_type": new.auth_type, "expires_at": made.expires_at});
    audit::append(c, vault, made.created_at, entry.with(details)).await?;
    Ok(id)
}

pub(crate) async fn get(db: &SqlitePool, id: AuthorizationId, now: i64) -> Result<Option<Link>, TenantsError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM authorizations WHERE id = $1")))
        .bind(id.0)
        .fetch_optional(db)
        .await?;
    row.map(|row| read(&row, now)).transpose()
}

pub(crate) async fn by_nonce(db: &SqlitePool, nonce: Digest, now: i64) -> Result<Option<Link>, TenantsError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM authorizations WHERE nonce_digest = $1")))
        .bind(nonce.as_bytes().as_slice())
        .fetch_optional(db)
        .await?;
    row.map(|row| read(&row, now)).transpose()
}

/// The newest first.
pub(crate) async fn list(
    db: &SqlitePool,
    before: Option<AuthorizationId>,
    limit: u32,
    now: i64,
) -> Result<Vec<Link>, TenantsError> {
    let sql = format!("SELECT {COLUMNS} FROM authorizations WHERE id < $1 ORDER BY id DESC LIMIT $2");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(before.map_or(i64::MAX, |id| id.0))
        .bind(limit)
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| read(row, now)).collect()
}

/// What the platform's pages are opened with, if the nonce is a link's.
pub(crate) async fn opening(
    db: &SqlitePool,
    vault: &Vault,
    nonce: Digest,
    component_appid: &str,
) -> Result<Option<LinkOpening>, TenantsError> {
    let row = sqlx::query("SELECT pre_auth_code, auth_type, biz_appid FROM authorizations WHERE nonce_digest = $1")
        .bind(nonce.as_bytes().as_slice())
        .fetch_optional(db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(LinkOpening {
        component_appid: component_appid.to_owned(),
        pre_auth_code: unseal(vault, PRE_AUTH_CODE, nonce.as_bytes(), row.try_get(0)?)?,
        auth_type: row.try_get(1)?,
        biz_appid: row.try_get(2)?,
    }))
}

/// Id, state, appid, digest of the code.
type Found = (i64, String, Option<String>, Option<Vec<u8>>);

/// Keeps the code of a redirect, to be asked about. What came before, or comes when the link has ended, changes nothing. How
/// late a code may come after the link expired is the platform's to say: it refuses one that is too old.
pub(crate) async fn keep_code(
    c: &mut SqliteConnection,
    vault: &Vault,
    nonce: Digest,
    code: &SecretString,
    now: i64,
) -> Result<Arrived, TenantsError> {
    let found: Option<Found> =
        sqlx::query_as("SELECT id, state, appid, code_digest FROM authorizations WHERE nonce_digest = $1")
            .bind(nonce.as_bytes().as_slice())
            .fetch_optional(&mut *c)
            .await?;
    let Some((id, state, appid, known)) = found else { return Ok(Arrived::Unknown) };
    let digest = Digest::of(code.expose_secret().as_bytes());
    let digest = digest.as_bytes().as_slice();
    if state != LinkState::Waiting.code() || appid.is_some() || known.as_deref() == Some(digest) {
        return Ok(Arrived::Ignored);
    }
    if belongs_elsewhere(c, id, digest).await? {
        return Ok(Arrived::Foreign);
    }
    sqlx::query(
        "UPDATE authorizations SET state = 'working', code = $2, code_digest = $3, asked = 0, work = 1, \
         work_no = work_no + 1, tries = 0, next_at = $4, arrived_at = $4, reason = NULL WHERE id = $1",
    )
    .bind(id)
    .bind(vault.seal(TenantId::HOST, CODE, nonce.as_bytes(), code.expose_secret().as_bytes())?)
    .bind(digest)
    .bind(now)
    .execute(c)
    .await?;
    Ok(Arrived::Kept(AuthorizationId(id)))
}

/// Whether the code came with another link, or with an event that names another link or none of ours.
async fn belongs_elsewhere(c: &mut SqliteConnection, id: i64, digest: &[u8]) -> Result<bool, sqlx::Error> {
    let links: i64 = sqlx::query_scalar("SELECT count(*) FROM authorizations WHERE code_digest = $1 AND id <> $2")
        .bind(digest)
        .bind(id)
        .fetch_one(&mut *c)
        .await?;
    // An event binds its own link before the redirect comes: a code that is known here belongs to somebody else.
    let events: i64 =
        sqlx::query_scalar("SELECT count(*) FROM authorizers WHERE code_digest = $1").bind(digest).fetch_one(c).await?;
    Ok(links + events > 0)
}

/// Tells the link of a pre-auth code who authorized with it; another link that was given the same code fails.
pub(crate) async fn bind_by_pre_auth(
    c: &mut SqliteConnection,
    pre_auth_code: &SecretString,
    code: Option<Digest>,
    appid: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    let pre_auth = Digest::of(pre_auth_code.expose_secret().as_bytes());
    let bound: Option<i64> = sqlx::query_scalar(
        "UPDATE authorizations SET appid = $2, state = 'working', reason = NULL, ended_at = NULL, code = NULL, \
         code_digest = coalesce($3, code_digest), work = 0, work_no = work_no + 1 WHERE id = \
         (SELECT max(id) FROM authorizations WHERE pre_auth_digest = $1) AND state <> 'done' RETURNING id",
    )
    .bind(pre_auth.as_bytes().as_slice())
    .bind(appid)
    .bind(code.as_ref().map(|code| code.as_bytes().as_slice()))
    .fetch_optional(&mut *c)
    .await?;
    fail_of_others(c, appid, now).await?;
    let (Some(bound), Some(code)) = (bound, code) else { return Ok(()) };
    sqlx::query(
        "UPDATE authorizations SET state = 'failed', reason = 'code-of-another-link', ended_at = $3, code = NULL, \
         work = 0, work_no = work_no + 1, appid = NULL, tenant_id = NULL WHERE code_digest = $1 AND id <> $2",
    )
    .bind(code.as_bytes().as_slice())
    .bind(bound)
    .bind(now)
    .execute(c)
    .await?;
    Ok(())
}

/// Tells a link that was given this code who it stands for: an event that names no pre-auth code of ours.
pub(crate) async fn bind_by_code(
    c: &mut SqliteConnection,
    code: Digest,
    appid: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE authorizations SET appid = $2, code = NULL, work = 0, work_no = work_no + 1, reason = NULL \
         WHERE code_digest = $1 AND appid IS NULL AND state = 'working'",
    )
    .bind(code.as_bytes().as_slice())
    .bind(appid)
    .execute(&mut *c)
    .await?;
    fail_of_others(c, appid, now).await
}

/// A link that names its account completes no other: it fails, and the account that authorized stands on its own.
async fn fail_of_others(c: &mut SqliteConnection, appid: &str, now: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE authorizations SET state = 'failed', reason = 'another-account', ended_at = $2, code = NULL, work = 0, \
         work_no = work_no + 1 WHERE appid = $1 AND state = 'working' AND biz_appid <> $1",
    )
    .bind(appid)
    .bind(now)
    .execute(c)
    .await?;
    Ok(())
}

/// Tells a link who authorized with it; only for the work that found out. True if it still is that work.
pub(crate) async fn bind(
    c: &mut SqliteConnection,
    id: AuthorizationId,
    work_no: i64,
    appid: &str,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE authorizations SET appid = $3, code = NULL, work = 0, work_no = work_no + 1, reason = NULL \
         WHERE id = $1 AND work_no = $2",
    )
    .bind(id.0)
    .bind(work_no)
    .bind(appid)
    .execute(&mut *c)
    .await?;
    fail_of_others(c, appid, now).await?;
    Ok(done.rows_affected() == 1)
}

/// The next link to work on; it comes back at `until` if nothing is heard of it. A code that does not open is as good as
/// none: one damaged row must not hold up the others.
pub(crate) async fn take(
    c: &mut SqliteConnection,
    vault: &Vault,
    now: i64,
    until: i64,
) -> Result<Option<TakenLink>, TenantsError> {
    let row = sqlx::query(
        "UPDATE authorizations SET next_at = $2, tries = tries + 1 WHERE id = \
         (SELECT id FROM authorizations WHERE work = 1 AND next_at <= $1 ORDER BY next_at LIMIT 1) \
         RETURNING id, nonce_digest, work_no, tries, created_at, coalesce(arrived_at, created_at) AS arrived_at, \
         expires_at, biz_appid, asked, code",
    )
    .bind(now)
    .bind(until)
    .fetch_optional(c)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let nonce: &[u8] = row.try_get("nonce_digest")?;
    let id = AuthorizationId(row.try_get("id")?);
    let code = match row.try_get::<Option<&[u8]>, _>("code")?.map(|sealed| unseal(vault, CODE, nonce, sealed)) {
        Some(Err(TenantsError::Custody(error))) => {
            tracing::error!(link = %id, %error, "the code of a link is lost: its shop is looked for in the list");
            None
        }
        code => code.transpose()?,
    };
    Ok(Some(TakenLink {
        id,
        work_no: row.try_get("work_no")?,
        tries: row.try_get("tries")?,
        created_at: row.try_get("created_at")?,
        arrived_at: row.try_get("arrived_at")?,
        expires_at: row.try_get("expires_at")?,
        biz_appid: row.try_get("biz_appid")?,
        asked: row.try_get("asked")?,
        code,
    }))
}

/// Notes whether `api_query_auth` may have been sent; false if the work is no longer this one.
pub(crate) async fn set_asked(
    c: &mut SqliteConnection,
    id: AuthorizationId,
    work_no: i64,
    asked: bool,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("UPDATE authorizations SET asked = $3 WHERE id = $1 AND work_no = $2")
        .bind(id.0)
        .bind(work_no)
        .bind(asked)
        .execute(c)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What is to come of a link's work that did not find the shop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    /// Once more, not before this time.
    Again(i64),
    /// Without its code, by the list, not before this time.
    Search(i64),
    /// Back to the merchant: another code may come.
    Waiting,
    /// It came to nothing; the time it ended.
    Failed(i64),
}

pub(crate) async fn turn(
    c: &mut SqliteConnection,
    id: AuthorizationId,
    work_no: i64,
    turn: Turn,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let (state, work, keeps_code, next_at, ended_at) = match turn {
        Turn::Again(at) => (LinkState::Working, true, true, at, None),
        Turn::Search(at) => (LinkState::Working, true, false, at, None),
        Turn::Waiting => (LinkState::Waiting, false, false, 0, None),
        Turn::Failed(at) => (LinkState::Failed, false, false, 0, Some(at)),
    };
    sqlx::query(
        "UPDATE authorizations SET state = $3, work = $4, code = CASE WHEN $5 THEN code END, next_at = $6, \
         ended_at = $7, reason = $8 WHERE id = $1 AND work_no = $2",
    )
    .bind(id.0)
    .bind(work_no)
    .bind(state.code())
    .bind(work)
    .bind(keeps_code)
    .bind(next_at)
    .bind(ended_at)
    .bind(reason)
    .execute(c)
    .await?;
    Ok(())
}

/// Why a link fails whose code may be older than the deletion of its shop.
pub(crate) const DELETED: &str = "tenant-deleted";

/// The shop is a tenant: every link that brought it is done. A link made for this one account is, too, if the
/// authorization is younger than the link, whether or not its redirect or event ever came; and one whose code could not tell
/// that it was younger than a deletion, if it came with this authorization or after it.
pub(crate) async fn finish(
    c: &mut SqliteConnection,
    appid: &str,
    tenant: TenantId,
    authorized_s: i64,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE authorizations SET state = 'done', appid = $1, tenant_id = $2, reason = NULL, ended_at = $3, \
         code = NULL, work = 0, work_no = work_no + 1 \
         WHERE (appid = $1 AND state = 'working') \
         OR (biz_appid = $1 AND appid IS NULL AND state IN ('waiting', 'working') AND created_at / 1000 <= $4) \
         OR (appid = $1 AND state = 'failed' AND reason = $5 AND arrived_at / 1000 >= $4)",
    )
    .bind(appid)
    .bind(tenant.0)
    .bind(now)
    .bind(authorized_s)
    .bind(DELETED)
    .execute(c)
    .await?;
    Ok(())
}

/// The account cannot become a tenant.
pub(crate) async fn fail(c: &mut SqliteConnection, appid: &str, reason: &str, now: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE authorizations SET state = 'failed', reason = $2, ended_at = $3, code = NULL, work = 0, \
         work_no = work_no + 1 WHERE appid = $1 AND state = 'working'",
    )
    .bind(appid)
    .bind(reason)
    .bind(now)
    .execute(c)
    .await?;
    Ok(())
}

fn read(row: &SqliteRow, now: i64) -> Result<Link, TenantsError> {
    let wrong = |what: &str| sqlx::Error::Decode(format!("authorizations.{what}").into());
    let state = LinkState::from_code(row.try_get("state")?).ok_or_else(|| wrong("state"))?;
    let expires_at: i64 = row.try_get("expires_at")?;
    Ok(Link {
        id: AuthorizationId(row.try_get("id")?),
        state: if state == LinkState::Waiting && expires_at <= now { LinkState::Expired } else { state },
        reason: row.try_get("reason")?,
        appid: row.try_get("appid")?,
        tenant: row.try_get::<Option<i64>, _>("tenant_id")?.map(TenantId),
        redirect: row.try_get("redirect")?,
        biz_appid: row.try_get("biz_appid")?,
        auth_type: row.try_get("auth_type")?,
        requested_by: row.try_get("requested_by")?,
        created_at: row.try_get("created_at")?,
        expires_at,
        ended_at: row.try_get("ended_at")?,
    })
}

fn unseal(vault: &Vault, place: Place, row: &[u8], sealed: &[u8]) -> Result<SecretString, TenantsError> {
    let plain = vault.unseal(TenantId::HOST, place, row, sealed)?;
    let damaged = CustodyError::Unsealable { table: place.table, column: place.column, tenant: TenantId::HOST };
    Ok(SecretString::from(std::str::from_utf8(&plain).map_err(|_| damaged)?))
}
