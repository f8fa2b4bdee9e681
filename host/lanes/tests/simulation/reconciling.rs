//! The net below the callbacks: an order is read, and what changed and nobody announced becomes events.

use std::collections::BTreeMap;
use std::rc::Rc;

use fangshi_journal::{EventSeq, LaneKey, Source};

use crate::change::{Kind, Told};
use crate::world::{START, World};
use crate::write::{Answer, Reading, Write};

impl World {
    /// An order whose last reading does not show all of its changes.
    pub fn unread(&self) -> Option<LaneKey> {
        let (shop, model) = (self.shop.borrow(), self.model.borrow());
        let mut lanes: Vec<&LaneKey> = shop.changes.iter().map(|change| &change.lane).collect();
        lanes.sort();
        lanes.dedup();
        let read = |lane: &LaneKey| model.known.get(lane).map_or(0, |known| known.changes);
        lanes.retain(|lane| read(lane) < shop.changes_of(lane).count());
        (!lanes.is_empty()).then(|| lanes[self.dice.below(lanes.len())].clone())
    }
}

/// Reads an order and writes down what follows.
pub async fn reconcile(world: Rc<World>, process: usize, lane: LaneKey) {
    let (seen, announced) = announced(&world, &lane);
    world.pause().await;
    if world.read_fails() {
        return;
    }
    let reading = {
        let (shop, model) = (world.shop.borrow(), world.model.borrow());
        let (before, since) =
            model.known.get(&lane).map_or((0, START / 1_000), |known| (known.changes, known.update_time));
        let all: Vec<_> = shop.changes_of(&lane).collect();
        let update_time = all.last().map_or(0, |(_, change)| change.at);
        // The last of each kind: more than that a reading can't tell apart.
        let news: BTreeMap<Kind, (usize, i64)> =
            all.iter().skip(before).map(|(number, change)| (change.kind, (*number, change.at))).collect();
        let unannounced = |kind: &Kind, at: i64| announced.get(kind).is_none_or(|announced| *announced < at);
        let found = news.into_iter().filter(|(kind, (_, at))| unannounced(kind, *at)).map(|(kind, (change, at))| {
            // An order tells when it was paid; of all else, only that it is no younger than the last update.
            let created_at = if kind == Kind::PAID { at } else { update_time };
            (Told { change, kind, source: Source::Reconciled, created_at }, since)
        });
        Reading { seen, changes: all.len(), update_time, found: found.collect() }
    };
    world.pause().await;
    if let Ok(Answer::Noted(_)) = world.commit(process, Write::Reading { lane: lane.clone(), reading }).await {
        world.poke(process, &lane);
    }
}

/// The newest event of an order, and until when its events announce each kind of change.
fn announced(world: &World, lane: &LaneKey) -> (Option<EventSeq>, BTreeMap<Kind, i64>) {
    let model = world.model.borrow();
    let mut until: BTreeMap<Kind, i64> = BTreeMap::new();
    for (seq, event) in model.events.iter().filter(|(_, event)| event.lane == *lane) {
        let made = model.reconciled.get(lane).into_iter().flatten().find(|made| made.seq == *seq);
        let at = made.map_or(event.told.created_at, |made| made.update_time);
        let known = until.entry(event.told.kind).or_insert(at);
        *known = at.max(*known);
    }
    (model.newest(lane), until)
}
