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

/// The event with a key, whoever's it is.
const RECORDED: &str = "SELECT seq FROM events WHERE dedup = $1";

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
        let onboarding = self.tenants.onboarding().clone();
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let marked = plan(&db, EventRow::MARKED).await;
        assert_eq!(marked, "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
        for by_key in [EventRow::EXISTING, RECORDED] {
            let existing = plan(&db, by_key).await;
            assert!(
                existing.contains("SEARCH events USING COVERING INDEX") && existing.contains("dedup=?"),
                "{existing}"
            );
        }
        let heard = plan(&db, &format!("INSERT INTO {} VALUES {}", EventRow::INTO, EventRow::VALUES)).await;
        assert!(heard.contains("SEARCH subscriptions USING PRIMARY KEY (tenant_id=? AND hook=?)"), "{heard}");
        assert!(heard.contains("SEARCH effects USING COVERING INDEX effects_order"), "{heard}");
        assert!(!heard.contains("SCAN"), "{heard}");
    }
}
