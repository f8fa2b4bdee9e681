//! What a store holds during one run: the inputs, the host's side of the border, and what was used so far.

use std::sync::Arc;

use thiserror::Error;

use crate::call::{Abort, RunHost};
use crate::input::{RunInput, Snapshot};
use crate::limiter::Limiter;
use crate::limits::Met;
use crate::random::Random;
use crate::wasi::Wasi;

/// Why the host stops a guest in the middle of a call. Travels through the engine as an error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Stop {
    #[error("limit met: {}", .0.limit)]
    Met(Met),
    #[error("{0}")]
    Abort(Abort),
    #[error("{0}")]
    EventUnfit(String),
    #[error("host fault: {0}")]
    Fault(String),
}

/// What every call across the border costs of `border_bytes`, whatever it carries: bounds their number too.
pub(crate) const CALL_BYTES: u64 = 16;

/// Bytes across the border for which a guest gives way once. Fuel alone gives way too late: a call costs the guest a few units,
/// whatever it makes the host do. So many bytes are a few hundredths of a millisecond in one text, and two milliseconds in calls
/// that carry little.
const GIVE_WAY: u64 = 64 << 10;

/// The one store's data of one run.
pub(crate) struct RunState {
    pub input: RunInput,
    pub host: Box<dyn RunHost>,
    pub limiter: Limiter,
    pub random: Random,
    pub orders: Orders,
    pub used: Used,
    pub wasi: Wasi,
    /// A call to the host is under way.
    pub waiting: bool,
    /// Bytes that the host has handled and the guest has not given way for.
    handled: u64,
}

/// What a run has used, beside fuel and memory.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Used {
    pub host_calls: u32,
    pub http_requests: u32,
    pub border_bytes: u64,
    pub log_bytes: u64,
    pub log_bytes_cut: u64,
    pub log_lines: u32,
    /// The log has met its limit and holds the mark that says so.
    pub log_full: bool,
}

impl RunState {
    pub fn new(input: RunInput, host: Box<dyn RunHost>) -> RunState {
        let event_order = OpenOrder { id: input.envelope.order_id.clone(), snapshot: input.order.clone() };
        RunState {
            limiter: Limiter::new(&input.limits),
            random: Random::new(input.seed),
            orders: Orders { slots: vec![Some(event_order)], open: 0 },
            used: Used::default(),
            wasi: Wasi::new(&input.limits),
            waiting: false,
            handled: 0,
            input,
            host,
        }
    }

    /// Counts one call across the border with the bytes it carries, both ways. Calls that stay in the process cost nothing
    /// else, so this is what bounds the host's work for them. Gives way to the neighbours if that was much: the more often the
    /// more it was, since one call is not to be divided.
    pub async fn cross(&mut self, bytes: u64) -> Result<(), Stop> {
        self.count(bytes)?;
        while self.handled >= GIVE_WAY {
            self.handled -= GIVE_WAY;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The same without giving way: for calls of so little work that fuel gives way in time.
    pub fn count(&mut self, bytes: u64) -> Result<(), Stop> {
        self.handled(bytes.saturating_add(CALL_BYTES));
        let total = self.used.border_bytes.saturating_add(bytes).saturating_add(CALL_BYTES);
        self.used.border_bytes = total;
        let allowed = self.input.limits.border_bytes;
        if total > allowed { Err(Stop::Met(Met { limit: "border_bytes", allowed })) } else { Ok(()) }
    }

    /// Notes bytes that the host handles, though they count less at the border: the guest gives way for them all the same.
    pub fn handled(&mut self, bytes: u64) {
        self.handled = self.handled.saturating_add(bytes);
    }

    /// Counts one call that is passed to the [`RunHost`].
    pub async fn pass_on(&mut self, bytes: u64) -> Result<(), Stop> {
        self.cross(bytes).await?;
        let allowed = self.input.limits.host_calls;
        if self.used.host_calls >= allowed {
            return Err(Stop::Met(Met { limit: "host_calls", allowed: allowed.into() }));
        }
        self.used.host_calls += 1;
        Ok(())
    }

    pub fn granted(&self, grant: &str) -> bool {
        self.input.grants.contains(grant)
    }

    /// Whether some host of HTTP is granted; which one is asked for is looked at by the [`RunHost`].
    pub fn granted_http(&self) -> bool {
        self.input.grants.iter().any(|grant| grant == "http" || grant.starts_with("http:"))
    }
}

/// The orders a guest has handles of. Number 0 is the event's own and stays open.
pub(crate) struct Orders {
    slots: Vec<Option<OpenOrder>>,
    open: u32,
}

/// An order behind a handle. Without a snapshot it has its id alone.
#[derive(Clone)]
pub(crate) struct OpenOrder {
    pub id: String,
    pub snapshot: Option<Arc<Snapshot>>,
}

impl Orders {
    /// The event's own order.
    pub const OF_EVENT: u32 = 0;

    pub fn get(&self, rep: u32) -> Result<&OpenOrder, Stop> {
        let slot = self.slots.get(rep as usize).and_then(Option::as_ref);
        slot.ok_or_else(|| Stop::Fault("a handle of no open order".into()))
    }

    pub fn open(&mut self, snapshot: Arc<Snapshot>, allowed: u32) -> Result<u32, Stop> {
        if self.open >= allowed {
            return Err(Stop::Met(Met { limit: "open_orders", allowed: allowed.into() }));
        }
        self.open += 1;
        let order = OpenOrder { id: snapshot.order_id.clone(), snapshot: Some(snapshot) };
        // A closed number is used again, lowest first, so that handles are the same in every repetition.
        let rep = match self.slots.iter().position(Option::is_none) {
            Some(free) => {
                self.slots[free] = Some(order);
                free
            }
            None => {
                self.slots.push(Some(order));
                self.slots.len() - 1
            }
        };
        u32::try_from(rep).map_err(|_| Stop::Fault("too many open orders".into()))
    }

    pub fn close(&mut self, rep: u32) {
        if rep != Self::OF_EVENT
            && let Some(slot) = self.slots.get_mut(rep as usize)
            && slot.take().is_some()
        {
            self.open -= 1;
        }
    }
}
