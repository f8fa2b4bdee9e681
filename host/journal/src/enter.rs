//! Entering a lane: the epoch is raised and the runs of new events are made, in one transaction.

use fangshi_database::{Digest, EventSeq, InstallationId};

use crate::event::{EVENT, StoredEvent};
use crate::lane::{Fence, LaneKey};
use crate::reconcile::match_late;
use crate::state::{LaneState, Places};
use crate::step::Step;
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

/// A lane that was entered.
pub struct Entered {
    /// The right to write in it.
    pub fence: Fence,
    /// As it is since then. Of events that are still new it does not say who hears them.
    pub state: LaneState,
    /// The first of the planned events that has runs.
    pub event: Option<StoredEvent>,
}

/// How long a run's own first attempt may take to read the order before somebody else looks for its deadline,
/// milliseconds.
const LOOK_AFTER_MS: i64 = 60_000;

impl Journal {
    /// Enters a lane: raises its epoch from the one that was read, by compare-and-set, and makes the runs of the events.
    ///
    /// Every intent that follows makes it durable with itself; a loss of power before that leaves the lane as it was.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if somebody else entered since.
    pub async fn enter(
        &self,
        lane: &LaneKey,
        from_epoch: i64,
        events: Vec<PlannedEvent>,
    ) -> Result<Fence, JournalError> {
        Ok(self.enter_and_look(lane, from_epoch, events).await?.fence)
    }

    /// The same, with the lane as it is then: what was read before may be out of date, since a step of the last holder can
    /// still have been on its way.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if somebody else entered since.
    pub async fn enter_and_look(
        &self,
        lane: &LaneKey,
        from_epoch: i64,
        events: Vec<PlannedEvent>,
    ) -> Result<Entered, JournalError> {
        let fence = Fence { lane: lane.clone(), epoch: from_epoch + 1 };
        let now = self.clock.now();
        let mut step = Step::new();
        step.add(
            "INSERT INTO lanes (tenant_id, order_id, epoch, entries, entered_at) VALUES ($1, $2, $3, 1, $4) \
             ON CONFLICT (tenant_id, order_id) DO UPDATE SET epoch = excluded.epoch, \
             entries = lanes.entries + 1, entered_at = excluded.entered_at WHERE lanes.epoch = $5",
        )
        .bind(lane.tenant.0)
        .bind(lane.order_id.to_string())
        .bind(fence.epoch)
        .bind(now)
        .bind(from_epoch);
        step.must_change(JournalError::Stale);
        // A holder plans what came after it entered without raising the epoch: then the look at the lane is old too.
        plan(&mut step, lane, &events, now, || JournalError::Stale);
        let look = Places::of_lane(&mut step.script, lane);
        let first = events.iter().find(|event| !event.runs.is_empty()).map(|event| event.seq);
        let body = first.map(|seq| (seq, step.add(EVENT).bind(seq.0).bind(lane.tenant.0).place()));
        let ran = self.take(step, false).await?;
        let (state, _) = look.state(&ran, lane)?;
        let event = body.map(|(seq, place)| self.stored(lane.tenant, seq, ran.row(place)?)).transpose()?;
        Ok(Entered { fence, state, event })
    }

    /// Makes the runs of events that came after the lane was entered.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if somebody else entered the lane.
    pub async fn plan(&self, fence: &Fence, events: Vec<PlannedEvent>) -> Result<(), JournalError> {
        let mut step = Step::held(fence);
        plan(&mut step, &fence.lane, &events, self.clock.now(), || {
            JournalError::Corrupt(format!("events of {:?} can't be planned", fence.lane))
        });
        self.take(step, false).await.map(drop)
    }
}

/// Makes the runs of events. One that no longer waits for them has them already: nothing of the step is written then.
fn plan(step: &mut Step, lane: &LaneKey, events: &[PlannedEvent], now: i64, made: impl Fn() -> JournalError) {
    for event in events {
        let finished = event.runs.is_empty();
        step.add(
            "UPDATE events SET state = $1, planned_at = $2, finished_at = $3, echo_of = $4 \
             WHERE seq = $5 AND tenant_id = $6 AND order_id = $7 AND state = 0",
        )
        .bind(if finished { 2 } else { 1 })
        .bind(now)
        .bind(finished.then_some(now))
        .bind(event.echo_of)
        .bind(event.seq.0)
        .bind(lane.tenant.0)
        .bind(lane.order_id.to_string());
        step.must_change(made());
        if let Some(reconciled) = event.absorbed_by {
            match_late(step, lane, reconciled, event.seq);
        }
        for run in &event.runs {
            step.add(
                "INSERT INTO runs (event_seq, tenant_id, order_id, installation_id, version, hook, state, next_at, \
                 deadline_at, created_at, deadline_look_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $7, $9) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(event.seq.0)
            .bind(lane.tenant.0)
            .bind(lane.order_id.to_string())
            .bind(run.installation.0)
            .bind(run.version.0.to_vec())
            .bind(run.hook.clone())
            .bind(now)
            .bind(run.deadline_at)
            .bind((run.deadline_in_order && !lane.order_id.is_empty()).then_some(now + LOOK_AFTER_MS));
            step.must_change(made());
        }
    }
}
