//! What was, executed again: exactly, or in another version; nothing is sent and nothing is written by it.
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

use fangshi_database::{Digest, InstallationId};
use fangshi_journal::{Found, KnownOrder, NewEvent, Reading, Repair, RunState, Source};
use fangshi_lanes::{Backtest, BacktestReport, ReplayError, ReplayVerdict, Standing, Totals};
use fangshi_operations::Class;
use fangshi_runtime::{CallError, Outcome};
use fangshi_tenants::Actor;
use rig::{GRANTS, Mood, ORDER, Rig, outcome_of, refused, set_note};
use serde_json::json;

const NEW: Digest = Digest([99; 32]);

/// Everything that a replay must leave alone.
async fn rows(rig: &Rig) -> Vec<i64> {
    let mut rows = Vec::new();
    for text in [
        "SELECT count(*) FROM runs",
        "SELECT count(*) FROM attempts",
        "SELECT count(*) FROM calls",
        "SELECT coalesce(sum(sends), 0) FROM effects",
        "SELECT coalesce(sum(epoch), 0) FROM lanes",
        "SELECT count(*) FROM snapshots",
        "SELECT count(*) FROM kv",
        "SELECT count(*) FROM logs",
    ] {
        rows.push(rig.count(text).await);
    }
    rows
}

fn backtest(rig: &Rig, hooks: &[&str]) -> Backtest {
    Backtest {
        tenant: rig.tenant,
        installation: InstallationId(1),
        version: NEW,
        hooks: hooks.iter().map(|hook| (*hook).to_owned()).collect(),
        events: 100,
        grants: GRANTS.map(str::to_owned).into(),
        settings: Arc::new(json!({"from": 1})),
        limits: json!({}),
    }
}

/// Tries what `script` does and checks that nothing came of it.
async fn tried(rig: &Rig, hooks: &[&str], script: rig::Script) -> BacktestReport {
    rig.scripts.install(NEW, script);
    let (rows_before, calls_before) = (rows(rig).await, rig.shop.ledger.lock().unwrap().len());
    let report = rig.lanes.replays().backtest(&backtest(rig, hooks)).await.unwrap();
    assert_eq!(rig.shop.ledger.lock().unwrap().len(), calls_before, "a backtest sends nothing");
    assert_eq!(rows(rig).await, rows_before, "a backtest writes nothing");
    report
}

#[tokio::test]
async fn a_recorded_attempt_is_repeated_and_a_guest_that_does_otherwise_is_told() {
    let rig = Rig::new().await;
    let faithful = || {
        script!(|input, host| {
            host.log(1, "begun");
            let seen = host.kv_get("seen").await.unwrap();
            host.kv_set("seen", Some(vec![1])).await.unwrap();
            let status = input.order.as_ref().unwrap().json["status"].clone();
            let again = host.read_order(ORDER).await.unwrap();
            host.log(1, &format!("{seen:?} {status} {}", again.json["status"]));
            outcome_of(set_note(host, ORDER, "one").await.map(drop))
        })
    };
    rig.install(1, true, faithful());
    rig.pay(ORDER).await;
    rig.settle().await;
    let run = rig.runs().await[0].id;
    // What the order and the store show now must not matter.
    rig.shop.orders.lock().unwrap().insert(ORDER.into(), json!({"order_id": ORDER, "status": 100}));
    let (before, calls) = (rows(&rig).await, rig.shop.ledger.lock().unwrap().len());
    let replays = rig.lanes.replays();
    let replayed = replays.replay(rig.tenant, run, None).await.unwrap();
    assert_eq!(replayed.verdict, ReplayVerdict::Same);
    assert_eq!((replayed.calls_then, replayed.calls_now, replayed.attempt), (4, 4, 1));
    assert_eq!((replayed.outcome_then.as_deref(), &*replayed.outcome_now), (Some("done"), "done"));

    let otherwise: [(&str, rig::Script); 5] = [
        (
            "call 0 was kv/get and is now notes",
            script!(|_i, host| { outcome_of(set_note(host, ORDER, "one").await.map(drop)) }),
        ),
        (
            "kv/get with another request",
            script!(|_i, host| { host.kv_get("other").await.map_or_else(|e| outcome_of(Err(e)), |_| Outcome::Done) }),
        ),
        (
            "3 recorded calls were not made again",
            script!(|_i, host| {
                host.kv_get("seen").await.unwrap();
                Outcome::Done
            }),
        ),
        (
            "line 0 of the log",
            script!(|_i, host| {
                host.log(1, "other words");
                host.kv_get("seen").await.unwrap();
                host.kv_set("seen", Some(vec![1])).await.unwrap();
                host.read_order(ORDER).await.unwrap();
                outcome_of(set_note(host, ORDER, "one").await.map(drop))
            }),
        ),
        (
            "is not in the journal",
            script!(|_i, host| {
                host.kv_get("seen").await.unwrap();
                host.kv_set("seen", Some(vec![1])).await.unwrap();
                host.read_order(ORDER).await.unwrap();
                set_note(host, ORDER, "one").await.unwrap();
                outcome_of(set_note(host, ORDER, "one").await.map(drop))
            }),
        ),
    ];
    for (told, script) in otherwise {
        rig.install(1, true, script);
        let verdict = replays.replay(rig.tenant, run, Some(1)).await.unwrap().verdict;
        let ReplayVerdict::Diverged(text) = verdict else { panic!("{told}: {verdict:?}") };
        assert!(text.contains(told), "{text}");
    }
    assert_eq!(rows(&rig).await, before);
    assert_eq!(rig.shop.ledger.lock().unwrap().len(), calls);
    for attempt in [0, 2] {
        let missing = replays.replay(rig.tenant, run, Some(attempt)).await.unwrap_err();
        assert!(matches!(missing, ReplayError::NoSuchAttempt { .. }), "{missing}");
    }
    let foreign = replays.replay(rig.other, run, None).await.unwrap_err();
    assert!(matches!(foreign, ReplayError::NoSuchAttempt { .. }), "another tenant's run is none");
}

#[tokio::test]
async fn attempts_that_failed_are_repeated_too_and_one_without_a_guest_is_not() {
    let rig = Rig::new().await;
    rig.install(
        1,
        true,
        script!(|input, host| {
            let set = set_note(host, ORDER, "one").await;
            match input.envelope.attempt {
                2 => outcome_of(set.map(drop)),
                3 => Outcome::Trap { message: "unreachable".into() },
                _ => Outcome::Reject { reason: "enough".into() },
            }
        }),
    );
    rig.shop.reads_fail.store(1, std::sync::atomic::Ordering::SeqCst);
    rig.shop.moods.lock().unwrap().push_back(Mood::Refuse(refused(Class::TooOften, 100_003)));
    rig.pay(ORDER).await;
    rig.settle().await;
    for _ in 0..4 {
        rig.advance(4_000).await;
    }
    assert_eq!(rig.states().await, [RunState::Rejected]);
    let (run, replays) = (rig.runs().await[0].id, rig.lanes.replays());
    let unread = replays.replay(rig.tenant, run, Some(1)).await.unwrap_err();
    assert!(matches!(unread, ReplayError::NoGuestRan { .. }), "{unread}");
    for (attempt, outcome) in [(2, "retry-later"), (3, "trap"), (4, "reject")] {
        let replayed = replays.replay(rig.tenant, run, Some(attempt)).await.unwrap();
        assert_eq!(replayed.verdict, ReplayVerdict::Same, "attempt {attempt}");
        assert_eq!(replayed.outcome_now, outcome);
    }
}

#[tokio::test]
async fn an_attempt_that_was_stopped_is_the_same_as_far_as_its_journal_goes() {
    type Stop = (fn(&rig::Seats), &'static str);
    const STOPS: [Stop; 4] = [
        (|seats| seats.stand(1, Standing::Held), "paused"),
        (|seats| seats.remove(1), "removed"),
        (|seats| seats.withdraw(1, "notes"), "withdrawn"),
        (|seats| seats.stop(1, fangshi_tenants::Stop::Quarantined), "quarantined"),
    ];
    for (stop, outcome) in STOPS {
        for calls in [0, 1] {
            let rig = Rig::new().await;
            let seats = rig.seats.clone();
            rig.install(
                1,
                false,
                script!(
                    [seats] | _input,
                    host | {
                        for _ in 0..calls {
                            host.kv_get("seen").await.unwrap();
                        }
                        stop(&seats);
                        outcome_of(set_note(host, ORDER, "one").await.map(drop))
                    }
                ),
            );
            rig.pay(ORDER).await;
            rig.settle().await;
            let replayed = rig.lanes.replays().replay(rig.tenant, rig.runs().await[0].id, Some(1)).await;
            if calls == 0 {
                assert!(matches!(replayed, Err(ReplayError::NoGuestRan { .. })), "{outcome}: {replayed:?}");
                continue;
            }
            let replayed = replayed.unwrap();
            assert_eq!(replayed.verdict, ReplayVerdict::SameSoFar, "{outcome}");
            assert_eq!(replayed.outcome_then.as_deref(), Some(outcome));
        }
    }
}

#[tokio::test]
async fn an_attempt_that_was_cut_off_is_the_same_as_far_as_its_journal_goes() {
    let rig = Rig::new().await;
    rig.install(1, true, script!(|_input, host| { outcome_of(set_note(host, ORDER, "one").await.map(drop)) }));
    rig.shop.moods.lock().unwrap().push_back(Mood::Hang);
    rig.pay(ORDER).await;
    rig.shop.hanging.notified().await;
    rig.crash().await;
    let replayed = rig.lanes.replays().replay(rig.tenant, rig.runs().await[0].id, None).await.unwrap();
    assert_eq!((replayed.verdict, replayed.outcome_then), (ReplayVerdict::SameSoFar, None));
}

#[tokio::test]
async fn a_backtest_tells_what_would_be_added_lost_and_changed() {
    let rig = Rig::new().await;
    let note = |text: &'static str| {
        script!(|input, host| { outcome_of(set_note(host, &input.envelope.order_id, text).await.map(drop)) })
    };
    rig.install(1, true, note("one"));
    for order in ["3700000000000000001", "3700000000000000002", "3700000000000000003"] {
        rig.pay(order).await;
    }
    rig.push("channels_ec_order_new", "3700000000000000004", None).await;
    rig.settle().await;
    assert_eq!(rig.shop.applied().len(), 4);

    let report = tried(&rig, &["on-pay", "on-new"], note("one")).await;
    assert_eq!((report.events, report.totals.same, report.items.len()), (4, 4, 0), "{report:?}");

    let report = tried(&rig, &["on-pay", "on-new"], note("CANARY-two")).await;
    assert_eq!((report.totals.changed, report.totals.same, report.items.len()), (4, 0, 4));
    assert_eq!(report.items[0].difference.changed[0].members, ["merchant_notes"]);
    let (table, text) = (report.table(), serde_json::to_string(&report).unwrap());
    assert!(table.contains("~ notes/set-merchant-notes (merchant_notes)"), "{table}");
    assert!(!table.contains("CANARY") && !text.contains("CANARY"), "requests are redacted: {table} {text}");
    assert!(table.contains("3700000000000000001") && table.contains("4 events: 0 effects the same"), "{table}");

    let twice = script!(|input, host| {
        set_note(host, &input.envelope.order_id, "one").await.unwrap();
        outcome_of(set_note(host, &input.envelope.order_id, "more").await.map(drop))
    });
    let report = tried(&rig, &["on-pay"], twice).await;
    assert_eq!((report.totals.same, report.totals.added, report.totals.lost), (3, 3, 1), "on-new is heard no more");
    assert_eq!(report.totals.outcomes_changed, 1);

    let trap = script!(|_input, _host| Outcome::Trap { message: "unreachable".into() });
    let report = tried(&rig, &["on-pay", "on-new"], trap).await;
    assert_eq!((report.totals.lost, report.totals.outcomes_changed), (4, 4));
    assert!(report.table().contains("done -> trap"), "{}", report.table());

    let mut less = backtest(&rig, &["on-pay"]);
    less.events = 2;
    assert_eq!(rig.lanes.replays().backtest(&less).await.unwrap().events, 2);
    less.grants.remove("notes");
    let refused = rig.lanes.replays().backtest(&less).await.unwrap_err();
    assert!(matches!(&refused, ReplayError::GrantsMissing(missing) if *missing == ["notes"]), "{refused}");
}

#[tokio::test]
async fn a_backtest_answers_reads_from_the_journal_and_says_where_it_has_no_answer() {
    let rig = Rig::new().await;
    let search = |page: u32| {
        script!(|input, host| {
            let query = json!({"query": {"page_size": page, "update_time_range": {"start_time": 1, "end_time": 2}}});
            let found = host.operation("search", "list-orders", query).await;
            let seen = host.kv_get("count").await.unwrap().map_or(0, |value| value[0]);
            host.kv_set("count", Some(vec![seen + 1])).await.unwrap();
            outcome_of(match found {
                Ok(_) => set_note(host, &input.envelope.order_id, &format!("n{seen}")).await.map(drop),
                Err(error) => Err(error),
            })
        })
    };
    rig.install(1, false, search(1));
    for order in ["3700000000000000001", "3700000000000000002"] {
        rig.pay(order).await;
        rig.settle().await;
    }
    let report = tried(&rig, &["on-pay"], search(1)).await;
    assert_eq!((report.totals.same, report.items.len()), (2, 0), "the store counts on as it did: {report:?}");
    let report = tried(&rig, &["on-pay"], search(2)).await;
    assert_eq!((report.totals.uncertain, report.totals.lost), (2, 2));
    assert_eq!(report.items[0].unanswered, ["search/list-orders"]);
}

#[tokio::test]
async fn an_event_that_a_version_cannot_be_tried_on_is_told_with_its_effects_and_counts_nowhere_else() {
    let rig = Rig::new().await;
    let note = || script!(|_input, host| { outcome_of(set_note(host, ORDER, "CANARY").await.map(drop)) });
    // Nobody read the order then.
    rig.install(1, false, note());
    rig.pay(ORDER).await;
    rig.settle().await;
    rig.scripts.install_reader(NEW, note());
    let report = rig.lanes.replays().backtest(&backtest(&rig, &["on-pay"])).await.unwrap();
    assert_eq!((report.events, report.totals), (1, Totals { untried: 1, ..Totals::default() }));
    let untried = report.items[0].untried.as_ref().unwrap();
    assert_eq!((untried.effects.len(), &*untried.effects[0].operation), (1, "notes/set-merchant-notes"));
    let (table, text) = (report.table(), serde_json::to_string(&report).unwrap());
    assert!(table.contains("! not tried: ") && table.contains("1 not tried"), "{table}");
    assert!(table.contains("! notes/set-merchant-notes") && !table.contains("->"), "{table}");
    assert!(!table.contains("CANARY") && !text.contains("CANARY"), "requests are redacted: {table} {text}");
}

#[tokio::test]
async fn what_a_backtest_takes_for_given_is_counted_and_told() {
    let rig = Rig::new().await;
    rig.install(1, true, script!(|_input, _host| Outcome::Done));
    rig.pay(ORDER).await;
    rig.settle().await;
    let looks = script!(|_input, host| {
        for _ in 0..3 {
            host.kv_get("never read").await.unwrap();
        }
        Outcome::Done
    });
    let report = tried(&rig, &["on-pay"], looks).await;
    assert_eq!((report.totals.assumed, report.totals.uncertain, report.items.len()), (1, 0, 1), "{report:?}");
    assert_eq!(report.items[0].assumed.len(), 1, "once");
    let table = report.table();
    assert!(table.contains("= assumed: kv/get") && table.contains("1 with something assumed"), "{table}");
    let notes = script!(|_input, host| outcome_of(set_note(host, ORDER, "one").await.map(drop)));
    let report = tried(&rig, &["on-pay"], notes).await;
    assert_eq!((report.totals.assumed, report.totals.added), (1, 1));
    assert!(report.table().contains("= assumed: notes/set-merchant-notes"), "{}", report.table());
}

#[tokio::test]
async fn a_backtest_counts_a_call_that_is_made_again_after_a_refusal_as_one_effect() {
    let rig = Rig::new().await;
    let insists = || {
        script!(|_input, host| {
            for _ in 0..2 {
                set_note(host, ORDER, "one").await.unwrap_err();
            }
            Outcome::Done
        })
    };
    rig.install(1, false, insists());
    rig.shop.moods.lock().unwrap().extend([1, 2].map(|_| Mood::Refuse(refused(Class::Conflict, 100_003))));
    rig.pay(ORDER).await;
    rig.settle().await;
    let report = tried(&rig, &["on-pay"], insists()).await;
    assert_eq!((report.totals.same, report.totals.added, report.items.len()), (1, 0, 0), "{report:?}");
}

#[tokio::test]
async fn a_backtest_gives_an_effect_in_doubt_the_answer_that_the_run_had() {
    let rig = Rig::new().await;
    let ships = || {
        script!(|_input, host| {
            let parcel = json!({"order_id": ORDER, "delivery_list": [{"delivery_id": "SF", "waybill_id": "SF1",
                "deliver_type": 1, "product_infos": [{"product_id": "1", "sku_id": "2", "product_cnt": 1}]}]});
            // Busy or not: this one does not insist.
            match host.operation("delivery", "send", parcel).await {
                Err(CallError::Unavailable(_)) => Outcome::Done,
                other => outcome_of(other.map(drop)),
            }
        })
    };
    rig.install(1, true, ships());
    rig.shop.moods.lock().unwrap().push_back(Mood::Busy { applied: false });
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done]);
    let report = tried(&rig, &["on-pay"], ships()).await;
    assert_eq!((report.totals.same, report.totals.outcomes_changed, report.items.len()), (1, 0, 0), "{report:?}");
}

#[tokio::test]
async fn a_run_that_used_up_its_attempts_ends_as_it_did_where_its_last_attempt_does() {
    let rig = Rig::new().await;
    let traps = || script!(|_input, _host| Outcome::Trap { message: "unreachable".into() });
    rig.install(1, false, traps());
    rig.pay(ORDER).await;
    rig.settle().await;
    for _ in 0..12 {
        rig.advance(5_000).await;
    }
    let run = rig.runs().await.remove(0);
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Parked, Some("attempts")));
    let report = tried(&rig, &["on-pay"], traps()).await;
    assert_eq!((report.events, report.totals, report.items.len()), (1, Totals::default(), 0), "{report:?}");
    let report = tried(&rig, &["on-pay"], script!(|_input, _host| Outcome::Done)).await;
    assert_eq!((report.totals.outcomes_changed, report.items.len()), (1, 1));
    assert!(report.table().contains("parked: trap -> done"), "{}", report.table());
}

#[tokio::test]
async fn a_backtest_leaves_out_what_was_absorbed() {
    let rig = Rig::new().await;
    let nothing = || script!(|_input, _host| Outcome::Done);
    rig.install(1, false, nothing());
    let event = NewEvent {
        tenant: rig.tenant,
        event: "channels_ec_order_pay".into(),
        order_id: ORDER.into(),
        source: Source::Reconciled,
        ext_type: None,
        created_at: rig.clock.now_s(),
        received_at: rig.clock.now(),
        dedup: [9; 32],
        body: json!({"order_info": {"order_id": ORDER}}).to_string().into_bytes(),
    };
    let update_time = rig.clock.now_s();
    let known = KnownOrder { status: 20, update_time, read_at: 0, seen: None, look_at: None, facts: json!({}) };
    let found = vec![Found { event, since: 0 }];
    rig.journal.note_reading(Reading { order: rig.lane(ORDER), known, found, transition: None }).await.unwrap();
    rig.settle().await;
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!((rig.count("SELECT count(*) FROM events").await, rig.ran().len()), (2, 1), "the callback was absorbed");
    let report = tried(&rig, &["on-pay"], nothing()).await;
    assert_eq!(report.events, 1);
}

#[tokio::test]
async fn a_parked_run_goes_on_in_another_version_and_repeats_no_settled_effect() {
    let rig = Rig::new().await;
    rig.install(
        1,
        true,
        script!(|_input, host| {
            set_note(host, ORDER, "one").await.unwrap();
            Outcome::Trap { message: "unreachable".into() }
        }),
    );
    rig.pay(ORDER).await;
    rig.settle().await;
    for _ in 0..12 {
        rig.advance(5_000).await;
    }
    let run = rig.runs().await[0].clone();
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Parked, Some("attempts")));
    rig.scripts.install(
        NEW,
        script!(|_input, host| {
            set_note(host, ORDER, "one").await.unwrap();
            outcome_of(set_note(host, ORDER, "two").await.map(drop))
        }),
    );
    let repair = Repair { run: run.id, version: Some(NEW) };
    rig.journal.repair(Actor::Operator(None), rig.tenant, vec![repair]).await.unwrap();
    rig.settle().await;
    let run = rig.runs().await[0].clone();
    assert_eq!((run.state, run.version), (RunState::Done, NEW));
    assert_eq!(rig.shop.applied().len(), 2, "the first note was settled before");
}
