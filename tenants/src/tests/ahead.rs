//! Tokens are refreshed ahead where plugins wait for events, and nowhere else.

use super::registry::{new, upload};
use super::{Scene, scene, self_built, tenants_of};
use crate::{InstallationPatch, InstallationState, IssueError, StateChange, TenantId, TenantPatch};

const HOUR_MS: i64 = 3_600_000;

impl Scene {
    async fn install(&self, tenant: TenantId) {
        let registry = self.tenants.registry();
        let plugin = upload(registry, tenant, b"code", &["notes"]).await;
        registry.install(tenant, new(plugin, b"code", &["notes"])).await.unwrap();
    }

    async fn ahead(&self) -> usize {
        self.tenants.custody().refresh_ahead(&self.issuer()).await.unwrap()
    }
}

#[tokio::test]
async fn tokens_that_are_due_are_refreshed_before_anybody_asks() {
    let scene = scene().await;
    let (shop, idle) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    let own = scene.tenants.create(self_built("wxown")).await.unwrap().id;
    scene.install(shop).await;
    scene.install(own).await;
    assert_eq!(scene.ahead().await, 2, "the first token is fetched, and not for a shop without plugins");
    assert_eq!((scene.platform.count("authorizer"), scene.platform.count("stable")), (1, 1));
    // Before 75 % of its life nothing is due, from 85 % on it is; nobody asked for a token in between.
    scene.hand.advance(5_399_000);
    assert_eq!(scene.ahead().await, 0);
    scene.hand.advance(6_200_000 - 5_399_000);
    let process = tenants_of(&scene.db, &scene.clock).await;
    assert_eq!(process.custody().refresh_ahead(&scene.issuer()).await.unwrap(), 1, "a process that holds nothing");
    assert_eq!(scene.platform.count("authorizer"), 2);
    assert_eq!(scene.ahead().await, 0);
    assert_eq!(scene.token(shop).await.unwrap().version, 3);
    assert_eq!(scene.number("SELECT count(*) FROM tokens WHERE tenant_id = 2 AND version > 1").await, 0, "{idle}");
}

#[tokio::test]
async fn nothing_is_refreshed_for_a_shop_that_is_stopped_refused_or_without_tokens() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let bare = scene.tenants.create(super::authorized("wxbare", None, None)).await.unwrap().id;
    scene.install(shop).await;
    scene.install(bare).await;
    assert_eq!(scene.ahead().await, 1);
    assert!(scene.tenants.get(bare).unwrap().is_active(), "it waits for its authorization");
    scene.hand.advance(HOUR_MS * 2);
    scene.sql("UPDATE tokens SET refused_code = 61023 WHERE tenant_id = 1").await;
    assert_eq!(scene.ahead().await, 0);
    scene.sql("UPDATE tokens SET refused_code = NULL WHERE tenant_id = 1").await;
    let to = |state| TenantPatch { state: Some(state), ..TenantPatch::default() };
    scene.tenants.update(shop, to(StateChange::Suspended { reason: "unpaid".into() })).await.unwrap();
    assert_eq!(scene.ahead().await, 0);
    scene.tenants.update(shop, to(StateChange::Active)).await.unwrap();
    let registry = scene.tenants.registry();
    let installation = registry.active(shop).await.unwrap()[0].id;
    let pause = InstallationPatch { state: Some(InstallationState::Paused), ..InstallationPatch::default() };
    registry.patch_installation(shop, installation, pause).await.unwrap();
    assert_eq!(scene.ahead().await, 0);
    let resume = InstallationPatch { state: Some(InstallationState::Active), ..InstallationPatch::default() };
    registry.patch_installation(shop, installation, resume).await.unwrap();
    assert_eq!(scene.ahead().await, 1);
}

#[tokio::test]
async fn a_shop_that_refuses_rests_for_an_hour_and_counts_for_nothing() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.install(shop).await;
    assert_eq!(scene.ahead().await, 1);
    scene.hand.advance(6_300_000);
    // The component's token is good for a while yet: the shop's own call is refused, and its old token works on.
    scene.platform.fail_next(IssueError::Refused { code: 61_004, message: "ip not allowed".into() });
    let asked = scene.platform.count("authorizer");
    for _ in 0..5 {
        assert_eq!(scene.ahead().await, 0);
        scene.hand.advance(60_000);
    }
    assert_eq!(scene.platform.count("authorizer"), asked + 1, "{:?}", scene.platform.calls);
    scene.hand.advance(3_600_000);
    assert_eq!(scene.ahead().await, 1);
}

#[tokio::test]
async fn a_slow_answer_for_one_shop_does_not_hold_up_the_next() {
    let scene = std::sync::Arc::new(scene().await);
    for appid in ["wxa", "wxb", "wxc", "wxd", "wxe"] {
        let shop = scene.authorized(appid).await.id;
        scene.install(shop).await;
    }
    scene.platform.close_gate();
    let going = std::sync::Arc::clone(&scene);
    let ahead = tokio::spawn(async move { going.ahead().await });
    scene.called("authorizer", 4).await;
    scene.platform.open_gate();
    assert_eq!(ahead.await.unwrap(), 5);
    assert_eq!(scene.platform.most_at_once.load(std::sync::atomic::Ordering::SeqCst), 4);
}
