//! Versions that take long to load: their runs hold no place, lose no attempt, hold up nobody else, and come back.
#![allow(unused_braces, missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod rig;

use std::sync::atomic::Ordering;

use fangshi_journal::{Repair, RunState};
use fangshi_lanes::{LanesConfig, Throughput};
use fangshi_runtime::Outcome;
use fangshi_tenants::Actor;
use rig::{Mood, ORDER, Rig, outcome_of, set_note};

#[tokio::test]
async fn a_run_whose_version_is_being_loaded_gives_its_place_back_and_has_lost_nothing() {
    let rig =
        Rig::with(LanesConfig { sweep_every: None, max_concurrent_runs: 1, resumes: 1, ..LanesConfig::default() })
            .await;
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    rig.scripts.loads_take.store(3, Ordering::SeqCst);
    rig.pay(ORDER).await;
    for _ in 0..3 {
        rig.settle().await;
        assert_eq!((rig.lanes.stats().running, rig.ran().len()), (0, 0));
        let run = rig.runs().await.remove(0);
        assert_eq!((run.state, run.attempts), (RunState::Ready, 0));
        rig.advance(2).await;
    }
    let run = rig.runs().await.remove(0);
    assert_eq!((run.state, run.attempts), (RunState::Done, 1));
}

#[tokio::test]
async fn a_wait_for_the_version_is_no_resume() {
    let config = LanesConfig { sweep_every: None, resumes: 1, ..LanesConfig::default() };
    let mut rig = Rig::with(config).await;
    rig.install(1, false, script!(|_input, host| { outcome_of(set_note(host, ORDER, "x").await.map(drop)) }));
    rig.shop.moods.lock().unwrap().push_back(Mood::Hang);
    rig.pay(ORDER).await;
    rig.shop.hanging.notified().await;
    rig.crash().await;
    rig.scripts.loads_take.store(3, Ordering::SeqCst);
    rig.restart().await;
    for _ in 0..4 {
        rig.settle().await;
        rig.advance(2).await;
    }
    assert_eq!(rig.states().await, [RunState::Done], "it was resumed once");
    let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
    assert_eq!((detail.attempt_list.len(), detail.attempt_list[0].resumes), (1, 1));
}

/// The installations whose runs began, in their order.
fn began(rig: &Rig) -> Vec<u8> {
    rig.ran().into_iter().map(|ran| ran.version).collect()
}

fn being_loaded(rig: &Rig, installations: &[u8]) {
    *rig.scripts.being_loaded.lock().unwrap() = installations.iter().copied().collect();
}

#[tokio::test]
async fn a_version_that_is_being_loaded_holds_up_no_other_installation_of_its_lane() {
    let rig = Rig::new().await;
    for id in 1..=3 {
        rig.install(id, true, script!(|_input, _host| Outcome::Done));
    }
    being_loaded(&rig, &[1]);
    let first = rig.pay(ORDER).await;
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(began(&rig), [2, 3, 2, 3]);
    let waits: Vec<_> = rig.runs().await.into_iter().filter(|run| run.installation.0 == 1).collect();
    assert!(waits.iter().all(|run| (run.state, run.attempts) == (RunState::Ready, 0)), "{waits:?}");
    being_loaded(&rig, &[]);
    rig.advance(2).await;
    assert_eq!(began(&rig), [2, 3, 2, 3, 1, 1]);
    assert_eq!(rig.ran()[4].event, first.to_string(), "its events in their sequence");
    assert_eq!(rig.states().await, [RunState::Done; 6]);
}

#[tokio::test]
async fn an_attempt_that_was_cut_off_is_waited_for_before_others_change_the_order() {
    let mut rig = Rig::new().await;
    let script = script!(|_input, host| { outcome_of(set_note(host, ORDER, "x").await.map(drop)) });
    rig.install(1, false, script.clone());
    rig.install(2, false, script);
    rig.shop.moods.lock().unwrap().push_back(Mood::Hang);
    rig.pay(ORDER).await;
    rig.shop.hanging.notified().await;
    rig.crash().await;
    being_loaded(&rig, &[1]);
    rig.restart().await;
    rig.settle().await;
    assert_eq!(began(&rig), [1], "nobody knows what became of its effect");
    being_loaded(&rig, &[]);
    rig.advance(2).await;
    assert_eq!(began(&rig), [1, 1, 2]);
    assert_eq!(rig.states().await, [RunState::Done; 2]);
}

#[tokio::test]
async fn however_many_runs_wait_for_their_version_the_others_of_the_lane_go_on() {
    const MANY: usize = 40;
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::EventUnfit { reason: "not this time".into() }));
    for _ in 0..MANY {
        rig.pay(ORDER).await;
    }
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Parked; MANY]);
    // Repaired runs wait for nobody: each would be next.
    being_loaded(&rig, &[1]);
    let repairs = rig.runs().await.into_iter().map(|run| Repair { run: run.id, version: None }).collect();
    rig.journal.repair(Actor::Operator(None), rig.tenant, repairs).await.unwrap();
    rig.install(2, false, script!(|_input, _host| Outcome::Done));
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(began(&rig)[MANY..], [2]);
}

#[tokio::test]
async fn a_wait_for_the_version_uses_up_nothing_of_the_tenants_pace() {
    let rig = Rig::new().await;
    for id in 1..=2 {
        rig.install(id, false, script!(|_input, _host| Outcome::Done));
    }
    rig.throughput(Throughput { runs_at_once: 2, runs_per_second: 2, journal_bytes_per_hour: u64::MAX });
    being_loaded(&rig, &[1]);
    for order in ["11", "12", "13"] {
        rig.pay(order).await;
    }
    rig.settle().await;
    assert_eq!(began(&rig), [2, 2], "as many as begin within a second");
    being_loaded(&rig, &[]);
    for _ in 0..4 {
        rig.advance(1).await;
    }
    assert_eq!(rig.states().await, [RunState::Done; 6]);
}
