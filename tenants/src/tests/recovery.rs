//! What a refusal of a refresh comes to: the account itself is asked before anything ends.

use super::onboarding::change;
use super::{Scene, authorized, database, scene, secret, tenants_of};
use crate::{Action, ChangeKind, IssueError, TenantId, TenantState, TokenError};

const SHOP: &str = "wxshop";

fn invalid(code: i64) -> IssueError {
    IssueError::Invalid { code, message: "refused".into() }
}

impl Scene {
    /// A shop with a token in its second version, which is taken back; the platform shows its refresh token.
    async fn shop_in_need(&self) -> TenantId {
        let shop = self.authorized(SHOP).await.id;
        let version = self.token(shop).await.unwrap().version;
        self.platform.accounts.authorize(SHOP, &[131], self.clock.now_s());
        self.platform.accounts.by_appid.lock().unwrap().get_mut(SHOP).unwrap().refresh = "refresh-2".into();
        self.tenants.custody().invalidate(shop, version).await;
        shop
    }

    fn is_active(&self, shop: TenantId) -> bool {
        self.tenants.get(shop).unwrap().is_active()
    }
}

#[tokio::test]
async fn a_question_about_the_account_that_is_refused_ends_nothing() {
    for code in [61_004, 403, 61_006, 48_001] {
        let scene = scene().await;
        let shop = scene.shop_in_need().await;
        scene.platform.refused_refresh.lock().unwrap().extend(["refresh-2".into(), "refresh-0".into()]);
        scene.platform.accounts.authorize(SHOP, &[131], scene.clock.now_s());
        let shown = scene.platform.accounts.refresh_of(SHOP);
        *scene.platform.accounts.refuses_info.lock().unwrap() =
            Some(IssueError::Refused { code, message: "no".into() });
        for _ in 0..3 {
            let error = scene.token(shop).await.unwrap_err();
            assert!(matches!(error, TokenError::Refused { code: told, .. } if told == code), "{error}");
            scene.hand.advance(60_000);
        }
        assert!(scene.is_active(shop) && scene.audited(Action::TokenRefused).await == 0, "{code}");
        *scene.platform.accounts.refuses_info.lock().unwrap() = None;
        scene.token(shop).await.unwrap();
        assert!(scene.platform.last().ends_with(&shown), "{}", scene.platform.last());
    }
}

#[tokio::test]
async fn one_wrong_refusal_of_a_refresh_stops_nobody() {
    for code in [61_003, 61_023, 42_007] {
        let scene = scene().await;
        let shop = scene.shop_in_need().await;
        scene.platform.fail_next(invalid(code));
        if code != 61_003 {
            // The one before it is refused as well.
            scene.platform.refused_refresh.lock().unwrap().push("refresh-0".into());
        }
        scene.token(shop).await.unwrap();
        assert!(scene.platform.last().ends_with("refresh-2"), "{}", scene.platform.last());
        assert_eq!(scene.platform.accounts.count("info"), 1, "{code}: the account was asked");
        assert!(scene.is_active(shop) && scene.audited(Action::TokenRefused).await == 0, "{code}");
    }
}

#[tokio::test]
async fn refusals_that_go_on_stop_a_shop_but_61003_does_not_while_the_account_is_granted() {
    for code in [61_003, 61_023, 42_007] {
        let scene = scene().await;
        let shop = scene.shop_in_need().await;
        for _ in 0..3 {
            scene.platform.fail_next(invalid(code));
        }
        let error = scene.token(shop).await.unwrap_err();
        assert_eq!(matches!(error, TokenError::Refused { code: 61_003, .. }), code == 61_003, "{error}");
        assert_eq!(matches!(error, TokenError::Reauthorize { code: told, .. } if told == code), code != 61_003);
        assert_eq!(scene.is_active(shop), code == 61_003);
        assert_eq!(scene.audited(Action::TokenRefused).await, usize::from(code != 61_003));
    }
}

#[tokio::test]
async fn a_shop_without_a_refresh_token_gets_the_one_that_the_platform_shows() {
    let scene = scene().await;
    let shop = scene.tenants.create(authorized(SHOP, Some("given"), None)).await.unwrap().id;
    scene.platform.accounts.authorize(SHOP, &[131], scene.clock.now_s());
    let version = scene.token(shop).await.unwrap().version;
    scene.tenants.custody().invalidate(shop, version).await;
    scene.token(shop).await.unwrap();
    let shown = scene.platform.accounts.refresh_of(SHOP);
    assert!(scene.platform.last().ends_with(&shown), "{}", scene.platform.last());
    assert!(scene.is_active(shop));
    assert_eq!(scene.audited(Action::TokenRecovered).await, 1);
}

#[tokio::test]
async fn a_shop_that_wrong_answers_stopped_comes_back_by_the_list() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let shop = scene.tenants.by_appid(SHOP).unwrap().id;
    scene.token(shop).await.unwrap();
    *scene.platform.accounts.refuses_info.lock().unwrap() = Some(invalid(61_003));
    scene.hand.advance(3 * 3_600_000);
    scene.tenants.custody().keep_ticket(secret("ticket"), scene.clock.now_s()).await.unwrap();
    scene.platform.fail_after(1, invalid(61_003));
    assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Reauthorize { code: 61_003, .. }));
    assert!(matches!(scene.tenants.get(shop).unwrap().state, TenantState::Revoked { .. }));
    *scene.platform.accounts.refuses_info.lock().unwrap() = None;
    assert_eq!(scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap().news, 1);
    assert_eq!(scene.settle().await, [shop]);
    assert!(scene.is_active(shop));
    scene.token(shop).await.unwrap();
    assert_eq!(scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap().news, 0);
}

#[tokio::test]
async fn the_list_does_not_revive_a_shop_with_the_token_that_was_refused() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let shop = scene.tenants.by_appid(SHOP).unwrap().id;
    scene.platform.refused_refresh.lock().unwrap().push(scene.platform.accounts.refresh_of(SHOP));
    assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Reauthorize { code: 61_023, .. }));
    assert_eq!(scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap().news, 0);
    // Authorized anew: another token, in whatever second.
    scene.platform.accounts.authorize(SHOP, &[131], scene.clock.now_s());
    assert_eq!(scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap().news, 1);
    assert_eq!(scene.settle().await, [shop]);
    scene.token(shop).await.unwrap();
}

#[tokio::test]
async fn beside_a_call_without_an_answer_nobody_asks_until_the_lease_is_over() {
    let scene = scene().await;
    let shop = scene.shop_in_need().await;
    std::fs::remove_file(scene.dir.path().join("fangshi.lock")).unwrap();
    let second = tenants_of(&database(scene.dir.path()).await, &scene.clock).await;
    scene.platform.fail_next(IssueError::Unanswered("no answer within 10 s".into()));
    let begun = scene.clock.now();
    for passed in [0, 5_000, 29_999] {
        scene.hand.set(begun + passed);
        assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Unavailable(_)));
        // A new ticket and the like do not change that.
        scene.tenants.custody().planted(shop, None);
    }
    assert_eq!(scene.platform.count("authorizer"), 2, "the first token, and the call without an answer");
    assert_eq!(scene.number("SELECT lease_until FROM tokens WHERE kind = 'access'").await, begun + 30_000);
    let issuer = scene.issuer();
    let other = tokio::spawn(async move { second.custody().access_token(shop, &issuer).await });
    scene.hand.set(begun + 30_000);
    let token = other.await.unwrap().unwrap();
    assert_eq!(scene.token(shop).await.unwrap().version, token.version);
    assert_eq!(scene.platform.count("authorizer"), 3);
}

#[tokio::test]
async fn a_shop_that_hears_61003_while_it_is_granted_makes_no_endless_work() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let shop = scene.tenants.by_appid(SHOP).unwrap().id;
    let (asked, told) = (scene.platform.accounts.count("info"), scene.audited(Action::TenantAuthorized).await);
    let changed = "SELECT updated_at FROM tenants";
    let written = scene.number(changed).await;
    // Every half minute for half an hour.
    for _ in 0..60 {
        scene.tenants.onboarding().doubt(shop).await.unwrap();
        while scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap().handled > 0 {}
        scene.hand.advance(30_000);
        scene.tenants.custody().keep_ticket(secret("ticket"), scene.clock.now_s()).await.unwrap();
    }
    assert_eq!(scene.platform.accounts.count("info"), asked + 3, "once in ten minutes");
    assert_eq!(scene.audited(Action::TenantAuthorized).await, told, "nothing changed");
    assert_eq!(scene.number(changed).await, written);
    assert!(scene.is_active(shop));
}

#[tokio::test]
async fn the_hosts_clock_drops_no_word_of_the_platform() {
    // The host's clock is an hour ahead, or behind: the redirect has no other time.
    for skew_s in [3_600, -3_600] {
        let scene = scene().await;
        let link = scene.begin_for(None).await;
        let at = scene.clock.now_s() - skew_s;
        let code = scene.platform.accounts.authorize(SHOP, &[131], at);
        scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
        scene.settle().await;
        let shop = scene.tenants.by_appid(SHOP).unwrap().id;
        // An end from before, pushed late, ends nothing.
        scene.event(change(ChangeKind::Unauthorized, at - 10, None, None)).await;
        scene.settle().await;
        assert!(scene.is_active(shop), "{skew_s}");
        // The true one is heard.
        scene.platform.accounts.revoke(SHOP);
        scene.event(change(ChangeKind::Unauthorized, at + 60, None, None)).await;
        scene.settle().await;
        assert!(matches!(scene.tenants.get(shop).unwrap().state, TenantState::Revoked { .. }), "{skew_s}");
    }
}
