//! One attempt over the model: what the host does around a guest's calls, each commit a place where others may go on or the
//! process may end.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fangshi_journal::{
    AttemptStart, BUSY, CallKind, CallOrigin, CallRow, Digest, Effect, EffectKey, EffectState, Fence, Inputs, Intent,
    Next, OpenRun, Outcome as Settlement, RecordedCall, SentPerhaps, SnapshotRow,
};
use fangshi_lanes::decide::effect::{
    Settled, Way, is_under_way, keep, leaves_open, let_go_by, looked, settle, settle_restored, unanswered, way,
};
use fangshi_lanes::decide::ending::{Halt as Stop, ending};
use fangshi_lanes::decide::retry::Tried;
use fangshi_operations::{Class, ContractError, Operation, Repeat, Sent};
use fangshi_runtime::{Abort, CallError, Outcome};
use serde_json::{Value, json};

use crate::guest::guest;
use crate::shop::Request;
use crate::world::{Halt, World};
use crate::write::{End, Rows, Write};

const RESUMES: u32 = 3;
const SUSPICIOUS_ENTRIES: u32 = 3;

pub async fn attempt(
    world: &Rc<World>,
    process: usize,
    fence: &Fence,
    run: &OpenRun,
    entries: u32,
) -> Result<(), Halt> {
    let number = run.attempts + 1;
    let open = run.cut_off.and_then(|_| world.model.borrow().open_attempt(run.id, number));
    let tried = |started_at| Tried {
        attempt: number - run.budget_from,
        first_at: run.first_at.unwrap_or(started_at),
        started_at,
    };
    let resumes = open.is_some();
    let (start, replay) = match open {
        Some(mut open) => {
            open.start.resumes += 1;
            (open.start, open.calls.into())
        }
        None => {
            let inputs = Inputs {
                settings: Arc::new(json!({})),
                secrets: Default::default(),
                grants: Default::default(),
                limits: json!({}),
                seed: world.dice.bytes(),
                is_last: world.schedule.is_last(tried(world.now())),
            };
            let snapshot = (run.installation.0 != 2).then(|| world.shop.borrow().snapshot(&fence.lane, world.now()));
            let start = AttemptStart {
                version: run.version,
                engine: "simulated 1".into(),
                clock_ms: world.now(),
                inputs,
                snapshot,
                resumes: 0,
            };
            (start, VecDeque::new())
        }
    };
    let rows = Rows { run: run.id, attempt: number, start: start.clone(), calls: Vec::new() };
    let end = |outcome: Option<&Outcome>, stop: Option<Stop>, kv: Vec<(String, Vec<u8>)>| {
        let end = ending(&world.schedule, tried(start.clock_ms), world.now(), world.dice.spin(), stop, None, outcome);
        let kv = if end.next == Next::Done { kv } else { Vec::new() };
        let first_at = tried(start.clock_ms).first_at;
        End { event: run.event, installation: run.installation, outcome: end.outcome, next: end.next, first_at, kv }
    };
    if start.resumes > RESUMES {
        let end = end(None, Some(Stop::Crashed), Vec::new());
        return world.commit(process, Write::End { fence: fence.clone(), rows, end }).await.map(drop);
    }
    if resumes || entries >= SUSPICIOUS_ENTRIES {
        world.commit(process, Write::Flush { fence: fence.clone(), rows: rows.clone() }).await?;
    }
    let effects = match number > 1 || resumes {
        true => world.model.borrow().effects_of(run.id),
        false => Vec::new(),
    };
    let (told, sent_perhaps) = {
        let model = world.model.borrow();
        let event = model.stored(run.event);
        let sent_perhaps = model.restore.and_then(|restore| restore.sent_perhaps(&event));
        (model.events[&run.event].told, sent_perhaps)
    };
    let seed = start.inputs.seed;
    let mut host = Host {
        world,
        process,
        fence,
        run,
        rows,
        effects,
        replay,
        sent_perhaps,
        before: start.snapshot.clone(),
        position: 0,
        calls: BTreeMap::new(),
        kv: Vec::new(),
    };
    let outcome = guest(&mut host, run, told, number, seed).await?;
    if !host.replay.is_empty() && !matches!(outcome, Outcome::Trap { .. }) {
        panic!("a resumed attempt made fewer calls than its journal holds");
    }
    let (rows, kv) = (host.rows.clone(), std::mem::take(&mut host.kv));
    let end = end(Some(&outcome), None, kv);
    world.commit(process, Write::End { fence: fence.clone(), rows, end }).await.map(drop)
}

/// The host side of one attempt.
pub struct Host<'a> {
    pub world: &'a Rc<World>,
    process: usize,
    fence: &'a Fence,
    run: &'a OpenRun,
    rows: Rows,
    effects: Vec<Effect>,
    replay: VecDeque<RecordedCall>,
    /// Effects of this run that may have been sent and of which the store knows nothing.
    sent_perhaps: Option<SentPerhaps>,
    before: Option<SnapshotRow>,
    position: u32,
    /// Equal calls that left nothing open.
    calls: BTreeMap<[u8; 32], u32>,
    pub kv: Vec<(String, Vec<u8>)>,
}

struct Call {
    name: String,
    body: Arc<Value>,
    digest: [u8; 32],
    position: u32,
    at: i64,
}

type Answered = Result<Value, CallError>;

/// What else an outcome says of its sends.
#[derive(Default)]
struct Left {
    kept_back: bool,
    busy: bool,
    unsure: u32,
}

impl Host<'_> {
    /// A read of the order.
    pub async fn read(&mut self) -> Result<Answered, Halt> {
        let call = self.begin("orders/get", json!({"order_id": &*self.fence.lane.order_id}));
        if let Some(recorded) = self.replayed(&call) {
            self.before = recorded.snapshot.or(self.before.take());
            return Ok(answer_of(recorded.result.as_deref(), recorded.answer.as_ref()).unwrap_or(Ok(Value::Null)));
        }
        if self.world.read_fails() {
            let refused = Err(CallError::Unavailable("no connection".into()));
            return Ok(self.keep(&call, refused, None, CallOrigin::Live, CallKind::Read));
        }
        let snapshot = self.world.shop.borrow().snapshot(&self.fence.lane, self.world.now());
        self.before = Some(snapshot.clone());
        let mut row = self.row(&call, &Ok(Value::Null), None, CallOrigin::Live, CallKind::Read);
        (row.answer, row.snapshot) = (None, Some(snapshot));
        self.rows.calls.push(row);
        Ok(Ok(Value::Null))
    }

    /// An effect. The error is the end of the drain.
    pub async fn effect(&mut self, interface: &str, function: &str, body: Value) -> Result<Answered, Halt> {
        let op = fangshi_operations::find(interface, function).expect("an operation of the table");
        let call = self.begin(&format!("{interface}/{function}"), body);
        let nth = self.calls.get(&call.digest).copied().unwrap_or(0);
        let digest = call.digest;
        let recorded = self.replayed(&call);
        let answer = match recorded.and_then(|old| answer_of(old.result.as_deref(), old.answer.as_ref())) {
            Some(recorded) => recorded,
            None => self.live(op, call, nth).await?,
        };
        if !leaves_open(&answer) {
            self.calls.insert(digest, nth + 1);
        }
        Ok(answer)
    }

    async fn live(&mut self, op: &'static Operation, call: Call, nth: u32) -> Result<Answered, Halt> {
        let key = EffectKey { operation: call.name.clone(), digest: call.digest, nth };
        let mut earlier = self.effects.iter().find(|effect| effect.key == key).cloned();
        let mut before = self.before.clone();
        let mut unsure = earlier.as_ref().map_or(0, |earlier| earlier.unsure);
        let mut way = way(earlier.as_ref());
        let perhaps = self.sent_perhaps.filter(|perhaps| !(perhaps.by_clock && op.repeat == Repeat::Resend));
        let restored_at = perhaps.map(|perhaps| perhaps.since);
        if let Some(since) = restored_at
            && way == Way::Send
        {
            self.intend(&call, &key, None).await?;
            let perhaps = self.sent_perhaps(&key, since);
            self.effects.retain(|effect| effect.key != key);
            self.effects.push(perhaps.clone());
            (earlier, before, way) = (Some(perhaps), None, Way::Settle);
        }
        match (way, earlier) {
            (Way::Recorded, Some(earlier)) => {
                let answer = answer_of(earlier.result.as_deref(), earlier.answer.as_ref())
                    .expect("a settled effect has its answer");
                return Ok(self.keep(&call, answer, Some(key), CallOrigin::EarlierEffect, CallKind::Effect));
            }
            (Way::Settle, Some(earlier)) => {
                let intended_at = restored_at.map_or(earlier.intent_at, |at| at.min(earlier.intent_at));
                let older = before.filter(|order| restored_at.is_none() && order.read_at < intended_at);
                before = earlier.before.clone().or(older);
                if op.repeat != Repeat::Unknown && self.world.read_fails() {
                    let refused = Err(CallError::Unavailable("no connection".into()));
                    return Ok(self.keep(&call, refused, Some(key), CallOrigin::Reread, CallKind::Effect));
                }
                let verdict = looked(op.repeat, &earlier, self.verdict(op, &call, before.as_ref(), intended_at));
                let unsure_before = unanswered(&earlier).saturating_sub(1);
                let under_way = is_under_way(op.repeat, &earlier, self.world.now());
                let settled = match restored_at {
                    None => settle(op.repeat, unsure_before, verdict, under_way),
                    Some(_) => settle_restored(op.repeat, unsure_before, verdict, under_way),
                };
                match settled {
                    Settled::Later => {
                        let refused = Err(CallError::Unavailable("may still be on its way".into()));
                        return Ok(self.keep(&call, refused, Some(key), CallOrigin::Reread, CallKind::Effect));
                    }
                    Settled::SendAgain => unsure = unanswered(&earlier),
                    settled => {
                        let left =
                            Left { kept_back: false, busy: earlier.met_a_busy_platform(), unsure: earlier.unsure };
                        return self.conclude(&call, key, found(settled), CallOrigin::Reread, left).await;
                    }
                }
            }
            _ => {}
        }
        self.send(op, call, key, before, unsure).await
    }

    async fn send(
        &mut self,
        op: &'static Operation,
        call: Call,
        key: EffectKey,
        before: Option<SnapshotRow>,
        unsure: u32,
    ) -> Result<Answered, Halt> {
        let left = Left { unsure, ..Left::default() };
        let intended_at = self.world.now();
        self.intend(&call, &key, before.as_ref()).await?;
        if let_go_by(op.repeat, intended_at).is_some_and(|by| self.world.now() > by) {
            let answer = Err(CallError::Unavailable("the host took too long".into()));
            let state = keep(&answer, unsure);
            let left = Left { kept_back: true, ..left };
            return self.conclude(&call, key, (answer, state), CallOrigin::Live, left).await;
        }
        let request = Request {
            id: 0,
            op,
            lane: self.fence.lane.clone(),
            body: (*call.body).clone(),
            run: self.run.id,
            installation: self.run.installation,
            key: key.clone(),
            until: 0,
        };
        let sent = self.world.shop.borrow_mut().send(request, self.world.now());
        let answered = loop {
            if let Some(answer) = self.world.shop.borrow_mut().answer(sent) {
                break answer;
            }
            self.world.pause().await;
        };
        let fault = match answered {
            Ok(value) => {
                return self.conclude(&call, key, (Ok(value), EffectState::Applied), CallOrigin::Live, left).await;
            }
            Err(fault) => fault,
        };
        if fault.sent != Sent::Unknown {
            let answer = Err(refusal(fault.to_contract()));
            let state = keep(&answer, unsure);
            return self.conclude(&call, key, (answer, state), CallOrigin::Live, left).await;
        }
        let left = Left { busy: fault.class == Class::Busy, ..left };
        let settled = match op.repeat != Repeat::Unknown && (left.busy || self.world.read_fails()) {
            true => Settled::Later,
            false => settle(op.repeat, unsure, self.verdict(op, &call, before.as_ref(), intended_at), true),
        };
        if settled == Settled::Later {
            let sent = Effect { before, ..self.sent_perhaps(&key, intended_at) };
            self.effects.retain(|effect| effect.key != key);
            self.effects.push(sent);
            let answer = Err(CallError::Unavailable("it may have been applied".into()));
            return self.conclude(&call, key, (answer, EffectState::Unknown), CallOrigin::Live, left).await;
        }
        self.conclude(&call, key, found(settled), CallOrigin::Reread, left).await
    }

    /// Makes the intent durable.
    async fn intend(&mut self, call: &Call, key: &EffectKey, before: Option<&SnapshotRow>) -> Result<(), Halt> {
        let intent = Intent {
            key: key.clone(),
            order_id: self.fence.lane.order_id.to_string(),
            installation: self.run.installation,
            request: call.body.clone(),
            before: before.cloned(),
            position: call.position,
        };
        let write = Write::Intent { fence: self.fence.clone(), rows: self.rows.clone(), intent: Box::new(intent) };
        self.world.commit(self.process, write).await?;
        self.rows.calls.clear();
        Ok(())
    }

    /// An effect of which only that it may have been sent is known.
    fn sent_perhaps(&self, key: &EffectKey, since: i64) -> Effect {
        Effect {
            key: key.clone(),
            state: EffectState::Intent,
            sends: 1,
            unsure: 0,
            attempt: self.rows.attempt,
            result: None,
            answer: None,
            before: None,
            intent_at: since,
            outcome_at: None,
        }
    }

    fn verdict(
        &self,
        op: &'static Operation,
        call: &Call,
        before: Option<&SnapshotRow>,
        at: i64,
    ) -> Option<fangshi_operations::Verdict> {
        let before = before.map(|order| &*order.json);
        let shop = self.world.shop.borrow();
        (op.repeat != Repeat::Unknown).then(|| shop.verdict(op, &call.body, &self.fence.lane, before, at))
    }

    async fn conclude(
        &mut self,
        call: &Call,
        key: EffectKey,
        (answer, state): (Answered, EffectState),
        origin: CallOrigin,
        Left { kept_back, busy, unsure }: Left,
    ) -> Result<Answered, Halt> {
        let now = self.world.now();
        if let Some(kept) = self.effects.iter_mut().find(|effect| effect.key == key) {
            (kept.state, kept.unsure, kept.outcome_at) = (state, unsure, Some(now));
            kept.result = busy.then(|| BUSY.into());
        }
        let row = self.row(call, &answer, Some(key.clone()), origin, CallKind::Effect);
        let outcome = Settlement { key, state, kept_back, busy, platform_code: None, rid: None, call: row };
        let (fence, rows) = (self.fence.clone(), self.rows.clone());
        self.world.commit(self.process, Write::Outcome { fence, rows, outcome: Box::new(outcome) }).await?;
        self.rows.calls.clear();
        Ok(answer)
    }

    fn begin(&mut self, name: &str, body: Value) -> Call {
        let digest = Digest::of(format!("{name} {body}").as_bytes()).0;
        let position = self.position;
        self.position += 1;
        Call { name: name.to_owned(), body: Arc::new(body), digest, position, at: self.world.now() }
    }

    /// The recorded answer of a resumed attempt's call: the guest is the same function, so its calls are the same.
    fn replayed(&mut self, call: &Call) -> Option<RecordedCall> {
        let recorded = self.replay.pop_front()?;
        let same = recorded.name == call.name && recorded.digest == call.digest && recorded.position == call.position;
        assert!(same, "call {} was {} and is now {}", call.position, recorded.name, call.name);
        recorded.result.is_some().then_some(recorded)
    }

    fn keep(
        &mut self,
        call: &Call,
        answer: Answered,
        effect: Option<EffectKey>,
        origin: CallOrigin,
        kind: CallKind,
    ) -> Answered {
        let row = self.row(call, &answer, effect, origin, kind);
        self.rows.calls.push(row);
        answer
    }

    fn row(
        &self,
        call: &Call,
        answer: &Answered,
        effect: Option<EffectKey>,
        origin: CallOrigin,
        kind: CallKind,
    ) -> CallRow {
        CallRow {
            position: call.position,
            name: call.name.clone(),
            kind,
            digest: call.digest,
            request: call.body.clone(),
            result: Some(code(answer)),
            answer: Some(match answer {
                Ok(value) => value.clone(),
                Err(error) => serde_json::to_value(error).expect("an error of the contract is JSON"),
            }),
            snapshot: None,
            effect,
            origin,
            at_ms: call.at,
            took_ms: Some(self.world.now() - call.at),
        }
    }
}

fn found(settled: Settled) -> (Answered, EffectState) {
    match settled {
        Settled::Applied(answer) => (Ok(answer), EffectState::Applied),
        Settled::Unknown(text) => (Err(CallError::OutcomeUnknown(text)), EffectState::Unknown),
        Settled::SendAgain | Settled::Later => panic!("it was to be sent again"),
    }
}

fn code(answer: &Answered) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(CallError::Limited { .. }) => "limited",
        Err(CallError::Conflict(_)) => "conflict",
        Err(CallError::Unavailable(_)) => "unavailable",
        Err(CallError::OutcomeUnknown(_)) => "outcome-unknown",
        Err(_) => "platform",
    }
}

fn answer_of(code: Option<&str>, answer: Option<&Value>) -> Option<Answered> {
    match code? {
        "ok" => Some(Ok(answer.cloned().unwrap_or(Value::Null))),
        _ => Some(Err(serde_json::from_value(answer?.clone()).expect("an error of the contract"))),
    }
}

fn refusal(error: ContractError) -> CallError {
    match error {
        ContractError::Conflict(text) => CallError::Conflict(text),
        ContractError::Limited { retry_after } => CallError::Limited { retry_after },
        ContractError::Unavailable(text) => CallError::Unavailable(text),
        ContractError::Platform { code, message } => CallError::Platform { code, message },
        other => panic!("{other:?}"),
    }
}

/// How a guest ends whose call was refused.
pub fn retry(error: &CallError) -> Outcome {
    match error {
        CallError::Abort(Abort::StaleEpoch) => panic!("the drain ends first"),
        error => Outcome::RetryLater { reason: error.to_string(), after: after(error) },
    }
}

fn after(error: &CallError) -> Option<u32> {
    match error {
        CallError::Limited { retry_after } => {
            retry_after.map(|seconds| Duration::from_secs(seconds.into()).as_secs() as u32)
        }
        _ => None,
    }
}
