//! What one run of an installation may use. Every field says its default and what the guest meets beyond it.

use crate::config::MAX_CORE_INSTANCES;
use crate::report::Outcome;

/// Limits of one run: numbers of an installation's `limits`. [`BOUNDS`] says for each from where to where it may go.
///
/// The defaults are generous: more than fifty times what the largest example uses (the one in JavaScript: 272,000 fuel,
/// 1.5 MiB of memory, one host call, 290 border bytes), which `tests/guests/checks/tests/examples.rs` holds them to. They
/// protect neighbours from a broken plugin; they don't ration a working one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Fuel: about one unit a WebAssembly instruction, the start of the instance included. Default 1,000,000,000,
    /// about one second of a core (range 10,000 to 60,000,000,000). Beyond: the run ends as [`Outcome::Limit`] `fuel`.
    pub fuel: u64,

    /// Total bytes of all linear memories of the run. Default 128 MiB (range 64 KiB to 1 GiB). Beyond: growing memory
    /// fails inside the guest, which usually gives up; a run that traps after that ends as [`Outcome::Limit`]
    /// `memory_bytes`.
    pub memory_bytes: u64,

    /// Total elements of all tables of the run (8 bytes each on the host). Default 100,000 (range 1 to 1,280,000).
    /// Beyond: as with `memory_bytes`. One table has at most 20,000, whatever this says; beyond, the limit is named
    /// `table_elements_each`.
    pub table_elements: u64,

    /// Core instances that the component may consist of. Default 64 (range 1 to 64; JavaScript needs about 10, Python
    /// 38). Beyond: the run ends as [`Outcome::Limit`] `instances` before the hook starts.
    pub instances: u32,

    /// Calls passed to the host: operations, `orders.get`, kv, http. Default 1,000 (range 0 to 10,000). Beyond:
    /// [`Outcome::Limit`] `host_calls`.
    pub host_calls: u32,

    /// Bytes of one call that a guest can make the host allocate for its arguments. Default 2 MiB (range 1 KiB to 16
    /// MiB). Beyond: the call traps and the run ends as [`Outcome::Limit`] `call_bytes`.
    pub call_bytes: u64,

    /// Total bytes crossing the border in host functions of any kind, WASI's included, both ways, over the whole run;
    /// each call counts 16 more, an element of a list that is handed over or looked at 8, a `poll` 16 for each pollable, and
    /// text of `log.write` that is dropped a sixteenth. This bounds the work that a guest can make the host do without
    /// spending fuel; a guest that makes it do much gives way to its neighbours meanwhile. Default 32 MiB (range 1 KiB to
    /// 256 MiB). Beyond: [`Outcome::Limit`] `border_bytes`.
    pub border_bytes: u64,

    /// Bytes of log text that are kept, one counted for each line's end. Default 64 KiB (range 0 to 1 MiB). Beyond:
    /// the line is cut, a mark says so once, later lines are dropped and counted; the run goes on.
    pub log_bytes: u64,

    /// Lines of log text that are kept: each is a row of the journal, and the writer is everybody's. Default 1,000 (range 1 to
    /// 10,000). Beyond: as with `log_bytes`; the last line holds the mark.
    pub log_lines: u32,

    /// Orders that may be open at once (`orders.get` without dropping). Default 1,000 (range 1 to 10,000). Beyond:
    /// [`Outcome::Limit`] `open_orders`.
    pub open_orders: u32,

    /// Requests to outside hosts (`http.send`). Default 20 (range 0 to 1,000). Beyond: [`Outcome::Limit`] `http_requests`.
    pub http_requests: u32,

    /// Bytes of one such request: URL, headers and body. Default 256 KiB (range 1 KiB to 4 MiB). Beyond: the call is
    /// answered `invalid` with the figure, and nothing is sent.
    pub http_request_bytes: u64,

    /// Bytes of the answer to one such request: headers and body. Default 1 MiB (range 1 KiB to 8 MiB). Beyond: reading
    /// ends there, and the call is answered `invalid` with the figure, or `outcome-unknown` where it may have changed
    /// something.
    pub http_answer_bytes: u64,

    /// Wall-clock milliseconds, waiting for the platform included. Default 60,000 (range 100 to 60,000). The smaller
    /// of this and [`RunInput::deadline`](crate::RunInput::deadline) counts. Beyond: [`Outcome::Deadline`].
    pub deadline_ms: u64,
}

/// One limit: its name in the JSON form, and the least, usual and greatest value.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// The member's name.
    pub name: &'static str,
    /// The least value that lets a run start, or that means something.
    pub least: u64,
    /// The value of a limit that is not given.
    pub default: u64,
    /// The greatest value that still protects the neighbours and the store.
    pub most: u64,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

impl Bound {
    /// The value in these limits.
    pub fn get(&self, limits: &Limits) -> u64 {
        (self.get)(limits)
    }

    /// Puts a value in, brought within the bounds.
    pub fn set(&self, limits: &mut Limits, value: u64) {
        (self.set)(limits, value.clamp(self.least, self.most));
    }
}

/// A row of [`BOUNDS`]. A value fits its member, since it is within the bounds first.
macro_rules! bound {
    ($name:ident: $type:ty, $least:expr, $default:expr, $most:expr) => {{
        const _: () = {
            let (least, default, most): (u64, u64, u64) = ($least, $default, $most);
            assert!(least <= default && default <= most && most <= <$type>::MAX as u64);
        };
        Bound {
            name: stringify!($name),
            least: $least,
            default: $default,
            most: $most,
            get: |limits| u64::from(limits.$name),
            set: |limits, value| limits.$name = value as $type,
        }
    }};
}

/// Every limit of one run. Refusals, the API's document and the defaults are made from this table.
///
/// Fuel: 60 s of a core are all that the greatest deadline leaves. Tables: all that a place of the pool has. Instances: as
/// many as a place has. The others bound what one run can take of the host's memory, or write into the journal.
pub const BOUNDS: &[Bound] = &[
    bound!(fuel: u64, 10_000, 1_000_000_000, 60_000_000_000),
    bound!(memory_bytes: u64, 64 << 10, 128 << 20, 1 << 30),
    bound!(table_elements: u64, 1, 100_000, 1_280_000),
    bound!(instances: u32, 1, 64, MAX_CORE_INSTANCES as u64),
    bound!(host_calls: u32, 0, 1_000, 10_000),
    bound!(call_bytes: u64, 1 << 10, 2 << 20, 16 << 20),
    bound!(border_bytes: u64, 1 << 10, 32 << 20, 256 << 20),
    bound!(log_bytes: u64, 0, 64 << 10, 1 << 20),
    bound!(log_lines: u32, 1, 1_000, 10_000),
    bound!(open_orders: u32, 1, 1_000, 10_000),
    bound!(http_requests: u32, 0, 20, 1_000),
    bound!(http_request_bytes: u64, 1 << 10, 256 << 10, 4 << 20),
    bound!(http_answer_bytes: u64, 1 << 10, 1 << 20, 8 << 20),
    bound!(deadline_ms: u64, 100, 60_000, 60_000),
];

impl Default for Limits {
    fn default() -> Self {
        let mut limits = Limits {
            fuel: 0,
            memory_bytes: 0,
            table_elements: 0,
            instances: 0,
            host_calls: 0,
            call_bytes: 0,
            border_bytes: 0,
            log_bytes: 0,
            log_lines: 0,
            open_orders: 0,
            http_requests: 0,
            http_request_bytes: 0,
            http_answer_bytes: 0,
            deadline_ms: 0,
        };
        for bound in BOUNDS {
            bound.set(&mut limits, bound.default);
        }
        limits
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_row_and_its_default() {
        // A literal with every member: a new one does not compile without a look at the table.
        let Limits {
            fuel,
            memory_bytes,
            table_elements,
            instances,
            host_calls,
            call_bytes,
            border_bytes,
            log_bytes,
            log_lines,
            open_orders,
            http_requests,
            http_request_bytes,
            http_answer_bytes,
            deadline_ms,
        } = Limits::default();
        let members = [
            fuel,
            memory_bytes,
            table_elements,
            instances.into(),
            host_calls.into(),
            call_bytes,
            border_bytes,
            log_bytes,
            log_lines.into(),
            open_orders.into(),
            http_requests.into(),
            http_request_bytes,
            http_answer_bytes,
            deadline_ms,
        ];
        let defaults: Vec<u64> = BOUNDS.iter().map(|bound| bound.default).collect();
        assert_eq!(members.as_slice(), defaults);
    }

    #[test]
    fn a_value_is_brought_within_its_bounds() {
        let mut limits = Limits::default();
        for bound in BOUNDS {
            bound.set(&mut limits, u64::MAX);
            assert_eq!(bound.get(&limits), bound.most, "{}", bound.name);
            bound.set(&mut limits, 0);
            assert_eq!(bound.get(&limits), bound.least, "{}", bound.name);
        }
    }
}
