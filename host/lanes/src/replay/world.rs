//! What a version meets in a backtest: calls are answered by name and request from what the event's run recorded. An
//! effect that was never made is taken as done; a read that was never made has no answer, and the report says so.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fangshi_journal::{Effect, EffectKey, EffectState, Journal, LaneKey, RecordedAttempt, RecordedCall, SnapshotRow};
use fangshi_operations::{Operation, covers, not_approved, of_call};
use fangshi_runtime::{Abort, CallError, RunHost, Snapshot};
use serde_json::{Value, json};

use super::compare::EffectSeen;
use crate::decide::effect::leaves_open;
use crate::shell::order::for_guest;
use crate::shell::told::{answered, from_json};

type Named = (String, [u8; 32]);

/// The installation's own store, as the backtest's runs leave it.
pub(super) type Store = Arc<Mutex<BTreeMap<String, Option<Vec<u8>>>>>;

/// What the event's run left, for answers.
pub(super) struct Recorded {
    /// By name and digest of the request, in the order in which they were made; those of the last attempt that made any.
    calls: HashMap<Named, Vec<RecordedCall>>,
    effects: HashMap<EffectKey, Effect>,
}

impl Recorded {
    pub(super) fn new(attempts: &[RecordedAttempt], effects: Vec<Effect>) -> Recorded {
        let mut calls: HashMap<Named, Vec<RecordedCall>> = HashMap::new();
        for attempt in attempts {
            let mut of_attempt: HashMap<Named, Vec<RecordedCall>> = HashMap::new();
            for call in attempt.calls.iter().filter(|call| call.result.is_some()) {
                of_attempt.entry((call.name.clone(), call.digest)).or_default().push(call.clone());
            }
            calls.extend(of_attempt);
        }
        let effects = effects.into_iter().map(|effect| (effect.key.clone(), effect)).collect();
        Recorded { calls, effects }
    }
}

/// What the run did, filled while it runs.
#[derive(Default)]
pub(super) struct Tried {
    pub effects: Vec<EffectSeen>,
    /// Calls that the journal has no answer for: what came after them is uncertain.
    pub unanswered: Vec<String>,
    /// What was taken for given.
    pub assumed: Vec<String>,
    /// Changes of the installation's own store.
    pub kv: BTreeMap<String, Option<Vec<u8>>>,
}

/// The host side of one run in a backtest.
pub(super) struct World {
    journal: Journal,
    lane: LaneKey,
    /// The order as the run starts with it.
    snapshot: Option<SnapshotRow>,
    clock_ms: i64,
    grants: BTreeSet<String>,
    recorded: Recorded,
    /// The installation's own store as earlier runs of the backtest left it.
    carried: Store,
    pub tried: Arc<Mutex<Tried>>,
    /// Equal calls made so far.
    made: HashMap<Named, u32>,
    /// Equal calls made so far that left nothing open: as in a run, the next one is the same effect until then.
    settled: HashMap<Named, u32>,
    /// Effects that are in the report.
    seen: HashSet<EffectKey>,
}

impl World {
    pub(super) fn new(
        journal: Journal,
        lane: LaneKey,
        snapshot: Option<SnapshotRow>,
        clock_ms: i64,
        grants: BTreeSet<String>,
        recorded: Recorded,
        carried: Store,
    ) -> World {
        World {
            journal,
            lane,
            snapshot,
            clock_ms,
            grants,
            recorded,
            carried,
            tried: Arc::default(),
            made: HashMap::new(),
            settled: HashMap::new(),
            seen: HashSet::new(),
        }
    }

    fn tried<T>(&self, change: impl FnOnce(&mut Tried) -> T) -> T {
        change(&mut self.tried.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Notes what is taken for given, once.
    fn assume(&self, text: String) {
        self.tried(|tried| {
            if !tried.assumed.contains(&text) {
                tried.assumed.push(text);
            }
        });
    }

    /// The recorded call of this name and request that is due now: the n-th for the n-th, the last one for more.
    async fn due(&mut self, name: &str, request: &Value) -> Result<(EffectKey, Option<RecordedCall>), CallError> {
        let digest = self.journal.call_digest(self.lane.tenant, name, request).await;
        let digest = digest.map_err(|error| Abort::HostFault(error.to_string()))?;
        let named = (name.to_owned(), digest);
        let count = self.made.entry(named.clone()).or_insert(0);
        let place = *count as usize;
        *count += 1;
        let calls = self.recorded.calls.get(&named);
        let call = calls.and_then(|calls| calls.get(place).or_else(|| calls.last())).cloned();
        let nth = self.settled.get(&named).copied().unwrap_or(0);
        Ok((EffectKey { operation: named.0, digest, nth }, call))
    }

    fn effect(
        &mut self,
        op: &'static Operation,
        key: &EffectKey,
        call: Option<RecordedCall>,
        request: Value,
    ) -> Result<Value, CallError> {
        let effect = self.recorded.effects.get(key);
        // A decode that was kept made no effect, and neither does it now.
        if effect.is_none()
            && op.decodes()
            && let Some(answer) = call.and_then(|call| from_json(call.result.as_deref(), call.answer.as_ref()))
        {
            return answer;
        }
        let (answer, outcome) = match effect {
            Some(effect) => match (effect.state, answered(effect.result.as_deref(), effect.answer.as_ref())) {
                (EffectState::Intent, _) | (EffectState::Unknown, None) => {
                    (Err(CallError::OutcomeUnknown("nobody knows what came of it then".into())), "recorded")
                }
                (_, None) => (Err(CallError::Unavailable("it was not sent then".into())), "recorded"),
                (_, Some(answer)) => (answer, "recorded"),
            },
            None => {
                // What the platform says at least; an operation that must bring more has no answer here.
                match op.answer(json!({"errcode": 0, "errmsg": "ok"})) {
                    Ok(answer) => {
                        self.assume(format!("{}: an effect that was not made then is taken as done", key.operation));
                        (Ok(answer), "assumed")
                    }
                    Err(_) => {
                        self.tried(|tried| tried.unanswered.push(key.operation.clone()));
                        (Err(CallError::Unavailable("not in the journal".into())), "assumed")
                    }
                }
            }
        };
        if self.seen.insert(key.clone()) {
            self.tried(|tried| tried.effects.push(EffectSeen::new(&key.operation, request, outcome)));
        }
        answer
    }

    fn answered(
        &mut self,
        interface: &str,
        function: &str,
        key: &EffectKey,
        call: Option<RecordedCall>,
        request: Value,
    ) -> Result<Value, CallError> {
        if !covers(self.grants.iter().map(String::as_str), interface) {
            return Err(CallError::Denied(interface.to_owned()));
        }
        let Some(op) = of_call(interface, function, &request) else {
            return Err(CallError::Invalid(format!("{interface}.{function} is no operation of this host")));
        };
        op.body(&request).map_err(CallError::Invalid)?;
        if let Some(grant) = not_approved(self.grants.iter().map(String::as_str), op, &request) {
            return Err(CallError::Denied(grant));
        }
        if op.effect {
            return self.effect(op, key, call, request);
        }
        match call.and_then(|call| from_json(call.result.as_deref(), call.answer.as_ref())) {
            Some(answer) => answer,
            None => {
                self.tried(|tried| tried.unanswered.push(key.operation.clone()));
                Err(CallError::Unavailable("not in the journal".into()))
            }
        }
    }
}

#[async_trait]
impl RunHost for World {
    async fn operation(&mut self, interface: &str, function: &str, request: Value) -> Result<Value, CallError> {
        let name = format!("{interface}/{function}");
        let (key, call) = self.due(&name, &request).await?;
        let answer = self.answered(interface, function, &key, call, request);
        if !leaves_open(&answer) {
            self.settled.insert((key.operation, key.digest), key.nth + 1);
        }
        answer
    }

    async fn read_order(&mut self, order_id: &str) -> Result<Arc<Snapshot>, CallError> {
        let (_, call) = self.due("orders/get", &json!({ "order_id": order_id })).await?;
        if let Some(call) = call {
            if let Some(snapshot) = &call.snapshot {
                return Ok(for_guest(snapshot));
            }
            if let Some(Err(refused)) = from_json(call.result.as_deref(), call.answer.as_ref()) {
                return Err(refused);
            }
        }
        let near = match &self.snapshot {
            Some(snapshot) if *snapshot.order_id == *order_id => Some(snapshot.clone()),
            _ => {
                let order = LaneKey::new(self.lane.tenant, order_id);
                let near = self.journal.snapshot_near(&order, self.clock_ms).await;
                near.map_err(|error| Abort::HostFault(error.to_string()))?
            }
        };
        match near {
            Some(snapshot) => {
                self.assume("orders/get: the order as it was read at another time".into());
                Ok(for_guest(&snapshot))
            }
            None => {
                self.tried(|tried| tried.unanswered.push("orders/get".into()));
                Err(CallError::Unavailable("not in the journal".into()))
            }
        }
    }

    async fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        let (_, call) = self.due("kv/get", &json!({ "key": key })).await?;
        if let Some(value) = self.tried(|tried| tried.kv.get(key).cloned()) {
            return Ok(value);
        }
        if let Some(value) = self.carried.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(key) {
            return Ok(value.clone());
        }
        match call.and_then(|call| from_json(call.result.as_deref(), call.answer.as_ref())) {
            Some(answer) => Ok(answer?.as_str().and_then(|text| hex::decode(text).ok())),
            None => {
                self.assume("kv/get: a key that was not read then is taken as absent".into());
                Ok(None)
            }
        }
    }

    async fn kv_set(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), CallError> {
        self.tried(|tried| tried.kv.insert(key.to_owned(), value));
        Ok(())
    }

    fn log(&mut self, _: u8, _: &str) {}
}
