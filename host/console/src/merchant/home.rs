//! The first page: plugins at work, versions that wait for consent, the form for an upload, the last runs.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use fangshi_journal::RunFilter;
use fangshi_tenants::{Installation, InstallationId, InstallationState, PausedBy};
use serde::Deserialize;

use super::language::Language;
use super::session::Session;
use super::{settings, view, words};
use crate::Console;
use crate::page::Page;
use crate::{plugins, schedules};

/// Runs shown.
const RUNS: u32 = 20;
/// Versions shown that wait for consent: the newest.
const WAITING: u32 = 5;
/// Installations of a page.
const INSTALLED: u32 = 20;

/// Which page of the installations.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Place {
    /// The last one of the page before, i1.
    after: Option<String>,
}

/// What is wrong with the last upload, in words.
pub(super) struct Trouble {
    pub title: String,
    pub todo: String,
    /// Names of imports and the like, as the host found them.
    pub details: Vec<String>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    language: Language,
    here: &'a str,
    shop: &'a str,
    stopped: Option<Stopped>,
    /// Another shop's push would be taken for this one's.
    is_unbound: bool,
    proof: &'a str,
    trouble: Option<&'a Trouble>,
    installed: Vec<Installed>,
    /// Whether there are installations before these.
    is_later: bool,
    /// The last of these, if there are more.
    next: Option<String>,
    waiting: Vec<Waiting>,
    runs: Vec<RunLine>,
}

struct Stopped {
    title: &'static str,
    why: &'static str,
    since: String,
}

struct Installed {
    id: String,
    plugin: String,
    version: String,
    short: String,
    paused: bool,
    /// The operator paused it, and alone resumes it.
    held: bool,
    /// The operator took the approval of its version back.
    revoked: bool,
    /// Why, if it was the host that paused it, in a sentence for each thing to know.
    quarantine: Option<Quarantined>,
    has_settings: bool,
    /// The clock would call it, had it a schedule.
    idle: bool,
    name: String,
    hooks: Vec<&'static str>,
}

/// What is wrong with an installation that the host paused.
struct Quarantined {
    faults: u32,
    since: String,
    outcome: &'static str,
    figure: String,
}

struct Waiting {
    plugin: String,
    version: String,
    short: String,
    name: String,
    uploaded: String,
    /// The operator must approve it first.
    unapproved: bool,
}

struct RunLine {
    at: String,
    name: String,
    hook: &'static str,
    order: String,
    outcome: &'static str,
    reason: &'static str,
    good: bool,
    bad: bool,
}

/// The page.
pub(super) async fn show(State(console): State<Console>, session: Session, Query(place): Query<Place>) -> Response {
    // What is no place in the list is its beginning.
    let after = place.after.and_then(|after| after.parse().ok());
    respond(&console, &session, StatusCode::OK, None, after).await
}

/// The page, with what is wrong with an upload.
pub(super) async fn render(
    console: &Console,
    session: &Session,
    status: StatusCode,
    trouble: Option<&Trouble>,
) -> Response {
    respond(console, session, status, trouble, None).await
}

async fn respond(
    console: &Console,
    session: &Session,
    status: StatusCode,
    trouble: Option<&Trouble>,
    after: Option<InstallationId>,
) -> Response {
    match home(console, session, trouble, after).await {
        Ok(home) => view::page(status, &home),
        Err(fault) => fault,
    }
}

async fn home<'a>(
    console: &Console,
    session: &'a Session,
    trouble: Option<&'a Trouble>,
    after: Option<InstallationId>,
) -> Result<Home<'a>, Response> {
    let (tenant, language) = (session.of(), session.language);
    let registry = console.tenants.registry();
    let installed = registry.at_work(tenant, after, INSTALLED + 1).await;
    let installed = installed.map_err(|error| view::fault(language, "reading installations", &error))?;
    let installed = Page::cut(installed, INSTALLED, |one| one.id.to_string());
    let waiting = registry.never_installed(tenant, WAITING).await;
    let waiting = waiting.map_err(|error| view::fault(language, "reading versions", &error))?;
    let filter = RunFilter { limit: RUNS, ..RunFilter::default() };
    let runs = console.journal.runs(tenant, &filter).await;
    let runs = runs.map_err(|error| view::fault(language, "reading runs", &error))?;
    // Some may be of installations that were removed.
    let names = registry.plugin_names(tenant, &runs.items.iter().map(|run| run.installation).collect()).await;
    let names = names.map_err(|error| view::fault(language, "reading plugins", &error))?;
    Ok(Home {
        language,
        here: "/merchant",
        shop: &session.tenant.name,
        stopped: session.tenant.state.because().zip(words::stopped(&session.tenant)).map(|((_, since), words)| {
            Stopped {
                title: language.pick(words.zh, words.en),
                why: language.pick(words.why_zh, words.why_en),
                since: view::time(since),
            }
        }),
        is_unbound: session.tenant.is_unbound(),
        proof: &session.proof,
        trouble,
        is_later: after.is_some(),
        next: installed.next,
        waiting: waiting
            .into_iter()
            .map(|version| Waiting {
                plugin: version.plugin.to_string(),
                version: version.digest.to_string(),
                short: words::short(&version.digest),
                unapproved: plugins::waits(console, &version),
                name: version.plugin_name,
                uploaded: view::time(version.uploaded_at),
            })
            .collect(),
        runs: runs
            .items
            .into_iter()
            .map(|run| {
                let outcome = words::outcome(run.state);
                RunLine {
                    at: view::time(run.finished_at.unwrap_or(run.created_at)),
                    name: names.get(&run.installation).cloned().unwrap_or_default(),
                    hook: words::hook(&run.hook).map_or("", |hook| language.pick(hook.zh, hook.en)),
                    order: run.order_id,
                    outcome: language.pick(outcome.zh, outcome.en),
                    reason: words::reason(run.reason.as_deref(), language),
                    good: outcome.good,
                    bad: outcome.bad,
                }
            })
            .collect(),
        installed: installed.items.into_iter().map(|one| line(one, language)).collect(),
    })
}

fn line(one: Installation, language: Language) -> Installed {
    let hooks = one.hooks.iter().filter_map(|hook| words::hook(hook));
    Installed {
        id: one.id.to_string(),
        plugin: one.plugin.to_string(),
        version: one.version.to_string(),
        short: words::short(&one.version),
        paused: one.state == InstallationState::Paused,
        held: one.paused_by == Some(PausedBy::Operator),
        revoked: one.is_revoked(),
        has_settings: settings::has_settings(&one),
        idle: !schedules::warnings(&one).is_empty(),
        quarantine: one.quarantine.map(|quarantine| Quarantined {
            faults: quarantine.faults,
            since: view::time(quarantine.since),
            outcome: words::reason(Some(&quarantine.outcome), language),
            figure: quarantine.figure.unwrap_or_default(),
        }),
        hooks: hooks.map(|hook| language.pick(hook.zh, hook.en)).collect(),
        name: one.plugin_name,
    }
}
