//! Whose time a run took that ended at its deadline: the host's own, or that of an outside host that the plugin chose.
#![allow(unused_braces, missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod rig;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fangshi_database::Digest;
use fangshi_runtime::Outcome;
use fangshi_tenants::{ManifestRecord, NewInstallation};
use rig::{ORDER, Rig, Script, send_out};
use serde_json::json;
use tokio::sync::Notify;

/// A rig with a row of its installation, as every installation of a host has one: its faults are counted there.
async fn counting() -> Rig {
    let rig = Rig::new().await;
    rig.seats.quarantine_after.store(5, Ordering::SeqCst);
    let (registry, version) = (rig.tenants.registry(), Digest::of(b"code"));
    let manifest = ManifestRecord { hooks: vec!["on-pay".into()], grants: vec![] };
    let (plugin, ..) = registry.add_version(rig.tenant, "asks", version, manifest, b"code").await.unwrap();
    let new = NewInstallation {
        plugin,
        version,
        grants: [].into(),
        settings: json!({}),
        limits: json!({}),
        schedules: vec![],
    };
    assert_eq!(registry.install(rig.tenant, new).await.unwrap().id.0, 1);
    rig
}

/// Pays an order, which that installation hears.
async fn play(rig: &Rig, script: Script) {
    rig.install(1, false, script.clone());
    rig.scripts.install(Digest::of(b"code"), script);
    rig.pay(ORDER).await;
    rig.settle().await;
}

async fn faults(rig: &Rig) -> i64 {
    assert_eq!(rig.runs().await[0].reason.as_deref(), Some("deadline"));
    rig.count("SELECT COALESCE(SUM(faults), 0) FROM faults").await
}

#[tokio::test]
async fn the_time_of_an_outside_host_is_the_plugins() {
    for method in ["GET", "POST"] {
        let rig = counting().await;
        rig.shop.outside_hangs.store(true, Ordering::SeqCst);
        let shop = rig.shop.clone();
        let script = script!(
            [shop, method] | _input,
            host | {
                tokio::select! {
                    answer = send_out(host, method) => panic!("{answer:?}"),
                    () = shop.hanging.notified() => Outcome::Deadline,
                }
            }
        );
        play(&rig, script).await;
        assert_eq!(faults(&rig).await, 1, "{method}");
    }
}

#[tokio::test]
async fn the_hosts_own_time_before_a_request_is_nobodys() {
    let rig = counting().await;
    let (seats, stuck) = (rig.seats.clone(), Arc::new(Notify::new()));
    let script = script!(
        [seats, stuck] | _input,
        host | {
            let told = stuck.clone();
            *seats.meanwhile.lock().unwrap() = Some(Box::pin(async move {
                told.notify_one();
                std::future::pending().await
            }));
            tokio::select! {
                answer = send_out(host, "POST") => panic!("{answer:?}"),
                () = stuck.notified() => Outcome::Deadline,
            }
        }
    );
    play(&rig, script).await;
    assert!(rig.shop.ledger.lock().unwrap().is_empty(), "nothing was sent");
    assert_eq!(faults(&rig).await, 0);
}
