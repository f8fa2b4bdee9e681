//! Quotas that a run met, and refusals of the platform that no wait will change.
#![allow(
    unused_braces,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints its seeds"
)]
#![allow(clippy::await_holding_lock, reason = "locks of the test's own ledgers, which nobody else takes meanwhile")]
#![allow(clippy::disallowed_methods, reason = "seeds come from the real clock")]

mod rig;

use fangshi_journal::RunState;
use fangshi_operations::{Class, Fault, Sent};
use rig::{Mood, ORDER, Rig, outcome_of, refused, set_note};
use serde_json::json;

#[tokio::test]
async fn a_quota_that_a_run_met_is_waited_for_and_what_is_never_allowed_parks_at_once() {
    let rig = Rig::new().await;
    rig.install(1, true, script!(|_input, host| { outcome_of(set_note(host, ORDER, "x").await.map(drop)) }));
    let mut limited = refused(Class::MinuteQuota, 45_011);
    limited.retry_after = Some(600);
    rig.shop.moods.lock().unwrap().push_back(Mood::Refuse(limited));
    rig.pay(ORDER).await;
    rig.settle().await;
    rig.advance(599).await;
    assert_eq!(rig.ran().len(), 1, "the plugin said only that it comes back: not before the quota opens");
    rig.advance(130).await;
    assert_eq!(rig.states().await, [RunState::Done]);

    *rig.shop.unreadable.lock().unwrap() = Some(refused(Class::Permission, 48_001));
    rig.pay("3700000000000000001").await;
    rig.settle().await;
    let run = rig.runs().await[1].clone();
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Parked, Some("order-unavailable")));
    *rig.shop.unreadable.lock().unwrap() = Some(refused(Class::Busy, -1));
    rig.pay("3700000000000000002").await;
    rig.settle().await;
    assert_eq!(rig.runs().await[2].state, RunState::Waiting);
}

#[tokio::test]
async fn calls_that_the_host_keeps_back_are_no_effects_on_the_order() {
    let rig = Rig::new().await;
    let limits = json!({"effects_per_hour": 3});
    let script = script!(|_input, host| { outcome_of(set_note(host, ORDER, "x").await.map(drop)) });
    rig.install_for(rig.tenant, 1, false, limits, script);
    let kept_back = || Mood::Refuse(Fault::new(Class::Unreachable, Sent::NotSent, "the platform fails"));
    rig.shop.moods.lock().unwrap().extend((0..5).map(|_| kept_back()));
    rig.pay(ORDER).await;
    rig.settle().await;
    // 5 s, 30 s, 2 min, 10 min, 30 min, each up to a fifth longer: within the hour.
    for wait in [6, 36, 144, 720, 2_160] {
        assert_eq!(rig.states().await, [RunState::Waiting]);
        rig.advance(wait).await;
    }
    assert_eq!((rig.states().await, rig.ran().len()), (vec![RunState::Done], 6));
    let run = rig.runs().await[0].id;
    assert_eq!(rig.journal.effects(rig.tenant, run).await.unwrap()[0].sends, 1, "one was sent");
}
