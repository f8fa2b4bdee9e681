//! Approvals: versions that merchants uploaded and that the operator lets them install, where the host's config asks for it;
//! and versions whose approval the operator took back.

use axum::Json;
use axum::extract::State;
use fangshi_tenants::{Digest, PluginId, TenantId, VersionRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Console;
use crate::caller::Caller;
use crate::installations;
use crate::page::{Page, PageQuery};
use crate::plugins::VersionView;
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, JsonBody, QueryOf};
use crate::tenants::{known, wake};

/// A version that waits for the operator.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WaitingVersion)]
pub(crate) struct WaitingView {
    /// Whose, t1.
    tenant: String,
    #[serde(flatten)]
    version: VersionView,
    #[serde(skip)]
    number: i64,
}

/// Which of a tenant's versions to approve.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalsBody {
    /// Only versions of this plugin: its id (p1) or its name. Absent: of all.
    plugin: Option<String>,
}

/// What was approved.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approvals)]
pub(crate) struct ApprovalsView {
    /// In the order of their uploads.
    approved: Vec<ApprovedView>,
}

/// A version that was approved.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApprovedVersion)]
pub(crate) struct ApprovedView {
    /// The plugin's id, p1….
    plugin: String,
    /// The sha256 of the component, in hex.
    version: String,
}

impl From<(PluginId, Digest)> for ApprovedView {
    fn from((plugin, version): (PluginId, Digest)) -> Self {
        ApprovedView { plugin: plugin.to_string(), version: version.to_string() }
    }
}

/// Versions of all tenants that wait for the operator's approval, in the order of their uploads
///
/// Those whose approval was taken back are among them. Empty where `[uploads] approval` of the host's config is "none".
#[utoipa::path(
    get, operation_id = "listWaitingVersions", path = "/approvals", tag = "plugins", params(PageQuery),
    responses((status = 200, body = Page<WaitingView>)),
)]
pub(crate) async fn list(
    State(console): State<Console>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<WaitingView>>, Refusal> {
    let limit = query.limit()?;
    let after = query.after::<i64>()?;
    let versions = match console.approval {
        true => console.tenants.registry().unapproved(after, limit + 1).await.map_err(installations::refuse)?,
        false => Vec::new(),
    };
    let waiting = |version: VersionRecord| WaitingView {
        tenant: version.tenant.to_string(),
        number: version.number,
        version: VersionView::new(version, &console),
    };
    let items = versions.into_iter().map(waiting).collect();
    Ok(Json(Page::cut(items, limit, |waiting: &WaitingView| waiting.number.to_string())))
}

/// Approve all versions of a tenant that wait
///
/// Each gets an entry of its own in the audit. Versions whose approval was taken back are left out: they are approved one by
/// one.
#[utoipa::path(
    post, operation_id = "createVersionApprovals", path = "/tenants/{tenant}/approvals", tag = "plugins",
    request_body = ApprovalsBody, params(("tenant" = String, Path, description = "t1")),
    responses(
        (status = 200, body = ApprovalsView),
        (status = 422, description = "No such plugin", body = RefusalBody),
    ),
)]
pub(crate) async fn create_all(
    State(console): State<Console>,
    caller: Caller,
    Ids(tenant): Ids<TenantId>,
    JsonBody(body): JsonBody<ApprovalsBody>,
) -> Result<Json<ApprovalsView>, Refusal> {
    known(&console, tenant)?;
    let plugin = match &body.plugin {
        Some(plugin) => Some(installations::plugin_id(&console, tenant, plugin).await?),
        None => None,
    };
    let tenants = console.tenants.by(caller.actor());
    let approved = tenants.registry().approve_all(tenant, plugin).await.map_err(installations::refuse)?;
    tracing::info!(%tenant, versions = approved.len(), "versions approved");
    Ok(Json(ApprovalsView { approved: approved.into_iter().map(ApprovedView::from).collect() }))
}

/// Approve a version
///
/// From now on the tenant may install it. The same bytes under another name of a plugin are approved with it. A version
/// that is approved stays as it is; where the approval was taken back, installations that held go on.
#[utoipa::path(
    post, operation_id = "createVersionApproval", path = "/tenants/{tenant}/plugins/{plugin}/versions/{version}/approval",
    tag = "plugins",
    params(
        ("tenant" = String, Path, description = "t1"),
        ("plugin" = String, Path, description = "p1, or the plugin's name"),
        ("version" = String, Path, description = "The sha256 of the component in hex"),
    ),
    responses(
        (status = 200, body = VersionView),
        (status = 422, description = "No such plugin or version", body = RefusalBody),
    ),
)]
pub(crate) async fn create(
    State(console): State<Console>,
    caller: Caller,
    Ids((tenant, plugin, version)): Ids<(TenantId, String, String)>,
) -> Result<Json<VersionView>, Refusal> {
    let (plugin, version) = named(&console, tenant, &plugin, &version).await?;
    let tenants = console.tenants.by(caller.actor());
    let approved = tenants.registry().approve(tenant, plugin, version).await.map_err(installations::refuse)?;
    tracing::info!(%tenant, %plugin, %version, "version approved");
    wake(&console, tenant).await;
    Ok(Json(VersionView::new(approved, &console)))
}

/// Take the approval of a version back
///
/// The tenant can't install it any more, under no name of a plugin. Installations that have it hold: their events wait, and an
/// attempt under way makes no further call. They go on once it is approved again, or with another version; runs that waited for
/// this one are parked as `revoked` then, and can be repaired in the other. A version that nobody approved is barred in the same
/// way. That holds whether the host's config asks for approvals or not.
#[utoipa::path(
    delete, operation_id = "removeVersionApproval", path = "/tenants/{tenant}/plugins/{plugin}/versions/{version}/approval",
    tag = "plugins",
    params(
        ("tenant" = String, Path, description = "t1"),
        ("plugin" = String, Path, description = "p1, or the plugin's name"),
        ("version" = String, Path, description = "The sha256 of the component in hex"),
    ),
    responses(
        (status = 200, body = VersionView),
        (status = 422, description = "No such plugin or version", body = RefusalBody),
    ),
)]
pub(crate) async fn remove(
    State(console): State<Console>,
    caller: Caller,
    Ids((tenant, plugin, version)): Ids<(TenantId, String, String)>,
) -> Result<Json<VersionView>, Refusal> {
    let (plugin, version) = named(&console, tenant, &plugin, &version).await?;
    let tenants = console.tenants.by(caller.actor());
    let revoked = tenants.registry().revoke(tenant, plugin, version).await.map_err(installations::refuse)?;
    tracing::warn!(%tenant, %plugin, %version, "the approval of a version was taken back");
    wake(&console, tenant).await;
    Ok(Json(VersionView::new(revoked, &console)))
}

/// The plugin and the version that an address names.
async fn named(
    console: &Console,
    tenant: TenantId,
    plugin: &str,
    version: &str,
) -> Result<(PluginId, Digest), Refusal> {
    known(console, tenant)?;
    let version = installations::digest(version)?;
    Ok((installations::plugin_id(console, tenant, plugin).await?, version))
}
