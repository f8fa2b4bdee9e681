//! Entering a lane: the epoch is raised and the runs of new events are made, in one transaction.

use fangshi_database::{Digest, EventSeq, InstallationId};
use sqlx::SqliteConnection;

use crate::lane::{Fence, LaneKey};
use crate::reconcile::match_late;
use crate::{Journal, JournalError};

/// What becomes of a new event.
#[derive(Debug, Clone)]
pub struct PlannedEvent {
    /// The event.
    pub seq: EventSeq,
    /// The effect of ours that explains it (`effects.id`).
    pub echo_of: Option<i64>,
    /// The reconciled event that told of it already: such a callback came late and has no runs.
    pub absorbed_by: Option<EventSeq>,
    /// Its runs; an event without runs is finished at once.
    pub runs: Vec<NewRun>,
}

/// A run to be made, pinned to an installation and its version.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The installation.
    pub installation: InstallationId,
    /// Its version as active at the event.
    pub version: Digest,
    /// The hook to call: `on-pay`.
    pub hook: String,
    /// When the platform decides by itself, unix milliseconds.
    pub deadline_at: Option<i64>,
    /// Whether the order alone tells that, so that it must be read for it.
    pub deadline_in_order: bool,
}

/// How long a run's own first attempt may take to read the order before somebody else looks for its deadline,
/// milliseconds.
const LOOK_AFTER_MS: i64 = 60_000;

impl Journal {
    /// Enters a lane: raises its epoch from the one that was read, by compare-and-set, and makes the runs of the events.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if somebody else entered since.
    pub async fn enter(
        &self,
        lane: &LaneKey,
        from_epoch: i64,
        events: Vec<PlannedEvent>,
    ) -> Result<Fence, JournalError> {
        let fence = Fence { lane: lane.clone(), epoch: from_epoch + 1 };
        let (held, now) = (fence.clone(), self.clock.now());
        self.write(move |conn| {
            Box::pin(async move {
                let raised = sqlx::query(
                    "INSERT INTO lanes (tenant_id, order_id, epoch, entries, entered_at) VALUES ($1, $2, $3, 1, $4) \
                     ON CONFLICT (tenant_id, order_id) DO UPDATE SET epoch = excluded.epoch, \
                     entries = lanes.entries + 1, entered_at = excluded.entered_at WHERE lanes.epoch = $5",
                )
                .bind(held.lane.tenant.0)
                .bind(&*held.lane.order_id)
                .bind(held.epoch)
                .bind(now)
                .bind(from_epoch)
                .execute(&mut *conn)
                .await?;
                // A holder plans what came after it entered without raising the epoch: then the look at the lane is old too.
                if raised.rows_affected() == 0 || !plan(conn, &held.lane, &events, now).await? {
                    return Err(JournalError::Stale);
                }
                Ok(())
            })
        })
        .await?;
        Ok(fence)
    }

    /// Makes the runs of events that came after the lane was entered.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if somebody else entered the lane.
    pub async fn plan(&self, fence: &Fence, events: Vec<PlannedEvent>) -> Result<(), JournalError> {
        let (held, now) = (fence.clone(), self.clock.now());
        self.write(move |conn| {
            Box::pin(async move {
                check(conn, &held).await?;
                match plan(conn, &held.lane, &events, now).await? {
                    true => Ok(()),
                    false => Err(JournalError::Corrupt(format!("events of {:?} can't be planned", held.lane))),
                }
            })
        })
        .await
    }
}

/// Refuses the step if the lane's epoch is not the holder's.
pub(crate) async fn check(conn: &mut SqliteConnection, fence: &Fence) -> Result<(), JournalError> {
    let epoch: Option<(i64,)> = sqlx::query_as("SELECT epoch FROM lanes WHERE tenant_id = $1 AND order_id = $2")
        .bind(fence.lane.tenant.0)
        .bind(&*fence.lane.order_id)
        .fetch_optional(&mut *conn)
        .await?;
    match epoch {
        Some((epoch,)) if epoch == fence.epoch => Ok(()),
        _ => Err(JournalError::Stale),
    }
}

/// Whether every event still waited for its runs; if not, the transaction must not be committed.
async fn plan(
    conn: &mut SqliteConnection,
    lane: &LaneKey,
    events: &[PlannedEvent],
    now: i64,
) -> Result<bool, JournalError> {
    for event in events {
        let finished = event.runs.is_empty();
        let marked = sqlx::query(
            "UPDATE events SET state = $1, planned_at = $2, finished_at = $3, echo_of = $4 \
             WHERE seq = $5 AND tenant_id = $6 AND order_id = $7 AND state = 0",
        )
        .bind(if finished { 2 } else { 1 })
        .bind(now)
        .bind(finished.then_some(now))
        .bind(event.echo_of)
        .bind(event.seq.0)
        .bind(lane.tenant.0)
        .bind(&*lane.order_id)
        .execute(&mut *conn)
        .await?;
        if marked.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some(reconciled) = event.absorbed_by {
            match_late(conn, lane, reconciled, event.seq).await?;
        }
        for run in &event.runs {
            sqlx::query(
                "INSERT INTO runs (event_seq, tenant_id, order_id, installation_id, version, hook, state, next_at, \
                 deadline_at, created_at, deadline_look_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $7, $9)",
            )
            .bind(event.seq.0)
            .bind(lane.tenant.0)
            .bind(&*lane.order_id)
            .bind(run.installation.0)
            .bind(run.version.0.as_slice())
            .bind(run.hook.as_str())
            .bind(now)
            .bind(run.deadline_at)
            .bind((run.deadline_in_order && !lane.order_id.is_empty()).then_some(now + LOOK_AFTER_MS))
            .execute(&mut *conn)
            .await?;
        }
    }
    Ok(true)
}
