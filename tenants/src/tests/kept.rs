//! What the platform gave is kept, whoever gave up, stopped or came too late.

use fangshi_database::TenantId;
use tokio::task::JoinHandle;

use super::custody::HOUR_MS;
use super::{Scene, authorized, scene, secret, tenants_of};
use crate::{AccessToken, Action, AuditFilter, TenantPatch, TokenError};

type Caller = JoinHandle<Result<AccessToken, TokenError>>;

/// A shop whose refresh is under way: the platform answers when its gate is opened.
async fn asking(scene: &Scene) -> (TenantId, Caller) {
    let shop = scene.authorized("wxa").await.id;
    scene.platform.close_gate();
    let caller = scene.ask(shop);
    scene.called("authorizer", 1).await;
    (shop, caller)
}

/// The same, and another refresh token was planted since.
async fn authorized_meanwhile(scene: &Scene) -> (TenantId, Caller) {
    let (shop, caller) = asking(scene).await;
    let patch = TenantPatch { refresh_token: Some(secret("refresh-new")), ..TenantPatch::default() };
    scene.tenants.update(shop, patch).await.unwrap();
    (shop, caller)
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_lose_the_platforms_answer() {
    let scene = scene().await;
    let (shop, caller) = asking(&scene).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    scene.platform.open_gate();
    assert_eq!(scene.token(shop).await.unwrap().expose(), "access-2");
    assert_eq!(scene.platform.count("authorizer"), 1);
}

#[tokio::test]
async fn a_stop_waits_for_the_refresh_under_way_and_begins_none() {
    let scene = scene().await;
    let (_, caller) = asking(&scene).await;
    let other = scene.authorized("wxb").await.id;
    // The run that wanted it was cut off.
    caller.abort();
    let flights = scene.tenants.flights();
    flights.close();
    let error = scene.token(other).await.unwrap_err();
    assert!(matches!(&error, TokenError::Unavailable(text) if text.contains("closing")), "{error}");
    let landing = {
        let flights = flights.clone();
        tokio::spawn(async move { flights.land(std::time::Duration::from_secs(3_600)).await })
    };
    tokio::task::yield_now().await;
    assert!(!landing.is_finished() && scene.platform.count("authorizer") == 1);
    scene.platform.open_gate();
    assert!(landing.await.unwrap());
    assert_eq!(scene.number("SELECT version FROM tokens WHERE tenant_id = 1").await, 2);
}

#[tokio::test]
async fn a_token_that_the_store_refuses_is_used_and_stored_later() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.sql("CREATE TRIGGER full BEFORE UPDATE OF access ON tokens WHEN new.kind = 'access' BEGIN SELECT raise(ABORT, 'disk full'); END").await;
    for _ in 0..3 {
        assert_eq!(scene.token(shop).await.unwrap().expose(), "access-2");
    }
    assert_eq!(scene.number("SELECT version FROM tokens WHERE tenant_id = 1").await, 1);
    scene.sql("DROP TRIGGER full").await;
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if scene.number("SELECT version FROM tokens WHERE tenant_id = 1").await == 2 {
            let again = tenants_of(&scene.db, &scene.clock).await;
            assert_eq!(again.custody().access_token(shop, &scene.issuer()).await.unwrap().expose(), "access-2");
            assert_eq!(scene.platform.count("authorizer"), 1);
            return;
        }
    }
    panic!("never stored");
}

#[tokio::test]
async fn a_lease_of_a_dead_process_ends() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    // In 30 s of the clock, which stands still.
    scene.sql("UPDATE tokens SET lease_owner = 'dead', lease_until = 1767225600000 + 30000 WHERE tenant_id = 1").await;
    let waiting = scene.ask(shop);
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    assert!(!waiting.is_finished() && scene.platform.count("") == 0);
    scene.hand.advance(30_000);
    assert_eq!(waiting.await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn a_new_authorization_during_a_refresh_wins() {
    let scene = scene().await;
    let (shop, caller) = authorized_meanwhile(&scene).await;
    scene.platform.open_gate();
    let token = caller.await.unwrap().unwrap();
    assert!(scene.platform.last().ends_with("refresh-new"), "{}", scene.platform.last());
    assert_eq!(token.expose(), "access-3");
    assert_eq!(scene.token(shop).await.unwrap().version, token.version);
}

#[tokio::test]
async fn a_refresh_token_that_came_too_late_for_its_row_is_set_aside_and_told_of() {
    let scene = scene().await;
    let (shop, caller) = authorized_meanwhile(&scene).await;
    assert_eq!(scene.audited(Action::TokenSetAside).await, 0);
    scene.platform.open_gate();
    caller.await.unwrap().unwrap();
    assert_eq!(scene.audited(Action::TokenSetAside).await, 1);
    let filter = AuditFilter { limit: 100, ..AuditFilter::default() };
    let told = scene.tenants.audit().list(&filter).await.unwrap();
    let entry = told.iter().find(|entry| entry.action == Action::TokenSetAside.code()).unwrap();
    assert_eq!((entry.tenant, entry.actor.as_str()), (shop, "system"));
    assert_eq!(entry.details, Some(serde_json::json!({"kind": "access", "version": 1})), "ids and numbers alone");
}

#[tokio::test]
async fn an_older_ticket_after_a_newer_one_is_not_kept() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let now = scene.clock.now_s();
    let custody = scene.tenants.custody();
    // Pushes are repeated and overtake each other.
    for (ticket, at) in [("newer", now + 600), ("older", now + 599), ("oldest", now - 3_600)] {
        custody.keep_ticket(secret(ticket), at).await.unwrap();
    }
    scene.token(shop).await.unwrap();
    assert!(scene.platform.calls.lock().unwrap().contains(&"component newer".to_owned()));
    assert_eq!(custody.component_health().await.unwrap().unwrap().ticket_at, (now + 600) * 1000);
}

#[tokio::test]
async fn planted_tokens_are_used_as_they_are() {
    let scene = scene().await;
    let shop = scene.tenants.create(authorized("wxa", Some("given"), None)).await.unwrap().id;
    assert_eq!(scene.token(shop).await.unwrap().expose(), "given");
    assert_eq!(scene.platform.count(""), 0);
    scene.hand.advance(HOUR_MS * 2);
    // The platform knows no such account: it was asked for want of a refresh token.
    let error = scene.token(shop).await.unwrap_err();
    assert!(matches!(error, TokenError::Reauthorize { code: 61003, .. }), "{error}");

    let (access_token, refresh_token) = (Some((secret("given-2"), Some(1))), Some(secret("refresh-9")));
    let patch = TenantPatch { access_token, refresh_token, ..TenantPatch::default() };
    scene.tenants.update(shop, patch).await.unwrap();
    assert!(scene.tenants.get(shop).unwrap().is_active());
    assert_eq!(scene.token(shop).await.unwrap().expose(), "given-2");
    scene.hand.advance(1000);
    scene.token(shop).await.unwrap();
    assert!(scene.platform.last().ends_with("refresh-9"));
}
