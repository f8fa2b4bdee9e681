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
use fangshi_operations::Class;
use rig::{Mood, ORDER, Rig, outcome_of, refused, set_note};

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
