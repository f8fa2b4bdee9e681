//! The platform's own deadlines: known in time, and told in time.
#![allow(
    unused_braces,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking; the macro of scripts brings its own braces"
)]
#![allow(clippy::await_holding_lock, reason = "locks of the test's own ledgers, which nobody else takes meanwhile")]

mod rig;

use std::sync::atomic::Ordering;

use fangshi_journal::{AlertKind, RunState};
use fangshi_lanes::Standing;
use fangshi_runtime::Outcome;
use rig::{ORDER, Rig};
use serde_json::json;

const EXT_INFO: &str = "channels_ec_order_ext_info_update";
const SKU_WISH: Option<i64> = Some(9);

/// Runs whose deadline is still looked for.
const LOOKED_FOR: &str = "SELECT COUNT(*) FROM runs WHERE deadline_look_at IS NOT NULL";
const TOLD: &str = "SELECT COUNT(*) FROM runs WHERE alerted_at IS NOT NULL";

/// The order shows a wish for another SKU that the platform decides about in so many seconds; gives that time.
fn wish(rig: &Rig, seconds: i64) -> i64 {
    let deadline = rig.clock.now_s() + seconds;
    let order = json!({"order_id": ORDER, "status": 20, "order_detail": {
        "product_infos": [{"sku_id": "1", "change_sku_info": {"ddl_time_stamp": deadline.to_string()}}]}});
    rig.shop.orders.lock().unwrap().insert(ORDER.into(), order);
    deadline * 1_000
}

/// The counter of alerts can't be read here, so the marks are: each run is told of once.
#[tokio::test]
async fn the_operator_is_told_before_the_platform_decides_also_of_what_is_held_or_parked() {
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    rig.install(2, false, script!(|_input, _host| Outcome::Done));
    rig.stand(2, Standing::Held);
    rig.push(EXT_INFO, ORDER, Some(4)).await;
    rig.settle().await;
    rig.lanes.sweep().await.unwrap();
    let told = "SELECT COUNT(*) FROM runs WHERE alerted_at IS NOT NULL AND state < 2";
    assert_eq!(rig.count(told).await, 0, "ten hours are left");
    rig.advance(10 * 3_600 + 60).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!(rig.count(told).await, 1);
    let near = rig.journal.near_deadlines(i64::MAX, 10).await.unwrap();
    assert!(near.is_empty(), "told once: {near:?}");
}

#[tokio::test]
async fn a_wish_for_another_sku_takes_its_deadline_from_the_order() {
    let rig = Rig::new().await;
    let deadline = rig.clock.now_s() + 5_000;
    rig.shop.orders.lock().unwrap().insert(
        ORDER.into(),
        json!({"order_id": ORDER, "status": 20, "order_detail": {
        "product_infos": [{"sku_id": "1", "change_sku_info": {"ddl_time_stamp": deadline.to_string()}}]}}),
    );
    // The plugin itself reads no order.
    rig.install(1, false, script!(|_input, _host| Outcome::RetryLater { reason: "ask".into(), after: Some(3_600) }));
    rig.push(EXT_INFO, ORDER, SKU_WISH).await;
    rig.settle().await;
    assert_eq!(rig.runs().await[0].deadline_at, Some(deadline * 1_000));
    assert!(!rig.ran()[0].had_order);
    let near = rig.journal.near_deadlines(deadline * 1_000, 10).await.unwrap();
    assert_eq!(near.len(), 1);
    assert_eq!((near[0].tenant, near[0].state), (rig.tenant, RunState::Waiting));
}

/// A run with a deadline whose installation is held, and that deadline.
async fn held() -> (Rig, i64) {
    let rig = Rig::new().await;
    let deadline_at = wish(&rig, 5 * 3_600);
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    rig.stand(1, Standing::Held);
    rig.push(EXT_INFO, ORDER, SKU_WISH).await;
    rig.settle().await;
    (rig, deadline_at)
}

#[tokio::test]
async fn the_deadline_of_a_run_that_is_held_is_looked_for_and_told() {
    let (rig, deadline_at) = held().await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 0, "its own attempt may read the order first");
    rig.advance(61).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!(rig.runs().await[0].deadline_at, Some(deadline_at));
    assert_eq!((rig.count(TOLD).await, rig.count(LOOKED_FOR).await), (0, 0));
    rig.advance(3 * 3_600).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!(rig.count(TOLD).await, 1);
    assert_eq!((rig.shop.reads.load(Ordering::SeqCst), rig.ran().len()), (1, 0), "read once, and shown to no plugin");
}

#[tokio::test]
async fn an_order_that_cannot_be_read_for_its_deadline_is_told_once_and_tried_again() {
    let (rig, deadline_at) = held().await;
    rig.shop.reads_fail.store(2, Ordering::SeqCst);
    rig.advance(61).await;
    for _ in 0..3 {
        rig.lanes.sweep().await.unwrap();
    }
    assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 1, "not at every sweep");
    assert_eq!((rig.count(TOLD).await, rig.count(LOOKED_FOR).await), (1, 1));
    rig.advance(600).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!((rig.count(TOLD).await, rig.count(LOOKED_FOR).await), (1, 1));
    let alerts = rig.journal.alerts(None, 9).await.unwrap();
    assert_eq!(alerts.len(), 1, "an alert, and not at every look: {alerts:?}");
    assert_eq!((alerts[0].kind, alerts[0].tenant, alerts[0].count), (AlertKind::DeadlineNear, rig.tenant, 1));
    assert_eq!(alerts[0].subject, rig.runs().await[0].id.to_string());
    rig.advance(600).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!(rig.runs().await[0].deadline_at, Some(deadline_at));
    assert_eq!((rig.count(TOLD).await, rig.count(LOOKED_FOR).await), (0, 0), "to be told again when it is near");
}

#[tokio::test]
async fn a_clock_that_was_ahead_puts_no_look_off() {
    let (rig, deadline_at) = held().await;
    let now = rig.clock.now();
    rig.shop.reads_fail.store(1, Ordering::SeqCst);
    rig.advance(2 * 86_400).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!(rig.count(LOOKED_FOR).await, 1, "it could not be read");
    rig.hand.set(now);
    rig.lanes.sweep().await.unwrap();
    assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 2);
    assert_eq!((rig.runs().await[0].deadline_at, rig.count(LOOKED_FOR).await), (Some(deadline_at), 0));
}

#[tokio::test]
async fn nobody_looks_for_a_deadline_that_is_known_or_not_needed() {
    let rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    // The attempt's own look fails, the plugin needs no order, and the run is done.
    rig.shop.reads_fail.store(1, Ordering::SeqCst);
    rig.push(EXT_INFO, ORDER, SKU_WISH).await;
    rig.settle().await;
    assert_eq!((rig.states().await, rig.count(LOOKED_FOR).await), (vec![RunState::Done], 0));
    // Other types have nothing in the order, and this order shows no wish.
    rig.stand(1, Standing::Held);
    rig.push(EXT_INFO, ORDER, Some(3)).await;
    rig.push(EXT_INFO, ORDER, SKU_WISH).await;
    rig.settle().await;
    assert_eq!(rig.count(LOOKED_FOR).await, 1);
    rig.advance(61).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!((rig.count(TOLD).await, rig.count(LOOKED_FOR).await), (0, 0));
    assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn no_deadline_is_looked_for_longer_than_any_lasts() {
    let rig = Rig::new().await;
    wish(&rig, 5 * 3_600);
    rig.install(1, false, script!(|_input, _host| Outcome::Done));
    rig.stand(1, Standing::Held);
    rig.push(EXT_INFO, ORDER, SKU_WISH).await;
    rig.settle().await;
    rig.shop.reads_fail.store(9, Ordering::SeqCst);
    rig.advance(8 * 86_400 - 1).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 1);
    rig.advance(601).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!(rig.shop.reads.load(Ordering::SeqCst), 1);
}
