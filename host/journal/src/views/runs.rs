//! Runs as a list.

use fangshi_database::{Digest, EventSeq, InstallationId, RunId, TenantId};
use serde::Serialize;

use super::{Page, page, size};
use crate::{Journal, JournalError, RunState, state};

/// Which runs of a tenant.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only this order's.
    pub order_id: Option<String>,
    /// Only parked ones.
    pub parked: bool,
    /// Older than this one.
    pub before: Option<RunId>,
    /// Page size, at most 200.
    pub limit: u32,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// Its event.
    pub event_seq: EventSeq,
    /// The platform's Event.
    pub event: String,
    /// `type` of ext_info_update.
    pub ext_type: Option<i64>,
    /// Empty without an order.
    pub order_id: String,
    /// Its installation.
    pub installation: InstallationId,
    /// The pinned version.
    pub version: Digest,
    /// `on-pay`.
    pub hook: String,
    /// Where it stands.
    pub state: RunState,
    /// Code: how the last attempt ended, or why it is parked.
    pub reason: Option<String>,
    /// Attempts that ended.
    pub attempts: u32,
    /// Of a waiting run: not before this, unix milliseconds.
    pub next_at: Option<i64>,
    /// When the platform decides by itself, unix milliseconds.
    pub deadline_at: Option<i64>,
    /// Run again by a person, perhaps out of order, unix milliseconds.
    pub repaired_at: Option<i64>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub finished_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
pub(super) struct RunRead {
    id: i64,
    event_seq: i64,
    event: String,
    ext_type: Option<i64>,
    order_id: String,
    installation_id: i64,
    version: Vec<u8>,
    hook: String,
    state: i64,
    reason: Option<String>,
    attempts: i64,
    next_at: i64,
    deadline_at: Option<i64>,
    repaired_at: Option<i64>,
    created_at: i64,
    finished_at: Option<i64>,
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT r.id, r.event_seq, e.event, e.ext_type, r.order_id, r.installation_id, r.version, r.hook, r.state, ",
            "r.reason, r.attempts, r.next_at, r.deadline_at, r.repaired_at, r.created_at, r.finished_at ",
            "FROM runs r JOIN events e ON e.seq = r.event_seq WHERE r.tenant_id = $1 AND ",
            $condition
        )
    };
}

// Static texts: each list must use its own index.
const OF_TENANT: &str = select!("r.id < $2 ORDER BY r.id DESC LIMIT $3");
const OF_ORDER: &str = select!("r.id < $2 AND r.order_id = $4 ORDER BY r.id DESC LIMIT $3");
const PARKED: &str = select!("r.id < $2 AND r.state = 4 ORDER BY r.id DESC LIMIT $3");
const PARKED_OF_ORDER: &str = select!("r.id < $2 AND r.state = 4 AND r.order_id = $4 ORDER BY r.id DESC LIMIT $3");
const ONE: &str = select!("r.id = $2");

impl Journal {
    /// Runs of a tenant, newest first.
    pub async fn runs(&self, tenant: TenantId, filter: &RunFilter) -> Result<Page<RunView, RunId>, JournalError> {
        let limit = size(filter.limit);
        let text = match (&filter.order_id, filter.parked) {
            (None, false) => OF_TENANT,
            (None, true) => PARKED,
            (Some(_), false) => OF_ORDER,
            (Some(_), true) => PARKED_OF_ORDER,
        };
        let mut query = sqlx::query_as(text)
            .bind(tenant.0)
            .bind(filter.before.map_or(i64::MAX, |run| run.0))
            .bind(i64::from(limit) + 1);
        if let Some(order_id) = &filter.order_id {
            query = query.bind(order_id.as_str());
        }
        let rows: Vec<RunRead> = query.fetch_all(self.reader()).await?;
        let runs = rows.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(page(runs, limit, |run| run.id))
    }

    /// One run of a tenant.
    pub(super) async fn run_view(&self, tenant: TenantId, run: RunId) -> Result<Option<RunView>, JournalError> {
        let row: Option<RunRead> = sqlx::query_as(ONE).bind(tenant.0).bind(run.0).fetch_optional(self.reader()).await?;
        row.map(view).transpose()
    }
}

fn view(row: RunRead) -> Result<RunView, JournalError> {
    let state = RunState::from_code(row.state)?;
    Ok(RunView {
        id: RunId(row.id),
        event_seq: EventSeq(row.event_seq),
        event: row.event,
        ext_type: row.ext_type,
        order_id: row.order_id,
        installation: InstallationId(row.installation_id),
        version: state::version(row.version)?,
        hook: row.hook,
        state,
        reason: row.reason,
        attempts: row.attempts as u32,
        next_at: (state == RunState::Waiting).then_some(row.next_at),
        deadline_at: row.deadline_at,
        repaired_at: row.repaired_at,
        created_at: row.created_at,
        finished_at: row.finished_at,
    })
}
