//! What the operator was told, or is to be told, and how the platform treats a shop now.

use axum::Json;
use axum::extract::State;
use fangshi_journal::Alert;
use fangshi_operations::ShopStanding;
use fangshi_tenants::TenantId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Console;
use crate::page::{Page, PageQuery};
use crate::refusal::Refusal;
use crate::request::{Ids, QueryOf};
use crate::tenants::known;

/// One alert: codes, ids, counts and times.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct AlertView {
    /// Its number, the same however often it is sent.
    id: i64,
    /// run-parked, deadline-near, tenant-stopped, breaker-open, installation-quarantined, backlog-old.
    kind: &'static str,
    /// t0 for the host itself.
    tenant: String,
    /// Why parked, which run, how stopped, which installation.
    subject: String,
    /// How often it happened.
    count: u32,
    /// Unix milliseconds.
    first_at: i64,
    /// Unix milliseconds.
    last_at: i64,
    /// When it was over, unix milliseconds; of a thing that happened: at once.
    ended_at: Option<i64>,
    /// Sendings that failed since it was last sent.
    tries: u32,
    /// When it was sent, unix milliseconds; null while it waits, and without `[alerts] webhook_url`.
    sent_at: Option<i64>,
}

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        AlertView {
            id: alert.id,
            kind: alert.kind.code(),
            tenant: alert.tenant.to_string(),
            subject: alert.subject,
            count: alert.count,
            first_at: alert.first_at,
            last_at: alert.last_at,
            ended_at: alert.ended_at,
            tries: alert.tries,
            sent_at: alert.sent_at,
        }
    }
}

/// Alerts, newest first
#[utoipa::path(
    get, operation_id = "listAlerts", path = "/alerts", tag = "health", params(PageQuery),
    responses((status = 200, body = Page<AlertView>)),
)]
pub(crate) async fn list(
    State(console): State<Console>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<AlertView>>, Refusal> {
    let limit = query.limit()?;
    let alerts = console.journal.alerts(query.after()?, limit + 1).await;
    let alerts = alerts.map_err(|error| Refusal::fault("reading alerts", &error))?;
    let items = alerts.into_iter().map(AlertView::from).collect();
    Ok(Json(Page::cut(items, limit, |alert: &AlertView| alert.id.to_string())))
}

/// How the platform treats a shop now
///
/// The circuit breaker of its calls, and the operations whose quota is used up. As the host knows it since its start.
#[utoipa::path(
    get, operation_id = "getPlatformStanding", path = "/tenants/{tenant}/platform", tag = "tenants",
    params(("tenant" = String, Path, description = "t1")),
    responses((status = 200, description = "breaker, failures, opened_at, probe_at, limited", content_type = "application/json", body = Object)),
)]
pub(crate) async fn standing(
    State(console): State<Console>,
    Ids(tenant): Ids<TenantId>,
) -> Result<Json<ShopStanding>, Refusal> {
    known(&console, tenant)?;
    Ok(Json(console.operations.standing(tenant)))
}
