//! Effects in doubt while the host lives: answers that are lost, and a platform that is busy.
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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fangshi_journal::{EffectState, Repair, RunState};
use fangshi_operations::Class;
use fangshi_runtime::{CallError, Outcome};
use fangshi_tenants::Actor;
use rig::{Mood, ORDER, Rig, note_after_read, outcome_of, phone_code, refused, set_note, ship, shipment};

/// Sends a parcel, and calls again at once when it hears "unavailable", as a plugin may.
fn insists_on_shipping() -> rig::Script {
    script!(|_input, host| {
        let first = host.operation("delivery", "send", shipment()).await;
        match first {
            Err(CallError::Unavailable(_)) => {
                outcome_of(host.operation("delivery", "send", shipment()).await.map(drop))
            }
            other => outcome_of(other.map(drop)),
        }
    })
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_looking_and_a_lost_request_is_sent_again_once() {
    for script in [note_after_read, ship] {
        // Lost twice, it is looked for once more, and not sent a third time.
        let lost = [Mood::LoseRequest, Mood::LoseRequest];
        for (moods, states, applied) in [
            (vec![Mood::LoseAnswer], vec![RunState::Done], 1),
            (vec![Mood::LoseRequest], vec![RunState::Waiting, RunState::Done], 1),
            (lost.to_vec(), vec![RunState::Waiting, RunState::Waiting, RunState::Rejected], 0),
        ] {
            let rig = Rig::new().await;
            rig.install(1, true, script());
            let sends = states.len().min(2) as u32;
            rig.shop.moods.lock().unwrap().extend(moods);
            rig.pay(ORDER).await;
            rig.settle().await;
            for (tries, state) in states.into_iter().enumerate() {
                assert_eq!(rig.states().await, [state]);
                rig.advance([7, 37, 145][tries]).await;
            }
            assert_eq!(rig.shop.applied().len(), applied);
            let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
            assert_eq!(detail.effects[0].sends, sends);
        }
    }
}

#[tokio::test]
async fn a_look_that_fails_leaves_it_to_the_next_attempt() {
    for script in [note_after_read, ship] {
        for (mood, sends) in [(Mood::LoseAnswer, 1), (Mood::LoseRequest, 2)] {
            let rig = Rig::new().await;
            rig.install(1, true, script());
            rig.shop.moods.lock().unwrap().push_back(mood.clone());
            rig.shop.looks_fail.store(2, Ordering::SeqCst);
            rig.pay(ORDER).await;
            rig.settle().await;
            for seconds in [7, 37] {
                assert_eq!(rig.states().await, [RunState::Waiting], "{mood:?}");
                rig.advance(seconds).await;
            }
            assert_eq!((rig.states().await, rig.shop.applied().len()), (vec![RunState::Done], 1), "{mood:?}");
            let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
            assert_eq!(detail.effects[0].sends, sends, "{mood:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_after_a_busy_answer_leaves_nothing_in_doubt() {
    let rig = Rig::new().await;
    let shop = rig.shop.clone();
    let insists = script!(
        [shop] | _input,
        host | {
            for number in 0..3 {
                // Only what is in doubt is looked for: nothing is, once it was refused.
                shop.looks_fail.store(u32::from(number == 2), Ordering::SeqCst);
                if set_note(host, ORDER, "x").await.is_ok() {
                    return Outcome::Done;
                }
            }
            Outcome::RetryLater { reason: "refused".into(), after: None }
        }
    );
    rig.install(1, true, insists);
    let refusals = [1, 2].map(|_| Mood::Refuse(refused(Class::TooOften, 100_003)));
    rig.shop.moods.lock().unwrap().extend([Mood::Busy { applied: false }].into_iter().chain(refusals));
    rig.pay(ORDER).await;
    rig.settle().await;
    let run = rig.runs().await[0].id;
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert_eq!((effects[0].state, effects[0].unsure, effects[0].sends), (EffectState::RefusedForNow, 0, 3));
    let detail = rig.journal.run(rig.tenant, run).await.unwrap().unwrap();
    let origins: Vec<_> = detail.attempt_list[0].calls.iter().map(|call| serde_json::to_value(call).unwrap()).collect();
    assert!(origins.iter().all(|call| call["origin"] == "live"), "{origins:?}");
}

#[tokio::test]
async fn a_plugin_that_calls_again_at_once_has_it_looked_for_and_not_sent_twice() {
    for (mood, sends) in [(Mood::LoseAnswer, 1), (Mood::LoseRequest, 2)] {
        let rig = Rig::new().await;
        rig.install(1, true, insists_on_shipping());
        rig.shop.moods.lock().unwrap().push_back(mood.clone());
        rig.shop.looks_fail.store(1, Ordering::SeqCst);
        rig.pay(ORDER).await;
        rig.settle().await;
        let so_far = if sends == 1 { RunState::Done } else { RunState::Waiting };
        assert_eq!(rig.states().await, [so_far], "{mood:?}");
        rig.advance(7).await;
        assert_eq!((rig.states().await, rig.shop.applied().len()), (vec![RunState::Done], 1), "{mood:?}");
        let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
        assert_eq!((detail.effects.len(), detail.effects[0].sends), (1, sends), "{mood:?}");
    }
}

#[tokio::test]
async fn what_was_lost_once_and_then_refused_until_the_run_was_parked_is_sent_again_by_its_repair() {
    let rig = Rig::new().await;
    rig.install(1, true, ship());
    let refusals = (0..11).map(|_| Mood::Refuse(refused(Class::TooOften, 100_003)));
    rig.shop.moods.lock().unwrap().extend([Mood::LoseRequest].into_iter().chain(refusals));
    rig.pay(ORDER).await;
    rig.settle().await;
    for _ in 0..12 {
        rig.advance(5_000).await;
    }
    let run = rig.runs().await.remove(0);
    assert_eq!((run.state, rig.shop.applied().len()), (RunState::Parked, 0));
    rig.shop.moods.lock().unwrap().clear();
    let repair = Repair { run: run.id, version: None };
    rig.journal.repair(Actor::Operator(None), rig.tenant, vec![repair]).await.unwrap();
    rig.settle().await;
    rig.advance(60).await;
    assert_eq!((rig.states().await, rig.shop.applied().len()), (vec![RunState::Done], 1), "one send was in doubt");
}

#[tokio::test]
async fn what_a_busy_platform_may_not_have_written_hides_nobodys_note() {
    // When the events about a note come: before the next attempt looks, or after.
    for (applied, comes_after, hidden) in [(false, [false, true], 0), (true, [false, true], 0), (true, [true, true], 1)]
    {
        let rig = Rig::new().await;
        let once = script!(|input, host| match input.hook.as_str() {
            "on-pay" => outcome_of(set_note(host, ORDER, "x").await.map(drop)),
            _ => Outcome::Done,
        });
        rig.install(1, true, once);
        rig.shop.moods.lock().unwrap().push_back(Mood::Busy { applied });
        rig.pay(ORDER).await;
        rig.settle().await;
        for after in comes_after {
            if after {
                rig.advance(7).await;
            }
            rig.push("channels_ec_order_ext_info_update", ORDER, Some(3)).await;
            rig.settle().await;
        }
        rig.advance(7).await;
        assert_eq!(rig.count("SELECT count(*) FROM events WHERE echo_of IS NOT NULL").await, 1, "one effect, one echo");
        assert_eq!(rig.runs().await.len(), 3 - hidden, "{applied} {comes_after:?}");
    }
}

#[tokio::test]
async fn a_look_that_finds_a_change_since_keeps_in_mind_that_the_platform_was_busy() {
    let rig = Rig::new().await;
    rig.install(1, true, note_after_read());
    rig.shop.moods.lock().unwrap().push_back(Mood::Busy { applied: false });
    rig.pay(ORDER).await;
    rig.settle().await;
    rig.shop.note_by_hand(ORDER, "by hand");
    rig.advance(7).await;
    assert_eq!(rig.states().await, [RunState::Rejected]);
    let run = rig.runs().await[0].id;
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert!(effects[0].met_a_busy_platform());
}

#[tokio::test]
async fn what_a_busy_platform_did_is_not_done_over_what_somebody_wrote_since() {
    // Without a reading from before nobody can tell, and it is done as after any refusal.
    let unread = || script!(|_input, host| outcome_of(set_note(host, ORDER, "x").await.map(drop)));
    for by_hand in ["by hand", "x"] {
        let rig = Rig::new().await;
        rig.install(1, false, unread());
        rig.shop.moods.lock().unwrap().push_back(Mood::Busy { applied: true });
        rig.pay(ORDER).await;
        rig.settle().await;
        rig.shop.note_by_hand(ORDER, by_hand);
        rig.advance(7).await;
        assert_eq!((rig.states().await, rig.shop.note(ORDER)), (vec![RunState::Done], "x".into()));
        assert_eq!(rig.shop.applied().len(), 1 + usize::from(by_hand != "x"), "what shows is not done again");
    }
    let rig = Rig::new().await;
    rig.install(1, true, note_after_read());
    rig.shop.moods.lock().unwrap().push_back(Mood::Busy { applied: true });
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Waiting]);
    rig.shop.note_by_hand(ORDER, "by hand");
    rig.advance(7).await;
    assert_eq!((rig.states().await, rig.shop.applied().len()), (vec![RunState::Rejected], 1));
    assert_eq!(rig.shop.note(ORDER), "by hand");
}

#[tokio::test]
async fn a_busy_platform_is_looked_at_before_what_must_not_be_done_twice_is_sent_again() {
    // Not applied, it goes on being tried: each look shows that the send before did nothing.
    for (moods, sends) in [(vec![Mood::Busy { applied: true }], 1), (vec![Mood::Busy { applied: false }; 3], 4)] {
        let rig = Rig::new().await;
        rig.install(1, true, insists_on_shipping());
        rig.shop.moods.lock().unwrap().extend(moods);
        rig.pay(ORDER).await;
        rig.settle().await;
        // The second call of the attempt looks first: it finds what was done, or waits since it may be on its way.
        let so_far = if sends == 1 { RunState::Done } else { RunState::Waiting };
        assert_eq!((rig.states().await, rig.shop.ledger.lock().unwrap().len()), (vec![so_far], 1));
        for (seconds, at_least) in [(7, 4), (37, 24), (145, 96)] {
            if let Some(next_at) = rig.runs().await[0].next_at.filter(|_| sends > 1) {
                let wait = next_at - rig.clock.now();
                assert!(wait >= at_least * 1_000, "{wait}: a platform that stays busy must not use up the attempts");
            }
            rig.advance(seconds).await;
        }
        assert_eq!(rig.states().await, [RunState::Done]);
        assert_eq!(rig.shop.ledger.lock().unwrap().len(), sends);
        assert_eq!(rig.shop.applied().len(), 1);
    }
    // Where no look tells, it is not sent again, and the plugin hears so at once.
    let rig = Rig::new().await;
    let seen = Arc::new(AtomicBool::new(false));
    rig.install(1, false, phone_code(seen.clone()));
    rig.shop.moods.lock().unwrap().push_back(Mood::Busy { applied: true });
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert!(seen.load(Ordering::SeqCst));
    assert_eq!(rig.shop.applied().len(), 1);
}

#[tokio::test]
async fn what_is_verified_is_sent_again_only_by_a_later_attempt_that_does_not_see_it() {
    for (mood, sends) in [(Mood::LoseAnswer, 1), (Mood::LoseRequest, 2)] {
        let rig = Rig::new().await;
        rig.install(1, true, ship());
        rig.shop.moods.lock().unwrap().push_back(mood.clone());
        rig.pay(ORDER).await;
        rig.settle().await;
        let expected = if sends == 1 { RunState::Done } else { RunState::Waiting };
        assert_eq!(rig.states().await, [expected], "{mood:?}");
        rig.advance(7).await;
        assert_eq!(rig.states().await, [RunState::Done], "{mood:?}");
        assert_eq!(rig.shop.applied().len(), 1, "{mood:?}");
        let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
        assert_eq!(detail.effects[0].sends, sends, "{mood:?}");
    }
}
