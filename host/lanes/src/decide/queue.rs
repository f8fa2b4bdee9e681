//! What may be drained now: every lane at most once, at most so many at a time, so many of one tenant, tenants by their
//! [`Turns`].

use std::collections::{HashMap, HashSet, VecDeque};

use fangshi_journal::{LaneKey, TenantId};

use super::turns::Turns;

/// Lanes that were poked, and lanes that are being drained.
#[derive(Debug)]
pub struct Queue {
    max: usize,
    per_tenant: usize,
    /// Lanes being drained; true if poked meanwhile.
    running: HashMap<LaneKey, bool>,
    running_of: HashMap<TenantId, usize>,
    /// Lanes of each tenant and since when they wait, longest first.
    waiting: HashMap<TenantId, VecDeque<(LaneKey, i64)>>,
    queued: HashSet<LaneKey>,
    /// Tenants with waiting lanes that are below their cap.
    turns: Turns,
}

impl Queue {
    /// A queue for so many drains at a time, so many of them for one tenant.
    pub fn new(max: usize, per_tenant: usize, weights: HashMap<TenantId, u32>) -> Queue {
        Queue {
            max: max.max(1),
            per_tenant: per_tenant.max(1),
            running: HashMap::new(),
            running_of: HashMap::new(),
            waiting: HashMap::new(),
            queued: HashSet::new(),
            turns: Turns::new(weights),
        }
    }

    /// Something in the lane may be ready. `now`: unix milliseconds.
    pub fn poke(&mut self, lane: &LaneKey, now: i64) {
        if let Some(again) = self.running.get_mut(lane) {
            *again = true;
            return;
        }
        if !self.queued.insert(lane.clone()) {
            return;
        }
        self.waiting.entry(lane.tenant).or_default().push_back((lane.clone(), now));
        self.stand(lane.tenant);
    }

    /// The next lane to drain, if there is a free place; it counts as being drained from now on.
    pub fn start(&mut self) -> Option<LaneKey> {
        if self.running.len() >= self.max {
            return None;
        }
        let tenant = self.turns.take()?;
        let lanes = self.waiting.get_mut(&tenant)?;
        let (lane, _) = lanes.pop_front()?;
        if lanes.is_empty() {
            self.waiting.remove(&tenant);
        }
        self.queued.remove(&lane);
        self.running.insert(lane.clone(), false);
        *self.running_of.entry(tenant).or_insert(0) += 1;
        self.stand(tenant);
        Some(lane)
    }

    /// A drain ended, whose guests burned so much fuel. If the lane was poked meanwhile, or there is more to do in it, it
    /// queues again.
    pub fn finished(&mut self, lane: &LaneKey, more: bool, fuel: u64, now: i64) {
        let Some(again) = self.running.remove(lane) else { return };
        if let Some(count) = self.running_of.get_mut(&lane.tenant) {
            *count -= 1;
            if *count == 0 {
                self.running_of.remove(&lane.tenant);
            }
        }
        self.turns.burned(lane.tenant, fuel);
        self.stand(lane.tenant);
        if again || more {
            self.poke(lane, now);
        }
        if self.is_idle() {
            self.turns.forget();
        }
    }

    /// The tenant stands in line if it has a lane that waits and is below its cap.
    fn stand(&mut self, tenant: TenantId) {
        let below = self.running_of.get(&tenant).copied().unwrap_or(0) < self.per_tenant;
        if below && self.waiting.contains_key(&tenant) {
            self.turns.stand(tenant);
        }
    }

    /// Lanes being drained.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Lanes that wait for a place.
    pub fn waiting(&self) -> usize {
        self.queued.len()
    }

    /// Since when the lane that waits longest does, unix milliseconds.
    pub fn waiting_since(&self) -> Option<i64> {
        self.waiting.values().filter_map(|lanes| lanes.front()).map(|(_, since)| *since).min()
    }

    /// Whether nothing is drained and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queued.is_empty()
    }
}
