//! From a recorded event to the end of its runs: attempts, effects, echoes, loops, pauses.
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
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fangshi_database::InstallationId;
use fangshi_journal::{EventFilter, Repair, RunState};
use fangshi_lanes::{LanesConfig, Standing};
use fangshi_operations::Class;
use fangshi_runtime::{CallError, Outcome};
use fangshi_tenants::Actor;
use rig::{Mood, ORDER, Rig, outcome_of, refused, set_note};
use serde_json::json;

#[tokio::test]
async fn an_event_runs_its_plugin_which_changes_the_order_once() {
    let rig = Rig::new().await;
    let mut news = rig.finished();
    rig.install(
        1,
        true,
        script!(|input, host| {
            host.log(1, "tagging");
            assert_eq!(input.detail, json!({"order_id": ORDER}));
            assert_eq!(input.order.as_ref().unwrap().json["status"], 20);
            outcome_of(set_note(host, ORDER, "large").await.map(drop))
        }),
    );
    let seq = rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.shop.applied(), [json!({"order_id": ORDER, "merchant_notes": "large"})]);
    let runs = rig.runs().await;
    assert_eq!((runs.len(), runs[0].state, runs[0].event_seq), (1, RunState::Done, seq));
    let detail = rig.journal.run(rig.tenant, runs[0].id).await.unwrap().unwrap();
    assert_eq!(detail.attempt_list[0].calls[0].name, "notes/set-merchant-notes");
    assert_eq!(detail.attempt_list[0].calls[0].result.as_deref(), Some("ok"));
    assert_eq!(detail.attempt_list[0].logs[0].text, "tagging");
    assert_eq!(detail.attempt_list[0].fuel, Some(1_000));
    let finished = news.try_recv().unwrap();
    assert_eq!((finished.run, finished.outcome, finished.attempt), (runs[0].id, "done", 1));
    assert_eq!(rig.journal.backlog().await.unwrap().events, 0);
}

#[tokio::test]
async fn an_event_that_no_hook_knows_is_done_at_once() {
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    rig.push("product_order_status_update", ORDER, None).await;
    rig.push("channels_ec_order_settle", ORDER, None).await; // nobody subscribed
    rig.settle().await;
    assert!(rig.runs().await.is_empty() && rig.ran().is_empty());
    let events = rig.journal.events(rig.tenant, &EventFilter { limit: 9, ..Default::default() }).await.unwrap();
    assert!(events.items.iter().all(|event| event.state == "finished"));
}

#[tokio::test]
async fn a_retry_reads_afresh_and_repeats_no_settled_effect() {
    let rig = Rig::new().await;
    rig.install(
        1,
        true,
        script!(|input, host| {
            let done = set_note(host, ORDER, "one").await.map(drop);
            if done.is_err() {
                return outcome_of(done);
            }
            match input.envelope.attempt {
                1 => Outcome::Trap { message: "unreachable".into() },
                2 => Outcome::Limit { limit: "fuel", allowed: 7 },
                3 => Outcome::Deadline,
                4 => Outcome::RetryLater { reason: "not yet".into(), after: Some(90) },
                _ => Outcome::Done,
            }
        }),
    );
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Waiting]);
    for seconds in [7, 37, 145, 60] {
        rig.advance(seconds).await;
    }
    assert_eq!(rig.ran().len(), 4, "the plugin's wish is not undercut");
    rig.advance(60).await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert_eq!(rig.shop.applied().len(), 1, "a settled effect was repeated");
    assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 5, "each attempt reads the order afresh");
    let run = rig.runs().await[0].id;
    let detail = rig.journal.run(rig.tenant, run).await.unwrap().unwrap();
    let outcomes: Vec<_> = detail.attempt_list.iter().map(|attempt| attempt.outcome.clone().unwrap()).collect();
    assert_eq!(outcomes, ["trap", "limit", "deadline", "retry-later", "done"]);
    let seeds: std::collections::HashSet<_> = rig.ran().iter().map(|ran| ran.seed).collect();
    assert_eq!(seeds.len(), 5, "each attempt has a seed of its own");
    assert!(
        detail.attempt_list[1..]
            .iter()
            .all(|attempt| { serde_json::to_value(&attempt.calls[0]).unwrap()["origin"] == "earlier-effect" })
    );
}

#[tokio::test]
async fn refusals_that_may_change_are_tried_again_and_others_are_not() {
    for (class, code, sends) in [
        (Class::TooOften, 100_003, 2),
        (Class::Conflict, 101_100, 2),
        (Class::Busy, -1, 2),
        (Class::Permission, 48_001, 2),
        (Class::Invalid, 40_097, 1),
        (Class::NotFound, 100_002, 1),
        (Class::Other, 9_999, 1),
    ] {
        let rig = Rig::new().await;
        rig.install(
            1,
            false,
            script!(|input, host| {
                let answer = set_note(host, ORDER, "x").await;
                if input.envelope.attempt == 1 {
                    return Outcome::RetryLater { reason: format!("{answer:?}"), after: None };
                }
                Outcome::Done
            }),
        );
        rig.shop.moods.lock().unwrap().push_back(Mood::Refuse(refused(class, code)));
        rig.pay(ORDER).await;
        rig.settle().await;
        rig.advance(7).await;
        assert_eq!(rig.states().await, [RunState::Done], "{class:?}");
        assert_eq!(rig.shop.ledger.lock().unwrap().len(), sends, "{class:?}");
        let run = rig.runs().await[0].id;
        let detail = rig.journal.run(rig.tenant, run).await.unwrap().unwrap();
        assert_eq!(detail.effects.len(), 1);
        if sends == 1 {
            assert_eq!(detail.effects[0].platform_code, Some(code), "{class:?}");
            assert_eq!(detail.effects[0].rid.as_deref(), Some("rid-1"));
            assert_eq!(detail.attempt_list[0].calls[0].result, detail.attempt_list[1].calls[0].result);
        }
    }
}

#[tokio::test]
async fn equal_calls_are_told_apart_by_their_count_not_by_position() {
    let rig = Rig::new().await;
    rig.install(
        1,
        false,
        script!(|input, host| {
            // The second attempt makes another call first, so every position differs.
            if input.envelope.attempt == 2 {
                set_note(host, ORDER, "new").await.unwrap();
            }
            set_note(host, ORDER, "same").await.unwrap();
            set_note(host, ORDER, "same").await.unwrap();
            if input.envelope.attempt == 2 {
                set_note(host, ORDER, "same").await.unwrap();
                return Outcome::Done;
            }
            Outcome::Trap { message: String::new() }
        }),
    );
    rig.pay(ORDER).await;
    rig.settle().await;
    rig.advance(7).await;
    let notes: Vec<_> = rig.shop.applied().iter().map(|call| call["merchant_notes"].clone()).collect();
    assert_eq!(notes, ["same", "same", "new", "same"]);
}

#[tokio::test]
async fn what_is_not_granted_is_denied_by_its_name_and_not_sent() {
    let rig = Rig::new().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    rig.install(
        1,
        false,
        script!(
            [kept] | _input,
            host | {
                let price = json!({"order_id": ORDER, "change_order_infos": []});
                let mut seen = vec![host.operation("price", "change", price).await.unwrap_err()];
                seen.push(host.operation("notes", "no-such-function", json!({})).await.unwrap_err());
                seen.push(
                    host.operation("notes", "set-merchant-notes", json!({"merchant_notes": "x"})).await.unwrap_err(),
                );
                *kept.lock().unwrap() = seen;
                Outcome::Done
            }
        ),
    );
    rig.pay(ORDER).await;
    rig.settle().await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], CallError::Denied("price".into()));
    assert!(matches!(&seen[1], CallError::Invalid(text) if text.contains("no-such-function")), "{:?}", seen[1]);
    assert!(matches!(&seen[2], CallError::Invalid(text) if text.contains("order_id")), "{:?}", seen[2]);
    assert!(rig.shop.ledger.lock().unwrap().is_empty());
    let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
    assert_eq!(detail.attempt_list[0].calls.len(), 3, "refusals are journaled");
    assert!(detail.effects.is_empty());
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_the_hosts_retry_and_no_guest_runs() {
    let rig = Rig::new().await;
    rig.install(
        1,
        true,
        script!(|input, _host| {
            assert!(input.order.is_some());
            Outcome::Done
        }),
    );
    rig.shop.reads_fail.store(2, Ordering::SeqCst);
    rig.pay(ORDER).await;
    rig.settle().await;
    assert!(rig.ran().is_empty());
    rig.advance(7).await;
    assert!(rig.ran().is_empty());
    rig.advance(37).await;
    assert_eq!(rig.ran().len(), 1);
    assert_eq!((rig.states().await, rig.ran()[0].attempt), (vec![RunState::Done], 3));
    let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
    assert_eq!(detail.attempt_list[0].outcome.as_deref(), Some("order-unavailable"));
}

#[tokio::test]
async fn a_plugin_that_cannot_be_loaded_is_the_hosts_retry() {
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    rig.scripts.loads_fail.store(1, Ordering::SeqCst);
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.runs().await[0].reason.as_deref(), Some("not-loaded"));
    rig.advance(7).await;
    assert_eq!(rig.states().await, [RunState::Done]);
}

#[tokio::test]
async fn an_event_that_fits_no_hook_is_parked_at_once_and_blocks_nothing() {
    let rig = Rig::new().await;
    rig.install(
        1,
        false,
        script!(|input, _host| match input.detail["pay_time"].as_str() {
            Some("later") => Outcome::EventUnfit { reason: "pay_time: expected a whole number".into() },
            _ => Outcome::Done,
        }),
    );
    rig.push_detail("channels_ec_order_pay", ORDER, json!({"pay_time": "later"})).await;
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Parked, RunState::Done], "no retry could help, so nobody waits for one");
    let run = &rig.runs().await[0];
    assert_eq!(run.reason.as_deref(), Some("event-unfit"));
    let detail = rig.journal.run(rig.tenant, run.id).await.unwrap().unwrap();
    assert_eq!(detail.attempt_list.len(), 1);
    assert_eq!(detail.attempt_list[0].reason.as_deref(), Some("pay_time: expected a whole number"));
}

#[tokio::test]
async fn one_snapshot_serves_all_installations_until_an_effect() {
    let rig = Rig::new().await;
    for id in 1..=3 {
        rig.install(
            id,
            true,
            script!(|_input, host| {
                if id == 2 {
                    set_note(host, ORDER, "x").await.unwrap();
                }
                Outcome::Done
            }),
        );
    }
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done; 3]);
    assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 2, "1 and 2 share, 3 reads after the effect of 2");
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 4, "another event reads again");
}

#[tokio::test]
async fn a_run_that_always_fails_is_told_its_last_attempt_and_parked() {
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::Trap { message: "no".into() }));
    rig.install(2, false, script!(|_input, _host| Outcome::Reject { reason: "not mine".into() }));
    rig.pay(ORDER).await;
    rig.settle().await;
    for _ in 0..12 {
        rig.advance(4_400).await;
    }
    let runs = rig.runs().await;
    assert_eq!((runs[0].state, runs[0].reason.as_deref()), (RunState::Parked, Some("attempts")));
    assert_eq!((runs[1].state, runs[1].attempts), (RunState::Rejected, 1));
    let mine: Vec<_> = rig.ran().into_iter().filter(|ran| ran.version == 1).collect();
    assert!(mine.len() <= 12 && mine.len() > 6, "{}", mine.len());
    assert_eq!(mine.iter().map(|ran| ran.is_last).rev().collect::<Vec<_>>()[..2], [true, false]);
    assert_eq!(rig.journal.backlog().await.unwrap().parked, 1);
    assert_eq!(rig.journal.backlog().await.unwrap().events, 0, "a parked run blocks nothing");

    // Repaired: tried again at once, with a fresh budget.
    let repair = Repair { run: runs[0].id, version: None };
    rig.journal.repair(Actor::Operator(None), rig.tenant, vec![repair]).await.unwrap();
    rig.settle().await;
    assert_eq!(rig.runs().await[0].state, RunState::Waiting);
    assert!(rig.runs().await[0].repaired_at.is_some());
}

#[tokio::test]
async fn an_echo_is_given_to_others_but_not_to_its_causer() {
    let rig = Rig::new().await;
    for id in 1..=2 {
        rig.install(
            id,
            false,
            script!(|input, host| {
                if id == 1 && input.hook == "on-pay" {
                    set_note(host, ORDER, "x").await.unwrap();
                }
                Outcome::Done
            }),
        );
    }
    rig.install_for(rig.tenant, 3, false, json!({"echoes": true}), script!(|_input, _host| Outcome::Done));
    rig.pay(ORDER).await;
    rig.settle().await;
    rig.hand.advance(2_000);
    rig.push("channels_ec_order_ext_info_update", ORDER, Some(3)).await;
    rig.settle().await;
    let to = |event: usize| {
        rig.ran().iter().filter(|ran| ran.event == format!("e{event}")).map(|ran| ran.version).collect::<Vec<_>>()
    };
    assert_eq!(to(2), [2, 3]);
    let filter = EventFilter { limit: 9, ..Default::default() };
    let events = rig.journal.events(rig.tenant, &filter).await.unwrap().items;
    assert_eq!(events[0].echo_of, Some(rig.runs().await[0].id));
    // The second of the same kind is somebody else's: one effect explains one event.
    rig.push("channels_ec_order_ext_info_update", ORDER, Some(3)).await;
    rig.settle().await;
    assert_eq!(to(3), [1, 2, 3]);
}

#[tokio::test]
async fn limits_that_were_stored_before_they_had_ranges_break_no_run() {
    let rig = Rig::new().await;
    let limits =
        json!({"fuel": 1, "memory_bytes": u64::MAX, "deadline_ms": -5, "gone": true, "effects_per_hour": 9_999_999});
    rig.install_for(
        rig.tenant,
        1,
        false,
        limits,
        script!(|input, _host| {
            assert_eq!(
                (input.limits.fuel, input.limits.memory_bytes, input.limits.deadline_ms),
                (10_000, 1 << 30, 100)
            );
            Outcome::Done
        }),
    );
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.runs().await[0].state, RunState::Done);
}

#[tokio::test]
async fn a_plugin_that_chases_its_own_tail_is_parked_as_a_loop() {
    let rig = Rig::new().await;
    let limits = json!({"effects_per_hour": 3, "echoes": true});
    rig.install_for(
        rig.tenant,
        1,
        false,
        limits,
        script!(|input, host| { outcome_of(set_note(host, ORDER, &input.envelope.id).await.map(drop)) }),
    );
    for _ in 0..5 {
        rig.push("channels_ec_order_ext_info_update", ORDER, Some(3)).await;
        rig.settle().await;
    }
    assert_eq!(rig.shop.applied().len(), 3);
    let runs = rig.runs().await;
    assert!(runs[..3].iter().all(|run| run.state == RunState::Done));
    assert!(runs[3..].iter().all(|run| (run.state, run.reason.as_deref()) == (RunState::Parked, Some("loop"))));
    // An hour later it may again.
    rig.advance(3_601).await;
    rig.push("channels_ec_order_ext_info_update", ORDER, Some(3)).await;
    rig.settle().await;
    assert_eq!(rig.runs().await[5].state, RunState::Done);
}

#[tokio::test]
async fn paused_installations_queue_and_go_on_in_sequence_and_removed_ones_are_parked() {
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    rig.install(2, false, script!(|_input, _host| Outcome::Done));
    rig.stand(1, Standing::Held);
    for _ in 0..3 {
        rig.pay(ORDER).await;
    }
    rig.settle().await;
    assert_eq!(rig.ran().iter().map(|ran| ran.version).collect::<Vec<_>>(), [2, 2, 2]);
    rig.lanes.sweep().await.unwrap();
    rig.settle().await;
    rig.stand(1, Standing::Open);
    rig.lanes.poke_tenant(rig.tenant).await.unwrap();
    rig.settle().await;
    let ran: Vec<_> = rig.ran()[3..].iter().map(|ran| (ran.version, ran.event.clone())).collect();
    assert_eq!(ran, [(1, "e1".into()), (1, "e2".into()), (1, "e3".into())]);

    rig.stand(1, Standing::Held);
    rig.pay(ORDER).await;
    rig.settle().await;
    rig.remove(1);
    rig.lanes.poke_tenant(rig.tenant).await.unwrap();
    rig.settle().await;
    let parked: Vec<_> = rig.runs().await.into_iter().filter(|run| run.state == RunState::Parked).collect();
    assert_eq!((parked.len(), parked[0].reason.as_deref()), (1, Some("removed")));
    assert_eq!(rig.journal.backlog().await.unwrap().events, 0);
}

#[tokio::test]
async fn kv_is_kept_with_the_attempt_that_ends_ok_and_seen_within_it() {
    let rig = Rig::new().await;
    rig.install(
        1,
        false,
        script!(|input, host| {
            let attempt = input.envelope.attempt;
            let seen = host.kv_get("count").await.unwrap();
            assert_eq!(seen, None, "a failed attempt leaves nothing");
            host.kv_set("count", Some(vec![attempt as u8])).await.unwrap();
            assert_eq!(host.kv_get("count").await.unwrap(), Some(vec![attempt as u8]));
            host.kv_set("gone", Some(vec![1])).await.unwrap();
            host.kv_set("gone", None).await.unwrap();
            assert!(matches!(host.kv_set("", None).await, Err(CallError::Invalid(_))));
            assert!(matches!(host.kv_set("big", Some(vec![0; (256 << 10) + 1])).await, Err(CallError::Invalid(_))));
            if attempt < 3 { Outcome::Trap { message: String::new() } } else { Outcome::Done }
        }),
    );
    rig.pay(ORDER).await;
    rig.settle().await;
    rig.advance(7).await;
    assert_eq!(rig.journal.kv(rig.tenant, InstallationId(1), "count").await.unwrap(), None);
    rig.advance(37).await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert_eq!(rig.journal.kv(rig.tenant, InstallationId(1), "count").await.unwrap(), Some(vec![3]));
    assert_eq!(rig.journal.kv(rig.tenant, InstallationId(1), "gone").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_run_beside_each_other_up_to_both_caps() {
    let config = LanesConfig { max_concurrent_runs: 5, per_tenant: 3, sweep_every: None, ..LanesConfig::default() };
    let rig = Rig::with(config).await;
    let of_first = Arc::new(AtomicU32::new(0));
    for tenant in [rig.tenant, rig.other] {
        let (first, here, scripts) = (tenant == rig.tenant, of_first.clone(), rig.scripts.clone());
        rig.install_for(
            tenant,
            if first { 1 } else { 2 },
            false,
            json!({}),
            script!(
                [here, scripts] | _input,
                _host | {
                    if first {
                        assert!(here.fetch_add(1, Ordering::SeqCst) < 3, "more than the tenant's cap");
                    }
                    // Nobody leaves before every place was taken once.
                    while scripts.most_running.load(Ordering::SeqCst) < 5 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    if first {
                        here.fetch_sub(1, Ordering::SeqCst);
                    }
                    Outcome::Done
                }
            ),
        );
    }
    for n in 0..20 {
        rig.push_for(rig.tenant, "channels_ec_order_pay", &format!("1{n}"), None).await;
        rig.push_for(rig.other, "channels_ec_order_pay", &format!("2{n}"), None).await;
    }
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done; 40]);
    assert_eq!(rig.scripts.most_running.load(Ordering::SeqCst), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_has_one_run_at_a_time_in_sequence_even_while_events_pour_in() {
    let rig = Arc::new(Rig::new().await);
    for id in 1..=2 {
        rig.install(
            id,
            false,
            script!(|_input, _host| {
                tokio::task::yield_now().await;
                Outcome::Done
            }),
        );
    }
    for _ in 0..40 {
        rig.pay(ORDER).await;
        rig.pay("2").await;
    }
    rig.settle().await;
    for order in [ORDER, "2"] {
        for version in 1..=2 {
            let events: Vec<u64> = rig
                .ran()
                .iter()
                .filter(|ran| ran.version == version && ran.order == order)
                .map(|ran| ran.event[1..].parse().unwrap())
                .collect();
            assert_eq!(events.len(), 40);
            assert!(events.is_sorted());
        }
    }
}

#[tokio::test]
async fn a_run_of_a_version_whose_grants_were_taken_back_is_parked_and_no_guest_runs() {
    let mut rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::RetryLater { reason: "soon".into(), after: None }));
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Waiting]);
    rig.withdraw(1, "notes");
    rig.advance(10).await;
    let runs = rig.runs().await;
    assert_eq!((runs[0].state, runs[0].reason.as_deref()), (RunState::Parked, Some("withdrawn")));
    assert_eq!(rig.ran().len(), 1);

    // An attempt that a crash cut off does not go on either.
    rig.install(
        2,
        false,
        script!(|input, host| { outcome_of(set_note(host, &input.envelope.order_id, "x").await.map(drop)) }),
    );
    rig.shop.moods.lock().unwrap().push_back(Mood::Hang);
    rig.pay("2").await;
    rig.shop.hanging.notified().await;
    rig.crash().await;
    rig.withdraw(2, "notes");
    rig.restart().await;
    rig.settle().await;
    let run = rig.runs().await.into_iter().find(|run| run.order_id == "2" && run.installation.0 == 2).unwrap();
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Parked, Some("withdrawn")));
    assert_eq!(rig.shop.applied().len(), 1);
}

#[tokio::test]
async fn a_retry_that_was_set_by_a_clock_ahead_comes_when_the_clock_is_set_back() {
    for restarts in [false, true] {
        let mut rig = Rig::new().await;
        rig.install(
            1,
            false,
            script!(|input, _host| match input.envelope.attempt {
                1 => Outcome::RetryLater { reason: "soon".into(), after: None },
                _ => Outcome::Done,
            }),
        );
        let start = rig.clock.now();
        rig.hand.advance(40 * 86_400_000);
        rig.pay(ORDER).await;
        rig.settle().await;
        rig.lanes.sweep().await.unwrap();
        assert_eq!(rig.states().await, [RunState::Waiting]);
        rig.hand.set(start);
        if restarts {
            rig.restart().await;
        }
        rig.lanes.sweep().await.unwrap();
        rig.settle().await;
        assert_eq!(rig.states().await, [RunState::Done], "restarted: {restarts}");
    }
}
