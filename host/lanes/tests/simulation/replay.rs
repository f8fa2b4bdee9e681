//! The writes of a played seed once more, on real SQLite: each must be answered as the model answered it, after a sync where
//! the model waits for one, and every lane, effect and cut-off attempt must read the same.

use std::path::PathBuf;

use fangshi_database::{Clock, Database, OpenOptions, back_up, stage};
use fangshi_journal::{
    Buffer, Effect, Ending, Found, Journal, KnownOrder, KvAllowed, KvChange, LaneKey, LaneState, NewEvent, OpenAttempt,
    Reading, Repair, Usage,
};
use fangshi_tenants::{Actor, Conduct, Credentials, Kek, NewTenant, Platform, Tenants};
use serde_json::json;
use tempfile::TempDir;

use crate::change::Told;
use crate::model::{Model, version};
use crate::rig::hear;
use crate::world::{Entry, Played, World};
use crate::write::{Answer, Refused, Rows, Write};

/// The writes of a seed, in words.
pub fn words(played: &Played) -> Vec<String> {
    let trace = played.world.trace.borrow();
    trace.iter().map(|entry| format!("{} {:?} {:?}", entry.now, entry.write, entry.answer)).collect()
}

/// A real store.
struct Store {
    /// Of this life and the ones before.
    folders: Vec<TempDir>,
    data: PathBuf,
    clock: Clock,
    db: Database,
    tenants: Tenants,
    journal: Journal,
}

impl Store {
    async fn open(folder: TempDir, data: PathBuf, clock: &Clock) -> Store {
        let db = Database::open(OpenOptions::new(&data)).await.unwrap();
        let tenants = Tenants::open(db.clone(), Kek::from_bytes(&[7; 32]), None, clock.clone()).await.unwrap();
        let journal = Journal::open(db.clone(), tenants.clone(), clock.clone());
        Store { folders: vec![folder], data, clock: clock.clone(), db, tenants, journal }
    }

    fn backup(&self) -> PathBuf {
        self.folders[0].path().join("backup")
    }

    /// The backup in a folder of its own, held.
    async fn restored(self) -> Store {
        self.db.close().await;
        let folder = tempfile::tempdir().unwrap();
        let data = stage(&self.backup(), folder.path()).await.unwrap();
        let mut store = Store::open(folder, data, &self.clock).await;
        store.journal.hold(Actor::Operator(None)).await.unwrap();
        store.folders.extend(self.folders);
        store
    }
}

pub async fn replay(played: &Played) {
    let (clock, hand) = Clock::manual();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut store = Store::open(folder, data, &clock).await;
    let mut heard = Vec::new();
    for (tenant, installation, hook) in World::everybody() {
        while store.tenants.get(tenant).is_none() {
            store.tenants.create(new_tenant(tenant.0)).await.unwrap();
        }
        heard.push((tenant, hook, installation, version(installation)));
    }
    hear(&store.db, heard).await;
    let mut model = Model::new(played.world.model.borrow().subscriptions.clone());
    for (place, Entry { now, write, answer }) in played.world.trace.take().iter().enumerate() {
        hand.set(*now);
        assert_eq!(model.commit(write, *now), *answer, "write {place}");
        match write {
            Write::BackUp => drop(back_up(&store.data, &store.backup()).await.unwrap()),
            Write::Restore => store = store.restored().await,
            write => {
                let unsynced = || store.db.writer().stats().unsynced;
                let before = unsynced();
                let real = commit(&store.journal, write, *now).await;
                assert_eq!(real, *answer, "write {place}: {write:?}");
                assert_eq!(unsynced() == before, write.is_synced(), "the sync of write {place}: {write:?}");
            }
        }
        let restored = store.journal.restored().await.unwrap();
        assert_eq!(restored, model.restore, "the last restore after write {place}");
        if let Some(lane) = lane_of(write) {
            compare(&store.journal, &model, &lane, place).await;
        }
    }
    for lane in model.lane_keys() {
        compare(&store.journal, &model, &lane, usize::MAX).await;
    }
    for ((installation, key), value) in &model.kv {
        let lane = model.runs.iter().find(|run| run.open.installation == *installation).map(|run| run.lane.clone());
        let held = store.journal.kv(lane.unwrap().tenant, *installation, key).await.unwrap();
        assert_eq!(held.as_ref(), Some(value));
    }
    store.db.close().await;
}

fn lane_of(write: &Write) -> Option<LaneKey> {
    match write {
        Write::Record { lane, .. } | Write::Reading { lane, .. } | Write::Enter { lane, .. } => Some(lane.clone()),
        Write::Plan { fence, .. }
        | Write::Flush { fence, .. }
        | Write::Intent { fence, .. }
        | Write::Outcome { fence, .. }
        | Write::End { fence, .. } => Some(fence.lane.clone()),
        Write::Repair { lane, .. } => Some(lane.clone()),
        Write::BackUp | Write::Restore | Write::Release => None,
    }
}

fn event(lane: &LaneKey, told: Told, now: i64) -> NewEvent {
    NewEvent {
        tenant: lane.tenant,
        event: told.kind.event.into(),
        order_id: lane.order_id.to_string(),
        source: told.source,
        ext_type: told.kind.ext_type,
        created_at: told.created_at,
        received_at: now,
        dedup: told.dedup(),
        body: json!({"order_info": {"order_id": &*lane.order_id}}).to_string().into_bytes(),
    }
}

fn new_tenant(number: i64) -> NewTenant {
    NewTenant {
        platform: Platform::Weixin,
        appid: format!("wx{number:016}"),
        user_name: Some(format!("gh_{number}")),
        name: format!("shop {number}"),
        credentials: Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None },
    }
}

async fn commit(journal: &Journal, write: &Write, now: i64) -> Result<Answer, Refused> {
    let answer = match write {
        Write::Record { lane, told } => {
            let recorded = journal.record_event(event(lane, *told, now)).await;
            recorded.map(|recorded| Answer::Recorded { seq: recorded.seq, duplicate: recorded.duplicate })
        }
        Write::Reading { lane, reading } => {
            let found = |(told, since): &(Told, i64)| Found { event: event(lane, *told, now), since: *since };
            let known = KnownOrder {
                status: 20,
                update_time: reading.update_time,
                read_at: now,
                seen: reading.seen,
                look_at: None,
                facts: json!(reading.changes),
            };
            let found = reading.found.iter().map(found).collect();
            let reading = Reading { order: lane.clone(), known, found, transition: None };
            journal.note_reading(reading).await.map(Answer::Noted)
        }
        Write::Repair { lane, run } => {
            let repair = Repair { run: *run, version: None };
            let repaired = journal.repair(Actor::Operator(None), lane.tenant, vec![repair]).await;
            repaired.map(|repaired| {
                assert_eq!(repaired.len(), 1, "{run}");
                Answer::Written
            })
        }
        Write::Release => journal.release(Actor::Operator(None)).await.map(|_| Answer::Written),
        Write::BackUp | Write::Restore => unreachable!("of the store, not of its journal"),
        Write::Enter { lane, from, planned } => journal.enter(lane, *from, planned.clone()).await.map(Answer::Entered),
        Write::Plan { fence, planned } => journal.plan(fence, planned.clone()).await.map(|()| Answer::Written),
        Write::Flush { fence, rows } => {
            journal.flush(fence, &buffer(journal, &fence.lane, rows)).await.map(|()| Answer::Written)
        }
        Write::Intent { fence, rows, intent } => {
            let buffer = buffer(journal, &fence.lane, rows);
            journal.intent(fence, &buffer, intent, None).await.map(|()| Answer::Written)
        }
        Write::Outcome { fence, rows, outcome } => {
            let buffer = buffer(journal, &fence.lane, rows);
            journal.outcome(fence, &buffer, outcome).await.map(|()| Answer::Written)
        }
        Write::End { fence, rows, end } => {
            let change = |(key, value): &(String, Vec<u8>)| KvChange { key: key.clone(), value: Some(value.clone()) };
            let ending = Ending {
                event: end.event,
                outcome: end.outcome,
                reason: String::new(),
                usage: Usage::default(),
                next: end.next.clone(),
                version: rows.start.version,
                hook: String::new(),
                conduct: Conduct::Untold,
                first_at: end.first_at,
                kv: end.kv.iter().map(change).collect(),
                kv_allowed: KvAllowed::ANY,
            };
            let buffer = buffer(journal, &fence.lane, rows);
            let ended = journal.end_attempt(fence, &buffer, end.installation, &ending).await;
            ended.map(|ended| Answer::Ended { event_finished: ended.event_finished })
        }
    };
    answer.map_err(|error| if error.is_stale() { Refused::Stale } else { Refused::Wrong(format!("{error:?}")) })
}

fn buffer(journal: &Journal, lane: &LaneKey, rows: &Rows) -> Buffer {
    let buffer = journal.begin_attempt(lane.tenant, rows.run, rows.attempt, &rows.start).unwrap();
    rows.calls.iter().for_each(|call| buffer.call(call).unwrap());
    buffer
}

async fn compare(journal: &Journal, model: &Model, lane: &LaneKey, place: usize) {
    let (expected, real) = (model.lane(lane), journal.lane(lane).await.unwrap());
    assert_eq!(words_of(real), words_of(expected), "the lane after write {place}");
    let real = journal.known_order(lane).await.unwrap();
    let real = real.map(|known| (known.facts, known.update_time, known.seen));
    let expected = model.known.get(lane).map(|known| (json!(known.changes), known.update_time, known.seen));
    assert_eq!(real, expected, "the known order after write {place}");
    let real = journal.effects_on(lane, i64::MIN).await.unwrap();
    let real: Vec<_> =
        real.iter().map(|trace| (trace.id, trace.run, trace.state, trace.intent_at, trace.used)).collect();
    let expected = model.effects_on(lane, i64::MIN).into_iter();
    let expected: Vec<_> =
        expected.map(|(kept, used)| (kept.id, kept.run, kept.effect.state, kept.effect.intent_at, used)).collect();
    assert_eq!(real, expected, "what may explain events after write {place}");
    for run in model.runs.iter().filter(|run| run.lane == *lane) {
        let number = run.open.attempts + 1;
        let id = run.open.id;
        let real = journal.open_attempt(lane.tenant, id, number).await.unwrap();
        assert_eq!(real.map(attempt), model.open_attempt(id, number).map(attempt), "{id} after write {place}");
        let real: Vec<_> = journal.effects(lane.tenant, id).await.unwrap().iter().map(effect).collect();
        let expected: Vec<_> = model.effects_of(id).iter().map(effect).collect();
        assert_eq!(real, expected, "effects of {id} after write {place}");
    }
}

/// Who hears which hook comes in no order.
fn words_of(mut lane: LaneState) -> String {
    lane.subscriptions.sort_by(|one, other| (one.installation, &one.hook).cmp(&(other.installation, &other.hook)));
    format!("{lane:?}")
}

fn attempt(open: OpenAttempt) -> String {
    let start = open.start;
    let calls: Vec<_> = open
        .calls
        .iter()
        .map(|call| {
            let snapshot = call.snapshot.as_ref().map(|snapshot| snapshot.digest);
            format!("{call:?} {:?} {:?} {:?} {snapshot:?}", call.kind, call.digest, call.answer)
        })
        .collect();
    let snapshot = start.snapshot.as_ref().map(|snapshot| snapshot.digest);
    format!("{:?} {} {:?} {} {snapshot:?} {calls:?}", start.version, start.clock_ms, start.inputs.seed, start.resumes)
}

fn effect(effect: &Effect) -> String {
    let before = effect.before.as_ref().map(|snapshot| snapshot.digest);
    format!(
        "{:?} {:?} {} sends, {} unsure, attempt {}, {:?} {:?} {before:?} {} {:?}",
        effect.key,
        effect.state,
        effect.sends,
        effect.unsure,
        effect.attempt,
        effect.result,
        effect.answer,
        effect.intent_at,
        effect.outcome_at
    )
}
