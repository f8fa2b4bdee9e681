//! One recorded attempt, executed again exactly: same version, clock, seed, settings and order, every call answered by
//! its position in the journal.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fangshi_journal::{EndedAs, Journal, RecordedAttempt, RecordedCall, RunId, TenantId};
use fangshi_runtime::{Abort, CallError, Outcome, RunHost, RunReport, Snapshot};
use fangshi_tenants::SecretValues;
use serde::Serialize;
use serde_json::{Value, json};

use super::{DEADLINE, ReplayError, Replays};
use crate::config::RunLimits;
use crate::decide::divergence::differs;
use crate::decide::ending::{JOURNAL_BYTES, code_of};
use crate::shell::input::Begun;
use crate::shell::order::for_guest;
use crate::shell::told::from_json;

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// The run.
    pub run: RunId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// sha256 of the component, in hex.
    pub version: String,
    /// The engine that the attempt ran in.
    pub engine_then: String,
    /// The engine now. Another engine may count fuel otherwise; calls and outcome must not differ.
    pub engine_now: String,
    /// How the attempt ended then: a code; none: it was cut off, or is under way.
    pub outcome_then: Option<String>,
    /// How it ended now.
    pub outcome_now: String,
    /// Calls that the journal holds.
    pub calls_then: u32,
    /// Calls that were made now.
    pub calls_now: u32,
    /// Fuel used then; none: the attempt has no end.
    pub fuel_then: Option<u64>,
    /// Fuel used now.
    pub fuel_now: u64,
    /// Whether the two are the same.
    pub verdict: ReplayVerdict,
}

/// Whether a replay repeated what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "difference", rename_all = "kebab-case")]
pub enum ReplayVerdict {
    /// Call by call, line by line of the log, and in its end.
    Same,
    /// As far as the journal goes: the host, the clock or a crash ended the attempt then.
    SameSoFar,
    /// The first difference, in words.
    Diverged(String),
}

/// Outcomes that the host brought about by itself: where the journal ends, nobody knows how the guest would go on.
const ENDED_BY_THE_HOST: [&str; 10] = [
    "deadline",
    "loop",
    "divergence",
    "host-fault",
    "crashed",
    "removed",
    "paused",
    "withdrawn",
    "quarantined",
    "revoked",
];
/// Outcomes without a guest, unless it made calls before.
const BEFORE_THE_GUEST: [&str; 9] = [
    "order-unavailable",
    "not-loaded",
    "event-unfit",
    "withdrawn",
    "crashed",
    "paused",
    "removed",
    "quarantined",
    "revoked",
];

impl Replays {
    /// Executes one attempt again; `None` is the last one that was recorded. Sends nothing and writes nothing.
    ///
    /// # Errors
    /// See [`ReplayError`]. A divergence is no error: it is the verdict.
    pub async fn replay(&self, tenant: TenantId, run: RunId, attempt: Option<u32>) -> Result<Replayed, ReplayError> {
        let missing = |attempt| ReplayError::NoSuchAttempt { run, attempt };
        let detail = self.journal.run(tenant, run).await?.ok_or_else(|| missing(attempt.unwrap_or(1)))?;
        let last = detail.attempt_list.last().map_or(1, |last| last.number);
        let number = attempt.unwrap_or(last);
        let then = self.journal.recorded_attempt(tenant, run, number).await?.ok_or_else(|| missing(number))?;
        if let Some(end) = &then.ended
            && then.calls.is_empty()
            && BEFORE_THE_GUEST.contains(&end.outcome.as_str())
        {
            return Err(ReplayError::NoGuestRan { run, attempt: number, outcome: end.outcome.clone() });
        }
        let event = self.journal.event(tenant, detail.run.event_seq).await?;
        let guest = self.guests.load(tenant, then.start.version).await.map_err(ReplayError::NotLoaded)?;
        let schema = guest.settings_schema();
        let begun = Begun { event: &event, hook: &detail.run.hook, number, start: &then.start, schema };
        let input = begun.input(RunLimits::stored(&then.start.inputs.limits).run, DEADLINE);
        // What was kept holds no secret, so neither does what it is held against.
        let hidden = SecretValues::of(&then.start.inputs.settings, &then.start.inputs.secrets);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let host = Player {
            journal: self.journal.clone(),
            tenant,
            calls: then.calls.clone().into(),
            position: 0,
            seen: Arc::clone(&seen),
            hidden: hidden.clone(),
        };
        let report = guest.run(input, Box::new(host)).await;
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        Ok(Replayed {
            run,
            attempt: number,
            version: then.start.version.to_string(),
            engine_then: then.start.engine.clone(),
            engine_now: self.guests.engine(),
            outcome_then: then.ended.as_ref().map(|end| end.outcome.clone()),
            outcome_now: code_of(&report.outcome).to_owned(),
            calls_then: then.calls.len() as u32,
            calls_now: seen.made,
            fuel_then: then.ended.as_ref().map(|end| end.fuel),
            fuel_now: report.fuel_used,
            verdict: judge(&then, &seen, &report, &hidden),
        })
    }
}

/// What a replay did.
#[derive(Default)]
struct Seen {
    made: u32,
    divergence: Option<String>,
    /// The guest asked for more than the journal holds.
    beyond: Option<String>,
    logs: Vec<(u8, String)>,
}

fn judge(then: &RecordedAttempt, seen: &Seen, report: &RunReport, hidden: &SecretValues) -> ReplayVerdict {
    if let Some(text) = &seen.divergence {
        return ReplayVerdict::Diverged(text.clone());
    }
    let open_end = match &then.ended {
        None => true,
        Some(end) => ENDED_BY_THE_HOST.contains(&end.outcome.as_str()) || journal_was_full(end),
    };
    if let Some(text) = &seen.beyond {
        return if open_end { ReplayVerdict::SameSoFar } else { ReplayVerdict::Diverged(text.clone()) };
    }
    if (seen.made as usize) < then.calls.len() {
        let left = then.calls.len() - seen.made as usize;
        return ReplayVerdict::Diverged(format!("{left} recorded calls were not made again"));
    }
    if let Some(at) = then.logs.iter().zip(&seen.logs).position(|(then, now)| then != now) {
        return ReplayVerdict::Diverged(format!("line {at} of the log has other words"));
    }
    let Some(end) = then.ended.as_ref().filter(|_| !open_end) else { return ReplayVerdict::SameSoFar };
    if then.logs.len() != seen.logs.len() {
        return ReplayVerdict::Diverged(format!("the log had {} lines and has {}", then.logs.len(), seen.logs.len()));
    }
    match ended_so(end, &report.outcome, hidden) {
        None => ReplayVerdict::Same,
        Some(text) => ReplayVerdict::Diverged(text),
    }
}

/// The one limit that the host holds between calls, so that a replay, which keeps nothing, does not meet it.
fn journal_was_full(end: &EndedAs) -> bool {
    end.outcome == "limit" && end.reason.split(':').next() == Some(JOURNAL_BYTES)
}

fn ended_so(then: &EndedAs, now: &Outcome, hidden: &SecretValues) -> Option<String> {
    let code = code_of(now);
    if then.outcome != code {
        return Some(format!("it ended as `{}` and now as `{code}`", then.outcome));
    }
    match now {
        Outcome::RetryLater { reason, .. } | Outcome::Reject { reason } if hidden.out_of(reason) != then.reason => {
            Some("it ended with other words".to_owned())
        }
        _ => None,
    }
}

/// Answers by position.
struct Player {
    journal: Journal,
    tenant: TenantId,
    calls: VecDeque<RecordedCall>,
    position: u32,
    seen: Arc<Mutex<Seen>>,
    hidden: SecretValues,
}

impl Player {
    fn seen<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(&mut self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// The recorded call at this place, with its answer.
    async fn next(&mut self, name: &str, request: &Value) -> Result<RecordedCall, CallError> {
        let digest = self.journal.call_digest(self.tenant, name, request).await;
        let digest = digest.map_err(|error| Abort::HostFault(error.to_string()))?;
        let Some(recorded) = self.calls.pop_front() else {
            return Err(self.stop(format!("call {} ({name}) is not in the journal", self.position)));
        };
        if let Some(text) = differs(&recorded, self.position, name, &digest) {
            self.seen(|seen| seen.divergence = Some(text.clone()));
            return Err(Abort::Divergence(text).into());
        }
        self.position += 1;
        self.seen(|seen| seen.made += 1);
        if recorded.result.is_none() {
            return Err(self.stop(format!("call {} ({name}) has no outcome in the journal", recorded.position)));
        }
        Ok(recorded)
    }

    fn stop(&self, text: String) -> CallError {
        self.seen(|seen| seen.beyond = Some(text.clone()));
        Abort::HostFault(text).into()
    }

    fn answer(&self, recorded: &RecordedCall) -> Result<Value, CallError> {
        from_json(recorded.result.as_deref(), recorded.answer.as_ref())
            .unwrap_or_else(|| Err(self.stop(format!("the answer of call {} can't be read", recorded.position))))
    }
}

#[async_trait]
impl RunHost for Player {
    async fn operation(&mut self, interface: &str, function: &str, request: Value) -> Result<Value, CallError> {
        let recorded = self.next(&format!("{interface}/{function}"), &request).await?;
        self.answer(&recorded)
    }

    async fn read_order(&mut self, order_id: &str) -> Result<Arc<Snapshot>, CallError> {
        let recorded = self.next("orders/get", &json!({ "order_id": order_id })).await?;
        match &recorded.snapshot {
            Some(snapshot) => Ok(for_guest(snapshot)),
            None => {
                self.answer(&recorded)?;
                Err(self.stop(format!("the answer of call {} can't be read", recorded.position)))
            }
        }
    }

    async fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        let recorded = self.next("kv/get", &json!({ "key": key })).await?;
        Ok(self.answer(&recorded)?.as_str().and_then(|text| hex::decode(text).ok()))
    }

    async fn kv_set(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), CallError> {
        let request = json!({ "key": key, "value": value.as_ref().map(hex::encode) });
        let recorded = self.next("kv/set", &request).await?;
        self.answer(&recorded).map(drop)
    }

    fn log(&mut self, level: u8, text: &str) {
        let text = self.hidden.out_of(text).into_owned();
        self.seen(|seen| seen.logs.push((level, text)));
    }
}
