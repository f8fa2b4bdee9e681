//! How an account stands: given, taken back, and what does not count as either.

use std::collections::BTreeSet;

use super::onboarding::{SHOP, change, sealed_in};
use super::{authorized, kek, scene, secret, self_built};
use crate::{ChangeKind, StateChange, TenantPatch, TenantState, Tenants, TokenError};

#[tokio::test]
async fn revoked_then_authorized_again_and_nothing_old_counts() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    let first = change(ChangeKind::Authorized, at, Some(&code), None);
    scene.event(first.clone()).await;
    scene.settle().await;
    let tenant = scene.assert_onboarded("first").await;

    scene.platform.accounts.revoke(SHOP);
    let end = change(ChangeKind::Unauthorized, at + 10, None, None);
    scene.event(end.clone()).await;
    scene.settle().await;
    let found = scene.tenants.get(tenant).unwrap();
    let TenantState::Revoked { reason, since } = found.state.clone() else { panic!("{:?}", found.state) };
    assert_eq!(reason, "unauthorized");
    assert!(matches!(scene.token(tenant).await.unwrap_err(), TokenError::Revoked { .. }));
    let calls = scene.platform.accounts.calls.lock().unwrap().len();

    // Replays, and an authorization from before the end that was late.
    for old in [first, change(ChangeKind::Authorized, at + 9, Some("late"), None), end.clone()] {
        scene.event(old).await;
        scene.settle().await;
    }
    let still = scene.tenants.get(tenant).unwrap();
    assert!(matches!(&still.state, TenantState::Revoked { since: now, .. } if *now == since), "{:?}", still.state);
    assert_eq!(scene.platform.accounts.calls.lock().unwrap().len(), calls);

    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at + 20);
    scene.event(change(ChangeKind::Authorized, at + 20, Some(&code), None)).await;
    assert_eq!(scene.settle().await, [tenant]);
    assert_eq!(scene.assert_onboarded("again").await, tenant);
    // The end from before is replayed, under another tenant's number in the journal or not.
    scene.event(end).await;
    scene.settle().await;
    assert!(sealed_in(&scene.tenants, tenant));
}

#[tokio::test]
async fn words_of_one_second_are_settled_by_the_platform() {
    for granted in [true, false] {
        let scene = scene().await;
        let at = scene.clock.now_s();
        let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
        scene.event(change(ChangeKind::Authorized, at, Some(&code), None)).await;
        scene.settle().await;
        if !granted {
            scene.platform.accounts.revoke(SHOP);
        }
        scene.event(change(ChangeKind::Unauthorized, at, None, None)).await;
        scene.settle().await;
        assert_eq!(scene.tenants.by_appid(SHOP).unwrap().is_active(), granted);
    }
}

#[tokio::test]
async fn other_permission_sets_are_taken_over() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.event(change(ChangeKind::Authorized, at, Some(&code), None)).await;
    scene.settle().await;
    let code = scene.platform.accounts.authorize(SHOP, &[131], at + 5);
    scene.event(change(ChangeKind::Updated, at + 5, Some(&code), None)).await;
    scene.settle().await;
    assert_eq!(scene.tenants.by_appid(SHOP).unwrap().permission_sets, Some(BTreeSet::from([131])));
    let mut scene = scene;
    scene.restart().await;
    assert_eq!(scene.tenants.by_appid(SHOP).unwrap().permission_sets, Some(BTreeSet::from([131])));
}

#[tokio::test]
async fn the_operators_own_suspension_outlives_authorizations() {
    let scene = scene().await;
    let tenant = scene.authorized(SHOP).await.id;
    let at = scene.clock.now_s();
    let state = Some(StateChange::Suspended { reason: "unpaid".into() });
    scene.tenants.update(tenant, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    for (kind, time) in
        [(ChangeKind::Authorized, at), (ChangeKind::Unauthorized, at + 1), (ChangeKind::Authorized, at + 2)]
    {
        let code = scene.platform.accounts.authorize(SHOP, &[131], time);
        scene.event(change(kind, time, (kind == ChangeKind::Authorized).then_some(code.as_str()), None)).await;
        scene.settle().await;
    }
    let found = scene.tenants.get(tenant).unwrap();
    assert!(matches!(&found.state, TenantState::Suspended { reason, .. } if reason == "unpaid"), "{:?}", found.state);
}

#[tokio::test]
async fn what_is_no_shop_or_another_kind_of_tenant_is_left_alone() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let link = scene.begin().await;
    let code = scene.platform.accounts.authorize(SHOP, &[1], at);
    scene.platform.accounts.by_appid.lock().unwrap().get_mut(SHOP).unwrap().shop = false;
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.settle().await;
    assert!(scene.tenants.by_appid(SHOP).is_none());
    assert_eq!(scene.link(&link).await.reason.as_deref(), Some("not-a-shop"));
    let listed = scene.tenants.onboarding().accounts(None, 10).await.unwrap();
    assert_eq!(listed[0].verdict.as_deref(), Some("other"));
    // The redirect's time was the host's: the first walk asks once more, and brings the platform's.
    let asked = scene.platform.accounts.count("info");
    for _ in 0..3 {
        scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
        scene.settle().await;
    }
    assert_eq!(scene.platform.accounts.count("info"), asked + 1, "it is not asked about again and again");

    let own = scene.tenants.create(self_built("wxown")).await.unwrap();
    scene.platform.accounts.authorize("wxown", &[131], at);
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let still = scene.tenants.get(own.id).unwrap();
    assert!(still.callback_keys().is_some() && still.permission_sets.is_none());
}

#[tokio::test]
async fn one_wrong_61003_of_a_call_revokes_nobody_and_a_true_one_does() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let shop = scene.assert_onboarded("walk").await;
    assert!(scene.tenants.onboarding().doubt(shop).await.unwrap(), "the account is asked about");
    scene.settle().await;
    assert!(sealed_in(&scene.tenants, shop), "the account says that it is granted");
    scene.platform.accounts.revoke(SHOP);
    assert!(scene.tenants.onboarding().doubt(shop).await.unwrap());
    assert!(sealed_in(&scene.tenants, shop), "not before it was asked");
    scene.settle().await;
    assert!(matches!(scene.tenants.get(shop).unwrap().state, TenantState::Revoked { .. }));
}

#[tokio::test]
async fn where_nobody_can_ask_61003_counts_for_the_version_that_was_used() {
    let scene = scene().await;
    let own = scene.tenants.create(self_built("wxown")).await.unwrap().id;
    let moved = scene.tenants.create(authorized("wxmoved", Some("given"), Some("refresh-m"))).await.unwrap().id;
    assert!(!scene.tenants.onboarding().doubt(own).await.unwrap());
    let bare = Tenants::open(scene.db.clone(), kek(), None, scene.clock.clone()).await.unwrap();
    assert!(!bare.onboarding().doubt(moved).await.unwrap(), "a host without a component");
    let version = scene.token(moved).await.unwrap().version;
    bare.custody().revoked(moved, version - 1).await;
    assert!(sealed_in(&bare, moved), "an older version's");
    bare.custody().revoked(moved, version).await;
    let found = bare.get(moved).unwrap();
    assert!(matches!(&found.state, TenantState::Revoked { reason, .. } if reason == "platform-61003"), "{found:?}");
}
