//! Pauses that somebody asked for: whose they are, and who ends them.

use fangshi_database::{Digest, InstallationId, TenantId, TokenId};

use super::registry::{new, upload};
use super::{Scene, scene, tenants_of};
use crate::{
    Action, Actor, Conduct, Fault, Installation, InstallationPatch, InstallationState, PausedBy, Ran, Registry,
    RegistryError,
};

/// The registry as the operator's and as the merchant's, and an installation.
async fn both(scene: &Scene) -> (Registry, Registry, TenantId, InstallationId) {
    let operator = scene.tenants.by(Actor::Operator(None)).registry().clone();
    let merchant = scene.tenants.by(Actor::Merchant(TokenId(1))).registry().clone();
    let tenant = scene.authorized("wxa").await.id;
    let plugin = upload(&merchant, tenant, b"code", &[]).await;
    let id = merchant.install(tenant, new(plugin, b"code", &[])).await.unwrap().id;
    (operator, merchant, tenant, id)
}

fn to(state: InstallationState) -> InstallationPatch {
    InstallationPatch { state: Some(state), ..InstallationPatch::default() }
}

fn pause() -> InstallationPatch {
    to(InstallationState::Paused)
}

fn resume() -> InstallationPatch {
    to(InstallationState::Active)
}

fn stands(installation: &Installation) -> (InstallationState, Option<PausedBy>) {
    (installation.state, installation.paused_by)
}

#[tokio::test]
async fn the_operators_pause_is_the_operators_to_end() {
    let scene = scene().await;
    let (operator, merchant, tenant, id) = both(&scene).await;
    let paused = operator.patch_installation(tenant, id, pause()).await.unwrap();
    let held = (InstallationState::Paused, Some(PausedBy::Operator));
    assert_eq!(stands(&paused), held);
    // Across a start, and whatever else changes with it.
    let scene = Scene { tenants: tenants_of(&scene.db, &scene.clock).await, ..scene };
    let refused = merchant.patch_installation(tenant, id, resume()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::PausedByOperator(of) if of == id), "{refused}");
    upload(&merchant, tenant, b"next", &[]).await;
    let next = InstallationPatch { version: Some(Digest::of(b"next")), ..InstallationPatch::default() };
    let both = InstallationPatch { state: Some(InstallationState::Active), ..next.clone() };
    assert!(merchant.patch_installation(tenant, id, both).await.is_err());
    let kept = scene.tenants.registry().get(tenant, id).await.unwrap().unwrap();
    assert_eq!((stands(&kept), kept.version), (held, Digest::of(b"code")), "all or nothing");
    assert_eq!(stands(&merchant.patch_installation(tenant, id, next).await.unwrap()), held);
    assert_eq!(stands(&merchant.patch_installation(tenant, id, pause()).await.unwrap()), held, "it is not theirs now");
    assert!(merchant.patch_installation(tenant, id, resume()).await.is_err());
    let resumed = operator.patch_installation(tenant, id, resume()).await.unwrap();
    assert_eq!(stands(&resumed), (InstallationState::Active, None));
}

#[tokio::test]
async fn a_merchants_pause_is_ended_by_both_and_taken_over_by_the_operator() {
    let scene = scene().await;
    let (operator, merchant, tenant, id) = both(&scene).await;
    for ends in [&merchant, &operator] {
        let paused = merchant.patch_installation(tenant, id, pause()).await.unwrap();
        assert_eq!(stands(&paused), (InstallationState::Paused, Some(PausedBy::Merchant)));
        ends.patch_installation(tenant, id, resume()).await.unwrap();
    }
    merchant.patch_installation(tenant, id, pause()).await.unwrap();
    let before = scene.audited(Action::InstallationPaused).await;
    operator.patch_installation(tenant, id, pause()).await.unwrap();
    assert_eq!(scene.audited(Action::InstallationPaused).await, before + 1);
    assert!(merchant.patch_installation(tenant, id, resume()).await.is_err());
}

#[tokio::test]
async fn a_quarantine_is_the_hosts_until_somebody_pauses_it() {
    let scene = scene().await;
    let (operator, merchant, tenant, id) = both(&scene).await;
    let fail = async || {
        let registry = merchant.clone();
        let ran = Ran { run: fangshi_database::RunId(1), version: Digest::of(b"code"), hook: "on-pay" };
        let fault = Conduct::Fault(Fault { outcome: "trap", figure: String::new(), allowed: 1 });
        let noted = scene
            .db
            .writer()
            .submit(move |c| Box::pin(async move { registry.note_conduct(c, tenant, id, ran, &fault).await }));
        assert!(noted.await.unwrap().is_some());
    };
    fail().await;
    let paused = merchant.get(tenant, id).await.unwrap().unwrap();
    assert_eq!(stands(&paused), (InstallationState::Paused, None));
    merchant.patch_installation(tenant, id, resume()).await.unwrap();
    fail().await;
    let paused = operator.patch_installation(tenant, id, pause()).await.unwrap();
    assert_eq!((stands(&paused).1, paused.quarantine), (Some(PausedBy::Operator), None));
    assert!(merchant.patch_installation(tenant, id, resume()).await.is_err());
}

#[tokio::test]
async fn installing_anew_is_no_way_around_the_operators_pause() {
    let scene = scene().await;
    let (operator, merchant, tenant, id) = both(&scene).await;
    let plugin = operator.patch_installation(tenant, id, pause()).await.unwrap().plugin;
    let again = async |registry: &Registry| registry.install(tenant, new(plugin, b"code", &[])).await;
    assert!(matches!(again(&merchant).await, Err(RegistryError::PausedByOperator(of)) if of == id), "beside it");
    merchant.remove(tenant, id).await.unwrap();
    assert!(matches!(again(&merchant).await, Err(RegistryError::PausedByOperator(of)) if of == id), "in its place");
    // What the operator installs is the merchant's again.
    let made = again(&operator).await.unwrap();
    merchant.remove(tenant, made.id).await.unwrap();
    let made = again(&merchant).await.unwrap();
    // And what the operator paused and removed forbids nothing any more.
    operator.patch_installation(tenant, made.id, pause()).await.unwrap();
    operator.remove(tenant, made.id).await.unwrap();
    again(&merchant).await.unwrap();
}
