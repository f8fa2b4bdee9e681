//! Tenants: made, listed, shown, changed and deleted.

mod body;
mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fangshi_tenants::{Tenant, TenantId, TenantKind, TenantsError};

use crate::Console;
use crate::caller::Caller;
use crate::page::{Page, PageQuery};
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, JsonBody, QueryOf};
use body::{DeletionQuery, TenantBody, TenantChange, allotted, invalid, new_tenant, tenant_patch};
pub(crate) use view::RefusalCount;
use view::{DeletionView, TenantView, view};

/// The tenant, or 404.
pub(crate) fn known(console: &Console, id: TenantId) -> Result<Arc<Tenant>, Refusal> {
    let tenant = console.tenants.get(id).filter(|tenant| tenant.id != TenantId::HOST);
    tenant.ok_or_else(|| unknown(id))
}

/// 404 for a tenant that does not exist, or that the caller may not know of.
pub(crate) fn unknown(id: TenantId) -> Refusal {
    Refusal::not_found("no-such-tenant", format!("there is no tenant {id}"))
}

/// Lets the lanes of a tenant look again after a change. A failure costs only time: the sweeper finds them too.
pub(crate) async fn wake(console: &Console, tenant: TenantId) {
    if let Err(error) = console.lanes.poke_tenant(tenant).await {
        tracing::warn!(%tenant, %error, "lanes were not poked after a change");
    }
}

/// Make a tenant
#[utoipa::path(
    post, operation_id = "createTenant", path = "/tenants", tag = "tenants", request_body = TenantBody,
    responses(
        (status = 201, body = TenantView),
        (status = 409, description = "The appid belongs to a tenant already", body = RefusalBody),
        (status = 422, description = "A wrong member, or kind authorized at a host without a component", body = RefusalBody),
    ),
)]
pub(crate) async fn create(
    State(console): State<Console>,
    caller: Caller,
    JsonBody(mut body): JsonBody<TenantBody>,
) -> Result<(StatusCode, Json<TenantView>), Refusal> {
    let allotted = allotted(&mut body, &console.plans)?;
    let new = new_tenant(body)?;
    if new.credentials.kind() == TenantKind::Authorized && !console.tenants.has_component() {
        return Err(Refusal::invalid(
            "no-component",
            "tenants of kind authorized are reached through a third-party platform, and this host has none",
            "give component_appid, component_appsecret, token and encoding_aes_key in [weixin] of the host's config and \
             start it again, or make the tenant as kind self-built",
        ));
    }
    let tenant = console.tenants.by(caller.actor()).create_with(new, allotted).await.map_err(refuse)?;
    tracing::info!(tenant = %tenant.id, kind = %tenant.kind, appid = tenant.appid, "tenant made");
    Ok((StatusCode::CREATED, Json(view(&console, &tenant).await?)))
}

/// Tenants, oldest first
#[utoipa::path(get, operation_id = "listTenants", path = "/tenants", tag = "tenants", params(PageQuery), responses((status = 200, body = Page<TenantView>)))]
pub(crate) async fn list(
    State(console): State<Console>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<TenantView>>, Refusal> {
    let limit = query.limit()?;
    let tenants = console.tenants.list(query.after()?, limit + 1).await;
    let page = Page::cut(tenants, limit, |tenant| tenant.id.to_string());
    let mut items = Vec::with_capacity(page.items.len());
    for tenant in &page.items {
        items.push(view(&console, tenant).await?);
    }
    Ok(Json(Page { items, next: page.next }))
}

/// One tenant
#[utoipa::path(
    get, operation_id = "getTenant", path = "/tenants/{tenant}", tag = "tenants", params(("tenant" = String, Path, description = "t1")),
    responses((status = 200, body = TenantView), (status = 404, body = RefusalBody)),
)]
pub(crate) async fn get(
    State(console): State<Console>,
    Ids(tenant): Ids<TenantId>,
) -> Result<Json<TenantView>, Refusal> {
    let tenant = known(&console, tenant)?;
    Ok(Json(view(&console, &tenant).await?))
}

/// Change a tenant
#[utoipa::path(
    patch, operation_id = "changeTenant", path = "/tenants/{tenant}", tag = "tenants", request_body = TenantChange,
    params(("tenant" = String, Path, description = "t1")),
    responses((status = 200, body = TenantView), (status = 404, body = RefusalBody)),
)]
pub(crate) async fn patch(
    State(console): State<Console>,
    caller: Caller,
    Ids(tenant): Ids<TenantId>,
    JsonBody(body): JsonBody<TenantChange>,
) -> Result<Json<TenantView>, Refusal> {
    let before = known(&console, tenant)?;
    let change = tenant_patch(body, before.kind, &console.plans)?;
    let tenant = console.tenants.by(caller.actor()).update(before.id, change).await.map_err(refuse)?;
    tracing::info!(tenant = %tenant.id, "tenant changed");
    if tenant.is_active() && !before.is_active() {
        wake(&console, tenant.id).await;
    }
    Ok(Json(view(&console, &tenant).await?))
}

/// Delete a tenant
///
/// Its data key is destroyed at once: nothing that was recorded for it can be read any more, and its appid can be
/// onboarded anew. What is left of its rows goes in the background. Only a suspended or revoked tenant is deleted.
#[utoipa::path(
    delete, operation_id = "removeTenant", path = "/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "t1"), DeletionQuery),
    responses(
        (status = 202, body = DeletionView),
        (status = 404, body = RefusalBody),
        (status = 409, description = "The tenant is active", body = RefusalBody),
        (status = 422, description = "The appid is another", body = RefusalBody),
        (status = 503, description = "The deletion can't be noted where restores look", body = RefusalBody),
    ),
)]
pub(crate) async fn delete(
    State(console): State<Console>,
    caller: Caller,
    Ids(tenant): Ids<TenantId>,
    QueryOf(query): QueryOf<DeletionQuery>,
) -> Result<(StatusCode, Json<DeletionView>), Refusal> {
    let tenant = known(&console, tenant)?;
    console.tenants.by(caller.actor()).delete(tenant.id, &query.appid).await.map_err(refuse)?;
    tracing::warn!(tenant = %tenant.id, appid = tenant.appid, "tenant deleted: its data key is destroyed");
    let journal = console.journal.clone();
    tokio::spawn(async move {
        let now = journal.clock().now();
        if let Err(error) = journal.erase_deleted(now).await {
            tracing::warn!(%error, "rows of a deleted tenant are left for later");
        }
    });
    Ok((StatusCode::ACCEPTED, Json(DeletionView { id: tenant.id.to_string(), state: "deleted".to_owned() })))
}

/// 503: the platform can't be asked on the component's behalf.
fn component_unavailable(text: &str) -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "component-unavailable",
        format!("the platform can't be asked: {text}"),
        "/readyz shows the component's ticket and token; [weixin] of the config holds its credentials",
    )
}

/// 503: a restore would bring the tenant back.
fn not_noted(error: &TenantsError) -> Refusal {
    tracing::error!(%error, "a tenant can't be deleted");
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "deletion-not-noted",
        "the host can't keep its list of deletions, which a restore goes by",
        "make the file of [custody] erased_file writable (the host's log says what hinders it), then delete again",
    )
}

pub(crate) fn refuse(error: TenantsError) -> Refusal {
    match &error {
        TenantsError::DuplicateAppid { .. } => {
            Refusal::conflict("appid-taken", error.to_string(), "PATCH /api/v1/tenants/{id} changes that tenant")
        }
        TenantsError::StillActive(_) => Refusal::conflict(
            "tenant-active",
            error.to_string(),
            "PATCH /api/v1/tenants/{id} with state \"suspended\" first",
        ),
        TenantsError::Unknown(id) => unknown(*id),
        TenantsError::Invalid { member, problem } => invalid(member, problem),
        TenantsError::Component(text) => component_unavailable(text),
        TenantsError::ErasedList { .. } => not_noted(&error),
        _ => Refusal::fault("changing a tenant", &error),
    }
}
