//! What one run of an installation may use. Every field says its default and what the guest meets beyond it.

use serde::{Deserialize, Serialize};

use crate::report::Outcome;

/// Limits of one run. The JSON form is the `limits` of an installation: absent members take the default, unknown ones
/// are refused.
///
/// The defaults are generous: more than fifty times what the largest example uses (the one in JavaScript: 272,000 fuel,
/// 1.5 MiB of memory, one host call, 290 border bytes). They protect neighbours from a broken plugin; they don't ration a
/// working one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Fuel: about one unit a WebAssembly instruction, the start of the instance included. Default 1,000,000,000,
    /// about one second of a core. Beyond: the run ends as [`Outcome::Limit`] `fuel`.
    pub fuel: u64,

    /// Total bytes of all linear memories of the run. Default 128 MiB. Beyond: growing memory fails inside the guest,
    /// which usually gives up; a run that traps after that ends as [`Outcome::Limit`] `memory_bytes`.
    pub memory_bytes: u64,

    /// Total elements of all tables of the run (8 bytes each on the host). Default 100,000. Beyond: as with
    /// `memory_bytes`.
    pub table_elements: u64,

    /// Core instances that the component may consist of. Default 64 (JavaScript needs about 10, Python 38). Beyond: the
    /// run ends as [`Outcome::Limit`] `instances` before the hook starts.
    pub instances: u32,

    /// Calls passed to the host: operations, `orders.get`, kv. Default 1,000. Beyond: [`Outcome::Limit`] `host_calls`.
    pub host_calls: u32,

    /// Bytes of one call that a guest can make the host allocate for its arguments. Default 2 MiB. Beyond: the call
    /// traps and the run ends as [`Outcome::Limit`] `call_bytes`.
    pub call_bytes: u64,

    /// Total bytes crossing the border in host functions of any kind, both ways, over the whole run; each call counts 16
    /// more, and log text that is dropped counts a sixteenth. This bounds the work that a guest can make the host do
    /// without spending fuel. Default 32 MiB. Beyond: [`Outcome::Limit`] `border_bytes`.
    pub border_bytes: u64,

    /// Bytes of log text that are kept, one counted for each line's end. Default 64 KiB. Beyond: the line is cut, a mark says so once, later lines are
    /// dropped and counted; the run goes on.
    pub log_bytes: u64,

    /// Orders that may be open at once (`orders.get` without dropping). Default 1,000. Beyond: [`Outcome::Limit`]
    /// `open_orders`.
    pub open_orders: u32,

    /// Wall-clock milliseconds, waiting for the platform included. Default 60,000. The smaller of this and
    /// [`RunInput::deadline`](crate::RunInput::deadline) counts. Beyond: [`Outcome::Deadline`].
    pub deadline_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            fuel: 1_000_000_000,
            memory_bytes: 128 << 20,
            table_elements: 100_000,
            instances: 64,
            host_calls: 1_000,
            call_bytes: 2 << 20,
            border_bytes: 32 << 20,
            log_bytes: 64 << 10,
            open_orders: 1_000,
            deadline_ms: 60_000,
        }
    }
}

/// A limit that was met, on its way out of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Met {
    pub limit: &'static str,
    pub allowed: u64,
}

impl From<Met> for Outcome {
    fn from(met: Met) -> Self {
        Outcome::Limit { limit: met.limit, allowed: met.allowed }
    }
}
