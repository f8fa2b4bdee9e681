//! A clock that jumps: machines are corrected, suspended and moved.

use std::sync::Arc;

use fangshi_database::{Digest, InstallationId};

use super::scene;
use crate::{Begun, DecodeAsk, IssueError, ShownAddress, TokenError};

const DAY_MS: i64 = 86_400_000;

#[tokio::test]
async fn a_lease_from_the_future_holds_nobody_up() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    // Taken by a process that is dead now, by a clock that was a day ahead.
    scene
        .sql("UPDATE tokens SET lease_owner = 'dead', lease_until = 1767225600000 + 86400000 + 30000 WHERE tenant_id = 1")
        .await;
    assert_eq!(scene.token(shop).await.unwrap().version, 2);
    assert_eq!(scene.platform.count("authorizer"), 1);
}

#[tokio::test]
async fn a_lease_of_a_decode_from_the_future_holds_nobody_up() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let ask = DecodeAsk {
        tenant: shop,
        installation: InstallationId(1),
        order_id: "o1".into(),
        address: ShownAddress { mark: Digest::of(b"a"), number_until: None },
    };
    scene.hand.advance(DAY_MS);
    let Begun::Live(_dead) = scene.tenants.decodes().begin(&ask).await.unwrap() else { panic!() };
    scene.hand.advance(-DAY_MS);
    assert!(matches!(scene.tenants.decodes().begin(&ask).await.unwrap(), Begun::Live(_)));
}

#[tokio::test]
async fn the_rest_after_a_failure_ends_though_the_clock_goes_back() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.platform.fail_next(IssueError::Unavailable("connection reset".into()));
    assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Unavailable(_)));
    scene.hand.advance(-DAY_MS);
    assert!(scene.token(shop).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_goes_ahead_and_back_costs_one_refresh_each_and_loses_nothing() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let first = scene.token(shop).await.unwrap();
    scene.hand.advance(365 * DAY_MS);
    // The ticket is over by that clock; the platform pushes one every ten minutes.
    let ticket = super::secret("ticket-2");
    scene.tenants.custody().keep_ticket(ticket, scene.clock.now_s()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(scene.token(shop).await.unwrap().version, first.version + 1);
    }
    scene.hand.advance(-365 * DAY_MS);
    // It seems to live for a year. The platform says otherwise, and that is believed.
    let long = scene.token(shop).await.unwrap();
    assert_eq!(long.version, first.version + 1);
    scene.tenants.custody().invalidate(shop, long.version).await;
    assert_eq!(scene.token(shop).await.unwrap().version, first.version + 2);
    assert_eq!(scene.platform.count("authorizer"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_refusals_of_one_version_make_one_refresh() {
    let scene = Arc::new(scene().await);
    let shop = scene.authorized("wxa").await.id;
    for round in 1..=5 {
        let refused = scene.token(shop).await.unwrap().version;
        assert_eq!(refused, round + 1);
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let scene = Arc::clone(&scene);
                tokio::spawn(async move {
                    scene.tenants.custody().invalidate(shop, refused).await;
                    scene.token(shop).await.unwrap().version
                })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), refused + 1);
        }
        assert_eq!(scene.platform.count("authorizer") as i64, round + 1);
    }
}
