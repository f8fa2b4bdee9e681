//! How long the platform is left alone after a refusal, and what ends that: another authorization or secret, a person, and
//! nothing else.

use super::onboarding::change;
use super::{Scene, scene, secret, self_built};
use crate::{ChangeKind, IssueError, StateChange, TenantId, TenantPatch, TenantState, TokenError};

const SHOP: &str = "wxshop";
const HOUR_MS: i64 = 3_600_000;

impl Scene {
    fn used_up(&self) -> IssueError {
        let until = self.clock.now() + 8 * HOUR_MS;
        IssueError::Limited { code: 45009, message: "daily quota used up".into(), until }
    }

    /// The next one is refused for a quota, and so is nobody else's.
    async fn rest_for_a_quota(&self, tenant: TenantId) {
        let version = self.token(tenant).await.unwrap().version;
        self.tenants.custody().invalidate(tenant, version).await;
        self.platform.fail_next(self.used_up());
        self.assert_rests(tenant).await;
    }

    async fn assert_rests(&self, tenant: TenantId) {
        let error = self.token(tenant).await.unwrap_err();
        assert!(matches!(error, TokenError::Unavailable(_)), "{error}");
    }

    async fn patch(&self, tenant: TenantId, patch: TenantPatch) {
        self.tenants.update(tenant, patch).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_brings_nothing_new_ends_no_rest_and_a_revival_does() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let shop = scene.tenants.by_appid(SHOP).unwrap().id;
    scene.rest_for_a_quota(shop).await;
    // The platform shows the token in force, which the first refresh gave.
    let in_force = "refresh-2";
    scene.platform.accounts.by_appid.lock().unwrap().get_mut(SHOP).unwrap().refresh = in_force.into();
    let asked = scene.platform.count("authorizer");
    assert!(scene.tenants.onboarding().doubt(shop).await.unwrap());
    let infos = scene.platform.accounts.count("info");
    scene.settle().await;
    assert_eq!(scene.platform.accounts.count("info"), infos + 1);
    scene.assert_rests(shop).await;
    assert_eq!(scene.platform.count("authorizer"), asked);

    // The shop went and came back, with the same token.
    scene.platform.accounts.revoke(SHOP);
    scene.event(change(ChangeKind::Unauthorized, scene.clock.now_s(), None, None)).await;
    scene.settle().await;
    assert!(matches!(scene.tenants.get(shop).unwrap().state, TenantState::Revoked { .. }));
    scene.platform.accounts.by_appid.lock().unwrap().get_mut(SHOP).unwrap().granted = true;
    scene.event(change(ChangeKind::Authorized, scene.clock.now_s(), None, None)).await;
    assert_eq!(scene.settle().await, [shop]);
    scene.token(shop).await.unwrap();
    assert!(scene.platform.last().ends_with(in_force), "{}", scene.platform.last());
}

#[tokio::test]
async fn a_person_ends_a_rest_by_what_may_help_and_by_nothing_else() {
    let scene = scene().await;
    let (shop, own) = (scene.authorized("wxa").await.id, scene.tenants.create(self_built("wxown")).await.unwrap().id);
    for (tenant, kind) in [(shop, "authorizer"), (own, "stable")] {
        scene.rest_for_a_quota(tenant).await;
        let asked = scene.platform.count(kind);
        scene.patch(tenant, TenantPatch { name: Some("another name".into()), ..TenantPatch::default() }).await;
        scene.patch(tenant, TenantPatch { decode_budget: Some(9), ..TenantPatch::default() }).await;
        scene.assert_rests(tenant).await;
        assert_eq!(scene.platform.count(kind), asked);
        scene.patch(tenant, TenantPatch { state: Some(StateChange::Active), ..TenantPatch::default() }).await;
        scene.token(tenant).await.unwrap();
    }
    for (tenant, patch) in [
        (shop, TenantPatch { refresh_token: Some(secret("refresh-new")), ..TenantPatch::default() }),
        (own, TenantPatch { appsecret: Some(secret("another")), ..TenantPatch::default() }),
    ] {
        scene.rest_for_a_quota(tenant).await;
        scene.patch(tenant, patch).await;
        scene.token(tenant).await.unwrap();
    }
}

#[tokio::test]
async fn what_an_old_authorization_hears_late_gives_the_new_one_no_rest() {
    let scene = scene().await;
    let (shop, other) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    // The component's token is at hand: what fails next is the shop's own call.
    scene.token(other).await.unwrap();
    for (failure, new) in [
        (scene.used_up(), "refresh-new"),
        (IssueError::Refused { code: 61_004, message: "ip not allowed".into() }, "refresh-newer"),
        (IssueError::Unavailable("connection reset".into()), "refresh-newest"),
    ] {
        if let Some(version) = scene.token(shop).await.ok().map(|token| token.version) {
            scene.tenants.custody().invalidate(shop, version).await;
        }
        let asked = scene.platform.count("authorizer");
        scene.platform.close_gate();
        scene.platform.fail_next(failure.clone());
        let old = scene.ask(shop);
        scene.called("authorizer", asked + 1).await;
        scene.patch(shop, TenantPatch { refresh_token: Some(secret(new)), ..TenantPatch::default() }).await;
        scene.platform.open_gate();
        old.await.unwrap().unwrap_err();
        scene.token(shop).await.unwrap();
        assert!(scene.platform.last().ends_with(new), "{failure:?}: {}", scene.platform.last());
    }
}

#[tokio::test]
async fn whoever_waited_for_a_refresh_with_the_old_secret_asks_with_the_new_one() {
    let scene = scene().await;
    let own = scene.tenants.create(self_built("wxown")).await.unwrap().id;
    scene.platform.stable_gate.forget_permits(1000);
    scene.platform.fail_next(IssueError::Refused { code: 40125, message: "invalid appsecret".into() });
    let old = scene.ask(own);
    scene.called("stable", 1).await;
    let waiting = scene.ask(own);
    tokio::task::yield_now().await;
    scene.patch(own, TenantPatch { appsecret: Some(secret("another")), ..TenantPatch::default() }).await;
    scene.platform.stable_gate.add_permits(1000);
    old.await.unwrap().unwrap_err();
    waiting.await.unwrap().unwrap();
    assert_eq!(*scene.platform.stable_secret.lock().unwrap(), "another");
}
