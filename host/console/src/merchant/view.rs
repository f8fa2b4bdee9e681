//! Rendering, and what every page says in its headers.

use askama::Template;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

use super::language::{self, Language};
use super::session;
use crate::china;

/// Nothing from elsewhere, no scripts, no frames; forms go to this host alone.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page that only says something.
#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    language: Language,
    here: &'a str,
    title: &'a str,
    text: &'a str,
    /// Whether there is a page to go back to.
    back: bool,
}

/// A template as an answer.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page that says why not, and what to do; texts in Chinese and English.
pub(super) fn refused(language: Language, status: StatusCode, title: (&str, &str), text: (&str, &str)) -> Response {
    let template = Message {
        language,
        here: "/merchant",
        title: language.pick(title.0, title.1),
        text: language.pick(text.0, text.1),
        back: status != StatusCode::UNAUTHORIZED && status != StatusCode::OK && status != StatusCode::GONE,
    };
    page(status, &template)
}

/// Our own fault: the operator reads why, the merchant that it happened.
pub(super) fn fault(language: Language, what: &'static str, cause: &dyn std::fmt::Display) -> Response {
    tracing::error!(what, %cause, "a merchant's request failed");
    refused(
        language,
        StatusCode::INTERNAL_SERVER_ERROR,
        ("系统出错了", "Something went wrong here"),
        (
            "这不是您的问题。请稍后再试；若仍然如此，请联系服务商。",
            "It is not your fault. Try again later; if it stays so, tell your service provider.",
        ),
    )
}

/// Nothing of this name belongs to the merchant.
pub(super) fn missing(language: Language) -> Response {
    refused(
        language,
        StatusCode::NOT_FOUND,
        ("没有找到", "Not found"),
        ("它不存在，或者不属于您的店铺。", "It does not exist, or does not belong to your shop."),
    )
}

/// Headers of every answer under `/merchant`; keeps the language if it was just switched.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let chosen = Language::chosen(request.uri().query());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The way in has a secret in its address.
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(language) = chosen {
        let code = language.code();
        session::set(&mut response, &format!("{}={code}; Path=/merchant; HttpOnly; SameSite=Strict", language::COOKIE));
    }
    response
}

/// The one style sheet.
pub(super) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, include_str!("../../templates/style.css")).into_response()
}

/// A time (unix ms), to the second.
pub(super) fn time(unix_ms: i64) -> String {
    china::time(unix_ms, "%Y-%m-%d %H:%M:%S")
}
