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

/// The event with a key, whoever's it is.
const RECORDED: &str = "SELECT seq FROM events WHERE dedup = $1";

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
    /// Finished, unless [`BatchInsert::MARK`] finds that somebody hears it.
    const VALUES: &'static str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, 2)";
    const BOUND: usize = 9;
    const UNIQUE: &'static str = "dedup, tenant_id";
    const EXISTING: &'static str = "SELECT seq FROM events WHERE dedup = $1 AND tenant_id = $2";
    /// Events whose hook an active installation hears, and those that may be the echo of an effect, which their lane finds
    /// out: of one on their order, or on the gift that it was made of (`GIFT_NOTE`), which no column tells. The writer is the
    /// only one, so this is what is active at the event's place in the sequence. The hook is spelled from the event's name
    /// here: an event of another kind that were marked by it would find no hook in its lane.
    const MARK: &'static str = "UPDATE events SET state = 0 WHERE seq IN ( \
         SELECT e.seq FROM events e NOT INDEXED CROSS JOIN subscriptions s \
         WHERE e.seq BETWEEN FIRST AND LAST AND s.tenant_id = e.tenant_id AND s.until_seq IS NULL \
         AND s.hook = 'on-' || replace(substr(e.event, 19), '_', '-') \
         UNION SELECT e.seq FROM events e NOT INDEXED CROSS JOIN effects f \
         WHERE e.seq BETWEEN FIRST AND LAST AND f.tenant_id = e.tenant_id AND f.order_id = e.order_id \
         UNION SELECT e.seq FROM events e NOT INDEXED WHERE e.seq BETWEEN FIRST AND LAST AND e.ext_type = 8) \
         RETURNING seq";

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

    /// Makes an event that was pushed to the component durable, together with what is to be done about an authorization,
    /// in one transaction: either both are there after a crash or neither.
    ///
    /// Its key is of the host, whoever it is about: a push that comes again after its shop became a tenant is the event that
    /// was recorded before.
    ///
    /// # Errors
    /// As [`Journal::record_event`].
    pub async fn record_component_event(
        &self,
        event: NewEvent,
        change: Option<AuthorizationChange>,
    ) -> Result<Recorded, JournalError> {
        let lane = LaneKey::new(event.tenant, &event.order_id);
        let row = self.sealed(event)?;
        let (onboarding, is_change) = (self.tenants.onboarding().clone(), change.is_some());
        let inserted = self
            .write(move |c| {
                Box::pin(async move {
                    let before: Option<i64> =
                        sqlx::query_scalar(RECORDED).bind(row.dedup.as_slice()).fetch_optional(&mut *c).await?;
                    let inserted = match before {
                        Some(number) => Inserted { number, duplicate: true, marked: false },
                        None => insert_row(&row, c).await?,
                    };
                    // For a duplicate too: saying it twice changes nothing.
                    if let Some(change) = change {
                        onboarding.note(c, &change).await?;
                    }
                    Ok(inserted)
                })
            })
            .await?;
        if is_change {
            self.tenants.onboarding().wake();
        }
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
    use crate::echo::GIFT_NOTE;
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

    /// How SQLite goes about a statement.
    async fn plan(db: &fangshi_database::Database, statement: &str) -> String {
        let text = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(text).fetch_all(db.reader()).await.unwrap();
        steps.into_iter().map(|step| step.3).collect::<Vec<_>>().join("; ")
    }

    /// The group of an acknowledgement waits for these: each must find its rows by their key, however long the backlog.
    #[tokio::test]
    async fn what_an_acknowledgement_waits_for_is_found_by_key() {
        let dir = tempfile::tempdir().unwrap();
        let db = fangshi_database::Database::open(fangshi_database::OpenOptions::new(dir.path())).await.unwrap();
        for by_key in [EventRow::EXISTING, RECORDED] {
            let existing = plan(&db, by_key).await;
            assert!(
                existing.contains("SEARCH events USING COVERING INDEX") && existing.contains("dedup=?"),
                "{existing}"
            );
        }
        let heard = plan(&db, &EventRow::MARK.replace("FIRST", "$1").replace("LAST", "$2")).await;
        assert!(heard.contains("SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{heard}");
        assert!(heard.contains("SEARCH s USING PRIMARY KEY (tenant_id=? AND hook=?)"), "{heard}");
        assert!(heard.contains("SEARCH f USING COVERING INDEX effects_order"), "{heard}");
        assert!(EventRow::MARK.contains(&format!("e.ext_type = {GIFT_NOTE})")));
        assert!(!heard.contains("SCAN"), "{heard}");
    }
}
