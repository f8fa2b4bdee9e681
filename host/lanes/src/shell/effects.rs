//! Effects: the intent is durable before anything is sent, the outcome before the plugin sees it.

use std::sync::Arc;

use fangshi_journal::{
    Allowance, BUSY, CallOrigin, Effect, EffectKey, EffectState, Intent, JournalError, Outcome, SnapshotRow,
};
use fangshi_operations::{
    Asker, Class, Decoded, Fault, OUTSIDE_CALL, Operation, Proof, Repeat, Sent, Verdict, gift_of, is_outside,
};
use fangshi_runtime::{Abort, CallError};
use serde_json::Value;

use super::host::{Call, Host};
use super::told::{from_json, refusal};
use crate::decide::effect::{
    Settled, Way, in_doubt, is_under_way, keep, let_go_by, looked, settle, settle_restored, unanswered,
    under_way_until, way,
};
use crate::decide::ending::Halt;

/// Between the places of equal decodes of one order whose address changed in between; more than a run can call.
const MOVED: u32 = 1 << 20;
const HOUR_MS: i64 = 3_600_000;

/// What a sending brought.
struct Brought {
    answer: Result<Value, CallError>,
    state: EffectState,
    fault: Option<Fault>,
    origin: CallOrigin,
    /// Nothing left the host, whatever was intended.
    kept_back: bool,
    /// The platform answered the last send with being busy.
    busy: bool,
    /// Sends that never got an answer, but for the last.
    unsure: u32,
}

impl Brought {
    /// An answer without a fault.
    fn of(answer: Result<Value, CallError>, state: EffectState, origin: CallOrigin) -> Brought {
        Brought { answer, state, fault: None, origin, kept_back: false, busy: false, unsure: 0 }
    }
}

impl Host {
    /// An effect call: answered from an earlier attempt's outcome, settled by looking, or sent.
    pub(super) async fn effect(&mut self, op: &'static Operation, call: Call, nth: u32) -> Result<Value, CallError> {
        let mut key = EffectKey { operation: call.name.clone(), digest: call.digest, nth };
        let order_id = op.order_of(&call.request).unwrap_or_default().to_owned();
        let mut before = self.seen(op, &order_id);
        while op.decodes() && moved(self.known.effects.get(&key), before.as_ref()) {
            // What an earlier attempt decoded is where the order went then: this is another effect.
            key.nth += MOVED;
        }
        let mut earlier = self.known.effects.get(&key).cloned();
        let mut unsure = earlier.as_ref().map_or(0, |earlier| earlier.unsure);
        let mut way = way(earlier.as_ref());
        if op.decodes() && way != Way::Recorded {
            let to_settle = way == Way::Settle;
            if let Some(answered) = self.kept(op, &call, &key, before.as_ref(), to_settle).await {
                return answered;
            }
        }
        let restored_at = self.restored_at(op);
        if let Some(since) = restored_at
            && way == Way::Send
        {
            // It may have been sent after the backup was taken: as if its intent had been in it.
            self.intend(&call, &key, &order_id, None, self.allowance(op)).await?;
            let perhaps = self.sent_perhaps(&key, since);
            // By an equal call of this attempt as well: it is one sending that may have been.
            self.known.effects.insert(key.clone(), perhaps.clone());
            (earlier, before, way) = (Some(perhaps), None, Way::Settle);
        }
        match (way, earlier) {
            (Way::Recorded, Some(earlier)) => {
                let answer = from_json(earlier.result.as_deref(), earlier.answer.as_ref())
                    .unwrap_or_else(|| Err(CallError::OutcomeUnknown("the recorded answer can't be read".into())));
                return self.keep(&call, answer, Some(key), CallOrigin::EarlierEffect);
            }
            (Way::Settle, Some(earlier)) => {
                // Of a restored run it is not known when it was sent first, whatever was intended since; nor does what the
                // order shows now tell how it was before that.
                let intended_at = restored_at.map_or(earlier.intent_at, |at| at.min(earlier.intent_at));
                let older = before.filter(|order| restored_at.is_none() && order.read_at < intended_at);
                before = earlier.before.clone().or(older);
                let verdict = match self.verdict(op, &call, before.as_ref(), intended_at).await {
                    Ok(verdict) => looked(op.repeat, &earlier, verdict),
                    // It can't be found out now: the effect stays as it is, and the plugin may come back.
                    Err(fault) => {
                        let refused = self.in_doubt(refusal(fault.to_contract()));
                        return self.keep(&call, Err(refused), Some(key), CallOrigin::Reread);
                    }
                };
                let unsure_before = unanswered(&earlier).saturating_sub(1);
                let under_way = is_under_way(op.repeat, &earlier, self.known.clock.now());
                let settled = match restored_at {
                    None => settle(op.repeat, unsure_before, verdict, under_way),
                    Some(_) => settle_restored(op.repeat, unsure_before, verdict, under_way),
                };
                match settled {
                    Settled::Later => {
                        self.on_its_way(under_way_until(&earlier));
                        let refused = self.in_doubt(CallError::Unavailable("it may still be on its way".into()));
                        return self.keep(&call, Err(refused), Some(key), CallOrigin::Reread);
                    }
                    Settled::SendAgain => unsure = unanswered(&earlier),
                    settled => {
                        let (answer, state) = found(settled);
                        let (busy, unsure) = (earlier.met_a_busy_platform(), earlier.unsure);
                        let seen = Brought { busy, unsure, ..Brought::of(answer, state, CallOrigin::Reread) };
                        return self.conclude(&call, key, seen).await;
                    }
                }
            }
            _ => {}
        }
        let brought = self.send(op, &call, &key, &order_id, before, unsure).await?;
        self.conclude(&call, key, Brought { unsure, ..brought }).await
    }

    /// What this attempt last saw of the order that an effect changes. A gift is seen in the orders made of it.
    fn seen(&self, op: &Operation, order_id: &str) -> Option<SnapshotRow> {
        let made_of_it = |order: &&SnapshotRow| gift_of(&order.json).as_deref() == Some(order_id);
        let seen = match op.proof() {
            Proof::PresentOrder => self.orders.values().filter(made_of_it).max_by_key(|order| order.read_at),
            _ => None,
        };
        seen.or_else(|| self.orders.get(order_id)).cloned()
    }

    /// Intent, then the call. Without an answer it is looked for at once; whether it is sent again is for a later try, which the
    /// platform may be well for.
    async fn send(
        &mut self,
        op: &'static Operation,
        call: &Call,
        key: &EffectKey,
        order_id: &str,
        before: Option<SnapshotRow>,
        unsure: u32,
    ) -> Result<Brought, CallError> {
        let intended_at = self.known.clock.now();
        self.intend(call, key, order_id, before.as_ref(), self.allowance(op)).await?;
        // Once more: whoever was told that the installation is paused or gone sees nothing sent after that.
        if let Some(end) = self.withheld(Some((op, &call.request))).await? {
            // An earlier send may be in doubt still; this one is not, and is no more of them.
            let state = EffectState::RefusedForNow;
            return Ok(Brought { kept_back: true, ..Brought::of(Err(end), state, CallOrigin::Live) });
        }
        let called = match op.decodes() {
            true => self.known.shop.decode(self.asker(), op, &call.request).await,
            false => {
                let by = let_go_by(op.repeat, intended_at);
                self.call(op, &call.request, by).await.map(Decoded::live)
            }
        };
        let fault = match called {
            Ok(Decoded { answer, kept }) => {
                let origin = if kept { CallOrigin::Kept } else { CallOrigin::Live };
                return Ok(Brought::of(Ok(answer), EffectState::Applied, origin));
            }
            Err(fault) => fault,
        };
        if fault.sent != Sent::Unknown {
            let refused = refusal(fault.to_contract());
            let answer = Err(if unsure > 0 { self.in_doubt(refused) } else { refused });
            // Done, says the platform, in an answer that can't be used: never to be sent again.
            let state = if fault.class == Class::Unreadable { EffectState::Applied } else { keep(&answer, unsure) };
            let kept_back = fault.sent == Sent::NotSent;
            let brought = Brought::of(answer, state, CallOrigin::Live);
            return Ok(Brought { fault: Some(fault), kept_back, ..brought });
        }
        let busy = fault.class == Class::Busy;
        let settled = match busy && op.repeat != Repeat::Unknown {
            // "Try again", it says: then a look comes before that.
            true => Settled::Later,
            false => match self.verdict(op, call, before.as_ref(), intended_at).await {
                Ok(verdict) => settle(op.repeat, unsure, verdict, true),
                Err(_) => Settled::Later,
            },
        };
        if settled == Settled::Later {
            let sent = Effect { before, ..self.sent_perhaps(key, intended_at) };
            return Ok(self.left_open(op.repeat, sent, unsure, fault));
        }
        let (answer, state) = found(settled);
        Ok(Brought { fault: Some(fault), busy, ..Brought::of(answer, state, CallOrigin::Reread) })
    }

    /// An effect of which a look will tell: by this attempt's next equal call as well. The plugin is not told
    /// `outcome-unknown`, on which it would give up.
    fn left_open(&mut self, repeat: Repeat, sent: Effect, unsure: u32, fault: Fault) -> Brought {
        let busy = fault.class == Class::Busy;
        let told = match busy {
            true => refusal(fault.to_contract()),
            false => {
                CallError::Unavailable(format!("{}; it may have been applied, and the next try looks", fault.message))
            }
        };
        let told = if unsure > 0 { in_doubt(told) } else { told };
        let sent = Effect { outcome_at: Some(self.known.clock.now()), ..sent };
        if repeat == Repeat::Verify {
            self.on_its_way(under_way_until(&sent));
        }
        self.known.effects.insert(sent.key.clone(), sent);
        Brought { fault: Some(fault), busy, ..Brought::of(Err(told), EffectState::Unknown, CallOrigin::Live) }
    }

    /// Makes the intent durable. Only then may anything be sent.
    async fn intend(
        &self,
        call: &Call,
        key: &EffectKey,
        order_id: &str,
        before: Option<&SnapshotRow>,
        within: Option<Allowance>,
    ) -> Result<(), CallError> {
        let intent = Intent {
            key: key.clone(),
            order_id: order_id.to_owned(),
            installation: self.known.installation,
            request: Arc::clone(&call.request),
            before: before.cloned(),
            position: call.position,
        };
        // What changes no order leaves what was read of it as it is.
        if !order_id.is_empty() {
            self.left.with(|left| left.changed = true);
        }
        let durable = self.known.journal.intent(&self.known.fence, &self.known.buffer, &intent, within).await;
        durable.map_err(|error| match error {
            JournalError::TooManyEffects => {
                self.left.with(|left| left.halt = Some(Halt::Loop { allowed: self.known.effects_per_hour }));
                Abort::HostFault("more effects on this order than are allowed in an hour".into()).into()
            }
            error => self.failed(error),
        })
    }

    /// Stops a run whose installation keeps changing one order. What goes outside changes none, and has a limit of its own.
    fn allowance(&self, op: &Operation) -> Option<Allowance> {
        let since_ms = self.known.clock.now() - HOUR_MS;
        (!is_outside(op)).then_some(Allowance { effects: self.known.effects_per_hour, since_ms, but: OUTSIDE_CALL })
    }

    /// An effect of which only that it may have been sent is known. `since`: unix milliseconds.
    fn sent_perhaps(&self, key: &EffectKey, since: i64) -> Effect {
        Effect {
            key: key.clone(),
            state: EffectState::Intent,
            sends: 1,
            unsure: 0,
            attempt: self.known.buffer.attempt(),
            result: None,
            answer: None,
            before: None,
            intent_at: since,
            outcome_at: None,
        }
    }

    /// A decode that needs no sending: its answer was kept, or it can't be sent now. None: send it.
    async fn kept(
        &mut self,
        op: &'static Operation,
        call: &Call,
        key: &EffectKey,
        order: Option<&SnapshotRow>,
        to_settle: bool,
    ) -> Option<Result<Value, CallError>> {
        let order = order.map(|order| &*order.json);
        let answer = self.known.shop.kept(self.asker(), op, &call.request, order).await;
        Some(match answer.transpose()? {
            // An intent without an outcome gets it; else nothing was sent and there is no effect.
            Ok(value) if to_settle => {
                self.conclude(call, key.clone(), Brought::of(Ok(value), EffectState::Applied, CallOrigin::Kept)).await
            }
            Ok(value) => self.keep(call, Ok(value), None, CallOrigin::Kept),
            Err(fault) => self.keep(call, Err(refusal(fault.to_contract())), None, CallOrigin::Live),
        })
    }

    /// Since when a lost store may have sent this effect, unix milliseconds. Where only a clock that was behind would have it
    /// so, the same value once more does no harm.
    fn restored_at(&self, op: &Operation) -> Option<i64> {
        let perhaps = self.known.sent_perhaps.filter(|perhaps| !(perhaps.by_clock && op.repeat == Repeat::Resend));
        perhaps.map(|perhaps| perhaps.since)
    }

    /// What the plugin is told instead; a wait that the refusal asks for holds.
    fn in_doubt(&self, refused: CallError) -> CallError {
        self.limited(&refused);
        in_doubt(refused)
    }

    fn asker(&self) -> Asker {
        Asker { tenant: self.tenant(), installation: self.known.installation }
    }

    /// Looks what became of an effect, where looking can tell.
    async fn verdict(
        &self,
        op: &'static Operation,
        call: &Call,
        before: Option<&SnapshotRow>,
        intent_at: i64,
    ) -> Result<Option<Verdict>, Fault> {
        if op.repeat == Repeat::Unknown {
            return Ok(None);
        }
        let before = before.map(|order| &*order.json);
        let intended_at = intent_at.div_euclid(1_000);
        self.known.shop.settle(self.tenant(), op, &call.request, before, intended_at).await.map(Some)
    }

    /// Makes the outcome durable, and only then gives the answer on.
    async fn conclude(&mut self, call: &Call, key: EffectKey, brought: Brought) -> Result<Value, CallError> {
        let Brought { answer, state, fault, origin, kept_back, busy, unsure } = brought;
        let row = self.row(call, &answer, Some(key.clone()), origin);
        // This attempt's next equal call may be the same effect.
        if let Some(kept) = self.known.effects.get_mut(&key) {
            (kept.state, kept.unsure, kept.outcome_at) = (state, unsure, Some(self.known.clock.now()));
            kept.result = busy.then(|| BUSY.into());
        }
        let outcome = Outcome {
            key,
            state,
            kept_back,
            busy,
            platform_code: fault.as_ref().map(|fault| fault.code).filter(|code| *code != 0),
            rid: fault.and_then(|fault| fault.rid),
            call: row,
        };
        let durable = self.known.journal.outcome(&self.known.fence, &self.known.buffer, &outcome).await;
        durable.map_err(|error| self.failed(error))?;
        answer
    }
}

/// Whether the order shows another address than at an earlier attempt's effect.
fn moved(earlier: Option<&Effect>, now: Option<&SnapshotRow>) -> bool {
    match (earlier.and_then(|earlier| earlier.before.as_ref()), now) {
        (Some(then), Some(now)) => !fangshi_operations::same_address(&then.json, &now.json),
        _ => false,
    }
}

fn found(settled: Settled) -> (Result<Value, CallError>, EffectState) {
    match settled {
        Settled::Applied(answer) => (Ok(answer), EffectState::Applied),
        Settled::Unknown(text) => (Err(CallError::OutcomeUnknown(text)), EffectState::Unknown),
        // Handled by the callers; as an outcome it would be unknown.
        Settled::SendAgain | Settled::Later => (Err(CallError::OutcomeUnknown(String::new())), EffectState::Unknown),
    }
}
