//! The effects that may explain a lane's new events: those on its order, and those on the gift that the order was made of.

use fangshi_journal::{GIFT_NOTE, JournalError, LaneKey, LaneState, Traces};
use fangshi_operations::gift_of;

use super::Core;

/// Effects since a time (unix milliseconds) at the least, oldest first.
pub(super) async fn traces(
    core: &Core,
    lane: &LaneKey,
    state: &LaneState,
    since_ms: i64,
) -> Result<Traces, JournalError> {
    let mut traces = match lane.order() {
        "" => return Ok(Vec::new()),
        _ if state.reconciled.is_empty() => state.effects.clone(),
        // Such an event tells of what may have happened long before it was made.
        _ => core.journal.effects_on(lane, since_ms).await?,
    };
    let about_a_gift = state.events.iter().any(|event| event.ext_type == Some(GIFT_NOTE));
    if about_a_gift && let Some(gift) = gift(core, lane).await? {
        traces.extend(core.journal.effects_on_gift(lane, &gift, since_ms).await?);
        traces.sort_by_key(|trace| (trace.intent_at, trace.id));
    }
    Ok(traces)
}

/// The gift that the lane's order was made of, by what the journal kept of the order: whoever changed the note had read
/// one of the gift's orders. None if this one was never read.
async fn gift(core: &Core, lane: &LaneKey) -> Result<Option<String>, JournalError> {
    let read = core.journal.snapshot_near(lane, core.clock.now()).await?;
    Ok(read.and_then(|order| gift_of(&order.json)).filter(|gift| **gift != *lane.order_id))
}
