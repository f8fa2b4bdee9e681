//! Who hears a tenant's events, by their place in the sequence. Written by `tenants`, in the same transaction as the
//! change of an installation.

use fangshi_database::{Digest, EventSeq, InstallationId, Place, Script};

use crate::JournalError;
use crate::lane::LaneKey;
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
pub(crate) type Stored = (i64, Vec<u8>, String, i64, Option<i64>);

/// All of a tenant's, by installation; none if the lane has no new events.
pub(crate) fn subscriptions(script: &mut Script, lane: &LaneKey) -> Place {
    script
        .add(
            "SELECT installation_id, version, hook, from_seq, until_seq FROM subscriptions WHERE tenant_id = $1 \
             AND EXISTS (SELECT 1 FROM events WHERE tenant_id = $1 AND order_id = $2 AND state = 0) \
             ORDER BY installation_id, from_seq",
        )
        .bind(lane.tenant.0)
        .bind(lane.order_id.to_string())
        .place()
}

pub(crate) fn heard(rows: Vec<Stored>) -> Result<Vec<Subscription>, JournalError> {
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
