//! After a crash: resume, effects without an outcome, divergence, and the fence.
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

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use fangshi_database::{Digest, InstallationId};
use fangshi_journal::{AttemptStart, EffectKey, Inputs, Intent, NewRun, PlannedEvent, RunState};
use fangshi_operations::Class;
use fangshi_runtime::{Abort, CallError, Outcome};
use rig::{Mood, ORDER, Rig, note_after_read, outcome_of, phone_code, refused, set_note, ship};
use serde_json::json;

async fn cut_off_in_the_effect(rig: &Rig, mood: Mood) {
    rig.shop.moods.lock().unwrap().push_back(mood);
    rig.pay(ORDER).await;
    rig.shop.hanging.notified().await;
    rig.crash().await;
}

#[tokio::test]
async fn an_effect_that_was_applied_before_the_crash_is_not_applied_again() {
    let mut rig = Rig::new().await;
    rig.install(1, true, note_after_read());
    cut_off_in_the_effect(&rig, Mood::Hang).await;
    assert_eq!(rig.states().await, [RunState::Ready]);
    let reads = rig.shop.ledger.lock().unwrap().iter().filter(|call| call.1 == "getorderlist").count();
    assert_eq!(reads, 1);

    rig.hand.advance(1_000);
    rig.restart().await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert_eq!(rig.shop.applied().len(), 1, "the order showed the note, so nothing was sent");
    let ledger = rig.shop.ledger.lock().unwrap();
    assert_eq!(ledger.iter().filter(|call| call.1 == "getorderlist").count(), 1, "the read came from the journal");
    drop(ledger);
    let ran = rig.ran();
    assert_eq!(ran.len(), 2);
    assert_eq!((ran[0].seed, ran[0].clock_ms, ran[0].attempt), (ran[1].seed, ran[1].clock_ms, ran[1].attempt));
    let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
    assert_eq!((detail.attempt_list.len(), detail.attempt_list[0].resumes), (1, 1));
    assert_eq!(detail.attempt_list[0].calls.len(), 2);
    assert_eq!(serde_json::to_value(&detail.attempt_list[0].calls[1]).unwrap()["origin"], "reread");
}

#[tokio::test]
async fn what_nobody_can_tell_is_outcome_unknown_and_not_sent_again() {
    let mut rig = Rig::new().await;
    let seen = Arc::new(AtomicBool::new(false));
    rig.install(1, false, phone_code(seen.clone()));
    cut_off_in_the_effect(&rig, Mood::Hang).await;
    rig.restart().await;
    rig.settle().await;
    assert!(seen.load(Ordering::SeqCst));
    assert_eq!(rig.shop.applied().len(), 1);
    assert_eq!(rig.states().await, [RunState::Done]);
    let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
    assert_eq!(serde_json::to_value(&detail.effects[0]).unwrap()["state"], "unknown");
}

#[tokio::test]
async fn what_a_crash_cut_off_is_sent_again_once_it_can_no_longer_be_on_its_way() {
    let mut rig = Rig::new().await;
    rig.install(1, true, ship());
    cut_off_in_the_effect(&rig, Mood::Vanish).await;
    let intended_at = rig.clock.now();
    // Later than the platform takes for a request, but not than the request may have taken to leave.
    rig.hand.advance(10_000);
    rig.restart().await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Waiting]);
    assert_eq!(rig.shop.by.lock().unwrap().len(), 1);
    // The attempt that follows comes no sooner than that.
    let next_at = rig.runs().await[0].next_at.unwrap();
    assert!(next_at >= intended_at + 15_000, "{}", next_at - intended_at);
    rig.hand.set(next_at - 1_000);
    rig.advance(1).await;
    assert_eq!((rig.states().await, rig.shop.applied().len()), (vec![RunState::Done], 1));
    let by = rig.shop.by.lock().unwrap().clone();
    assert_eq!(by, [intended_at, next_at].map(|at| ("delivery/send", Some(at + 5_000))), "or it is not sent at all");
}

/// Ships, and keeps what it was told.
fn ship_and_tell(told: &Told) -> rig::Script {
    let told = Arc::clone(told);
    script!(
        [told] | _input,
        host | {
            let parcel = json!({"delivery_id": "SF", "waybill_id": "SF1", "deliver_type": 1,
                                "product_infos": [{"product_id": "1", "sku_id": "2", "product_cnt": 1}]});
            let request = json!({"order_id": ORDER, "delivery_list": [parcel]});
            let answer = host.operation("delivery", "send", request).await.map(drop);
            told.lock().unwrap().push(answer.clone());
            outcome_of(answer)
        }
    )
}

type Told = Arc<Mutex<Vec<Result<(), CallError>>>>;

fn says_doubt(told: &Told) -> bool {
    told.lock().unwrap().last().is_some_and(|told| format!("{told:?}").contains("may have been applied"))
}

#[tokio::test]
async fn a_plugin_is_never_told_that_nothing_was_done_while_an_earlier_try_is_in_doubt() {
    // Cut off: what it did does not show yet, or can't be looked for.
    for looks in [true, false] {
        let told = Told::default();
        let mut rig = Rig::new().await;
        rig.install(1, true, ship_and_tell(&told));
        cut_off_in_the_effect(&rig, Mood::Hang).await;
        let shown = rig.shop.orders.lock().unwrap().remove(ORDER).unwrap();
        rig.shop.looks_fail.store(u32::from(!looks), Ordering::SeqCst);
        rig.hand.advance(1_000);
        rig.restart().await;
        rig.settle().await;
        assert!(says_doubt(&told), "{told:?}");
        assert_eq!(rig.states().await, [RunState::Waiting]);
        rig.shop.orders.lock().unwrap().insert(ORDER.into(), shown);
        rig.advance(17).await;
        assert_eq!((rig.states().await, rig.shop.applied().len()), (vec![RunState::Done], 1), "{told:?}");
    }
    // Refused at the second send: the first may have been done.
    for (class, wait_s) in [(Class::TooOften, 90), (Class::Conflict, 0), (Class::Busy, 0)] {
        let told = Told::default();
        let rig = Rig::new().await;
        rig.install(1, true, ship_and_tell(&told));
        let mut refused = refused(class, 1);
        refused.retry_after = (wait_s > 0).then_some(wait_s);
        rig.shop.moods.lock().unwrap().extend([Mood::LoseRequest, Mood::Refuse(refused)]);
        rig.pay(ORDER).await;
        rig.settle().await;
        rig.advance(7).await;
        assert_eq!(told.lock().unwrap().len(), 2, "{class:?}");
        assert!(says_doubt(&told), "{class:?}: {told:?}");
        rig.advance(40).await;
        assert_eq!(told.lock().unwrap().len() == 2, wait_s > 0, "{class:?}: the platform's wait holds");
        rig.advance(80).await;
        assert_eq!((rig.states().await, rig.shop.applied().len()), (vec![RunState::Done], 1), "{class:?}: {told:?}");
    }
}

#[tokio::test]
async fn somebody_elses_note_is_not_overwritten_by_a_resend() {
    let mut rig = Rig::new().await;
    rig.install(1, true, note_after_read());
    cut_off_in_the_effect(&rig, Mood::Hang).await;
    rig.shop.note_by_hand(ORDER, "by hand");
    rig.restart().await;
    rig.settle().await;
    assert_eq!(rig.shop.note(ORDER), "by hand");
    assert_eq!(rig.shop.applied().len(), 1);
}

#[tokio::test]
async fn a_resume_that_calls_something_else_is_a_divergence() {
    let mut rig = Rig::new().await;
    let resumed = Arc::new(AtomicBool::new(false));
    let flag = resumed.clone();
    rig.install(
        1,
        false,
        script!(
            [flag] | _input,
            host | {
                let note = if flag.load(Ordering::SeqCst) { "other" } else { "x" };
                outcome_of(set_note(host, ORDER, note).await.map(drop))
            }
        ),
    );
    cut_off_in_the_effect(&rig, Mood::Hang).await;
    resumed.store(true, Ordering::SeqCst);
    rig.restart().await;
    rig.settle().await;
    let runs = rig.runs().await;
    assert_eq!((runs[0].state, runs[0].reason.as_deref()), (RunState::Parked, Some("divergence")));
    assert_eq!(rig.shop.applied().len(), 1);
}

#[tokio::test]
async fn a_resume_that_makes_fewer_calls_is_a_divergence_too() {
    let mut rig = Rig::new().await;
    let resumed = Arc::new(AtomicBool::new(false));
    let flag = resumed.clone();
    rig.install(
        1,
        false,
        script!(
            [flag] | _input,
            host | {
                if flag.load(Ordering::SeqCst) {
                    return Outcome::Done;
                }
                outcome_of(set_note(host, ORDER, "x").await.map(drop))
            }
        ),
    );
    cut_off_in_the_effect(&rig, Mood::Hang).await;
    resumed.store(true, Ordering::SeqCst);
    rig.restart().await;
    rig.settle().await;
    assert_eq!(rig.runs().await[0].reason.as_deref(), Some("divergence"));
}

#[tokio::test]
async fn an_attempt_that_takes_the_host_down_again_and_again_counts_as_failed() {
    let mut rig = Rig::new().await;
    let entered = Arc::new(tokio::sync::Notify::new());
    let (inside, kill) = (entered.clone(), Arc::new(AtomicBool::new(true)));
    let deadly = kill.clone();
    rig.install(
        1,
        false,
        script!(
            [inside, deadly] | _input,
            _host | {
                if deadly.load(Ordering::SeqCst) {
                    inside.notify_one();
                    std::future::pending::<()>().await;
                }
                Outcome::Done
            }
        ),
    );
    rig.pay(ORDER).await;
    let mut crashes = 0;
    while rig.states().await.first() != Some(&RunState::Waiting) {
        tokio::select! {
            () = entered.notified() => crashes += 1,
            () = rig.lanes.settle() => break,
        }
        rig.restart().await;
        assert!(crashes < 20, "the host is taken down for ever");
    }
    assert!(crashes >= 4);
    let run = rig.runs().await[0].clone();
    assert_eq!((run.state, run.reason.as_deref(), run.attempts), (RunState::Waiting, Some("crashed"), 1));
    kill.store(false, Ordering::SeqCst);
    rig.advance(7).await;
    assert_eq!(rig.states().await, [RunState::Done]);
}

#[tokio::test]
async fn a_holder_that_lost_its_lane_sends_nothing_and_writes_nothing() {
    let rig = Rig::new().await;
    let (journal, lane) = (rig.journal.clone(), rig.lane(ORDER));
    let aborted = Arc::new(AtomicU32::new(0));
    let count = aborted.clone();
    rig.install(
        1,
        false,
        script!(
            [journal, lane, count] | _input,
            host | {
                // The first time, another executor enters the lane while this one is "paused".
                if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    let epoch = journal.lane(&lane).await.unwrap().epoch;
                    journal.enter(&lane, epoch, vec![]).await.unwrap();
                }
                match set_note(host, ORDER, "x").await {
                    Err(CallError::Abort(Abort::StaleEpoch)) => Outcome::Aborted(Abort::StaleEpoch),
                    other => outcome_of(other.map(drop)),
                }
            }
        ),
    );
    rig.pay(ORDER).await;
    rig.settle().await;
    assert!(rig.shop.applied().is_empty());
    let run = rig.runs().await[0].clone();
    assert_eq!((run.state, run.attempts), (RunState::Ready, 0));
    // The sweeper finds it, enters anew, and it is done once.
    rig.lanes.sweep().await.unwrap();
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert_eq!(rig.shop.applied().len(), 1);
}

#[tokio::test]
async fn an_intent_that_lands_between_the_look_and_the_entering_is_not_overlooked() {
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, host| outcome_of(set_note(host, ORDER, "x").await.map(drop))));
    // An earlier holder made the run and has an attempt under way; its intent is still in the writer's queue.
    rig.crash().await;
    let seq = rig.pay(ORDER).await;
    let run = NewRun {
        installation: InstallationId(1),
        version: Digest([1; 32]),
        hook: "on-pay".into(),
        deadline_at: None,
        deadline_in_order: false,
    };
    let planned = PlannedEvent { seq, echo_of: None, absorbed_by: None, runs: vec![run] };
    let fence = rig.journal.enter(&rig.lane(ORDER), 0, vec![planned]).await.unwrap();
    let run = rig.runs().await[0].id;
    let start = AttemptStart {
        version: Digest([1; 32]),
        engine: "scripted 1".into(),
        clock_ms: rig.clock.now(),
        inputs: Inputs {
            settings: Arc::new(json!({})),
            secrets: Default::default(),
            grants: ["notes".to_owned()].into(),
            limits: json!({}),
            seed: [9; 32],
            is_last: false,
        },
        snapshot: None,
        resumes: 0,
    };
    let buffer = rig.journal.begin_attempt(rig.tenant, run, 1, &start).unwrap();
    let request = json!({"order_id": ORDER, "merchant_notes": "x"});
    let digest = rig.journal.call_digest(rig.tenant, "notes/set-merchant-notes", &request).await.unwrap();
    let intent = Intent {
        key: EffectKey { operation: "notes/set-merchant-notes".into(), digest, nth: 0 },
        order_id: ORDER.into(),
        installation: InstallationId(1),
        request: Arc::new(request),
        before: None,
        position: 0,
    };
    let journal = rig.journal.clone();
    let lands = async move { journal.intent(&fence, &buffer, &intent, None).await.unwrap() };
    let mut rig = rig;
    *rig.seats.meanwhile.lock().unwrap() = Some(Box::pin(lands));
    rig.restart().await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert_eq!(rig.ran()[0].seed, [9; 32], "the attempt was resumed, not begun again under the same number");
    assert_eq!(rig.journal.run(rig.tenant, run).await.unwrap().unwrap().attempt_list.len(), 1);
}

#[tokio::test]
async fn everything_is_picked_up_after_a_restart() {
    let mut rig = Rig::new().await;
    rig.install(
        1,
        false,
        script!(|input, _host| {
            if input.envelope.attempt == 1 { Outcome::Trap { message: String::new() } } else { Outcome::Done }
        }),
    );
    rig.pay("1").await;
    rig.settle().await;
    rig.crash().await;
    rig.pay("2").await; // recorded while nobody works
    rig.hand.advance(7_000);
    rig.restart().await;
    rig.settle().await;
    let runs = rig.runs().await;
    assert_eq!((runs[0].state, runs[1].state), (RunState::Done, RunState::Waiting));
    // A retry that is not due yet when the lanes start is found by the sweeper later.
    rig.hand.advance(7_000);
    rig.lanes.sweep().await.unwrap();
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done; 2]);
}

#[tokio::test]
async fn a_graceful_stop_lets_attempts_end() {
    let rig = Rig::new().await;
    let entered = Arc::new(tokio::sync::Notify::new());
    let inside = entered.clone();
    rig.install(
        1,
        false,
        script!(
            [inside] | _input,
            host | {
                inside.notify_one();
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                outcome_of(set_note(host, ORDER, "x").await.map(drop))
            }
        ),
    );
    rig.pay(ORDER).await;
    rig.pay(ORDER).await;
    entered.notified().await;
    rig.lanes.stop(std::time::Duration::from_secs(20)).await;
    assert_eq!(rig.states().await, [RunState::Done, RunState::Ready], "the one under way ends, no other begins");
    assert_eq!(rig.shop.applied(), [json!({"order_id": ORDER, "merchant_notes": "x"})]);
}
