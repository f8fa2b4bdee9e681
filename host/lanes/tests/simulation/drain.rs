//! What the shell does around the decisions, over the model: the same steps in the same order, each commit a place where
//! others may go on or the process may end.

use std::collections::BTreeMap;
use std::rc::Rc;

use fangshi_journal::{Fence, LaneKey, LaneState, OpenRun, PlannedEvent, RunId};
use fangshi_lanes::decide::choose::{Step, choose};
use fangshi_lanes::decide::echo::{Cause, SKEW_S, WINDOW_S};
use fangshi_lanes::decide::plan::{plan, since};
use fangshi_operations::named;

use crate::attempt::attempt;
use crate::model::Kept;
use crate::world::{Halt, World};
use crate::write::{Answer, Write};

const STEPS: usize = 32;
const LOADED_MS: i64 = 2_000;

/// Works in a lane until nothing is due.
pub async fn drain(world: Rc<World>, process: usize, lane: LaneKey) {
    let more = Work::new(&world, process, &lane).work().await;
    world.finished(process, &lane, more == Ok(true));
}

/// Makes the runs of a lane's new events and executes none: the store is held.
pub async fn plan_alone(world: Rc<World>, process: usize, lane: LaneKey) {
    let mut work = Work::new(&world, process, &lane);
    for _ in 0..STEPS {
        if work.plan_step().await != Ok(true) {
            break;
        }
    }
    world.finished(process, &lane, false);
}

struct Work<'a> {
    world: &'a Rc<World>,
    process: usize,
    lane: &'a LaneKey,
    fence: Option<Fence>,
    /// Runs whose versions take longer to load than a moment, and when this is looked at again.
    loading: BTreeMap<RunId, i64>,
}

impl<'a> Work<'a> {
    fn new(world: &'a Rc<World>, process: usize, lane: &'a LaneKey) -> Work<'a> {
        Work { world, process, lane, fence: None, loading: BTreeMap::new() }
    }

    /// Whether there is more to do.
    async fn work(&mut self) -> Result<bool, Halt> {
        let mut steps = 0;
        while steps < STEPS + self.loading.len() {
            steps += 1;
            let state = self.look().await?;
            if !state.events.is_empty() {
                let planned = self.planned(&state).await;
                self.enter(&state, planned).await?;
                continue;
            }
            let loading = |run: &OpenRun| self.loading.get(&run.id).copied();
            let run = match choose(&state.runs, |id| self.world.standing(id), loading, self.world.now()) {
                Step::Run(id) => state.runs.iter().find(|run| run.id == id),
                Step::Park(_) => panic!("nothing was removed"),
                Step::Idle | Step::Wait(_) => return Ok(false),
            };
            match (&self.fence, run) {
                (Some(_), Some(run)) if self.world.loads_long() => {
                    self.loading.insert(run.id, self.world.now() + LOADED_MS);
                }
                (Some(fence), Some(run)) => {
                    let fence = fence.clone();
                    attempt(self.world, self.process, &fence, run, state.entries).await?;
                }
                _ => self.enter(&state, Vec::new()).await?,
            }
        }
        Ok(true)
    }

    async fn plan_step(&mut self) -> Result<bool, Halt> {
        let state = self.look().await?;
        if state.events.is_empty() {
            return Ok(false);
        }
        let planned = self.planned(&state).await;
        self.enter(&state, planned).await.map(|()| true)
    }

    async fn look(&self) -> Result<LaneState, Halt> {
        self.world.pause().await;
        let state = self.world.model.borrow().lane(self.lane);
        // What is read may be old by the time it is acted on.
        self.world.pause().await;
        match &self.fence {
            Some(fence) if fence.epoch != state.epoch => Err(Halt::Stale),
            _ => Ok(state),
        }
    }

    async fn planned(&self, state: &LaneState) -> Vec<PlannedEvent> {
        let oldest = state.events.iter().map(|event| since(event, &state.reconciled)).min().unwrap_or_default();
        let since = oldest.saturating_sub(WINDOW_S + SKEW_S).saturating_mul(1_000);
        let causes = self.causes(since);
        self.world.pause().await;
        let subscribers = self.world.subscribers(self.lane.tenant);
        plan(&state.events, &state.subscriptions, &subscribers, &causes, &state.reconciled)
            .expect("every installation is known")
    }

    fn causes(&self, since: i64) -> Vec<Cause> {
        let model = self.world.model.borrow();
        let unused = model.effects_on(self.lane, since).into_iter().filter(|(_, used)| !used);
        let cause = |kept: &Kept| {
            let op = named(&kept.effect.key.operation)?;
            Some(Cause {
                id: kept.id,
                installation: kept.installation,
                state: kept.effect.state,
                busy: kept.effect.met_a_busy_platform(),
                intent_at: kept.effect.intent_at,
                raises: op.raises,
                raises_events: op.raises_events,
            })
        };
        unused.filter_map(|(kept, _)| cause(kept)).collect()
    }

    async fn enter(&mut self, state: &LaneState, planned: Vec<PlannedEvent>) -> Result<(), Halt> {
        if let Some(fence) = &self.fence {
            let write = Write::Plan { fence: fence.clone(), planned };
            return self.world.commit(self.process, write).await.map(drop);
        }
        let write = Write::Enter { lane: self.lane.clone(), from: state.epoch, planned };
        if let Answer::Entered(fence) = self.world.commit(self.process, write).await? {
            self.fence = Some(fence);
        }
        Ok(())
    }
}
