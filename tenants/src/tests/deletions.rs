//! Deleted tenants: gone, and back only when their merchant wants it.

use std::sync::Arc;

use fangshi_database::TenantId;

use super::onboarding::{SHOP, change};
use super::{authorized, scene, secret};
use crate::{ChangeKind, Deletion, StateChange, TenantPatch};

#[tokio::test]
async fn a_deleted_tenant_comes_back_only_when_its_merchant_authorizes_anew() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let link = scene.begin().await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.settle().await;
    let first = scene.assert_onboarded("at first").await;
    // The operator lets it go: the platform shows it on. Something is under way at that moment.
    let state = Some(StateChange::Suspended { reason: "leaves".into() });
    scene.tenants.update(first, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    scene.event(change(ChangeKind::Updated, scene.clock.now_s() - 1, Some("code-new"), None)).await;
    assert_eq!(scene.work_left().await, 1);
    scene.tenants.delete(first, SHOP).await.unwrap();
    let deleted_at = scene.clock.now_s();
    assert_eq!((scene.work_left().await, scene.number("SELECT count(*) FROM authorizations").await), (0, 0));
    let kept =
        "SELECT count(*) FROM authorizers WHERE refresh IS NOT NULL OR code IS NOT NULL OR tenant_id IS NOT NULL";
    assert_eq!(scene.number(kept).await, 0);

    // Neither what the platform pushes once more nor its list makes a tenant of it.
    for at in [at, deleted_at] {
        scene.event(change(ChangeKind::Authorized, at, Some("code-again"), None)).await;
    }
    for _ in 0..2 {
        let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
        assert_eq!((walked.listed, walked.news, walked.vanished), (1, 0, 0));
        scene.settle().await;
    }
    assert!(scene.tenants.by_appid(SHOP).is_none());
    let account = &scene.tenants.onboarding().accounts(None, 10).await.unwrap()[0];
    assert!(account.problem.as_ref().unwrap().contains("deleted"), "{account:?}");

    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!((walked.news, walked.vanished), (1, 0));
    scene.settle().await;
    let second = scene.assert_onboarded("authorized anew").await;
    assert_ne!(first, second);
    assert_eq!(scene.number("SELECT count(*) FROM authorizers WHERE deleted_s IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_deletion_that_a_restored_store_never_had_is_remembered() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    let deletion = Deletion { tenant: TenantId(7), appid: SHOP.into(), at: scene.clock.now() };
    assert!(!scene.tenants.delete_again(&deletion).await.unwrap(), "there is nothing to delete");
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    assert!(scene.tenants.by_appid(SHOP).is_none());

    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s() + 1);
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    scene.assert_onboarded("authorized anew").await;
    // A word that is younger than the deletion stands.
    scene.tenants.delete_again(&deletion).await.unwrap();
    assert!(scene.tenants.by_appid(SHOP).is_some());
}

#[tokio::test]
async fn an_answer_that_was_under_way_brings_no_deleted_tenant_back() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let link = scene.begin().await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *scene.platform.accounts.query_gate.lock().unwrap() = Some(Arc::clone(&gate));
    let asking = {
        let (tenants, platform) = (scene.tenants.clone(), scene.authorizer());
        tokio::spawn(async move { tenants.onboarding().step(&platform).await.map(|_| ()) })
    };
    while scene.platform.accounts.count("query") == 0 {
        tokio::task::yield_now().await;
    }
    // Faster: the event makes the tenant, and the operator lets it go again.
    *scene.platform.accounts.query_gate.lock().unwrap() = None;
    scene.event(change(ChangeKind::Authorized, at, Some("code-of-the-event"), Some(&link.opening.pre_auth_code))).await;
    scene.settle().await;
    let shop = scene.tenants.by_appid(SHOP).unwrap().id;
    let state = Some(StateChange::Suspended { reason: "leaves".into() });
    scene.tenants.update(shop, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    scene.tenants.delete(shop, SHOP).await.unwrap();
    gate.add_permits(1);
    asking.await.unwrap().unwrap();
    scene.settle().await;
    assert!(scene.tenants.by_appid(SHOP).is_none());
    assert_eq!(scene.number("SELECT count(*) FROM authorizers WHERE deleted_s IS NOT NULL").await, 1);
    assert_eq!(scene.work_left().await, 0);
}

#[tokio::test]
async fn a_deleted_tenant_that_is_made_by_hand_is_followed_like_any_other() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let first = scene.assert_onboarded("walk").await;
    let state = Some(StateChange::Revoked { reason: "leaves".into() });
    scene.tenants.update(first, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    scene.tenants.delete(first, SHOP).await.unwrap();
    scene.tenants.create(authorized(SHOP, None, None)).await.unwrap();
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!(walked.news, 1);
    scene.settle().await;
    scene.assert_onboarded("by hand").await;
}
