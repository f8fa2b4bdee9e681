//! Writing buffered rows. Each insert does nothing, or the same again, when its row is there already.

use std::sync::Arc;

use fangshi_database::{RunId, Script, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attempt::AttemptStart;
use crate::effect::EffectKey;
use crate::lane::Fence;
use crate::snapshot::{SealedSnapshot, SnapshotRow, bind_snapshot};
use crate::{Journal, JournalError, kept, seal};

/// What kind of host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// Changes nothing outside.
    Read,
    /// Changes something outside: see the effect.
    Effect,
    /// The installation's own store.
    Own,
}

impl CallKind {
    fn code(self) -> i64 {
        match self {
            CallKind::Read => 0,
            CallKind::Effect => 1,
            CallKind::Own => 2,
        }
    }

    pub(crate) fn from_code(code: i64) -> Result<CallKind, JournalError> {
        Ok(match code {
            0 => CallKind::Read,
            1 => CallKind::Effect,
            2 => CallKind::Own,
            other => return Err(JournalError::Corrupt(format!("call kind {other}"))),
        })
    }
}

/// Where the answer of a call came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallOrigin {
    /// The call itself.
    Live,
    /// The recorded outcome of the same effect in an earlier attempt.
    EarlierEffect,
    /// The order was read again and showed what became of an earlier intent.
    Reread,
    /// A decode that was kept: nothing was sent.
    Kept,
}

impl CallOrigin {
    fn code(self) -> i64 {
        match self {
            CallOrigin::Live => 0,
            CallOrigin::EarlierEffect => 1,
            CallOrigin::Reread => 2,
            CallOrigin::Kept => 3,
        }
    }

    pub(crate) fn from_code(code: i64) -> Result<CallOrigin, JournalError> {
        Ok(match code {
            0 => CallOrigin::Live,
            1 => CallOrigin::EarlierEffect,
            2 => CallOrigin::Reread,
            3 => CallOrigin::Kept,
            other => return Err(JournalError::Corrupt(format!("call origin {other}"))),
        })
    }
}

/// A host call on its way into the journal.
#[derive(Clone)]
pub struct CallRow {
    /// From 0, without gaps.
    pub position: u32,
    /// `notes/set-merchant-notes`.
    pub name: String,
    /// What kind.
    pub kind: CallKind,
    /// Keyed digest of name and request ([`Journal::call_digest`]).
    pub digest: [u8; 32],
    /// The request.
    pub request: Arc<Value>,
    /// Code of the result (`ok`, `limited`, …); none: an intent.
    pub result: Option<&'static str>,
    /// The answer, unless a snapshot is the answer.
    pub answer: Option<Value>,
    /// The order that is the answer.
    pub snapshot: Option<SnapshotRow>,
    /// The effect it made or was answered by.
    pub effect: Option<EffectKey>,
    /// Where the answer came from.
    pub origin: CallOrigin,
    /// When it began, unix milliseconds.
    pub at_ms: i64,
    /// How long it took, milliseconds.
    pub took_ms: Option<i64>,
}

/// A sealed row.
pub(crate) enum Row {
    Start(Box<StartRow>),
    Call(Box<SealedCall>),
    Log(LogRow),
}

pub(crate) struct StartRow {
    run: RunId,
    number: u32,
    version: [u8; 32],
    engine: String,
    clock_ms: i64,
    inputs: Vec<u8>,
    snapshot: Option<SealedSnapshot>,
    resumes: u32,
    started_at: i64,
}

pub(crate) struct SealedCall {
    run: RunId,
    attempt: u32,
    position: u32,
    name: String,
    kind: CallKind,
    digest: [u8; 32],
    request: Vec<u8>,
    result: Option<&'static str>,
    answer: Option<Vec<u8>>,
    snapshot: Option<SealedSnapshot>,
    effect: Option<EffectKey>,
    origin: CallOrigin,
    at_ms: i64,
    took_ms: Option<i64>,
}

pub(crate) struct LogRow {
    run: RunId,
    attempt: u32,
    line: u32,
    position: u32,
    level: u8,
    text: Vec<u8>,
}

impl Row {
    pub(crate) fn start(
        journal: &Journal,
        tenant: TenantId,
        run: RunId,
        number: u32,
        start: &AttemptStart,
    ) -> Result<Row, JournalError> {
        let inputs = serde_json::to_vec(&start.inputs).map_err(|e| JournalError::Corrupt(format!("inputs: {e}")))?;
        Ok(Row::Start(Box::new(StartRow {
            run,
            number,
            version: start.version.0,
            engine: start.engine.clone(),
            clock_ms: start.clock_ms,
            inputs: journal.seal(tenant, seal::ATTEMPT_INPUTS, &seal::attempt_row(run, number), &inputs)?,
            snapshot: seal_snapshot(journal, tenant, start.snapshot.as_ref())?,
            resumes: start.resumes,
            started_at: journal.clock.now(),
        })))
    }

    pub(crate) fn call(
        journal: &Journal,
        tenant: TenantId,
        run: RunId,
        attempt: u32,
        call: &CallRow,
    ) -> Result<Row, JournalError> {
        let row = seal::line_row(run, attempt, call.position);
        let request = journal.seal(tenant, seal::CALL_REQUEST, &row, &kept::of_request(&call.request))?;
        let answer = match &call.answer {
            Some(answer) => Some(journal.seal(tenant, seal::CALL_ANSWER, &row, &kept::of_answer(answer))?),
            None => None,
        };
        Ok(Row::Call(Box::new(SealedCall {
            run,
            attempt,
            position: call.position,
            name: call.name.clone(),
            kind: call.kind,
            digest: call.digest,
            request,
            result: call.result,
            answer,
            snapshot: seal_snapshot(journal, tenant, call.snapshot.as_ref())?,
            effect: call.effect.clone(),
            origin: call.origin,
            at_ms: call.at_ms,
            took_ms: call.took_ms,
        })))
    }

    #[allow(clippy::too_many_arguments)] // a row's columns
    pub(crate) fn log(
        journal: &Journal,
        tenant: TenantId,
        run: RunId,
        attempt: u32,
        line: u32,
        position: u32,
        level: u8,
        text: &str,
    ) -> Result<Row, JournalError> {
        let text = journal.seal(tenant, seal::LOG_TEXT, &seal::line_row(run, attempt, line), text.as_bytes())?;
        Ok(Row::Log(LogRow { run, attempt, line, position, level, text }))
    }

    /// Bytes that it takes, but for what is as small in every row.
    pub(crate) fn bytes(&self) -> usize {
        let of = |snapshot: &Option<SealedSnapshot>| snapshot.as_ref().map_or(0, SealedSnapshot::bytes);
        match self {
            Row::Start(start) => start.inputs.len() + of(&start.snapshot),
            Row::Call(call) => call.request.len() + call.answer.as_ref().map_or(0, Vec::len) + of(&call.snapshot),
            Row::Log(log) => log.text.len(),
        }
    }

    fn add_to(&self, script: &mut Script, fence: &Fence) {
        match self {
            Row::Start(start) => start.add_to(script, fence),
            Row::Call(call) => call.add_to(script),
            Row::Log(log) => log.add_to(script),
        }
    }
}

fn seal_snapshot(
    journal: &Journal,
    tenant: TenantId,
    snapshot: Option<&SnapshotRow>,
) -> Result<Option<SealedSnapshot>, JournalError> {
    snapshot.map(|snapshot| SealedSnapshot::seal(journal, tenant, snapshot)).transpose()
}

/// Writes buffered rows; the fence is checked in the same transaction.
pub(crate) fn add_all(script: &mut Script, fence: &Fence, rows: &[Arc<Row>]) {
    for row in rows {
        row.add_to(script, fence);
    }
}

impl StartRow {
    fn add_to(&self, script: &mut Script, fence: &Fence) {
        if let Some(snapshot) = &self.snapshot {
            snapshot.add_to(script);
        }
        let start = script
            .add(
                "INSERT INTO attempts (run_id, number, epoch, resumes, version, engine, clock_ms, inputs, started_at, \
                 snapshot_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
                 (SELECT id FROM snapshots WHERE tenant_id = $10 AND order_id = $11 AND digest = $12)) \
                 ON CONFLICT (run_id, number) DO UPDATE SET epoch = excluded.epoch, resumes = excluded.resumes",
            )
            .bind(self.run.0)
            .bind(i64::from(self.number))
            .bind(fence.epoch)
            .bind(i64::from(self.resumes))
            .bind(self.version.to_vec())
            .bind(self.engine.clone())
            .bind(self.clock_ms)
            .bind(self.inputs.clone())
            .bind(self.started_at);
        bind_snapshot(start, self.snapshot.as_ref());
    }
}

impl SealedCall {
    pub(crate) fn add_to(&self, script: &mut Script) {
        if let Some(snapshot) = &self.snapshot {
            snapshot.add_to(script);
        }
        let effect = self.effect.as_ref();
        let call = script
            .add(
                "INSERT INTO calls (run_id, attempt, position, name, kind, digest, request, result, answer, origin, \
                 at_ms, took_ms, effect_id, snapshot_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
                 (SELECT id FROM effects WHERE run_id = $1 AND operation = $13 AND digest = $14 AND nth = $15), \
                 (SELECT id FROM snapshots WHERE tenant_id = $16 AND order_id = $17 AND digest = $18)) \
                 ON CONFLICT (run_id, attempt, position) DO UPDATE SET result = excluded.result, \
                 answer = excluded.answer, effect_id = excluded.effect_id, origin = excluded.origin, \
                 took_ms = excluded.took_ms \
                 WHERE (calls.result IS NULL OR calls.result = 'aborted') AND calls.digest = excluded.digest",
            )
            .bind(self.run.0)
            .bind(i64::from(self.attempt))
            .bind(i64::from(self.position))
            .bind(self.name.clone())
            .bind(self.kind.code())
            .bind(self.digest.to_vec())
            .bind(self.request.clone())
            .bind(self.result)
            .bind(self.answer.clone())
            .bind(self.origin.code())
            .bind(self.at_ms)
            .bind(self.took_ms)
            .bind(effect.map(|key| key.operation.clone()))
            .bind(effect.map(|key| key.digest.to_vec()))
            .bind(effect.map(|key| i64::from(key.nth)));
        bind_snapshot(call, self.snapshot.as_ref());
    }
}

impl LogRow {
    fn add_to(&self, script: &mut Script) {
        script
            .add(
                "INSERT INTO logs (run_id, attempt, line, position, level, text) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(self.run.0)
            .bind(i64::from(self.attempt))
            .bind(i64::from(self.line))
            .bind(i64::from(self.position))
            .bind(i64::from(self.level))
            .bind(self.text.clone());
    }
}
