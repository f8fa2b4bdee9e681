//! Links that name their account, who asked for one, and rows that were damaged.

use super::onboarding::change;
use super::{Scene, scene, secret};
use crate::{Action, Actor, AuditFilter, ChangeKind, LinkState};

const SHOP: &str = "wxshop";

async fn lost_answer(scene: &Scene) {
    scene.platform.accounts.unanswered.lock().unwrap().push("query");
    scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    scene.platform.accounts.unanswered.lock().unwrap().clear();
}

#[tokio::test]
async fn a_link_that_names_its_account_is_completed_by_no_other() {
    // The redirect's code stands for another account.
    let scene = scene().await;
    let link = scene.begin_for(Some("wxnamed")).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.settle().await;
    let seen = scene.link(&link).await;
    assert_eq!((seen.state, seen.reason.as_deref()), (LinkState::Failed, Some("another-account")));
    assert_eq!(seen.tenant, None);
    assert!(scene.tenants.by_appid(SHOP).unwrap().is_active(), "the account that authorized is a tenant all the same");

    // The event says so.
    let scene = super::scene().await;
    let link = scene.begin_for(Some("wxnamed")).await;
    let at = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    for _ in 0..2 {
        let event = change(ChangeKind::Authorized, at, Some(&code), Some(&link.opening.pre_auth_code));
        scene.event(event).await;
        scene.settle().await;
        let seen = scene.link(&link).await;
        assert_eq!((seen.state, seen.reason.as_deref()), (LinkState::Failed, Some("another-account")));
    }

    // An event with the code of its redirect, before anybody asked.
    let scene = super::scene().await;
    let link = scene.begin_for(Some("wxnamed")).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.event(change(ChangeKind::Authorized, at, Some(&code), None)).await;
    scene.settle().await;
    assert_eq!(scene.link(&link).await.reason.as_deref(), Some("another-account"));
}

#[tokio::test]
async fn a_lost_code_of_a_link_that_names_its_account_is_made_up_for_by_that_account_alone() {
    let scene = scene().await;
    let link = scene.begin_for(Some("wxnamed")).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    lost_answer(&scene).await;
    scene.settle().await;
    assert_eq!(scene.link(&link).await.state, LinkState::Working, "the only one that authorized is not the one named");
    // The account named authorizes as well: that there are two does not matter.
    scene.platform.accounts.authorize("wxnamed", &[131], scene.clock.now_s());
    scene.settle().await;
    let seen = scene.link(&link).await;
    assert_eq!((seen.state, seen.appid.as_deref()), (LinkState::Done, Some("wxnamed")));

    let scene = super::scene().await;
    let link = scene.begin_for(Some("wxnamed")).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    lost_answer(&scene).await;
    for _ in 0..5 {
        scene.settle().await;
    }
    let seen = scene.link(&link).await;
    assert_eq!((seen.state, seen.reason.as_deref()), (LinkState::Failed, Some("another-account")));
}

#[tokio::test]
async fn a_link_says_who_asked_for_it_and_so_does_the_audit() {
    let scene = scene().await;
    let link = scene.begin_for(Some("wxnamed")).await;
    assert_eq!(scene.link(&link).await.requested_by, "operator");
    let by_token = Actor::Operator(Some(fangshi_database::TokenId(7)));
    let new = crate::NewLink::default();
    let second = scene.tenants.onboarding().begin(&scene.authorizer(), by_token, new).await.unwrap();
    assert_eq!(scene.link(&second).await.requested_by, by_token.to_string());
    let entries = scene.tenants.audit().list(&AuditFilter { limit: 100, ..AuditFilter::default() }).await.unwrap();
    let made: Vec<_> = entries.iter().filter(|entry| entry.action == Action::AuthorizationLinkMade.code()).collect();
    assert_eq!(made.len(), 2);
    assert_eq!((made[0].actor.as_str(), made[1].actor.as_str()), (by_token.to_string().as_str(), "operator"));
    assert!(made[0].subjects.iter().any(|subject| *subject == second.id.to_string()), "{:?}", made[0].subjects);
}

#[tokio::test]
async fn a_damaged_row_holds_nobody_up() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let damaged = scene.begin_for(None).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.event(change(ChangeKind::Authorized, at, Some(&code), None)).await;
    scene.sql("UPDATE authorizers SET code = x'00', refresh = x'00', next_at = 0").await;
    scene.tenants.onboarding().arrived(&damaged.nonce, secret("some code")).await.unwrap();
    scene.sql("UPDATE authorizations SET code = x'00', next_at = 0").await;
    // Behind both, a link and an account in good order.
    let link = scene.begin_for(None).await;
    let other = scene.platform.accounts.authorize("wxother", &[131], at);
    scene.tenants.onboarding().arrived(&link.nonce, secret(&other)).await.unwrap();
    scene.settle().await;
    assert_eq!(scene.link(&link).await.state, LinkState::Done);
    assert!(scene.tenants.by_appid("wxother").unwrap().is_active());
    assert!(scene.tenants.by_appid(SHOP).unwrap().is_active(), "the account itself is asked");
}

#[tokio::test]
async fn a_lost_code_completes_no_link_with_a_shop_that_came_otherwise() {
    // A tenant from before the link, which authorized again meanwhile.
    let scene = scene().await;
    scene.tenants.create(super::authorized("wxearlier", None, Some("refresh-0"))).await.unwrap();
    scene.hand.advance(1_000);
    let link = scene.begin_for(None).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.platform.accounts.by_appid.lock().unwrap().get_mut(SHOP).unwrap().granted = false;
    scene.platform.accounts.authorize("wxearlier", &[131], scene.clock.now_s());
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    lost_answer(&scene).await;
    scene.settle().await;
    let seen = scene.link(&link).await;
    assert_eq!((seen.state, seen.appid), (LinkState::Working, None));

    // One whose code came by an event that names no link.
    let scene = super::scene().await;
    let link = scene.begin_for(None).await;
    let code = scene.platform.accounts.authorize("wxlost", &[130, 131], scene.clock.now_s());
    scene.platform.accounts.by_appid.lock().unwrap().get_mut("wxlost").unwrap().granted = false;
    let at = scene.clock.now_s();
    let others = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.event(change(ChangeKind::Authorized, at, Some(&others), None)).await;
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    lost_answer(&scene).await;
    scene.settle().await;
    assert!(scene.tenants.by_appid(SHOP).unwrap().is_active());
    let seen = scene.link(&link).await;
    assert_eq!((seen.state, seen.appid), (LinkState::Working, None));
    // Its own shop shows up after all.
    scene.platform.accounts.authorize("wxlost", &[130, 131], scene.clock.now_s());
    scene.settle().await;
    let seen = scene.link(&link).await;
    assert_eq!((seen.state, seen.appid.as_deref()), (LinkState::Done, Some("wxlost")));
}

#[tokio::test]
async fn a_link_whose_account_is_given_up_fails_with_it() {
    let scene = scene().await;
    let link = scene.begin_for(None).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    *scene.platform.accounts.refuses_info.lock().unwrap() =
        Some(crate::IssueError::Refused { code: 48_001, message: "api unauthorized".into() });
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    for _ in 0..2 {
        scene.settle().await;
    }
    let seen = scene.link(&link).await;
    assert_eq!((seen.state, seen.reason.as_deref()), (LinkState::Failed, Some("account-not-settled")));
    assert_eq!(scene.work_left().await, 0);
}
