//! Who may be drained now: every lane at most once, at most so many at a time, so many of one tenant, tenants in turn.

use std::collections::{HashMap, HashSet, VecDeque};

use fangshi_journal::{LaneKey, TenantId};

/// Lanes that were poked, and lanes that are being drained.
#[derive(Debug)]
pub struct Queue {
    max: usize,
    /// Lanes being drained; true if poked meanwhile.
    running: HashMap<LaneKey, bool>,
    running_of: HashMap<TenantId, usize>,
    waiting: HashMap<TenantId, VecDeque<LaneKey>>,
    queued: HashSet<LaneKey>,
    /// Tenants with waiting lanes, whose turn is first.
    turn: VecDeque<TenantId>,
}

impl Queue {
    /// A queue for so many drains at a time.
    pub fn new(max: usize) -> Queue {
        Queue {
            max: max.max(1),
            running: HashMap::new(),
            running_of: HashMap::new(),
            waiting: HashMap::new(),
            queued: HashSet::new(),
            turn: VecDeque::new(),
        }
    }

    /// Something in the lane may be ready.
    pub fn poke(&mut self, lane: &LaneKey) {
        if let Some(again) = self.running.get_mut(lane) {
            *again = true;
            return;
        }
        if !self.queued.insert(lane.clone()) {
            return;
        }
        let lanes = self.waiting.entry(lane.tenant).or_default();
        if lanes.is_empty() {
            self.turn.push_back(lane.tenant);
        }
        lanes.push_back(lane.clone());
    }

    /// The next lane to drain, if there is a free place; it counts as being drained from now on. `at_once`: how many of a
    /// tenant's lanes may be drained at one time; one always may.
    pub fn start(&mut self, at_once: impl Fn(TenantId) -> usize) -> Option<LaneKey> {
        if self.running.len() >= self.max {
            return None;
        }
        for _ in 0..self.turn.len() {
            let tenant = self.turn.pop_front()?;
            if self.running_of.get(&tenant).copied().unwrap_or(0) >= at_once(tenant).max(1) {
                self.turn.push_back(tenant);
                continue;
            }
            let lanes = self.waiting.get_mut(&tenant)?;
            let lane = lanes.pop_front()?;
            if lanes.is_empty() {
                self.waiting.remove(&tenant);
            } else {
                self.turn.push_back(tenant);
            }
            self.queued.remove(&lane);
            self.running.insert(lane.clone(), false);
            *self.running_of.entry(tenant).or_insert(0) += 1;
            return Some(lane);
        }
        None
    }

    /// A drain ended. If the lane was poked meanwhile, or there is more to do in it, it queues again.
    pub fn finished(&mut self, lane: &LaneKey, more: bool) {
        let Some(again) = self.running.remove(lane) else { return };
        if let Some(count) = self.running_of.get_mut(&lane.tenant) {
            *count -= 1;
            if *count == 0 {
                self.running_of.remove(&lane.tenant);
            }
        }
        if again || more {
            self.poke(lane);
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

    /// Whether nothing is drained and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queued.is_empty()
    }
}
