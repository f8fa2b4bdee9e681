//! A session of the page: a cookie, and the proof that a form came from the page itself.

use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use fangshi_tenants::{Door, Role, Tenant, TenantId};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::language::Language;
use super::view;
use crate::Console;
use crate::caller::Caller;
use crate::crowd::Seat;

const COOKIE: &str = "fangshi_merchant";

/// Somebody who entered by a link.
pub(super) struct Session {
    pub tenant: Arc<Tenant>,
    pub caller: Caller,
    pub language: Language,
    /// Every form carries it back; other sites cannot know it.
    pub proof: String,
}

/// A form without members of its own.
#[derive(Deserialize)]
pub(super) struct Bare {
    pub proof: String,
}

impl Session {
    /// Whose page it is.
    pub fn of(&self) -> TenantId {
        self.tenant.id
    }

    /// The refusal of a form that another site made up.
    pub fn refuses(&self, proof: &str) -> Option<Response> {
        if bool::from(self.proof.as_bytes().ct_eq(proof.as_bytes())) {
            return None;
        }
        Some(view::refused(
            self.language,
            StatusCode::FORBIDDEN,
            ("这个表单已失效", "This form is no longer good"),
            ("请返回页面，刷新后再试一次。", "Go back to the page, load it again and repeat."),
        ))
    }
}

/// Derived from the cookie's secret, so that nothing has to be kept; the secret does not follow from it.
fn proof(secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"fangshi form\0");
    hash.update(secret.as_bytes());
    hex::encode(hash.finalize())
}

impl FromRequestParts<Console> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Response> {
        let Ok(language) = Language::from_request_parts(parts, console).await;
        let Some(secret) = cookie(&parts.headers, COOKIE) else { return Err(outside(language)) };
        let found = console.tenants.access().recognise(secret, Door::Page).await;
        let token = found.map_err(|error| view::fault(language, "reading a session", &error))?;
        let Some(token) = token else { return Err(outside(language)) };
        let Role::Merchant(tenant) = token.role else { return Err(outside(language)) };
        let Some(tenant) = console.tenants.get(tenant) else { return Err(outside(language)) };
        let proof = proof(secret);
        let Some(seat) = parts.extensions.get::<Seat>() else {
            return Err(view::fault(language, "seating a request", &"nobody is seated at this address"));
        };
        seat.keep(console.crowd.enter(tenant.id).map_err(|_| crowded(language))?);
        Ok(Session { tenant, caller: Caller::from(&token), language, proof })
    }
}

/// Nobody is in: the way in is a link.
fn outside(language: Language) -> Response {
    view::refused(
        language,
        StatusCode::UNAUTHORIZED,
        ("请先通过链接进入", "Enter by a link first"),
        (
            "您还没有进入，或者已超过两小时。请向为您提供服务的服务商索取一个新的链接。",
            "You have not entered yet, or two hours have passed. Ask your service provider for a new link.",
        ),
    )
}

/// As many requests of the merchant are under way as there may be.
fn crowded(language: Language) -> Response {
    view::refused(
        language,
        StatusCode::TOO_MANY_REQUESTS,
        ("同时打开的操作太多", "Too much at once"),
        ("请等前面的操作完成后再试一次。", "Wait until what you began before is done, and try again."),
    )
}

/// Ends the session.
pub(super) async fn leave(State(console): State<Console>, session: Session, Form(form): Form<Bare>) -> Response {
    if let Some(refused) = session.refuses(&form.proof) {
        return refused;
    }
    if let Caller::Merchant(token, _) = session.caller
        && let Err(error) = console.tenants.by(session.caller.actor()).access().revoke(token).await
    {
        return view::fault(session.language, "ending a session", &error);
    }
    let mut response = view::refused(
        session.language,
        StatusCode::OK,
        ("您已退出", "You have left"),
        ("需要时请向服务商索取新的链接。", "Ask your service provider for a new link when you need one."),
    );
    set(&mut response, &format!("{COOKIE}=; Path=/merchant; Max-Age=0; HttpOnly; SameSite=Strict"));
    response
}

/// Gives the browser a session. It is never sent by another site's page, nor read by a script, nor, if the host is
/// reached by https, sent without it.
pub(super) fn begin(console: &Console, response: &mut Response, secret: &str) {
    let secure = if console.entrance.is_https() { "; Secure" } else { "" };
    set(response, &format!("{COOKIE}={secret}; Path=/merchant; HttpOnly; SameSite=Strict{secure}"));
}

pub(super) fn set(response: &mut Response, cookie: &str) {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// A cookie of the request.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// Whether a browser says that another site sent the request. Old browsers say nothing: there the cookie and the proof
/// of the form stand alone.
pub(super) fn from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
}
