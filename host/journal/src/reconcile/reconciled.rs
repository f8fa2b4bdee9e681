//! Events that reconciliation made, and the late callbacks that they absorbed.

use fangshi_database::EventSeq;
use sqlx::SqliteConnection;

use crate::lane::LaneKey;
use crate::step::Step;
use crate::{Journal, JournalError};

/// A reconciled event of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    /// Its place in the sequence.
    pub seq: EventSeq,
    /// The platform's Event.
    pub event: String,
    /// `type` of ext_info_update.
    pub ext_type: Option<i64>,
    /// `update_time` of the reading before the one that showed the change, unix seconds; without one, when the order was placed.
    pub since: i64,
    /// `update_time` of the reading that showed it, unix seconds.
    pub update_time: i64,
    /// Whether a late callback was absorbed by it.
    pub matched: bool,
}

impl Journal {
    /// All reconciled events of an order, by their sequence.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn reconciled(&self, order: &LaneKey) -> Result<Vec<Reconciled>, JournalError> {
        let mut read = self.reader().acquire().await?;
        of_order(&mut read, order).await
    }
}

/// All reconciled events of an order, by their sequence.
pub(crate) async fn of_order(conn: &mut SqliteConnection, order: &LaneKey) -> Result<Vec<Reconciled>, JournalError> {
    let rows: Vec<(i64, String, Option<i64>, i64, i64, bool)> = sqlx::query_as(
        "SELECT event_seq, event, ext_type, since, update_time, matched_by IS NOT NULL FROM reconciled \
         WHERE tenant_id = $1 AND order_id = $2 ORDER BY event_seq",
    )
    .bind(order.tenant.0)
    .bind(&*order.order_id)
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|(seq, event, ext_type, since, update_time, matched)| Reconciled {
        seq: EventSeq(seq),
        event,
        ext_type,
        since,
        update_time,
        matched,
    });
    Ok(rows.collect())
}

/// Notes that a reconciled event absorbed a callback; it absorbs no other.
pub(crate) fn match_late(step: &mut Step, order: &LaneKey, reconciled: EventSeq, late: EventSeq) {
    step.add(
        "UPDATE reconciled SET matched_by = $1 \
         WHERE tenant_id = $2 AND order_id = $3 AND event_seq = $4 AND matched_by IS NULL",
    )
    .bind(late.0)
    .bind(order.tenant.0)
    .bind(order.order_id.to_string())
    .bind(reconciled.0);
    step.must_change_or_corrupt(format_args!("event {late} can't be absorbed by {reconciled}"));
}
