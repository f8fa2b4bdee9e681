//! Events that one of our own effects explains.

use fangshi_journal::{EffectState, InstallationId};

/// How long after an effect its event may follow, seconds.
pub const WINDOW_S: i64 = 600;

/// Clocks of host and platform may differ by this, seconds. Small on purpose: taking somebody else's change for an echo
/// hides it from the plugin, while missing an echo costs one run that the loop limit bounds.
pub const SKEW_S: i64 = 10;

/// An effect that may explain an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `effects.id`.
    pub id: i64,
    /// Who caused it.
    pub installation: InstallationId,
    /// Where it stands.
    pub state: EffectState,
    /// A busy platform was asked for it, and nothing shows yet that it was done: what it explains is hidden from nobody.
    pub busy: bool,
    /// When it was intended, unix milliseconds.
    pub intent_at: i64,
    /// Values of ext_info_update's `type` that it raises.
    pub raises: &'static [i64],
    /// Other events that it raises.
    pub raises_events: &'static [&'static str],
}

/// What is asked about an event.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The platform's Event.
    pub event: &'a str,
    /// `type` of ext_info_update.
    pub ext_type: Option<i64>,
    /// CreateTime, unix seconds.
    pub created_at: i64,
    /// It happened no earlier than this, unix seconds: CreateTime again, unless the event was read off the order.
    pub since: i64,
}

/// The effect on the same order that explains an event, if one does: the oldest that raises it, was or may have been
/// applied, and was intended at most ten minutes before (before the time from which on it may have happened). `causes` come oldest first, and one effect explains one event:
/// leave out those that have.
pub fn explain<'c>(question: Question<'_>, causes: &'c [Cause], used: &[i64]) -> Option<&'c Cause> {
    causes.iter().find(|cause| {
        let raised = match question.ext_type {
            Some(ext_type) => cause.raises.contains(&ext_type),
            None => cause.raises_events.contains(&question.event),
        };
        let sent = !matches!(cause.state, EffectState::Refused | EffectState::RefusedForNow);
        let intended = cause.intent_at.div_euclid(1_000);
        let in_time = question.created_at >= intended - SKEW_S && question.since <= intended + WINDOW_S;
        raised && sent && in_time && !used.contains(&cause.id)
    })
}
