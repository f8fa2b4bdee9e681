//! What a guest's calls meet: the grant is checked, the call is journaled, and a resumed attempt is answered from its
//! journal as far as that goes.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fangshi_journal::{
    Buffer, CallKind, CallOrigin, CallRow, Clock, Digest, Effect, EffectKey, Fence, InstallationId, Journal,
    JournalError, KvAllowed, KvChange, RecordedCall, SentPerhaps, SnapshotRow, TenantId,
};
use fangshi_operations::{Fault, Kind, Operation, covers, interfaces, is_outside, not_approved};
use fangshi_runtime::{Abort, CallError, RunHost, Snapshot};
use fangshi_tenants::SecretValues;
use serde_json::{Value, json};

use super::order::for_guest;
use super::outside::Waiting;
use super::room::Store;
use super::seat;
use super::told::{answered, code, from_json, refusal, to_json};
use crate::decide::divergence::differs;
use crate::decide::effect::leaves_open;
use crate::decide::ending::Halt;
use crate::decide::standing::withheld;
use crate::seams::{Directory, Shop};

/// What a host starts from.
pub(crate) struct Known {
    pub journal: Journal,
    pub shop: Arc<dyn Shop>,
    pub clock: Clock,
    pub fence: Fence,
    pub buffer: Buffer,
    pub directory: Arc<dyn Directory>,
    pub installation: InstallationId,
    /// The pinned version.
    pub version: Digest,
    /// What the pinned version asks for.
    pub asks: BTreeSet<String>,
    pub grants: BTreeSet<String>,
    pub effects_per_hour: u32,
    pub kv_allowed: KvAllowed,
    pub http_answer_bytes: u64,
    pub journal_bytes: u64,
    /// What earlier attempts, or this one before it was cut off, left of the run's effects.
    pub effects: HashMap<EffectKey, Effect>,
    /// The order as read before the hook.
    pub snapshot: Option<SnapshotRow>,
    /// Calls that this attempt made before it was cut off.
    pub replay: VecDeque<RecordedCall>,
    /// The store was restored, and the event came with it or is from before: nobody knows what was sent for it.
    pub sent_perhaps: Option<SentPerhaps>,
    /// What no line of the log may say.
    pub hidden: SecretValues,
    /// The runs that wait for outside hosts.
    pub waiting: Waiting,
}

/// What a run leaves behind besides its report.
#[derive(Default)]
pub(crate) struct Aftermath {
    /// Why the host stopped it.
    pub halt: Option<Halt>,
    /// Somebody else entered the lane.
    pub stale: bool,
    /// The store failed.
    pub broken: Option<String>,
    /// An effect was sent: snapshots of the order are stale.
    pub changed: bool,
    /// Recorded calls that the resumed run has not made again.
    pub unplayed: usize,
    /// When the last of the quotas opens that its calls met, unix milliseconds.
    pub limited_until: Option<i64>,
    /// Until when an effect in doubt may be on its way, unix milliseconds: a look before that proves nothing.
    pub under_way_until: Option<i64>,
    /// How long it waited for outside hosts, milliseconds.
    pub outside_ms: u64,
    /// Changes of the installation's own store, to be kept if the run ended ok.
    pub kv: Vec<KvChange>,
    /// A request to an outside host is on its way: how long that one takes is the doing of the plugin that chose it.
    pub outside: bool,
}

/// A run's aftermath, filled while it runs.
#[derive(Clone, Default)]
pub(crate) struct Left(Arc<Mutex<Aftermath>>);

impl Left {
    pub(crate) fn take(&self) -> Aftermath {
        self.with(std::mem::take)
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Aftermath) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// The host side of one attempt.
pub(crate) struct Host {
    pub(super) known: Known,
    pub(super) left: Left,
    position: u32,
    /// How many equal calls came before that left nothing open.
    equal_calls: HashMap<(String, [u8; 32]), u32>,
    /// The last snapshot of each order that this attempt saw.
    pub(super) orders: BTreeMap<String, SnapshotRow>,
    pub(super) kv: Store,
}

/// A call on its way through the host.
pub(super) struct Call {
    pub name: String,
    pub request: Arc<Value>,
    pub digest: [u8; 32],
    pub position: u32,
    pub kind: CallKind,
    pub began: i64,
}

/// Bytes of a kv key; as the contract says.
const KV_KEY: usize = 512;
/// Bytes of a kv value.
const KV_VALUE: usize = 256 << 10;
/// Bytes that may wait for a commit. Beyond, they are written before the next call: neither memory nor one turn of the writer, who is
/// everybody's, takes more than this and a call.
const WAITING: u64 = 4 << 20;

impl Host {
    pub(crate) fn new(known: Known) -> (Host, Left) {
        let left = Left::default();
        left.with(|left| left.unplayed = known.replay.len());
        let orders = known.snapshot.iter().map(|order| (order.order_id.to_string(), order.clone())).collect();
        let host =
            Host { known, left: left.clone(), position: 0, equal_calls: HashMap::new(), orders, kv: Store::default() };
        (host, left)
    }

    pub(super) fn tenant(&self) -> TenantId {
        self.known.fence.lane.tenant
    }

    /// Gives a call its place and its digest.
    async fn begin(&mut self, name: String, request: Value, kind: CallKind) -> Result<Call, CallError> {
        let digest = self.known.journal.call_digest(self.tenant(), &name, &request).await;
        let digest = digest.map_err(|error| self.failed(error))?;
        let position = self.position;
        self.position += 1;
        Ok(Call { name, request: Arc::new(request), digest, position, kind, began: self.known.clock.now() })
    }

    /// The recorded answer of a resumed attempt's call; none where its journal ends, and for an intent without an outcome.
    fn replayed(&mut self, call: &Call) -> Result<Option<RecordedCall>, CallError> {
        let Some(recorded) = self.known.replay.pop_front() else { return Ok(None) };
        self.left.with(|left| left.unplayed = self.known.replay.len());
        if let Some(text) = differs(&recorded, call.position, &call.name, &call.digest) {
            self.left.with(|left| left.halt = Some(Halt::Divergence(text.clone())));
            return Err(Abort::Divergence(text).into());
        }
        self.known.buffer.took(call.position);
        Ok(recorded.result.is_some().then_some(recorded))
    }

    /// Before a call that the journal does not answer: the end of this run, if it has made the journal keep as much as an attempt
    /// may; and what waits is written, if it is much.
    async fn room(&self) -> Result<(), CallError> {
        let (buffer, allowed) = (&self.known.buffer, self.known.journal_bytes);
        if buffer.kept_bytes() >= allowed {
            self.left.with(|left| left.halt = Some(Halt::JournalFull { allowed }));
            return Err(Abort::HostFault("the journal keeps no more of this attempt".into()).into());
        }
        if buffer.waiting_bytes() > WAITING {
            self.known.journal.flush(&self.known.fence, buffer).await.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Keeps the answer of a call that is no effect, and gives it on.
    pub(super) fn keep(
        &self,
        call: &Call,
        answer: Result<Value, CallError>,
        effect: Option<EffectKey>,
        origin: CallOrigin,
    ) -> Result<Value, CallError> {
        let row = self.row(call, &answer, effect, origin);
        self.known.buffer.call(&row).map_err(|error| self.failed(error))?;
        answer
    }

    pub(super) fn row(
        &self,
        call: &Call,
        answer: &Result<Value, CallError>,
        effect: Option<EffectKey>,
        origin: CallOrigin,
    ) -> CallRow {
        if let Err(refused) = answer {
            self.limited(refused);
        }
        CallRow {
            position: call.position,
            name: call.name.clone(),
            kind: call.kind,
            digest: call.digest,
            request: call.request.clone(),
            result: Some(code(answer)),
            answer: Some(to_json(answer)),
            snapshot: None,
            effect,
            origin,
            at_ms: call.began,
            took_ms: Some(self.known.clock.now().saturating_sub(call.began)),
        }
    }

    /// Notes until when a quota is used up.
    pub(super) fn limited(&self, refused: &CallError) {
        if let CallError::Limited { retry_after: Some(seconds) } = refused {
            let until = self.known.clock.now().saturating_add(i64::from(*seconds) * 1_000);
            self.left.with(|left| left.limited_until = left.limited_until.max(Some(until)));
        }
    }

    /// An effect may be on its way until then, unix milliseconds.
    pub(super) fn on_its_way(&self, until: i64) {
        self.left.with(|left| left.under_way_until = left.under_way_until.max(Some(until)));
    }

    /// The end of a run whose lane or store is gone.
    pub(super) fn failed(&self, error: JournalError) -> CallError {
        if error.is_stale() {
            self.left.with(|left| left.stale = true);
            return Abort::StaleEpoch.into();
        }
        let text =
            format!("{error}: {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default());
        self.left.with(|left| left.broken = Some(text.clone()));
        Abort::HostFault(text).into()
    }

    /// The end of this run, if its installation was paused, removed or lost a grant of the version since the attempt
    /// began, if the version does not go on, or the host that `request` is for. From memory, unless something of the tenant changed.
    pub(super) async fn withheld(&self, request: Option<(&Operation, &Value)>) -> Result<Option<CallError>, CallError> {
        let seats = match self.known.directory.seats(self.tenant()).await {
            Ok(seats) => seats,
            Err(text) => {
                self.left.with(|left| left.broken = Some(text.clone()));
                return Err(Abort::HostFault(text).into());
            }
        };
        let halt = match seat(&seats, self.known.installation) {
            Some(seat) => {
                let stop = seat.stopped.get(&self.known.version).copied();
                withheld(seat.subscriber.standing, stop, &seat.grants, &self.known.asks).or_else(|| {
                    // A host that the version does not ask for by itself is approved, and withdrawn, by its own name.
                    let (op, request) = request?;
                    let grant = not_approved(seat.grants.iter().map(String::as_str), op, request)?;
                    Some(Halt::Withdrawn { grants: vec![grant] })
                })
            }
            None => Some(Halt::Removed),
        };
        Ok(halt.map(|halt| {
            self.left.with(|left| left.halt = Some(halt));
            Abort::HostFault("the installation does not work as at the attempt's start".into()).into()
        }))
    }

    fn granted(&self, interface: &str) -> bool {
        covers(self.known.grants.iter().map(String::as_str), interface)
    }

    /// The answer of an operation that the journal does not hold: refused here, sent, or settled.
    async fn answered(
        &mut self,
        interface: &str,
        function: &str,
        op: Option<&'static Operation>,
        call: Call,
        nth: u32,
    ) -> Result<Value, CallError> {
        if !self.granted(interface) {
            return self.keep(&call, Err(CallError::Denied(interface.to_owned())), None, CallOrigin::Live);
        }
        let Some(op) = op else {
            let text = format!("{interface}.{function} is no operation of this host");
            return self.keep(&call, Err(CallError::Invalid(text)), None, CallOrigin::Live);
        };
        // A request that the platform would not understand makes no intent.
        if let Err(text) = op.body(&call.request) {
            return self.keep(&call, Err(CallError::Invalid(text)), None, CallOrigin::Live);
        }
        if let Some(grant) = not_approved(self.known.grants.iter().map(String::as_str), op, &call.request) {
            return self.keep(&call, Err(CallError::Denied(grant)), None, CallOrigin::Live);
        }
        if let Some(end) = self.withheld(Some((op, &call.request))).await? {
            return Err(end);
        }
        if op.effect { self.effect(op, call, nth).await } else { self.read(op, &call).await }
    }

    /// Sends a call where it belongs: to the platform, or to an outside host.
    pub(super) async fn call(&self, op: &'static Operation, request: &Value, by: Option<i64>) -> Result<Value, Fault> {
        let (shop, tenant) = (&self.known.shop, self.tenant());
        if !is_outside(op) {
            return shop.call(tenant, op, request, by).await;
        }
        let _wait = self.known.waiting.enter(tenant, &self.left, &self.known.clock)?;
        // Whoever drops this at the deadline finds it set.
        self.left.with(|left| left.outside = true);
        let answer = shop.outside(tenant, request, self.known.http_answer_bytes).await;
        self.left.with(|left| left.outside = false);
        answer
    }

    async fn read(&mut self, op: &'static Operation, call: &Call) -> Result<Value, CallError> {
        let answer = self.call(op, &call.request, None).await;
        self.keep(call, answer.map_err(|fault| refusal(fault.to_contract())), None, CallOrigin::Live)
    }

    /// The value under a key as this attempt sees it.
    async fn kv_now(&self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        match self.kv.set.get(key) {
            Some(value) => Ok(value.clone()),
            None => {
                let committed = self.known.journal.kv(self.tenant(), self.known.installation, key).await;
                committed.map_err(|error| self.failed(error))
            }
        }
    }

    async fn kv_refusal(&mut self, key: &str, value: Option<&[u8]>) -> Result<Option<CallError>, CallError> {
        if !self.granted("kv") {
            return Ok(Some(CallError::Denied("kv".into())));
        }
        if key.is_empty() || key.len() > KV_KEY {
            return Ok(Some(CallError::Invalid(format!("key: 1 to {KV_KEY} bytes"))));
        }
        let Some(value) = value else { return Ok(None) };
        if value.len() > KV_VALUE {
            return Ok(Some(CallError::Invalid(format!("value: at most {KV_VALUE} bytes"))));
        }
        self.no_room(key, value).await
    }
}

#[async_trait]
impl RunHost for Host {
    async fn operation(&mut self, interface: &str, function: &str, request: Value) -> Result<Value, CallError> {
        let op = fangshi_operations::of_call(interface, function, &request);
        let kind = if op.is_some_and(|op| op.effect) { CallKind::Effect } else { CallKind::Read };
        let call = self.begin(format!("{interface}/{function}"), request, kind).await?;
        let equal = (call.name.clone(), call.digest);
        let nth = self.equal_calls.get(&equal).copied().unwrap_or(0);
        let answer = match self.replayed(&call)?.and_then(|old| answered(old.result.as_deref(), old.answer.as_ref())) {
            Some(recorded) => recorded,
            // What stopped the attempt may be over: the call is made anew.
            None => {
                self.room().await?;
                self.answered(interface, function, op, call, nth).await
            }
        };
        if !leaves_open(&answer) {
            self.equal_calls.insert(equal, nth + 1);
        }
        answer
    }

    async fn read_order(&mut self, order_id: &str) -> Result<Arc<Snapshot>, CallError> {
        let call = self.begin("orders/get".into(), json!({ "order_id": order_id }), CallKind::Read).await?;
        if let Some(recorded) = self.replayed(&call)? {
            if let Some(snapshot) = recorded.snapshot {
                self.orders.insert(order_id.to_owned(), snapshot.clone());
                return Ok(for_guest(&snapshot));
            }
            if let Some(Err(refused)) = from_json(recorded.result.as_deref(), recorded.answer.as_ref()) {
                return Err(refused);
            }
        }
        self.room().await?;
        if !interfaces().iter().any(|one| one.kind == Kind::Data && self.granted(one.name)) {
            self.keep(&call, Err(CallError::Denied("order-summary".into())), None, CallOrigin::Live)?;
        }
        if let Some(end) = self.withheld(None).await? {
            return Err(end);
        }
        let json = match self.known.shop.read_order(self.tenant(), order_id).await {
            Ok(json) => json,
            Err(fault) => {
                let refused = refusal(fault.to_contract());
                self.keep(&call, Err(refused.clone()), None, CallOrigin::Live)?;
                return Err(refused);
            }
        };
        let snapshot = SnapshotRow::new(order_id, json, self.known.clock.now());
        let mut row = self.row(&call, &Ok(Value::Null), None, CallOrigin::Live);
        (row.answer, row.snapshot) = (None, Some(snapshot.clone()));
        self.known.buffer.call(&row).map_err(|error| self.failed(error))?;
        self.orders.insert(order_id.to_owned(), snapshot.clone());
        Ok(for_guest(&snapshot))
    }

    async fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        let call = self.begin("kv/get".into(), json!({ "key": key }), CallKind::Own).await?;
        if let Some(recorded) = self.replayed(&call)?
            && let Some(answer) = from_json(recorded.result.as_deref(), recorded.answer.as_ref())
        {
            return Ok(answer?.as_str().and_then(|text| hex::decode(text).ok()));
        }
        self.room().await?;
        if let Some(refused) = self.kv_refusal(key, None).await? {
            self.keep(&call, Err(refused.clone()), None, CallOrigin::Live)?;
            return Err(refused);
        }
        let value = self.kv_now(key).await?;
        let answer = value.as_ref().map_or(Value::Null, |value| Value::String(hex::encode(value)));
        self.keep(&call, Ok(answer), None, CallOrigin::Live)?;
        Ok(value)
    }

    async fn kv_set(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), CallError> {
        let request = json!({ "key": key, "value": value.as_ref().map(hex::encode) });
        let call = self.begin("kv/set".into(), request, CallKind::Own).await?;
        if let Some(recorded) = self.replayed(&call)?
            && let Some(answer) = from_json(recorded.result.as_deref(), recorded.answer.as_ref())
        {
            answer?;
        } else {
            self.room().await?;
            let refused = self.kv_refusal(key, value.as_deref()).await?;
            self.keep(&call, refused.map_or(Ok(Value::Null), Err), None, CallOrigin::Live)?;
        }
        self.left.with(|left| {
            left.kv.retain(|change| change.key != key);
            left.kv.push(KvChange { key: key.to_owned(), value: value.clone() });
        });
        self.kv.set.insert(key.to_owned(), value);
        Ok(())
    }

    fn log(&mut self, level: u8, text: &str) {
        if let Err(error) = self.known.buffer.log(level, &self.known.hidden.out_of(text)) {
            let _ = self.failed(error);
        }
    }
}
