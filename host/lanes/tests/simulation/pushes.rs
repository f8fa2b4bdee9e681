//! The platform's callbacks: each change is pushed until it is acknowledged, or given up.

use std::collections::BTreeMap;
use std::rc::Rc;

use fangshi_journal::{EventSeq, LaneKey, Source, TenantId};

use crate::change::{Kind, Told};
use crate::world::{TENANTS, Task, World};
use crate::write::{Answer, Write};

/// The callback of a change.
pub struct Push {
    pub lane: LaneKey,
    pub told: Told,
    pub acknowledged: Option<EventSeq>,
    /// The platform gives it up: reconciliation is the net below.
    pub dropped: bool,
    /// The store that acknowledged it was lost.
    pub forgotten: bool,
    under_way: bool,
}

impl Push {
    pub fn is_over(&self) -> bool {
        self.dropped || self.acknowledged.is_some()
    }
}

impl World {
    /// A merchant or a buyer does something.
    pub fn happen(&self) {
        let tenant = TenantId(TENANTS[self.dice.below(2)].0);
        let lane = LaneKey::new(tenant, if self.dice.percent(60) { "1" } else { "2" });
        let kind = if self.dice.percent(70) { Kind::PAID } else { Kind::NOTED };
        self.shop.borrow_mut().happen(&lane, kind, self.now());
        self.announce();
    }

    /// New changes are to be pushed.
    pub fn announce(&self) {
        let (shop, mut pushes) = (self.shop.borrow(), self.pushes.borrow_mut());
        for change in pushes.len()..shop.changes.len() {
            let made = &shop.changes[change];
            let told = Told { change, kind: made.kind, source: Source::Callback, created_at: made.at };
            let dropped = self.reconciles && self.dice.percent(20);
            let lane = made.lane.clone();
            pushes.push(Push { lane, told, acknowledged: None, dropped, forgotten: false, under_way: false });
        }
    }

    /// A push that is due begins, or one that was acknowledged comes once more.
    pub fn push(self: &Rc<Self>, process: usize) -> Option<Task> {
        let mut pushes = self.pushes.borrow_mut();
        let repeats = self.dice.percent(10);
        let waits = |push: &Push| !push.under_way && !push.dropped && (repeats || push.acknowledged.is_none());
        let waiting: Vec<usize> = (0..pushes.len()).filter(|number| waits(&pushes[*number])).collect();
        if waiting.is_empty() {
            return None;
        }
        let number = waiting[self.dice.below(waiting.len())];
        pushes[number].under_way = true;
        drop(pushes);
        Some(Task { process, future: Box::pin(callback(self.clone(), process, number)) })
    }

    /// Whoever took them is gone.
    pub fn cut_off_pushes(&self) {
        self.pushes.borrow_mut().iter_mut().for_each(|push| push.under_way = false);
    }

    /// Acknowledged callbacks and the events that were promised for them, but for what a lost store promised.
    pub fn acknowledged(&self) -> BTreeMap<[u8; 32], (LaneKey, EventSeq)> {
        let pushes = self.pushes.borrow();
        let told = |push: &Push| Some((push.told.dedup(), (push.lane.clone(), push.acknowledged?)));
        pushes.iter().filter(|push| !push.forgotten).filter_map(told).collect()
    }
}

/// A callback arrives at a process.
async fn callback(world: Rc<World>, process: usize, number: usize) {
    let (lane, told) = {
        let push = &world.pushes.borrow()[number];
        (push.lane.clone(), push.told)
    };
    let recorded = world.commit(process, Write::Record { lane: lane.clone(), told }).await;
    let mut pushes = world.pushes.borrow_mut();
    pushes[number].under_way = false;
    if let Ok(Answer::Recorded { seq, .. }) = recorded {
        (pushes[number].acknowledged, pushes[number].forgotten) = (Some(seq), false);
        world.poke(process, &lane);
    }
}
