//! Names of lanes, the fence, and the seam to whoever executes them.

use std::fmt;
use std::sync::Arc;

use fangshi_database::{InstallationId, TenantId};

/// A lane: one order of one tenant, or one schedule of one of its installations. Events that have neither share the lane with
/// the empty order id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey {
    /// Whose.
    pub tenant: TenantId,
    /// Which order; empty for events without one. A schedule's lane has a name of its own in its place, which no order has:
    /// [`LaneKey::order`] is the order alone.
    pub order_id: Arc<str>,
}

/// Begins the name of a schedule's lane. Order ids are digits.
pub(crate) const SCHEDULE: &str = "schedule/";

impl LaneKey {
    /// The lane of an order.
    pub fn new(tenant: TenantId, order_id: &str) -> LaneKey {
        LaneKey { tenant, order_id: Arc::from(order_id) }
    }

    /// The lane of a schedule: its ticks come one after the other, and hold up no order.
    pub fn of_schedule(tenant: TenantId, installation: InstallationId, name: &str) -> LaneKey {
        LaneKey::new(tenant, &format!("{SCHEDULE}{installation}/{name}"))
    }

    /// The order; empty if the lane is no order's.
    pub fn order(&self) -> &str {
        order_of(&self.order_id)
    }

    /// The installation whose schedule it is.
    pub fn scheduled_for(&self) -> Option<InstallationId> {
        scheduled_for(&self.order_id)
    }
}

/// The order of a lane's name, as stored.
pub(crate) fn order_of(lane: &str) -> &str {
    if lane.starts_with(SCHEDULE) { "" } else { lane }
}

pub(crate) fn scheduled_for(lane: &str) -> Option<InstallationId> {
    let (installation, _) = lane.strip_prefix(SCHEDULE)?.split_once('/')?;
    installation.parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedules_lane_has_no_order_and_names_its_installation() {
        let lane = LaneKey::of_schedule(TenantId(1), InstallationId(7), "nightly");
        assert_eq!((lane.order(), lane.scheduled_for()), ("", Some(InstallationId(7))));
        assert_ne!(lane, LaneKey::of_schedule(TenantId(1), InstallationId(7), "hourly"));
        let order = LaneKey::new(TenantId(1), "3705115058471208928");
        assert_eq!((order.order(), order.scheduled_for()), ("3705115058471208928", None));
        assert_eq!(LaneKey::new(TenantId(1), "").scheduled_for(), None);
    }
}
