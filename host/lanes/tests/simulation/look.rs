//! What is read of the model.

use fangshi_journal::{
    CallRow, ECHO_REACH_S, Effect, EffectTrace, EventSeq, LaneKey, LaneState, OpenAttempt, OpenRun, RecordedCall,
    RunId, StoredEvent, UnplannedEvent,
};

use crate::model::{Event, Kept, Model};

impl Model {
    pub fn lane(&self, lane: &LaneKey) -> LaneState {
        let (epoch, entries) = self.lanes.get(lane).copied().unwrap_or((0, 0));
        let events: Vec<UnplannedEvent> = self
            .events
            .iter()
            .filter(|(_, event)| event.state == 0 && event.lane == *lane)
            .map(|(seq, event)| UnplannedEvent {
                seq: *seq,
                event: event.told.kind.event.into(),
                ext_type: event.told.kind.ext_type,
                source: event.told.source,
                only: None,
                created_at: event.told.created_at,
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
        let reconciled = match events.is_empty() {
            true => Vec::new(),
            false => self.reconciled.get(lane).cloned().unwrap_or_default(),
        };
        let first = events.iter().map(|event| event.created_at).min();
        let effects = first.map_or_else(Vec::new, |first| self.effects_on(lane, (first - ECHO_REACH_S) * 1_000));
        let effects = effects.into_iter().map(|(kept, used)| EffectTrace {
            id: kept.id,
            run: kept.run,
            installation: kept.installation,
            operation: kept.effect.key.operation.clone(),
            state: kept.effect.state,
            intent_at: kept.effect.intent_at,
            used,
            busy: kept.effect.met_a_busy_platform(),
        });
        let effects = effects.collect();
        LaneState { epoch, entries, events, subscriptions, reconciled, effects, runs, ..LaneState::default() }
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

    /// The newest event of an order.
    pub fn newest(&self, lane: &LaneKey) -> Option<EventSeq> {
        self.events.iter().filter(|(_, event)| event.lane == *lane).map(|(seq, _)| *seq).next_back()
    }

    /// Effects on an order since a time (unix milliseconds), oldest first, and whether they have explained an event.
    pub fn effects_on(&self, lane: &LaneKey, since: i64) -> Vec<(&Kept, bool)> {
        let on = |kept: &&Kept| kept.lane == *lane && kept.effect.intent_at >= since;
        let used = |id| self.events.values().any(|event| event.echo_of == Some(id));
        let mut all: Vec<_> = self.effects.iter().filter(on).map(|kept| (kept, used(kept.id))).collect();
        all.sort_by_key(|(kept, _)| (kept.effect.intent_at, kept.id));
        all
    }

    /// An event as an attempt reads it.
    pub fn stored(&self, seq: EventSeq) -> StoredEvent {
        let Event { lane, told, at, .. } = &self.events[&seq];
        let made = self.reconciled.get(lane).into_iter().flatten().find(|made| made.seq == seq);
        let read = made.filter(|made| made.update_time <= told.created_at);
        StoredEvent {
            seq,
            lane: lane.clone(),
            event: told.kind.event.into(),
            ext_type: told.kind.ext_type,
            source: told.source,
            created_at: told.created_at,
            since: read.map_or(told.created_at, |made| made.since.min(told.created_at)),
            received_at: *at,
            body: Vec::new(),
        }
    }

    pub fn lane_keys(&self) -> Vec<LaneKey> {
        let mut lanes: Vec<_> = self.events.values().map(|event| event.lane.clone()).collect();
        lanes.sort();
        lanes.dedup();
        lanes
    }
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
