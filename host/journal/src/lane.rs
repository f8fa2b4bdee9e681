//! Names of lanes, the fence, and the seam to whoever executes them.

use std::fmt;
use std::sync::Arc;

use fangshi_database::TenantId;

/// A lane: one order of one tenant. Events without an order share the lane with the empty order id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey {
    /// Whose.
    pub tenant: TenantId,
    /// Which order; empty for events without one.
    pub order_id: Arc<str>,
}

impl LaneKey {
    /// The lane of an order.
    pub fn new(tenant: TenantId, order_id: &str) -> LaneKey {
        LaneKey { tenant, order_id: Arc::from(order_id) }
    }
}

impl fmt::Debug for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.order_id)
    }
}

/// The right to write in a lane: its epoch as raised by the holder. Carried by every intent, outcome and run end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The lane.
    pub lane: LaneKey,
    /// The epoch that the holder raised it to.
    pub epoch: i64,
}

/// The executor's seam. A poke carries no data and may be lost, doubled or reordered without harm: the order comes from
/// the events' sequence, exclusivity from the executor and, as the fence, from the lane's epoch.
pub trait Executor: Send + Sync {
    /// Something in the lane may be ready now.
    fn poke(&self, lane: &LaneKey);
    /// Something in the lane may be ready at this time, unix milliseconds.
    fn poke_at(&self, lane: &LaneKey, at_ms: i64);
}
