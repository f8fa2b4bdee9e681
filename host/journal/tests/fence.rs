//! The fence: whoever lost a lane writes nothing in it.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_journal::{EffectState, InstallationId, JournalError, KvChange, Next};
use rig::{Rig, planned};

#[tokio::test]
async fn only_one_of_two_enters_from_the_same_epoch() {
    let rig = Rig::new().await;
    let seq = rig.journal.record_event(rig.event(1)).await.unwrap().seq;
    let one = rig.journal.enter(&rig.lane(), 0, vec![planned(seq)]).await.unwrap();
    assert_eq!(one.epoch, 1);
    let before = rig.dump().await;
    assert!(matches!(rig.journal.enter(&rig.lane(), 0, vec![]).await, Err(JournalError::Stale)));
    assert_eq!(rig.dump().await, before);
    assert_eq!(rig.journal.enter(&rig.lane(), 1, vec![]).await.unwrap().epoch, 2);
}

#[tokio::test]
async fn a_look_at_a_lane_whose_events_the_holder_planned_meanwhile_is_stale() {
    let rig = Rig::new().await;
    let (holder, _, _) = rig.entered(1).await;
    let seq = rig.journal.record_event(rig.event(2)).await.unwrap().seq;
    // Another executor looked at epoch 1 and saw the new event; the holder plans it without raising the epoch.
    rig.journal.plan(&holder, vec![planned(seq)]).await.unwrap();
    let before = rig.dump().await;
    let late = rig.journal.enter(&rig.lane(), holder.epoch, vec![planned(seq)]).await;
    assert!(matches!(late, Err(JournalError::Stale)), "{late:?}");
    assert_eq!(rig.dump().await, before, "the epoch did not rise either");
    let twice = rig.journal.plan(&holder, vec![planned(seq)]).await;
    assert!(matches!(twice, Err(JournalError::Corrupt(_))), "the holder itself must know better: {twice:?}");
}

#[tokio::test]
async fn every_fenced_step_of_a_stale_holder_is_refused_and_writes_nothing() {
    let rig = Rig::new().await;
    let (stale, run, event) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let sent = rig.intent(0, 0).await;
    rig.journal.intent(&stale, &buffer, &sent, None).await.unwrap();
    buffer.log(1, "a line that waits").unwrap();
    let later = rig.journal.record_event(rig.event(2)).await.unwrap().seq;

    // Somebody else enters.
    let holder = rig.journal.enter(&rig.lane(), stale.epoch, vec![]).await.unwrap();
    let before = rig.dump().await;
    let outcome = rig.outcome(&sent, EffectState::Applied).await;
    let mut done = rig.ending(event, Next::Done);
    done.kv = vec![KvChange { key: "k".into(), value: Some(b"v".to_vec()) }];
    let refusals = [
        ("plan", rig.journal.plan(&stale, vec![planned(later)]).await.unwrap_err()),
        ("flush", rig.journal.flush(&stale, &buffer).await.unwrap_err()),
        ("intent", rig.journal.intent(&stale, &buffer, &rig.intent(1, 1).await, None).await.unwrap_err()),
        ("outcome", rig.journal.outcome(&stale, &buffer, &outcome).await.unwrap_err()),
        ("end", rig.journal.end_attempt(&stale, &buffer, InstallationId(1), &done).await.unwrap_err()),
        ("park", rig.journal.park(&stale, run, event, "removed").await.unwrap_err()),
    ];
    for (step, refusal) in refusals {
        assert!(refusal.is_stale(), "{step}: {refusal:?}");
    }
    // The salt of the tenant exists since the first digest, so nothing at all may differ.
    assert_eq!(rig.dump().await, before);

    // The new holder can do all of it, and the buffered line was not lost on the way.
    rig.journal.outcome(&holder, &buffer, &outcome).await.unwrap();
    assert!(rig.journal.end_attempt(&holder, &buffer, InstallationId(1), &done).await.unwrap().event_finished);
    assert_eq!(rig.count("SELECT COUNT(*) FROM logs").await, 1);
    assert_eq!(rig.journal.kv(rig.tenant, InstallationId(1), "k").await.unwrap(), Some(b"v".to_vec()));
}

#[tokio::test]
async fn lanes_do_not_fence_each_other() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    let mut other = rig.event(2);
    other.order_id = "2".into();
    let other_lane = fangshi_journal::LaneKey::new(rig.tenant, "2");
    rig.journal.record_event(other).await.unwrap();
    rig.journal.enter(&other_lane, 0, vec![]).await.unwrap();
    let buffer = rig.begin(run, 1);
    rig.journal.end_attempt(&fence, &buffer, InstallationId(1), &rig.ending(event, Next::Done)).await.unwrap();
}
