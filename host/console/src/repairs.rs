//! Letting parked runs run again: one, some by id, or all that a filter finds; as they were or in another version.

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fangshi_journal::{InstallationId, Repair, RunFilter, RunId, RunState, RunView};
use fangshi_operations::meets;
use fangshi_tenants::{
    Digest, Installation, InstallationState, PluginId, RegistryError, Stop, TenantId, VersionRecord,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Console;
use crate::caller::Caller;
use crate::installations::refuse;
use crate::plugins;
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, JsonBody};
use crate::runs::{RunPage, detail};
use crate::tenants::known;

/// Runs of one request.
const MOST: u32 = 200;
/// `version` for what the installation has now.
const INSTALLED: &str = "installed";

/// Which parked runs are to run again, and how. Conditions add up; without any, all parked runs of the tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RepairBody {
    /// Only these runs (r1, …), at most 200.
    runs: Option<Vec<String>>,
    /// Only runs of this order.
    order_id: Option<String>,
    /// Only runs that are parked for this reason.
    reason: Option<String>,
    /// Only runs of this plugin: its id (p1) or its name.
    plugin: Option<String>,
    /// Only runs that were parked then or later, unix milliseconds.
    since: Option<i64>,
    /// Only runs that were parked before this, unix milliseconds.
    until: Option<i64>,
    /// The `next` of the answer before: only the runs behind those that it told of. Not with `runs`.
    after: Option<String>,
    /// Absent: the version that each run is pinned to. "installed": what its installation has now. Else the sha256 of a
    /// version of the same plugin.
    version: Option<String>,
    /// true: tells what would be done and does nothing.
    #[serde(default)]
    dry: bool,
}

/// What is done, or would be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepairPlan)]
pub(crate) struct PlanView {
    /// Whether nothing was done.
    dry: bool,
    /// Runs that run again, newest first.
    runs: Vec<PlannedRun>,
    /// Runs that were found and stay as they are.
    left: Vec<LeftRun>,
    /// The `after` of the request for the rest; null at the end.
    next: Option<String>,
}

/// One run of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlannedRun {
    /// r1.
    id: String,
    /// e1.
    event_id: String,
    /// Empty for events without an order.
    order_id: String,
    /// The hook called.
    hook: String,
    /// Why it was parked.
    reason: Option<String>,
    /// The version that it was pinned to.
    version_then: String,
    /// The version that it runs in.
    version: String,
    /// Effects that are settled with the platform and are not sent again.
    settled_effects: u32,
    /// Effects that may be sent, or whose outcome nobody knows.
    open_effects: u32,
}

/// A run that is left alone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeftRun {
    /// r1.
    id: String,
    /// installation-removed, no-such-version, hook-missing, grants-missing, not-parked; version-not-approved,
    /// version-revoked; version-quarantined: it put the installation into quarantine, and another took its place.
    why: &'static str,
}

/// Lets a parked run be tried again
///
/// It gets a fresh budget of attempts and stands outside the sequence of its lane from then on (`repaired_at`). What its
/// earlier attempts settled with the platform stays settled and is not sent again.
#[utoipa::path(
    post, path = "/tenants/{tenant}/runs/{run}/repair", tag = "runs", operation_id = "repairRun",
    params(("tenant" = String, Path, description = "t1"), ("run" = String, Path, description = "r1")),
    responses(
        (status = 202, description = "It will run again", body = RunPage),
        (status = 404, description = "The tenant has no such run", body = RefusalBody),
        (status = 409, description = "The run is not parked; or its version waits for the operator's approval, lost it, or was replaced in quarantine", body = RefusalBody),
    ),
)]
pub(crate) async fn repair(
    State(console): State<Console>,
    caller: Caller,
    Ids((tenant, run)): Ids<(TenantId, RunId)>,
) -> Result<(StatusCode, Json<RunPage>), Refusal> {
    known(&console, tenant)?;
    let mut plan = Plan::new(&console, tenant, Wanted::Same);
    if let Some(parked) = parked(&console, tenant, run).await?
        && let Ok((installed, version)) = plan.found(&parked).await?
        && let Some(barred) = Barred::of(&console, installed, version)
    {
        return Err(barred.refusal(version.digest));
    }
    let repair = vec![Repair { run, version: None }];
    let repaired = console.journal.repair(caller.actor(), tenant, repair).await.map_err(fault)?;
    // 404 if there is no such run at all.
    let page = detail(&console, tenant, run).await?;
    if repaired.is_empty() {
        return Err(Refusal::conflict(
            "not-parked",
            format!("run {run} is not parked"),
            "only parked runs are repaired; list them with ?parked=true",
        ));
    }
    Ok((StatusCode::ACCEPTED, page))
}

/// Lets parked runs be tried again, as many as a filter finds
///
/// At most 200 at a time, newest first: while the answer has a `next`, send the request again with it as `after`. Each gets a
/// fresh budget of attempts. With `dry` the answer is the plan, and nothing is changed or sent.
#[utoipa::path(
    post, path = "/tenants/{tenant}/repairs", tag = "runs", operation_id = "repairRuns", request_body = RepairBody,
    params(("tenant" = String, Path, description = "t1")),
    responses((status = 200, description = "The plan: carried out, or with `dry` not", body = PlanView)),
)]
pub(crate) async fn repair_many(
    State(console): State<Console>,
    caller: Caller,
    Ids(tenant): Ids<TenantId>,
    JsonBody(body): JsonBody<RepairBody>,
) -> Result<Json<PlanView>, Refusal> {
    known(&console, tenant)?;
    let wanted = wanted_version(body.version.as_deref())?;
    let Found { runs: found, next, mut left } = found(&console, tenant, &body).await?;
    let mut plan = Plan::new(&console, tenant, wanted);
    let (mut runs, mut repairs) = (Vec::new(), Vec::new());
    for run in found {
        match plan.of(&run).await? {
            Ok(version) => {
                repairs.push(Repair { run: run.id, version: (version != run.version).then_some(version) });
                runs.push(plan.shown(run, version).await?);
            }
            Err(why) => left.push(LeftRun { id: run.id.to_string(), why }),
        }
    }
    if !body.dry {
        let repaired = console.journal.repair(caller.actor(), tenant, repairs).await.map_err(fault)?;
        let repaired: BTreeSet<String> = repaired.iter().map(|one| one.run.to_string()).collect();
        // Somebody else repaired it in between.
        let gone = runs.iter().filter(|run| !repaired.contains(&run.id));
        left.extend(gone.map(|run| LeftRun { id: run.id.clone(), why: "not-parked" }));
        runs.retain(|run| repaired.contains(&run.id));
    }
    Ok(Json(PlanView { dry: body.dry, runs, left, next }))
}

/// A plugin by its id or name, for a filter.
pub(crate) async fn plugin(
    console: &Console,
    tenant: TenantId,
    given: Option<&str>,
) -> Result<Option<PluginId>, Refusal> {
    let Some(given) = given else { return Ok(None) };
    if let Ok(id) = given.parse() {
        return Ok(Some(id));
    }
    let named = console.tenants.registry().plugin_named(tenant, given).await.map_err(refuse)?;
    named.map(|plugin| Some(plugin.id)).ok_or_else(|| {
        Refusal::invalid(
            "no-such-plugin",
            format!("there is no plugin `{given}`"),
            "GET /api/v1/tenants/{id}/plugins lists plugins and versions",
        )
    })
}

/// Which runs are meant.
struct Found {
    /// Parked ones.
    runs: Vec<RunView>,
    /// Behind which there are more.
    next: Option<String>,
    /// Named ones that are not parked.
    left: Vec<LeftRun>,
}

/// The parked runs that are meant. What can't run again is found like the others, so it must not stand before them for ever.
async fn found(console: &Console, tenant: TenantId, body: &RepairBody) -> Result<Found, Refusal> {
    let named: Option<BTreeSet<RunId>> = match &body.runs {
        None => None,
        Some(runs) if runs.is_empty() || runs.len() > MOST as usize => {
            return Err(Refusal::invalid("invalid-body", "`runs`: 1 to 200 ids", "leave it out for a filter alone"));
        }
        Some(runs) => {
            Some(runs.iter().map(|id| id.parse()).collect::<Result<_, _>>().map_err(|error| {
                Refusal::invalid("invalid-body", format!("`runs`: {error}"), "run ids are r1, r2, …")
            })?)
        }
    };
    let before = body.after.as_deref().map(str::parse::<RunId>).transpose().map_err(|error| {
        Refusal::invalid(
            "invalid-body",
            format!("`after`: {error}"),
            "give the `next` of the answer before, or leave it out",
        )
    })?;
    if named.is_some() && before.is_some() {
        return Err(Refusal::invalid(
            "invalid-body",
            "`after` and `runs`",
            "give one of them: named runs are one answer",
        ));
    }
    let mut filter = RunFilter {
        order_id: body.order_id.clone(),
        parked: true,
        reason: body.reason.clone(),
        plugin: plugin(console, tenant, body.plugin.as_deref()).await?,
        since: body.since,
        until: body.until,
        before,
        limit: MOST,
    };
    let Some(named) = named else {
        let page = console.journal.runs(tenant, &filter).await.map_err(fault)?;
        return Ok(Found { runs: page.items, next: page.next.map(|run| run.to_string()), left: Vec::new() });
    };
    let (mut runs, mut left) = (Vec::new(), Vec::new());
    filter.limit = 1;
    for id in named.into_iter().rev() {
        filter.before = Some(RunId(id.0.saturating_add(1)));
        let page = console.journal.runs(tenant, &filter).await.map_err(fault)?;
        match page.items.into_iter().find(|run| run.id == id && run.state == RunState::Parked) {
            Some(run) => runs.push(run),
            None => left.push(LeftRun { id: id.to_string(), why: "not-parked" }),
        }
    }
    Ok(Found { runs, next: None, left })
}

/// A run of the tenant, if it is parked.
async fn parked(console: &Console, tenant: TenantId, run: RunId) -> Result<Option<RunView>, Refusal> {
    let filter =
        RunFilter { parked: true, before: Some(RunId(run.0.saturating_add(1))), limit: 1, ..RunFilter::default() };
    let page = console.journal.runs(tenant, &filter).await.map_err(fault)?;
    Ok(page.items.into_iter().find(|found| found.id == run && found.state == RunState::Parked))
}

#[derive(Clone, Copy)]
enum Wanted {
    Same,
    Installed,
    Version(Digest),
}

fn wanted_version(given: Option<&str>) -> Result<Wanted, Refusal> {
    match given {
        None => Ok(Wanted::Same),
        Some(INSTALLED) => Ok(Wanted::Installed),
        Some(hex) => hex.parse().map(Wanted::Version).map_err(|_| {
            Refusal::invalid(
                "no-such-version",
                "`version` is neither \"installed\" nor the sha256 of a component in hex",
                "GET /api/v1/tenants/{id}/plugins lists plugins and versions",
            )
        }),
    }
}

/// What becomes of each run, with what was read for others kept.
struct Plan<'a> {
    console: &'a Console,
    tenant: TenantId,
    wanted: Wanted,
    installations: HashMap<InstallationId, Option<Installation>>,
    versions: HashMap<(PluginId, Digest), Option<VersionRecord>>,
}

/// Why a run can't be tried again in a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Barred {
    /// The operator has not approved it.
    Unapproved,
    /// They took the approval back.
    Revoked,
    /// No trusted key signed it.
    Unsigned,
    /// It is in quarantine, and another version took its place.
    Quarantined,
}

impl Barred {
    fn of(console: &Console, installed: &Installation, version: &VersionRecord) -> Option<Barred> {
        if plugins::waits(console, version) {
            return Some(if version.revoked_at.is_some() { Barred::Revoked } else { Barred::Unapproved });
        }
        if plugins::is_unsigned(console, version) {
            return Some(Barred::Unsigned);
        }
        (installed.stopped().get(&version.digest) == Some(&Stop::Quarantined)).then_some(Barred::Quarantined)
    }

    fn code(self) -> &'static str {
        match self {
            Barred::Unapproved => "version-not-approved",
            Barred::Revoked => "version-revoked",
            Barred::Unsigned => "version-not-signed",
            Barred::Quarantined => "version-quarantined",
        }
    }

    fn refusal(self, version: Digest) -> Refusal {
        match self {
            Barred::Unapproved => refuse(RegistryError::NotApproved(version)),
            Barred::Revoked => refuse(RegistryError::Revoked(version)),
            Barred::Unsigned => refuse(RegistryError::NotSigned(version)),
            Barred::Quarantined => Refusal::conflict(
                self.code(),
                format!("version {version} put the installation into quarantine, and another took its place"),
                "POST /api/v1/tenants/{id}/repairs with `version` \"installed\" runs it in the one that the installation has \
                 now; to go on with the old one, PATCH the installation with that version first",
            ),
        }
    }
}

impl<'a> Plan<'a> {
    fn new(console: &'a Console, tenant: TenantId, wanted: Wanted) -> Plan<'a> {
        Plan { console, tenant, wanted, installations: HashMap::new(), versions: HashMap::new() }
    }

    /// The version that a run would run in, or why it is left alone.
    async fn of(&mut self, run: &RunView) -> Result<Result<Digest, &'static str>, Refusal> {
        let console = self.console;
        let (installed, version) = match self.found(run).await? {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        };
        if !version.manifest.hooks.contains(&run.hook) {
            return Ok(Err("hook-missing"));
        }
        if let Some(barred) = Barred::of(console, installed, version) {
            return Ok(Err(barred.code()));
        }
        if !version.manifest.grants.iter().all(|grant| meets(installed.grants.iter(), &grant.name)) {
            return Ok(Err("grants-missing"));
        }
        Ok(Ok(version.digest))
    }

    /// A run's installation and the version that is wanted for it, or why there is none.
    async fn found(&mut self, run: &RunView) -> Result<Result<(&Installation, &VersionRecord), &'static str>, Refusal> {
        let registry = self.console.tenants.registry();
        if !self.installations.contains_key(&run.installation) {
            let read = registry.get(self.tenant, run.installation).await.map_err(refuse)?;
            self.installations.insert(run.installation, read);
        }
        let installed = self.installations.get(&run.installation).and_then(Option::as_ref);
        let Some(installed) = installed.filter(|one| one.state != InstallationState::Removed) else {
            return Ok(Err("installation-removed"));
        };
        let version = match self.wanted {
            Wanted::Same => run.version,
            Wanted::Installed => installed.version,
            Wanted::Version(version) => version,
        };
        let named = (installed.plugin, version);
        if !self.versions.contains_key(&named) {
            let read = registry.version_of(self.tenant, named.0, named.1).await.map_err(refuse)?;
            self.versions.insert(named, read);
        }
        let version = self.versions.get(&named).and_then(Option::as_ref);
        Ok(version.map(|version| (installed, version)).ok_or("no-such-version"))
    }

    async fn shown(&self, run: RunView, version: Digest) -> Result<PlannedRun, Refusal> {
        let effects = self.console.journal.effects(self.tenant, run.id).await.map_err(fault)?;
        let settled = effects.iter().filter(|effect| effect.state.is_settled()).count();
        Ok(PlannedRun {
            id: run.id.to_string(),
            event_id: run.event_seq.to_string(),
            order_id: run.order_id,
            hook: run.hook,
            reason: run.reason,
            version_then: run.version.to_string(),
            version: version.to_string(),
            settled_effects: settled as u32,
            open_effects: (effects.len() - settled) as u32,
        })
    }
}

fn fault(error: fangshi_journal::JournalError) -> Refusal {
    Refusal::fault("repairing runs", &error)
}
