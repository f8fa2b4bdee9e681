//! What the end of an attempt means for its run.

use std::time::Duration;

use fangshi_journal::Next;
use fangshi_runtime::{Abort, Outcome};
use fangshi_tenants::Stop;

use super::retry::{Retry, Schedule, Tried};

/// Why the host stopped an attempt, or could not start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// More effects on one order than an installation may make in an hour.
    Loop {
        /// How many are allowed.
        allowed: u32,
    },
    /// The attempt has made the journal keep as much as one may.
    JournalFull {
        /// How many bytes are allowed.
        allowed: u64,
    },
    /// The installation keeps more of its own than it may, with what the attempt would add: others took the room meanwhile.
    KvFull {
        /// `kv_keys` or `kv_bytes`.
        limit: &'static str,
        /// How much is allowed.
        allowed: u64,
    },
    /// A resumed attempt made another call than its journal holds.
    Divergence(String),
    /// The order could not be read before the hook: the host's retry, no guest ran.
    OrderUnavailable {
        /// The platform's words.
        message: String,
        /// Least wait, where known.
        after: Option<Duration>,
        /// Whether a retry can't help before a person did something.
        never: bool,
    },
    /// The version could not be loaded: the host's retry.
    NotLoaded(String),
    /// Cut off again and again: running it may be what kills the host.
    Crashed,
    /// The installation was removed while the attempt was under way.
    Removed,
    /// The installation was paused, or its tenant suspended, while the attempt was under way.
    Paused,
    /// Runs of the pinned version do not go on, and the installation has another one.
    Stopped(Stop),
    /// The pinned version asks for more than is granted now: the version was replaced, or the consent changed.
    Withdrawn {
        /// The grants that it asks for and no longer has.
        grants: Vec<String>,
    },
}

/// The limit of what an attempt makes the journal keep, by its name.
pub const JOURNAL_BYTES: &str = "journal_bytes";

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

impl End {
    /// The same, but that the next attempt starts no sooner than this, unix milliseconds. Unlike a wish, it replaces no wait of
    /// the schedule.
    pub fn no_sooner_than(mut self, floor: Option<i64>) -> End {
        if let (Next::Retry { at_ms }, Some(floor)) = (&mut self.next, floor) {
            *at_ms = floor.max(*at_ms);
        }
        self
    }
}

/// The code of a run's outcome, as an attempt keeps it.
pub fn code_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::RetryLater { .. } => "retry-later",
        Outcome::Reject { .. } => "reject",
        Outcome::Trap { .. } => "trap",
        Outcome::Limit { .. } => "limit",
        Outcome::Deadline => "deadline",
        Outcome::EventUnfit { .. } => "event-unfit",
        Outcome::Aborted(Abort::Divergence(_)) => "divergence",
        Outcome::Aborted(_) | Outcome::HostFault(_) => "host-fault",
    }
}

fn told(stop: Stop) -> &'static str {
    match stop {
        Stop::Quarantined => "the version of this run put the installation into quarantine, and another took its place",
        Stop::Revoked => "the operator took the approval of this run's version back, and another took its place",
    }
}

/// Translates the end of an attempt. `limited`: a quota that its calls met opens after this; a plugin that comes back
/// later comes back no sooner. `halt` outranks what the runtime reports, since it caused it.
pub fn ending(
    schedule: &Schedule,
    tried: Tried,
    now: i64,
    spin: f64,
    halt: Option<Halt>,
    limited: Option<Duration>,
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
        (Some(Halt::JournalFull { allowed }), _) => retry("limit", figure(JOURNAL_BYTES, allowed), None),
        (Some(Halt::KvFull { limit, allowed }), _) => retry("limit", figure(limit, allowed), None),
        (Some(Halt::Divergence(text)), _) => park("divergence", text),
        (Some(Halt::OrderUnavailable { message, never: true, .. }), _) => park("order-unavailable", message),
        (Some(Halt::OrderUnavailable { message, after, .. }), _) => retry("order-unavailable", message, after),
        (Some(Halt::NotLoaded(text)), _) => retry("not-loaded", text, None),
        (Some(Halt::Withdrawn { grants }), _) => park(
            "withdrawn",
            format!("the version of this run asks for {}, which the installation no longer grants", grants.join(", ")),
        ),
        (Some(Halt::Stopped(stop)), _) => park(stop.code(), told(stop).to_owned()),
        (Some(Halt::Removed), _) => park("removed", "the installation was removed during the attempt".into()),
        (Some(Halt::Paused), _) => End {
            outcome: "paused",
            reason: "the installation was paused, or its tenant suspended, during the attempt".into(),
            next: Next::Held,
        },
        (Some(Halt::Crashed), _) => retry("crashed", "cut off again and again".into(), None),
        (None, Some(outcome)) => {
            let code = code_of(outcome);
            match outcome {
                Outcome::Done => End { outcome: code, reason: String::new(), next: Next::Done },
                Outcome::RetryLater { reason, after } => {
                    let wish = after.map(|seconds| Duration::from_secs(u64::from(seconds.max(1))));
                    retry(code, reason.clone(), wish.max(limited))
                }
                Outcome::Reject { reason } => End { outcome: code, reason: reason.clone(), next: Next::Rejected },
                Outcome::Trap { message } => retry(code, message.clone(), None),
                Outcome::Limit { limit, allowed } => retry(code, figure(limit, *allowed), None),
                Outcome::Deadline => retry(code, String::new(), None),
                // The same event at every attempt: waiting would only hold up the installation's later events.
                Outcome::EventUnfit { reason } => park(code, reason.clone()),
                Outcome::Aborted(Abort::Divergence(text)) => park(code, text.clone()),
                Outcome::Aborted(abort) => retry(code, abort.to_string(), None),
                Outcome::HostFault(text) => retry(code, text.clone(), None),
            }
        }
        (None, None) => retry("host-fault", String::new(), None),
    }
}

/// A limit that was met, in words.
pub fn figure(limit: &str, allowed: u64) -> String {
    format!("{limit}: {allowed} allowed")
}
