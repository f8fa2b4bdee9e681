//! The first page: plugins at work, versions that wait for consent, the form for an upload, the last runs.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use fangshi_journal::RunFilter;
use fangshi_tenants::{Installation, InstallationState};

use super::language::Language;
use super::session::Session;
use super::{settings, view, words};
use crate::Console;
use crate::{plugins, schedules};

/// Runs shown.
const RUNS: u32 = 20;
/// Versions looked at for those that wait for consent; the newest are shown.
const VERSIONS: u32 = 200;
const WAITING_SHOWN: usize = 5;

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
    proof: &'a str,
    trouble: Option<&'a Trouble>,
    installed: Vec<Installed>,
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
pub(super) async fn show(State(console): State<Console>, session: Session) -> Response {
    render(&console, &session, StatusCode::OK, None).await
}

/// The page, with what is wrong with an upload.
pub(super) async fn render(
    console: &Console,
    session: &Session,
    status: StatusCode,
    trouble: Option<&Trouble>,
) -> Response {
    match home(console, session, trouble).await {
        Ok(home) => view::page(status, &home),
        Err(fault) => fault,
    }
}

async fn home<'a>(console: &Console, session: &'a Session, trouble: Option<&'a Trouble>) -> Result<Home<'a>, Response> {
    let (tenant, language) = (session.of(), session.language);
    let registry = console.tenants.registry();
    let all = registry.list(tenant, None, 10_000).await;
    let all = all.map_err(|error| view::fault(language, "reading installations", &error))?;
    let versions = newest_versions(console, session).await?;
    let filter = RunFilter { limit: RUNS, ..RunFilter::default() };
    let runs = console.journal.runs(tenant, &filter).await;
    let runs = runs.map_err(|error| view::fault(language, "reading runs", &error))?;

    let names: HashMap<_, _> = all.iter().map(|one| (one.id, one.plugin_name.clone())).collect();
    let is_known = |version: &fangshi_tenants::VersionRecord| {
        all.iter().any(|one| one.plugin == version.plugin && one.version == version.digest)
    };
    let waiting = versions.iter().rev().filter(|version| !is_known(version)).take(WAITING_SHOWN);
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
        proof: &session.proof,
        trouble,
        waiting: waiting
            .map(|version| Waiting {
                plugin: version.plugin.to_string(),
                version: version.digest.to_string(),
                short: words::short(&version.digest),
                name: version.plugin_name.clone(),
                uploaded: view::time(version.uploaded_at),
                unapproved: plugins::waits(console, version),
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
        installed: all
            .into_iter()
            .filter(|one| one.state != InstallationState::Removed)
            .map(|one| installed(one, language))
            .collect(),
    })
}

fn installed(one: Installation, language: Language) -> Installed {
    let hooks = one.hooks.iter().filter_map(|hook| words::hook(hook));
    Installed {
        id: one.id.to_string(),
        plugin: one.plugin.to_string(),
        version: one.version.to_string(),
        short: words::short(&one.version),
        paused: one.state == InstallationState::Paused,
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

/// The last versions uploaded, oldest first.
async fn newest_versions(
    console: &Console,
    session: &Session,
) -> Result<Vec<fangshi_tenants::VersionRecord>, Response> {
    let mut newest = Vec::new();
    let mut after = None;
    loop {
        let page = console.tenants.registry().versions(session.of(), None, after, VERSIONS).await;
        let page = page.map_err(|error| view::fault(session.language, "reading versions", &error))?;
        let Some(last) = page.last() else { return Ok(newest) };
        after = Some(last.number);
        newest = page;
    }
}
