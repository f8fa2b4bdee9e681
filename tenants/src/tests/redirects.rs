//! Codes of redirects that are older than the deletion of their shop's tenant bring it not back.

use std::sync::Arc;

use fangshi_database::TenantId;
use tokio::sync::Semaphore;

use super::onboarding::change;
use super::{Scene, scene, secret, tenants_of};
use crate::{Arrived, ChangeKind, Deletion, FreshLink, LinkState, StateChange, TenantPatch};

const SHOP: &str = "wxshop";
const MARKS: &str = "SELECT count(*) FROM authorizers WHERE deleted_s IS NOT NULL";

impl Scene {
    /// The walk makes the shop a tenant, and the operator lets it go again: the link knows nothing of it.
    async fn found_and_deleted(&self) {
        self.tenants.onboarding().walk(&self.authorizer()).await.unwrap();
        while self.tenants.onboarding().step(&self.authorizer()).await.unwrap().handled > 0 {}
        let shop = self.tenants.by_appid(SHOP).unwrap().id;
        let state = Some(StateChange::Suspended { reason: "leaves".into() });
        self.tenants.update(shop, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
        self.tenants.delete(shop, SHOP).await.unwrap();
        assert_eq!(self.number("SELECT count(*) FROM authorizations").await, 1, "nothing ties the link to it yet");
    }

    async fn assert_stays_deleted(&self, link: &FreshLink) {
        self.settle().await;
        assert!(self.tenants.by_appid(SHOP).is_none());
        let seen = self.link(link).await;
        assert_eq!((seen.state, seen.reason.as_deref()), (LinkState::Failed, Some("tenant-deleted")));
        assert_eq!((self.number(MARKS).await, self.work_left().await), (1, 0));
    }
}

#[tokio::test]
async fn a_code_that_was_asked_about_when_its_tenant_was_deleted_makes_none_again() {
    let scene = scene().await;
    let link = scene.begin_for(None).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    *scene.platform.accounts.query_gate.lock().unwrap() = Some(Arc::clone(&gate));
    let asking = {
        let (tenants, platform) = (scene.tenants.clone(), scene.authorizer());
        tokio::spawn(async move { tenants.onboarding().step(&platform).await.map(drop) })
    };
    while scene.platform.accounts.count("query") == 0 {
        tokio::task::yield_now().await;
    }
    scene.found_and_deleted().await;
    gate.add_permits(1);
    asking.await.unwrap().unwrap();
    scene.assert_stays_deleted(&link).await;
}

#[tokio::test]
async fn a_code_that_is_asked_about_only_after_the_deletion_is_as_old_as_its_redirect() {
    let mut scene = scene().await;
    let link = scene.begin_for(None).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    // There is no token to ask with: the code waits.
    scene.sql("UPDATE tokens SET expires_at = 0").await;
    scene.tenants = tenants_of(&scene.db, &scene.clock).await;
    scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    assert_eq!(scene.link(&link).await.reason.as_deref(), Some("no-component-token"));
    scene.tenants.custody().keep_ticket(secret("ticket-2"), scene.clock.now_s()).await.unwrap();
    scene.found_and_deleted().await;
    scene.assert_stays_deleted(&link).await;
    assert_eq!(scene.platform.accounts.count("query"), 1);

    // A link that is made later brings the merchant's new word.
    let link = scene.begin_for(None).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.settle().await;
    assert_eq!(scene.link(&link).await.state, LinkState::Done);
    assert!(scene.tenants.by_appid(SHOP).unwrap().is_active());
}

#[tokio::test]
async fn a_code_that_comes_only_after_the_deletion_tells_nothing_of_when() {
    let scene = scene().await;
    let link = scene.begin_for(None).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.found_and_deleted().await;
    scene.hand.advance(120_000);
    let arrived = scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    assert_eq!(arrived, Arrived::Kept(link.id));
    scene.assert_stays_deleted(&link).await;

    // An event of the platform does tell, and takes the very link up again.
    let at = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.event(change(ChangeKind::Authorized, at, Some(&code), Some(&link.opening.pre_auth_code))).await;
    scene.settle().await;
    assert_eq!(scene.link(&link).await.state, LinkState::Done);
    assert!(scene.tenants.by_appid(SHOP).unwrap().is_active());
}

#[tokio::test]
async fn an_authorization_that_is_younger_than_the_deletion_is_looked_for_in_the_list_at_once() {
    const DAY_MS: i64 = 86_400_000;
    let scene = scene().await;
    let (link, platform) = (scene.begin_for(None).await, scene.authorizer());
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.found_and_deleted().await;
    scene.hand.advance(120_000);
    let onboarding = scene.tenants.onboarding().clone();
    assert!(onboarding.walk_if_due(&platform, DAY_MS).await.unwrap().is_some());
    assert_eq!(onboarding.walk_if_due(&platform, DAY_MS).await.unwrap(), None);
    // The merchant takes the older link once more.
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    onboarding.arrived(&link.nonce, secret(&code)).await.unwrap();
    onboarding.step(&platform).await.unwrap();
    assert!(scene.tenants.by_appid(SHOP).is_none());
    assert_eq!(scene.link(&link).await.state, LinkState::Failed);
    assert!(onboarding.walk_if_due(&platform, DAY_MS).await.unwrap().is_some(), "the list tells when");
    scene.settle().await;
    assert!(scene.tenants.by_appid(SHOP).unwrap().is_active());
    assert_eq!(scene.link(&link).await.state, LinkState::Done, "it was this link after all");
}

#[tokio::test]
async fn a_word_is_as_young_as_its_code_and_outlives_a_deletion_from_before() {
    let scene = scene().await;
    let link = scene.begin_for(None).await;
    scene.hand.advance(10_000);
    let deletion = Deletion { tenant: TenantId(7), appid: SHOP.into(), at: scene.clock.now() };
    scene.hand.advance(10_000);
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    // The code is asked about, and the account gives no answer yet.
    scene.platform.accounts.unanswered.lock().unwrap().push("info");
    scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    scene.platform.accounts.unanswered.lock().unwrap().clear();
    scene.tenants.delete_again(&deletion).await.unwrap();
    assert_eq!(scene.work_left().await, 1, "what the merchant did after it stands");
    scene.settle().await;
    assert_eq!(scene.link(&link).await.state, LinkState::Done);
    assert!(scene.tenants.by_appid(SHOP).unwrap().is_active());
}

#[tokio::test]
async fn a_lost_code_whose_shop_is_deleted_while_it_is_looked_for_makes_no_tenant() {
    let scene = scene().await;
    let link = scene.begin_for(None).await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.platform.accounts.unanswered.lock().unwrap().push("query");
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    scene.platform.accounts.unanswered.lock().unwrap().clear();
    // As a deletion that comes between the look at the accounts and what is written about the one found.
    scene
        .sql(
            "CREATE TRIGGER late AFTER UPDATE OF appid ON authorizations WHEN new.appid IS NOT NULL AND old.appid IS NULL \
             BEGIN UPDATE authorizers SET deleted_s = changed_s, work = NULL, work_no = work_no + 1 WHERE appid = new.appid; END",
        )
        .await;
    scene.assert_stays_deleted(&link).await;
}
