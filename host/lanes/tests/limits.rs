//! Limits that span runs: what an installation keeps, and how many attempts of a tenant begin.
#![allow(unused_braces, missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod rig;

use fangshi_journal::RunState;
use fangshi_lanes::Throughput;
use fangshi_runtime::{CallError, Outcome};
use rig::{ORDER, Rig, send_out, set_note};
use serde_json::json;

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
    rig.throughput(Throughput { runs_at_once: 2, runs_per_second: 3 });
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
