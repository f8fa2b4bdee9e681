//! The writes of a played seed once more, on real SQLite: each must be answered as the model answered it, and every lane,
//! effect and cut-off attempt must read the same.

use fangshi_database::{Clock, Database, OpenOptions};
use fangshi_journal::{Buffer, Effect, Ending, Journal, KvChange, LaneKey, NewEvent, OpenAttempt, Source, Usage};
use fangshi_tenants::{Conduct, Credentials, Kek, NewTenant, Platform, Tenants};
use serde_json::json;

use crate::model::{Answer, EVENT, HOOK, Model, Refused, Rows, Write, version};
use crate::rig::hear;
use crate::world::{Entry, Played, World};

/// The writes of a seed, in words.
pub fn words(played: &Played) -> Vec<String> {
    let trace = played.world.trace.borrow();
    trace.iter().map(|entry| format!("{} {:?} {:?}", entry.now, entry.write, entry.answer)).collect()
}

pub async fn replay(played: &Played) {
    let folder = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::manual();
    let db = Database::open(OpenOptions::new(folder.path())).await.unwrap();
    let tenants = Tenants::open(db.clone(), Kek::from_bytes(&[7; 32]), None, clock.clone()).await.unwrap();
    let mut heard = Vec::new();
    for (tenant, installation) in World::everybody() {
        while tenants.get(tenant).is_none() {
            tenants.create(new_tenant(tenant.0)).await.unwrap();
        }
        heard.push((tenant, HOOK, installation, version(installation)));
    }
    hear(&db, heard).await;
    let journal = Journal::open(db.clone(), tenants, clock);
    let mut model = Model::new(played.world.model.borrow().subscriptions.clone());
    for (place, Entry { now, write, answer }) in played.world.trace.take().iter().enumerate() {
        hand.set(*now);
        assert_eq!(model.commit(write, *now), *answer, "write {place}");
        let real = commit(&journal, write, *now).await;
        assert_eq!(real, *answer, "write {place}: {write:?}");
        compare(&journal, &model, &lane_of(write), place).await;
    }
    for lane in model.lane_keys() {
        compare(&journal, &model, &lane, usize::MAX).await;
    }
    for ((installation, key), value) in &model.kv {
        let lane = model.runs.iter().find(|run| run.open.installation == *installation).map(|run| run.lane.clone());
        let held = journal.kv(lane.unwrap().tenant, *installation, key).await.unwrap();
        assert_eq!(held.as_ref(), Some(value));
    }
    db.close().await;
}

fn lane_of(write: &Write) -> LaneKey {
    match write {
        Write::Record { lane, .. } | Write::Enter { lane, .. } => lane.clone(),
        Write::Plan { fence, .. }
        | Write::Flush { fence, .. }
        | Write::Intent { fence, .. }
        | Write::Outcome { fence, .. }
        | Write::End { fence, .. } => fence.lane.clone(),
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
        Write::Record { lane, dedup } => {
            let event = NewEvent {
                tenant: lane.tenant,
                event: EVENT.into(),
                order_id: lane.order_id.to_string(),
                source: Source::Callback,
                ext_type: None,
                created_at: now.div_euclid(1_000),
                received_at: now,
                dedup: *dedup,
                body: json!({"order_info": {"order_id": &*lane.order_id}}).to_string().into_bytes(),
            };
            let recorded = journal.record_event(event).await;
            recorded.map(|recorded| Answer::Recorded { seq: recorded.seq, duplicate: recorded.duplicate })
        }
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
    assert_eq!(format!("{real:?}"), format!("{expected:?}"), "the lane after write {place}");
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
        "{:?} {:?} {} sends, {} unsure, attempt {}, {:?} {:?} {before:?} {}",
        effect.key,
        effect.state,
        effect.sends,
        effect.unsure,
        effect.attempt,
        effect.result,
        effect.answer,
        effect.intent_at
    )
}
