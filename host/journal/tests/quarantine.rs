//! The end of an attempt counts for its installation: in the same transaction, once, and with an alert.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_journal::{AlertKind, Digest, Ended, Ending, EventSeq, InstallationId, JournalError, Next};
use fangshi_tenants::{Conduct, Fault, InstallationState, ManifestRecord, NewInstallation};
use rig::Rig;
use serde_json::json;

const ONE: InstallationId = InstallationId(1);
const CODE: &[u8] = b"code";

async fn installed() -> Rig {
    let rig = Rig::new().await;
    let registry = rig.tenants.registry();
    let manifest = ManifestRecord { hooks: vec!["on-pay".into()], grants: vec![] };
    let (plugin, version, _) =
        registry.add_version(rig.tenant, "tags", Digest::of(CODE), manifest, CODE).await.unwrap();
    let version = version.digest;
    let new = NewInstallation {
        plugin,
        version,
        grants: Default::default(),
        settings: json!({}),
        limits: json!({}),
        schedules: vec![],
    };
    assert_eq!(registry.install(rig.tenant, new).await.unwrap().id, ONE);
    rig
}

/// A fault, the second of which is one too many; the run is tried again.
fn fault(rig: &Rig, event: EventSeq) -> Ending {
    let fault = Fault { outcome: "limit", figure: "fuel: 10000 allowed".into(), allowed: 2 };
    let next = Next::Retry { at_ms: rig.clock.now() };
    Ending { outcome: "limit", version: Digest::of(CODE), conduct: Conduct::Fault(fault), ..rig.ending(event, next) }
}

#[tokio::test]
async fn an_attempt_that_ends_one_fault_too_many_pauses_its_installation_with_an_alert() {
    let rig = installed().await;
    let registry = rig.tenants.registry();
    assert_eq!(registry.active(rig.tenant).await.unwrap().len(), 1);
    let (fence, run, event) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let ended = rig.journal.end_attempt(&fence, &buffer, ONE, &fault(&rig, event)).await.unwrap();
    assert_eq!(ended, Ended::default());
    // The end of an attempt that has ended is refused, and counts nothing.
    let again = rig.begin(run, 1);
    let refused = rig.journal.end_attempt(&fence, &again, ONE, &fault(&rig, event)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Corrupt(_)), "{refused}");
    // Nor does that of somebody who lost the lane.
    let state = rig.journal.lane(&rig.lane()).await.unwrap();
    let holder = rig.journal.enter(&rig.lane(), state.epoch, vec![]).await.unwrap();
    let buffer = rig.begin(run, 2);
    let stale = rig.journal.end_attempt(&fence, &buffer, ONE, &fault(&rig, event)).await.unwrap_err();
    assert!(stale.is_stale());
    assert_eq!(rig.count("SELECT faults FROM faults WHERE hook = 'on-pay'").await, 1);
    assert!(rig.journal.due_alerts(9).await.unwrap().is_empty());

    let buffer = rig.begin(run, 2);
    let ended = rig.journal.end_attempt(&holder, &buffer, ONE, &fault(&rig, event)).await.unwrap();
    assert_eq!(ended, Ended { event_finished: false, quarantined: true });
    assert!(registry.active(rig.tenant).await.unwrap().is_empty());
    let paused = registry.get(rig.tenant, ONE).await.unwrap().unwrap();
    assert_eq!(paused.state, InstallationState::Paused);
    let why = paused.quarantine.unwrap();
    assert_eq!((why.faults, why.figure.as_deref(), why.run), (2, Some("fuel: 10000 allowed"), Some(run)));
    let alerts = rig.journal.due_alerts(9).await.unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].kind, &*alerts[0].subject), (AlertKind::InstallationQuarantined, "i1"));
    assert!(alerts[0].ended_at.is_some(), "it happened: nothing that holds");
    // Its events go on being made runs.
    rig.entered(2).await;
}
