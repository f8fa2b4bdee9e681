//! The fast path: an event is sealed here, inserted with whatever else waits, and answered after the commit.

use fangshi_database::{BatchInsert, EventSeq, Inserted, TenantId, insert_row};
use fangshi_tenants::AuthorizationChange;
use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;

use crate::event::{NewEvent, Recorded};
use crate::hook::hook_of;
use crate::lane::LaneKey;
use crate::{Journal, JournalError, seal};

/// A sealed event.
pub(crate) struct EventRow {
    tenant: TenantId,
    order_id: String,
    event: String,
    hook: Option<&'static str>,
    ext_type: Option<i64>,
    source: i64,
    created_at: i64,
    received_at: i64,
    dedup: [u8; 32],
    body: Vec<u8>,
}

impl EventRow {
    pub(crate) fn event(&self) -> &str {
        &self.event
    }

    pub(crate) fn ext_type(&self) -> Option<i64> {
        self.ext_type
    }
}

impl BatchInsert for EventRow {
    const INTO: &'static str =
        "events (tenant_id, order_id, event, ext_type, source, created_at, received_at, dedup, body, state)";
    /// What nobody hears is finished at once, unless it may be the echo of an effect, which its lane finds out. The
    /// writer is the only one, so this is what is active at the event's place in the sequence.
    const VALUES: &'static str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, CASE \
         WHEN EXISTS (SELECT 1 FROM subscriptions WHERE tenant_id = ? AND hook = ? AND until_seq IS NULL) THEN 0 \
         WHEN EXISTS (SELECT 1 FROM effects WHERE tenant_id = ? AND order_id = ?) THEN 0 \
         ELSE 2 END)";
    const BOUND: usize = 13;
    const UNIQUE: &'static str = "dedup, tenant_id";
    const EXISTING: &'static str = "SELECT seq FROM events WHERE dedup = $1 AND tenant_id = $2";
    /// By number: the index of recorded events would go through the whole backlog.
    const MARKED: &'static str = "SELECT seq FROM events NOT INDEXED WHERE seq BETWEEN $1 AND $2 AND state = 0";

    fn bind(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.tenant.0)?;
        arguments.add(self.order_id.clone())?;
        arguments.add(self.event.clone())?;
        arguments.add(self.ext_type)?;
        arguments.add(self.source)?;
        arguments.add(self.created_at)?;
        arguments.add(self.received_at)?;
        arguments.add(self.dedup.to_vec())?;
        arguments.add(self.body.clone())?;
        arguments.add(self.tenant.0)?;
        arguments.add(self.hook)?;
        arguments.add(self.tenant.0)?;
        arguments.add(self.order_id.clone())
    }

    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.dedup.to_vec())?;
        arguments.add(self.tenant.0)
    }
}

impl Journal {
    /// Makes an event durable; returns after the commit, and only then may the platform be told `success`. The lane
    /// of a new event that somebody hears is poked.
    ///
    /// # Errors
    /// Nothing was written, and the platform must not be told `success`: it will push again.
    pub async fn record_event(&self, event: NewEvent) -> Result<Recorded, JournalError> {
        let lane = LaneKey::new(event.tenant, &event.order_id);
        let inserted = self.events.insert(self.sealed(event)?).await?;
        Ok(self.recorded(&lane, inserted))
    }

    /// Makes an event about an authorization durable together with what is to be done about it, in one transaction:
    /// either both are there after a crash or neither.
    ///
    /// # Errors
    /// As [`Journal::record_event`].
    pub async fn record_authorization(
        &self,
        event: NewEvent,
        change: AuthorizationChange,
    ) -> Result<Recorded, JournalError> {
        let lane = LaneKey::new(event.tenant, &event.order_id);
        let row = self.sealed(event)?;
        let onboarding = self.tenants.onboarding().clone();
        let inserted = self
            .write(move |c| {
                Box::pin(async move {
                    let inserted = insert_row(&row, c).await?;
                    // For a duplicate too: saying it twice changes nothing.
                    onboarding.note(c, &change).await?;
                    Ok(inserted)
                })
            })
            .await?;
        self.tenants.onboarding().wake();
        Ok(self.recorded(&lane, inserted))
    }

    /// After the commit: the lane of a new event that somebody hears is poked.
    fn recorded(&self, lane: &LaneKey, inserted: Inserted) -> Recorded {
        if inserted.marked {
            self.poke(lane);
        }
        Recorded { seq: EventSeq(inserted.number), duplicate: inserted.duplicate }
    }

    pub(crate) fn sealed(&self, event: NewEvent) -> Result<EventRow, JournalError> {
        let tenant = event.tenant;
        Ok(EventRow {
            tenant,
            body: self.seal(tenant, seal::EVENT_BODY, &event.dedup, &event.body)?,
            order_id: event.order_id,
            hook: hook_of(&event.event),
            event: event.event,
            ext_type: event.ext_type,
            source: i64::from(event.source.code()),
            created_at: event.created_at,
            received_at: event.received_at,
            dedup: event.dedup,
        })
    }
}
