//! The fast path: an event is sealed here, inserted with whatever else waits, and answered after the commit.

use std::sync::Arc;

use fangshi_database::{BatchInsert, EventSeq, Inserted, TenantId, insert_row};
use fangshi_tenants::AuthorizationChange;
use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;

use crate::event::{NewEvent, Recorded};
use crate::lane::LaneKey;
use crate::{Journal, JournalError, seal};

/// A sealed event.
pub(crate) struct EventRow {
    tenant: TenantId,
    order_id: Arc<str>,
    event: Arc<str>,
    ext_type: Option<i64>,
    source: i64,
    created_at: i64,
    received_at: i64,
    dedup: [u8; 32],
    body: Vec<u8>,
}

impl BatchInsert for EventRow {
    const INTO: &'static str =
        "events (tenant_id, order_id, event, ext_type, source, created_at, received_at, dedup, body, state)";
    /// Finished, unless [`BatchInsert::MARK`] finds that somebody hears it.
    const VALUES: &'static str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, 2)";
    const BOUND: usize = 9;
    const UNIQUE: &'static str = "dedup, tenant_id";
    const EXISTING: &'static str = "SELECT seq FROM events WHERE dedup = $1 AND tenant_id = $2";
    /// Events whose hook an active installation hears, and those that may be the echo of an effect, which their lane finds
    /// out. The writer is the only one, so this is what is active at the event's place in the sequence. The hook is spelled
    /// from the event's name here: an event of another kind that were marked by it would find no hook in its lane.
    const MARK: &'static str = "UPDATE events SET state = 0 WHERE seq IN ( \
         SELECT e.seq FROM events e NOT INDEXED CROSS JOIN subscriptions s \
         WHERE e.seq BETWEEN $1 AND $2 AND s.tenant_id = e.tenant_id AND s.until_seq IS NULL \
         AND s.hook = 'on-' || replace(substr(e.event, 19), '_', '-') \
         UNION SELECT e.seq FROM events e NOT INDEXED CROSS JOIN effects f \
         WHERE e.seq BETWEEN $1 AND $2 AND f.tenant_id = e.tenant_id AND f.order_id = e.order_id) RETURNING seq";

    fn bind(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.tenant.0)?;
        arguments.add(self.order_id.clone())?;
        arguments.add(self.event.clone())?;
        arguments.add(self.ext_type)?;
        arguments.add(self.source)?;
        arguments.add(self.created_at)?;
        arguments.add(self.received_at)?;
        arguments.add(self.dedup.to_vec())?;
        arguments.add(self.body.clone())
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

    fn sealed(&self, event: NewEvent) -> Result<EventRow, JournalError> {
        let tenant = event.tenant;
        Ok(EventRow {
            tenant,
            body: self.seal(tenant, seal::EVENT_BODY, &event.dedup, &event.body)?,
            order_id: event.order_id.into(),
            event: event.event.into(),
            ext_type: event.ext_type,
            source: i64::from(event.source.code()),
            created_at: event.created_at,
            received_at: event.received_at,
            dedup: event.dedup,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::HOOKS;

    /// The statement spells the hook by itself, and must not know less than the contract.
    #[tokio::test]
    async fn the_hook_that_marks_is_the_events_hook() {
        use sqlx::Connection as _;
        let spelled = "'on-' || replace(substr(e.event, 19), '_', '-')";
        assert!(EventRow::MARK.contains(spelled));
        let mut c = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        for (event, hook) in HOOKS {
            let sql = format!("SELECT {} FROM (SELECT $1 AS event) e", spelled);
            let found: String =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(event).fetch_one(&mut c).await.unwrap();
            assert_eq!(found, hook);
        }
    }
}
