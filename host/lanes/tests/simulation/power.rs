//! The power fails: every process ends, and commits that no sync followed may be gone with it.

use crate::model::Model;
use crate::world::World;

impl World {
    /// What was committed so far is durable: its log was synced, or it was copied whole.
    pub fn is_durable_until(&self, written: usize) {
        self.durable.set(self.durable.get().max(written));
    }

    /// Ends every process and undoes commits since the last sync, from any of them on: a log is read up to its first gap.
    ///
    /// That a sync follows within milliseconds is not counted on: whoever was to start it may have been killed before.
    pub fn lose_power(&self) {
        for process in self.alive() {
            self.kill(process);
        }
        let mut trace = self.trace.borrow_mut();
        let unsynced = trace.len() - self.durable.get();
        trace.truncate(self.durable.get() + self.dice.below(unsynced + 1));
        let mut model = Model::new(self.model.borrow().subscriptions.clone());
        for entry in trace.iter() {
            assert_eq!(model.commit(&entry.write, entry.now), entry.answer, "{:?}", entry.write);
        }
        self.model.replace(model);
        // What is still there was read back from the disk.
        self.durable.set(trace.len());
    }
}
