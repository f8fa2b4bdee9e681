//! Who hears a tenant's events, by their place in the sequence. Written by `tenants`, in the same transaction as the
//! change of an installation.

use fangshi_database::{Digest, EventSeq, InstallationId, TenantId};
use sqlx::SqliteConnection;

use crate::JournalError;
use crate::state::version;

/// A version of an installation hears a hook's events for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The installation.
    pub installation: InstallationId,
    /// Its version then.
    pub version: Digest,
    /// `on-pay`.
    pub hook: String,
    /// It hears events after this one.
    pub from: EventSeq,
    /// And none after this one, if it ended.
    pub until: Option<EventSeq>,
}

impl Subscription {
    /// Whether it hears an event of its hook at this place.
    pub fn hears(&self, seq: EventSeq) -> bool {
        self.from < seq && self.until.is_none_or(|until| seq <= until)
    }
}

/// Installation, version, hook, from, until.
type Stored = (i64, Vec<u8>, String, i64, Option<i64>);

/// All of a tenant's, by installation.
pub(crate) async fn subscriptions(
    conn: &mut SqliteConnection,
    tenant: TenantId,
) -> Result<Vec<Subscription>, JournalError> {
    let rows: Vec<Stored> = sqlx::query_as(
        "SELECT installation_id, version, hook, from_seq, until_seq FROM subscriptions WHERE tenant_id = $1 \
         ORDER BY installation_id, from_seq",
    )
    .bind(tenant.0)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(installation, bytes, hook, from, until)| {
            Ok(Subscription {
                installation: InstallationId(installation),
                version: version(bytes)?,
                hook,
                from: EventSeq(from),
                until: until.map(EventSeq),
            })
        })
        .collect()
}
