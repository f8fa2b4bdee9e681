//! An installation that is paused, removed or narrowed while an attempt is under way: nothing more is sent for it.
#![allow(
    unused_braces,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking; the macro of scripts brings its own braces"
)]
#![allow(clippy::await_holding_lock, reason = "locks of the test's own ledgers, which nobody else takes meanwhile")]

mod rig;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fangshi_database::{Digest, InstallationId};
use fangshi_journal::{Repair, RunState};
use fangshi_lanes::{LanesConfig, Schedule, Standing};
use fangshi_runtime::{CallError, Outcome};
use fangshi_tenants::{Actor, Stop};
use rig::{Mood, ORDER, Rig, Seats, outcome_of, send_out, set_note, ship};
use serde_json::json;
use tokio::sync::Notify;

/// Effects of the first run, by their state in the journal.
const REFUSED_FOR_NOW: &str = "SELECT COUNT(*) FROM effects WHERE state = 3";
const UNKNOWN: &str = "SELECT COUNT(*) FROM effects WHERE state = 4";

/// A change of the installation, and how it ends an attempt under way.
type Change = (fn(&Seats), &'static str, RunState);

const CHANGES: [Change; 5] = [
    (|seats| seats.remove(1), "removed", RunState::Parked),
    (|seats| seats.withdraw(1, "notes"), "withdrawn", RunState::Parked),
    (|seats| seats.stand(1, Standing::Held), "paused", RunState::Ready),
    (|seats| seats.stop(1, Stop::Quarantined), "quarantined", RunState::Parked),
    (|seats| seats.stop(1, Stop::Revoked), "revoked", RunState::Parked),
];

/// Which call an attempt makes after it was told to go on.
#[derive(Debug, Clone, Copy)]
enum Then {
    Effect,
    Read,
    Order,
}

/// A plugin that tells when it runs, and makes its call when it may.
fn waiting(then: Then, running: &Arc<Notify>, go: &Arc<Notify>) -> rig::Script {
    let (running, go) = (running.clone(), go.clone());
    script!(
        [running, go] | _input,
        host | {
            running.notify_one();
            go.notified().await;
            outcome_of(match then {
                Then::Effect => set_note(host, ORDER, "x").await.map(drop),
                Then::Read => host
                    .operation(
                        "search",
                        "list-orders",
                        json!({"query": {
                "page_size": 1, "update_time_range": {"start_time": 1, "end_time": 2}}}),
                    )
                    .await
                    .map(drop),
                Then::Order => host.read_order(ORDER).await.map(drop),
            })
        }
    )
}

async fn ended(rig: &Rig) -> (RunState, Option<String>, Vec<Option<String>>) {
    let run = rig.runs().await.remove(0);
    let detail = rig.journal.run(rig.tenant, run.id).await.unwrap().unwrap();
    (run.state, run.reason, detail.attempt_list.into_iter().map(|attempt| attempt.outcome).collect())
}

#[tokio::test]
async fn an_attempt_under_way_sends_nothing_after_its_installation_changed() {
    for (change, outcome, state) in CHANGES {
        for then in [Then::Effect, Then::Read, Then::Order] {
            let rig = Rig::new().await;
            let (running, go) = (Arc::default(), Arc::default());
            rig.install(1, false, waiting(then, &running, &go));
            rig.pay(ORDER).await;
            running.notified().await;
            change(&rig.seats);
            go.notify_one();
            rig.settle().await;
            assert!(rig.shop.ledger.lock().unwrap().is_empty(), "{outcome}, {then:?}: sent");
            assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 0, "{outcome}, {then:?}: read");
            let expected = (state, Some(outcome.to_owned()), vec![Some(outcome.to_owned())]);
            assert_eq!(ended(&rig).await, expected, "{then:?}");
            assert_eq!(rig.count("SELECT COUNT(*) FROM effects").await, 0, "{outcome}: an intent");
        }
    }
}

/// The host was approved by the merchant alone: the version asks for `http` at most, which another host would meet.
#[tokio::test]
async fn nothing_goes_to_an_outside_host_that_was_withdrawn_meanwhile() {
    // Asked before the call; an effect once more after its intent.
    for (method, at) in [("GET", 1), ("POST", 1), ("POST", 2)] {
        let rig = Rig::new().await;
        let seats = rig.seats.clone();
        rig.install(
            1,
            false,
            script!(
                [seats, method] | _input,
                host | {
                    seats.at_ask(at, |seats| seats.withdraw(1, "http:a.example"));
                    outcome_of(send_out(host, method).await.map(drop))
                }
            ),
        );
        rig.pay(ORDER).await;
        rig.settle().await;
        assert!(rig.shop.ledger.lock().unwrap().is_empty(), "{method} at {at}: sent");
        let withdrawn = Some("withdrawn".to_owned());
        assert_eq!(ended(&rig).await, (RunState::Parked, withdrawn.clone(), vec![withdrawn]), "{method} at {at}");
    }
}

#[tokio::test]
async fn a_change_between_the_intent_and_the_sending_is_seen_too() {
    for (change, outcome, state) in CHANGES {
        let rig = Rig::new().await;
        let seats = rig.seats.clone();
        rig.install(
            1,
            false,
            script!(
                [seats] | _input,
                host | {
                    // Before the call, and after its intent.
                    seats.at_ask(2, change);
                    outcome_of(set_note(host, ORDER, "x").await.map(drop))
                }
            ),
        );
        rig.pay(ORDER).await;
        rig.settle().await;
        assert!(rig.shop.ledger.lock().unwrap().is_empty(), "{outcome}: sent");
        assert_eq!(ended(&rig).await, (state, Some(outcome.to_owned()), vec![Some(outcome.to_owned())]));
        assert_eq!(rig.count(REFUSED_FOR_NOW).await, 1, "{outcome}: the intent has its outcome");
    }
}

#[tokio::test]
async fn what_may_have_been_sent_before_the_change_stays_in_doubt() {
    let rig = Rig::new().await;
    let seats = rig.seats.clone();
    rig.install(
        1,
        false,
        script!(
            [seats] | input,
            host | {
                if input.envelope.attempt == 2 {
                    // The first sending is lost; the change comes with the intent of the second.
                    seats.at_ask(2, |seats| seats.remove(1));
                }
                outcome_of(set_note(host, ORDER, "x").await.map(drop))
            }
        ),
    );
    rig.shop.moods.lock().unwrap().push_back(Mood::LoseRequest);
    rig.pay(ORDER).await;
    rig.settle().await;
    rig.advance(7).await;
    assert!(rig.shop.applied().is_empty() && rig.shop.moods.lock().unwrap().is_empty());
    assert_eq!((rig.count(UNKNOWN).await, rig.count(REFUSED_FOR_NOW).await), (1, 0));
    assert_eq!(rig.states().await, [RunState::Parked], "with the second one's intent");
}

#[tokio::test]
async fn a_sending_that_a_pause_kept_back_is_not_in_doubt() {
    let rig = Rig::new().await;
    let seats = rig.seats.clone();
    rig.install(
        1,
        false,
        script!(
            [seats] | input,
            host | {
                if input.envelope.attempt == 2 {
                    // The first sending is lost; the pause comes with the intent of the second.
                    seats.at_ask(2, |seats| seats.stand(1, Standing::Held));
                }
                outcome_of(set_note(host, ORDER, "x").await.map(drop))
            }
        ),
    );
    rig.shop.moods.lock().unwrap().push_back(Mood::LoseRequest);
    rig.pay(ORDER).await;
    rig.settle().await;
    rig.advance(7).await;
    assert_eq!(rig.count("SELECT sum(sends * 10 + unsure) FROM effects").await, 11, "one left the host");
    rig.stand(1, Standing::Open);
    rig.lanes.poke_tenant(rig.tenant).await.unwrap();
    rig.settle().await;
    assert_eq!((rig.states().await, rig.shop.applied().len()), (vec![RunState::Done], 1), "sent once more");
}

#[tokio::test]
async fn a_paused_attempt_is_not_counted_and_the_run_goes_on_when_the_installation_does() {
    let schedule = Schedule { attempts: 2, ..Schedule::default() };
    let rig = Rig::with(LanesConfig { sweep_every: None, schedule, ..LanesConfig::default() }).await;
    let (running, go): (Arc<Notify>, Arc<Notify>) = (Arc::default(), Arc::default());
    let (tell, wait) = (running.clone(), go.clone());
    rig.install(
        1,
        false,
        script!(
            [tell, wait] | input,
            host | {
                if input.envelope.attempt == 1 {
                    tell.notify_one();
                    wait.notified().await;
                }
                match input.envelope.attempt {
                    2 => Outcome::RetryLater { reason: "soon".into(), after: None },
                    _ => outcome_of(set_note(host, ORDER, "x").await.map(drop)),
                }
            }
        ),
    );
    rig.pay(ORDER).await;
    running.notified().await;
    rig.stand(1, Standing::Held);
    go.notify_one();
    rig.settle().await;
    // Longer than a run may take in all: the pause is not the run's.
    rig.advance(9 * 3_600).await;
    rig.lanes.sweep().await.unwrap();
    rig.settle().await;
    assert_eq!(rig.ran().len(), 1, "paused");
    rig.stand(1, Standing::Open);
    rig.lanes.poke_tenant(rig.tenant).await.unwrap();
    rig.settle().await;
    rig.advance(10).await;
    let outcomes = ["paused", "retry-later", "done"].map(|outcome| Some(outcome.to_owned())).to_vec();
    assert_eq!(ended(&rig).await, (RunState::Done, Some("done".to_owned()), outcomes));
    assert_eq!(rig.ran().iter().map(|ran| ran.is_last).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(rig.shop.applied().len(), 1);
}

/// What waited while the installation was held does not go on once another version has taken the place of the one that failed.
#[tokio::test]
async fn waiting_runs_of_a_version_that_does_not_go_on_are_parked_and_hold_up_nobody() {
    for stop in [Stop::Quarantined, Stop::Revoked] {
        let rig = Rig::new().await;
        rig.install(1, false, script!(|_input, _host| Outcome::RetryLater { reason: "soon".into(), after: None }));
        rig.install(2, false, script!(|_input, _host| Outcome::Done));
        rig.pay(ORDER).await;
        rig.settle().await;
        rig.stand(1, Standing::Held);
        rig.pay("372").await;
        rig.settle().await;
        let tried = rig.ran().len();
        rig.seats.stop(1, stop);
        rig.lanes.poke_tenant(rig.tenant).await.unwrap();
        rig.settle().await;
        let runs = rig.runs().await;
        let parked: Vec<_> = runs.iter().filter(|run| run.state == RunState::Parked).collect();
        assert_eq!(parked.len(), 2, "the one that waited for its retry, and the one that never ran: {runs:?}");
        assert!(parked.iter().all(|run| run.installation.0 == 1 && run.reason.as_deref() == Some(stop.code())));
        assert!(runs.iter().filter(|run| run.installation.0 == 2).all(|run| run.state == RunState::Done));
        assert_eq!(rig.ran().len(), tried, "{stop:?}: it ran");
    }
}

/// Sends a code, of which nothing shows.
fn send_code() -> rig::Script {
    script!(|_input, host| {
        let sent = host.operation("shop-phone", "send-verify-code", json!({"mobile": "13900000000"})).await;
        match sent {
            Err(CallError::OutcomeUnknown(_)) => Outcome::Done,
            other => outcome_of(other.map(drop)),
        }
    })
}

/// The parking ended the attempt that was cut off. What comes after the repair is another one, which finds what that one sent.
#[tokio::test]
async fn a_run_that_was_cut_off_and_parked_is_repaired_and_sends_nothing_twice() {
    const NEW: Digest = Digest([99; 32]);
    let sends: [fn() -> rig::Script; 2] = [ship, send_code];
    for (send, version) in sends.into_iter().flat_map(|send| [(send, Some(NEW)), (send, None)]) {
        let mut rig = Rig::new().await;
        rig.install(1, true, send());
        rig.scripts.install_reader(NEW, send());
        rig.shop.moods.lock().unwrap().push_back(Mood::Hang);
        rig.pay(ORDER).await;
        rig.shop.hanging.notified().await;
        rig.stand(1, Standing::Held);
        rig.restart().await;
        rig.settle().await;
        assert_eq!(rig.states().await, [RunState::Ready], "held: it is not resumed");
        rig.seats.stop(1, Stop::Revoked);
        rig.lanes.poke_tenant(rig.tenant).await.unwrap();
        rig.settle().await;
        let revoked = Some("revoked".to_owned());
        assert_eq!(ended(&rig).await, (RunState::Parked, revoked.clone(), vec![revoked.clone()]));

        rig.stand(1, Standing::Open);
        if version.is_none() {
            rig.seats.let_go(1);
        }
        let repair = Repair { run: rig.runs().await[0].id, version };
        rig.journal.repair(Actor::Operator(None), rig.tenant, vec![repair]).await.unwrap();
        rig.settle().await;
        let done = Some("done".to_owned());
        assert_eq!(ended(&rig).await, (RunState::Done, done.clone(), vec![revoked, done]), "{version:?}");
        assert_eq!(rig.shop.applied().len(), 1, "{version:?}");
        assert_eq!(rig.ran().iter().map(|ran| ran.attempt).collect::<Vec<_>>(), [1, 2], "{version:?}");
    }
}

#[tokio::test]
async fn an_event_is_not_lost_to_an_installation_that_the_list_did_not_show_yet() {
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    *rig.seats.overlooked.lock().unwrap() = Some(InstallationId(1));
    rig.pay(ORDER).await;
    rig.settle().await;
    assert!(rig.runs().await.is_empty());
    assert_eq!(rig.count("SELECT COUNT(*) FROM events WHERE state = 0").await, 1, "the event waits for its run");
    rig.advance(3).await;
    assert_eq!(rig.states().await, [RunState::Done]);
}
