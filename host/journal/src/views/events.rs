//! Events as a list.

use fangshi_database::{EventSeq, InstallationId, RunId, TenantId};
use serde::Serialize;

use super::{Page, page, size};
use crate::event::Source;
use crate::lane::{order_of, scheduled_for};
use crate::places::First;
use crate::{Journal, JournalError};

/// Which events of a tenant.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only this order's.
    pub order_id: Option<String>,
    /// Older than this one.
    pub before: Option<EventSeq>,
    /// Page size, at most 200.
    pub limit: u32,
}

/// One event, without its body (see [`Journal::event`]).
#[derive(Debug, Clone, Serialize)]
pub struct EventView {
    /// Its place in the sequence.
    pub seq: EventSeq,
    /// Empty without an order.
    pub order_id: String,
    /// The platform's Event.
    pub event: String,
    /// `type` of ext_info_update.
    pub ext_type: Option<i64>,
    /// Where it came from.
    pub source: Source,
    /// Of a tick: whose schedule it is.
    pub scheduled_for: Option<InstallationId>,
    /// Unix seconds, the platform's.
    pub created_at: i64,
    /// Unix milliseconds.
    pub received_at: i64,
    /// `recorded`, `planned` or `finished`.
    pub state: &'static str,
    /// Unix milliseconds.
    pub planned_at: Option<i64>,
    /// Unix milliseconds.
    pub finished_at: Option<i64>,
    /// The run whose effect explains this event.
    pub echo_of: Option<RunId>,
    /// Whether reconciliation had told of it already, so that nobody was given it.
    pub absorbed: bool,
    /// How many runs it has.
    pub runs: u32,
}

#[derive(sqlx::FromRow)]
struct EventRead {
    seq: i64,
    order_id: String,
    event: String,
    ext_type: Option<i64>,
    source: i64,
    created_at: i64,
    received_at: i64,
    state: i64,
    planned_at: Option<i64>,
    finished_at: Option<i64>,
    echo_run: Option<i64>,
    absorbed: bool,
    runs: i64,
}

// Static texts: the two lists differ in one condition, and each must use its own index.
const OF_PLACES: &str = "SELECT seq, order_id, event, ext_type, source, created_at, received_at, state, planned_at, \
     finished_at, (SELECT run_id FROM effects WHERE effects.id = events.echo_of) AS echo_run, \
     EXISTS (SELECT 1 FROM reconciled r WHERE r.tenant_id = events.tenant_id AND r.order_id = events.order_id \
     AND r.matched_by = events.seq) AS absorbed, \
     (SELECT COUNT(*) FROM runs WHERE runs.event_seq = events.seq) AS runs \
     FROM events WHERE seq IN (SELECT value FROM json_each($1)) ORDER BY seq DESC";
const OF_ORDER: &str = "SELECT seq, order_id, event, ext_type, source, created_at, received_at, state, planned_at, \
     finished_at, (SELECT run_id FROM effects WHERE effects.id = events.echo_of) AS echo_run, \
     EXISTS (SELECT 1 FROM reconciled r WHERE r.tenant_id = events.tenant_id AND r.order_id = events.order_id \
     AND r.matched_by = events.seq) AS absorbed, \
     (SELECT COUNT(*) FROM runs WHERE runs.event_seq = events.seq) AS runs \
     FROM events WHERE tenant_id = $1 AND seq < $2 AND order_id = $4 ORDER BY seq DESC LIMIT $3";

impl Journal {
    /// Events of a tenant, newest first.
    pub async fn events(
        &self,
        tenant: TenantId,
        filter: &EventFilter,
    ) -> Result<Page<EventView, EventSeq>, JournalError> {
        let limit = size(filter.limit);
        let before = filter.before.map_or(i64::MAX, |seq| seq.0);
        let rows: Vec<EventRead> = match &filter.order_id {
            None => {
                let places = self.places(tenant, First::Newest, (0, before), i64::from(limit) + 1).await?;
                let places = serde_json::Value::from(places).to_string();
                sqlx::query_as(OF_PLACES).bind(places).fetch_all(self.reader()).await?
            }
            Some(order_id) => {
                sqlx::query_as(OF_ORDER)
                    .bind(tenant.0)
                    .bind(before)
                    .bind(i64::from(limit) + 1)
                    .bind(order_id.as_str())
                    .fetch_all(self.reader())
                    .await?
            }
        };
        let events = rows.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(page(events, limit, |event| event.seq))
    }
}

fn view(row: EventRead) -> Result<EventView, JournalError> {
    Ok(EventView {
        seq: EventSeq(row.seq),
        order_id: order_of(&row.order_id).to_owned(),
        scheduled_for: scheduled_for(&row.order_id),
        event: row.event,
        ext_type: row.ext_type,
        source: Source::from_code(row.source)?,
        created_at: row.created_at,
        received_at: row.received_at,
        state: match row.state {
            0 => "recorded",
            1 => "planned",
            _ => "finished",
        },
        planned_at: row.planned_at,
        finished_at: row.finished_at,
        echo_of: row.echo_run.map(RunId),
        absorbed: row.absorbed,
        runs: row.runs as u32,
    })
}
