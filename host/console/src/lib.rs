//! The console: what the operator sees and changes over HTTP.
//!
//! [`router`] serves `/healthz`, `/readyz` and `/metrics` without a token, and the admin API under `/api/v1` behind
//! bearer tokens, with its OpenAPI document made from the same handlers (`openapi`). `login` finds out who calls and how
//! far they reach (`reach`); `throttle` slows those who guess, `crowd`, `held` and `patience` bound what one caller holds. One file a subject: `tenants`, `export`, `authorizations`,
//! `plugins`, `approvals`, `installations`, `events`, `runs`, `repairs`, `backtests`, `alerts`, `reconciliation`, `tokens`, `links`,
//! `audit`. `authorize` serves the pages on which a
//! merchant authorizes, `merchant` the page for merchants. Handlers hold no rules of their own: they read a request
//! (`request`, `page`), call the room that owns the matter, and show what came of it; every error has the one form of
//! `refusal`. Secrets go in and never out; host calls of runs are shown redacted by the table of operations.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod alerts;
mod approvals;
mod audit;
mod authorizations;
mod authorize;
mod backtests;
mod caller;
mod china;
mod crowd;
mod entrance;
mod events;
mod export;
mod health;
mod held;
mod installations;
mod lately;
mod limits;
mod links;
mod login;
mod merchant;
mod openapi;
mod operator;
mod page;
mod patience;
mod permission;
mod plugins;
mod reach;
mod reconciliation;
mod redacted;
mod refusal;
mod repairs;
mod request;
mod runs;
mod schedules;
mod secret;
mod signature;
mod tenants;
mod throttle;
mod tokens;
mod unmatched;
mod uploading;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::map_request;
use fangshi_journal::Journal;
use fangshi_lanes::{Lanes, Plans};
use fangshi_operations::Operations;
use fangshi_runtime::Runtime;
use fangshi_tenants::{Tenants, UploadLimits};
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use crowd::Crowd;
pub use entrance::Entrance;
pub use export::export_lines;
pub use health::Walls;
pub use held::hold;
pub use operator::OperatorToken;
pub use refusal::Refusal;
pub use signature::TrustedKeys;
pub use uploading::Uploading;

/// Where the admin API begins.
const ADMIN: &str = "/api/v1";

/// The rooms that the console shows, and its own settings. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    /// Tenants, plugins, installations.
    pub tenants: Tenants,
    /// Events and runs.
    pub journal: Journal,
    /// Told of changes that may let a lane go on.
    pub lanes: Lanes,
    /// Knows how the platform treats each shop.
    pub operations: Operations,
    /// Reads uploads.
    pub runtime: Runtime,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Whom to let in.
    pub operator: OperatorToken,
    /// What authorization links and pages need.
    pub entrance: Entrance,
    /// Largest upload, bytes.
    pub max_plugin_bytes: usize,
    /// What one tenant may upload in all.
    pub uploads: UploadLimits,
    /// What tenants may use.
    pub plans: Arc<Plans>,
    /// Who must have signed an upload; `None`: nobody.
    pub trusted: Option<TrustedKeys>,
    /// Whether a version that a merchant uploaded must be approved by the operator before it is installed.
    pub approval: bool,
    /// Whose uploads are under way.
    pub uploading: Uploading,
    /// What merchants have under way.
    pub crowd: Crowd,
    /// How long the body of a request may take.
    pub body_time: Duration,
    /// What stands around the process.
    pub walls: Walls,
    /// One place: a backtest takes a processor for a while.
    pub backtesting: Arc<tokio::sync::Semaphore>,
}

/// The routes of the console, with the one form of errors for everything they do not know. Serve it with [`axum::extract::ConnectInfo`], or all failed logins count as one address's.
pub fn router(console: Console) -> Router {
    let (open, admin, document) = routes();
    let login = axum::middleware::from_fn_with_state(login::Login::new(console.clone()), login::require);
    let document = Arc::new(document);
    let admin = admin
        .layer(axum::Extension(document))
        .method_not_allowed_fallback(unmatched::method)
        .fallback(unmatched::address)
        .layer(login.clone());
    // Nesting takes every address below ADMIN but this one.
    let bare = axum::routing::any(unmatched::address).layer(login);
    let time = console.body_time;
    let bounded = map_request(move |request: Request| async move { request.map(|body| patience::bounded(body, time)) });
    open.route("/api/v1/", bare)
        .merge(authorize::pages())
        .merge(merchant::routes(&console))
        .method_not_allowed_fallback(unmatched::method)
        .nest(ADMIN, admin)
        .fallback(unmatched::address)
        .layer(bounded)
        .with_state(console)
}

/// The OpenAPI document without a running host, for tools.
pub fn document() -> utoipa::openapi::OpenApi {
    routes().2
}

/// Routes without a token, routes under [`ADMIN`], and the document of both.
fn routes() -> (Router<Console>, Router<Console>, utoipa::openapi::OpenApi) {
    let open = OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics));
    let admin = OpenApiRouter::new()
        .routes(routes!(openapi_json))
        .routes(routes!(tenants::create, tenants::list))
        .routes(routes!(tenants::get, tenants::patch, tenants::delete))
        .routes(routes!(export::export))
        .routes(routes!(authorizations::create, authorizations::list))
        .routes(routes!(authorizations::get))
        .routes(routes!(authorizations::accounts))
        .routes(routes!(plugins::upload, plugins::list))
        .routes(routes!(approvals::create, approvals::remove))
        .routes(routes!(approvals::create_all))
        .routes(routes!(approvals::list))
        .routes(routes!(installations::create, installations::list))
        .routes(routes!(installations::get, installations::patch, installations::remove))
        .routes(routes!(events::list))
        .routes(routes!(reconciliation::get))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(repairs::repair))
        .routes(routes!(repairs::repair_many))
        .routes(routes!(backtests::replay))
        .routes(routes!(backtests::backtest))
        .routes(routes!(tokens::create, tokens::list))
        .routes(routes!(tokens::revoke))
        .routes(routes!(tokens::create_for_merchant))
        .routes(routes!(links::create))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::standing))
        .routes(routes!(audit::list));
    let (admin, under_admin) = admin.split_for_parts();
    let (open, document) = open.split_for_parts();
    let mut document = document.nest(ADMIN, under_admin);
    openapi::complete(&mut document);
    (open, admin, document)
}

/// This document
#[utoipa::path(get, operation_id = "getOpenapiDocument", path = "/openapi.json", tag = "openapi", responses((status = 200, description = "OpenAPI 3.1")))]
async fn openapi_json(
    axum::Extension(document): axum::Extension<Arc<utoipa::openapi::OpenApi>>,
) -> axum::Json<Arc<utoipa::openapi::OpenApi>> {
    axum::Json(document)
}
