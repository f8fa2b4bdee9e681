//! What becomes of a new event: its runs, and whether it is an echo.

use fangshi_journal::{
    EventSeq, InstallationId, NewRun, PlannedEvent, Reconciled, Subscription, UnplannedEvent, hook_of,
};

use super::absorb::absorb;
use super::choose::Standing;
use super::deadline::{SKU_WISH, address_deadline};
use super::echo::{Cause, Question, explain};

/// An installation as planning sees it.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its id.
    pub installation: InstallationId,
    /// How it stands: held ones queue.
    pub standing: Standing,
    /// Whether it wants the echoes of its own effects.
    pub echoes: bool,
}

/// An installation hears events and is not known: it was made or removed between two looks at the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownSubscriber(pub InstallationId);

/// Plans events in their order. `causes` are the effects on the lane's order, oldest first, that explain no event yet.
/// An event is heard by the versions that were active at its place in the sequence, unless their installation is gone. A
/// callback that one of the `reconciled` events told of already is heard by nobody.
///
/// # Errors
/// [`UnknownSubscriber`]: subscriptions and subscribers are not of one time. Look at both again: without its run the event
/// would be lost to the installation.
pub fn plan(
    events: &[UnplannedEvent],
    subscriptions: &[Subscription],
    subscribers: &[Subscriber],
    causes: &[Cause],
    reconciled: &[Reconciled],
) -> Result<Vec<PlannedEvent>, UnknownSubscriber> {
    let mut used = Vec::new();
    let mut matched: Vec<EventSeq> = Vec::new();
    events
        .iter()
        .map(|event| {
            if let Some(made) = absorb(event, reconciled, &matched) {
                matched.push(made.seq);
                let (absorbed_by, runs) = (Some(made.seq), Vec::new());
                return Ok(PlannedEvent { seq: event.seq, echo_of: None, absorbed_by, runs });
            }
            let question = Question {
                event: &event.event,
                ext_type: event.ext_type,
                created_at: event.created_at,
                since: since(event, reconciled),
            };
            let cause = explain(question, causes, &used);
            used.extend(cause.map(|cause| cause.id));
            let deadline_at = address_deadline(event.ext_type, event.created_at);
            let mut runs = Vec::new();
            let hook = hook_of(&event.event).unwrap_or_default();
            for heard in subscriptions.iter().filter(|heard| heard.hook == hook && heard.hears(event.seq)) {
                // A tick is of one installation's schedule, whoever else has the hook.
                if event.only.is_some_and(|only| only != heard.installation) {
                    continue;
                }
                if wants(heard, subscribers, cause.filter(|cause| !cause.busy))? {
                    runs.push(NewRun {
                        installation: heard.installation,
                        version: heard.version,
                        hook: hook.to_owned(),
                        deadline_at,
                        deadline_in_order: event.ext_type == Some(SKU_WISH),
                    });
                }
            }
            Ok(PlannedEvent { seq: event.seq, echo_of: cause.map(|cause| cause.id), absorbed_by: None, runs })
        })
        .collect()
}

/// Whether the installation of a subscription gets a run of an event with this cause.
fn wants(heard: &Subscription, known: &[Subscriber], cause: Option<&Cause>) -> Result<bool, UnknownSubscriber> {
    match known.iter().find(|one| one.installation == heard.installation) {
        Some(one) => {
            let own = cause.is_some_and(|cause| cause.installation == one.installation);
            Ok(one.standing != Standing::Gone && (one.echoes || !own))
        }
        // Removed: its subscription has its end from then on.
        None if heard.until.is_some() => Ok(false),
        None => Err(UnknownSubscriber(heard.installation)),
    }
}

/// The earliest time at which an event can have happened, unix seconds.
pub fn since(event: &UnplannedEvent, reconciled: &[Reconciled]) -> i64 {
    let made = reconciled.iter().find(|made| made.seq == event.seq);
    made.map_or(event.created_at, |made| made.since.min(event.created_at))
}
