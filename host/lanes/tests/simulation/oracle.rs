//! The invariants of the design: those of the lane after every commit, the rest when everything is over.

use std::collections::{BTreeMap, BTreeSet};

use fangshi_journal::{EffectKey, EffectState, InstallationId, RunId, RunState};
use fangshi_operations::Repeat;

use crate::guest::kv_key;
use crate::model::{Model, Write};
use crate::world::World;

/// I2: in a lane one attempt is open at most, and an installation's runs follow the sequence of their events.
/// An attempt of a paused installation waits with it.
pub fn after_write(model: &Model, write: &Write, once_held: &BTreeSet<InstallationId>) {
    let (lane, run) = match write {
        Write::Flush { fence, rows }
        | Write::Intent { fence, rows, .. }
        | Write::Outcome { fence, rows, .. }
        | Write::End { fence, rows, .. } => (&fence.lane, rows.run),
        Write::Record { .. } | Write::Enter { .. } | Write::Plan { .. } => return,
    };
    let lane_now = model.lane(lane);
    let going = lane_now.runs.iter().filter(|run| run.cut_off.is_some() && !once_held.contains(&run.installation));
    let open = going.count();
    assert!(open <= 1, "{open} attempts are open in {lane:?}");
    let this = &model.runs[(run.0 - 1) as usize].open;
    let before = model.runs.iter().filter(|other| {
        other.lane == *lane && other.open.installation == this.installation && other.open.event < this.event
    });
    for other in before {
        assert!(other.open.state.is_finished(), "{run} began before {} was finished", other.open.id);
    }
}

/// I1, I3, I4 and I6, and what the journal says against what the platform did.
pub fn at_the_end(world: &World) {
    let model = world.model.borrow();
    assert_eq!(model.backlog(), 0);
    let acknowledged = world.acknowledged();
    let mut places: Vec<_> = acknowledged.values().map(|(_, seq)| *seq).collect();
    places.sort();
    places.dedup();
    assert_eq!((places.len(), model.events()), (acknowledged.len(), acknowledged.len()), "an event for each callback");
    for (lane, seq) in acknowledged.values() {
        let runs: Vec<_> = model.runs.iter().filter(|run| run.open.event == *seq).collect();
        assert_eq!(runs.len(), World::hearers(lane.tenant), "event {seq} has its runs");
        for run in runs {
            assert!(
                run.lane == *lane && run.open.state.is_finished(),
                "{} of {seq}: {:?}",
                run.open.id,
                run.open.state
            );
            assert!(run.reason.is_none_or(|reason| reason == "attempts"), "{} parked: {:?}", run.open.id, run.reason);
            // kv is kept with the attempt that ended well, or not at all.
            let kept = model.kv.get(&(run.open.installation, kv_key(&run.open)));
            let expected = (run.open.state == RunState::Done).then(|| run.open.attempts.to_be_bytes().to_vec());
            assert_eq!(kept, expected.as_ref(), "kv of {}", run.open.id);
        }
    }
    effects(world, &model);
}

fn effects(world: &World, model: &Model) {
    let shop = world.shop.borrow();
    let mut applied: BTreeMap<(RunId, &str, [u8; 32], u32), u32> = BTreeMap::new();
    for one in &shop.ledger {
        let EffectKey { operation, digest, nth } = &one.key;
        let times = applied.entry((one.run, operation.as_str(), *digest, *nth)).or_default();
        *times += 1;
        let most = if one.op.repeat == Repeat::Resend { 2 } else { 1 };
        assert!(*times <= most, "{:?} of {} was applied {times} times: {}", one.op, one.run, one.body);
        let run = &model.runs[(one.run.0 - 1) as usize];
        assert_eq!(run.lane.tenant, one.lane.tenant, "another tenant's order was changed");
    }
    for kept in &model.effects {
        let EffectKey { operation, digest, nth } = &kept.effect.key;
        let times = applied.get(&(kept.run, operation.as_str(), *digest, *nth)).copied().unwrap_or(0);
        // A second equal effect that was in doubt shows, because the first one does.
        let equal = shop
            .ledger
            .iter()
            .any(|one| one.run == kept.run && one.key.operation == *operation && one.key.digest == *digest);
        let known = match kept.effect.state {
            EffectState::Applied => equal,
            EffectState::Refused | EffectState::RefusedForNow => times == 0,
            EffectState::Unknown => true,
            EffectState::Intent => false,
        };
        assert!(
            known,
            "{:?} of {} is {:?} and was applied {times} times",
            kept.effect.key, kept.run, kept.effect.state
        );
    }
    for one in &shop.ledger {
        let known = model.effects.iter().any(|kept| kept.run == one.run && kept.effect.key == one.key);
        assert!(known, "the journal knows nothing of {:?} of {}", one.key, one.run);
    }
}
