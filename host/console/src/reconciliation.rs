//! How the reconciliation of a tenant stands: its passes, and changes of status that no chart has.

use axum::Json;
use axum::extract::State;
use fangshi_journal::{Pass, PassReport, Standing, TransitionView, Walk};
use fangshi_tenants::TenantId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Console;
use crate::refusal::Refusal;
use crate::request::Ids;

/// Transitions shown at most.
const TRANSITIONS: u32 = 50;

/// How the reconciliation of a tenant stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reconciliation)]
pub(crate) struct ReconciliationView {
    /// Orders placed before this were taken as they were found, unix seconds; none before the first pass.
    since: Option<i64>,
    /// The platform's quota is used up: no calls before this, unix milliseconds.
    paused_until: Option<i64>,
    /// What was updated lately.
    incremental: PassView,
    /// All orders, daily.
    full: PassView,
    /// Changes of status that the guide's chart does not have, newest first; 50 at most.
    unknown_transitions: Vec<TransitionItem>,
    /// How many there are in all.
    unknown_transitions_total: u64,
}

/// One of the two passes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReconciliationPass)]
pub(crate) struct PassView {
    /// When the next one is due, unix milliseconds.
    due_at: Option<i64>,
    /// Incremental alone: updates until then were looked at, the platform's unix seconds.
    done_until: Option<i64>,
    /// The one under way.
    running: Option<WalkView>,
    /// The last one that ended.
    last: Option<ReportView>,
}

/// A pass under way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReconciliationWalk)]
pub(crate) struct WalkView {
    /// Unix milliseconds.
    begun_at: i64,
    /// Its cursor: where the list is, the platform's unix seconds.
    at: i64,
    /// End of its range, the platform's unix seconds.
    until: i64,
    /// Orders listed and not read yet.
    pending: usize,
    /// Orders listed so far.
    listed: u32,
    /// Orders read so far.
    read: u32,
    /// Events made so far.
    made: u32,
    /// Orders that could not be read.
    failed: u32,
}

/// A pass that ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReconciliationReport)]
pub(crate) struct ReportView {
    /// Unix milliseconds.
    begun_at: i64,
    /// Unix milliseconds.
    ended_at: i64,
    /// `done`; or the class of what the platform refused it, or a part of it, for, such as `permission`; or `cursor`: a list
    /// had more and showed no way on.
    outcome: String,
    /// End of its range, the platform's unix seconds.
    until: i64,
    /// Orders listed.
    listed: u32,
    /// Orders read.
    read: u32,
    /// Events made of changes that no callback announced.
    made: u32,
    /// Orders that could not be read.
    failed: u32,
}

/// A change of status that the guide's chart does not have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnknownTransition)]
pub(crate) struct TransitionItem {
    /// Decimal text.
    order_id: String,
    /// The status before.
    from: i64,
    /// The status after.
    to: i64,
    /// Whether it is known from elsewhere than the guide.
    known: bool,
    /// The order's `update_time` then, unix seconds.
    update_time: i64,
    /// When it was found, unix milliseconds.
    seen_at: i64,
}

impl From<Pass> for PassView {
    fn from(pass: Pass) -> Self {
        PassView {
            due_at: (pass.due_at > 0).then_some(pass.due_at),
            done_until: (pass.done_until_s > 0).then_some(pass.done_until_s),
            running: pass.walk.map(WalkView::from),
            last: pass.last.map(ReportView::from),
        }
    }
}

// The platform's own cursor and the ids that wait are left out: the one is the platform's, the others are many.
impl From<Walk> for WalkView {
    fn from(walk: Walk) -> Self {
        WalkView {
            begun_at: walk.begun_at,
            at: walk.from_s,
            until: walk.until_s,
            pending: walk.pending.len(),
            listed: walk.listed,
            read: walk.read,
            made: walk.made,
            failed: walk.failed,
        }
    }
}

impl From<PassReport> for ReportView {
    fn from(report: PassReport) -> Self {
        ReportView {
            begun_at: report.begun_at,
            ended_at: report.ended_at,
            outcome: report.outcome,
            until: report.until_s,
            listed: report.listed,
            read: report.read,
            made: report.made,
            failed: report.failed,
        }
    }
}

impl From<TransitionView> for TransitionItem {
    fn from(view: TransitionView) -> Self {
        TransitionItem {
            order_id: view.order_id,
            from: view.transition.from,
            to: view.transition.to,
            known: view.transition.known,
            update_time: view.update_time,
            seen_at: view.seen_at,
        }
    }
}

/// How the reconciliation of a tenant stands
#[utoipa::path(
    get, operation_id = "getReconciliation", path = "/tenants/{tenant}/reconciliation", tag = "events",
    params(("tenant" = String, Path, description = "t1")),
    responses((status = 200, body = ReconciliationView)),
)]
pub(crate) async fn get(
    State(console): State<Console>,
    Ids(tenant): Ids<TenantId>,
) -> Result<Json<ReconciliationView>, Refusal> {
    crate::tenants::known(&console, tenant)?;
    let fault = |error: fangshi_journal::JournalError| Refusal::fault("reading the reconciliation", &error);
    let standing = console.journal.standing(tenant).await.map_err(fault)?;
    let (transitions, total) = console.journal.transitions(tenant, TRANSITIONS).await.map_err(fault)?;
    let since = standing.as_ref().map(|standing| standing.since_s);
    let Standing { paused_until, incremental, full, .. } = standing.unwrap_or_default();
    Ok(Json(ReconciliationView {
        since,
        paused_until: (paused_until > console.journal.clock().now()).then_some(paused_until),
        incremental: incremental.into(),
        full: full.into(),
        unknown_transitions: transitions.into_iter().map(TransitionItem::from).collect(),
        unknown_transitions_total: total,
    }))
}
