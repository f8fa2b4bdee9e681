//! Whether the process lives, whether it can work, and its metrics. Without a token: no secrets in them, no buyer data.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Console;
use crate::refusal::{Refusal, RefusalBody};
use crate::tenants::RefusalCount;

/// The process answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always "ok".
    status: &'static str,
    /// Version of the host.
    version: &'static str,
}

/// The process can work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always "ok"; otherwise the answer is an error with status 503.
    status: &'static str,
    /// Always "ok": it answered within the last second, and it takes writes.
    database: &'static str,
    /// Version of the WebAssembly engine.
    engine_version: String,
    /// Age of the oldest event that is not finished, milliseconds; 0 if there is none.
    backlog_age_ms: u64,
    /// What is not finished.
    backlog: BacklogView,
    /// Lanes being worked on, and lanes that wait for a place.
    queue: QueueView,
    /// true: the store was restored and not released yet. Callbacks are recorded, no plugin runs.
    held: bool,
    /// What the kernel refuses this process.
    walls: Walls,
    /// The operator's third-party platform; null if none is configured.
    component: Option<ComponentView>,
}

/// What the kernel refuses the process, in case a wall of the sandbox falls. false: this kernel can't, or was not asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Walls {
    /// Nothing that it starts has more rights than it.
    pub no_new_privileges: bool,
    /// It leaves no core file: in its memory are keys and buyers' data.
    pub core_dumps_off: bool,
    /// It makes no devices, sockets, pipes or links (Landlock, Linux 5.13 and later).
    pub landlock_files: bool,
    /// It listens on no port but its own (Landlock, Linux 6.7 and later).
    pub landlock_ports: bool,
    /// No other process of the same user reads its memory.
    pub memory_closed: bool,
    /// It makes no system call that it never needs: tracing others, mounting, namespaces, loading code into the kernel.
    pub seccomp: bool,
}

/// How the third-party platform stands. Without a ticket no token is renewed: shops go on for two hours.
#[derive(Serialize, ToSchema)]
pub(crate) struct ComponentView {
    /// "good", or "missing": then the platform is asked to push one, at most every 10 minutes.
    ticket: &'static str,
    /// When the ticket was made, unix milliseconds; 0 if there never was one.
    ticket_at: i64,
    /// When the platform was last asked to push tickets, unix milliseconds; 0 if never.
    ticket_asked_at: i64,
    /// "good", or "none": it is fetched when it is wanted.
    token: &'static str,
    /// When the token ends, unix milliseconds.
    token_expires_at: i64,
    /// What was refused of the component's own: its callbacks (`bad_signature`: another Token than the platform's; `bad_ciphertext`:
    /// another EncodingAESKey), and visits of its authorization pages (`authorize-…`).
    refusals: Vec<RefusalCount>,
}

/// What is not finished.
#[derive(Serialize, ToSchema)]
pub(crate) struct BacklogView {
    /// Events that have unfinished runs, or none yet.
    events: u64,
    /// Of these, events without runs yet.
    unplanned: u64,
    /// Runs that wait for a retry.
    waiting: u64,
    /// Runs that were given up and wait for a person. They hold nobody up.
    parked: u64,
}

/// Lanes that have something to do now.
#[derive(Serialize, ToSchema)]
pub(crate) struct QueueView {
    /// Being worked on.
    running: u64,
    /// Waiting for a place: all are taken, or the tenant has as many as it may.
    waiting: u64,
    /// How long the one waits that waits longest, milliseconds; 0 if none does.
    oldest_ms: u64,
}

/// The process lives
#[utoipa::path(get, operation_id = "getHealth", path = "/healthz", tag = "health", responses((status = 200, body = Alive)))]
pub(crate) async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// The process can work
///
/// Asks the database (at most once a second, unless the operator's token is sent) and tells the engine's version and how far behind the host is.
#[utoipa::path(
    get, operation_id = "getReadiness", path = "/readyz", tag = "health",
    responses((status = 200, body = Ready), (status = 503, description = "The database does not answer, or takes no writes", body = RefusalBody)),
)]
pub(crate) async fn readyz(State(console): State<Console>, headers: HeaderMap) -> Result<Json<Ready>, Refusal> {
    if !console.journal.is_writable() {
        tracing::error!("not ready: the writer of the store has ended");
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not-ready",
            "the store takes no writes any more",
            "the process is about to end: let a supervisor start it again, and look into its log for the cause",
        ));
    }
    // Whoever waits for the backlog to end needs it as it is now; strangers may ask at any rate.
    let (journal, custody) = (&console.journal, console.tenants.custody());
    let (counted, component) = if console.operator.is_in(&headers) {
        (journal.backlog().await.map_err(Arc::new), custody.component_health().await.map_err(Arc::new))
    } else {
        (journal.recent_backlog().await, custody.recent_component_health().await)
    };
    let not_ready = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "not ready: the database does not answer");
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not-ready",
            "the database does not answer",
            "look into the host's log: disk full, or the data folder is gone",
        )
    };
    let backlog = counted.map_err(|error| not_ready(&error))?;
    let component = component.map_err(|error| not_ready(&error))?;
    let queue = console.lanes.stats();
    Ok(Json(Ready {
        status: "ok",
        database: "ok",
        engine_version: console.runtime.engine_version().to_owned(),
        backlog_age_ms: backlog.oldest_ms,
        backlog: BacklogView {
            events: backlog.events,
            unplanned: backlog.unplanned,
            waiting: backlog.waiting,
            parked: backlog.parked,
        },
        queue: QueueView { running: queue.running as u64, waiting: queue.waiting as u64, oldest_ms: queue.oldest_ms },
        held: console.lanes.is_held(),
        walls: console.walls,
        component: component.map(|health| ComponentView {
            ticket: if health.ticket_good { "good" } else { "missing" },
            ticket_at: health.ticket_at,
            ticket_asked_at: health.ticket_asked_at,
            token: if health.token_good { "good" } else { "none" },
            token_expires_at: health.token_expires_at,
            refusals: health.refusals.into_iter().map(RefusalCount::from).collect(),
        }),
    }))
}

/// Metrics in Prometheus' text form
#[utoipa::path(get, operation_id = "getMetrics", path = "/metrics", tag = "health", responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn metrics(State(console): State<Console>) -> impl IntoResponse {
    // Gauges that nobody keeps up to date are read when they are asked for.
    match console.journal.recent_backlog().await {
        Ok(backlog) => {
            metrics::gauge!("fangshi_backlog_age_seconds").set(backlog.oldest_ms as f64 / 1000.0);
            metrics::gauge!("fangshi_backlog_events").set(backlog.events as f64);
            metrics::gauge!("fangshi_runs_waiting").set(backlog.waiting as f64);
            metrics::gauge!("fangshi_runs_parked").set(backlog.parked as f64);
            metrics::gauge!("fangshi_database_up").set(if console.journal.is_writable() { 1.0 } else { 0.0 });
        }
        Err(_) => metrics::gauge!("fangshi_database_up").set(0.0),
    }
    let tenants = console.tenants.list(None, u32::MAX).await;
    let stopped = tenants.iter().filter(|tenant| !tenant.is_active()).count();
    let queue = console.lanes.stats();
    metrics::gauge!("fangshi_lanes_running").set(queue.running as f64);
    metrics::gauge!("fangshi_lanes_waiting").set(queue.waiting as f64);
    metrics::gauge!("fangshi_queue_age_seconds").set(queue.oldest_ms as f64 / 1000.0);
    metrics::gauge!("fangshi_held").set(if console.lanes.is_held() { 1.0 } else { 0.0 });
    metrics::gauge!("fangshi_tenants_stopped").set(stopped as f64);
    if let Ok(quarantined) = console.tenants.registry().quarantined().await {
        metrics::gauge!("fangshi_installations_quarantined").set(quarantined as f64);
    }
    metrics::gauge!("fangshi_breakers_open").set(console.operations.held_back().len() as f64);
    console.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], console.metrics.render())
}
