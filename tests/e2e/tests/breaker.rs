//! The platform fails for a shop: its calls are held back but for probes, its callbacks are taken as ever, and the operator is
//! told. Calls are counted; no time is measured.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use fangshi_e2e::{Scene, until};
use fangshi_harness::Admin;
use fangshi_platform::{Fault, NewOrder, Platform, PushState, Step, Target};
use reqwest::Method;
use serde_json::json;

const NOTE: &str = "changemerchantnotes";

/// A metric without labels; 0 if it was not told yet.
async fn metric(admin: &Admin, name: &str) -> u64 {
    let (_, text) = admin.call(Method::GET, "/metrics", None).await.unwrap();
    let text = text.as_str().unwrap().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.trim().parse::<f64>().unwrap() as u64)
}

fn paid(platform: &Platform, appid: &str, count: usize) -> Vec<String> {
    let pay = |_| {
        let order = platform.add_order(appid, NewOrder::default()).unwrap();
        platform.drive(&order, Step::Pay).unwrap();
        order
    };
    (0..count).map(pay).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_platform_is_left_alone_but_for_probes_and_its_callbacks_are_taken() {
    let scene = Scene::start("one-effect", &["notes"], json!({})).await.unwrap();
    let Scene { platform, host, admin, appid, tenant, folder: _folder } = scene;
    platform.fail_next(Target::shop(&appid), u64::MAX, Fault::Status { status: 503 });
    let orders = paid(&platform, &appid, 10);
    until("the breaker does not open", async || (metric(&admin, "fangshi_breakers_open").await == 1).then_some(()))
        .await;
    // Of orders that come now, a probe is all that is sent: one whenever the breaker was open for long enough.
    let opened = metric(&admin, "fangshi_breaker_opened_total").await;
    let later = paid(&platform, &appid, 10);
    platform.drained().await;
    let pushes = platform.ledger().pushes;
    let of_orders: Vec<_> = pushes.iter().filter(|push| push.order_id().is_some()).collect();
    assert!(!of_orders.is_empty() && of_orders.iter().all(|push| push.state == PushState::Delivered));
    let sent = platform
        .ledger()
        .calls_of(NOTE)
        .iter()
        .filter(|call| later.iter().any(|o| call.order_id.as_ref() == Some(o)))
        .count();
    let probes = metric(&admin, "fangshi_breaker_opened_total").await - opened + 1;
    assert!(sent as u64 <= probes, "{sent} calls for {probes} probes");

    let told = until("nobody is told", async || {
        let alerts = admin.get("/api/v1/alerts").await.unwrap();
        alerts["items"].as_array().unwrap().iter().find(|alert| alert["kind"] == "breaker-open").cloned()
    })
    .await;
    assert_eq!(told["tenant"], json!(tenant));
    let ledger = platform.ledger();
    assert!(orders.iter().chain(&later).all(|order| ledger.applied_on(order).is_empty()));
    host.terminate().unwrap();
}
