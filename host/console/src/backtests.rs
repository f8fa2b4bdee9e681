//! What was, executed again without sending anything: one attempt exactly, or a new version over recorded events.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use fangshi_journal::RunId;
use fangshi_lanes::{Backtest, BacktestReport, ReplayError, Replayed};
use fangshi_tenants::{InstallationId, RegistryError, TenantId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::Console;
use crate::installations::{self, refuse};
use crate::plugins;
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, JsonBody, QueryOf};
use crate::tenants::known;

/// Events of one backtest.
const MOST_EVENTS: u32 = 500;
const USUAL_EVENTS: u32 = 100;

/// What to try, on what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacktestBody {
    /// The installation that the version would work for, i1.
    installation: String,
    /// The version: the sha256 in hex of an uploaded version of the installation's plugin. Uploading activates nothing.
    version: String,
    /// How many of the tenant's last events that call a hook; 1 to 500, 100 if absent.
    #[schema(minimum = 1, maximum = 500)]
    events: Option<u32>,
    /// What the version would be granted; what the installation is granted now if absent.
    grants: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BacktestQuery {
    /// "json" (the default) or "table".
    form: Option<String>,
}

/// Which attempt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayBody {
    /// From 1; the last one if absent.
    attempt: Option<u32>,
}

/// Execute a recorded attempt again, exactly
///
/// In the same version, with the same clock, seed, settings and order; every call is answered from the journal. Nothing
/// is sent and nothing is written. The answer tells the first difference, if there is one.
#[utoipa::path(
    post, path = "/tenants/{tenant}/runs/{run}/replay", tag = "runs", operation_id = "createReplay", request_body = ReplayBody,
    params(("tenant" = String, Path, description = "t1"), ("run" = String, Path, description = "r1")),
    responses(
        (status = 200, description = "What came of it", content_type = "application/json", body = Object),
        (status = 404, description = "The tenant has no such run, or the run no such attempt", body = RefusalBody),
        (status = 409, description = "The plugin never ran in this attempt; or its version waits for the operator's approval, or lost it", body = RefusalBody),
    ),
)]
pub(crate) async fn replay(
    State(console): State<Console>,
    Ids((tenant, run)): Ids<(TenantId, RunId)>,
    JsonBody(body): JsonBody<ReplayBody>,
) -> Result<Json<Replayed>, Refusal> {
    known(&console, tenant)?;
    approved(&console, tenant, run, body.attempt).await?;
    Ok(Json(console.lanes.replays().replay(tenant, run, body.attempt).await.map_err(told)?))
}

/// Refuses an attempt whose version may not be installed now: what nobody answers for (any more) is not executed. A backtest is
/// how the operator finds out whether to approve a version, and asks nobody.
async fn approved(console: &Console, tenant: TenantId, run: RunId, attempt: Option<u32>) -> Result<(), Refusal> {
    let fault = |error: fangshi_journal::JournalError| Refusal::fault("reading a run", &error);
    // What is not there, the replay tells.
    let Some(detail) = console.journal.run(tenant, run).await.map_err(fault)? else { return Ok(()) };
    let chosen = match attempt {
        Some(number) => detail.attempt_list.iter().find(|one| one.number == number),
        None => detail.attempt_list.last(),
    };
    let Some(chosen) = chosen else { return Ok(()) };
    let version = console.tenants.registry().version(tenant, chosen.version).await.map_err(refuse)?;
    match version.filter(|version| plugins::waits(console, version) || plugins::is_unsigned(console, version)) {
        None => Ok(()),
        Some(version) if version.revoked_at.is_some() => Err(refuse(RegistryError::Revoked(version.digest))),
        Some(version) if plugins::waits(console, &version) => Err(refuse(RegistryError::NotApproved(version.digest))),
        Some(version) => Err(refuse(RegistryError::NotSigned(version.digest))),
    }
}

/// Try a version on recorded events
///
/// Answered from the journals of the runs that were: tells which effects would be added, lost or changed if the version
/// had been active. Requests are redacted. Nothing is sent and nothing is written; one backtest runs at a time. Sums beside
/// those of effects: `uncertain` counts events where the journal lacks an answer, `assumed` those where something was taken for
/// given (an effect as done, an order of another time, a key as absent), `untried` those that the version could not be tried on;
/// the effects of then of these are in no other sum.
#[utoipa::path(
    post, path = "/tenants/{tenant}/backtests", tag = "runs", operation_id = "createBacktest", request_body = BacktestBody,
    params(("tenant" = String, Path, description = "t1"), BacktestQuery),
    responses(
        (status = 200, description = "The report; with form=table as text/plain", content_type = "application/json", body = Object),
        (status = 409, description = "Another backtest is under way", body = RefusalBody),
        (status = 422, description = "No such installation or version, or it asks for grants that it would not have", body = RefusalBody),
    ),
)]
pub(crate) async fn backtest(
    State(console): State<Console>,
    Ids(tenant): Ids<TenantId>,
    QueryOf(query): QueryOf<BacktestQuery>,
    JsonBody(body): JsonBody<BacktestBody>,
) -> Result<Response, Refusal> {
    known(&console, tenant)?;
    let as_table = match query.form.as_deref() {
        None | Some("json") => false,
        Some("table") => true,
        Some(_) => {
            let hint = "leave it out for JSON";
            return Err(Refusal::malformed("invalid-query", "`form` is neither json nor table", hint));
        }
    };
    let events = body.events.unwrap_or(USUAL_EVENTS);
    if !(1..=MOST_EVENTS).contains(&events) {
        let text = format!("`events` is {events}, expected 1 to {MOST_EVENTS}");
        return Err(Refusal::invalid("invalid-body", text, "leave it out for 100"));
    }
    let (installation, version) = named(&body)?;
    let Ok(_turn) = console.backtesting.try_acquire() else {
        let hint = "send it again when that one is done";
        return Err(Refusal::conflict("backtest-under-way", "another backtest is under way", hint));
    };
    let grants = body.grants.map(|given| installations::grants(&console, given, &BTreeSet::new())).transpose()?;
    let registry = console.tenants.registry();
    let ask = Backtest::of(registry, tenant, installation, version, events, grants).await.map_err(told)?;
    let report = console.lanes.replays().backtest(&ask).await.map_err(told)?;
    Ok(answered(&report, as_table))
}

fn answered(report: &BacktestReport, as_table: bool) -> Response {
    match as_table {
        true => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], report.table()).into_response(),
        false => Json(report).into_response(),
    }
}

fn named(body: &BacktestBody) -> Result<(InstallationId, fangshi_tenants::Digest), Refusal> {
    let installation = body.installation.parse().map_err(|error| {
        let hint = "GET /api/v1/tenants/{id}/installations lists them";
        Refusal::invalid("no-such-installation", format!("`installation`: {error}"), hint)
    })?;
    let version = body.version.parse().map_err(|_| {
        let hint = "GET /api/v1/tenants/{id}/plugins lists plugins and versions";
        Refusal::invalid("no-such-version", "`version` is not the sha256 of a component in hex", hint)
    })?;
    Ok((installation, version))
}

fn told(error: ReplayError) -> Refusal {
    let message = error.to_string();
    match error {
        ReplayError::NoSuchAttempt { .. } => Refusal::not_found("no-such-run", message),
        ReplayError::NoGuestRan { .. } => {
            Refusal::conflict("nothing-to-replay", message, "choose an attempt in which the plugin ran")
        }
        ReplayError::NoSuchInstallation(_) => {
            let hint = "GET /api/v1/tenants/{id}/installations lists them";
            Refusal::invalid("no-such-installation", message, hint)
        }
        ReplayError::NoSuchVersion(_) => {
            Refusal::invalid("no-such-version", message, "upload it first: that activates nothing")
        }
        ReplayError::GrantsMissing(_) => {
            Refusal::invalid("grants-missing", message, "name in `grants` what the merchant would consent to")
        }
        ReplayError::Registry(error) => refuse(error),
        ReplayError::NotLoaded(_) | ReplayError::Journal(_) => Refusal::fault("executing again what was", &message),
    }
}
