//! The question of the two real orders, with the real lanes and a real guest: not one callback comes, and the hooks are
//! called all the same, once each.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod rig;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fangshi_database::Digest;
use fangshi_harness::guest;
use fangshi_journal::{RunFilter, RunState, Source};
use fangshi_lanes::{Installed, Lanes, LanesConfig, Parts, WasmGuests};
use fangshi_platform::real_orders::{FIRST, PAID_AT, SECOND, SHIPPED_AT, after, before};
use fangshi_reconcile::ReconcileConfig;
use fangshi_runtime::{Runtime, RuntimeConfig};
use fangshi_tenants::{GrantAsked, ManifestRecord, NewInstallation};
use rig::Rig;
use serde_json::json;

/// Lanes with the guest that hears every hook and logs what it was given.
async fn listening(rig: &Rig) -> Lanes {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    let wasm = guest("all-hooks").unwrap();
    let manifest = runtime.inspect(&wasm).unwrap();
    let asked: BTreeSet<String> = manifest.grants.iter().map(|grant| grant.name.clone()).collect();
    let grants =
        manifest.grants.into_iter().map(|grant| GrantAsked { name: grant.name, functions: grant.functions }).collect();
    let manifest = ManifestRecord { hooks: manifest.hooks, grants };
    let registry = rig.tenants.registry();
    let digest = Digest::of(&wasm);
    let (plugin, _, _) = registry.add_version(rig.tenant, "all-hooks", digest, manifest, &wasm).await.unwrap();
    let new = NewInstallation {
        plugin,
        version: digest,
        grants: asked,
        settings: json!({}),
        limits: json!({}),
        schedules: vec![],
    };
    registry.install(rig.tenant, new).await.unwrap();
    Lanes::start(Parts {
        journal: rig.journal.clone(),
        directory: Arc::new(Installed::new(rig.tenants.clone(), Arc::default())),
        guests: Arc::new(WasmGuests::new(runtime, rig.tenants.clone())),
        shop: Arc::new(rig.operations.clone()),
        clock: rig.clock.clone(),
        config: LanesConfig { sweep_every: None, ..LanesConfig::default() },
    })
    .await
    .unwrap()
}

/// What the guest heard of an order, in the order of its runs: its log lines up to the times.
async fn heard(rig: &Rig, lanes: &Lanes, order: &str) -> Vec<String> {
    lanes.settle().await;
    let filter = RunFilter { order_id: Some(order.to_owned()), limit: 200, ..RunFilter::default() };
    let mut runs = rig.journal.runs(rig.tenant, &filter).await.unwrap().items;
    runs.reverse();
    let mut heard = Vec::new();
    for run in runs {
        assert_eq!(run.state, RunState::Done);
        let detail = rig.journal.run(rig.tenant, run.id).await.unwrap().unwrap();
        let lines = detail.attempt_list.iter().flat_map(|attempt| &attempt.logs);
        heard.extend(lines.map(|line| {
            assert!(line.text.contains("source Reconciled") && line.text.contains("same order true"), "{}", line.text);
            line.text.split(" created ").next().unwrap().to_owned()
        }));
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_payloads_without_a_callback_are_one_shipment_and_one_type_5() {
    let rig = Rig::new(PAID_AT + 600, ReconcileConfig::default()).await;
    let lanes = listening(&rig).await;
    rig.platform.load_real_orders(&rig.appid).unwrap();
    assert_eq!(rig.platform.order(FIRST).unwrap(), before()["order"]);
    rig.settle().await;
    rig.next_pass().await;
    assert_eq!(rig.journal.known_order(&lane(&rig, FIRST)).await.unwrap().unwrap().status, 20);
    assert!(rig.events().await.is_empty(), "orders are taken as they are found");

    rig.platform.play_first_real_order().await.unwrap();
    assert_eq!(rig.platform.order(FIRST).unwrap(), after()["order"], "the second real payload");
    rig.platform.play_second_real_order().await.unwrap();
    rig.advance_to(SHIPPED_AT + 1_800).await;
    rig.settle().await;
    rig.next_pass().await;
    assert_eq!(heard(&rig, &lanes, FIRST).await, ["on-deliver finish 1", "on-ext-info-update type 5"]);
    assert_eq!(heard(&rig, &lanes, SECOND).await, ["on-deliver finish 1"], "it was never decoded: no number");
    let events = rig.events().await;
    assert!(events.iter().all(|event| event.source == Source::Reconciled && event.runs == 1));
    assert_eq!(events.len(), 3);

    // Passes, the full one of the night among them, and a restart find nothing new.
    rig.advance_to(SHIPPED_AT + 86_400).await;
    rig.settle().await;
    rig.next_pass().await;
    assert_eq!(rig.events().await.len(), 3);

    // The number runs out after 30 days; nothing updates the order, and nobody pushes.
    rig.advance_to(1_767_241_651 + 200).await;
    rig.settle().await;
    rig.next_pass().await;
    let all = ["on-deliver finish 1", "on-ext-info-update type 5", "on-ext-info-update type 5"];
    assert_eq!(heard(&rig, &lanes, FIRST).await, all);
    assert_eq!(rig.events().await.last().unwrap().created_at, 1_767_241_651);
    assert!(rig.platform.ledger().pushes_of(FIRST).iter().all(|push| push.attempts.is_empty()), "no callback came");
    lanes.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_that_come_late_are_absorbed_and_later_ones_delivered() {
    let rig = Rig::new(PAID_AT + 600, ReconcileConfig::default()).await;
    let lanes = listening(&rig).await;
    rig.platform.load_real_orders(&rig.appid).unwrap();
    rig.settle().await;
    rig.platform.play_first_real_order().await.unwrap();
    rig.advance_to(SHIPPED_AT + 1_800).await;
    rig.settle().await;
    lanes.settle().await;
    let made = rig.events().await;
    assert_eq!(made.len(), 2);

    let number = rig.callback(FIRST, "ext_info_update", Some(5), SHIPPED_AT - 7_000).await;
    let shipped = rig.callback(FIRST, "deliver", None, SHIPPED_AT).await;
    // Another change of the number, that no reading has seen.
    let newer = rig.callback(FIRST, "ext_info_update", Some(5), SHIPPED_AT + 1_799).await;
    // The first one is matched: this can only be another change before it, and is delivered.
    let second = rig.callback(FIRST, "ext_info_update", Some(5), SHIPPED_AT - 6_000).await;
    let other = rig.callback(FIRST, "ext_info_update", Some(3), SHIPPED_AT - 6_000).await;
    lanes.settle().await;
    let events = rig.events().await;
    let runs = [number, shipped, newer, second, other].map(|recorded| rig::runs_of(&events, recorded.seq));
    assert_eq!(runs, [0, 0, 1, 1, 1]);
    assert!(events.iter().all(|event| event.state == "finished"));
    let matched: Vec<bool> =
        rig.journal.reconciled(&lane(&rig, FIRST)).await.unwrap().iter().map(|made| made.matched).collect();
    assert_eq!(matched, [true, true]);
    lanes.stop(Duration::from_secs(5)).await;
}

fn lane(rig: &Rig, order: &str) -> fangshi_journal::LaneKey {
    fangshi_journal::LaneKey::new(rig.tenant, order)
}
