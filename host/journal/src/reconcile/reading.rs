//! What follows from one reading of an order: the new snapshot and the events that nobody announced, in one transaction.

use fangshi_database::{EventSeq, insert_row};
use sqlx::SqliteConnection;

use super::known::SealedOrder;
use super::transition::Transition;
use crate::intake::EventRow;
use crate::lane::LaneKey;
use crate::{Journal, JournalError, KnownOrder, NewEvent};

/// An event that reconciliation found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The event, its source `Reconciled`.
    pub event: NewEvent,
    /// `update_time` of the reading before, unix seconds; without one, when the order was placed.
    pub since: i64,
}

/// What one reading brought.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The order.
    pub order: LaneKey,
    /// The order from now on. Its `seen` must be the newest of the order's events still.
    pub known: KnownOrder,
    /// Events that no callback announced.
    pub found: Vec<Found>,
    /// A change of status that the chart does not have.
    pub transition: Option<Transition>,
}

/// How the step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// Written; so many of the events are new.
    Written(u32),
    /// An event of the order came since they were read: nothing was written, compare again.
    Overtaken,
}

impl Journal {
    /// Writes a reading down: all of it, or nothing if an event of the order came meanwhile, which may be the very
    /// announcement that was missed. Lanes of new events that somebody hears are poked.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn note_reading(&self, reading: Reading) -> Result<Noted, JournalError> {
        let Reading { order, known, found, transition } = reading;
        let (update_time, seen) = (known.update_time, known.seen);
        let sealed = SealedOrder::seal(self, &order, &known)?;
        let rows = found
            .into_iter()
            .map(|one| Ok((self.sealed(one.event)?, one.since)))
            .collect::<Result<Vec<_>, JournalError>>()?;
        let (lane, now) = (order.clone(), self.clock.now());
        let (noted, heard) = self
            .write(move |conn| {
                Box::pin(async move {
                    if newest(conn, &order).await? != seen {
                        return Ok((Noted::Overtaken, false));
                    }
                    let (mut fresh, mut heard) = (0, false);
                    for (row, since) in &rows {
                        let inserted = insert_row(row, conn).await?;
                        if !inserted.duplicate {
                            fresh += 1;
                            heard |= inserted.marked;
                            open(conn, &order, row, inserted.number, *since, update_time).await?;
                        }
                    }
                    if let Some(transition) = &transition {
                        transition.write(conn, &order, update_time, now).await?;
                    }
                    sealed.write(conn).await?;
                    Ok((Noted::Written(fresh), heard))
                })
            })
            .await?;
        if heard {
            self.poke(&lane);
        }
        Ok(noted)
    }
}

async fn newest(conn: &mut SqliteConnection, order: &LaneKey) -> Result<Option<EventSeq>, JournalError> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM events WHERE order_id = $1 AND tenant_id = $2")
        .bind(&*order.order_id)
        .bind(order.tenant.0)
        .fetch_one(conn)
        .await?;
    Ok(newest.map(EventSeq))
}

/// The event may absorb a late callback from now on.
async fn open(
    conn: &mut SqliteConnection,
    order: &LaneKey,
    row: &EventRow,
    seq: i64,
    since: i64,
    update_time: i64,
) -> Result<(), JournalError> {
    sqlx::query(
        "INSERT INTO reconciled (tenant_id, order_id, event_seq, event, ext_type, since, update_time) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(order.tenant.0)
    .bind(&*order.order_id)
    .bind(seq)
    .bind(row.event())
    .bind(row.ext_type())
    .bind(since)
    .bind(update_time)
    .execute(conn)
    .await?;
    Ok(())
}
