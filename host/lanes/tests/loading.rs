//! Versions that take long to load: their runs hold no place, lose no attempt, and come back.
#![allow(unused_braces, missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod rig;

use std::sync::atomic::Ordering;

use fangshi_journal::RunState;
use fangshi_lanes::LanesConfig;
use fangshi_runtime::Outcome;
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
