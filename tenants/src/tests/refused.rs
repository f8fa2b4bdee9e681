//! Refused tokens: what is tried, what is taken from the platform, and when a shop must authorize again.

use fangshi_database::TenantId;

use super::custody::HOUR_MS;
use super::{scene, secret, self_built, tenants_of};
use crate::{Action, CallbackKeys, IssueError, StateChange, TenantPatch, TenantState, TokenError};

#[tokio::test]
async fn only_the_refused_version_is_taken_back() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let first = scene.token(shop).await.unwrap();
    // Two calls hear 40001 for the same token, one of them late.
    scene.tenants.custody().invalidate(shop, first.version).await;
    let second = scene.token(shop).await.unwrap();
    assert_eq!(second.version, first.version + 1);
    scene.tenants.custody().invalidate(shop, first.version).await;
    let still = scene.token(shop).await.unwrap();
    assert_eq!((still.version, still.expose()), (second.version, second.expose()));
    assert_eq!(scene.platform.count("authorizer"), 2);
    // Another process, which still holds nothing, agrees.
    let other = tenants_of(&scene.db, &scene.clock).await;
    let seen = other.custody().access_token(shop, &scene.issuer()).await.unwrap();
    assert_eq!((seen.version, seen.expose()), (second.version, second.expose()));
}

#[tokio::test]
async fn a_token_refused_elsewhere_is_taken_from_the_store() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let other = tenants_of(&scene.db, &scene.clock).await;
    let old = scene.token(shop).await.unwrap();
    assert_eq!(other.custody().access_token(shop, &scene.issuer()).await.unwrap().version, old.version);
    scene.tenants.custody().invalidate(shop, old.version).await;
    let new = scene.token(shop).await.unwrap();
    // The other process uses its copy once more, is refused, and finds what the first has fetched.
    other.custody().invalidate(shop, old.version).await;
    let found = other.custody().access_token(shop, &scene.issuer()).await.unwrap();
    assert_eq!((found.version, found.expose()), (new.version, new.expose()));
    assert_eq!(scene.platform.count("authorizer"), 2);
}

#[tokio::test]
async fn each_refresh_uses_the_newest_refresh_token() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    for expected in ["refresh-0", "refresh-2", "refresh-3"] {
        let token = scene.token(shop).await.unwrap();
        assert_eq!(scene.platform.last(), format!("authorizer component-1 {expected}"));
        // Also after a start: access and refresh token were written together.
        let again = tenants_of(&scene.db, &scene.clock).await;
        let found = again.custody().access_token(shop, &scene.issuer()).await.unwrap();
        assert_eq!(found.expose(), token.expose());
        scene.tenants.custody().invalidate(shop, token.version).await;
    }
}

#[tokio::test]
async fn the_previous_refresh_token_is_tried_once() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.token(shop).await.unwrap();
    scene.platform.refused_refresh.lock().unwrap().push("refresh-2".into());
    scene.hand.advance(HOUR_MS * 3);
    assert!(scene.token(shop).await.is_ok());
    let calls = scene.platform.calls.lock().unwrap().clone();
    assert!(
        calls[calls.len() - 2].ends_with("refresh-2") && calls[calls.len() - 1].ends_with("refresh-0"),
        "{calls:?}"
    );
    assert!(scene.tenants.get(shop).unwrap().is_active());
}

#[tokio::test]
async fn a_shop_that_must_authorize_again_is_suspended_and_comes_back_with_a_new_token() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.token(shop).await.unwrap();
    scene.platform.refused_refresh.lock().unwrap().extend(["refresh-2".into(), "refresh-0".into()]);
    // The platform shows the very token that it refuses.
    scene.platform.accounts.authorize("wxa", &[131], 1);
    scene.platform.accounts.by_appid.lock().unwrap().get_mut("wxa").unwrap().refresh = "refresh-2".into();
    scene.hand.advance(HOUR_MS * 3);
    for _ in 0..10 {
        let error = scene.token(shop).await.unwrap_err();
        assert!(matches!(error, TokenError::Reauthorize { code: 61023, .. }), "{error}");
        assert!(!error.to_string().contains("refresh-"), "{error}");
    }
    assert_eq!(
        scene.platform.count("authorizer"),
        4,
        "the newest, the one before, the newest once more, and never again"
    );
    // The code is kept, the platform's words are not: the column is not sealed.
    assert_eq!(scene.number("SELECT refused_code FROM tokens WHERE refused_at IS NOT NULL").await, 61_023);
    assert_eq!(scene.number("SELECT count(*) FROM tokens WHERE refused_message IS NOT NULL").await, 0);
    let found = scene.tenants.get(shop).unwrap();
    assert!(
        matches!(&found.state, TenantState::Suspended { reason, .. } if reason.contains("61023")),
        "{:?}",
        found.state
    );
    let again = tenants_of(&scene.db, &scene.clock).await;
    assert!(matches!(
        again.custody().access_token(shop, &scene.issuer()).await.unwrap_err(),
        TokenError::Reauthorize { code: 61023, .. }
    ));
    assert_eq!(scene.platform.count("authorizer"), 4);

    let patch = TenantPatch { refresh_token: Some(secret("refresh-new")), ..TenantPatch::default() };
    assert!(scene.tenants.update(shop, patch).await.unwrap().is_active());
    scene.token(shop).await.unwrap();
    assert!(scene.platform.last().ends_with("refresh-new"));
}

#[tokio::test]
async fn a_suspended_shop_gets_no_token() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.token(shop).await.unwrap();
    let state = Some(StateChange::Suspended { reason: "unpaid".into() });
    scene.tenants.update(shop, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Suspended { .. }));
    let state = Some(StateChange::Active);
    scene.tenants.update(shop, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    assert!(scene.token(shop).await.is_ok());
}

#[tokio::test]
async fn a_self_built_shop_insists_when_given_the_refused_token_again() {
    let scene = scene().await;
    let own = scene.tenants.create(self_built("wxown")).await.unwrap();
    assert!(matches!(own.callback_keys(), Some(CallbackKeys { .. })));
    let first = scene.token(own.id).await.unwrap();
    assert_eq!((first.expose(), scene.platform.last().as_str()), ("stable-1", "stable wxown false"));
    // Its life is used nearly to the end: the platform gives a new one only then.
    scene.hand.advance(6_500_000);
    assert_eq!(scene.token(own.id).await.unwrap().version, first.version);
    assert_eq!(scene.platform.count("stable"), 1);

    scene.tenants.custody().invalidate(own.id, first.version).await;
    let second = scene.token(own.id).await.unwrap();
    assert_eq!((second.expose(), second.version), ("stable-3", first.version + 1));
    let calls = scene.platform.calls.lock().unwrap().clone();
    assert_eq!(calls[1..], ["stable wxown false", "stable wxown true"]);
}

#[tokio::test]
async fn other_refusals_do_not_suspend() {
    let scene = scene().await;
    let own = scene.tenants.create(self_built("wxown")).await.unwrap();
    scene.platform.fail_next(IssueError::Refused { code: 40125, message: "invalid appsecret".into() });
    let error = scene.token(own.id).await.unwrap_err();
    assert!(matches!(error, TokenError::Refused { code: 40125, .. }), "{error}");
    assert!(scene.tenants.get(own.id).unwrap().is_active());
    let patch = TenantPatch { appsecret: Some(secret("right")), ..TenantPatch::default() };
    scene.tenants.update(own.id, patch).await.unwrap();
    assert!(scene.token(own.id).await.is_ok(), "a new secret is tried at once");
    assert!(matches!(scene.token(TenantId(99)).await.unwrap_err(), TokenError::Unknown(_)));
}

#[tokio::test]
async fn a_refused_refresh_token_is_taken_from_the_platform_once() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.token(shop).await.unwrap();
    scene.platform.refused_refresh.lock().unwrap().extend(["refresh-2".into(), "refresh-0".into()]);
    scene.platform.accounts.authorize("wxa", &[131], 1);
    let shown = scene.platform.accounts.refresh_of("wxa");
    scene.hand.advance(HOUR_MS * 3);
    scene.token(shop).await.unwrap();
    assert!(scene.platform.last().ends_with(&shown), "{}", scene.platform.last());
    assert_eq!(scene.platform.accounts.count("info wxa"), 1);
    assert!(scene.tenants.get(shop).unwrap().is_active());
}

#[tokio::test]
async fn every_lost_answer_is_made_up_for_by_what_the_platform_shows() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.token(shop).await.unwrap();
    scene.platform.refused_refresh.lock().unwrap().extend(["refresh-2".into(), "refresh-0".into()]);
    scene.sql("UPDATE tokens SET expires_at = 0, refresh_at = 0 WHERE kind = 'access'").await;
    for lost in 1..=3 {
        // What the platform shows is tried, and the answer is lost: what was tried is spent, and was kept before.
        scene.platform.accounts.authorize("wxa", &[131], 1);
        let shown = scene.platform.accounts.refresh_of("wxa");
        let process = tenants_of(&scene.db, &scene.clock).await;
        scene.platform.fail_after(2, IssueError::Unavailable("connection reset".into()));
        let error = process.custody().access_token(shop, &scene.issuer()).await.unwrap_err();
        assert!(matches!(error, TokenError::Unavailable(_)), "{error}");
        assert!(scene.platform.last().ends_with(&shown), "{}", scene.platform.last());
        scene.platform.refused_refresh.lock().unwrap().push(shown);
        assert_eq!(scene.platform.accounts.count("info wxa"), lost);
        assert!(process.get(shop).unwrap().is_active(), "lost {lost} answers");
        scene.hand.advance(60_000);
    }
    scene.platform.accounts.authorize("wxa", &[131], 1);
    let shown = scene.platform.accounts.refresh_of("wxa");
    let process = tenants_of(&scene.db, &scene.clock).await;
    process.custody().access_token(shop, &scene.issuer()).await.unwrap();
    assert!(scene.platform.last().ends_with(&shown), "{}", scene.platform.last());
    assert_eq!(scene.number("SELECT version FROM tokens WHERE tenant_id = 1").await, 3, "one version all the time");
    assert_eq!(scene.audited(Action::TokenRecovered).await, 4);
    assert!(process.get(shop).unwrap().is_active());
}

#[tokio::test]
async fn a_shop_whose_shown_token_was_tried_must_authorize_again() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.token(shop).await.unwrap();
    scene.platform.accounts.authorize("wxa", &[131], 1);
    let shown = scene.platform.accounts.refresh_of("wxa");
    scene.platform.refused_refresh.lock().unwrap().extend(["refresh-2".into(), "refresh-0".into(), shown.clone()]);
    scene.hand.advance(3 * HOUR_MS);
    let error = scene.token(shop).await.unwrap_err();
    assert!(matches!(error, TokenError::Reauthorize { code: 61023, .. }), "{error}");
    assert!(scene.platform.last().ends_with(&shown), "{}", scene.platform.last());
    assert!(matches!(scene.tenants.get(shop).unwrap().state, TenantState::Suspended { .. }));
}

#[tokio::test]
async fn a_shop_that_took_its_authorization_back_is_revoked() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.platform.refused_refresh.lock().unwrap().push("refresh-0".into());
    // The platform knows no such account any more.
    let error = scene.token(shop).await.unwrap_err();
    assert!(matches!(error, TokenError::Reauthorize { code: 61003, .. }), "{error}");
    assert!(matches!(scene.tenants.get(shop).unwrap().state, TenantState::Revoked { .. }));
    assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Revoked { .. }));
    let patch = TenantPatch { refresh_token: Some(secret("refresh-new")), ..TenantPatch::default() };
    assert!(scene.tenants.update(shop, patch).await.unwrap().is_active());
}
