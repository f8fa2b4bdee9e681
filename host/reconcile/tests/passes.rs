//! Passes against the fake platform: what is listed and read, how quotas and restarts are taken, what is reported.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod rig;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fangshi_journal::{Found, Journal, KnownOrder, LaneKey, NewEvent, Noted, Reading};
use fangshi_operations::Operations;
use fangshi_platform::{By, Fault, NewOrder, Step, Target};
use fangshi_reconcile::{Listed, ReconcileConfig, Reconciler, Shop, Span};
use fangshi_tenants::{StateChange, TenantId, TenantPatch};
use rig::Rig;
use serde_json::{Value, json};

const START: i64 = 1_764_642_403;
const LIST: &str = "/channels/ec/order/list/get";
const GET: &str = "/channels/ec/order/get";

fn plenty() -> ReconcileConfig {
    ReconcileConfig { calls_per_minute: 6_000, ..ReconcileConfig::default() }
}

fn names(made: &[(String, Option<i64>)]) -> Vec<&str> {
    made.iter().map(|(event, _)| event.as_str()).collect()
}

#[tokio::test]
async fn an_order_that_nobody_told_of_is_told_whole_and_one_from_before_is_taken_as_found() {
    let rig = Rig::new(START, plenty()).await;
    let old = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.platform.drive(&old, Step::Pay).unwrap();
    rig.pass(300).await;
    rig.settle().await;
    let new = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.pass(5).await;
    rig.platform.drive(&new, Step::Pay).unwrap();
    rig.next_pass().await;
    assert!(rig.reconciled(&old).await.is_empty());
    assert_eq!(names(&rig.reconciled(&new).await), ["new", "pay", "wait_shipping"]);

    rig.platform.drive(&old, Step::ShipAll { delivery_id: "SF".into(), waybill_id: "SF326225".into() }).unwrap();
    rig.platform.drive(&new, Step::WriteNote { notes: "CANARY".into() }).unwrap();
    rig.next_pass().await;
    assert_eq!(names(&rig.reconciled(&old).await), ["deliver"]);
    assert_eq!(rig.reconciled(&new).await[3], ("ext_info_update".into(), Some(3)));
    rig.next_pass().await;
    assert_eq!(rig.events().await.len(), 5, "a pass that finds no change makes nothing");
}

#[tokio::test]
async fn an_update_waits_for_its_callback_before_it_counts() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    rig.pass(880).await;
    let order = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.pass(60).await;
    rig.settle().await;
    assert!(rig.events().await.is_empty(), "one minute is too young");
    rig.callback(&order, "new", None, rig.platform.order(&order).unwrap()["create_time"].as_i64().unwrap()).await;
    rig.next_pass().await;
    assert!(rig.reconciled(&order).await.is_empty(), "the callback told of it");
    assert!(rig.journal.known_order(&LaneKey::new(rig.tenant, &order)).await.unwrap().is_some());
}

#[tokio::test]
async fn pages_are_followed_and_a_restart_goes_on_where_it_was() {
    let mut rig = Rig::new(START, ReconcileConfig { calls_per_minute: 40, ..ReconcileConfig::default() }).await;
    rig.settle().await;
    let orders: Vec<String> =
        (0..130).map(|_| rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap()).collect();
    rig.pass(1_200).await;
    rig.reconciler.round().await;
    let under_way = rig.standing().await.incremental.walk.expect("40 calls are not enough for 130 orders");
    assert!(under_way.read >= 30 && !under_way.pending.is_empty());
    rig.restart();
    let standing = rig.settle().await;
    let last = standing.incremental.last.unwrap();
    assert_eq!((last.begun_at, last.outcome.as_str(), last.listed), (under_way.begun_at, "done", 130));
    assert_eq!((last.read, last.made), (130, 130));
    for order in &orders {
        assert_eq!(names(&rig.reconciled(order).await), ["new"]);
    }
    let ledger = rig.platform.ledger();
    let lists = ledger.calls_of("getorderlist");
    assert!(lists.iter().all(|call| call.request["page_size"] == 100));
    assert!(lists.iter().any(|call| call.request["next_key"].as_str().is_some_and(|key| !key.is_empty())));
}

#[tokio::test]
async fn a_used_up_quota_stops_all_calls_until_it_is_new() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let order = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.platform.configure(|settings| settings.daily_quota = [(GET.to_owned(), 0)].into());
    rig.pass(1_000).await;
    rig.reconciler.round().await;
    let until = rig.standing().await.paused_until;
    let midnight = (rig.clock.now_s() + 8 * 3_600).div_euclid(86_400) * 86_400 + 86_400 - 8 * 3_600;
    assert_eq!(until, midnight * 1_000 + rig.clock.now() % 1_000, "the platform's days end at midnight in Beijing");
    let calls = || rig.platform.ledger().calls.len();
    let before = calls();
    rig.pass(3_600).await;
    rig.reconciler.round().await;
    assert_eq!(calls(), before, "nothing is asked meanwhile");
    rig.platform.configure(|settings| settings.daily_quota.clear());
    rig.advance_to(midnight + 1).await;
    rig.settle().await;
    assert_eq!(names(&rig.reconciled(&order).await), ["new"], "and the pass goes on");
}

#[tokio::test]
async fn a_failing_platform_delays_a_pass_and_a_refused_one_ends() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let order = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.platform.fail_next(Target::path(LIST), 1, Fault::Errcode { code: -1 });
    rig.platform.fail_next(Target::path(GET), 1, Fault::Errcode { code: -1 });
    rig.pass(1_000).await;
    rig.reconciler.round().await;
    assert!(rig.standing().await.incremental.walk.is_some());
    rig.settle().await;
    assert_eq!(names(&rig.reconciled(&order).await), ["new"]);

    rig.platform.drive(&order, Step::Pay).unwrap();
    rig.platform.fail_next(Target::path(LIST), 1, Fault::Errcode { code: 48001 });
    let refused = rig.next_pass().await;
    assert_eq!(refused.incremental.last.unwrap().outcome, "permission");
    let done = rig.next_pass().await;
    assert_eq!(done.incremental.last.unwrap().outcome, "done");
    assert_eq!(names(&rig.reconciled(&order).await), ["new", "pay", "wait_shipping"], "nothing was skipped");
}

#[tokio::test]
async fn a_status_that_lags_is_read_again_instead_of_believed() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let order = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.next_pass().await;
    rig.platform.configure(|settings| settings.status_lag_s = 1_500);
    rig.platform.drive(&order, Step::Pay).unwrap();
    let paid = rig.platform.now();
    rig.callback(&order, "pay", None, paid).await;
    rig.callback(&order, "wait_shipping", None, paid).await;
    rig.next_pass().await;
    assert_eq!(rig.standing().await.later.len(), 1);
    for _ in 0..3 {
        rig.next_pass().await;
    }
    assert_eq!(names(&rig.reconciled(&order).await), ["new"]);
    assert_eq!(rig.journal.known_order(&LaneKey::new(rig.tenant, &order)).await.unwrap().unwrap().status, 20);
}

#[tokio::test]
async fn transitions_that_the_guide_does_not_have_are_reported_and_told() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let order = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.platform.drive(&order, Step::Pay).unwrap();
    rig.next_pass().await;
    rig.platform.drive(&order, Step::Oversell).unwrap();
    rig.next_pass().await;
    rig.platform.drive(&order, Step::Extra { ext_type: 99, patch: json!({"status": 20}) }).unwrap();
    rig.next_pass().await;
    let (seen, all) = rig.journal.transitions(rig.tenant, 10).await.unwrap();
    let told: Vec<_> = seen.iter().map(|it| (it.transition.from, it.transition.to, it.transition.known)).collect();
    assert_eq!((told, all), (vec![(190, 20, false), (20, 190, true)], 2));
    assert!(seen.iter().all(|it| it.order_id == order));
    let events = ["new", "pay", "wait_shipping", "cancel", "wait_shipping"];
    assert_eq!(names(&rig.reconciled(&order).await), events, "reported, not dropped");
}

#[tokio::test]
async fn only_active_tenants_are_asked_about() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let state = Some(StateChange::Suspended { reason: "operator".into() });
    rig.tenants.update(rig.tenant, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    let order = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.platform.drive(&order, Step::Cancel { by: By::User }).unwrap();
    let calls = rig.platform.ledger().calls.len();
    rig.pass(9 * 86_400).await;
    rig.reconciler.round().await;
    assert_eq!(rig.platform.ledger().calls.len(), calls);
    let state = Some(StateChange::Active);
    rig.tenants.update(rig.tenant, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    rig.settle().await;
    assert_eq!(names(&rig.reconciled(&order).await), ["new", "cancel"], "over more than the 7 days of one list");
}

/// A platform whose answer to getorder comes after the callback that it pushed meanwhile.
struct Meanwhile {
    operations: Operations,
    journal: Journal,
    callback: Mutex<Option<NewEvent>>,
}

#[async_trait::async_trait]
impl Shop for Meanwhile {
    async fn list(&self, tenant: TenantId, span: &Span) -> Result<Listed, fangshi_operations::Fault> {
        self.operations.list(tenant, span).await
    }

    async fn order(&self, tenant: TenantId, order_id: &str) -> Result<Value, fangshi_operations::Fault> {
        let order = self.operations.order(tenant, order_id).await;
        let callback = self.callback.lock().unwrap().take();
        if let Some(callback) = callback {
            self.journal.record_event(callback).await.unwrap();
        }
        order
    }
}

#[tokio::test]
async fn a_callback_that_comes_while_an_order_is_read_is_not_overlooked() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let order = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    let placed = rig.platform.now();
    rig.pass(1_000).await;
    let callback = rig.event(&order, "new", None, placed);
    let shop = Meanwhile {
        operations: rig.operations.clone(),
        journal: rig.journal.clone(),
        callback: Mutex::new(Some(callback)),
    };
    let (journal, tenants) = (rig.journal.clone(), rig.tenants.clone());
    Reconciler::new(journal, tenants, Arc::new(shop), rig.clock.clone(), rig.config.clone()).round().await;
    assert!(rig.journal.known_order(&LaneKey::new(rig.tenant, &order)).await.unwrap().is_some(), "it was read");
    assert!(rig.reconciled(&order).await.is_empty());
}

#[tokio::test]
async fn a_day_has_its_calls_and_the_full_pass_goes_on_the_next_day() {
    let config = ReconcileConfig { calls_per_day: 100, ..plenty() };
    let rig = Rig::new(START, config).await;
    let orders: Vec<String> =
        (0..90).map(|_| rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap()).collect();
    rig.pass(300).await;
    for _ in 0..4 {
        rig.reconciler.round().await;
    }
    let calls = || rig.platform.ledger().calls.iter().filter(|call| call.path == GET || call.path == LIST).count();
    assert_eq!(calls(), 75, "a quarter is left");
    rig.pass(1_000).await;
    rig.reconciler.round().await;
    assert_eq!(rig.standing().await.incremental.last.unwrap().outcome, "done", "for what was updated since");
    let midnight = (rig.clock.now_s() + 8 * 3_600).div_euclid(86_400) * 86_400 + 86_400 - 8 * 3_600;
    rig.advance_to(midnight + 1).await;
    rig.settle().await;
    let last = rig.standing().await.full.last.unwrap();
    assert_eq!((last.outcome.as_str(), last.listed, last.read), ("done", orders.len() as u32, orders.len() as u32));
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_no_tenant_waiting() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    // For one visit the host's clock is a month ahead.
    rig.set_clock(START + 30 * 86_400);
    rig.reconciler.round().await;
    rig.set_clock(START + 60);
    let order = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.pass(240).await;
    rig.settle().await;
    assert_eq!(names(&rig.reconciled(&order).await), ["new"], "placed since the first visit, and told at once");
}

#[tokio::test]
async fn a_clock_that_stays_ahead_leaves_no_change_to_the_full_pass() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let full = rig.standing().await.full.last;
    let pass = async |seconds| {
        rig.platform.advance(Duration::from_secs(seconds)).await;
        rig.set_clock(rig.platform.now() + 1_000);
        rig.reconciler.round().await;
    };
    pass(901).await;
    // Updated before the time that was listed up to, and after it was listed.
    let order = rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    pass(901).await;
    let standing = rig.standing().await;
    assert_eq!(names(&rig.reconciled(&order).await), ["new"], "{standing:?}");
    assert_eq!(standing.full.last, full);
    // The order tells how far ahead the clock is, at most.
    assert_eq!(standing.incremental.done_until_s, rig.clock.now_s() - 1_901);
}

/// A platform without orders that never answers one tenant, and tells whose list it gave to the others.
struct Deaf {
    to: TenantId,
    listed: tokio::sync::mpsc::Sender<TenantId>,
}

#[async_trait::async_trait]
impl Shop for Deaf {
    async fn list(&self, tenant: TenantId, _: &Span) -> Result<Listed, fangshi_operations::Fault> {
        if tenant == self.to {
            return std::future::pending().await;
        }
        self.listed.send(tenant).await.unwrap();
        Ok(Listed::default())
    }

    async fn order(&self, _: TenantId, _: &str) -> Result<Value, fangshi_operations::Fault> {
        unreachable!("it has none")
    }
}

#[tokio::test]
async fn a_visit_that_takes_long_holds_up_no_other_tenant() {
    let rig = Rig::new(START, plenty()).await;
    let other = rig.add_tenant().await;
    let (listed, mut lists) = tokio::sync::mpsc::channel(64);
    let shop = Arc::new(Deaf { to: rig.tenant, listed });
    let (journal, tenants) = (rig.journal.clone(), rig.tenants.clone());
    let running = Reconciler::new(journal, tenants, shop, rig.clock.clone(), rig.config.clone()).start();
    for day in 1..4 {
        assert_eq!(lists.recv().await, Some(other));
        // What is due then comes, though the first visit to the other has not ended.
        rig.set_clock(START + day * 86_400);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_comparison_that_an_event_overtook_writes_nothing() {
    let rig = Rig::new(START, plenty()).await;
    let order = LaneKey::new(rig.tenant, "3705115058471208928");
    let seen = rig.callback(&order.order_id, "new", None, START).await.seq;
    let reading = |seen| Reading {
        order: order.clone(),
        known: KnownOrder { status: 20, update_time: START, read_at: 0, seen, look_at: None, facts: json!({}) },
        found: vec![Found { event: rig.event(&order.order_id, "cancel", None, START), since: 0 }],
        transition: None,
    };
    assert_eq!(rig.journal.note_reading(reading(None)).await.unwrap(), Noted::Overtaken);
    assert_eq!(rig.events().await.len(), 1);
    assert!(rig.journal.known_order(&order).await.unwrap().is_none());
    assert_eq!(rig.journal.note_reading(reading(Some(seen))).await.unwrap(), Noted::Written(1));
    assert_eq!(rig.events().await.len(), 2);
    assert_eq!(rig.journal.reconciled(&order).await.unwrap().len(), 1);
}
