//! Tokens of the admin API: made and shown once, listed without their secrets, revoked.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fangshi_tenants::{AccessError, NewToken, Role, TenantId, TokenId, TokenRecord};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Console;
use crate::caller::Caller;
use crate::page::{Page, PageQuery};
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, JsonBody, QueryOf};
use crate::tenants::known;

/// Days that a token lives if the caller names no number.
const DEFAULT_DAYS: u32 = 90;
const MAX_DAYS: u32 = 366;
const DAY_MS: i64 = 24 * 3_600_000;

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenBody {
    /// Where it is used, for people: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    label: String,
    /// Days until it expires, 1 to 366; 90 if absent.
    #[schema(minimum = 1, maximum = 366)]
    days: Option<u32>,
}

/// A token. Its secret is not among it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenView {
    /// k1: not the secret.
    id: String,
    /// operator or merchant.
    role: &'static str,
    /// Of a merchant's: the one tenant it reaches.
    tenant: Option<String>,
    /// For people.
    label: String,
    /// Unix milliseconds.
    created_at: i64,
    /// Unix milliseconds.
    expires_at: i64,
    /// Unix milliseconds, within the hour; null: never.
    last_used_at: Option<i64>,
    /// Of a revoked one, unix milliseconds.
    revoked_at: Option<i64>,
}

/// A new token: the only time that its secret is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = NewToken)]
pub(crate) struct NewTokenView {
    /// What is known of it.
    #[serde(flatten)]
    token: TokenView,
    /// The secret, for `Authorization: Bearer …`. It is not kept: keep it now.
    secret: String,
}

impl From<TokenRecord> for TokenView {
    fn from(token: TokenRecord) -> Self {
        let (role, tenant) = match token.role {
            Role::Operator => ("operator", None),
            Role::Merchant(tenant) => ("merchant", Some(tenant.to_string())),
        };
        TokenView {
            id: token.id.to_string(),
            role,
            tenant,
            label: token.label,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// Make a token for an operator
#[utoipa::path(
    post, operation_id = "createToken", path = "/tokens", tag = "access", request_body = TokenBody,
    responses((status = 201, body = NewTokenView), (status = 422, description = "A label or days that can't be", body = RefusalBody)),
)]
pub(crate) async fn create(
    State(console): State<Console>,
    caller: Caller,
    JsonBody(body): JsonBody<TokenBody>,
) -> Result<(StatusCode, Json<NewTokenView>), Refusal> {
    make(&console, caller, Role::Operator, body).await
}

/// Make a token for a merchant
///
/// It reaches this tenant alone: the tenant, its plugins, installations, events, runs and audit.
#[utoipa::path(
    post, operation_id = "createMerchantToken", path = "/tenants/{tenant}/tokens", tag = "access", request_body = TokenBody,
    params(("tenant" = String, Path, description = "t1")),
    responses((status = 201, body = NewTokenView), (status = 404, body = RefusalBody)),
)]
pub(crate) async fn create_for_merchant(
    State(console): State<Console>,
    caller: Caller,
    Ids(tenant): Ids<TenantId>,
    JsonBody(body): JsonBody<TokenBody>,
) -> Result<(StatusCode, Json<NewTokenView>), Refusal> {
    known(&console, tenant)?;
    make(&console, caller, Role::Merchant(tenant), body).await
}

/// Tokens, oldest first, those that no longer work included
#[utoipa::path(
    get, operation_id = "listTokens", path = "/tokens", tag = "access", params(PageQuery),
    responses((status = 200, body = Page<TokenView>)),
)]
pub(crate) async fn list(
    State(console): State<Console>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<TokenView>>, Refusal> {
    let limit = query.limit()?;
    let tokens = console.tenants.access().tokens(query.after()?, limit + 1).await.map_err(refuse)?;
    let page = Page::cut(tokens, limit, |token| token.id.to_string());
    Ok(Json(Page { items: page.items.into_iter().map(TokenView::from).collect(), next: page.next }))
}

/// Revoke a token, at once and for ever
#[utoipa::path(
    delete, operation_id = "removeToken", path = "/tokens/{token}", tag = "access", params(("token" = String, Path, description = "k1")),
    responses((status = 204, description = "Revoked, now or before"), (status = 404, body = RefusalBody)),
)]
pub(crate) async fn revoke(
    State(console): State<Console>,
    caller: Caller,
    Ids(token): Ids<TokenId>,
) -> Result<StatusCode, Refusal> {
    console.tenants.by(caller.actor()).access().revoke(token).await.map_err(refuse)?;
    tracing::info!(%token, "token revoked");
    Ok(StatusCode::NO_CONTENT)
}

async fn make(
    console: &Console,
    caller: Caller,
    role: Role,
    body: TokenBody,
) -> Result<(StatusCode, Json<NewTokenView>), Refusal> {
    let days = body.days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(invalid("days", &format!("must be 1 to {MAX_DAYS}")));
    }
    let expires_at = console.tenants.clock().now().saturating_add(i64::from(days) * DAY_MS);
    let new = NewToken { role, label: body.label, expires_at };
    let (token, secret) = console.tenants.by(caller.actor()).access().make_token(new).await.map_err(refuse)?;
    tracing::info!(token = %token.id, "token made");
    let view = NewTokenView { token: token.into(), secret: secret.expose_secret().to_owned() };
    Ok((StatusCode::CREATED, Json(view)))
}

fn invalid(member: &str, problem: &str) -> Refusal {
    Refusal::invalid(
        "invalid-body",
        format!("member `{member}` {problem}"),
        "the members of each body are in /api/v1/openapi.json",
    )
}

/// What access refused, for the caller.
pub(crate) fn refuse(error: AccessError) -> Refusal {
    match &error {
        AccessError::UnknownTenant(tenant) => crate::tenants::unknown(*tenant),
        AccessError::UnknownToken(_) => Refusal::not_found("no-such-token", error.to_string()),
        AccessError::Invalid { member, problem } => invalid(member, problem),
        _ => Refusal::fault("changing tokens and links", &error),
    }
}
