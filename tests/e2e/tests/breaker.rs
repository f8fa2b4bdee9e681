//! The platform fails for a shop: its calls are held back but for probes, its callbacks are taken as ever, and the operator is
//! told. Calls are counted; no time is measured.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use fangshi_e2e::{Scene, until};
use fangshi_harness::Admin;
use fangshi_platform::{Fault, NewOrder, Platform, PushState, Step, Target};
use reqwest::Method;
use serde_json::{Value, json};

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

/// The shop's breaker: its state, and how many calls failed in a row. While it is open, each that fails is a probe.
async fn breaker(admin: &Admin, tenant: &str) -> (String, u64) {
    let standing = admin.get(&format!("/api/v1/tenants/{tenant}/platform")).await.unwrap();
    (standing["breaker"].as_str().unwrap().to_owned(), standing["failures"].as_u64().unwrap())
}

/// The number of an id, as in `e17`.
fn number(id: &Value) -> u64 {
    id.as_str().unwrap()[1..].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_a_failing_platform_goes_through_once_and_in_order_when_it_works_again() {
    let (scene, clock) = Scene::start_with_clock("notes-each-step", &["notes"], json!({})).await.unwrap();
    let Scene { platform, host, admin, appid, tenant, folder: _folder } = scene;
    let runs = async || admin.all(&format!("/api/v1/tenants/{tenant}/runs")).await.unwrap();
    // Busy: nothing is done, and nothing in doubt, of which the plugin would hear that nobody knows.
    platform.fail_next(Target::shop(&appid), u64::MAX, Fault::Errcode { code: -1 });
    let mut orders = paid(&platform, &appid, 8);
    until("the breaker does not open", async || (breaker(&admin, &tenant).await.0 != "closed").then_some(())).await;

    // Of orders that come now the host tries one run each, and nothing is sent but probes.
    let (_, before) = breaker(&admin, &tenant).await;
    let later = paid(&platform, &appid, 8);
    until("the later orders are not tried", async || {
        let runs = runs().await;
        let tried =
            |order: &String| runs.iter().any(|run| run["order_id"] == **order && run["attempts"].as_u64().unwrap() > 0);
        later.iter().all(tried).then_some(())
    })
    .await;
    let ledger = platform.ledger();
    let sent =
        ledger.calls_of(NOTE).iter().filter(|call| later.iter().any(|o| call.order_id.as_ref() == Some(o))).count();
    let (_, after) = breaker(&admin, &tenant).await;
    assert!(sent as u64 <= after - before + 1, "{sent} calls, and {} probes failed", after - before);
    orders.extend(later);
    assert!(orders.iter().all(|order| ledger.applied_on(order).is_empty()));

    platform.heal();
    let done = until("what waited does not go through", async || {
        let runs = runs().await;
        if runs.len() == 3 * orders.len() && runs.iter().all(|run| run["state"] == "done") {
            return Some(runs);
        }
        // Time passes until every retry is due, and no further.
        let due = runs.iter().filter_map(|run| run["next_at"].as_i64()).max().unwrap_or_default() / 1_000 + 1;
        clock.show(due).unwrap();
        None
    })
    .await;
    assert_eq!(breaker(&admin, &tenant).await, ("closed".to_owned(), 0));
    assert_eq!(metric(&admin, "fangshi_breakers_open").await, 0);
    let ledger = platform.ledger();
    for order in &orders {
        let mut lane: Vec<&Value> = done.iter().filter(|run| run["order_id"] == **order).collect();
        lane.sort_by_key(|run| number(&run["event_id"]));
        let hooks: Vec<&str> = lane.iter().map(|run| run["hook"].as_str().unwrap()).collect();
        let applied = ledger.applied_on(order);
        let notes: Vec<&str> = applied.iter().map(|call| call.request["merchant_notes"].as_str().unwrap()).collect();
        assert_eq!(notes, hooks, "each once, in the order of its lane");
    }
    host.terminate().unwrap();
}
