//! The walk of the platform's list, and steps that the platform fails.

use super::onboarding::{SHOP, sealed_in};
use super::{authorized, scene, secret};
use crate::{IssueError, TenantState};

#[tokio::test]
async fn the_walk_finds_every_shop_while_the_list_grows() {
    let scene = scene().await;
    for number in 0..7 {
        scene.platform.accounts.authorize(&format!("wx{number}"), &[131], 5);
    }
    *scene.platform.accounts.page.lock().unwrap() = Some(3);
    // In front of the others, after the first page: the second page repeats an account, and the new one is behind.
    *scene.platform.accounts.joins.lock().unwrap() = Some((1, "wx-first".into()));
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!((walked.listed, walked.news, walked.vanished), (8, 8, 0));
    // Not all at once: what one walk finds is asked about over time.
    let stepped = scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    assert_eq!(stepped.handled, 1);
    scene.settle().await;
    assert_eq!(scene.tenants.list(None, 100).await.len(), 8);
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!((walked.listed, walked.news, walked.vanished), (8, 0, 0));
    assert_eq!(scene.work_left().await, 0);
}

#[tokio::test]
async fn the_list_alone_revokes_nobody() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    let moved_in = scene.tenants.create(authorized("wxmoved", Some("given"), Some("refresh-m"))).await.unwrap().id;
    scene.hand.advance(1000);
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let tenant = scene.assert_onboarded("walk").await;
    // The moved-in shop was never authorized to this component: the platform says so itself.
    assert!(matches!(scene.tenants.get(moved_in).unwrap().state, TenantState::Revoked { .. }));

    // The list loses it, the account itself is still granted.
    *scene.platform.accounts.page.lock().unwrap() = Some(0);
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!(walked.vanished, 1);
    scene.settle().await;
    assert!(sealed_in(&scene.tenants, tenant));
    // Now it is gone in truth, and no event came.
    scene.platform.accounts.revoke(SHOP);
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let found = scene.tenants.get(tenant).unwrap();
    assert!(matches!(&found.state, TenantState::Revoked { reason, .. } if reason == "platform-61003"));
    // Authorized again, silently.
    *scene.platform.accounts.page.lock().unwrap() = None;
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!(scene.settle().await, [tenant]);
    scene.assert_onboarded("back").await;
}

#[tokio::test]
async fn an_outage_is_no_refusal_however_long_it_lasts() {
    let scene = scene().await;
    let info = |error: Option<IssueError>| *scene.platform.accounts.refuses_info.lock().unwrap() = error;
    let refused = || Some(IssueError::Refused { code: 61011, message: "wrong component".into() });
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    info(Some(IssueError::Unavailable("connection reset".into())));
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    assert!(scene.number("SELECT tries FROM authorizers").await > 8, "it lasted");
    // One refusal after it is one.
    info(refused());
    let asked = scene.platform.accounts.count("info");
    while scene.platform.accounts.count("info") == asked {
        scene.hand.advance(600_000);
        scene.tenants.custody().keep_ticket(secret("ticket"), scene.clock.now_s()).await.unwrap();
        scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    }
    assert_eq!((scene.number("SELECT refusals FROM authorizers").await, scene.work_left().await), (1, 1));
    info(None);
    scene.settle().await;
    scene.assert_onboarded("after the outage").await;

    // Eight are enough, and whoever wants it anew begins anew.
    info(refused());
    let shop = scene.tenants.by_appid(SHOP).unwrap().id;
    scene.hand.advance(600_000);
    assert!(scene.tenants.onboarding().doubt(shop).await.unwrap());
    for _ in 0..4 {
        scene.settle().await;
    }
    assert_eq!((scene.number("SELECT refusals FROM authorizers").await, scene.work_left().await), (8, 0));
    assert!(scene.tenants.onboarding().doubt(shop).await.unwrap());
    assert_eq!((scene.number("SELECT refusals FROM authorizers").await, scene.work_left().await), (0, 1));
}

#[tokio::test]
async fn walks_keep_their_schedule() {
    let scene = scene().await;
    let onboarding = scene.tenants.onboarding().clone();
    let due = async || onboarding.walk_if_due(&scene.authorizer(), 3_600_000).await.map(|walked| walked.is_some());
    assert!(due().await.unwrap() && !due().await.unwrap(), "at once, then not again");
    scene.hand.advance(3_599_999);
    assert!(!due().await.unwrap());
    scene.hand.advance(1);
    scene.platform.accounts.unanswered.lock().unwrap().push("list");
    assert!(due().await.is_err() && !due().await.unwrap());
    scene.hand.advance(60_000);
    scene.platform.accounts.unanswered.lock().unwrap().clear();
    assert!(due().await.unwrap(), "a failed walk is due again after a minute");

    scene.hand.advance(13 * 3_600_000);
    assert!(due().await.is_err(), "no ticket");
    onboarding.ticket_came();
    scene.tenants.custody().keep_ticket(secret("new"), scene.clock.now_s()).await.unwrap();
    assert!(due().await.unwrap(), "a ticket makes up for it at once");
    onboarding.ticket_came();
    assert!(!due().await.unwrap(), "nothing is owed");
}
