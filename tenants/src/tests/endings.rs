//! How an authorization ends: what told of it and the tenant's state are written together, and the operator's word stands.

use super::onboarding::change;
use super::{Scene, authorized, database, scene, secret, self_built, tenants_of};
use crate::{Action, ChangeKind, IssueError, StateChange, SuspendedBy, TenantId, TenantPatch, TenantState, TokenError};

const NO_SUSPENSION: &str = "CREATE TRIGGER full BEFORE UPDATE OF state ON tenants WHEN new.state <> old.state \
    BEGIN SELECT raise(ABORT, 'disk full'); END";

impl Scene {
    /// The platform takes none of the shop's refresh tokens, and shows the last one of them.
    fn refuse_all(&self, appid: &str) {
        self.platform.refused_refresh.lock().unwrap().extend(["refresh-2".into(), "refresh-0".into()]);
        self.platform.accounts.authorize(appid, &[131], 1);
        self.platform.accounts.by_appid.lock().unwrap().get_mut(appid).unwrap().refresh = "refresh-0".into();
    }

    async fn suspend(&self, tenant: TenantId, reason: &str) {
        let state = Some(StateChange::Suspended { reason: reason.into() });
        self.tenants.update(tenant, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    }

    async fn authorize_by_hand(&self, tenant: TenantId) {
        let patch = TenantPatch { refresh_token: Some(secret("refresh-new")), ..TenantPatch::default() };
        self.tenants.update(tenant, patch).await.unwrap();
    }

    fn suspended_by(&self, tenant: TenantId) -> Option<SuspendedBy> {
        match self.tenants.get(tenant).unwrap().state {
            TenantState::Suspended { by, .. } => Some(by),
            TenantState::Active | TenantState::Revoked { .. } => None,
        }
    }
}

const REFUSED: &str = "SELECT count(*) FROM tokens WHERE refused_code IS NOT NULL";

#[tokio::test]
async fn a_refusal_and_the_suspension_are_written_together() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.refuse_all("wxa");
    scene.sql(NO_SUSPENSION).await;
    assert!(scene.token(shop).await.is_err());
    assert_eq!(scene.number(REFUSED).await, 0, "not one without the other");
    assert_eq!(scene.audited(Action::TokenRefused).await, 0);
    assert!(scene.tenants.get(shop).unwrap().is_active());
    scene.sql("DROP TRIGGER full").await;
    scene.hand.advance(60_000);
    let error = scene.token(shop).await.unwrap_err();
    assert!(matches!(error, TokenError::Reauthorize { code: 61023, .. }), "{error}");
    assert_eq!(scene.number(REFUSED).await, 1);
    assert_eq!(scene.suspended_by(shop), Some(SuspendedBy::Platform));
    assert_eq!((scene.audited(Action::TokenRefused).await, scene.audited(Action::TenantSuspended).await), (1, 1));
    let again = tenants_of(&scene.db, &scene.clock).await;
    assert_eq!(again.get(shop).unwrap().state, scene.tenants.get(shop).unwrap().state);
}

#[tokio::test]
async fn a_shop_whose_refusal_is_noted_is_not_left_active() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    // As a crash between two transactions left it.
    scene.sql("UPDATE tokens SET refused_code = 61023, refused_at = 1 WHERE tenant_id = 1").await;
    assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Reauthorize { code: 61023, .. }));
    assert_eq!(scene.suspended_by(shop), Some(SuspendedBy::Platform));
    assert_eq!(scene.platform.count("authorizer"), 0);
    scene.authorize_by_hand(shop).await;
    assert!(scene.tenants.get(shop).unwrap().is_active());
    scene.token(shop).await.unwrap();
}

#[tokio::test]
async fn the_operators_suspension_during_a_refresh_that_is_refused_stands() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.refuse_all("wxa");
    scene.platform.close_gate();
    let asking = scene.ask(shop);
    scene.called("authorizer", 1).await;
    scene.suspend(shop, "unpaid").await;
    scene.platform.open_gate();
    assert!(asking.await.unwrap().is_err());
    assert_eq!(scene.number(REFUSED).await, 1, "what the platform said is noted all the same");
    assert_eq!(scene.suspended_by(shop), Some(SuspendedBy::Operator));
    scene.authorize_by_hand(shop).await;
    assert_eq!(scene.suspended_by(shop), Some(SuspendedBy::Operator), "tokens do not lift it");
    let again = tenants_of(&scene.db, &scene.clock).await;
    assert_eq!(again.get(shop).unwrap().state, scene.tenants.get(shop).unwrap().state);
}

#[tokio::test]
async fn the_operators_suspension_in_another_process_stands() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    std::fs::remove_file(scene.dir.path().join("fangshi.lock")).unwrap();
    let second = tenants_of(&database(scene.dir.path()).await, &scene.clock).await;
    let state = Some(StateChange::Suspended { reason: "unpaid".into() });
    second.update(shop, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    // This process does not know, and the platform refuses.
    scene.refuse_all("wxa");
    assert!(scene.token(shop).await.is_err());
    let again = tenants_of(&scene.db, &scene.clock).await;
    assert!(matches!(again.get(shop).unwrap().state, TenantState::Suspended { by: SuspendedBy::Operator, .. }));
}

#[tokio::test]
async fn what_the_operator_writes_as_a_reason_is_no_state() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.suspend(shop, "reauthorize: after the audit").await;
    assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Suspended { .. }));
    scene.authorize_by_hand(shop).await;
    assert_eq!(scene.suspended_by(shop), Some(SuspendedBy::Operator));
    assert!(scene.tenants.get(shop).unwrap().what_to_do().unwrap().en.contains("operator"));
}

#[tokio::test]
async fn a_new_authorization_during_a_refresh_that_is_refused_wins() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.refuse_all("wxa");
    scene.platform.close_gate();
    let asking = scene.ask(shop);
    scene.called("authorizer", 1).await;
    scene.authorize_by_hand(shop).await;
    scene.platform.open_gate();
    asking.await.unwrap().unwrap();
    assert!(scene.platform.last().ends_with("refresh-new"), "{}", scene.platform.last());
    assert!(scene.tenants.get(shop).unwrap().is_active());
    assert_eq!((scene.number(REFUSED).await, scene.audited(Action::TokenRefused).await), (0, 0));
}

#[tokio::test]
async fn an_end_of_an_account_and_its_tenants_revocation_are_written_together() {
    let scene = scene().await;
    let shop = scene.tenants.create(authorized("wxshop", None, Some("refresh-0"))).await.unwrap().id;
    scene.platform.accounts.authorize("wxshop", &[131], 1);
    scene.platform.accounts.revoke("wxshop");
    scene.event(change(ChangeKind::Unauthorized, scene.clock.now_s(), None, None)).await;
    scene.sql(NO_SUSPENSION).await;
    assert!(scene.tenants.onboarding().step(&scene.authorizer()).await.is_err());
    assert!(scene.tenants.get(shop).unwrap().is_active());
    assert_eq!(scene.work_left().await, 1, "it comes again");
    scene.sql("DROP TRIGGER full").await;
    scene.settle().await;
    assert!(matches!(scene.tenants.get(shop).unwrap().state, TenantState::Revoked { .. }));
    assert_eq!((scene.work_left().await, scene.audited(Action::TenantRevoked).await), (0, 1));
}

#[tokio::test]
async fn a_refresh_under_way_does_not_bring_a_deleted_tenants_tokens_back() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.platform.close_gate();
    let asking = scene.ask(shop);
    scene.called("authorizer", 1).await;
    scene.suspend(shop, "leaves").await;
    scene.tenants.delete(shop, "wxa").await.unwrap();
    scene.platform.open_gate();
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(error, TokenError::Unknown(_)), "{error}");
    assert_eq!(scene.number("SELECT count(*) FROM tokens WHERE tenant_id = 1").await, 0);
    // Whatever an older host left there goes with the rest.
    scene
        .sql("INSERT INTO tokens (tenant_id, kind, version, issued_at, refresh_at, expires_at) VALUES (1, 'access', 0, 0, 0, 0)")
        .await;
    while scene.tenants.erase(shop).await.unwrap() > 0 {}
    assert_eq!(scene.number("SELECT count(*) FROM tokens WHERE tenant_id = 1").await, 0);
}

#[tokio::test]
async fn a_token_that_could_not_be_stored_is_let_go_when_its_tenant_is_deleted() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.sql("CREATE TRIGGER full BEFORE UPDATE OF access ON tokens WHEN new.kind = 'access' BEGIN SELECT raise(ABORT, 'disk full'); END").await;
    scene.token(shop).await.unwrap();
    scene.suspend(shop, "leaves").await;
    scene.tenants.delete(shop, "wxa").await.unwrap();
    scene.sql("DROP TRIGGER full").await;
    // The same appid comes anew, and its tokens are its own.
    let anew = scene.authorized("wxa").await.id;
    scene.token(anew).await.unwrap();
    assert_eq!(scene.number("SELECT count(*) FROM tokens WHERE kind = 'access'").await, 1);
}

#[tokio::test]
async fn what_to_do_fits_the_kind_of_shop() {
    let scene = scene().await;
    let component = scene.authorized("wxa").await.id;
    let own = scene.tenants.create(self_built("wxown")).await.unwrap().id;
    let told = |id| scene.tenants.get(id).unwrap().what_to_do().unwrap();
    for (id, helps_by_link) in [(component, true), (own, false)] {
        // The platform refuses what the shop's token is asked with.
        scene.platform.refused_refresh.lock().unwrap().push("refresh-0".into());
        scene.platform.accounts.authorize("wxa", &[131], 1);
        scene.platform.accounts.by_appid.lock().unwrap().get_mut("wxa").unwrap().refresh = "refresh-0".into();
        if !helps_by_link {
            scene.platform.fail_next(IssueError::Invalid { code: 42007, message: "void".into() });
        }
        assert!(matches!(scene.token(id).await.unwrap_err(), TokenError::Reauthorize { .. }));
        let text = told(id);
        assert!(
            text.en.contains("set the state to active") || text.en.contains("Set the state to active"),
            "{}",
            text.en
        );
        assert!(text.zh.contains("active") && text.zh.contains("PATCH") != helps_by_link, "{}", text.zh);
        assert_eq!(text.en.contains("/api/v1/authorizations"), helps_by_link, "{}", text.en);
        let state = Some(StateChange::Revoked { reason: "platform-61003".into() });
        scene.tenants.update(id, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
        assert_eq!(told(id).en.contains("/api/v1/authorizations"), helps_by_link, "{}", told(id).en);
    }
}
