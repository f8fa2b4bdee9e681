//! The merchant page: a merchant uploads a plugin, reads what it asks for, approves it, pauses it, and sees its last runs.
//!
//! Rendered here, in Chinese or English; it works without scripts and loads nothing from elsewhere. It is entered by a
//! link that the operator makes: opening the link shows a button, and the click begins a session (`enter`). A session is
//! a cookie that scripts can't read and other sites can't send; every form carries a proof of it besides (`session`).
//! All that the page does goes through the same steps as the admin API, as that session's actor.
//!
//! - `doorstep`: before the way in, for addresses that try links
//! - `language`: which of the two
//! - `words`: hooks, runs and refusals in plain words
//! - `view`: rendering, and the headers of every page
//! - `fields`: the form of a plugin's settings, made from its schema
//! - `home`, `upload`, `consent`, `settings`, `change`: the page's parts

mod change;
mod consent;
mod doorstep;
mod enter;
mod fields;
mod home;
mod language;
mod session;
mod settings;
mod upload;
mod view;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::{Console, crowd};

/// Everything under `/merchant`.
pub(crate) fn routes(console: &Console) -> Router<Console> {
    let doorstep = axum::middleware::from_fn_with_state(doorstep::Doorstep::new(console.clone()), doorstep::pass);
    Router::new()
        .route("/merchant", get(home::show))
        .route("/merchant/style.css", get(view::style))
        .route("/merchant/enter/{secret}", get(enter::ask).post(enter::enter).layer(doorstep))
        .route("/merchant/leave", post(session::leave))
        // The upload counts its bytes itself, and answers in words.
        .route("/merchant/plugins", post(upload::upload).layer(DefaultBodyLimit::disable()))
        .route("/merchant/consent/{plugin}/{version}", get(consent::show).post(consent::approve))
        .route("/merchant/installations/{installation}/settings", get(settings::show).post(settings::save))
        .route("/merchant/installations/{installation}/pause", post(change::pause))
        .route("/merchant/installations/{installation}/resume", post(change::resume))
        .layer(axum::middleware::from_fn(crowd::seated))
        .layer(axum::middleware::from_fn(view::headers))
}
