//! Tokens: one refresh for everybody, and none that gets lost.

use std::sync::Arc;

use fangshi_database::{Clock, TenantId};
use tokio::task::JoinHandle;

use super::{database, kek, scene, secret, tenants_of};
use crate::{AccessToken, IssueError, Issuer, Tenants, TokenError};

pub(super) const HOUR_MS: i64 = 3_600_000;

pub(super) fn ask(
    tenants: &Tenants,
    tenant: TenantId,
    issuer: &Arc<dyn Issuer>,
) -> JoinHandle<Result<AccessToken, TokenError>> {
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
