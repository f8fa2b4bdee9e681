//! What may be drained now: every lane at most once, at most so many at a time, so many of one tenant, tenants by their
//! [`Turns`].

use std::collections::{HashMap, HashSet, VecDeque};

use fangshi_journal::{LaneKey, TenantId};

use super::turns::Turns;

/// Lanes that were poked, and lanes that are being drained.
#[derive(Debug)]
pub struct Queue {
    max: usize,
    /// Lanes being drained; true if poked meanwhile.
    running: HashMap<LaneKey, bool>,
    running_of: HashMap<TenantId, usize>,
    /// Lanes of each tenant and since when they wait, longest first.
    waiting: HashMap<TenantId, VecDeque<(LaneKey, i64)>>,
    queued: HashSet<LaneKey>,
    /// Tenants with waiting lanes, but for those that were found at their cap.
    turns: Turns,
}

impl Queue {
    /// A queue for so many drains at a time; the weights are the tenants' shares, 1 for whoever is not named.
    pub fn new(max: usize, weights: HashMap<TenantId, u32>) -> Queue {
        Queue {
            max: max.max(1),
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

    /// The next lane to drain, if there is a free place; it counts as being drained from now on. `at_once`: how many of a
    /// tenant's lanes may be drained at one time; one always may.
    pub fn start(&mut self, at_once: impl Fn(TenantId) -> usize) -> Option<LaneKey> {
        if self.running.len() >= self.max {
            return None;
        }
        let tenant = loop {
            let tenant = self.turns.first()?;
            if self.running_of.get(&tenant).copied().unwrap_or(0) < at_once(tenant).max(1) {
                break tenant;
            }
            // It comes back when one of its drains ends.
            self.turns.leave(tenant);
        };
        self.turns.take();
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

    /// A drain ended, which cost so much fuel beside its turn. If the lane was poked meanwhile, or there is more to do in it, it
    /// queues again.
    pub fn finished(&mut self, lane: &LaneKey, more: bool, cost: u64, now: i64) {
        let Some(again) = self.running.remove(lane) else { return };
        if let Some(count) = self.running_of.get_mut(&lane.tenant) {
            *count -= 1;
            if *count == 0 {
                self.running_of.remove(&lane.tenant);
            }
        }
        self.turns.spent(lane.tenant, cost);
        self.stand(lane.tenant);
        if again || more {
            self.poke(lane, now);
        }
        if self.is_idle() {
            self.turns.forget();
        }
    }

    /// The tenant stands in line if it has a lane that waits.
    fn stand(&mut self, tenant: TenantId) {
        if self.waiting.contains_key(&tenant) {
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
