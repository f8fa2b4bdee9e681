//! How a tenant's passes stand: written after every piece of work, so that a restart goes on where it was.

use fangshi_database::TenantId;
use serde::{Deserialize, Serialize};

use crate::{Journal, JournalError, seal};

/// The standing of a tenant. Times named `*_s` are unix seconds, others unix milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Orders placed before this are taken as they are first found; those placed later are compared with nothing.
    pub since_s: i64,
    /// No calls before this: the platform's quota is used up.
    pub paused_until: i64,
    /// The day (by Asia/Shanghai, since 1970) whose calls are counted.
    #[serde(default)]
    pub day: i64,
    /// Calls of that day.
    #[serde(default)]
    pub calls: u32,
    /// Orders to be read again at a time of their own: when, and which.
    #[serde(default)]
    pub later: Vec<(i64, String)>,
    /// Updates of orders, often.
    pub incremental: Pass,
    /// All orders, daily.
    pub full: Pass,
}

/// One of the two passes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Not before this.
    pub due_at: i64,
    /// What was updated until then was looked at; 0 for the full pass, which begins anew each time.
    pub done_until_s: i64,
    /// The pass under way.
    pub walk: Option<Walk>,
    /// The last one that ended.
    pub last: Option<PassReport>,
}

/// A pass under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// When it began.
    pub begun_at: i64,
    /// Begin of the range that is listed now (at most 7 days of it).
    pub from_s: i64,
    /// End of the whole range.
    pub until_s: i64,
    /// The platform's cursor within the range that is listed now; empty at its begin.
    pub next_key: String,
    /// Whether everything was listed.
    pub listed_all: bool,
    /// Orders that were listed and not read yet.
    pub pending: Vec<String>,
    /// Readings of the first of them that failed.
    #[serde(default)]
    pub tries: u32,
    /// Listings of the present page that failed.
    #[serde(default)]
    pub list_tries: u32,
    /// No page is asked for before this: the last listing failed.
    #[serde(default)]
    pub waits_until: i64,
    /// Cursors that were refused since a range was listed to its end.
    #[serde(default)]
    pub refusals: u32,
    /// Why a range could not be listed to its end, the first of them: a class, or `cursor`.
    #[serde(default)]
    pub cut: Option<String>,
    /// The shortest time between the update of an order and its reading, seconds: the host's clock is no further ahead of the
    /// platform's.
    #[serde(default)]
    pub youngest_s: Option<i64>,
    /// Orders listed so far.
    pub listed: u32,
    /// Orders read so far.
    pub read: u32,
    /// Events made so far.
    pub made: u32,
    /// Orders that could not be read.
    pub failed: u32,
}

/// How a pass ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassReport {
    /// When it began.
    pub begun_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// `done`; or the class of what the platform refused it, or a part of it, for; or `cursor`: a list had more and showed no
    /// way on.
    pub outcome: String,
    /// End of its range.
    pub until_s: i64,
    /// Orders listed.
    pub listed: u32,
    /// Orders read.
    pub read: u32,
    /// Events made.
    pub made: u32,
    /// Orders that could not be read.
    pub failed: u32,
}

impl Journal {
    /// How a tenant's passes stand; none before the first.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn standing(&self, tenant: TenantId) -> Result<Option<Standing>, JournalError> {
        let sealed: Option<Vec<u8>> = sqlx::query_scalar("SELECT standing FROM reconciliations WHERE tenant_id = $1")
            .bind(tenant.0)
            .fetch_optional(self.reader())
            .await?;
        let Some(sealed) = sealed else { return Ok(None) };
        let plain = self.unseal(tenant, seal::STANDING, &tenant.0.to_be_bytes(), &sealed)?;
        let standing = serde_json::from_slice(&plain);
        standing.map(Some).map_err(|_| JournalError::Corrupt("standing of a reconciliation".into()))
    }

    /// Keeps how a tenant's passes stand.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn keep_standing(&self, tenant: TenantId, standing: &Standing) -> Result<(), JournalError> {
        let plain =
            serde_json::to_vec(standing).map_err(|_| JournalError::Corrupt("a standing has no JSON form".into()))?;
        let sealed = self.seal(tenant, seal::STANDING, &tenant.0.to_be_bytes(), &plain)?;
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO reconciliations (tenant_id, standing) VALUES ($1, $2) \
                     ON CONFLICT (tenant_id) DO UPDATE SET standing = excluded.standing",
                )
                .bind(tenant.0)
                .bind(sealed)
                .execute(conn)
                .await?;
                Ok(())
            })
        })
        .await
    }
}
