//! Orders as they were last read.

use fangshi_database::{EventSeq, TenantId};
use serde_json::Value;
use sqlx::SqliteConnection;

use crate::lane::LaneKey;
use crate::{Journal, JournalError, StoredEvent, seal};

/// An order as the last reading that counted showed it.
#[derive(Clone)]
pub struct KnownOrder {
    /// The platform's `status`.
    pub status: i64,
    /// The platform's `update_time`, unix seconds.
    pub update_time: i64,
    /// When it was asked for, unix milliseconds.
    pub read_at: i64,
    /// The newest of the order's events that was weighed with the reading.
    pub seen: Option<EventSeq>,
    /// To be read again then, unix milliseconds, whatever the list says.
    pub look_at: Option<i64>,
    /// Times, and digests of the parts that matter.
    pub facts: Value,
}

// Facts are digests of buyer data: left out.
impl std::fmt::Debug for KnownOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownOrder")
            .field("status", &self.status)
            .field("update_time", &self.update_time)
            .finish_non_exhaustive()
    }
}

/// Status, update time, reading, newest event, next look, facts.
type Row = (i64, i64, i64, Option<i64>, Option<i64>, Vec<u8>);

/// Newest events of an order that a comparison takes in: far more than an order's life has.
const EVENTS: i64 = 512;

impl Journal {
    /// What is known of an order, if anything is.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn known_order(&self, order: &LaneKey) -> Result<Option<KnownOrder>, JournalError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT status, update_time, read_at, seen_seq, look_at, facts FROM known_orders \
             WHERE tenant_id = $1 AND order_id = $2",
        )
        .bind(order.tenant.0)
        .bind(&*order.order_id)
        .fetch_optional(self.reader())
        .await?;
        let Some((status, update_time, read_at, seen, look_at, facts)) = row else { return Ok(None) };
        let plain = self.unseal(order.tenant, seal::KNOWN_FACTS, order.order_id.as_bytes(), &facts)?;
        let facts =
            serde_json::from_slice(&plain).map_err(|_| JournalError::Corrupt("facts of a known order".into()))?;
        let seen = seen.map(EventSeq);
        Ok(Some(KnownOrder { status, update_time, read_at, seen, look_at, facts }))
    }

    /// Orders whose time to be read again has come, unix milliseconds, the longest due first.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn orders_to_look_at(&self, tenant: TenantId, now: i64, limit: u32) -> Result<Vec<String>, JournalError> {
        Ok(sqlx::query_scalar(
            "SELECT order_id FROM known_orders WHERE tenant_id = $1 AND look_at <= $2 ORDER BY look_at LIMIT $3",
        )
        .bind(tenant.0)
        .bind(now)
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?)
    }

    /// An order whose time to be read again has come could not be read: not again before then, unix milliseconds.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn put_off_look(&self, order: &LaneKey, now: i64, look_at: i64) -> Result<(), JournalError> {
        let order = order.clone();
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE known_orders SET look_at = $1 WHERE tenant_id = $2 AND order_id = $3 AND look_at <= $4",
                )
                .bind(look_at)
                .bind(order.tenant.0)
                .bind(&*order.order_id)
                .bind(now)
                .execute(conn)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The newest events of an order with their bodies, in their sequence.
    ///
    /// # Errors
    /// The store can't be read, or a row can't be unsealed.
    pub async fn order_events(&self, order: &LaneKey) -> Result<Vec<StoredEvent>, JournalError> {
        let newest: Vec<i64> = sqlx::query_scalar(
            "SELECT seq FROM events WHERE order_id = $1 AND tenant_id = $2 ORDER BY seq DESC LIMIT $3",
        )
        .bind(&*order.order_id)
        .bind(order.tenant.0)
        .bind(EVENTS)
        .fetch_all(self.reader())
        .await?;
        let mut events = Vec::with_capacity(newest.len());
        for seq in newest.into_iter().rev() {
            events.push(self.event(order.tenant, EventSeq(seq)).await?);
        }
        Ok(events)
    }
}

/// A known order, sealed and on its way to the writer.
pub(super) struct SealedOrder {
    tenant: TenantId,
    order_id: std::sync::Arc<str>,
    status: i64,
    update_time: i64,
    read_at: i64,
    seen: Option<EventSeq>,
    look_at: Option<i64>,
    facts: Vec<u8>,
}

impl SealedOrder {
    pub(super) fn seal(journal: &Journal, order: &LaneKey, known: &KnownOrder) -> Result<Self, JournalError> {
        let facts = known.facts.to_string();
        Ok(SealedOrder {
            tenant: order.tenant,
            order_id: order.order_id.clone(),
            status: known.status,
            update_time: known.update_time,
            read_at: known.read_at,
            seen: known.seen,
            look_at: known.look_at,
            facts: journal.seal(order.tenant, seal::KNOWN_FACTS, order.order_id.as_bytes(), facts.as_bytes())?,
        })
    }

    pub(super) async fn write(&self, conn: &mut SqliteConnection) -> Result<(), JournalError> {
        sqlx::query(
            "INSERT INTO known_orders (tenant_id, order_id, status, update_time, read_at, seen_seq, look_at, facts) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant_id, order_id) DO UPDATE SET \
             status = excluded.status, update_time = excluded.update_time, read_at = excluded.read_at, \
             seen_seq = excluded.seen_seq, look_at = excluded.look_at, facts = excluded.facts",
        )
        .bind(self.tenant.0)
        .bind(&*self.order_id)
        .bind(self.status)
        .bind(self.update_time)
        .bind(self.read_at)
        .bind(self.seen.map(|seq| seq.0))
        .bind(self.look_at)
        .bind(self.facts.as_slice())
        .execute(conn)
        .await?;
        Ok(())
    }
}
