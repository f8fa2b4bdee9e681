//! Approvals: versions that merchants uploaded and that the operator lets them install, where the host's config asks for it.

use axum::Json;
use axum::extract::State;
use fangshi_tenants::{Digest, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Console;
use crate::caller::Caller;
use crate::installations;
use crate::page::{Page, PageQuery};
use crate::plugins::VersionView;
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, QueryOf};

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

/// Versions of all tenants that wait for the operator's approval, in the order of their uploads
///
/// Empty where `[uploads] approval` of the host's config is "none".
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
    let waiting = |version: fangshi_tenants::VersionRecord| WaitingView {
        tenant: version.tenant.to_string(),
        number: version.number,
        version: VersionView::new(version, &console),
    };
    let items = versions.into_iter().map(waiting).collect();
    Ok(Json(Page::cut(items, limit, |waiting: &WaitingView| waiting.number.to_string())))
}

/// Approve a version
///
/// From now on the tenant may install it. The same bytes under another name of a plugin are approved with it. A version
/// that is approved stays as it is.
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
    crate::tenants::known(&console, tenant)?;
    let version: Digest = installations::digest(&version)?;
    let plugin = installations::plugin_id(&console, tenant, &plugin).await?;
    let tenants = console.tenants.by(caller.actor());
    let approved = tenants.registry().approve(tenant, plugin, version).await.map_err(installations::refuse)?;
    tracing::info!(%tenant, %plugin, %version, "version approved");
    Ok(Json(VersionView::new(approved, &console)))
}
