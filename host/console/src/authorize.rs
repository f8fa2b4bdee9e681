//! The pages on which a merchant authorizes: the link's own, and the one that the platform's page sends the browser
//! back to. They are public; the random part of their address is what lets one in.
//!
//! The address of the second carries the authorization code. It is taken out at once: the browser is sent on to the
//! same address without it, and nothing ever shows it.

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fangshi_tenants::{Arrived, AuthorizationId, Link, LinkState, TenantId};
use secrecy::SecretString;
use serde::Deserialize;

use crate::Console;
use crate::china;
use crate::tenants::wake;

/// How long a browser waits for the shop to be taken over; after that its page asks again by itself.
const PATIENCE: Duration = Duration::from_secs(4);
/// Between looks at a link that somebody else works on.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const STYLE: &str = include_str!("../templates/authorize.css");
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The public pages.
pub(crate) fn pages() -> Router<Console> {
    Router::new()
        .route("/authorize/style.css", get(style))
        .route("/authorize/{token}", get(link_page))
        .route("/authorize/{token}/done", get(done_page))
}

#[derive(Template)]
#[template(path = "authorize.html")]
struct Page {
    view: View,
}

/// What a page shows.
enum View {
    Open {
        pc_url: String,
        h5_url: String,
        until: String,
        minutes: i64,
    },
    Expired,
    Working,
    Done {
        name: String,
        appid: String,
        next: Option<String>,
    },
    Failed {
        reason: String,
    },
    /// The platform refused the code that came.
    Refused,
    Unknown,
    /// The store does not answer.
    Trouble,
}

/// What the platform adds to the redirect's address.
#[derive(Deserialize)]
struct Redirected {
    auth_code: Option<String>,
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], STYLE)
        .into_response()
}

async fn link_page(State(console): State<Console>, Path(token): Path<String>) -> Response {
    let nonce = SecretString::from(token);
    let onboarding = console.tenants.onboarding();
    let link = match onboarding.link_at(&nonce).await {
        Ok(Some(link)) => link,
        Ok(None) => return unknown(&console),
        Err(error) => return trouble(&error),
    };
    if link.state != LinkState::Waiting {
        return show(view_of(&console, &link), Referrer::None);
    }
    let opening = match onboarding.opening(&nonce).await {
        Ok(Some(opening)) => opening,
        Ok(None) => return unknown(&console),
        Err(error) => return trouble(&error),
    };
    let entrance = &console.entrance;
    let (Some(pc_url), Some(h5_url)) = (entrance.pc_url(&nonce, &opening), entrance.h5_url(&nonce, &opening)) else {
        return trouble(&"public_url is not configured");
    };
    let now = console.journal.clock().now();
    let minutes = (link.expires_at - now).max(0) / 60_000;
    // The platform holds the domain of the page that leads to its own against the one registered with it.
    show(View::Open { pc_url, h5_url, until: china::time(link.expires_at, "%H:%M"), minutes }, Referrer::Origin)
}

async fn done_page(
    State(console): State<Console>,
    Path(token): Path<String>,
    query: Result<Query<Redirected>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let nonce = SecretString::from(token.as_str());
    let code = query.ok().and_then(|Query(redirected)| redirected.auth_code).filter(|code| !code.is_empty());
    let Some(code) = code else {
        return match console.tenants.onboarding().link_at(&nonce).await {
            Ok(Some(link)) => show(after_redirect(&console, &link), Referrer::None),
            Ok(None) => unknown(&console),
            Err(error) => trouble(&error),
        };
    };
    match console.tenants.onboarding().arrived(&nonce, SecretString::from(code)).await {
        Ok(Arrived::Unknown) => return unknown(&console),
        Ok(Arrived::Foreign) => {
            console.tenants.count_refusal(TenantId::HOST, "authorize-code-of-another-link");
            tracing::warn!("a redirect brought the authorization code of another link: it is not used");
        }
        Ok(Arrived::Ignored) => console.tenants.count_refusal(TenantId::HOST, "authorize-replayed"),
        Ok(Arrived::Kept(link)) => {
            // In a task of its own: a browser that goes away must not stop it half-way. Only for what was kept: an address
            // that is opened again and again makes no work.
            let working = tokio::spawn(drive(console.clone(), link));
            let _ = tokio::time::timeout(PATIENCE, working).await;
        }
        Err(error) => return trouble(&error),
    }
    // Without the code, which then is in no history and in no address that a later page could pass on. The token holds
    // hex digits alone, or there would be no such link.
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(to) = HeaderValue::from_str(&format!("/authorize/{token}/done")) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    guard(response, Referrer::None)
}

/// Steps until the link is at its end, or nothing more is due now.
async fn drive(console: Console, id: AuthorizationId) {
    let onboarding = console.tenants.onboarding();
    for _ in 0..60 {
        let handled = match onboarding.step(&console.entrance.platform).await {
            Ok(stepped) => {
                for tenant in &stepped.woken {
                    wake(&console, *tenant).await;
                }
                stepped.handled
            }
            Err(error) => {
                tracing::error!(%error, "an authorization waits: the store failed");
                return;
            }
        };
        match onboarding.link(id).await {
            Ok(Some(link)) if link.state == LinkState::Working => {}
            _ => return,
        }
        if handled == 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// After the redirect a link that waits again is one whose code was refused.
fn after_redirect(console: &Console, link: &Link) -> View {
    let refused = matches!(link.state, LinkState::Waiting | LinkState::Expired);
    if refused && link.reason.is_some() { View::Refused } else { view_of(console, link) }
}

fn view_of(console: &Console, link: &Link) -> View {
    match link.state {
        LinkState::Waiting | LinkState::Working => View::Working,
        LinkState::Expired => View::Expired,
        LinkState::Failed => View::Failed { reason: link.reason.clone().unwrap_or_default() },
        LinkState::Done => {
            let tenant = link.tenant.and_then(|id| console.tenants.get(id));
            let name = tenant.map(|tenant| tenant.name.clone()).unwrap_or_default();
            View::Done { name, appid: link.appid.clone().unwrap_or_default(), next: link.redirect.clone() }
        }
    }
}

fn unknown(console: &Console) -> Response {
    console.tenants.count_refusal(TenantId::HOST, "authorize-unknown-link");
    let mut response = show(View::Unknown, Referrer::None);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn trouble(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "an authorization page could not be shown");
    let mut response = show(View::Trouble, Referrer::None);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// What the browser may tell the next page of this one's address, which holds a secret.
#[derive(Clone, Copy)]
enum Referrer {
    None,
    /// Scheme and host.
    Origin,
}

fn show(view: View, referrer: Referrer) -> Response {
    match (Page { view }).render() {
        Ok(html) => guard(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(), referrer),
        Err(error) => {
            tracing::error!(%error, "a page can't be rendered");
            guard(StatusCode::INTERNAL_SERVER_ERROR.into_response(), referrer)
        }
    }
}

fn guard(mut response: Response, referrer: Referrer) -> Response {
    let referrer = match referrer {
        Referrer::None => "no-referrer",
        Referrer::Origin => "origin",
    };
    let set: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, referrer),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in set {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_outside_is_escaped() {
        let view =
            View::Done { name: "<script>".into(), appid: "wx\"".into(), next: Some("https://x/?a=1&b=\"".into()) };
        let html = Page { view }.render().unwrap();
        assert!(!html.contains("<script>") && !html.contains("wx\"") && !html.contains("b=\"\""), "{html}");
    }
}
