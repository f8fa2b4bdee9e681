//! Events of a tenant, without their bodies: ids, codes and times.

use axum::Json;
use axum::extract::State;
use fangshi_journal::{EventFilter, EventView};
use fangshi_tenants::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Console;
use crate::page::{self, Page};
use crate::refusal::Refusal;
use crate::request::{Ids, QueryOf};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Only events of this order.
    order_id: Option<String>,
    /// The `next` of the page before; without it the list begins.
    after: Option<String>,
    /// Items of a page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// One callback, decrypted, deduplicated, durable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventItem {
    /// e1: its place in the sequence.
    id: String,
    /// The platform's Event, such as `channels_ec_order_pay`.
    event: String,
    /// Only of `channels_ec_order_ext_info_update`: its `type`.
    ext_type: Option<i64>,
    /// Decimal text; empty for events without an order.
    order_id: String,
    /// callback, reconciled, poll, schedule, manual.
    source: String,
    /// The platform's time of it, unix seconds.
    created_at: i64,
    /// When the host received it, unix milliseconds.
    received_at: i64,
    /// recorded (no runs yet), planned, finished.
    state: String,
    /// When its runs were created, unix milliseconds.
    planned_at: Option<i64>,
    /// When the last of its runs was over, unix milliseconds.
    finished_at: Option<i64>,
    /// The run whose own change caused this event, or may have: then nobody was spared it.
    echo_of: Option<String>,
    /// How many runs it has.
    runs: u32,
}

impl From<EventView> for EventItem {
    fn from(event: EventView) -> Self {
        EventItem {
            id: event.seq.to_string(),
            event: event.event,
            ext_type: event.ext_type,
            order_id: event.order_id,
            source: page::word(&event.source),
            created_at: event.created_at,
            received_at: event.received_at,
            state: event.state.to_owned(),
            planned_at: event.planned_at,
            finished_at: event.finished_at,
            echo_of: event.echo_of.map(|run| run.to_string()),
            runs: event.runs,
        }
    }
}

/// Events of a tenant, newest first
#[utoipa::path(
    get, operation_id = "listEvents", path = "/tenants/{tenant}/events", tag = "events",
    params(("tenant" = String, Path, description = "t1"), EventsQuery),
    responses((status = 200, body = Page<EventItem>)),
)]
pub(crate) async fn list(
    State(console): State<Console>,
    Ids(tenant): Ids<TenantId>,
    QueryOf(query): QueryOf<EventsQuery>,
) -> Result<Json<Page<EventItem>>, Refusal> {
    crate::tenants::known(&console, tenant)?;
    let filter = EventFilter {
        order_id: query.order_id,
        before: page::cursor(query.after.as_deref())?,
        limit: page::limit(query.limit)?,
    };
    let events =
        console.journal.events(tenant, &filter).await.map_err(|error| Refusal::fault("reading events", &error))?;
    Ok(Json(Page {
        items: events.items.into_iter().map(EventItem::from).collect(),
        next: events.next.map(|seq| seq.to_string()),
    }))
}
