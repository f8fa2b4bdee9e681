//! Working through one lane: enter it, make the runs of new events, and run what is due, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use fangshi_journal::{
    ECHO_REACH_S, Fence, JournalError, LaneKey, LaneState, OpenRun, PlannedEvent, RunId, StoredEvent,
};
use fangshi_operations::named;

use super::attempt::{Of, attempt, ready};
use super::order::SnapshotOfEvent;
use super::traces::traces;
use super::{Core, seat, standing, stop};
use crate::decide::choose::{Step, choose};
use crate::decide::echo::{Cause, SKEW_S, WINDOW_S};
use crate::decide::plan::{plan, since};
use crate::seams::Seat;

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Nothing is left to do, or somebody else does it.
    Idle,
    /// A retry is due then, or a run may go on that waits for its version or its tenant's pace; unix milliseconds.
    WaitUntil(i64),
    /// There is more: the lane gave its place to others.
    More,
    /// The store or the directory failed: try again soon.
    Failed,
}

/// What is read of a lane's effects must hold whatever can explain an event.
const _: () = assert!(WINDOW_S + SKEW_S <= ECHO_REACH_S);

/// Steps before a lane gives its place to others.
const STEPS: usize = 32;

/// Time after which it does so as well, milliseconds: a run that waits may take a minute, and a lane has many.
const TURN_MS: i64 = 1_000;

/// When a run comes back whose version is still being loaded, milliseconds.
const LOADED_MS: i64 = 2_000;

/// A drain that can't go on.
pub(crate) enum Halted {
    /// Somebody else entered the lane.
    Stale,
    /// The process stops.
    CutOff,
    /// For the operator.
    Broken(String),
}

impl From<JournalError> for Halted {
    fn from(error: JournalError) -> Self {
        if error.is_stale() {
            return Halted::Stale;
        }
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Halted::Broken(text)
    }
}

/// Works in a lane until nothing is due, or others should have their turn.
/// Adds what its attempts cost to `cost`.
pub(crate) async fn drain(core: &Core, lane: &LaneKey, cost: &mut u64) -> Drained {
    let began = core.clock.now();
    let mut work = Work::new(core, lane, cost);
    let mut steps = 0;
    // Runs that wait for their versions take no step from the others.
    while steps < STEPS + work.loading.len() {
        steps += 1;
        if core.stopping.is_cancelled() {
            return Drained::Idle;
        }
        match work.step().await {
            // Looking alone is no turn: it goes on until something was done.
            Ok(None) if work.tried && core.clock.now().saturating_sub(began) >= TURN_MS => return Drained::More,
            Ok(None) => {}
            Ok(Some(drained)) => return drained,
            Err(Halted::Stale) => {
                tracing::warn!(?lane, "somebody else entered the lane");
                return Drained::Idle;
            }
            Err(Halted::CutOff) => return Drained::Idle,
            Err(Halted::Broken(error)) => {
                tracing::error!(?lane, error, "a lane can't go on for now");
                return Drained::Failed;
            }
        }
    }
    Drained::More
}

/// Makes the runs of a lane's new events and executes none: while lanes are held, the deadlines of what comes in become
/// known.
pub(crate) async fn plan_alone(core: &Core, lane: &LaneKey) {
    let mut cost = 0;
    let mut work = Work::new(core, lane, &mut cost);
    for _ in 0..STEPS {
        match work.plan_step().await {
            Ok(true) => {}
            Ok(false) | Err(Halted::Stale | Halted::CutOff) => return,
            Err(Halted::Broken(error)) => {
                tracing::error!(?lane, error, "the events of a held lane have no runs yet");
                return;
            }
        }
    }
}

struct Work<'a> {
    core: &'a Core,
    lane: &'a LaneKey,
    fence: Option<Fence>,
    snapshot: SnapshotOfEvent,
    /// Read when the lane was entered.
    event: Option<StoredEvent>,
    /// Of attempts so far, in fuel.
    cost: &'a mut u64,
    /// Whether a run was tried.
    tried: bool,
    /// Runs whose versions take longer to load than a moment, and when this is looked at again, unix milliseconds.
    loading: BTreeMap<RunId, i64>,
}

impl<'a> Work<'a> {
    fn new(core: &'a Core, lane: &'a LaneKey, cost: &'a mut u64) -> Work<'a> {
        let snapshot = SnapshotOfEvent::default();
        Work { core, lane, fence: None, snapshot, event: None, cost, tried: false, loading: BTreeMap::new() }
    }

    /// One step; gives how the drain ends, or none to go on.
    async fn step(&mut self) -> Result<Option<Drained>, Halted> {
        let mut state = self.core.journal.lane(self.lane).await?;
        if self.fence.as_ref().is_some_and(|fence| fence.epoch != state.epoch) {
            return Err(Halted::Stale);
        }
        let seats = self.core.directory.seats(self.lane.tenant).await.map_err(Halted::Broken)?;
        if !state.events.is_empty() {
            let planned = self.planned(&state, &seats).await?;
            // Nobody listens and nothing is open: most events end here, and a second look would cost as much as the first.
            let done =
                state.runs.is_empty() && state.events.len() < 64 && planned.iter().all(|event| event.runs.is_empty());
            match self.enter(&state, planned).await? {
                // What came meanwhile has its own look.
                Some(now) if !now.events.is_empty() => return Ok(None),
                _ if done => return Ok(Some(Drained::Idle)),
                Some(now) => state = now,
                None => return Ok(None),
            }
        }
        // Before all others: they would wait for a person, and what comes after them too.
        let stopped = state.runs.iter().find_map(|run| Some((run.id, stop(&seats, run)?)));
        let step = match stopped {
            Some((run, _)) => Step::Park(run),
            None => {
                let loading = |run: &OpenRun| self.loading.get(&run.id).copied();
                choose(&state.runs, |installation| standing(&seats, installation), loading, self.core.clock.now())
            }
        };
        // Before the lane is entered: each waiting lane of a tenant would write for nothing.
        if let Step::Run(id) = step
            && let Some(Err(at)) =
                state.runs.iter().find(|run| run.id == id).map(|run| self.core.room(self.lane.tenant, run))
        {
            return Ok(Some(Drained::WaitUntil(at)));
        }
        let fence = match (step, &self.fence) {
            (Step::Idle, _) => return Ok(Some(Drained::Idle)),
            (Step::Wait(at), _) => return Ok(Some(Drained::WaitUntil(at))),
            (_, Some(fence)) => fence.clone(),
            // What was read before the epoch rose may be out of date: a step of the last holder can still have been on
            // its way. Enter, and look again.
            (_, None) => {
                self.enter(&state, Vec::new()).await?;
                return Ok(None);
            }
        };
        match step {
            Step::Idle | Step::Wait(_) => Ok(None),
            Step::Park(id) => {
                if let Some(run) = state.runs.iter().find(|run| run.id == id) {
                    let reason = stopped.map_or("removed", |(_, stop)| stop.code());
                    self.core.journal.park(&fence, run.id, run.event, reason).await?;
                    metrics::counter!("fangshi_parked_total", "reason" => reason).increment(1);
                }
                Ok(None)
            }
            Step::Run(id) => {
                let run = state.runs.iter().find(|run| run.id == id);
                if let Some((run, seat)) = run.and_then(|run| Some((run, seat(&seats, run.installation)?))) {
                    self.tried = true;
                    let Some(ready) = ready(self.core, self.lane.tenant, run).await? else {
                        self.loading.insert(run.id, self.core.clock.now().saturating_add(LOADED_MS));
                        return Ok(None);
                    };
                    if let Err(at) = self.core.begin(self.lane.tenant) {
                        return Ok(Some(Drained::WaitUntil(at)));
                    }
                    let event = match self.event.take().filter(|event| event.seq == run.event) {
                        Some(event) => event,
                        None => self.core.journal.event(self.lane.tenant, run.event).await?,
                    };
                    let of = Of { fence: &fence, run, seat, event };
                    let cost = attempt(self.core, of, ready, state.entries, &mut self.snapshot).await?;
                    *self.cost = self.cost.saturating_add(cost);
                }
                Ok(None)
            }
        }
    }

    /// Makes the runs of some new events; false if there are none.
    async fn plan_step(&mut self) -> Result<bool, Halted> {
        let state = self.core.journal.lane(self.lane).await?;
        if self.fence.as_ref().is_some_and(|fence| fence.epoch != state.epoch) {
            return Err(Halted::Stale);
        }
        if state.events.is_empty() {
            return Ok(false);
        }
        let seats = self.core.directory.seats(self.lane.tenant).await.map_err(Halted::Broken)?;
        let planned = self.planned(&state, &seats).await?;
        self.enter(&state, planned).await?;
        Ok(true)
    }

    /// Enters the lane if this drain did not yet, and gives it as it is then; new runs are made in the same transaction.
    async fn enter(&mut self, state: &LaneState, events: Vec<PlannedEvent>) -> Result<Option<LaneState>, Halted> {
        if let Some(fence) = &self.fence {
            if !events.is_empty() {
                self.core.journal.plan(fence, events).await?;
            }
            return Ok(None);
        }
        let entered = self.core.journal.enter_and_look(self.lane, state.epoch, events).await?;
        self.fence = Some(entered.fence);
        self.event = entered.event;
        Ok(Some(entered.state))
    }

    async fn planned(&self, state: &LaneState, seats: &Arc<Vec<Seat>>) -> Result<Vec<PlannedEvent>, Halted> {
        let subscribers: Vec<_> = seats.iter().map(|seat| seat.subscriber.clone()).collect();
        let oldest = state.events.iter().map(|event| since(event, &state.reconciled)).min().unwrap_or_default();
        let since = oldest.saturating_sub(WINDOW_S + SKEW_S).saturating_mul(1_000);
        let causes: Vec<Cause> = traces(self.core, self.lane, state, since)
            .await?
            .into_iter()
            .filter(|trace| !trace.used)
            .filter_map(|trace| {
                let op = named(&trace.operation)?;
                Some(Cause {
                    id: trace.id,
                    installation: trace.installation,
                    state: trace.state,
                    busy: trace.busy,
                    intent_at: trace.intent_at,
                    raises: op.raises,
                    raises_events: op.raises_events,
                })
            })
            .collect();
        let planned = plan(&state.events, &state.subscriptions, &subscribers, &causes, &state.reconciled);
        let planned = planned.map_err(|unknown| {
            Halted::Broken(format!("installation {} hears events and is not in the list of installations", unknown.0))
        })?;
        let echoes = planned.iter().filter(|event| event.echo_of.is_some()).count();
        let absorbed = planned.iter().filter(|event| event.absorbed_by.is_some()).count();
        if absorbed > 0 {
            metrics::counter!("fangshi_absorbed_total").increment(absorbed as u64);
        }
        if echoes > 0 {
            metrics::counter!("fangshi_echoes_total").increment(echoes as u64);
        }
        Ok(planned)
    }
}
