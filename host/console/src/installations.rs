//! Installations: a version at work for a tenant, with the consent to its grants.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fangshi_lanes::TenantLimits;
use fangshi_operations::MOST_HOSTS;
use fangshi_tenants::{
    Digest, Installation, InstallationId, InstallationPatch, InstallationState, NewInstallation, PausedBy, PluginId,
    Quarantine, RegistryError, TenantId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Console;
use crate::caller::Caller;
use crate::limits;
use crate::page::{self, Page, PageQuery};
use crate::permission;
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, JsonBody, QueryOf};
use crate::schedules::{self, ScheduleBody, ScheduleView};
use crate::tenants::{known, wake};

/// A version to install. It is active at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstallationBody {
    /// The plugin's id (p1) or its name.
    plugin: String,
    /// The version: the sha256 of the component in hex.
    version: String,
    /// The consent: exactly the grants that the version asks for. `http` is granted host by host, as `http:HOST` or
    /// `http:HOST:PORT`: every host that the version declares, and any others that the plugin shall reach.
    grants: Vec<String>,
    /// What the plugin reads as its settings; {} if absent. Held against the version's `settings_schema`, if it has one.
    #[schema(value_type = Object)]
    settings: Option<Map<String, Value>>,
    /// Limits other than the defaults.
    #[schema(schema_with = crate::limits::installation_schema)]
    limits: Option<Map<String, Value>>,
    /// When `on-schedule` is called; none if absent. At most 10, each at most once a minute.
    schedules: Option<Vec<ScheduleBody>>,
}

/// Changes of an installation, all at once or not at all; absent members stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstallationChange {
    /// "paused": events wait; of an installation in quarantine it makes the pause your own, which another version does not end.
    /// "active": they go on; ends a quarantine, as another version does. What the operator paused, the operator alone resumes.
    state: Option<StateName>,
    /// Replaces the version by another one of the same plugin.
    version: Option<String>,
    /// The whole new consent; needed if the new version asks for other grants.
    grants: Option<Vec<String>>,
    /// The whole new settings. A secret that is left out or empty stays, whichever version it was set for; null removes it,
    /// and with a schema any setting.
    #[schema(value_type = Object)]
    settings: Option<Map<String, Value>>,
    /// The whole new limits.
    #[schema(schema_with = crate::limits::installation_schema)]
    limits: Option<Map<String, Value>>,
    /// All new schedules; those that stay as they are go on.
    schedules: Option<Vec<ScheduleBody>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = InstallationState)]
enum StateName {
    Active,
    Paused,
}

/// A version at work for a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Installation)]
pub(crate) struct InstallationView {
    /// i1.
    id: String,
    /// p1.
    plugin: String,
    /// The plugin's name.
    plugin_name: String,
    /// The version's sha256 in hex.
    version: String,
    /// The hooks that its events call.
    hooks: Vec<String>,
    /// What was consented to.
    grants: Vec<String>,
    /// What was set, without secrets. The plugin reads the schema's defaults for what is not.
    #[schema(value_type = Object)]
    settings: Value,
    /// Settings whose values are never shown, and whether each is set.
    secrets: BTreeMap<String, bool>,
    /// Limits other than the defaults.
    #[schema(schema_with = crate::limits::installation_schema)]
    limits: Value,
    /// What its runs get: its own limits, or its tenant's where it has none or they are lower.
    #[schema(schema_with = crate::limits::installation_schema)]
    effective_limits: Value,
    /// When `on-schedule` is called.
    schedules: Vec<ScheduleView>,
    /// What is odd about it.
    warnings: Vec<String>,
    /// active, paused, removed.
    state: String,
    /// true: the operator took the approval of its version back. Its events wait, whatever its state.
    approval_revoked: bool,
    /// Who paused it: operator, who alone resumes it; merchant; host (see `quarantine`). null if it is not paused.
    paused_by: Option<&'static str>,
    /// Why the host paused it; null if it did not.
    quarantine: Option<QuarantineView>,
    /// Unix milliseconds.
    created_at: i64,
    /// Unix milliseconds.
    updated_at: i64,
    /// Of a removed one, unix milliseconds.
    removed_at: Option<i64>,
}

/// Why the host paused an installation: its runs ended badly by its own fault, one after the other.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantine)]
pub(crate) struct QuarantineView {
    /// Always "quarantined".
    reason: &'static str,
    /// Unix milliseconds.
    since: i64,
    /// How many of them.
    faults: u32,
    /// How the last one ended: trap, limit, deadline, loop, divergence.
    outcome: String,
    /// The limit that it met, with the figure; null if it met none.
    figure: Option<String>,
    /// The last one, r1: the run says more.
    run: Option<String>,
    /// What to do.
    todo: &'static str,
}

impl From<Quarantine> for QuarantineView {
    fn from(quarantine: Quarantine) -> Self {
        QuarantineView {
            reason: "quarantined",
            since: quarantine.since,
            faults: quarantine.faults,
            outcome: quarantine.outcome,
            figure: quarantine.figure,
            run: quarantine.run.map(|run| run.to_string()),
            todo: "its events wait: PATCH the installation with `state` \"active\" to try again, or with a `version` that is \
                   mended; both count its faults from 0. Runs that wait for the version that failed are parked then as \
                   `quarantined`: POST /api/v1/tenants/{id}/repairs with `reason` \"quarantined\" and `version` \
                   \"installed\" runs them in the new one",
        }
    }
}

impl InstallationView {
    fn new(installation: Installation, tenant: &TenantLimits) -> Self {
        let (settings, secrets) = (installation.shown_settings(), installation.secrets_set());
        InstallationView {
            approval_revoked: installation.is_revoked(),
            warnings: warnings(&installation),
            paused_by: paused_by(&installation),
            id: installation.id.to_string(),
            plugin: installation.plugin.to_string(),
            plugin_name: installation.plugin_name,
            version: installation.version.to_string(),
            hooks: installation.hooks,
            grants: installation.grants.into_iter().collect(),
            settings,
            secrets,
            effective_limits: tenant.effective(&installation.limits),
            limits: installation.limits,
            schedules: installation.schedules.into_iter().map(ScheduleView::from).collect(),
            state: page::word(&installation.state),
            quarantine: installation.quarantine.map(QuarantineView::from),
            created_at: installation.created_at,
            updated_at: installation.updated_at,
            removed_at: installation.removed_at,
        }
    }
}

fn paused_by(installation: &Installation) -> Option<&'static str> {
    match (installation.state, installation.paused_by) {
        (InstallationState::Paused, Some(PausedBy::Operator)) => Some("operator"),
        (InstallationState::Paused, Some(PausedBy::Merchant)) => Some("merchant"),
        (InstallationState::Paused, None) => Some("host"),
        _ => None,
    }
}

/// What whoever looks at an installation should know.
fn warnings(installation: &Installation) -> Vec<String> {
    let mut warnings = schedules::warnings(installation);
    if installation.is_revoked() && installation.state != InstallationState::Removed {
        let text = "the operator took the approval of its version back: its events wait until the version is approved again or \
                    another one takes its place";
        warnings.push(text.to_owned());
    }
    warnings
}

/// Install a version
#[utoipa::path(
    post, operation_id = "createInstallation", path = "/tenants/{tenant}/installations", tag = "installations", request_body = InstallationBody,
    params(("tenant" = String, Path, description = "t1")),
    responses(
        (status = 201, body = InstallationView),
        (status = 409, description = "As many installations hear a hook as may; the version waits for the operator's approval, or its approval was taken back; the operator keeps the plugin paused", body = RefusalBody),
        (status = 422, description = "Grants missing or not asked for (each named), a host that can't be approved, a hook that is not offered, a permission set that the shop did not grant, a schedule that can't be read, unknown limits, no such plugin or version; settings that do not fit the version's schema, each named with what is expected", body = RefusalBody),
    ),
)]
pub(crate) async fn create(
    State(console): State<Console>,
    caller: Caller,
    Ids(tenant): Ids<TenantId>,
    JsonBody(body): JsonBody<InstallationBody>,
) -> Result<(StatusCode, Json<InstallationView>), Refusal> {
    let owner = known(&console, tenant)?;
    if body.limits.as_ref().is_some_and(|limits| !limits.is_empty()) {
        // They protect the host and the other tenants: no merchant raises its own.
        caller.operator_only("`limits` are")?;
    }
    let version = digest(&body.version)?;
    permission::check(&console, &owner, version).await?;
    let allowed = limits::of(&console, &owner);
    let new = NewInstallation {
        plugin: plugin_id(&console, tenant, &body.plugin).await?,
        version,
        grants: grants(&console, body.grants, &BTreeSet::new())?,
        settings: Value::Object(body.settings.unwrap_or_default()),
        limits: limits::of_installation(&allowed, body.limits.unwrap_or_default())?,
        schedules: schedules::given(body.schedules.unwrap_or_default()),
    };
    let registry = limits::registry(&console, &owner, caller);
    let installation = registry.install(tenant, new).await.map_err(refuse)?;
    tracing::info!(%tenant, installation = %installation.id, version = %installation.version, "plugin installed");
    wake(&console, tenant).await;
    Ok((StatusCode::CREATED, Json(InstallationView::new(installation, &allowed))))
}

/// Installations of a tenant, oldest first, removed ones included
#[utoipa::path(
    get, operation_id = "listInstallations", path = "/tenants/{tenant}/installations", tag = "installations",
    params(("tenant" = String, Path, description = "t1"), PageQuery),
    responses((status = 200, body = Page<InstallationView>)),
)]
pub(crate) async fn list(
    State(console): State<Console>,
    Ids(tenant): Ids<TenantId>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<InstallationView>>, Refusal> {
    let allowed = limits::of(&console, &*known(&console, tenant)?);
    let limit = query.limit()?;
    let installations = console.tenants.registry().list(tenant, query.after()?, limit + 1).await.map_err(refuse)?;
    let page = Page::cut(installations, limit, |installation| installation.id.to_string());
    let items = page.items.into_iter().map(|installation| InstallationView::new(installation, &allowed)).collect();
    Ok(Json(Page { items, next: page.next }))
}

/// One installation
#[utoipa::path(
    get, operation_id = "getInstallation", path = "/tenants/{tenant}/installations/{installation}", tag = "installations",
    params(("tenant" = String, Path, description = "t1"), ("installation" = String, Path, description = "i1")),
    responses((status = 200, body = InstallationView), (status = 404, body = RefusalBody)),
)]
pub(crate) async fn get(
    State(console): State<Console>,
    Ids((tenant, id)): Ids<(TenantId, InstallationId)>,
) -> Result<Json<InstallationView>, Refusal> {
    let allowed = limits::of(&console, &*known(&console, tenant)?);
    let installation = console.tenants.registry().get(tenant, id).await.map_err(refuse)?;
    match installation {
        Some(installation) => Ok(Json(InstallationView::new(installation, &allowed))),
        None => Err(refuse(RegistryError::UnknownInstallation(id))),
    }
}

/// Pause, resume, replace the version, change grants, settings or limits
#[utoipa::path(
    patch, operation_id = "changeInstallation", path = "/tenants/{tenant}/installations/{installation}", tag = "installations",
    request_body = InstallationChange,
    params(("tenant" = String, Path, description = "t1"), ("installation" = String, Path, description = "i1")),
    responses(
        (status = 200, body = InstallationView),
        (status = 409, description = "Removed, paused by the operator, or as of a new installation", body = RefusalBody),
        (status = 422, description = "As of a new installation", body = RefusalBody),
    ),
)]
pub(crate) async fn patch(
    State(console): State<Console>,
    caller: Caller,
    Ids((tenant, id)): Ids<(TenantId, InstallationId)>,
    JsonBody(body): JsonBody<InstallationChange>,
) -> Result<Json<InstallationView>, Refusal> {
    let owner = known(&console, tenant)?;
    if body.limits.is_some() {
        caller.operator_only("`limits` are")?;
    }
    let version = body.version.as_deref().map(digest).transpose()?;
    if let Some(version) = version {
        permission::check(&console, &owner, version).await?;
    }
    let allowed = limits::of(&console, &owner);
    let held = match body.grants {
        // Whoever is there no more is told of below.
        Some(_) => console.tenants.registry().get(tenant, id).await.map_err(refuse)?.map(|one| one.grants),
        None => None,
    };
    let change = InstallationPatch {
        state: body.state.map(|state| match state {
            StateName::Active => InstallationState::Active,
            StateName::Paused => InstallationState::Paused,
        }),
        version,
        grants: body.grants.map(|given| grants(&console, given, &held.unwrap_or_default())).transpose()?,
        settings: body.settings.map(Value::Object),
        limits: body.limits.map(|given| limits::of_installation(&allowed, given)).transpose()?,
        schedules: body.schedules.map(schedules::given),
    };
    let registry = limits::registry(&console, &owner, caller);
    let installation = registry.patch_installation(tenant, id, change).await.map_err(refuse)?;
    tracing::info!(%tenant, installation = %id, state = ?installation.state, version = %installation.version, "installation changed");
    wake(&console, tenant).await;
    Ok(Json(InstallationView::new(installation, &allowed)))
}

/// Remove an installation
///
/// No new events reach it; it stays listed, since its runs name it.
#[utoipa::path(
    delete, operation_id = "removeInstallation", path = "/tenants/{tenant}/installations/{installation}", tag = "installations",
    params(("tenant" = String, Path, description = "t1"), ("installation" = String, Path, description = "i1")),
    responses(
        (status = 204, description = "Removed"),
        (status = 409, description = "Removed before", body = RefusalBody),
    ),
)]
pub(crate) async fn remove(
    State(console): State<Console>,
    caller: Caller,
    Ids((tenant, id)): Ids<(TenantId, InstallationId)>,
) -> Result<StatusCode, Refusal> {
    known(&console, tenant)?;
    console.tenants.by(caller.actor()).registry().remove(tenant, id).await.map_err(refuse)?;
    tracing::info!(%tenant, installation = %id, "installation removed");
    wake(&console, tenant).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A plugin by its id or name. A name may look like an id; then the id counts.
pub(crate) async fn plugin_id(console: &Console, tenant: TenantId, text: &str) -> Result<PluginId, Refusal> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let named = console.tenants.registry().plugin_named(tenant, text).await.map_err(refuse)?;
    named.map(|plugin| plugin.id).ok_or_else(|| refuse(RegistryError::UnknownPlugin(text.chars().take(64).collect())))
}

pub(crate) fn digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|error| invalid("version", &format!("names no version: {error}")))
}

/// A consent as it is kept: names of hosts in the one spelling that requests are held against. `held`: what is consented to
/// already. Whatever was switched off or denied since then, it may be kept: else nobody could take a part of it back.
pub(crate) fn grants(
    console: &Console,
    given: Vec<String>,
    held: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Refusal> {
    let mut set = BTreeSet::new();
    for grant in given {
        let grant = match fangshi_operations::host_of(&grant) {
            None if grant == "http" => {
                let message = "`http` is granted host by host, and none is named";
                return Err(Refusal::invalid("grants-missing", message, NAME_A_HOST));
            }
            None => grant,
            Some(Ok(host)) if held.contains(&format!("http:{host}")) => format!("http:{host}"),
            Some(_) if !console.operations.reaches_outside() => {
                return Err(Refusal::invalid(
                    "http-off",
                    format!("grant `{}`: requests to outside hosts are switched off", short(&grant)),
                    "let the operator set state = \"on\" in [http] of the host's config; hosts that are granted may be taken back",
                ));
            }
            Some(Ok(host)) if console.operations.refuses_host(&host) => {
                return Err(Refusal::invalid(
                    "host-denied",
                    format!("grant `http:{host}`: the operator lets no plugin reach this host"),
                    "name another host, or ask the operator: deny_hosts in [http] of the host's config, or the host's own name",
                ));
            }
            Some(Ok(host)) => format!("http:{host}"),
            Some(Err(why)) => {
                return Err(Refusal::invalid(
                    "host-not-possible",
                    format!("grant `{}`: {why}", short(&grant)),
                    "name a host in full, without scheme and path: `http:erp.example.com`, or `http:erp.example.com:8443`",
                ));
            }
        };
        if !set.insert(grant.clone()) {
            return Err(invalid("grants", &format!("names `{grant}` twice")));
        }
    }
    let hosts = set.iter().filter(|grant| grant.starts_with("http:")).count();
    if hosts > MOST_HOSTS {
        return Err(invalid("grants", &format!("names {hosts} hosts; {MOST_HOSTS} are allowed")));
    }
    Ok(set)
}

/// What to do about a version whose approval was taken back.
pub(crate) const REVOKED_TODO: &str = "use another version, or let the operator approve it again: \
     POST /api/v1/tenants/{id}/plugins/{plugin}/versions/{version}/approval";

const NAME_A_HOST: &str =
    "grant each host that the plugin shall reach by its name, such as `http:erp.example.com`, instead of `http`";

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn invalid(member: &str, problem: &str) -> Refusal {
    Refusal::invalid(
        "invalid-body",
        format!("member `{member}` {problem}"),
        "the members of each body are in /api/v1/openapi.json",
    )
}

/// What the registry refused, for the caller.
pub(crate) fn refuse(error: RegistryError) -> Refusal {
    let message = error.to_string();
    match error {
        RegistryError::UnknownTenant(_) => Refusal::not_found("no-such-tenant", message),
        RegistryError::UnknownInstallation(_) => Refusal::not_found("no-such-installation", message),
        RegistryError::UnknownPlugin(_) => {
            Refusal::invalid("no-such-plugin", message, "GET /api/v1/tenants/{id}/plugins lists plugins and versions")
        }
        RegistryError::UnknownVersion(_) => {
            Refusal::invalid("no-such-version", message, "GET /api/v1/tenants/{id}/plugins lists plugins and versions")
        }
        RegistryError::Removed(_) => {
            Refusal::conflict("installation-removed", message, "POST an installation of the version instead")
        }
        RegistryError::NotApproved(_) => Refusal::conflict(
            "version-not-approved",
            message,
            "the operator reads it and approves it: POST /api/v1/tenants/{id}/plugins/{plugin}/versions/{version}/approval; \
             GET /api/v1/approvals lists what waits",
        ),
        RegistryError::NotSigned(_) => Refusal::conflict(
            "version-not-signed",
            message,
            "upload the same bytes again with the header fangshi-signature: a key among trusted_keys of [uploads] must have signed them",
        ),
        RegistryError::Revoked(_) => Refusal::conflict("version-revoked", message, REVOKED_TODO),
        RegistryError::PausedByOperator(_) => Refusal::conflict(
            "paused-by-operator",
            message,
            "ask the operator of this host, who resumes it with the operator's own token, or, if it is removed, installs the plugin anew",
        ),
        RegistryError::HooksPerEvent { .. } => Refusal::conflict(
            "hooks-per-event",
            message,
            "remove one that is not needed, or let the operator raise the tenant's limit hooks_per_event",
        ),
        RegistryError::UploadsUsedUp { .. } => Refusal::conflict(
            "uploads-used-up",
            message,
            "let the operator raise plugin_versions_per_tenant or plugin_bytes_per_tenant in [limits] of the host's config",
        ),
        RegistryError::Grants { missing, .. } if missing.iter().any(|grant| grant == "http") => {
            Refusal::invalid("grants-missing", message, NAME_A_HOST)
        }
        RegistryError::Grants { missing, .. } => {
            let code = if missing.is_empty() { "grants-not-asked-for" } else { "grants-missing" };
            let hint = "`grants` must be exactly what the version asks for, and hosts besides if it sends requests: GET \
                        /api/v1/tenants/{id}/plugins shows it";
            Refusal::invalid(code, message, hint)
        }
        RegistryError::Settings { kept: false, .. } => Refusal::invalid(
            "settings-unfit",
            message,
            "GET /api/v1/tenants/{id}/plugins shows the version's `settings_schema`",
        ),
        RegistryError::Settings { kept: true, .. } => Refusal::invalid(
            "settings-unfit",
            message,
            "send `settings` that fit together with `version`; GET /api/v1/tenants/{id}/plugins shows its `settings_schema`",
        ),
        RegistryError::Invalid { member, problem } => invalid(member, &problem),
        other => Refusal::fault("changing plugins and installations", &other),
    }
}
