//! Events: what the callback room hands over, and what is read back.

use fangshi_database::{EventSeq, TenantId};
use serde::{Deserialize, Serialize};

use crate::lane::LaneKey;
use crate::{Journal, JournalError, seal};

/// Where an event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Pushed by the platform.
    Callback = 0,
    /// Found by reconciliation.
    Reconciled = 1,
    /// Found by polling.
    Poll = 2,
    /// Made by a schedule.
    Schedule = 3,
    /// Made by a person.
    Manual = 4,
}

/// Order id, event, type, source, creation, receipt, dedup digest, body, the reading before it.
pub(crate) type StoredRow = (String, String, Option<i64>, i64, i64, i64, Vec<u8>, Vec<u8>, Option<i64>);

pub(crate) const EVENT: &str = "SELECT order_id, event, ext_type, source, created_at, received_at, dedup, body, \
     CASE source WHEN 1 THEN (SELECT since FROM reconciled WHERE tenant_id = $2 AND order_id = events.order_id \
     AND event_seq = $1 AND update_time <= events.created_at) END \
     FROM events WHERE seq = $1 AND tenant_id = $2";

impl Source {
    /// As stored, and as a guest sees it.
    pub fn code(self) -> u32 {
        self as u32
    }

    pub(crate) fn from_code(code: i64) -> Result<Source, JournalError> {
        Ok(match code {
            0 => Source::Callback,
            1 => Source::Reconciled,
            2 => Source::Poll,
            3 => Source::Schedule,
            4 => Source::Manual,
            other => return Err(JournalError::Corrupt(format!("event source {other}"))),
        })
    }
}

/// An event on its way in: decrypted, bound to its tenant.
#[derive(Clone)]
pub struct NewEvent {
    /// Whose.
    pub tenant: TenantId,
    /// The platform's Event: `channels_ec_order_pay`.
    pub event: String,
    /// Decimal text; empty without an order.
    pub order_id: String,
    /// Where it came from.
    pub source: Source,
    /// `order_info.type` of `channels_ec_order_ext_info_update`.
    pub ext_type: Option<i64>,
    /// CreateTime, unix seconds.
    pub created_at: i64,
    /// Unix milliseconds, the host's clock.
    pub received_at: i64,
    /// Digest of what makes the event this event: an equal one of the same tenant is a duplicate.
    pub dedup: [u8; 32],
    /// Canonical JSON of the decrypted message: every member, whatever form the push had.
    pub body: Vec<u8>,
}

/// The answer to [`Journal::record_event`], after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The event's place in the sequence; of a duplicate, the first one's.
    pub seq: EventSeq,
    /// Whether it was there before.
    pub duplicate: bool,
}

/// An event read back, unsealed.
#[derive(Clone)]
pub struct StoredEvent {
    /// Its place in the sequence.
    pub seq: EventSeq,
    /// Its lane.
    pub lane: LaneKey,
    /// The platform's Event.
    pub event: String,
    /// See [`NewEvent::ext_type`].
    pub ext_type: Option<i64>,
    /// Where it came from.
    pub source: Source,
    /// CreateTime, unix seconds.
    pub created_at: i64,
    /// It happened no earlier than this, unix seconds: CreateTime again, unless it was read off an order that does not tell when.
    pub since: i64,
    /// Unix milliseconds.
    pub received_at: i64,
    /// Canonical JSON of the message.
    pub body: Vec<u8>,
}

impl Journal {
    /// Reads one event with its body, unsealed.
    pub async fn event(&self, tenant: TenantId, seq: EventSeq) -> Result<StoredEvent, JournalError> {
        let row: Option<StoredRow> =
            sqlx::query_as(EVENT).bind(seq.0).bind(tenant.0).fetch_optional(self.reader()).await?;
        self.stored(tenant, seq, row)
    }

    pub(crate) fn stored(
        &self,
        tenant: TenantId,
        seq: EventSeq,
        row: Option<StoredRow>,
    ) -> Result<StoredEvent, JournalError> {
        let (order_id, event, ext_type, source, created_at, received_at, dedup, body, read_before) =
            row.ok_or_else(|| JournalError::NotFound(format!("event {seq}")))?;
        Ok(StoredEvent {
            seq,
            lane: LaneKey::new(tenant, &order_id),
            event,
            ext_type,
            source: Source::from_code(source)?,
            created_at,
            since: read_before.map_or(created_at, |read_before| read_before.min(created_at)),
            received_at,
            body: self.unseal(tenant, seal::EVENT_BODY, &dedup, &body)?,
        })
    }
}

// Bodies hold buyer data: they are left out.
impl std::fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewEvent")
            .field("tenant", &self.tenant)
            .field("event", &self.event)
            .field("order_id", &self.order_id)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for StoredEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredEvent")
            .field("seq", &self.seq)
            .field("lane", &self.lane)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
