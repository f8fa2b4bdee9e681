//! How a run ended and what it used.

use serde::Serialize;

use crate::call::Abort;

/// The end of one attempt, for the journal and the page of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// How it ended.
    pub outcome: Outcome,
    /// Fuel used: about one unit a WebAssembly instruction; the same on every machine for one engine version.
    pub fuel_used: u64,
    /// Largest total of all linear memories at once, bytes.
    pub peak_memory: u64,
    /// Calls that were passed to the [`RunHost`](crate::RunHost): operations, reads, kv, http.
    pub host_calls: u32,
    /// Bytes of log text that were kept, and one a line.
    pub log_bytes: u64,
    /// Bytes of log text that were cut off at the limit.
    pub log_bytes_cut: u64,
    /// Bytes that crossed the border, as [`Limits::border_bytes`](crate::Limits::border_bytes) counts them.
    pub border_bytes: u64,
    /// At the deadline a call to the host was under way, or the run had no place yet: it is not the guest that took the time.
    /// What the call waited for the [`RunHost`](crate::RunHost) knows: the host itself, the platform, or an outside host.
    pub waiting: bool,
    /// Wall-clock time, milliseconds. For people: it is no part of the deterministic result.
    pub wall_ms: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// The hook returned ok.
    Done,
    /// The hook asks for another attempt.
    RetryLater {
        /// The plugin's words.
        reason: String,
        /// Seconds to wait at least.
        after: Option<u32>,
    },
    /// The hook gives up on this event.
    Reject {
        /// The plugin's words.
        reason: String,
    },
    /// The guest crashed.
    Trap {
        /// Kind of trap and the guest's own call stack.
        message: String,
    },
    /// The guest used up one of its [`Limits`](crate::Limits).
    Limit {
        /// The limit's name: the field of [`Limits`](crate::Limits), or `stack`, `handles`, `pollables`,
        /// `table_elements_each`.
        limit: &'static str,
        /// What was allowed.
        allowed: u64,
    },
    /// The wall-clock deadline passed.
    Deadline,
    /// The event holds a value that the hook's record can't: no attempt can change that. No guest ran.
    EventUnfit {
        /// Which member, and what was expected; never the value.
        reason: String,
    },
    /// The host ended the run.
    Aborted(Abort),
    /// Our own fault, not the plugin's: the text is for the operator.
    HostFault(String),
}
