//! Tenants: made, listed, shown and changed. Secrets go in and never come out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fangshi_tenants::{
    CallbackKeys, Credentials, NewTenant, Platform, StateChange, Tenant, TenantId, TenantKind, TenantPatch,
    TenantState, TenantsError,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Console;
use crate::caller::Caller;
use crate::page::{Page, PageQuery};
use crate::permission;
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, JsonBody, QueryOf};
use crate::secret::Secret;

/// A new tenant. Which members are needed depends on `kind`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantBody {
    /// "weixin" (the default).
    platform: Option<PlatformName>,
    /// "authorized": through the operator's third-party platform. "self-built": the shop's own application.
    kind: KindName,
    /// The shop's appid, wx….
    #[schema(min_length = 1)]
    appid: String,
    /// The shop's original id, gh_ and 1 to 64 letters, digits, `_` or `-`: pushes that name another are refused.
    #[schema(min_length = 1)]
    user_name: String,
    /// For people: 1 to 200 characters on one line.
    name: String,
    /// Only "authorized": a token at hand; without one it is fetched with the refresh token.
    access_token: Option<Secret>,
    /// Only with `access_token`: seconds it is still good for; 7200 if absent.
    access_token_expires_in: Option<i64>,
    /// Only "authorized": the refresh token of the shop's authorization.
    refresh_token: Option<Secret>,
    /// Only "self-built", and needed there.
    appsecret: Option<Secret>,
    /// Only "self-built", and needed there: signs the shop's callbacks.
    token: Option<Secret>,
    /// Only "self-built", and needed there: the EncodingAESKey of the shop's callbacks, 43 characters.
    encoding_aes_key: Option<Secret>,
    /// Only "self-built": the EncodingAESKey before the last change.
    previous_encoding_aes_key: Option<Secret>,
}

/// Changes of a tenant; absent members stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantChange {
    /// A new name.
    name: Option<String>,
    /// The shop's original id, as for a new tenant.
    user_name: Option<String>,
    /// Decodes of buyer data that may be asked of the platform in a day (Asia/Shanghai); 30 if never set.
    decode_budget: Option<u32>,
    /// "suspended": callbacks are recorded, no runs, no calls. "active": back to work.
    state: Option<StateName>,
    /// Only with `state` "suspended": why, in a few words.
    reason: Option<String>,
    /// Only "authorized".
    access_token: Option<Secret>,
    /// Only with `access_token`: seconds it is still good for; 7200 if absent.
    access_token_expires_in: Option<i64>,
    /// Only "authorized".
    refresh_token: Option<Secret>,
    /// Only "self-built".
    appsecret: Option<Secret>,
    /// Only "self-built".
    token: Option<Secret>,
    /// Only "self-built"; the key before becomes the previous one.
    encoding_aes_key: Option<Secret>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum PlatformName {
    Weixin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Authorized,
    SelfBuilt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = TenantState)]
enum StateName {
    Active,
    Suspended,
}

/// One merchant's shop on one platform. Secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    /// t1.
    id: String,
    /// weixin.
    platform: String,
    /// authorized or self-built.
    kind: String,
    /// The shop's appid.
    appid: String,
    /// The shop's original id.
    user_name: Option<String>,
    /// For people.
    name: String,
    /// active, suspended or revoked (the merchant took the authorization back).
    state: String,
    /// Of a suspended one: why.
    suspended_reason: Option<String>,
    /// Of a suspended one: since when, unix milliseconds.
    suspended_at: Option<i64>,
    /// Of a suspended or revoked one: what a person is to do.
    what_to_do: Option<WhatToDoView>,
    /// Decodes of buyer data today.
    decodes: DecodesView,
    /// Of a revoked one, whose merchant took the authorization back: how that became known.
    revoked_reason: Option<String>,
    /// Of a revoked one: since when, unix milliseconds.
    revoked_at: Option<i64>,
    /// The permission sets that the merchant granted; null if unknown: self-built, or moved in from another system.
    permission_sets: Option<Vec<u16>>,
    /// Installations that use operations whose permission set the shop does not grant (any more): these are refused.
    permissions_lacking: Vec<LackView>,
    /// Unix milliseconds.
    created_at: i64,
    /// Where the platform sends this shop's messages.
    callback_path: String,
    /// Callbacks that were refused. A wrong clock or a wrong `user_name` shows here.
    refusals: Vec<RefusalCount>,
}

/// What an installation was approved with and the shop does not grant (any more).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PermissionsLacking)]
pub(crate) struct LackView {
    /// i1.
    installation: String,
    /// The permission set.
    permission_set: u16,
    /// The platform's names of the operations that need it.
    operations: Vec<&'static str>,
}

/// What a person is to do about a tenant's state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhatToDo)]
pub(crate) struct WhatToDoView {
    /// In Chinese.
    zh: String,
    /// In English.
    en: String,
}

/// A tenant's decodes of buyer data today (Asia/Shanghai). Answers served from what was kept are not counted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decodes)]
pub(crate) struct DecodesView {
    /// How many a day.
    budget: u32,
    /// How many were asked of the platform today.
    used: u32,
    /// How many are left today.
    left: u32,
    /// When the next day begins, unix milliseconds.
    next_day_at: i64,
}

/// Confirms a deletion.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeletionQuery {
    /// The appid of the tenant, once more.
    appid: String,
}

/// A deletion that has begun.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deletion)]
pub(crate) struct DeletionView {
    /// t1.
    id: String,
    /// deleted: nothing of it can be read any more; what is left of its rows goes in the background.
    state: String,
}

/// How often callbacks of a tenant were refused for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefusalCount {
    /// The reason's code.
    reason: String,
    /// How often.
    count: i64,
    /// The last time, unix milliseconds.
    last_at: i64,
}

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

async fn view(console: &Console, tenant: &Tenant) -> Result<TenantView, Refusal> {
    let refusals = console.tenants.refusals(tenant.id).await;
    let refusals = refusals.map_err(|error| Refusal::fault("reading refusals", &error))?;
    let usage = console.tenants.decodes().usage(tenant.id).await;
    let usage = usage.map_err(|error| Refusal::fault("reading decodes", &error))?;
    let lacks = permission::lacks(console, tenant).await;
    let lacks = lacks.map_err(|error| Refusal::fault("reading installations", &error))?;
    let because = || tenant.state.because().map(|(reason, since)| (reason.to_owned(), since));
    let (suspended, revoked) = match &tenant.state {
        TenantState::Active => (None, None),
        TenantState::Suspended { .. } => (because(), None),
        TenantState::Revoked { .. } => (None, because()),
    };
    let (suspended_reason, suspended_at) = suspended.unzip();
    let (revoked_reason, revoked_at) = revoked.unzip();
    Ok(TenantView {
        id: tenant.id.to_string(),
        platform: tenant.platform.to_string(),
        kind: tenant.kind.to_string(),
        appid: tenant.appid.clone(),
        user_name: tenant.user_name.clone(),
        name: tenant.name.clone(),
        state: tenant.state.code().to_owned(),
        suspended_reason,
        suspended_at,
        revoked_reason,
        revoked_at,
        permission_sets: tenant.permission_sets.as_ref().map(|sets| sets.iter().copied().collect()),
        permissions_lacking: lacks
            .into_iter()
            .flat_map(|lack| {
                let installation = lack.installation.to_string();
                lack.sets.into_iter().map(move |(permission_set, operations)| LackView {
                    installation: installation.clone(),
                    permission_set,
                    operations,
                })
            })
            .collect(),
        what_to_do: tenant.what_to_do().map(|text| WhatToDoView { zh: text.zh.to_owned(), en: text.en.to_owned() }),
        decodes: DecodesView { budget: usage.budget, used: usage.used, left: usage.left(), next_day_at: usage.until },
        created_at: tenant.created_at,
        callback_path: format!("/callback/{}/{}", tenant.platform, tenant.appid),
        refusals: refusals
            .into_iter()
            .map(|refusal| RefusalCount { reason: refusal.reason, count: refusal.count, last_at: refusal.last_at })
            .collect(),
    })
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
    JsonBody(body): JsonBody<TenantBody>,
) -> Result<(StatusCode, Json<TenantView>), Refusal> {
    let new = new_tenant(body)?;
    if new.credentials.kind() == TenantKind::Authorized && !console.tenants.has_component() {
        return Err(Refusal::invalid(
            "no-component",
            "tenants of kind authorized are reached through a third-party platform, and this host has none",
            "give component_appid, component_appsecret, token and encoding_aes_key in [weixin] of the host's config and \
             start it again, or make the tenant as kind self-built",
        ));
    }
    let tenant = console.tenants.by(caller.actor()).create(new).await.map_err(refuse)?;
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
    let change = tenant_patch(body, before.kind)?;
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

fn new_tenant(body: TenantBody) -> Result<NewTenant, Refusal> {
    let PlatformName::Weixin = body.platform.unwrap_or(PlatformName::Weixin);
    let credentials = match body.kind {
        KindName::Authorized => {
            foreign(
                "authorized",
                &[
                    ("appsecret", body.appsecret.is_some()),
                    ("token", body.token.is_some()),
                    ("encoding_aes_key", body.encoding_aes_key.is_some()),
                    ("previous_encoding_aes_key", body.previous_encoding_aes_key.is_some()),
                ],
            )?;
            let expires_in = expires_in(body.access_token_expires_in, body.access_token.is_some())?;
            Credentials::Authorized {
                access_token: body.access_token.map(|secret| secret.0),
                expires_in,
                refresh_token: body.refresh_token.map(|secret| secret.0),
            }
        }
        KindName::SelfBuilt => {
            foreign(
                "self-built",
                &[
                    ("access_token", body.access_token.is_some()),
                    ("access_token_expires_in", body.access_token_expires_in.is_some()),
                    ("refresh_token", body.refresh_token.is_some()),
                ],
            )?;
            Credentials::SelfBuilt {
                appsecret: needed("appsecret", body.appsecret)?,
                callback: CallbackKeys {
                    token: needed("token", body.token)?,
                    encoding_aes_key: aes_key("encoding_aes_key", needed("encoding_aes_key", body.encoding_aes_key)?)?,
                    previous_encoding_aes_key: body
                        .previous_encoding_aes_key
                        .map(|secret| aes_key("previous_encoding_aes_key", secret.0))
                        .transpose()?,
                },
            }
        }
    };
    Ok(NewTenant {
        platform: Platform::Weixin,
        appid: body.appid,
        user_name: Some(body.user_name),
        name: body.name,
        credentials,
    })
}

/// A wrong key would refuse every push of the shop later: it is refused here.
fn aes_key(member: &'static str, key: SecretString) -> Result<SecretString, Refusal> {
    let text = key.expose_secret();
    if text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')) {
        return Ok(key);
    }
    Err(Refusal::invalid(
        "invalid-member",
        format!("`{member}` is no EncodingAESKey"),
        "copy the 43 letters and digits from the shop's console: 服务市场 › 经营工具 › 自研 › 消息推送",
    ))
}

fn tenant_patch(body: TenantChange, kind: TenantKind) -> Result<TenantPatch, Refusal> {
    let authorized = [
        ("access_token", body.access_token.is_some()),
        ("access_token_expires_in", body.access_token_expires_in.is_some()),
        ("refresh_token", body.refresh_token.is_some()),
    ];
    let self_built = [
        ("appsecret", body.appsecret.is_some()),
        ("token", body.token.is_some()),
        ("encoding_aes_key", body.encoding_aes_key.is_some()),
    ];
    match kind {
        TenantKind::Authorized => foreign("authorized", &self_built)?,
        TenantKind::SelfBuilt => foreign("self-built", &authorized)?,
        TenantKind::CardShop => foreign("card-shop", &[authorized, self_built].concat())?,
    }
    let expires_in = expires_in(body.access_token_expires_in, body.access_token.is_some())?;
    let state = match (body.state, body.reason) {
        (None, None) => None,
        (Some(StateName::Active), None) => Some(StateChange::Active),
        (Some(StateName::Suspended), reason) => {
            Some(StateChange::Suspended { reason: reason.unwrap_or_else(|| "operator".to_owned()) })
        }
        (_, Some(_)) => return Err(invalid("reason", "is only for `state` \"suspended\"")),
    };
    Ok(TenantPatch {
        name: body.name,
        user_name: body.user_name,
        decode_budget: body.decode_budget,
        state,
        access_token: body.access_token.map(|secret| (secret.0, expires_in)),
        refresh_token: body.refresh_token.map(|secret| secret.0),
        appsecret: body.appsecret.map(|secret| secret.0),
        token: body.token.map(|secret| secret.0),
        encoding_aes_key: body.encoding_aes_key.map(|secret| aes_key("encoding_aes_key", secret.0)).transpose()?,
    })
}

/// Refuses members that belong to another kind: they would be dropped in silence.
fn foreign(kind: &str, members: &[(&str, bool)]) -> Result<(), Refusal> {
    match members.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((member, _)) => Err(invalid(member, &format!("is not for tenants of kind {kind}"))),
    }
}

fn needed(member: &str, secret: Option<Secret>) -> Result<secrecy::SecretString, Refusal> {
    secret.map(|secret| secret.0).ok_or_else(|| invalid(member, "is needed for tenants of kind self-built"))
}

fn expires_in(seconds: Option<i64>, with_token: bool) -> Result<Option<i64>, Refusal> {
    match seconds {
        Some(_) if !with_token => Err(invalid("access_token_expires_in", "is only for `access_token`")),
        Some(seconds) if !(0..=86_400).contains(&seconds) => {
            Err(invalid("access_token_expires_in", "must be 0 to 86400 seconds"))
        }
        given => Ok(given),
    }
}

fn invalid(member: &str, problem: &str) -> Refusal {
    Refusal::invalid(
        "invalid-body",
        format!("member `{member}` {problem}"),
        "the members of each body are in /api/v1/openapi.json",
    )
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
        _ => Refusal::fault("changing a tenant", &error),
    }
}
