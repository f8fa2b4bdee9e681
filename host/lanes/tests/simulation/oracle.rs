//! The invariants of the design: those of the lane at every commit, the rest when everything is over.

use std::collections::{BTreeMap, BTreeSet};

use fangshi_journal::{
    EffectKey, EffectState, EventSeq, InstallationId, LaneKey, PlannedEvent, RunId, RunState, Source,
};
use fangshi_operations::{Repeat, named};

use crate::change::{Change, Kind};
use crate::guest::{kv_key, leaves_kv};
use crate::model::{Event, Kept, Model};
use crate::world::World;
use crate::write::Write;

/// How long before an event the effect that explains it may have been intended, and how far clocks may differ, seconds.
const ECHO_S: i64 = 600;
const CLOCKS_S: i64 = 10;

/// What is wrong with a plan, by the store that it is to be written into.
pub fn of_plan(model: &Model, write: &Write) -> Option<String> {
    let (lane, planned) = match write {
        Write::Enter { lane, planned, .. } => (lane, planned),
        Write::Plan { fence, planned } => (&fence.lane, planned),
        _ => return None,
    };
    let (mut matched, mut used) = (Vec::new(), Vec::new());
    planned.iter().find_map(|one| {
        let event = model.events.get(&one.seq)?;
        let problem = absorbed_wrongly(model, lane, one, event, &matched).or_else(|| {
            let cause = model.effects.iter().find(|kept| Some(kept.id) == one.echo_of);
            let twice = one.echo_of.is_some_and(|id| used.contains(&id));
            cause.and_then(|cause| explained_wrongly(model, lane, one.seq, event, cause, twice))
        });
        matched.extend(one.absorbed_by);
        used.extend(one.echo_of);
        problem
    })
}

/// A late callback is absorbed if and only if a reconciled event of the same order and kind, read at or after its time, absorbed
/// none yet.
fn absorbed_wrongly(
    model: &Model,
    lane: &LaneKey,
    one: &PlannedEvent,
    event: &Event,
    matched: &[EventSeq],
) -> Option<String> {
    let kind = event.told.kind;
    let may = |seq: EventSeq| {
        let made = model.reconciled.get(lane).into_iter().flatten().find(|made| made.seq == seq);
        event.told.source == Source::Callback
            && made.is_some_and(|made| {
                let same = made.event == kind.event && made.ext_type == kind.ext_type;
                let open = !made.matched && !matched.contains(&seq) && seq < one.seq;
                same && open && made.update_time >= event.told.created_at
            })
    };
    match one.absorbed_by {
        Some(by) if !may(by) => Some(format!("{} is absorbed by {by}", one.seq)),
        Some(_) if !one.runs.is_empty() => Some(format!("{} is absorbed and has runs", one.seq)),
        Some(_) => None,
        None => {
            let by = model.events.keys().find(|seq| may(**seq))?;
            Some(format!("{} was told of by {by} already", one.seq))
        }
    }
}

/// An effect explains one event, of its own order, of a kind that it raises, and of its time.
fn explained_wrongly(
    model: &Model,
    lane: &LaneKey,
    seq: EventSeq,
    event: &Event,
    cause: &Kept,
    twice: bool,
) -> Option<String> {
    let made = model.reconciled.get(lane).into_iter().flatten().find(|made| made.seq == seq);
    let since = made.map_or(event.told.created_at, |made| made.since);
    let intended = cause.effect.intent_at.div_euclid(1_000);
    // One that was sent again since the look may have been intended long before.
    let begun = event.told.created_at >= intended - CLOCKS_S || cause.effect.sends > 1;
    let in_time = begun && since <= intended + ECHO_S;
    let used = twice || model.events.values().any(|event| event.echo_of == Some(cause.id));
    let fits = cause.lane == *lane && raises(cause, event.told.kind);
    (!in_time || used || !fits).then(|| format!("{seq} is explained by effect {} of {}", cause.id, cause.run))
}

fn raises(cause: &Kept, kind: Kind) -> bool {
    named(&cause.effect.key.operation).is_some_and(|op| match kind.ext_type {
        Some(ext_type) => op.raises.contains(&ext_type),
        None => op.raises_events.contains(&kind.event),
    })
}

/// I2: in a lane one attempt is open at most, and an installation's runs follow the sequence of their events.
/// An attempt of a paused installation waits with it. While the store is held, no attempt goes on.
pub fn after_write(model: &Model, write: &Write, once_held: &BTreeSet<InstallationId>) {
    let (lane, run) = match write {
        Write::Flush { fence, rows }
        | Write::Intent { fence, rows, .. }
        | Write::Outcome { fence, rows, .. }
        | Write::End { fence, rows, .. } => (&fence.lane, rows.run),
        Write::Record { .. }
        | Write::Reading { .. }
        | Write::Enter { .. }
        | Write::Plan { .. }
        | Write::Repair { .. }
        | Write::BackUp
        | Write::Restore
        | Write::Release => return,
    };
    assert!(model.restore.is_none_or(|restore| restore.released_at.is_some()), "{run} goes on in a store that is held");
    let lane_now = model.lane(lane);
    let going = lane_now.runs.iter().filter(|run| run.cut_off.is_some() && !once_held.contains(&run.installation));
    let open = going.count();
    assert!(open <= 1, "{open} attempts are open in {lane:?}");
    let Some(this) = model.runs.iter().find(|one| one.open.id == run) else { panic!("{run} is unknown") };
    // What a person let run again stands outside the sequence.
    let before = model.runs.iter().filter(|other| {
        let same = other.lane == *lane && other.open.installation == this.open.installation;
        same && other.open.event < this.open.event && !other.open.repaired && !this.open.repaired
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
    assert_eq!(places.len(), acknowledged.len(), "an event for each callback");
    for (dedup, (lane, seq)) in &acknowledged {
        let kept = model.events.get(seq).is_some_and(|event| event.lane == *lane && event.told.dedup() == *dedup);
        assert!(kept, "the callback of {seq} was acknowledged and is lost");
    }
    for (seq, event) in &model.events {
        runs(&model, *seq, event);
    }
    changes(world, &model);
    effects(world, &model);
}

/// An event is heard by whoever hears its kind, but not by whoever caused it and doesn't want to; by nobody if it is late.
fn runs(model: &Model, seq: EventSeq, event: &Event) {
    let runs: Vec<_> = model.runs.iter().filter(|run| run.open.event == seq).collect();
    let by: Vec<_> = runs.iter().map(|run| run.open.installation).collect();
    let hearers = |hidden: Option<InstallationId>| -> Vec<_> {
        let all = World::hearers(event.lane.tenant, event.told.kind);
        all.filter(|(id, echoes)| *echoes || hidden != Some(*id)).map(|(id, _)| id).collect()
    };
    let expected = match event.absorbed_by {
        Some(_) => Vec::new(),
        None => hearers(causer(model, event)),
    };
    // What may not have been done hides nothing.
    if by != expected && !(event.perhaps && by == hearers(None)) {
        panic!("{seq}, {:?} of {:?}, is heard by {by:?}, not {expected:?}", event.told, event.lane);
    }
    for run in runs {
        assert!(
            run.lane == event.lane && run.open.state.is_finished(),
            "{} of {seq}: {:?}",
            run.open.id,
            run.open.state
        );
        assert!(run.reason.is_none_or(|reason| reason == "attempts"), "{} parked: {:?}", run.open.id, run.reason);
        // kv is kept with the attempt that ended well, or not at all.
        let kept = model.kv.get(&(run.open.installation, kv_key(&run.open)));
        let leaves = run.open.state == RunState::Done && leaves_kv(event.told);
        let expected = leaves.then(|| run.open.attempts.to_be_bytes().to_vec());
        assert_eq!(kept, expected.as_ref(), "kv of {}", run.open.id);
    }
}

/// Whose effect explains an event.
fn causer(model: &Model, event: &Event) -> Option<InstallationId> {
    model.effects.iter().find(|kept| Some(kept.id) == event.echo_of).map(|kept| kept.installation)
}

/// Nothing that happened is told twice; nothing is missed where orders are read; and what an effect of ours alone can have
/// caused is known as its echo.
fn changes(world: &World, model: &Model) {
    let shop = world.shop.borrow();
    let mut kinds: BTreeMap<(&LaneKey, Kind), Vec<&Change>> = BTreeMap::new();
    for change in &shop.changes {
        kinds.entry((&change.lane, change.kind)).or_default().push(change);
    }
    for ((lane, kind), changes) in kinds {
        let of_kind = |event: &&Event| event.lane == *lane && event.told.kind == kind && event.absorbed_by.is_none();
        let told: Vec<&Event> = model.events.values().filter(of_kind).collect();
        assert!(
            told.len() <= changes.len(),
            "{} changes of {lane:?} {kind:?} are told {} times",
            changes.len(),
            told.len()
        );
        let last = changes.last().map_or(0, |change| change.at);
        if world.reconciles {
            let until = told.iter().map(|event| until(model, event)).max();
            assert!(until.is_some_and(|until| until >= last), "a change of {lane:?} {kind:?} is not told: {until:?}");
        }
        let mut causes = model.effects.iter().filter(|kept| kept.lane == *lane && raises(kept, kind));
        let alone = match (causes.next(), causes.next()) {
            (Some(cause), None) => cause.effect.sends == 1 && changes.iter().all(|change| change.ours),
            _ => false,
        };
        if alone && changes.len() == 1 && model.restore.is_none() {
            assert!(told.iter().all(|event| event.echo_of.is_some()), "our own change of {lane:?} {kind:?} is no echo");
        }
    }
}

/// Until when an event tells of what happened.
fn until(model: &Model, event: &Event) -> i64 {
    let mut made = model.reconciled.get(&event.lane).into_iter().flatten();
    let this = |seq| model.events.get(&seq).is_some_and(|other| other.told == event.told);
    made.find(|made| this(made.seq)).map_or(event.told.created_at, |made| made.update_time)
}

fn effects(world: &World, model: &Model) {
    let shop = world.shop.borrow();
    let mut applied: BTreeMap<(RunId, &str, [u8; 32], u32), u32> = BTreeMap::new();
    for one in &shop.ledger {
        let EffectKey { operation, digest, nth } = &one.key;
        let times = applied.entry((one.run, operation.as_str(), *digest, *nth)).or_default();
        // Over what somebody wrote since a busy platform did it, where nobody knows how it was before.
        let unread = |kept: &&Kept| kept.run == one.run && kept.effect.key == one.key && kept.effect.before.is_none();
        let unseen = one.busy && one.op.repeat == Repeat::Resend && model.effects.iter().any(|kept| unread(&kept));
        *times += u32::from(!unseen);
        let most = if one.op.repeat == Repeat::Resend { 2 } else { 1 };
        assert!(*times <= most, "{:?} of {} was applied {times} times: {}", one.op, one.run, one.body);
        let run = model.runs.iter().find(|run| run.open.id == one.run);
        assert!(run.is_some() || one.lost, "{} is unknown", one.run);
        let strange = run.is_some_and(|run| run.lane.tenant != one.lane.tenant && !one.lost);
        assert!(!strange, "another tenant's order was changed");
        // Whatever a lost store did is not done once more, though the restored one may know nothing of it.
        let before = |other: &&crate::shop::Applied| {
            let same = other.installation == one.installation && other.lane == one.lane && other.body == one.body;
            same && other.life < one.life && other.key.operation == one.key.operation
        };
        // Where only a clock that was behind hides that it may have been done, the same value is set once more.
        let perhaps = run.and_then(|run| model.restore?.sent_perhaps(&model.stored(run.open.event)));
        let harmless = one.op.repeat == Repeat::Resend && perhaps.is_some_and(|perhaps| perhaps.by_clock);
        let again = shop.ledger.iter().find(before);
        assert!(again.is_none() || harmless, "{:?} of {} was done before the restore: {}", one.op, one.run, one.body);
    }
    let mut applied: BTreeMap<(RunId, &str, [u8; 32], u32), u32> = BTreeMap::new();
    for one in shop.ledger.iter().filter(|one| !one.lost) {
        let EffectKey { operation, digest, nth } = &one.key;
        *applied.entry((one.run, operation.as_str(), *digest, *nth)).or_default() += 1;
    }
    for kept in &model.effects {
        let EffectKey { operation, digest, nth } = &kept.effect.key;
        let times = applied.get(&(kept.run, operation.as_str(), *digest, *nth)).copied().unwrap_or(0);
        // An effect that was in doubt shows, be it by an equal one: a second of the run, that of the same change's other event,
        // or what a lost store did.
        let equal = shop
            .ledger
            .iter()
            .any(|one| one.key.operation == *operation && one.key.digest == *digest && one.lane == kept.lane);
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
    for one in shop.ledger.iter().filter(|one| !one.lost) {
        let known = model.effects.iter().any(|kept| kept.run == one.run && kept.effect.key == one.key);
        assert!(known, "the journal knows nothing of {:?} of {}", one.key, one.run);
    }
}
