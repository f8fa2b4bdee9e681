//! What the end of an attempt means for its run.

use std::time::Duration;

use fangshi_journal::Next;
use fangshi_runtime::{Abort, Outcome};

use super::retry::{Retry, Schedule, Tried};

/// Why the host stopped an attempt, or could not start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// More effects on one order than an installation may make in an hour.
    Loop {
        /// How many are allowed.
        allowed: u32,
    },
    /// A resumed attempt made another call than its journal holds.
    Divergence(String),
    /// The order could not be read before the hook: the host's retry, no guest ran.
    OrderUnavailable {
        /// The platform's words.
        message: String,
        /// Least wait, where known.
        after: Option<Duration>,
    },
    /// The version could not be loaded: the host's retry.
    NotLoaded(String),
    /// Cut off again and again: running it may be what kills the host.
    Crashed,
    /// The installation was removed while the attempt was under way.
    Removed,
    /// The installation was paused, or its tenant suspended, while the attempt was under way.
    Paused,
    /// The pinned version asks for more than is granted now: the version was replaced, or the consent changed.
    Withdrawn {
        /// The grants that it asks for and no longer has.
        grants: Vec<String>,
    },
}

/// The end of an attempt, in the journal's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Code for `attempts.outcome`.
    pub outcome: &'static str,
    /// Words of the plugin or the host.
    pub reason: String,
    /// What becomes of the run.
    pub next: Next,
}

/// Translates the end of an attempt. `halt` outranks what the runtime reports, since it caused it.
pub fn ending(
    schedule: &Schedule,
    tried: Tried,
    now: i64,
    spin: f64,
    halt: Option<Halt>,
    outcome: Option<&Outcome>,
) -> End {
    let retry = |outcome: &'static str, reason: String, after: Option<Duration>| End {
        outcome,
        reason,
        next: match schedule.next(tried, now, after, spin) {
            Retry::At(at_ms) => Next::Retry { at_ms },
            Retry::Park => Next::Parked { reason: "attempts" },
        },
    };
    let park = |outcome: &'static str, reason: String| End { outcome, reason, next: Next::Parked { reason: outcome } };
    match (halt, outcome) {
        (Some(Halt::Loop { allowed }), _) => {
            park("loop", format!("more than {allowed} effects on this order within an hour"))
        }
        (Some(Halt::Divergence(text)), _) => park("divergence", text),
        (Some(Halt::OrderUnavailable { message, after }), _) => retry("order-unavailable", message, after),
        (Some(Halt::NotLoaded(text)), _) => retry("not-loaded", text, None),
        (Some(Halt::Withdrawn { grants }), _) => park(
            "withdrawn",
            format!("the version of this run asks for {}, which the installation no longer grants", grants.join(", ")),
        ),
        (Some(Halt::Removed), _) => park("removed", "the installation was removed during the attempt".into()),
        (Some(Halt::Paused), _) => End {
            outcome: "paused",
            reason: "the installation was paused, or its tenant suspended, during the attempt".into(),
            next: Next::Held,
        },
        (Some(Halt::Crashed), _) => retry("crashed", "cut off again and again".into(), None),
        (None, Some(Outcome::Done)) => End { outcome: "done", reason: String::new(), next: Next::Done },
        (None, Some(Outcome::RetryLater { reason, after })) => {
            retry("retry-later", reason.clone(), after.map(|seconds| Duration::from_secs(u64::from(seconds.max(1)))))
        }
        (None, Some(Outcome::Reject { reason })) => {
            End { outcome: "reject", reason: reason.clone(), next: Next::Rejected }
        }
        (None, Some(Outcome::Trap { message })) => retry("trap", message.clone(), None),
        (None, Some(Outcome::Limit { limit, allowed })) => retry("limit", format!("{limit}: {allowed} allowed"), None),
        (None, Some(Outcome::Deadline)) => retry("deadline", String::new(), None),
        (None, Some(Outcome::Aborted(Abort::Divergence(text)))) => park("divergence", text.clone()),
        (None, Some(Outcome::Aborted(abort))) => retry("host-fault", abort.to_string(), None),
        (None, Some(Outcome::HostFault(text))) => retry("host-fault", text.clone(), None),
        (None, None) => retry("host-fault", String::new(), None),
    }
}
