//! The journal in memory: the rules of its SQL as plain values, one commit at a time. `replay` holds it against the real one.

use std::collections::BTreeMap;

use fangshi_journal::{
    AttemptStart, CallRow, Digest, Effect, EffectKey, EffectState, EventSeq, Fence, InstallationId, Intent, LaneKey,
    LaneState, Next, OpenAttempt, OpenRun, Outcome, PlannedEvent, RecordedCall, RunId, RunState, SnapshotRow, Source,
    Subscription, TenantId, UnplannedEvent,
};

pub const EVENT: &str = "channels_ec_order_pay";
pub const HOOK: &str = "on-pay";

/// Why a commit wrote nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Somebody else entered the lane.
    Stale,
    /// It must not happen: a defect of whoever asked.
    Wrong(String),
}

/// One commit.
#[derive(Clone)]
pub enum Write {
    Record { lane: LaneKey, dedup: [u8; 32] },
    Enter { lane: LaneKey, from: i64, planned: Vec<PlannedEvent> },
    Plan { fence: Fence, planned: Vec<PlannedEvent> },
    Flush { fence: Fence, rows: Rows },
    Intent { fence: Fence, rows: Rows, intent: Box<Intent> },
    Outcome { fence: Fence, rows: Rows, outcome: Box<Outcome> },
    End { fence: Fence, rows: Rows, end: End },
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Write::Record { lane, dedup } => write!(f, "record {lane:?} {}", dedup[0]),
            Write::Enter { lane, from, planned } => {
                write!(f, "enter {lane:?} from {from} with {} events", planned.len())
            }
            Write::Plan { fence, planned } => write!(f, "plan {fence:?} with {} events", planned.len()),
            Write::Flush { fence, rows } => write!(f, "flush {fence:?} {rows:?}"),
            Write::Intent { fence, rows, intent } => write!(f, "intent {fence:?} {rows:?} {:?}", intent.key),
            Write::Outcome { fence, rows, outcome } => {
                write!(f, "outcome {fence:?} {rows:?} {:?} {:?}", outcome.key, outcome.state)
            }
            Write::End { fence, rows, end } => write!(f, "end {fence:?} {rows:?} {end:?}"),
        }
    }
}

/// What an attempt holds back until its next commit.
#[derive(Clone)]
pub struct Rows {
    pub run: RunId,
    pub attempt: u32,
    pub start: AttemptStart,
    pub calls: Vec<CallRow>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{} (+{} calls)", self.run, self.attempt, self.calls.len())
    }
}

#[derive(Debug, Clone)]
pub struct End {
    pub event: EventSeq,
    pub installation: InstallationId,
    pub outcome: &'static str,
    pub next: Next,
    pub first_at: i64,
    pub kv: Vec<(String, Vec<u8>)>,
}

/// What a commit answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Recorded { seq: EventSeq, duplicate: bool },
    Entered(Fence),
    Written,
    Ended { event_finished: bool },
}

struct Event {
    lane: LaneKey,
    dedup: [u8; 32],
    at: i64,
    /// 0 recorded, 1 planned, 2 finished.
    state: u8,
}

pub struct Run {
    pub open: OpenRun,
    pub lane: LaneKey,
    pub reason: Option<&'static str>,
}

struct Attempt {
    start: AttemptStart,
    ended: bool,
}

/// An effect, and whose it is.
pub struct Kept {
    pub run: RunId,
    pub effect: Effect,
}

#[derive(Default)]
pub struct Model {
    events: BTreeMap<EventSeq, Event>,
    /// Numbers of events that were given out; a duplicate uses one up.
    numbers: i64,
    lanes: BTreeMap<LaneKey, (i64, u32)>,
    pub runs: Vec<Run>,
    attempts: BTreeMap<(RunId, u32), Attempt>,
    calls: BTreeMap<(RunId, u32, u32), CallRow>,
    snapshots: BTreeMap<(LaneKey, [u8; 32]), SnapshotRow>,
    pub effects: Vec<Kept>,
    pub kv: BTreeMap<(InstallationId, String), Vec<u8>>,
    pub subscriptions: BTreeMap<TenantId, Vec<Subscription>>,
}

impl Model {
    /// An empty journal, and who hears its events.
    pub fn new(subscriptions: BTreeMap<TenantId, Vec<Subscription>>) -> Model {
        Model { subscriptions, ..Model::default() }
    }

    /// One commit at a time (unix milliseconds): all of it or nothing.
    pub fn commit(&mut self, write: &Write, now: i64) -> Result<Answer, Refused> {
        match write {
            Write::Record { lane, dedup } => Ok(self.record(lane, *dedup, now)),
            Write::Enter { lane, from, planned } => {
                let (epoch, entries) = self.lanes.get(lane).copied().unwrap_or((0, 0));
                if epoch != *from || !self.can_plan(lane, planned) {
                    return Err(Refused::Stale);
                }
                self.lanes.insert(lane.clone(), (from + 1, entries + 1));
                self.plan(lane, planned, now);
                Ok(Answer::Entered(Fence { lane: lane.clone(), epoch: from + 1 }))
            }
            Write::Plan { fence, planned } => {
                self.check(fence)?;
                if !self.can_plan(&fence.lane, planned) {
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
                if let Some(effect) = self.find(rows.run, &outcome.key) {
                    effect.state = outcome.state;
                    effect.result = outcome.call.result.map(str::to_owned);
                    effect.answer = outcome.call.answer.clone();
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

    fn record(&mut self, lane: &LaneKey, dedup: [u8; 32], at: i64) -> Answer {
        self.numbers += 1;
        let same = |event: &Event| event.dedup == dedup && event.lane.tenant == lane.tenant;
        if let Some((seq, _)) = self.events.iter().find(|(_, event)| same(event)) {
            return Answer::Recorded { seq: *seq, duplicate: true };
        }
        let seq = EventSeq(self.numbers);
        self.events.insert(seq, Event { lane: lane.clone(), dedup, at, state: 0 });
        Answer::Recorded { seq, duplicate: false }
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

    fn plan(&mut self, lane: &LaneKey, planned: &[PlannedEvent], now: i64) {
        for one in planned {
            let Some(event) = self.events.get_mut(&one.seq) else { continue };
            event.state = if one.runs.is_empty() { 2 } else { 1 };
            for run in &one.runs {
                let open = OpenRun {
                    id: RunId(self.runs.len() as i64 + 1),
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
                    deadline_at: None,
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
        let before = intent.before.and_then(|digest| self.snapshots.get(&(fence.lane.clone(), digest)).cloned());
        match self.find(rows.run, &intent.key) {
            Some(effect) => {
                effect.unsure += u32::from(matches!(effect.state, EffectState::Intent | EffectState::Unknown));
                effect.sends += 1;
                effect.state = EffectState::Intent;
                (effect.attempt, effect.intent_at, effect.before) = (rows.attempt, at, before);
                (effect.result, effect.answer) = (None, None);
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
                };
                self.effects.push(Kept { run: rows.run, effect });
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
        if let Some(run) = self.runs.get_mut((rows.run.0 - 1) as usize) {
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
            kept.effect.state = EffectState::Unknown;
            kept.effect.result = Some("outcome-unknown".into());
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

    pub fn lane(&self, lane: &LaneKey) -> LaneState {
        let (epoch, entries) = self.lanes.get(lane).copied().unwrap_or((0, 0));
        let events: Vec<UnplannedEvent> = self
            .events
            .iter()
            .filter(|(_, event)| event.state == 0 && event.lane == *lane)
            .map(|(seq, event)| UnplannedEvent {
                seq: *seq,
                event: EVENT.into(),
                ext_type: None,
                source: Source::Callback,
                only: None,
                created_at: event.at.div_euclid(1_000),
                received_at: event.at,
            })
            .collect();
        let subscriptions = match events.is_empty() {
            true => Vec::new(),
            false => self.subscriptions.get(&lane.tenant).cloned().unwrap_or_default(),
        };
        let mut runs: Vec<OpenRun> = self
            .runs
            .iter()
            .filter(|run| run.lane == *lane && !run.open.state.is_finished())
            .map(|run| {
                let number = run.open.attempts + 1;
                let cut = self.attempts.get(&(run.open.id, number)).filter(|attempt| !attempt.ended);
                OpenRun { cut_off: cut.map(|attempt| (number, attempt.start.resumes)), ..run.open.clone() }
            })
            .collect();
        runs.sort_by_key(|run| (run.event, run.installation));
        LaneState { epoch, entries, events, subscriptions, runs, ..LaneState::default() }
    }

    pub fn effects_of(&self, run: RunId) -> Vec<Effect> {
        self.effects.iter().filter(|kept| kept.run == run).map(|kept| kept.effect.clone()).collect()
    }

    pub fn open_attempt(&self, run: RunId, number: u32) -> Option<OpenAttempt> {
        let attempt = self.attempts.get(&(run, number)).filter(|attempt| !attempt.ended)?;
        let calls = self.calls.range((run, number, 0)..=(run, number, u32::MAX)).map(|(_, call)| recorded(call));
        Some(OpenAttempt { start: attempt.start.clone(), calls: calls.collect(), kept_bytes: 0 })
    }

    /// Lanes with something to do at a time: what a sweeper finds.
    pub fn due(&self, now: i64) -> Vec<LaneKey> {
        let recorded = self.events.values().filter(|event| event.state == 0).map(|event| event.lane.clone());
        let due = self.runs.iter().filter(|run| !run.open.state.is_finished() && run.open.next_at <= now);
        let mut lanes: Vec<_> = recorded.chain(due.map(|run| run.lane.clone())).collect();
        lanes.sort();
        lanes.dedup();
        lanes
    }

    /// Events that are not finished.
    pub fn backlog(&self) -> usize {
        self.events.values().filter(|event| event.state < 2).count()
    }

    /// When the next retry is due, after a time.
    pub fn next_due(&self, now: i64) -> Option<i64> {
        let open = self.runs.iter().filter(|run| !run.open.state.is_finished());
        open.map(|run| run.open.next_at).filter(|at| *at > now).min()
    }

    pub fn events(&self) -> usize {
        self.events.len()
    }

    pub fn lane_keys(&self) -> Vec<LaneKey> {
        let mut lanes: Vec<_> = self.events.values().map(|event| event.lane.clone()).collect();
        lanes.sort();
        lanes.dedup();
        lanes
    }
}

fn settled(state: EffectState) -> bool {
    matches!(state, EffectState::Applied | EffectState::Refused)
}

fn recorded(call: &CallRow) -> RecordedCall {
    RecordedCall {
        position: call.position,
        name: call.name.clone(),
        kind: call.kind,
        digest: call.digest,
        request: serde_json::Value::clone(&call.request),
        result: call.result.map(str::to_owned),
        answer: call.answer.clone(),
        snapshot: call.snapshot.clone(),
    }
}

/// The version of an installation.
pub fn version(installation: i64) -> Digest {
    Digest([installation as u8; 32])
}
