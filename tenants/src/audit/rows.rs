//! The table `audit`.

use fangshi_database::{Digest, TenantId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::entry::{Entry, GENESIS, Link};
use crate::error::StoreError;
use crate::{CustodyError, Place, Vault};

const DETAILS: Place = Place { table: "audit", column: "details" };
/// Bytes before the JSON of sealed details.
const SALT: usize = 16;

/// Which entries.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Older than this one.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// An entry as it was written.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    /// Its place in the chain, from 1.
    pub number: i64,
    /// Unix ms.
    pub at: i64,
    /// system, operator, operator:k1, merchant:k2.
    pub actor: String,
    /// The action's code.
    pub action: String,
    /// Whose.
    pub tenant: TenantId,
    /// Ids.
    pub subjects: Vec<String>,
    /// `None` if there were none, or if the tenant's data key is gone.
    pub details: Option<serde_json::Value>,
    /// Its hash.
    pub hash: Digest,
}

/// The last entry of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: i64,
    /// Its hash.
    pub hash: Digest,
}

/// A row as it lies in the store, nothing believed yet.
pub(super) struct RawEntry {
    pub(super) number: i64,
    pub(super) at: i64,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) tenant: i64,
    pub(super) subjects: String,
    pub(super) details_digest: Option<Vec<u8>>,
    pub(super) details: Option<Vec<u8>>,
    pub(super) prev: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

impl RawEntry {
    pub(super) fn link(&self) -> Link<'_> {
        Link {
            number: self.number,
            at: self.at,
            actor: &self.actor,
            action: &self.action,
            tenant: self.tenant,
            subjects: &self.subjects,
            details_digest: self.details_digest.as_deref(),
            prev: &self.prev,
        }
    }

    /// Opens the details; gives the salted text, whose digest is in the chain.
    pub(super) fn open(&self, vault: &Vault) -> Option<Result<zeroize::Zeroizing<Vec<u8>>, CustodyError>> {
        let sealed = self.details.as_deref()?;
        Some(vault.unseal(TenantId(self.tenant), DETAILS, &self.number.to_be_bytes(), sealed))
    }

    /// What the opened details say.
    pub(super) fn read(salted: &[u8]) -> Option<serde_json::Value> {
        salted.get(SALT..).and_then(|json| serde_json::from_slice(json).ok())
    }
}

/// Writes an entry at the end of the chain, inside the transaction of the change it speaks of.
pub(crate) async fn append(c: &mut SqliteConnection, vault: &Vault, now: i64, entry: Entry) -> Result<i64, StoreError> {
    let last: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetch_optional(&mut *c).await?;
    let (last, prev) = last.unwrap_or((0, GENESIS.to_vec()));
    let number = last + 1;
    let (details_digest, details) = match seal(vault, number, &entry)? {
        Some(details) => (Some(details.digest), Some(details.sealed)),
        None => (None, None),
    };
    let raw = RawEntry {
        number,
        at: now,
        actor: entry.actor.to_string(),
        action: entry.action.code().to_owned(),
        tenant: entry.tenant.0,
        subjects: entry.subjects.join(" "),
        details_digest,
        details,
        prev,
        hash: Vec::new(),
    };
    let hash = raw.link().hash();
    sqlx::query(
        "INSERT INTO audit (number, at, actor, action, tenant_id, subjects, details_digest, details, prev, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(raw.number)
    .bind(raw.at)
    .bind(raw.actor)
    .bind(raw.action)
    .bind(raw.tenant)
    .bind(raw.subjects)
    .bind(raw.details_digest)
    .bind(raw.details)
    .bind(raw.prev)
    .bind(hash.as_bytes().as_slice())
    .execute(c)
    .await?;
    Ok(number)
}

struct SealedDetails {
    digest: Vec<u8>,
    sealed: Vec<u8>,
}

/// Digest and sealed form of an entry's details, with a fresh salt.
fn seal(vault: &Vault, number: i64, entry: &Entry) -> Result<Option<SealedDetails>, CustodyError> {
    if entry.details.is_null() {
        return Ok(None);
    }
    let mut salted = vec![0; SALT];
    getrandom::fill(&mut salted).map_err(|error| CustodyError::Seal(error.to_string()))?;
    salted.extend_from_slice(entry.details.to_string().as_bytes());
    let sealed = vault.seal(entry.tenant, DETAILS, &number.to_be_bytes(), &salted)?;
    Ok(Some(SealedDetails { digest: Digest::of(&salted).as_bytes().to_vec(), sealed }))
}

/// The last entry of the chain.
///
/// # Errors
/// The store cannot be read, or its last hash is damaged.
pub async fn head(db: &SqlitePool) -> Result<Option<Head>, sqlx::Error> {
    let last: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetch_optional(db).await?;
    let Some((number, hash)) = last else { return Ok(None) };
    let hash = Digest::from_slice(&hash).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Some(Head { number, hash }))
}

/// The day of a time (unix ms) in UTC, as `2026-01-31`.
pub(super) async fn date(db: &SqlitePool, at: i64) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT strftime('%Y-%m-%d', $1, 'unixepoch')").bind(at.div_euclid(1000)).fetch_one(db).await
}

macro_rules! select_audit {
    ($rest:literal) => {
        concat!(
            "SELECT number, at, actor, action, tenant_id, subjects, details_digest, details, prev, hash FROM audit ",
            $rest
        )
    };
}

/// Up to `limit` rows after a number, in the order of the chain.
pub(super) async fn after(db: &SqlitePool, number: i64, limit: u32) -> Result<Vec<RawEntry>, sqlx::Error> {
    let rows = sqlx::query(select_audit!("WHERE number > $1 ORDER BY number LIMIT $2"))
        .bind(number)
        .bind(limit)
        .fetch_all(db)
        .await?;
    rows.iter().map(read).collect()
}

pub(crate) async fn list(db: &SqlitePool, vault: &Vault, filter: &AuditFilter) -> Result<Vec<AuditRecord>, StoreError> {
    let before = filter.before.unwrap_or(i64::MAX);
    // Two texts: each uses its own index.
    let rows = match filter.tenant {
        Some(tenant) => {
            sqlx::query(select_audit!("WHERE number < $1 AND tenant_id = $3 ORDER BY number DESC LIMIT $2"))
                .bind(before)
                .bind(filter.limit)
                .bind(tenant.0)
        }
        None => sqlx::query(select_audit!("WHERE number < $1 ORDER BY number DESC LIMIT $2"))
            .bind(before)
            .bind(filter.limit),
    };
    let rows = rows.fetch_all(db).await?;
    rows.iter().map(|row| record(read(row)?, vault)).collect()
}

fn record(raw: RawEntry, vault: &Vault) -> Result<AuditRecord, StoreError> {
    let details = match raw.open(vault) {
        None | Some(Err(CustodyError::NoKey { .. })) => None,
        // Damaged details are verify's to name; the list shows what is left.
        Some(Err(error)) => {
            tracing::error!(number = raw.number, %error, "details of an audit entry do not open");
            None
        }
        Some(Ok(salted)) => RawEntry::read(&salted),
    };
    Ok(AuditRecord {
        number: raw.number,
        at: raw.at,
        tenant: TenantId(raw.tenant),
        subjects: raw.subjects.split(' ').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        details,
        hash: Digest::from_slice(&raw.hash).map_err(|error| sqlx::Error::Decode(error.into()))?,
        actor: raw.actor,
        action: raw.action,
    })
}

fn read(row: &SqliteRow) -> Result<RawEntry, sqlx::Error> {
    Ok(RawEntry {
        number: row.try_get("number")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        tenant: row.try_get("tenant_id")?,
        subjects: row.try_get("subjects")?,
        details_digest: row.try_get("details_digest")?,
        details: row.try_get("details")?,
        prev: row.try_get("prev")?,
        hash: row.try_get("hash")?,
    })
}
