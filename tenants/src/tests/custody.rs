//! Tokens: one refresh for everybody, and none that gets lost.

use std::sync::Arc;

use fangshi_database::{Clock, TenantId};
use tokio::task::JoinHandle;

use super::{authorized, database, kek, scene, secret, self_built, tenants_of};
use crate::{
    AccessToken, Action, AuditFilter, CallbackKeys, IssueError, Issuer, StateChange, TenantPatch, TenantState, Tenants,
    TokenError,
};

const HOUR_MS: i64 = 3_600_000;

fn ask(tenants: &Tenants, tenant: TenantId, issuer: &Arc<dyn Issuer>) -> JoinHandle<Result<AccessToken, TokenError>> {
    let (tenants, issuer) = (tenants.clone(), Arc::clone(issuer));
    tokio::spawn(async move { tenants.custody().access_token(tenant, &issuer).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_make_one_call() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let asking: Vec<_> = (0..64).map(|_| scene.ask(shop)).collect();
    for task in asking {
        let token = task.await.unwrap().unwrap();
        assert_eq!((token.version, token.expose()), (2, "access-2"));
    }
    assert_eq!(scene.platform.count("component"), 1);
    assert_eq!(scene.platform.count("authorizer"), 1);
    assert_eq!(scene.platform.last(), "authorizer component-1 refresh-0");
    assert_eq!(scene.token(shop).await.unwrap().expose(), "access-2", "from memory");
    assert_eq!(scene.platform.count(""), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_make_one_call() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    // A second host on the same file, with a writer and readers of its own: only a test may take the lock away.
    std::fs::remove_file(scene.dir.path().join("fangshi.lock")).unwrap();
    let second_db = database(scene.dir.path()).await;
    let second = tenants_of(&second_db, &scene.clock).await;
    for round in 1..=3 {
        scene.platform.close_gate();
        let asking: Vec<_> =
            (0..64).map(|n| ask(if n % 2 == 0 { &scene.tenants } else { &second }, shop, &scene.issuer())).collect();
        scene.called("authorizer", round).await;
        // Longer than the others need to look several times.
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        scene.platform.open_gate();
        let mut versions = std::collections::BTreeSet::new();
        for task in asking {
            versions.insert(task.await.unwrap().unwrap().version);
        }
        assert_eq!(versions.len(), 1, "round {round}");
        assert_eq!(scene.platform.count("authorizer"), round);
        assert_eq!(scene.platform.most_at_once.load(std::sync::atomic::Ordering::SeqCst), 1);
        scene.hand.advance(3 * HOUR_MS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_race_for_the_lease_without_a_gate() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let mut processes = vec![];
    for _ in 0..6 {
        processes.push(tenants_of(&scene.db, &scene.clock).await);
    }
    for round in 1..=10 {
        scene.tenants.custody().keep_ticket(secret("ticket"), scene.clock.now_s()).await.unwrap();
        let asking: Vec<_> = (0..60).map(|n| ask(&processes[n % processes.len()], shop, &scene.issuer())).collect();
        for task in asking {
            task.await.unwrap().unwrap();
        }
        assert_eq!(scene.platform.count("authorizer"), round);
        scene.hand.advance(3 * HOUR_MS);
    }
}

#[tokio::test]
async fn near_its_end_one_caller_refreshes_and_the_others_go_on() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let old = scene.token(shop).await.unwrap();
    // Past 85 % of 7200 s, before 100 %.
    scene.hand.advance(6_500_000);
    scene.platform.close_gate();
    let ahead = scene.ask(shop);
    scene.called("authorizer", 2).await;
    for _ in 0..10 {
        assert_eq!(scene.token(shop).await.unwrap().version, old.version, "nobody else waits");
    }
    scene.platform.open_gate();
    assert_eq!(ahead.await.unwrap().unwrap().version, old.version + 1);
    assert_eq!(scene.token(shop).await.unwrap().version, old.version + 1);
    assert_eq!(scene.platform.count("authorizer"), 2);
}

#[tokio::test]
async fn a_failure_ahead_of_time_harms_nobody() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let old = scene.token(shop).await.unwrap();
    scene.hand.advance(6_700_000);
    // Both the component's token and the shop's are due.
    scene.platform.fail_next(IssueError::Unavailable("connection reset".into()));
    scene.platform.fail_next(IssueError::Unavailable("connection reset".into()));
    for _ in 0..5 {
        assert_eq!(scene.token(shop).await.unwrap().version, old.version);
    }
    assert_eq!(scene.platform.count("authorizer"), 2, "one attempt, then a rest");
    scene.hand.advance(1_000);
    assert_eq!(scene.token(shop).await.unwrap().version, old.version + 1);
}

#[tokio::test]
async fn a_platform_in_trouble_is_left_alone_for_a_moment() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.token(shop).await.unwrap();
    scene.hand.advance(3 * HOUR_MS);
    for expected in [2, 3] {
        // The component's token has ended as well; it comes first.
        scene.platform.fail_next(IssueError::Unavailable("connection reset".into()));
        for _ in 0..20 {
            assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Unavailable(_)));
        }
        assert_eq!(scene.platform.count("component"), expected, "20 callers, one attempt");
        scene.hand.advance(2_000);
    }
    assert!(scene.token(shop).await.is_ok());
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_left_alone_until_it_opens() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let old = scene.token(shop).await.unwrap();
    scene.hand.advance(6_300_000);
    let limited = |hours: i64| IssueError::Limited {
        code: 45009,
        message: "daily quota used up".into(),
        until: scene.clock.now() + hours * HOUR_MS,
    };
    // Ahead of time: the old one is used to its end, and nobody asks meanwhile.
    scene.platform.fail_next(limited(8));
    for _ in 0..5 {
        assert_eq!(scene.token(shop).await.unwrap().version, old.version);
        scene.hand.advance(61_000);
    }
    assert_eq!(scene.platform.count("authorizer"), 2);
    scene.hand.advance(HOUR_MS);
    for _ in 0..5 {
        // Tickets come every ten minutes: they open no quota.
        scene.tenants.custody().keep_ticket(secret("ticket"), scene.clock.now_s()).await.unwrap();
        let error = scene.token(shop).await.unwrap_err();
        assert!(matches!(error, TokenError::Unavailable(_)), "{error}");
        scene.hand.advance(600_000);
    }
    assert_eq!(scene.platform.count("authorizer"), 2);
    scene.hand.advance(7 * HOUR_MS);
    scene.tenants.custody().keep_ticket(secret("ticket"), scene.clock.now_s()).await.unwrap();
    // The component's own calls as well.
    scene.platform.fail_next(limited(4));
    let calls = scene.platform.count("component");
    for _ in 0..5 {
        assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Unavailable(_)));
        scene.hand.advance(120_000);
        scene.tenants.custody().keep_ticket(secret("ticket"), scene.clock.now_s()).await.unwrap();
    }
    assert_eq!(scene.platform.count("component"), calls + 1);
    scene.hand.advance(4 * HOUR_MS);
    assert_eq!(scene.token(shop).await.unwrap().version, old.version + 1);
}

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
async fn a_caller_that_gives_up_does_not_lose_the_platforms_answer() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.platform.close_gate();
    let caller = scene.ask(shop);
    scene.called("authorizer", 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    scene.platform.open_gate();
    assert_eq!(scene.token(shop).await.unwrap().expose(), "access-2");
    assert_eq!(scene.platform.count("authorizer"), 1);
}

#[tokio::test]
async fn a_stop_waits_for_the_refresh_under_way_and_begins_none() {
    let scene = scene().await;
    let (shop, other) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    scene.platform.close_gate();
    let caller = scene.ask(shop);
    scene.called("authorizer", 1).await;
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
    let shop = scene.authorized("wxa").await.id;
    scene.platform.close_gate();
    let caller = scene.ask(shop);
    scene.called("authorizer", 1).await;
    let patch = TenantPatch { refresh_token: Some(secret("refresh-new")), ..TenantPatch::default() };
    scene.tenants.update(shop, patch).await.unwrap();
    scene.platform.open_gate();
    let token = caller.await.unwrap().unwrap();
    assert!(scene.platform.last().ends_with("refresh-new"), "{}", scene.platform.last());
    assert_eq!(token.expose(), "access-3");
    assert_eq!(scene.token(shop).await.unwrap().version, token.version);
}

#[tokio::test]
async fn a_refresh_token_that_came_too_late_for_its_row_is_set_aside_and_told_of() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.platform.close_gate();
    let caller = scene.ask(shop);
    scene.called("authorizer", 1).await;
    let patch = TenantPatch { refresh_token: Some(secret("refresh-new")), ..TenantPatch::default() };
    scene.tenants.update(shop, patch).await.unwrap();
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

#[tokio::test]
async fn a_component_token_that_went_stale_is_replaced_once() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let other = scene.authorized("wxb").await.id;
    scene.token(shop).await.unwrap();
    scene.platform.fail_next(IssueError::Refused { code: 42001, message: "access_token expired".into() });
    assert!(scene.token(other).await.is_ok());
    assert_eq!(scene.platform.count("component"), 2);
    // A platform that goes on refusing is not asked forever.
    let third = scene.authorized("wxc").await.id;
    *scene.platform.refuse_component.lock().unwrap() = true;
    let error = scene.token(third).await.unwrap_err();
    assert!(matches!(error, TokenError::Refused { code: 42001, .. }), "{error}");
    assert_eq!(scene.platform.count("component"), 3);
}

#[tokio::test]
async fn without_component_or_ticket_the_error_says_so() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.hand.advance(13 * HOUR_MS);
    let error = scene.token(shop).await.unwrap_err();
    assert!(matches!(error, TokenError::Component(_)) && error.to_string().contains("ticket"), "{error}");
    // An old push that arrives late changes nothing; a new one does.
    scene.tenants.custody().keep_ticket(secret("old"), scene.clock.now_s() - 14 * 3600).await.unwrap();
    assert!(scene.token(shop).await.is_err());
    scene.tenants.custody().keep_ticket(secret("new"), scene.clock.now_s()).await.unwrap();
    scene.hand.advance(60_000);
    scene.token(shop).await.unwrap();
    let calls = scene.platform.calls.lock().unwrap().clone();
    assert_eq!(calls.iter().find(|call| call.starts_with("component")).map(String::as_str), Some("component new"));
    assert_eq!(scene.platform.count("push-ticket"), 1, "asked for once");

    let bare = Tenants::open(scene.db.clone(), kek(), None, Clock::system()).await.unwrap();
    bare.custody().invalidate(shop, 2).await;
    let error = bare.custody().access_token(shop, &scene.issuer()).await.unwrap_err();
    assert!(matches!(error, TokenError::Component(_)) && error.to_string().contains("component_appid"), "{error}");
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

#[tokio::test]
async fn tickets_are_asked_for_once_in_ten_minutes_by_all_processes() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    assert!(!scene.tenants.custody().ask_for_ticket(&scene.issuer()).await, "there is one");
    scene.hand.advance(13 * HOUR_MS);
    let health = scene.tenants.custody().component_health().await.unwrap().unwrap();
    assert!(!health.ticket_good && health.ticket_asked_at == 0);
    let second = tenants_of(&scene.db, &scene.clock).await;
    let (one, two) = tokio::join!(async { scene.tenants.custody().ask_for_ticket(&scene.issuer()).await }, async {
        second.custody().ask_for_ticket(&scene.issuer()).await
    });
    assert!(one != two, "one of the two");
    for _ in 0..3 {
        assert!(scene.token(shop).await.is_err());
        scene.hand.advance(61_000);
    }
    assert_eq!(scene.platform.count("push-ticket"), 1);
    scene.hand.advance(600_000);
    assert!(scene.token(shop).await.is_err());
    assert_eq!(scene.platform.count("push-ticket"), 2);
    scene.tenants.custody().keep_ticket(secret("new"), scene.clock.now_s()).await.unwrap();
    assert!(scene.tenants.custody().component_health().await.unwrap().unwrap().ticket_good);
    // A ticket that the platform does not take is as good as none.
    scene.hand.advance(600_000);
    scene.platform.fail_next(IssueError::Refused { code: 61006, message: "ticket invalid".into() });
    assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Component(_)));
    assert_eq!(scene.platform.count("push-ticket"), 3);
}
