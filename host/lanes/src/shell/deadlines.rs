//! Deadlines of the platform: looked for in orders that no attempt has read, and told to the operator in time.

use std::collections::BTreeMap;

use fangshi_journal::{JournalError, RunId, RunState, TenantId, UnknownDeadline};
use futures_util::future::join_all;

use super::Core;
use crate::decide::deadline::{Alert, sku_deadline};

/// Runs that are told of at one time.
const TOLD_AT_ONCE: u32 = 1_000;
/// Orders that are read at one time: a platform that does not answer holds the sweeper up by one timeout.
const LOOKS_AT_ONCE: u32 = 16;
/// Before an order that could not be read is tried again, milliseconds.
const LOOK_AGAIN_MS: i64 = 600_000;

/// Looks for what is not known and tells what is near. That it could not is no reason to leave lanes untouched.
pub(crate) async fn watch_deadlines(core: &Core) {
    for step in [look(core).await, tell(core).await] {
        if let Err(error) = step {
            tracing::error!(%error, "deadlines could not be told");
        }
    }
}

/// Reads the orders of runs that are held, queued or parked and never read them. The host reads for itself here: no plugin
/// sees it, so an installation that is paused or removed changes nothing.
async fn look(core: &Core) -> Result<(), JournalError> {
    let now = core.clock.now();
    let mut orders: BTreeMap<(TenantId, String), Vec<UnknownDeadline>> = BTreeMap::new();
    for unknown in core.journal.unknown_deadlines(now, LOOKS_AT_ONCE).await? {
        orders.entry((unknown.tenant, unknown.order_id.clone())).or_default().push(unknown);
    }
    let reads = orders
        .into_iter()
        .map(|((tenant, order_id), runs)| async move { (core.shop.read_order(tenant, &order_id).await, runs) });
    let mut not_found = Vec::new();
    for (order, runs) in join_all(reads).await {
        for unknown in runs {
            match &order {
                Ok(order) => {
                    let deadline_at = sku_deadline(order, unknown.created_at);
                    core.journal.deadline_found(unknown.tenant, unknown.run, deadline_at).await?;
                }
                Err(_) => {
                    if !unknown.told {
                        say(Alert::Unknown, unknown.tenant, unknown.run, &unknown.order_id, unknown.state);
                    }
                    not_found.push(unknown.run);
                }
            }
        }
    }
    match not_found.is_empty() {
        true => Ok(()),
        false => core.journal.deadlines_unknown(not_found, now.saturating_add(LOOK_AGAIN_MS)).await,
    }
}

/// Tells of runs that the platform will not wait for.
async fn tell(core: &Core) -> Result<(), JournalError> {
    let now = core.clock.now();
    let until = now.saturating_add(core.config.deadline_alert.as_millis() as i64);
    let near = core.journal.near_deadlines(until, TOLD_AT_ONCE).await?;
    for near in &near {
        say(Alert::of(near.deadline_at, now), near.tenant, near.run, &near.order_id, near.state);
    }
    match near.is_empty() {
        true => Ok(()),
        false => core.journal.deadlines_told(near).await,
    }
}

fn say(alert: Alert, tenant: TenantId, run: RunId, order_id: &str, state: RunState) {
    metrics::counter!("fangshi_deadline_alerts_total", "kind" => alert.kind()).increment(1);
    tracing::warn!(%tenant, %run, order_id, ?state, "{}", alert.words());
}
