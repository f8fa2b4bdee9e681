//! What a run starts from. All of it is recorded, so that a run can be repeated exactly.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::Limits;

/// One attempt's inputs.
#[derive(Clone)]
pub struct RunInput {
    /// The hook to call, by its interface's name: `on-pay`.
    pub hook: String,
    /// The event's envelope.
    pub envelope: Envelope,
    /// The event's own members (`order_info` of the callback), names as on the platform; read leniently.
    pub detail: Value,
    /// The order as read before the hook, if the plugin imports a data group.
    pub order: Option<Arc<Snapshot>>,
    /// The attempt's start, unix milliseconds: the only time the guest sees.
    pub clock_ms: i64,
    /// Seeds the guest's random numbers.
    pub seed: [u8; 32],
    /// The installation's settings, an object.
    pub settings: Arc<Value>,
    /// The installation's grants: names of interfaces.
    pub grants: BTreeSet<String>,
    /// The installation's limits.
    pub limits: Limits,
    /// Wall-clock time after which the run is cut off, wherever it is. The smaller of this and
    /// [`Limits::deadline_ms`] counts.
    pub deadline: Duration,
}

/// The envelope of an event, as a guest reads it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// The host's id of the event.
    pub id: String,
    /// 0 callback, 1 reconciled, 2 poll, 3 schedule, 4 manual.
    pub source: u32,
    /// The platform's time of it, unix seconds.
    pub created_at: i64,
    /// The host's time of receipt, unix seconds.
    pub received_at: i64,
    /// From 1.
    pub attempt: u32,
    /// Whether the run is parked if this attempt fails.
    pub is_last_attempt: bool,
    /// Empty for events without an order.
    pub order_id: String,
    /// The message in its canonical JSON. A guest without the grant for it reads no buyer in it.
    pub raw: String,
}

/// One order as it was at one moment.
#[derive(Clone, PartialEq)]
pub struct Snapshot {
    /// The order's id.
    pub order_id: String,
    /// The `order` object of getorder.
    pub json: Value,
    /// Digest of it, as journaled.
    pub digest: [u8; 32],
}

// These hold buyer data and merchants' settings: none of it may reach a log through a derived `Debug`.
impl std::fmt::Debug for RunInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunInput")
            .field("hook", &self.hook)
            .field("envelope", &self.envelope)
            .field("clock_ms", &self.clock_ms)
            .field("grants", &self.grants)
            .field("limits", &self.limits)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("attempt", &self.attempt)
            .field("order_id", &self.order_id)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("order_id", &self.order_id).finish_non_exhaustive()
    }
}
