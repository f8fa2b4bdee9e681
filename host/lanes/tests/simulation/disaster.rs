//! The store is backed up, lost, and put back: held until a person releases it.

use crate::world::World;
use crate::write::Write;

/// How far that clock may be behind, milliseconds: some minutes less than a restore reckons with.
const BEHIND_MS: usize = 600_000;

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disaster {
    /// None is coming, or it is over.
    Never,
    /// The store is to be backed up.
    Ahead,
    /// From now on, what the store hears is not in the backup.
    BackedUp,
    /// There is no store: nobody answers, and requests under way land.
    Lost,
    /// The backup is in its place.
    Held,
}

impl World {
    /// Lets it go on now and then; at once when the storm is over.
    pub fn go_on(&self) {
        let soon = self.is_calm();
        match self.disaster.get() {
            Disaster::Ahead if soon || self.dice.below(1_000) < 20 => {
                self.write_now(Write::BackUp);
                self.shop.borrow_mut().back_up();
                self.disaster.set(Disaster::BackedUp);
            }
            Disaster::BackedUp if soon || self.dice.below(1_000) < 10 => {
                for process in self.alive() {
                    self.kill(process);
                }
                self.disaster.set(Disaster::Lost);
            }
            Disaster::Lost if self.shop.borrow().under_way.is_empty() => self.put_back(),
            Disaster::Held if soon || self.dice.below(1_000) < 20 => {
                self.write_now(Write::Release);
                self.disaster.set(Disaster::Never);
            }
            _ => {}
        }
    }

    fn put_back(&self) {
        // A restore takes its time, and the clock of the machine that it is on may be behind.
        let behind = self.dice.below(BEHIND_MS) as i64;
        self.set_now(self.now() + 60_000 - behind);
        self.write_now(Write::Restore);
        self.shop.borrow_mut().restore();
        let model = self.model.borrow();
        for push in self.pushes.borrow_mut().iter_mut() {
            let known = model.events.values().any(|event| event.told.dedup() == push.told.dedup());
            push.forgotten = push.acknowledged.is_some() && !known;
        }
        self.disaster.set(Disaster::Held);
    }

    /// Whether there is a store to work with.
    pub fn has_store(&self) -> bool {
        self.disaster.get() != Disaster::Lost
    }

    /// Whether lanes execute nothing.
    pub fn is_held(&self) -> bool {
        self.model.borrow().restore.is_some_and(|restore| restore.is_held())
    }
}
