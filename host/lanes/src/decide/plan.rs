//! What becomes of a new event: its runs, and whether it is an echo.

use fangshi_journal::{Digest, InstallationId, NewRun, PlannedEvent, UnplannedEvent};

use super::choose::Standing;
use super::echo::{Cause, Question, explain};
use crate::hook::hook_of;

/// An installation as planning sees it.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its id.
    pub installation: InstallationId,
    /// Its version.
    pub version: Digest,
    /// Hooks of the version.
    pub hooks: Vec<String>,
    /// How it stands: held ones queue.
    pub standing: Standing,
    /// When it was installed, unix milliseconds: earlier events are not for it.
    pub created_at: i64,
    /// Whether it wants the echoes of its own effects.
    pub echoes: bool,
}

/// The platform decides on a buyer's wish for another address after this, seconds (platform page, section 4, row 8).
const ADDRESS_WISH_S: i64 = 12 * 3_600;
/// `type` of ext_info_update for that wish.
const ADDRESS_WISH: i64 = 4;

/// Plans events in their order. `causes` are the effects on the lane's order, oldest first, that explain no event yet.
pub fn plan(events: &[UnplannedEvent], subscribers: &[Subscriber], causes: &[Cause]) -> Vec<PlannedEvent> {
    let mut used = Vec::new();
    events
        .iter()
        .map(|event| {
            let question = Question { event: &event.event, ext_type: event.ext_type, created_at: event.created_at };
            let cause = explain(question, causes, &used);
            used.extend(cause.map(|cause| cause.id));
            let deadline_at = (event.ext_type == Some(ADDRESS_WISH))
                .then_some(event.created_at.saturating_add(ADDRESS_WISH_S).saturating_mul(1_000));
            let runs = match hook_of(&event.event) {
                None => Vec::new(),
                Some(hook) => subscribers
                    .iter()
                    .filter(|one| one.standing != Standing::Gone && one.created_at <= event.received_at)
                    .filter(|one| one.hooks.iter().any(|subscribed| subscribed == hook))
                    .filter(|one| one.echoes || cause.is_none_or(|cause| cause.installation != one.installation))
                    .map(|one| NewRun {
                        installation: one.installation,
                        version: one.version,
                        hook: hook.to_owned(),
                        deadline_at,
                    })
                    .collect(),
            };
            PlannedEvent { seq: event.seq, echo_of: cause.map(|cause| cause.id), runs }
        })
        .collect()
}
