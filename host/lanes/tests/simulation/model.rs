//! The journal in memory: the rules of its SQL as plain values, one commit at a time. `replay` holds it against the real one,
//! `look` is what is read of it.

use std::collections::BTreeMap;

use fangshi_journal::{
    AttemptStart, BUSY, CallRow, Digest, Effect, EffectKey, EffectState, EventSeq, Fence, InstallationId, Intent,
    LaneKey, Next, Noted, OpenRun, PlannedEvent, Reconciled, Restore, RunId, RunState, SnapshotRow, Subscription,
    TenantId,
};

use crate::change::Told;
use crate::write::{Answer, End, Reading, Refused, Rows, Write};

/// What a restore leaves free of the numbers of events and runs.
const LEFT_FREE: i64 = 1_000_000;

#[derive(Clone)]
pub struct Event {
    pub lane: LaneKey,
    pub told: Told,
    pub at: i64,
    /// 0 recorded, 1 planned, 2 finished.
    pub state: u8,
    /// The effect that explains it.
    pub echo_of: Option<i64>,
    /// Of which it may have been unknown then whether it was done: whoever planned may have looked a little earlier.
    pub perhaps: bool,
    /// The reconciled event that told of it already.
    pub absorbed_by: Option<EventSeq>,
}

#[derive(Clone)]
pub struct Run {
    pub open: OpenRun,
    pub lane: LaneKey,
    pub reason: Option<&'static str>,
}

#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) start: AttemptStart,
    pub(super) ended: bool,
}

/// An effect, and whose it is.
#[derive(Clone)]
pub struct Kept {
    pub id: i64,
    pub run: RunId,
    pub lane: LaneKey,
    pub installation: InstallationId,
    pub effect: Effect,
    /// Whether a busy platform was asked for it at any time.
    pub busy: bool,
}

/// An order as it was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub changes: usize,
    pub update_time: i64,
    pub seen: Option<EventSeq>,
}

#[derive(Default, Clone)]
pub struct Model {
    pub events: BTreeMap<EventSeq, Event>,
    /// Numbers of events that were given out; a duplicate uses one up.
    numbers: i64,
    run_numbers: i64,
    /// Of effects; one that is intended once more uses one up.
    effect_numbers: i64,
    pub(super) lanes: BTreeMap<LaneKey, (i64, u32)>,
    pub runs: Vec<Run>,
    pub(super) attempts: BTreeMap<(RunId, u32), Attempt>,
    pub(super) calls: BTreeMap<(RunId, u32, u32), CallRow>,
    snapshots: BTreeMap<(LaneKey, [u8; 32]), SnapshotRow>,
    pub effects: Vec<Kept>,
    pub kv: BTreeMap<(InstallationId, String), Vec<u8>>,
    pub subscriptions: BTreeMap<TenantId, Vec<Subscription>>,
    pub reconciled: BTreeMap<LaneKey, Vec<Reconciled>>,
    pub known: BTreeMap<LaneKey, Known>,
    /// The last restore.
    pub restore: Option<Restore>,
    backup: Option<Box<Model>>,
}

impl Model {
    /// An empty journal, and who hears its events.
    pub fn new(subscriptions: BTreeMap<TenantId, Vec<Subscription>>) -> Model {
        Model { subscriptions, ..Model::default() }
    }

    /// One commit at a time (unix milliseconds): all of it or nothing.
    pub fn commit(&mut self, write: &Write, now: i64) -> Result<Answer, Refused> {
        match write {
            Write::Record { lane, told } => {
                let (seq, duplicate) = self.record(lane, *told, now);
                Ok(Answer::Recorded { seq, duplicate })
            }
            Write::Reading { lane, reading } => Ok(Answer::Noted(self.note(lane, reading, now))),
            Write::Repair { run, .. } => {
                let parked = |one: &&mut Run| one.open.id == *run && one.open.state == RunState::Parked;
                let Some(run) = self.runs.iter_mut().find(parked) else {
                    return Err(Refused::Wrong(format!("{run} is not parked")));
                };
                run.reason = None;
                let open = &mut run.open;
                (open.state, open.budget_from, open.first_at) = (RunState::Ready, open.attempts, None);
                (open.next_at, open.repaired) = (now, true);
                if let Some(event) = self.events.get_mut(&open.event) {
                    event.state = event.state.min(1);
                }
                Ok(Answer::Written)
            }
            Write::BackUp => {
                self.backup = Some(Box::new(self.clone()));
                Ok(Answer::Written)
            }
            Write::Restore => {
                let backup = self.backup.take().ok_or_else(|| Refused::Wrong("there is no backup".into()))?;
                *self = *backup;
                self.hold(now);
                Ok(Answer::Written)
            }
            Write::Release => {
                let restore = self.restore.as_mut().ok_or_else(|| Refused::Wrong("it is not held".into()))?;
                restore.released_at = Some(now);
                Ok(Answer::Written)
            }
            Write::Enter { lane, from, planned } => {
                let (epoch, entries) = self.lanes.get(lane).copied().unwrap_or((0, 0));
                if epoch != *from || !self.can_plan(lane, planned) {
                    return Err(Refused::Stale);
                }
                if !self.can_absorb(lane, planned) {
                    return Err(Refused::Wrong("an event can't be absorbed".into()));
                }
                self.lanes.insert(lane.clone(), (from + 1, entries + 1));
                self.plan(lane, planned, now);
                Ok(Answer::Entered(Fence { lane: lane.clone(), epoch: from + 1 }))
            }
            Write::Plan { fence, planned } => {
                self.check(fence)?;
                if !self.can_plan(&fence.lane, planned) || !self.can_absorb(&fence.lane, planned) {
                    return Err(Refused::Wrong("an event can't be planned".into()));
                }
                self.plan(&fence.lane, planned, now);
                Ok(Answer::Written)
            }
            Write::Flush { fence, rows } => {
                self.check(fence)?;
                self.insert(fence, rows);
                Ok(Answer::Written)
            }
            Write::Intent { fence, rows, intent } => {
                self.check(fence)?;
                if self.find(rows.run, &intent.key).is_some_and(|effect| settled(effect.state)) {
                    return Err(Refused::Wrong("a settled effect would be sent again".into()));
                }
                self.insert(fence, rows);
                self.intent(fence, rows, intent, now);
                Ok(Answer::Written)
            }
            Write::Outcome { fence, rows, outcome } => {
                self.check(fence)?;
                match self.find(rows.run, &outcome.key) {
                    Some(effect) if !settled(effect.state) => {}
                    _ => return Err(Refused::Wrong("an outcome without an intent".into())),
                }
                self.insert(fence, rows);
                let same = |kept: &&mut Kept| kept.run == rows.run && kept.effect.key == outcome.key;
                if let Some(kept) = self.effects.iter_mut().find(same) {
                    kept.busy |= outcome.busy;
                    let effect = &mut kept.effect;
                    let refused = effect.state == EffectState::RefusedForNow && effect.unsure > 0;
                    effect.unsure -= u32::from(refused && outcome.state == EffectState::Unknown);
                    effect.state = outcome.state;
                    let doubt = if outcome.busy { BUSY } else { "outcome-unknown" };
                    let doubt = (outcome.state == EffectState::Unknown).then_some(doubt);
                    effect.result = doubt.or(outcome.call.result).map(str::to_owned);
                    effect.answer = outcome.call.answer.clone();
                    effect.outcome_at = Some(now);
                    effect.sends -= u32::from(outcome.kept_back);
                }
                self.insert_call(rows, &outcome.call);
                Ok(Answer::Written)
            }
            Write::End { fence, rows, end } => {
                self.check(fence)?;
                if self.attempts.get(&(rows.run, rows.attempt)).is_some_and(|attempt| attempt.ended) {
                    return Err(Refused::Wrong("the attempt has ended already".into()));
                }
                self.insert(fence, rows);
                Ok(self.end(fence, rows, end, now))
            }
        }
    }

    fn record(&mut self, lane: &LaneKey, told: Told, at: i64) -> (EventSeq, bool) {
        self.numbers += 1;
        let dedup = told.dedup();
        let same = |event: &Event| event.told.dedup() == dedup && event.lane.tenant == lane.tenant;
        if let Some((seq, _)) = self.events.iter().find(|(_, event)| same(event)) {
            return (*seq, true);
        }
        let seq = EventSeq(self.numbers);
        let subscriptions = self.subscriptions.get(&lane.tenant).into_iter().flatten();
        let heard = subscriptions.filter(|heard| heard.until.is_none()).any(|heard| heard.hook == told.kind.hook());
        let state = if heard || self.effects.iter().any(|kept| kept.lane == *lane) { 0 } else { 2 };
        let event = Event { lane: lane.clone(), told, at, state, echo_of: None, perhaps: false, absorbed_by: None };
        self.events.insert(seq, event);
        (seq, false)
    }

    fn note(&mut self, lane: &LaneKey, reading: &Reading, now: i64) -> Noted {
        if self.newest(lane) != reading.seen {
            return Noted::Overtaken;
        }
        let mut fresh = 0;
        for (told, since) in &reading.found {
            let (seq, duplicate) = self.record(lane, *told, now);
            if !duplicate {
                fresh += 1;
                self.reconciled.entry(lane.clone()).or_default().push(Reconciled {
                    seq,
                    event: told.kind.event.into(),
                    ext_type: told.kind.ext_type,
                    since: *since,
                    update_time: reading.update_time,
                    matched: false,
                });
            }
        }
        let Reading { seen, changes, update_time, .. } = *reading;
        self.known.insert(lane.clone(), Known { changes, update_time, seen });
        Noted::Written(fresh)
    }

    fn hold(&mut self, now: i64) {
        let until = self.events.keys().next_back().copied().unwrap_or(EventSeq(0));
        self.restore = Some(Restore::new(now, until));
        self.numbers += LEFT_FREE;
        self.run_numbers += LEFT_FREE;
    }

    fn check(&self, fence: &Fence) -> Result<(), Refused> {
        match self.lanes.get(&fence.lane) {
            Some((epoch, _)) if *epoch == fence.epoch => Ok(()),
            _ => Err(Refused::Stale),
        }
    }

    fn can_plan(&self, lane: &LaneKey, planned: &[PlannedEvent]) -> bool {
        planned.iter().all(|one| self.events.get(&one.seq).is_some_and(|event| event.state == 0 && event.lane == *lane))
    }

    /// Whether what absorbs these events may still do so.
    fn can_absorb(&self, lane: &LaneKey, planned: &[PlannedEvent]) -> bool {
        let open = |seq| self.reconciled.get(lane).into_iter().flatten().any(|made| made.seq == seq && !made.matched);
        planned.iter().filter_map(|one| one.absorbed_by).all(open)
    }

    fn plan(&mut self, lane: &LaneKey, planned: &[PlannedEvent], now: i64) {
        for one in planned {
            let cause = self.effects.iter().find(|kept| Some(kept.id) == one.echo_of);
            let perhaps = cause.is_some_and(|cause| cause.busy);
            let Some(event) = self.events.get_mut(&one.seq) else { continue };
            event.perhaps = perhaps;
            event.state = if one.runs.is_empty() { 2 } else { 1 };
            (event.echo_of, event.absorbed_by) = (one.echo_of, one.absorbed_by);
            for made in self.reconciled.entry(lane.clone()).or_default() {
                made.matched |= Some(made.seq) == one.absorbed_by;
            }
            for run in &one.runs {
                self.run_numbers += 1;
                let open = OpenRun {
                    id: RunId(self.run_numbers),
                    event: one.seq,
                    installation: run.installation,
                    version: run.version,
                    hook: run.hook.clone(),
                    state: RunState::Ready,
                    attempts: 0,
                    budget_from: 0,
                    first_at: None,
                    next_at: now,
                    ended_at: None,
                    deadline_at: run.deadline_at,
                    repaired: false,
                    cut_off: None,
                };
                self.runs.push(Run { open, lane: lane.clone(), reason: None });
            }
        }
    }

    fn insert(&mut self, fence: &Fence, rows: &Rows) {
        let place = (rows.run, rows.attempt);
        if let Some(snapshot) = &rows.start.snapshot {
            self.keep_snapshot(&fence.lane, snapshot);
        }
        match self.attempts.get_mut(&place) {
            Some(known) => known.start.resumes = rows.start.resumes,
            None => drop(self.attempts.insert(place, Attempt { start: rows.start.clone(), ended: false })),
        }
        for call in &rows.calls {
            if let Some(snapshot) = &call.snapshot {
                self.keep_snapshot(&fence.lane, snapshot);
            }
            self.insert_call(rows, call);
        }
    }

    fn keep_snapshot(&mut self, lane: &LaneKey, snapshot: &SnapshotRow) {
        self.snapshots.entry((lane.clone(), snapshot.digest)).or_insert_with(|| snapshot.clone());
    }

    fn insert_call(&mut self, rows: &Rows, call: &CallRow) {
        match self.calls.get_mut(&(rows.run, rows.attempt, call.position)) {
            None => drop(self.calls.insert((rows.run, rows.attempt, call.position), call.clone())),
            Some(known) if known.result.is_none() && known.digest == call.digest => *known = call.clone(),
            Some(_) => {}
        }
    }

    fn intent(&mut self, fence: &Fence, rows: &Rows, intent: &Intent, at: i64) {
        self.effect_numbers += 1;
        let id = self.effect_numbers;
        let kept = |order: &SnapshotRow| self.snapshots.get(&(fence.lane.clone(), order.digest)).cloned();
        let before = intent.before.as_ref().and_then(kept);
        match self.find(rows.run, &intent.key) {
            Some(effect) => {
                let open = matches!(effect.state, EffectState::Intent | EffectState::Unknown);
                effect.unsure += u32::from(open && !effect.met_a_busy_platform());
                effect.sends += 1;
                effect.state = EffectState::Intent;
                (effect.attempt, effect.intent_at, effect.before) = (rows.attempt, at, before);
                (effect.result, effect.answer, effect.outcome_at) = (None, None, None);
            }
            None => {
                let effect = Effect {
                    key: intent.key.clone(),
                    state: EffectState::Intent,
                    sends: 1,
                    unsure: 0,
                    attempt: rows.attempt,
                    result: None,
                    answer: None,
                    before,
                    intent_at: at,
                    outcome_at: None,
                };
                let (lane, installation) = (fence.lane.clone(), intent.installation);
                self.effects.push(Kept { id, run: rows.run, lane, installation, effect, busy: false });
            }
        }
        let call = CallRow {
            position: intent.position,
            name: intent.key.operation.clone(),
            kind: fangshi_journal::CallKind::Effect,
            digest: intent.key.digest,
            request: intent.request.clone(),
            result: None,
            answer: None,
            snapshot: None,
            effect: Some(intent.key.clone()),
            origin: fangshi_journal::CallOrigin::Live,
            at_ms: at,
            took_ms: None,
        };
        self.insert_call(rows, &call);
    }

    fn end(&mut self, fence: &Fence, rows: &Rows, end: &End, at: i64) -> Answer {
        if let Some(attempt) = self.attempts.get_mut(&(rows.run, rows.attempt)) {
            attempt.ended = true;
        }
        for (key, value) in &end.kv {
            self.kv.insert((end.installation, key.clone()), value.clone());
        }
        if let Some((_, entries)) = self.lanes.get_mut(&fence.lane) {
            *entries = 0;
        }
        let state = match &end.next {
            Next::Done => RunState::Done,
            Next::Rejected => RunState::Rejected,
            Next::Retry { .. } => RunState::Waiting,
            Next::Held => unreachable!("no installation is paused"),
            Next::Parked { .. } => RunState::Parked,
        };
        if let Some(run) = self.runs.iter_mut().find(|run| run.open.id == rows.run) {
            run.open.state = state;
            run.open.attempts = rows.attempt;
            run.open.ended_at = Some(at);
            run.open.first_at = run.open.first_at.or(Some(end.first_at));
            match &end.next {
                Next::Retry { at_ms } => run.open.next_at = *at_ms,
                Next::Parked { reason } => run.reason = Some(reason),
                _ => {}
            }
        }
        if !state.is_finished() {
            return Answer::Ended { event_finished: false };
        }
        let open = |kept: &&mut Kept| {
            let effect = &kept.effect;
            let refused = effect.state == EffectState::RefusedForNow && effect.unsure > 0;
            kept.run == rows.run && (effect.state == EffectState::Intent || refused)
        };
        for kept in self.effects.iter_mut().filter(open) {
            kept.effect.unsure -= u32::from(kept.effect.state == EffectState::RefusedForNow);
            kept.effect.state = EffectState::Unknown;
            kept.effect.result = Some("outcome-unknown".into());
            kept.effect.outcome_at = Some(at);
        }
        let unfinished = self.runs.iter().any(|run| run.open.event == end.event && !run.open.state.is_finished());
        if let Some(event) = self.events.get_mut(&end.event)
            && !unfinished
        {
            event.state = 2;
        }
        Answer::Ended { event_finished: !unfinished }
    }

    fn find(&mut self, run: RunId, key: &EffectKey) -> Option<&mut Effect> {
        self.effects.iter_mut().find(|kept| kept.run == run && kept.effect.key == *key).map(|kept| &mut kept.effect)
    }
}

fn settled(state: EffectState) -> bool {
    matches!(state, EffectState::Applied | EffectState::Refused)
}

/// The version of an installation.
pub fn version(installation: i64) -> Digest {
    Digest([installation as u8; 32])
}
