//! The rows of `authorizers`: what the platform last said of an account, and what is to be done about it.

use fangshi_database::{Digest, TenantId};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::decide::{Standing, Work};
use super::link_rows;
use crate::{CustodyError, Place, TenantsError, Vault};

const CODE: Place = Place { table: "authorizers", column: "code" };
const REFRESH: Place = Place { table: "authorizers", column: "refresh" };

/// What is known of an account.
pub(crate) struct Known {
    pub(crate) standing: Standing,
    pub(crate) changed_s: i64,
    /// That time is of the host's clock.
    pub(crate) by_host: bool,
    pub(crate) verdict: Option<String>,
    pub(crate) code_digest: Option<Vec<u8>>,
    pub(crate) at_work: bool,
    pub(crate) tenant: Option<TenantId>,
    /// When its tenant was deleted, unix seconds, unless it has another by now.
    pub(crate) deleted_s: Option<i64>,
    /// When it last said that it is a shop and granted, unix ms, if that was its last word.
    granted_at: Option<i64>,
}

impl Known {
    /// The last word and its time, unix seconds of the platform; none if that time is of another clock.
    pub(crate) fn dated(&self) -> Option<(Standing, i64)> {
        (!self.by_host).then_some((self.standing, self.changed_s))
    }

    /// Whether the account itself said since then (unix ms) that it is granted.
    pub(crate) fn was_granted_since(&self, since: i64) -> bool {
        self.granted_at.is_some_and(|at| at > since)
    }

    /// Whether a word of that time (unix seconds) is older than the deletion of the tenant: it makes none again.
    pub(crate) fn was_deleted_after(&self, at: i64) -> bool {
        self.deleted_s.is_some_and(|deleted| at <= deleted)
    }
}

/// An account to work on.
pub(crate) struct Taken {
    pub(crate) appid: String,
    pub(crate) work: Work,
    pub(crate) work_no: i64,
    pub(crate) tries: u32,
    /// Of those, how many the platform refused.
    pub(crate) refusals: u32,
    pub(crate) changed_s: i64,
    pub(crate) code: Option<SecretString>,
    pub(crate) refresh: Option<SecretString>,
}

/// New work on an account.
pub(crate) struct Wanted<'a> {
    pub(crate) standing: Standing,
    pub(crate) changed_s: i64,
    /// That time is of the host's clock.
    pub(crate) by_host: bool,
    pub(crate) work: Work,
    pub(crate) code: Option<&'a SecretString>,
    /// The code was asked about already: only its digest is kept.
    pub(crate) spent: bool,
    pub(crate) refresh: Option<&'a SecretString>,
    pub(crate) next_at: i64,
}

impl Wanted<'_> {
    /// The account is to be asked about; what it said last stays until it answers.
    pub(crate) fn ask(known: Option<&Known>, next_at: i64) -> Wanted<'static> {
        Wanted {
            standing: known.map_or(Standing::Granted, |known| known.standing),
            changed_s: known.map_or(0, |known| known.changed_s),
            by_host: known.is_none_or(|known| known.by_host),
            work: Work::Ask,
            code: None,
            spent: false,
            refresh: None,
            next_at,
        }
    }
}

/// An account as people see it.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// Its appid.
    pub appid: String,
    /// Whether it authorizes the component, as far as the platform said.
    pub granted: bool,
    /// Since when, unix seconds of the platform.
    pub changed_s: i64,
    /// `shop`, `other`, or nothing if it was not looked at yet.
    pub verdict: Option<String>,
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// Whether the host is about to ask the platform about it.
    pub at_work: bool,
    /// What hindered the last try.
    pub problem: Option<String>,
}

pub(crate) async fn known(c: &mut SqliteConnection, appid: &str) -> Result<Option<Known>, TenantsError> {
    let row = sqlx::query(
        "SELECT standing, changed_s, by_host, verdict, code_digest, work IS NOT NULL AS at_work, tenant_id, CASE WHEN NOT EXISTS \
         (SELECT 1 FROM tenants WHERE platform = 'weixin' AND appid = $1) THEN deleted_s END AS deleted_s, \
         CASE WHEN work IS NULL AND standing = 'granted' AND verdict = 'shop' AND problem IS NULL THEN updated_at END AS granted_at \
         FROM authorizers WHERE appid = $1",
    )
    .bind(appid)
    .fetch_optional(c)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Known {
        standing: standing(row.try_get("standing")?)?,
        changed_s: row.try_get("changed_s")?,
        by_host: row.try_get("by_host")?,
        verdict: row.try_get("verdict")?,
        code_digest: row.try_get("code_digest")?,
        at_work: row.try_get("at_work")?,
        tenant: row.try_get::<Option<i64>, _>("tenant_id")?.map(TenantId),
        deleted_s: row.try_get("deleted_s")?,
        granted_at: row.try_get("granted_at")?,
    }))
}

/// The tenant is deleted: what its account brought and what was to be done about it go with it, and what stays is the
/// appid and the time, so that the platform's list, which may show the account on, makes no tenant of it again. To be
/// called while the tenant's row still has its appid; `now` in unix ms.
pub(crate) async fn forget(c: &mut SqliteConnection, tenant: TenantId, now: i64) -> Result<(), sqlx::Error> {
    let appid: Option<String> =
        sqlx::query_scalar("SELECT appid FROM tenants WHERE id = $1").bind(tenant.0).fetch_optional(&mut *c).await?;
    let Some(appid) = appid else { return Ok(()) };
    sqlx::query(
        "INSERT INTO authorizers (appid, standing, changed_s, updated_at) \
         SELECT appid, CASE state WHEN 'revoked' THEN 'revoked' ELSE 'granted' END, 0, $2 FROM tenants \
         WHERE id = $1 AND kind = 'authorized' ON CONFLICT (appid) DO NOTHING",
    )
    .bind(tenant.0)
    .bind(now)
    .execute(&mut *c)
    .await?;
    empty(c, &appid, now, i64::MAX, now).await.map(drop)
}

/// A tenant that this store never had, or has no more, was deleted (`at` in unix ms): as after [`forget`], and its links go,
/// which hold codes. A word that is younger than the deletion stands: false, as for one that is remembered already.
pub(crate) async fn remember_deletion(
    c: &mut SqliteConnection,
    appid: &str,
    at: i64,
    now: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "INSERT INTO authorizers (appid, standing, changed_s, updated_at) VALUES ($1, 'granted', 0, $2) \
         ON CONFLICT (appid) DO NOTHING",
    )
    .bind(appid)
    .bind(now)
    .execute(&mut *c)
    .await?;
    let emptied = empty(c, appid, at, at, now).await?;
    if emptied {
        sqlx::query("DELETE FROM authorizations WHERE appid = $1").bind(appid).execute(c).await?;
    }
    Ok(emptied)
}

/// Takes everything from an account but its appid and the time of the deletion. One that changed after `until` (all times in
/// unix ms), or whose tenant was deleted then, stays as it is: false.
async fn empty(c: &mut SqliteConnection, appid: &str, at: i64, until: i64, now: i64) -> Result<bool, sqlx::Error> {
    let emptied = sqlx::query(
        "UPDATE authorizers SET deleted_s = $2, tenant_id = NULL, verdict = NULL, code = NULL, code_digest = NULL, \
         refresh = NULL, work = NULL, work_no = work_no + 1, tries = 0, refusals = 0, updated_at = $3, \
         problem = 'its tenant was deleted: it comes back when the merchant authorizes anew' \
         WHERE appid = $1 AND changed_s <= $4 AND coalesce(deleted_s, 0) < $4",
    )
    .bind(appid)
    .bind(at.div_euclid(1000))
    .bind(now)
    .bind(until.div_euclid(1000))
    .execute(c)
    .await?;
    Ok(emptied.rows_affected() == 1)
}

/// Puts work on an account. A code replaces the one before; a refresh token that is not given stays.
pub(crate) async fn want(
    c: &mut SqliteConnection,
    vault: &Vault,
    appid: &str,
    wanted: Wanted<'_>,
    now: i64,
) -> Result<(), TenantsError> {
    let seal = |place, secret: Option<&SecretString>| {
        let bytes = secret.map(|secret| secret.expose_secret().as_bytes());
        bytes.map(|bytes| vault.seal(TenantId::HOST, place, appid.as_bytes(), bytes)).transpose()
    };
    let digest = wanted.code.map(|code| Digest::of(code.expose_secret().as_bytes()));
    sqlx::query(
        "INSERT INTO authorizers (appid, standing, changed_s, code, code_digest, refresh, work, work_no, next_at, \
         updated_at, by_host) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10) \
         ON CONFLICT (appid) DO UPDATE SET standing = $2, code = $4, \
         changed_s = CASE WHEN by_host = 1 AND $10 = 0 THEN $3 ELSE max(changed_s, $3) END, by_host = $10, \
         code_digest = coalesce($5, code_digest), refresh = coalesce($6, refresh), work = $7, work_no = work_no + 1, \
         tries = 0, refusals = 0, next_at = $8, problem = NULL, updated_at = $9, \
         deleted_s = CASE WHEN $2 = 'granted' THEN NULL ELSE deleted_s END",
    )
    .bind(appid)
    .bind(wanted.standing.code())
    .bind(wanted.changed_s)
    .bind(seal(CODE, wanted.code.filter(|_| !wanted.spent))?)
    .bind(digest.as_ref().map(|digest| digest.as_bytes().as_slice()))
    .bind(seal(REFRESH, wanted.refresh)?)
    .bind(wanted.work.code())
    .bind(wanted.next_at)
    .bind(now)
    .bind(wanted.by_host)
    .execute(c)
    .await?;
    Ok(())
}

/// A word that came before, with its time by the platform.
pub(crate) async fn raise_time(c: &mut SqliteConnection, appid: &str, at: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE authorizers SET changed_s = CASE by_host WHEN 1 THEN $2 ELSE max(changed_s, $2) END, by_host = 0 \
         WHERE appid = $1",
    )
    .bind(appid)
    .bind(at)
    .execute(c)
    .await?;
    Ok(())
}

/// The walk that began at `walk` met the account.
pub(crate) async fn met(c: &mut SqliteConnection, appid: &str, walk: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE authorizers SET listed_at = $2 WHERE appid = $1").bind(appid).bind(walk).execute(c).await?;
    Ok(())
}

/// The next account to work on; it comes back at `until` if nothing is heard of it. A code or refresh token that does not
/// open is left out, since the account's own answer makes up for it: one damaged row must not hold up the others.
pub(crate) async fn take(
    c: &mut SqliteConnection,
    vault: &Vault,
    now: i64,
    until: i64,
) -> Result<Option<Taken>, TenantsError> {
    let row = sqlx::query(
        "UPDATE authorizers SET next_at = $2, tries = tries + 1 WHERE appid = \
         (SELECT appid FROM authorizers WHERE work IS NOT NULL AND next_at <= $1 ORDER BY next_at LIMIT 1) \
         RETURNING appid, work, work_no, tries, refusals, changed_s, code, refresh",
    )
    .bind(now)
    .bind(until)
    .fetch_optional(c)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let appid: String = row.try_get("appid")?;
    let work: &str = row.try_get("work")?;
    let secret = |place: Place| -> Result<Option<SecretString>, sqlx::Error> {
        let Some(sealed) = row.try_get::<Option<&[u8]>, _>(place.column)? else { return Ok(None) };
        let opened = open(vault, place, &appid, sealed);
        if let Err(error) = &opened {
            tracing::error!(appid, %error, "what was kept of an account is lost: the platform is asked without it");
        }
        Ok(opened.ok())
    };
    Ok(Some(Taken {
        work: Work::from_code(work).ok_or_else(|| sqlx::Error::Decode(format!("authorizers.work {work:?}").into()))?,
        work_no: row.try_get("work_no")?,
        tries: row.try_get("tries")?,
        refusals: row.try_get("refusals")?,
        changed_s: row.try_get("changed_s")?,
        code: secret(CODE)?,
        refresh: secret(REFRESH)?,
        appid,
    }))
}

fn open(vault: &Vault, place: Place, appid: &str, sealed: &[u8]) -> Result<SecretString, CustodyError> {
    let plain = vault.unseal(TenantId::HOST, place, appid.as_bytes(), sealed)?;
    let damaged = CustodyError::Unsealable { table: place.table, column: place.column, tenant: TenantId::HOST };
    Ok(SecretString::from(std::str::from_utf8(&plain).map_err(|_| damaged)?))
}

/// The code is spent; what it brought is kept until it is planted.
pub(crate) async fn code_is_spent(
    c: &mut SqliteConnection,
    vault: &Vault,
    appid: &str,
    work_no: i64,
    refresh: Option<&SecretString>,
) -> Result<(), TenantsError> {
    let bytes = refresh.map(|refresh| refresh.expose_secret().as_bytes());
    let sealed = bytes.map(|bytes| vault.seal(TenantId::HOST, REFRESH, appid.as_bytes(), bytes)).transpose()?;
    sqlx::query(
        "UPDATE authorizers SET code = NULL, refresh = coalesce($3, refresh) WHERE appid = $1 AND work_no = $2",
    )
    .bind(appid)
    .bind(work_no)
    .bind(sealed)
    .execute(c)
    .await?;
    Ok(())
}

/// After so many refusals: once more, not before `next_at`; `None` gives up until the platform says something new: so do the account's links, whose
/// end this work would have been.
pub(crate) async fn again(
    c: &mut SqliteConnection,
    appid: &str,
    work_no: i64,
    refusals: u32,
    next_at: Option<i64>,
    problem: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    let done = sqlx::query(
        "UPDATE authorizers SET next_at = coalesce($3, next_at), work = CASE WHEN $3 IS NULL THEN NULL ELSE work END, \
         problem = $4, refusals = $5 WHERE appid = $1 AND work_no = $2",
    )
    .bind(appid)
    .bind(work_no)
    .bind(next_at)
    .bind(problem)
    .bind(refusals)
    .execute(&mut *c)
    .await?;
    if next_at.is_none() && done.rows_affected() == 1 {
        link_rows::fail(c, appid, "account-not-settled", now).await?;
    }
    Ok(())
}

/// How a piece of work ended.
pub(crate) struct Settled<'a> {
    pub(crate) standing: Standing,
    pub(crate) verdict: Option<&'a str>,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) problem: Option<&'a str>,
}

/// Ends a piece of work; false if a newer one was wanted meanwhile: then nothing is to be written.
pub(crate) async fn settle(
    c: &mut SqliteConnection,
    appid: &str,
    work_no: i64,
    settled: Settled<'_>,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE authorizers SET standing = $3, verdict = coalesce($4, verdict), tenant_id = coalesce($5, tenant_id), \
         problem = $6, work = NULL, code = NULL, refresh = NULL, updated_at = $7 \
         WHERE appid = $1 AND work_no = $2 AND work IS NOT NULL",
    )
    .bind(appid)
    .bind(work_no)
    .bind(settled.standing.code())
    .bind(settled.verdict)
    .bind(settled.tenant.map(|tenant| tenant.0))
    .bind(settled.problem)
    .bind(now)
    .execute(c)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The tenant of an account whose work was just settled.
pub(crate) async fn set_tenant(c: &mut SqliteConnection, appid: &str, tenant: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE authorizers SET tenant_id = $2 WHERE appid = $1").bind(appid).bind(tenant.0).execute(c).await?;
    Ok(())
}

/// Authorized tenants that a complete walk, begun at `walk`, did not meet and nobody asks about already.
pub(crate) async fn vanished(c: &mut SqliteConnection, walk: i64) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT appid FROM tenants WHERE platform = 'weixin' AND kind = 'authorized' AND state NOT IN ('revoked', 'deleted') \
         AND created_at < $1 AND NOT EXISTS (SELECT 1 FROM authorizers a WHERE a.appid = tenants.appid \
         AND (a.listed_at >= $1 OR a.work IS NOT NULL OR a.updated_at > $1)) ORDER BY id",
    )
    .bind(walk)
    .fetch_all(c)
    .await
}

/// An account that authorized lately.
pub(crate) struct Unclaimed {
    pub(crate) appid: String,
    /// Nothing explains it but a link whose code was lost: it was no tenant before, and its code came by no event. An
    /// event names the link that it belongs to.
    pub(crate) unexplained: bool,
}

/// Accounts that authorized since then (unix seconds) and that no other link claims.
pub(crate) async fn unclaimed_since(db: &SqlitePool, since_s: i64, link: i64) -> Result<Vec<Unclaimed>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT appid, code_digest IS NULL AND NOT EXISTS (SELECT 1 FROM tenants t JOIN authorizations l ON l.id = $2 \
         WHERE t.appid = authorizers.appid AND t.created_at < l.created_at) AS unexplained \
         FROM authorizers WHERE standing = 'granted' AND changed_s >= $1 AND deleted_s IS NULL AND NOT EXISTS \
         (SELECT 1 FROM authorizations o WHERE o.appid = authorizers.appid AND o.id <> $2 AND o.created_at / 1000 >= $1)",
    )
    .bind(since_s)
    .bind(link)
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| Ok(Unclaimed { appid: row.try_get("appid")?, unexplained: row.try_get("unexplained")? }))
        .collect()
}

/// Accounts by appid.
pub(crate) async fn list(db: &SqlitePool, after: Option<&str>, limit: u32) -> Result<Vec<AccountView>, TenantsError> {
    let rows = sqlx::query(
        "SELECT appid, standing, changed_s, verdict, tenant_id, work IS NOT NULL AS at_work, problem FROM authorizers \
         WHERE appid > $1 ORDER BY appid LIMIT $2",
    )
    .bind(after.unwrap_or_default())
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(AccountView {
                appid: row.try_get("appid")?,
                granted: standing(row.try_get("standing")?)? == Standing::Granted,
                changed_s: row.try_get("changed_s")?,
                verdict: row.try_get("verdict")?,
                tenant: row.try_get::<Option<i64>, _>("tenant_id")?.map(TenantId),
                at_work: row.try_get("at_work")?,
                problem: row.try_get("problem")?,
            })
        })
        .collect()
}

fn standing(code: &str) -> Result<Standing, sqlx::Error> {
    Standing::from_code(code).ok_or_else(|| sqlx::Error::Decode(format!("authorizers.standing {code:?}").into()))
}
