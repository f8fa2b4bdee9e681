//! Limits that span runs: what an installation keeps, and how many attempts of a tenant begin.
#![allow(unused_braces, missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod rig;

use std::sync::Arc;

use fangshi_journal::{InstallationId, RunState};
use fangshi_lanes::Throughput;
use fangshi_runtime::{CallError, Outcome, RunHost};
use rig::{ORDER, Rig, send_out, set_note};
use serde_json::json;
use tokio::sync::Barrier;

#[tokio::test]
async fn what_is_above_the_kv_limits_is_refused_with_the_figure() {
    for limits in [json!({"kv_keys": 1}), json!({"kv_bytes": 10})] {
        let rig = Rig::new().await;
        rig.install_for(
            rig.tenant,
            1,
            false,
            limits,
            script!(|_input, host| {
                host.kv_set("one", Some(vec![1; 4])).await.unwrap();
                let refused = host.kv_set("another", Some(vec![1; 4])).await;
                let Err(CallError::Invalid(text)) = refused else { panic!("{refused:?}") };
                let told = ["kv_keys: 1 allowed", "kv_bytes: 10 allowed"];
                assert!(told.iter().any(|told| text.starts_with(told)), "{text}");
                Outcome::Done
            }),
        );
        rig.pay(ORDER).await;
        rig.settle().await;
        assert_eq!(rig.states().await, [RunState::Done]);
    }
}

async fn full(host: &mut dyn RunHost, key: &str, bytes: usize, figure: &str) {
    let refused = host.kv_set(key, Some(vec![1; bytes])).await;
    let Err(CallError::Invalid(text)) = refused else { panic!("{key}: {refused:?}") };
    assert!(text.starts_with(figure), "{text}");
}

#[tokio::test]
async fn a_removed_key_opens_room_at_once_and_a_full_store_takes_other_values() {
    let rig = Rig::new().await;
    let script = script!(|_input, host| {
        host.kv_set("one", Some(vec![1; 7])).await.unwrap();
        host.kv_set("two", Some(vec![1; 7])).await.unwrap();
        full(host, "six", 7, "kv_keys: 2 allowed").await;
        // What was set in this attempt, or in the one before it.
        host.kv_set("one", Some(vec![2; 7])).await.unwrap();
        full(host, "one", 8, "kv_bytes: 20 allowed").await;
        host.kv_set("two", None).await.unwrap();
        host.kv_set("one", Some(vec![3; 8])).await.unwrap();
        host.kv_set("two", Some(vec![3; 6])).await.unwrap();
        full(host, "two", 7, "kv_bytes: 20 allowed").await;
        full(host, "six", 0, "kv_keys: 2 allowed").await;
        host.kv_set("one", Some(vec![3; 7])).await.unwrap();
        host.kv_set("two", Some(vec![3; 7])).await.unwrap();
        Outcome::Done
    });
    rig.install_for(rig.tenant, 1, false, json!({"kv_keys": 2, "kv_bytes": 20}), script);
    for order in [ORDER, "2"] {
        rig.pay(order).await;
        rig.settle().await;
    }
    assert_eq!(rig.states().await, [RunState::Done; 2], "with an empty store and with a full one");
    assert_eq!(rig.journal.kv_size(InstallationId(1)).await.unwrap(), (2, 20));
}

#[tokio::test]
async fn attempts_side_by_side_do_not_keep_more_than_one_may() {
    for (limits, figure) in
        [(json!({"kv_keys": 2}), "kv_keys: 2 allowed"), (json!({"kv_bytes": 15}), "kv_bytes: 15 allowed")]
    {
        let rig = Rig::new().await;
        let both = Arc::new(Barrier::new(2));
        let script = script!(
            [both] | input,
            host | {
                // The second time there is nobody to wait for.
                if input.envelope.attempt > 1 {
                    let refused = host.kv_set(&format!("a of {}", input.envelope.order_id), Some(vec![0; 1])).await;
                    return match refused {
                        Err(CallError::Invalid(reason)) => Outcome::Reject { reason },
                        other => panic!("{other:?}"),
                    };
                }
                for key in ["a", "b"] {
                    let key = format!("{key} of {}", input.envelope.order_id);
                    host.kv_set(&key, Some(vec![0; 1])).await.unwrap();
                }
                // Neither ends before both have asked.
                both.wait().await;
                Outcome::Done
            }
        );
        rig.install_for(rig.tenant, 1, false, limits, script);
        rig.pay("1").await;
        rig.pay("2").await;
        rig.settle().await;
        let mut states = rig.states().await;
        states.sort_by_key(|state| *state == RunState::Waiting);
        assert_eq!(states, [RunState::Done, RunState::Waiting], "{figure}");
        assert_eq!(rig.journal.kv_size(InstallationId(1)).await.unwrap().0, 2, "{figure}");
        let waiting = rig.runs().await.into_iter().find(|run| run.state == RunState::Waiting).unwrap();
        let attempt = rig.journal.run(rig.tenant, waiting.id).await.unwrap().unwrap().attempt_list.remove(0);
        assert_eq!((waiting.reason.as_deref(), attempt.reason.as_deref()), (Some("limit"), Some(figure)));

        rig.advance(60).await;
        let after = rig.runs().await.into_iter().find(|run| run.id == waiting.id).unwrap();
        assert_eq!(after.state, RunState::Rejected, "now it sees that there is no room");
    }
}

#[tokio::test]
async fn requests_to_outside_hosts_are_no_loop_of_effects_on_an_order() {
    let rig = Rig::new().await;
    let limits = json!({"effects_per_hour": 1});
    let script = script!(|_input, host| {
        for _ in 0..3 {
            send_out(host, "POST").await.unwrap();
        }
        set_note(host, ORDER, "one").await.unwrap();
        Outcome::Done
    });
    rig.install_for(rig.tenant, 1, false, limits, script);
    rig.pay(ORDER).await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert_eq!(rig.shop.applied().len(), 4, "each of the equal requests is an effect of its own");
}

#[tokio::test]
async fn a_tenant_begins_so_many_attempts_a_second_and_loses_none() {
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    rig.throughput(Throughput { runs_at_once: 2, runs_per_second: 3, journal_bytes_per_hour: u64::MAX });
    for n in 0..8 {
        rig.pay(&format!("1{n}")).await;
    }
    rig.settle().await;
    assert_eq!(rig.ran().len(), 3, "the rest waits");
    rig.advance(1).await;
    assert_eq!(rig.ran().len(), 6);
    rig.advance(1).await;
    assert_eq!(rig.states().await, [RunState::Done; 8]);
}

#[tokio::test]
async fn a_tenant_fills_the_journal_so_far_an_hour_and_loses_no_run() {
    let rig = Rig::new().await;
    rig.install(
        1,
        false,
        script!(|_input, host| {
            host.log(1, &"x".repeat(10_000));
            Outcome::Done
        }),
    );
    rig.throughput(Throughput { runs_at_once: 1, runs_per_second: 1_000, journal_bytes_per_hour: 25_000 });
    for n in 0..6 {
        rig.pay(&format!("1{n}")).await;
    }
    rig.settle().await;
    let first = rig.ran().len();
    assert!((2..=3).contains(&first), "two fit, and a third begins where they left room: {first}");
    rig.advance(60).await;
    assert_eq!(rig.ran().len(), first, "the rest waits");
    rig.advance(4 * 3_600).await;
    assert_eq!(rig.states().await, [RunState::Done; 6]);
}
