//! Pausing and resuming.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use fangshi_tenants::{InstallationId, InstallationPatch, InstallationState};

use super::session::{Bare, Session};
use super::{consent, view};
use crate::Console;

/// Lets its events wait.
pub(super) async fn pause(
    State(console): State<Console>,
    session: Session,
    Path(installation): Path<String>,
    Form(form): Form<Bare>,
) -> Response {
    set(&console, &session, &installation, &form, InstallationState::Paused).await
}

/// Lets them go on.
pub(super) async fn resume(
    State(console): State<Console>,
    session: Session,
    Path(installation): Path<String>,
    Form(form): Form<Bare>,
) -> Response {
    set(&console, &session, &installation, &form, InstallationState::Active).await
}

async fn set(
    console: &Console,
    session: &Session,
    installation: &str,
    form: &Bare,
    state: InstallationState,
) -> Response {
    if let Some(refused) = session.refuses(&form.proof) {
        return refused;
    }
    let Ok(id) = installation.parse::<InstallationId>() else { return view::missing(session.language) };
    let patch = InstallationPatch { state: Some(state), ..InstallationPatch::default() };
    let tenants = console.tenants.by(session.caller.actor());
    match tenants.registry().patch_installation(session.of(), id, patch).await {
        Ok(_) => {
            crate::tenants::wake(console, session.of()).await;
            Redirect::to("/merchant").into_response()
        }
        Err(error) => consent::changed(session.language, error),
    }
}
