//! What a run is pinned to: the versions that were active at its event, however late the lane looks.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_journal::{Digest, EventSeq, PluginId};
use fangshi_tenants::{Installation, InstallationPatch, InstallationState, ManifestRecord, NewInstallation};
use rig::Rig;
use serde_json::json;

async fn upload(rig: &Rig, bytes: &[u8], hooks: &[&str]) -> (PluginId, Digest) {
    let hooks = hooks.iter().map(|hook| (*hook).to_owned()).collect();
    let manifest = ManifestRecord { hooks, grants: vec![] };
    let digest = Digest::of(bytes);
    let added = rig.tenants.registry().add_version(rig.tenant, "tagger", digest, manifest, bytes).await;
    let (plugin, version, _) = added.unwrap();
    (plugin, version.digest)
}

async fn install(rig: &Rig, plugin: PluginId, version: Digest) -> Installation {
    let new = NewInstallation {
        plugin,
        version,
        grants: Default::default(),
        settings: json!({}),
        limits: json!({}),
        schedules: vec![],
    };
    rig.tenants.registry().install(rig.tenant, new).await.unwrap()
}

async fn replace(rig: &Rig, installation: &Installation, version: Digest) {
    let patch = InstallationPatch { version: Some(version), ..InstallationPatch::default() };
    rig.tenants.registry().patch_installation(rig.tenant, installation.id, patch).await.unwrap();
}

/// Installation and version that hear an event of on-pay; installation 1 of the rig is left out.
async fn heard(rig: &Rig, seq: EventSeq) -> Vec<Digest> {
    let state = rig.journal.lane(&rig.lane()).await.unwrap();
    assert!(state.events.iter().any(|event| event.seq == seq), "the event still waits");
    let hears = |one: &&fangshi_journal::Subscription| one.hook == "on-pay" && one.hears(seq);
    state.subscriptions.iter().filter(hears).map(|one| one.version).filter(|one| one.0 != [1; 32]).collect()
}

#[tokio::test]
async fn events_before_an_installation_are_not_for_it_and_a_replaced_version_keeps_those_it_heard() {
    let rig = Rig::new().await;
    let before = rig.journal.record_event(rig.event(1)).await.unwrap().seq;
    let (plugin, first) = upload(&rig, b"one", &["on-pay"]).await;
    let (_, second) = upload(&rig, b"two", &["on-pay", "on-new"]).await;
    // A row of the rig's own takes number 1.
    install(&rig, plugin, first).await;
    let installation = install(&rig, plugin, first).await;
    let of_first = rig.journal.record_event(rig.event(2)).await.unwrap().seq;
    replace(&rig, &installation, second).await;
    let of_second = rig.journal.record_event(rig.event(3)).await.unwrap().seq;

    assert!(heard(&rig, before).await.is_empty());
    assert_eq!(heard(&rig, of_first).await, [first, first]);
    assert_eq!(heard(&rig, of_second).await, [first, second]);
}

#[tokio::test]
async fn pausing_keeps_the_place_and_removing_ends_it() {
    let rig = Rig::new().await;
    let (plugin, version) = upload(&rig, b"one", &["on-pay"]).await;
    install(&rig, plugin, version).await;
    let installation = install(&rig, plugin, version).await;
    let pause = InstallationPatch { state: Some(InstallationState::Paused), ..InstallationPatch::default() };
    rig.tenants.registry().patch_installation(rig.tenant, installation.id, pause).await.unwrap();
    let paused = rig.journal.record_event(rig.event(1)).await.unwrap().seq;
    rig.tenants.registry().remove(rig.tenant, installation.id).await.unwrap();
    let removed = rig.journal.record_event(rig.event(2)).await.unwrap().seq;

    assert_eq!(heard(&rig, paused).await, [version, version]);
    assert_eq!(heard(&rig, removed).await, [version]);
    // What ended is forgotten once no event waits for it.
    let state = rig.journal.lane(&rig.lane()).await.unwrap();
    let planned = state.events.iter().map(|event| rig::planned(event.seq)).collect();
    rig.journal.enter(&rig.lane(), state.epoch, planned).await.unwrap();
    let ended = "SELECT COUNT(*) FROM subscriptions WHERE until_seq IS NOT NULL";
    assert_eq!(rig.count(ended).await, 1);
    replace_and_back(&rig, plugin, version).await;
    assert_eq!(rig.count(ended).await, 0, "the next change of the tenant's clears up");
}

#[tokio::test]
async fn a_version_is_replaced_and_put_back_while_events_wait() {
    let rig = Rig::new().await;
    let (plugin, first) = upload(&rig, b"one", &["on-pay"]).await;
    install(&rig, plugin, first).await;
    let installation = install(&rig, plugin, first).await;
    let waiting = rig.journal.record_event(rig.event(1)).await.unwrap().seq;
    let (_, second) = upload(&rig, b"two", &["on-pay"]).await;
    for version in [second, first, second, first] {
        replace(&rig, &installation, version).await;
    }
    let after = rig.journal.record_event(rig.event(2)).await.unwrap().seq;
    assert_eq!(heard(&rig, waiting).await, [first, first]);
    assert_eq!(heard(&rig, after).await, [first, first]);
}

async fn replace_and_back(rig: &Rig, plugin: PluginId, version: Digest) {
    let (_, other) = upload(rig, b"two", &["on-pay"]).await;
    let installation = install(rig, plugin, version).await;
    replace(rig, &installation, other).await;
    replace(rig, &installation, version).await;
}
