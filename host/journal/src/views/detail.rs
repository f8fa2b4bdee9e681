//! One run with everything the journal knows of it.

use std::collections::BTreeMap;

use fangshi_database::{AttemptId, Digest, RunId, TenantId};
use fangshi_tenants::SecretValues;
use serde::Serialize;
use serde_json::Value;

use super::runs::RunView;
use crate::attempt::Inputs;
use crate::effect::EffectState;
use crate::flush::{CallKind, CallOrigin};
use crate::{Journal, JournalError, kept, seal, state};

/// What can't be read, in an error.
const CALL: &str = "JSON of a call";

/// A run, its attempts and its effects.
#[derive(Debug, Clone, Serialize)]
pub struct RunDetail {
    /// The run.
    #[serde(flatten)]
    pub run: RunView,
    /// Its attempts, first to last.
    pub attempt_list: Vec<AttemptView>,
    /// Its effects, in the order of their first intents.
    pub effects: Vec<EffectView>,
}

/// One attempt.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptView {
    /// Its id.
    pub id: AttemptId,
    /// From 1.
    pub number: u32,
    /// How often a crash cut it off.
    pub resumes: u32,
    /// The version that ran.
    pub version: Digest,
    /// Engine version and flags.
    pub engine: String,
    /// The order that it started from.
    pub snapshot: Option<Digest>,
    /// Unix milliseconds.
    pub started_at: i64,
    /// Unix milliseconds; none: under way, or cut off.
    pub ended_at: Option<i64>,
    /// Code: `done`, `retry-later`, `reject`, `trap`, `limit`, `deadline`, …
    pub outcome: Option<String>,
    /// Words of the plugin or the host.
    pub reason: Option<String>,
    /// Fuel.
    pub fuel: Option<u64>,
    /// Bytes.
    pub peak_memory: Option<u64>,
    /// Calls passed to the host.
    pub host_calls: Option<u32>,
    /// Bytes of log text.
    pub log_bytes: Option<u64>,
    /// Bytes across the border.
    pub border_bytes: Option<u64>,
    /// Milliseconds.
    pub wall_ms: Option<u64>,
    /// Host calls, by position.
    pub calls: Vec<CallView>,
    /// Log lines.
    pub logs: Vec<LogView>,
}

/// One host call. Request and answer are unredacted, but for the values of secret settings.
#[derive(Clone, Serialize)]
pub struct CallView {
    /// From 0.
    pub position: u32,
    /// `notes/set-merchant-notes`: interface and function.
    pub name: String,
    /// What kind.
    pub kind: CallKind,
    /// Code of the result; none: no outcome (yet).
    pub result: Option<String>,
    /// The request.
    pub request: Value,
    /// The answer, or the error; none where a snapshot is the answer.
    pub answer: Option<Value>,
    /// The order that was the answer.
    pub snapshot: Option<Digest>,
    /// Where the answer came from.
    pub origin: CallOrigin,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Milliseconds.
    pub took_ms: Option<i64>,
}

/// One log line.
#[derive(Clone, Serialize)]
pub struct LogView {
    /// From 0.
    pub line: u32,
    /// How many host calls came before.
    pub position: u32,
    /// 0 debug, 1 info, 2 warning, 3 error.
    pub level: u8,
    /// The text.
    pub text: String,
}

/// One effect; its request and answer are with its calls.
#[derive(Debug, Clone, Serialize)]
pub struct EffectView {
    /// `notes/set-merchant-notes`.
    pub operation: String,
    /// The n-th equal call, from 0.
    pub nth: u32,
    /// The order it changes.
    pub order_id: String,
    /// Where it stands.
    pub state: EffectState,
    /// How often it was, or may have been, sent.
    pub sends: u32,
    /// Code of the outcome.
    pub result: Option<String>,
    /// The platform's code of a refusal.
    pub platform_code: Option<i64>,
    /// The platform's request id.
    pub rid: Option<String>,
    /// Unix milliseconds.
    pub intent_at: i64,
    /// Unix milliseconds.
    pub outcome_at: Option<i64>,
}

impl std::fmt::Debug for CallView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallView")
            .field("position", &self.position)
            .field("name", &self.name)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LogView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogView").field("line", &self.line).field("level", &self.level).finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct AttemptRead {
    id: i64,
    number: i64,
    resumes: i64,
    version: Vec<u8>,
    engine: String,
    snapshot: Option<Vec<u8>>,
    started_at: i64,
    ended_at: Option<i64>,
    outcome: Option<String>,
    reason: Option<Vec<u8>>,
    fuel: Option<i64>,
    peak_memory: Option<i64>,
    host_calls: Option<i64>,
    log_bytes: Option<i64>,
    border_bytes: Option<i64>,
    wall_ms: Option<i64>,
    inputs: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct CallRead {
    attempt: i64,
    position: i64,
    name: String,
    kind: i64,
    request: Vec<u8>,
    result: Option<String>,
    answer: Option<Vec<u8>>,
    snapshot: Option<Vec<u8>>,
    origin: i64,
    at_ms: i64,
    took_ms: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct EffectRead {
    operation: String,
    nth: i64,
    order_id: String,
    state: i64,
    sends: i64,
    result: Option<String>,
    platform_code: Option<i64>,
    rid: Option<String>,
    intent_at: i64,
    outcome_at: Option<i64>,
}

impl Journal {
    /// One run of a tenant with its attempts, calls, logs and effects; `None` if the tenant has no such run.
    pub async fn run(&self, tenant: TenantId, run: RunId) -> Result<Option<RunDetail>, JournalError> {
        let Some(view) = self.run_view(tenant, run).await? else {
            return Ok(None);
        };
        let mut calls = self.call_views(tenant, run).await?;
        let mut logs = self.log_views(tenant, run).await?;
        let rows: Vec<AttemptRead> = sqlx::query_as(
            "SELECT a.id, a.number, a.resumes, a.version, a.engine, s.digest AS snapshot, a.started_at, a.ended_at, \
             a.outcome, a.reason, a.fuel, a.peak_memory, a.host_calls, a.log_bytes, a.border_bytes, a.wall_ms, a.inputs \
             FROM attempts a LEFT JOIN snapshots s ON s.id = a.snapshot_id WHERE a.run_id = $1 ORDER BY a.number",
        )
        .bind(run.0)
        .fetch_all(self.reader())
        .await?;
        let mut attempt_list = Vec::with_capacity(rows.len());
        for row in rows {
            let number = row.number as u32;
            let mut calls = calls.remove(&number).unwrap_or_default();
            self.hide(tenant, run, number, &row.inputs, &mut calls)?;
            let reason = match row.reason {
                Some(sealed) => {
                    let plain = self.unseal(tenant, seal::ATTEMPT_REASON, &seal::attempt_row(run, number), &sealed)?;
                    Some(text(plain))
                }
                None => None,
            };
            attempt_list.push(AttemptView {
                id: AttemptId(row.id),
                number,
                resumes: row.resumes as u32,
                version: state::version(row.version)?,
                engine: row.engine,
                snapshot: row.snapshot.map(state::version).transpose()?,
                started_at: row.started_at,
                ended_at: row.ended_at,
                outcome: row.outcome,
                reason,
                fuel: row.fuel.map(|n| n as u64),
                peak_memory: row.peak_memory.map(|n| n as u64),
                host_calls: row.host_calls.map(|n| n as u32),
                log_bytes: row.log_bytes.map(|n| n as u64),
                border_bytes: row.border_bytes.map(|n| n as u64),
                wall_ms: row.wall_ms.map(|n| n as u64),
                calls,
                logs: logs.remove(&number).unwrap_or_default(),
            });
        }
        Ok(Some(RunDetail { run: view, attempt_list, effects: self.effect_views(run).await? }))
    }

    /// Takes the values of secret settings out of an attempt's calls. The journal keeps them, since a repetition is held
    /// against what was said; nobody is shown them. Log lines and reasons came without them.
    fn hide(
        &self,
        tenant: TenantId,
        run: RunId,
        attempt: u32,
        inputs: &[u8],
        calls: &mut [CallView],
    ) -> Result<(), JournalError> {
        let plain = self.unseal(tenant, seal::ATTEMPT_INPUTS, &seal::attempt_row(run, attempt), inputs)?;
        let inputs: Inputs = serde_json::from_slice(&plain)
            .map_err(|_| JournalError::Corrupt(format!("inputs of attempt {attempt} of {run}")))?;
        let hidden = SecretValues::of(&inputs.settings, &inputs.secrets);
        for call in calls {
            hidden.out_of_json(&mut call.request);
            call.answer.iter_mut().for_each(|answer| hidden.out_of_json(answer));
        }
        Ok(())
    }

    async fn call_views(&self, tenant: TenantId, run: RunId) -> Result<BTreeMap<u32, Vec<CallView>>, JournalError> {
        let rows: Vec<CallRead> = sqlx::query_as(
            "SELECT c.attempt, c.position, c.name, c.kind, c.request, c.result, c.answer, s.digest AS snapshot, \
             c.origin, c.at_ms, c.took_ms FROM calls c LEFT JOIN snapshots s ON s.id = c.snapshot_id \
             WHERE c.run_id = $1 ORDER BY c.attempt, c.position",
        )
        .bind(run.0)
        .fetch_all(self.reader())
        .await?;
        let mut calls: BTreeMap<u32, Vec<CallView>> = BTreeMap::new();
        for row in rows {
            let (attempt, position) = (row.attempt as u32, row.position as u32);
            let name = seal::line_row(run, attempt, position);
            let request = kept::read(&self.unseal(tenant, seal::CALL_REQUEST, &name, &row.request)?, CALL)?;
            let answer = match row.answer {
                Some(sealed) => Some(kept::read(&self.unseal(tenant, seal::CALL_ANSWER, &name, &sealed)?, CALL)?),
                None => None,
            };
            calls.entry(attempt).or_default().push(CallView {
                position,
                name: row.name,
                kind: CallKind::from_code(row.kind)?,
                result: row.result,
                request,
                answer,
                snapshot: row.snapshot.map(state::version).transpose()?,
                origin: CallOrigin::from_code(row.origin)?,
                at_ms: row.at_ms,
                took_ms: row.took_ms,
            });
        }
        Ok(calls)
    }

    async fn log_views(&self, tenant: TenantId, run: RunId) -> Result<BTreeMap<u32, Vec<LogView>>, JournalError> {
        let rows: Vec<(i64, i64, i64, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT attempt, line, position, level, text FROM logs WHERE run_id = $1 ORDER BY attempt, line",
        )
        .bind(run.0)
        .fetch_all(self.reader())
        .await?;
        let mut logs: BTreeMap<u32, Vec<LogView>> = BTreeMap::new();
        for (attempt, line, position, level, sealed) in rows {
            let (attempt, line) = (attempt as u32, line as u32);
            let plain = self.unseal(tenant, seal::LOG_TEXT, &seal::line_row(run, attempt, line), &sealed)?;
            logs.entry(attempt).or_default().push(LogView {
                line,
                position: position as u32,
                level: level as u8,
                text: text(plain),
            });
        }
        Ok(logs)
    }

    async fn effect_views(&self, run: RunId) -> Result<Vec<EffectView>, JournalError> {
        let rows: Vec<EffectRead> = sqlx::query_as(
            "SELECT operation, nth, order_id, state, sends, result, platform_code, rid, intent_at, outcome_at \
             FROM effects WHERE run_id = $1 ORDER BY id",
        )
        .bind(run.0)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(EffectView {
                    operation: row.operation,
                    nth: row.nth as u32,
                    order_id: row.order_id,
                    state: EffectState::from_code(row.state)?,
                    sends: row.sends as u32,
                    result: row.result,
                    platform_code: row.platform_code,
                    rid: row.rid,
                    intent_at: row.intent_at,
                    outcome_at: row.outcome_at,
                })
            })
            .collect()
    }
}

fn text(plain: Vec<u8>) -> String {
    String::from_utf8(plain).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}
