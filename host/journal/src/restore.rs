//! Stores that came from a backup. Such a store does not know what was done since the backup was taken: it is held until a
//! person releases it, and runs of the events that it brought are executed with that in mind.

use fangshi_database::{EventSeq, TenantId};
use fangshi_tenants::{Action, Actor, Entry};
use serde_json::json;
use sqlx::{SqliteConnection, SqlitePool};

use crate::event::{Source, StoredEvent};
use crate::lane::{LaneKey, SCHEDULE};
use crate::snapshot::{SealedSnapshot, SnapshotRow};
use crate::step::Step;
use crate::{Journal, JournalError};

/// More than a store gives out between two backups.
const IDS_LEFT_FREE: i64 = 1_000_000;

/// How far the clock of a host that restores a store may be behind, milliseconds: a quarter of an hour.
const BEHIND_MS: i64 = 900_000;

/// Effects that a store that was lost may have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentPerhaps {
    /// Since when, unix milliseconds.
    pub since: i64,
    /// Only if the clock of the restore was behind.
    pub by_clock: bool,
}

/// The last restore of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Restore {
    /// Unix milliseconds.
    pub restored_at: i64,
    until_seq: i64,
    /// When the platform's list of accounts was read again, unix milliseconds.
    pub tokens_at: Option<i64>,
    /// When the orders of unfinished events were read again, unix milliseconds.
    pub orders_at: Option<i64>,
    /// How many they were.
    pub orders: i64,
    /// How many of them the platform does not show (any more).
    pub unreadable: i64,
    /// When the hold ended, unix milliseconds.
    pub released_at: Option<i64>,
}

impl Restore {
    /// One just made, of a backup that holds the events up to this one: nothing was read again, and the store is held.
    pub fn new(restored_at: i64, until: EventSeq) -> Restore {
        Restore {
            restored_at,
            until_seq: until.0,
            tokens_at: None,
            orders_at: None,
            orders: 0,
            unreadable: 0,
            released_at: None,
        }
    }

    /// Events up to this one were in the backup.
    pub fn until(&self) -> EventSeq {
        EventSeq(self.until_seq)
    }

    /// Effects of an event's runs that may have been sent and that this store does not know of; none if it knows them all.
    /// There may be some for the events of the backup, and for those of what happened before the restore: the store that was
    /// lost may have heard of it. The platform repeats a callback whose answer it did not get for hours, and reconciliation
    /// finds what it does not repeat. The platform dates what happened, and this host the restore: what is dated a little
    /// later than the restore may have happened before it, too.
    pub fn sent_perhaps(&self, event: &StoredEvent) -> Option<SentPerhaps> {
        // What a reading showed may have happened long before the update that it is dated by.
        let happened_at = event.since.saturating_mul(1_000);
        let by_clock = happened_at > self.restored_at;
        match event.source {
            _ if event.seq <= self.until() => Some(SentPerhaps { since: event.received_at, by_clock: false }),
            Source::Callback | Source::Reconciled | Source::Schedule
                if happened_at <= self.restored_at.saturating_add(BEHIND_MS) =>
            {
                Some(SentPerhaps { since: happened_at.min(event.received_at), by_clock })
            }
            _ => None,
        }
    }

    /// Whether the store is held.
    pub fn is_held(&self) -> bool {
        self.released_at.is_none()
    }

    /// Whether everything was read again that is to be read again before the hold ends.
    pub fn is_ready(&self) -> bool {
        self.tokens_at.is_some() && self.orders_at.is_some()
    }
}

/// The last restore of a store that is opened for reading.
///
/// # Errors
/// The store can't be read.
pub async fn last_restore(store: &SqlitePool) -> Result<Option<Restore>, JournalError> {
    Ok(sqlx::query_as(
        "SELECT restored_at, until_seq, tokens_at, orders_at, orders, unreadable, released_at FROM restores \
         ORDER BY id DESC LIMIT 1",
    )
    .fetch_optional(store)
    .await?)
}

/// Ids that the lost store may have given out since the backup are left free: receivers of alerts and the systems that
/// plugins tell of their events know them as something else.
async fn leave_ids_free(conn: &mut SqliteConnection) -> Result<(), JournalError> {
    for table in ["alerts", "events", "runs"] {
        let raised = sqlx::query("UPDATE sqlite_sequence SET seq = seq + $2 WHERE name = $1")
            .bind(table)
            .bind(IDS_LEFT_FREE)
            .execute(&mut *conn)
            .await?;
        if raised.rows_affected() == 0 {
            // Nothing was ever written to it.
            sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)")
                .bind(table)
                .bind(IDS_LEFT_FREE)
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}

impl Journal {
    /// The last restore of this store.
    pub async fn restored(&self) -> Result<Option<Restore>, JournalError> {
        last_restore(self.reader()).await
    }

    /// Marks the store as restored and held, takes every access token of the platform out of use, and ends the sessions and
    /// the unused links of the merchant page, in one transaction.
    pub async fn hold(&self, actor: Actor) -> Result<(), JournalError> {
        let (now, audit, custody) = (self.clock.now(), self.tenants.audit(), self.tenants.custody().clone());
        let access = self.tenants.access();
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO restores (restored_at, until_seq) VALUES ($1, (SELECT coalesce(max(seq), 0) FROM events))",
                )
                .bind(now)
                .execute(&mut *conn)
                .await?;
                leave_ids_free(conn).await?;
                custody.doubt_all(conn).await?;
                let (sessions, links) = access.end_page(conn).await?;
                let entry = Entry::restored(actor, now, sessions, links);
                audit.append(conn, entry).await.map_err(JournalError::Audit)?;
                Ok(())
            })
        })
        .await
    }

    /// Ends the hold. False if the store is not held.
    pub async fn release(&self, actor: Actor) -> Result<bool, JournalError> {
        let (now, audit) = (self.clock.now(), self.tenants.audit());
        self.write(move |conn| {
            Box::pin(async move {
                let row: Option<(i64, i64)> = sqlx::query_as(
                    "UPDATE restores SET released_at = $1 WHERE released_at IS NULL RETURNING orders, unreadable",
                )
                .bind(now)
                .fetch_optional(&mut *conn)
                .await?;
                let Some((orders, unreadable)) = row else { return Ok(false) };
                let entry = Entry::new(actor, Action::StoreReleased, TenantId::HOST);
                let entry = entry.with(json!({"orders": orders, "unreadable": unreadable}));
                audit.append(conn, entry).await.map_err(JournalError::Audit)?;
                Ok(true)
            })
        })
        .await
    }

    /// The platform's list of accounts was read again.
    pub async fn tokens_reread(&self) -> Result<(), JournalError> {
        let now = self.clock.now();
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query("UPDATE restores SET tokens_at = $1 WHERE released_at IS NULL")
                    .bind(now)
                    .execute(conn)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// The orders of unfinished events were read again.
    pub async fn orders_reread(&self, orders: u32, unreadable: u32) -> Result<(), JournalError> {
        let now = self.clock.now();
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE restores SET orders_at = $1, orders = $2, unreadable = $3 WHERE released_at IS NULL",
                )
                .bind(now)
                .bind(i64::from(orders))
                .bind(i64::from(unreadable))
                .execute(conn)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Lanes of orders with unfinished events, in the order of their keys, after one of them.
    pub async fn unfinished_orders(&self, after: Option<&LaneKey>, limit: u32) -> Result<Vec<LaneKey>, JournalError> {
        let (tenant, order_id) = after.map_or((i64::MIN, ""), |lane| (lane.tenant.0, &*lane.order_id));
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT tenant_id, order_id FROM events WHERE state = 0 AND order_id <> '' \
             AND substr(order_id, 1, length($4)) <> $4 AND (tenant_id, order_id) > ($1, $2) \
             UNION SELECT tenant_id, order_id FROM runs WHERE state < 2 AND order_id <> '' \
             AND substr(order_id, 1, length($4)) <> $4 AND (tenant_id, order_id) > ($1, $2) \
             ORDER BY tenant_id, order_id LIMIT $3",
        )
        .bind(tenant)
        .bind(order_id)
        .bind(i64::from(limit))
        .bind(SCHEDULE)
        .fetch_all(self.reader())
        .await?;
        Ok(rows.into_iter().map(|(tenant, order_id)| LaneKey::new(TenantId(tenant), &order_id)).collect())
    }

    /// Keeps an order as it was read outside of a run.
    pub async fn keep_snapshot(&self, tenant: TenantId, snapshot: &SnapshotRow) -> Result<(), JournalError> {
        let sealed = SealedSnapshot::seal(self, tenant, snapshot)?;
        let mut step = Step::new();
        sealed.add_to(&mut step.script);
        self.take(step, true).await.map(drop)
    }
}
