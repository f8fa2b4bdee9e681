//! The console: what the operator sees and changes over HTTP.
//!
//! [`router`] serves `/healthz`, `/readyz` and `/metrics` without a token, and the admin API under `/api/v1` behind the
//! operator's bearer token, with its OpenAPI document made from the same handlers (`openapi`). One file a subject:
//! `tenants`, `plugins`, `installations`, `events`, `runs`. Handlers hold no rules of their own: they read a request
//! (`request`, `page`), call the room that owns the matter, and show what came of it; every error has the one form of
//! `refusal`. Secrets go in and never out; host calls of runs are shown redacted by the table of operations.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod events;
mod health;
mod installations;
mod openapi;
mod operator;
mod page;
mod plugins;
mod redacted;
mod refusal;
mod request;
mod runs;
mod secret;
mod tenants;
mod unmatched;

use axum::Router;
use fangshi_journal::Journal;
use fangshi_lanes::Lanes;
use fangshi_runtime::Runtime;
use fangshi_tenants::Tenants;
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use operator::OperatorToken;
pub use refusal::Refusal;

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
    /// Reads uploads.
    pub runtime: Runtime,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Whom to let in.
    pub operator: OperatorToken,
    /// Largest upload, bytes.
    pub max_plugin_bytes: usize,
}

/// The routes of the console, with the one form of errors for everything they do not know. Merge other rooms' routes
/// into the result.
pub fn router(console: Console) -> Router {
    let (open, admin, document) = routes();
    let operator = axum::middleware::from_fn_with_state(console.operator.clone(), operator::require);
    let document = std::sync::Arc::new(document);
    let admin = admin
        .layer(axum::Extension(document))
        .method_not_allowed_fallback(unmatched::method)
        .fallback(unmatched::address)
        .layer(operator.clone());
    // Nesting takes every address below ADMIN but this one.
    let bare = axum::routing::any(unmatched::address).layer(operator);
    open.route("/api/v1/", bare)
        .method_not_allowed_fallback(unmatched::method)
        .nest(ADMIN, admin)
        .fallback(unmatched::address)
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
        .routes(routes!(tenants::get, tenants::patch))
        .routes(routes!(plugins::upload, plugins::list))
        .routes(routes!(installations::create, installations::list))
        .routes(routes!(installations::get, installations::patch, installations::remove))
        .routes(routes!(events::list))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(runs::repair));
    let (admin, under_admin) = admin.split_for_parts();
    let (open, document) = open.split_for_parts();
    let mut document = document.nest(ADMIN, under_admin);
    openapi::complete(&mut document);
    (open, admin, document)
}

/// This document
#[utoipa::path(get, operation_id = "getOpenapiDocument", path = "/openapi.json", tag = "openapi", responses((status = 200, description = "OpenAPI 3.1")))]
async fn openapi_json(
    axum::Extension(document): axum::Extension<std::sync::Arc<utoipa::openapi::OpenApi>>,
) -> axum::Json<std::sync::Arc<utoipa::openapi::OpenApi>> {
    axum::Json(document)
}
