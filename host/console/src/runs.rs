//! Runs of a tenant: the list, and one with its attempts, host calls, effects and logs.
//!
//! Requests and answers of host calls are shown as the table of operations allows (`redacted`). Logs and
//! reasons are the plugin's own words, shown without phones, tokens and what its calls may not show.

use axum::Json;
use axum::extract::State;
use fangshi_journal::{AttemptView, CallView, EffectView, LogView, RunFilter, RunId, RunView};
use fangshi_tenants::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Console;
use crate::page::{self, Page};
use crate::redacted;
use crate::refusal::{Refusal, RefusalBody};
use crate::repairs;
use crate::request::{Ids, QueryOf};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    /// Only runs of this order.
    order_id: Option<String>,
    /// true: only parked runs.
    parked: Option<bool>,
    /// Only runs with this reason: how the last attempt ended, or why it is parked.
    reason: Option<String>,
    /// Only runs of this plugin: its id (p1) or its name.
    plugin: Option<String>,
    /// Only runs that were over (done, rejected or parked) then or later, unix milliseconds.
    since: Option<i64>,
    /// Only runs that were over before this, unix milliseconds.
    until: Option<i64>,
    /// The `next` of the page before; without it the list begins.
    after: Option<String>,
    /// Items of a page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// One event × one installation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(crate) struct RunItem {
    /// r1.
    id: String,
    /// Its event, e1.
    event_id: String,
    /// The platform's Event.
    event: String,
    /// Only of `channels_ec_order_ext_info_update`: its `type`.
    ext_type: Option<i64>,
    /// Decimal text; empty for events without an order.
    order_id: String,
    /// Its installation, i1.
    installation: String,
    /// The version it is pinned to.
    version: String,
    /// The hook called.
    hook: String,
    /// ready, waiting (for a retry), done, rejected, parked.
    state: String,
    /// How the last attempt ended, or why it is parked.
    reason: Option<String>,
    /// Attempts that ended.
    attempts: u32,
    /// Of a waiting run: not before this, unix milliseconds.
    next_at: Option<i64>,
    /// When the platform decides by itself, unix milliseconds.
    deadline_at: Option<i64>,
    /// When a person let it run again, perhaps out of order, unix milliseconds.
    repaired_at: Option<i64>,
    /// Unix milliseconds.
    created_at: i64,
    /// Unix milliseconds.
    finished_at: Option<i64>,
}

/// A run with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunDetail)]
pub(crate) struct RunPage {
    /// The run.
    #[serde(flatten)]
    run: RunItem,
    /// First to last.
    attempt_list: Vec<AttemptItem>,
    /// What it changed outside, or meant to.
    effects: Vec<EffectItem>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(crate) struct AttemptItem {
    /// a1.
    id: String,
    /// From 1.
    number: u32,
    /// How often a crash cut it off and it was resumed.
    resumes: u32,
    /// The version that ran.
    version: String,
    /// The engine's version, and digits that stand for its settings.
    engine: String,
    /// Unix milliseconds.
    started_at: i64,
    /// Unix milliseconds; null while it is under way.
    ended_at: Option<i64>,
    /// done, retry-later, reject, trap, limit, deadline, …
    outcome: Option<String>,
    /// The plugin's or the host's words about it; what is delicate is masked.
    reason: Option<String>,
    /// Fuel used.
    fuel: Option<u64>,
    /// Most memory at once, bytes.
    peak_memory: Option<u64>,
    /// How many host calls.
    host_calls: Option<u32>,
    /// Bytes of log text.
    log_bytes: Option<u64>,
    /// Bytes across the border.
    border_bytes: Option<u64>,
    /// Milliseconds on the clock.
    wall_ms: Option<u64>,
    /// Digest of the order it started from.
    snapshot: Option<String>,
    /// Host calls, in order, redacted.
    calls: Vec<CallItem>,
    /// Log lines.
    logs: Vec<LogItem>,
}

/// One host call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HostCall)]
pub(crate) struct CallItem {
    /// From 0.
    position: u32,
    /// Interface and function, such as `notes/set-merchant-notes`.
    name: String,
    /// read, effect, own (the installation's store).
    kind: String,
    /// ok, denied, invalid, not-found, conflict, limited, unavailable, outcome-unknown, platform; null: no outcome yet.
    result: Option<String>,
    /// The request; what is delicate is masked.
    #[schema(value_type = Object)]
    request: Value,
    /// The answer; what is delicate is masked.
    #[schema(value_type = Object, nullable)]
    answer: Option<Value>,
    /// Digest of the order that was the answer.
    snapshot: Option<String>,
    /// live, earlier-effect (answered from an earlier attempt), reread (the order showed what became of it), kept (a decode that
    /// was kept: nothing was sent).
    origin: String,
    /// Unix milliseconds.
    at: i64,
    /// Milliseconds.
    took_ms: Option<i64>,
}

/// One log line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogLine)]
pub(crate) struct LogItem {
    /// From 0.
    line: u32,
    /// How many host calls came before.
    position: u32,
    /// debug, info, warning, error.
    level: &'static str,
    /// The plugin's words; what is delicate is masked.
    text: String,
}

/// One effect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Effect)]
pub(crate) struct EffectItem {
    /// Interface and function.
    operation: String,
    /// The n-th equal call, from 0.
    nth: u32,
    /// The order it changes.
    order_id: String,
    /// Where it stands.
    state: String,
    /// How often it was, or may have been, sent.
    sends: u32,
    /// As of a host call.
    result: Option<String>,
    /// The platform's code of a refusal.
    platform_code: Option<i64>,
    /// The platform's request id.
    rid: Option<String>,
    /// Unix milliseconds.
    intent_at: i64,
    /// Unix milliseconds.
    outcome_at: Option<i64>,
}

impl From<RunView> for RunItem {
    fn from(run: RunView) -> Self {
        RunItem {
            id: run.id.to_string(),
            event_id: run.event_seq.to_string(),
            event: run.event,
            ext_type: run.ext_type,
            order_id: run.order_id,
            installation: run.installation.to_string(),
            version: run.version.to_string(),
            hook: run.hook,
            state: page::word(&run.state),
            reason: run.reason,
            attempts: run.attempts,
            next_at: run.next_at,
            deadline_at: run.deadline_at,
            repaired_at: run.repaired_at,
            created_at: run.created_at,
            finished_at: run.finished_at,
        }
    }
}

impl From<AttemptView> for AttemptItem {
    fn from(attempt: AttemptView) -> Self {
        let words = redacted::Words::of(&attempt.calls);
        AttemptItem {
            id: attempt.id.to_string(),
            number: attempt.number,
            resumes: attempt.resumes,
            version: attempt.version.to_string(),
            engine: attempt.engine,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            outcome: attempt.outcome,
            reason: attempt.reason.map(|reason| words.shown(&reason)),
            fuel: attempt.fuel,
            peak_memory: attempt.peak_memory,
            host_calls: attempt.host_calls,
            log_bytes: attempt.log_bytes,
            border_bytes: attempt.border_bytes,
            wall_ms: attempt.wall_ms,
            snapshot: attempt.snapshot.map(|digest| digest.to_string()),
            calls: attempt.calls.into_iter().map(CallItem::from).collect(),
            logs: attempt.logs.into_iter().map(|log| LogItem::of(log, &words)).collect(),
        }
    }
}

impl From<CallView> for CallItem {
    fn from(call: CallView) -> Self {
        let answered_ok = call.result.as_deref() == Some("ok");
        CallItem {
            request: redacted::request(&call.name, &call.request),
            answer: call.answer.as_ref().map(|answer| redacted::answer(&call.name, answered_ok, answer)),
            position: call.position,
            name: call.name,
            kind: page::word(&call.kind),
            result: call.result,
            snapshot: call.snapshot.map(|digest| digest.to_string()),
            origin: page::word(&call.origin),
            at: call.at_ms,
            took_ms: call.took_ms,
        }
    }
}

impl LogItem {
    fn of(log: LogView, words: &redacted::Words) -> Self {
        let level = match log.level {
            0 => "debug",
            2 => "warning",
            3 => "error",
            _ => "info",
        };
        LogItem { line: log.line, position: log.position, level, text: words.shown(&log.text) }
    }
}

impl From<EffectView> for EffectItem {
    fn from(effect: EffectView) -> Self {
        EffectItem {
            operation: effect.operation,
            nth: effect.nth,
            order_id: effect.order_id,
            state: page::word(&effect.state),
            sends: effect.sends,
            result: effect.result,
            platform_code: effect.platform_code,
            rid: effect.rid,
            intent_at: effect.intent_at,
            outcome_at: effect.outcome_at,
        }
    }
}

/// Runs of a tenant, newest first
#[utoipa::path(
    get, operation_id = "listRuns", path = "/tenants/{tenant}/runs", tag = "runs",
    params(("tenant" = String, Path, description = "t1"), RunsQuery),
    responses((status = 200, body = Page<RunItem>)),
)]
pub(crate) async fn list(
    State(console): State<Console>,
    Ids(tenant): Ids<TenantId>,
    QueryOf(query): QueryOf<RunsQuery>,
) -> Result<Json<Page<RunItem>>, Refusal> {
    crate::tenants::known(&console, tenant)?;
    let filter = RunFilter {
        order_id: query.order_id,
        parked: query.parked.unwrap_or(false),
        reason: query.reason,
        plugin: repairs::plugin(&console, tenant, query.plugin.as_deref()).await?,
        since: query.since,
        until: query.until,
        before: page::cursor(query.after.as_deref())?,
        limit: page::limit(query.limit)?,
    };
    let runs = console.journal.runs(tenant, &filter).await.map_err(|error| Refusal::fault("reading runs", &error))?;
    Ok(Json(Page {
        items: runs.items.into_iter().map(RunItem::from).collect(),
        next: runs.next.map(|run| run.to_string()),
    }))
}

/// One run with its attempts, host calls, effects and logs
#[utoipa::path(
    get, operation_id = "getRun", path = "/tenants/{tenant}/runs/{run}", tag = "runs",
    params(("tenant" = String, Path, description = "t1"), ("run" = String, Path, description = "r1")),
    responses((status = 200, body = RunPage), (status = 404, description = "The tenant has no such run", body = RefusalBody)),
)]
pub(crate) async fn get(
    State(console): State<Console>,
    Ids((tenant, run)): Ids<(TenantId, RunId)>,
) -> Result<Json<RunPage>, Refusal> {
    crate::tenants::known(&console, tenant)?;
    detail(&console, tenant, run).await
}

pub(crate) async fn detail(console: &Console, tenant: TenantId, run: RunId) -> Result<Json<RunPage>, Refusal> {
    let detail = console.journal.run(tenant, run).await.map_err(|error| Refusal::fault("reading a run", &error))?;
    let Some(detail) = detail else {
        return Err(Refusal::not_found("no-such-run", format!("tenant {tenant} has no run {run}")));
    };
    Ok(Json(RunPage {
        run: detail.run.into(),
        attempt_list: detail.attempt_list.into_iter().map(AttemptItem::from).collect(),
        effects: detail.effects.into_iter().map(EffectItem::from).collect(),
    }))
}
