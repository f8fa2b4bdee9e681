//! The settings of a plugin at work: a form made from its version's schema, and the times at which it is called.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use fangshi_tenants::{
    Digest, Installation, InstallationId, InstallationPatch, InstallationState, MOST_SCHEDULES, Misfit, RegistryError,
    Schedule, USUAL_ZONE,
};
use serde_json::{Map, Value};

use super::fields::{self, Field, Filled, Input};
use super::language::Language;
use super::session::Session;
use super::{consent, view};
use crate::Console;
use crate::schedules;

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings<'a> {
    language: Language,
    here: &'a str,
    proof: &'a str,
    name: &'a str,
    /// The version that the fields are of.
    version: String,
    fields: Vec<Field>,
    /// Rows of schedules, an empty one at the end; none if it can have none.
    rows: Vec<Row>,
    /// Whether it waits for the clock and has no schedule.
    idle: bool,
    /// What is wrong with the schedules, in the host's words.
    problem: Option<String>,
    /// The form that was sent was another version's.
    stale: bool,
    trouble: bool,
}

/// A schedule in the form.
struct Row {
    name: String,
    cron: String,
    zone: String,
    next: Option<String>,
}

/// Shows what is set.
pub(super) async fn show(
    State(console): State<Console>,
    session: Session,
    Path(installation): Path<String>,
) -> Response {
    match find(&console, &session, &installation).await {
        Ok(one) => page(StatusCode::OK, &session, &one, &Sent::default()),
        Err(refused) => refused,
    }
}

/// Keeps what was filled in, or shows beside each field what is wrong with it.
pub(super) async fn save(
    State(console): State<Console>,
    session: Session,
    Path(installation): Path<String>,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    if let Some(refused) = session.refuses(fields::sent(&form, "proof")) {
        return refused;
    }
    let one = match find(&console, &session, &installation).await {
        Ok(one) => one,
        Err(refused) => return refused,
    };
    let timed = schedules::hears(&one).then(|| timed(&form));
    // What was sent answers the questions of the version that asked them.
    if fields::sent(&form, "version") != one.version.to_string() {
        return stale(&console, &session, &one, &form, timed).await;
    }
    let given = one.schema.as_ref().map(|schema| fields::settings(schema, &form));
    let patch = InstallationPatch {
        settings: given.clone().map(Value::Object),
        schedules: timed.clone(),
        ..InstallationPatch::default()
    };
    let tenants = console.tenants.by(session.caller.actor());
    match tenants.registry().patch_installation(session.of(), one.id, patch).await {
        Ok(_) => {
            crate::tenants::wake(&console, session.of()).await;
            Redirect::to("/merchant").into_response()
        }
        Err(RegistryError::Settings { misfits, .. }) => {
            let sent = Sent { settings: given, misfits, schedules: timed, ..Sent::default() };
            page(StatusCode::UNPROCESSABLE_ENTITY, &session, &one, &sent)
        }
        Err(RegistryError::Invalid { member: "schedules", problem }) => {
            let sent = Sent { settings: given, schedules: timed, problem: Some(problem), ..Sent::default() };
            page(StatusCode::UNPROCESSABLE_ENTITY, &session, &one, &sent)
        }
        // Replaced since it was looked at here.
        Err(RegistryError::UnknownVersion(_)) => match find(&console, &session, &installation).await {
            Ok(now) => stale(&console, &session, &now, &form, timed).await,
            Err(refused) => refused,
        },
        Err(error) => consent::changed(session.language, error),
    }
}

/// Says that the version has changed since the form was made, and asks the questions of the one at work. Nothing is saved; what
/// was typed for settings of the same name is filled in again, secrets never.
async fn stale(
    console: &Console,
    session: &Session,
    one: &Installation,
    form: &[(String, String)],
    schedules: Option<Vec<Schedule>>,
) -> Response {
    let mut settings = one.shown_settings().as_object().cloned().unwrap_or_default();
    if let Ok(asked) = fields::sent(form, "version").parse::<Digest>() {
        let version = console.tenants.registry().version_of(session.of(), one.plugin, asked).await;
        let version = match version {
            Ok(version) => version,
            Err(error) => return view::fault(session.language, "reading a version", &error),
        };
        if let Some(schema) = version.and_then(|version| version.settings_schema) {
            let is_open = |name: &String| {
                let named = [Some(&schema), one.schema.as_ref()].into_iter().flatten();
                !one.secrets.contains(name)
                    && !named.filter_map(|schema| schema.property(name)).any(|property| property.secret)
            };
            // A field that stood at its default was sent too.
            settings.retain(|name, _| schema.property(name).is_none());
            settings.extend(fields::settings(&schema, form).into_iter().filter(|(name, _)| is_open(name)));
        }
    }
    let sent = Sent { settings: Some(settings), schedules, stale: true, ..Sent::default() };
    page(StatusCode::CONFLICT, session, one, &sent)
}

/// A form that was refused.
#[derive(Default)]
struct Sent {
    settings: Option<Map<String, Value>>,
    misfits: Vec<Misfit>,
    schedules: Option<Vec<Schedule>>,
    problem: Option<String>,
    /// It was made for another version than the one at work.
    stale: bool,
}

/// The schedules of a form: rows without a name and times are none.
fn timed(form: &[(String, String)]) -> Vec<Schedule> {
    let sent = |part: &str, row: usize| {
        let field = format!("{part}-{row}");
        fields::sent(form, &field).trim().to_owned()
    };
    let rows = (0..=MOST_SCHEDULES).map(|row| (sent("schedule", row), sent("cron", row), sent("zone", row)));
    rows.filter(|(name, cron, _)| !name.is_empty() || !cron.is_empty())
        .map(|(name, cron, zone)| Schedule {
            name,
            cron,
            time_zone: if zone.is_empty() { USUAL_ZONE.to_owned() } else { zone },
        })
        .collect()
}

fn rows(one: &Installation, sent: Option<&Vec<Schedule>>) -> Vec<Row> {
    let row = |schedule: &Schedule, next| Row {
        name: schedule.name.clone(),
        cron: schedule.cron.clone(),
        zone: schedule.time_zone.clone(),
        next,
    };
    let next = |at: i64| (at < i64::MAX).then(|| view::time(at.saturating_mul(1_000)));
    let mut rows: Vec<Row> = match sent {
        Some(sent) => sent.iter().map(|schedule| row(schedule, None)).collect(),
        None => one.schedules.iter().map(|one| row(&one.schedule, next(one.next_at))).collect(),
    };
    if rows.len() < MOST_SCHEDULES {
        rows.push(Row { name: String::new(), cron: String::new(), zone: USUAL_ZONE.to_owned(), next: None });
    }
    rows
}

fn page(status: StatusCode, session: &Session, one: &Installation, sent: &Sent) -> Response {
    let shown = one.shown_settings();
    let filled = Filled {
        values: sent.settings.as_ref().or(shown.as_object()),
        secrets: one.secrets_set(),
        misfits: &sent.misfits,
    };
    let timed = schedules::hears(one);
    let schema = one.schema.as_ref();
    let page = Settings {
        language: session.language,
        here: &format!("/merchant/installations/{}/settings", one.id),
        proof: &session.proof,
        name: &one.plugin_name,
        version: one.version.to_string(),
        rows: if timed { rows(one, sent.schedules.as_ref()) } else { Vec::new() },
        idle: timed && one.schedules.is_empty(),
        problem: sent.problem.clone(),
        fields: schema.map(|schema| fields::fields(schema, &filled, session.language)).unwrap_or_default(),
        stale: sent.stale,
        trouble: status != StatusCode::OK,
    };
    view::page(status, &page)
}

/// The installation, if it is the merchant's and has anything to set.
async fn find(console: &Console, session: &Session, installation: &str) -> Result<Installation, Response> {
    let missing = || view::missing(session.language);
    let id: InstallationId = installation.parse().map_err(|_| missing())?;
    let found = console.tenants.registry().get(session.of(), id).await;
    let found = found.map_err(|error| view::fault(session.language, "reading an installation", &error))?;
    let at_work = found.filter(|one| one.state != InstallationState::Removed && has_settings(one));
    at_work.ok_or_else(missing)
}

/// Whether there is anything to set.
pub(super) fn has_settings(one: &Installation) -> bool {
    one.schema.is_some() || schedules::hears(one)
}
