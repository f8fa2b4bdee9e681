//! Runs as a list.

use fangshi_database::{Digest, EventSeq, InstallationId, PluginId, RunId, TenantId};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite};

use super::{Page, page, size};
use crate::lane::order_of;
use crate::{Journal, JournalError, RunState, state};

/// Which runs of a tenant.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only this order's.
    pub order_id: Option<String>,
    /// Only parked ones.
    pub parked: bool,
    /// Only with this reason: a code.
    pub reason: Option<String>,
    /// Only of this plugin's installations, removed ones included.
    pub plugin: Option<PluginId>,
    /// Only those that were over (done, rejected or parked) then or later, unix milliseconds.
    pub since: Option<i64>,
    /// Only those that were over before this, unix milliseconds.
    pub until: Option<i64>,
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

const SELECT: &str = "SELECT r.id, r.event_seq, e.event, e.ext_type, r.order_id, r.installation_id, r.version, r.hook, \
     r.state, r.reason, r.attempts, r.next_at, r.deadline_at, r.repaired_at, r.created_at, r.finished_at \
     FROM runs r JOIN events e ON e.seq = r.event_seq WHERE r.tenant_id = ";

impl Journal {
    /// Runs of a tenant, newest first.
    pub async fn runs(&self, tenant: TenantId, filter: &RunFilter) -> Result<Page<RunView, RunId>, JournalError> {
        let limit = size(filter.limit);
        let mut query = selected(tenant, filter);
        query.push(" ORDER BY r.id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows: Vec<RunRead> = query.build_query_as().fetch_all(self.reader()).await?;
        let runs = rows.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(page(runs, limit, |run| run.id))
    }

    /// The run of an event for an installation, if there is one.
    pub async fn run_of(
        &self,
        tenant: TenantId,
        event: EventSeq,
        installation: InstallationId,
    ) -> Result<Option<RunView>, JournalError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push_bind(tenant.0).push(" AND r.event_seq = ").push_bind(event.0);
        query.push(" AND r.installation_id = ").push_bind(installation.0);
        let row: Option<RunRead> = query.build_query_as().fetch_optional(self.reader()).await?;
        row.map(view).transpose()
    }

    /// One run of a tenant.
    pub(super) async fn run_view(&self, tenant: TenantId, run: RunId) -> Result<Option<RunView>, JournalError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push_bind(tenant.0).push(" AND r.id = ").push_bind(run.0);
        let row: Option<RunRead> = query.build_query_as().fetch_optional(self.reader()).await?;
        row.map(view).transpose()
    }
}

/// Only the conditions that are asked for: each list uses the index of its own.
fn selected(tenant: TenantId, filter: &RunFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(SELECT);
    query.push_bind(tenant.0).push(" AND r.id < ").push_bind(filter.before.map_or(i64::MAX, |run| run.0));
    if filter.parked {
        query.push(" AND r.state = 4");
    }
    if let Some(order_id) = &filter.order_id {
        query.push(" AND r.order_id = ").push_bind(order_id.clone());
    }
    if let Some(reason) = &filter.reason {
        query.push(" AND r.reason = ").push_bind(reason.clone());
    }
    if let Some(plugin) = filter.plugin {
        query.push(" AND r.installation_id IN (SELECT id FROM installations WHERE tenant_id = ").push_bind(tenant.0);
        query.push(" AND plugin_id = ").push_bind(plugin.0).push(")");
    }
    if let Some(since) = filter.since {
        query.push(" AND r.finished_at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        query.push(" AND r.finished_at < ").push_bind(until);
    }
    query
}

fn view(row: RunRead) -> Result<RunView, JournalError> {
    let state = RunState::from_code(row.state)?;
    Ok(RunView {
        id: RunId(row.id),
        event_seq: EventSeq(row.event_seq),
        event: row.event,
        ext_type: row.ext_type,
        order_id: order_of(&row.order_id).to_owned(),
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
