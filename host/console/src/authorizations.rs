//! Authorization links: made, listed, shown; and every account that ever authorized.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fangshi_tenants::{AccountView, AuthorizationId, Link, LinkState, NewLink};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::Console;
use crate::caller::Caller;
use crate::page::{self, Page, PageQuery};
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, JsonBody, QueryOf};
use crate::tenants::refuse;

/// A link with which a merchant authorizes the operator's third-party platform.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizationBody {
    /// Where the merchant's browser goes when it is done: https://… of the operator.
    redirect: Option<String>,
    /// The one account that may be authorized with the link, wx…: with another one the link fails (`another-account`).
    biz_appid: Option<String>,
    /// Which kinds of account the platform's page offers, as the platform counts them; 6, all of them, if absent.
    #[schema(minimum = 1, maximum = 99)]
    auth_type: Option<i64>,
}

/// A link just made. Whoever has one of its addresses may authorize a shop with it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FreshAuthorization {
    /// z1.
    id: String,
    /// A page of this host in Chinese and English, with both links and their end. Send this one: the platform wants its
    /// own pages to be opened from the domain that is registered with it.
    page_url: String,
    /// The platform's page for computers.
    pc_url: String,
    /// The platform's page for phones, inside WeChat.
    h5_url: String,
    /// When the link ends, unix milliseconds.
    expires_at: i64,
}

/// A link and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Authorization)]
pub(crate) struct AuthorizationView {
    /// z1.
    id: String,
    /// waiting, expired, working (the merchant authorized, the shop is being taken over), done, failed.
    state: String,
    /// Why it failed, or what hinders it, as a code.
    reason: Option<String>,
    /// Who authorized, once known.
    appid: Option<String>,
    /// The tenant, when done.
    tenant: Option<String>,
    /// The one account that may be authorized with it.
    biz_appid: Option<String>,
    /// As given.
    auth_type: Option<i64>,
    /// As given.
    redirect: Option<String>,
    /// Who asked for it: operator (the token of the config), or operator:k1.
    requested_by: String,
    /// Unix milliseconds.
    created_at: i64,
    /// Unix milliseconds.
    expires_at: i64,
    /// When it was done or failed, unix milliseconds.
    ended_at: Option<i64>,
    /// Of one that did not succeed: what to do.
    what_to_do: Option<&'static str>,
}

/// An account that authorized the third-party platform at some time, by whatever way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthorizerView {
    /// Its appid.
    appid: String,
    /// granted or revoked, as far as the platform said.
    standing: &'static str,
    /// Since when, unix seconds of the platform.
    changed_at_s: i64,
    /// shop; other: no shop, left alone; null: not looked at yet.
    verdict: Option<String>,
    /// Its tenant.
    tenant: Option<String>,
    /// Whether the host is about to ask the platform about it.
    at_work: bool,
    /// What hindered the last try.
    problem: Option<String>,
}

impl From<Link> for AuthorizationView {
    fn from(link: Link) -> Self {
        AuthorizationView {
            id: link.id.to_string(),
            state: page::word(&link.state),
            what_to_do: what_to_do(&link),
            reason: link.reason,
            appid: link.appid,
            tenant: link.tenant.map(|tenant| tenant.to_string()),
            biz_appid: link.biz_appid,
            auth_type: link.auth_type,
            redirect: link.redirect,
            requested_by: link.requested_by,
            created_at: link.created_at,
            expires_at: link.expires_at,
            ended_at: link.ended_at,
        }
    }
}

impl From<AccountView> for AuthorizerView {
    fn from(account: AccountView) -> Self {
        AuthorizerView {
            appid: account.appid,
            standing: if account.granted { "granted" } else { "revoked" },
            changed_at_s: account.changed_s,
            verdict: account.verdict,
            tenant: account.tenant.map(|tenant| tenant.to_string()),
            at_work: account.at_work,
            problem: account.problem,
        }
    }
}

fn what_to_do(link: &Link) -> Option<&'static str> {
    match (link.state, link.reason.as_deref()) {
        (LinkState::Expired, _) => Some("make a new link"),
        (LinkState::Failed, Some("not-a-shop")) => Some("the account is no shop: make a new link and choose the shop"),
        (LinkState::Failed, Some("another-account")) => Some(
            "another account than the link's biz_appid authorized, and stands among the tenants; for the one named make a \
             new link",
        ),
        (LinkState::Failed, Some("code-spent")) => {
            Some("look among the tenants: if the shop authorized, it is one; else make a new link")
        }
        (LinkState::Failed, Some("account-not-settled")) => {
            Some("the platform went on refusing questions about the account: see its `problem` among the accounts")
        }
        (LinkState::Failed, Some("tenant-deleted")) => {
            Some("the shop's tenant was deleted after this link was made: to bring it back make a new one")
        }
        (LinkState::Failed, Some("tenant-of-another-kind")) => {
            Some("the appid is a self-built tenant of this host, which stays as it is")
        }
        (LinkState::Failed, _) => Some("make a new link"),
        _ => None,
    }
}

/// Make an authorization link
#[utoipa::path(
    post, operation_id = "createAuthorization", path = "/authorizations", tag = "authorizations", request_body = AuthorizationBody,
    responses(
        (status = 201, body = FreshAuthorization),
        (status = 409, description = "The host does not know its public address", body = RefusalBody),
        (status = 503, description = "The platform can't be asked now", body = RefusalBody),
    ),
)]
pub(crate) async fn create(
    State(console): State<Console>,
    caller: Caller,
    JsonBody(body): JsonBody<AuthorizationBody>,
) -> Result<(StatusCode, Json<FreshAuthorization>), Refusal> {
    let entrance = &console.entrance;
    entrance.address()?;
    let new = new_link(body)?;
    let begun = console.tenants.onboarding().begin(&entrance.platform, caller.actor(), new).await;
    let fresh = begun.map_err(refuse)?;
    let urls = (
        entrance.page_url(&fresh.nonce),
        entrance.pc_url(&fresh.nonce, &fresh.opening),
        entrance.h5_url(&fresh.nonce, &fresh.opening),
    );
    let (Some(page_url), Some(pc_url), Some(h5_url)) = urls else {
        return Err(Refusal::fault("making the addresses of a link", &"no public address"));
    };
    tracing::info!(authorization = %fresh.id, "authorization link made");
    let fresh = FreshAuthorization { id: fresh.id.to_string(), page_url, pc_url, h5_url, expires_at: fresh.expires_at };
    Ok((StatusCode::CREATED, Json(fresh)))
}

/// Authorization links, the newest first
#[utoipa::path(
    get, operation_id = "listAuthorizations", path = "/authorizations", tag = "authorizations", params(PageQuery),
    responses((status = 200, body = Page<AuthorizationView>)),
)]
pub(crate) async fn list(
    State(console): State<Console>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<AuthorizationView>>, Refusal> {
    let limit = query.limit()?;
    let links = console.tenants.onboarding().links(query.after()?, limit + 1).await.map_err(refuse)?;
    let page = Page::cut(links, limit, |link| link.id.to_string());
    Ok(Json(Page { items: page.items.into_iter().map(AuthorizationView::from).collect(), next: page.next }))
}

/// One authorization link
#[utoipa::path(
    get, operation_id = "getAuthorization", path = "/authorizations/{authorization}", tag = "authorizations",
    params(("authorization" = String, Path, description = "z1")),
    responses((status = 200, body = AuthorizationView), (status = 404, body = RefusalBody)),
)]
pub(crate) async fn get(
    State(console): State<Console>,
    Ids(id): Ids<AuthorizationId>,
) -> Result<Json<AuthorizationView>, Refusal> {
    let link = console.tenants.onboarding().link(id).await.map_err(refuse)?;
    let none = || Refusal::not_found("no-such-authorization", format!("there is no authorization {id}"));
    Ok(Json(link.ok_or_else(none)?.into()))
}

/// Accounts that ever authorized, by appid; those that are no shops are listed and left alone
#[utoipa::path(
    get, operation_id = "listAuthorizers", path = "/authorizers", tag = "authorizations", params(PageQuery),
    responses((status = 200, body = Page<AuthorizerView>)),
)]
pub(crate) async fn accounts(
    State(console): State<Console>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<AuthorizerView>>, Refusal> {
    let limit = query.limit()?;
    let accounts = console.tenants.onboarding().accounts(query.after.as_deref(), limit + 1).await.map_err(refuse)?;
    let page = Page::cut(accounts, limit, |account| account.appid.clone());
    Ok(Json(Page { items: page.items.into_iter().map(AuthorizerView::from).collect(), next: page.next }))
}

fn new_link(body: AuthorizationBody) -> Result<NewLink, Refusal> {
    if let Some(redirect) = &body.redirect {
        let web = Url::parse(redirect).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        if !web || redirect.len() > 2000 {
            return Err(invalid("redirect", "is no web address: expected https://…"));
        }
    }
    let plain = |appid: &str| (1..=64).contains(&appid.len()) && appid.bytes().all(|b| b.is_ascii_alphanumeric());
    if body.biz_appid.as_deref().is_some_and(|appid| !plain(appid)) {
        return Err(invalid("biz_appid", "is no appid: expected letters and digits"));
    }
    if body.auth_type.is_some_and(|kind| !(1..=99).contains(&kind)) {
        return Err(invalid("auth_type", "must be 1 to 99"));
    }
    Ok(NewLink { redirect: body.redirect, biz_appid: body.biz_appid, auth_type: body.auth_type })
}

fn invalid(member: &str, problem: &str) -> Refusal {
    Refusal::invalid(
        "invalid-body",
        format!("member `{member}` {problem}"),
        "the members of each body are in /api/v1/openapi.json",
    )
}
