//! The way in: a link shows a button; the click enters.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::ExposeSecret;

use super::language::Language;
use super::{session, view};
use crate::Console;

#[derive(Template)]
#[template(path = "enter.html")]
struct Enter<'a> {
    language: Language,
    here: &'a str,
}

/// Shows the button. Changes nothing, however often a mail program looks.
pub(super) async fn ask(State(console): State<Console>, language: Language, Path(secret): Path<String>) -> Response {
    match console.tenants.access().is_open(&secret).await {
        Ok(true) => {
            let here = format!("/merchant/enter/{secret}");
            view::page(StatusCode::OK, &Enter { language, here: &here })
        }
        Ok(false) => gone(language),
        Err(error) => view::fault(language, "reading a link", &error),
    }
}

/// Uses up the link and begins a session.
pub(super) async fn enter(
    State(console): State<Console>,
    language: Language,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Response {
    // Or another site could let a merchant work in a session of its choosing.
    if session::from_elsewhere(&headers) {
        return gone(language);
    }
    match console.tenants.access().enter(&secret).await {
        Ok(Some((token, cookie))) => {
            tracing::info!(session = %token.id, "a merchant entered by a link");
            let mut response = Redirect::to("/merchant").into_response();
            session::begin(&console, &mut response, cookie.expose_secret());
            response
        }
        Ok(None) => gone(language),
        Err(error) => view::fault(language, "entering by a link", &error),
    }
}

/// The same for a link that never was, is used up, or expired.
fn gone(language: Language) -> Response {
    view::refused(
        language,
        StatusCode::GONE,
        ("链接已失效", "This link is no longer good"),
        (
            "每个链接只能使用一次，并且会过期。请向服务商索取一个新的链接。",
            "A link is good for one entry and for a while. Ask your service provider for a new one.",
        ),
    )
}
