//! Orders that can't be read or compared: a pass goes on with the others, counts them, and comes back to them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod rig;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use fangshi_journal::{KnownOrder, LaneKey, Noted, Reading};
use fangshi_operations::{Class, Fault, Operations, Sent};
use fangshi_platform::{NewOrder, Step};
use fangshi_reconcile::{Listed, ReconcileConfig, Reconciler, Shop, Span};
use fangshi_tenants::TenantId;
use rig::Rig;
use serde_json::{Value, json};

const START: i64 = 1_764_642_403;

fn plenty() -> ReconcileConfig {
    ReconcileConfig { calls_per_minute: 6_000, ..ReconcileConfig::default() }
}

/// A platform whose answer about one order can't be read, for a while.
struct Garbles {
    operations: Operations,
    order_id: String,
    answers: AtomicU32,
}

#[async_trait::async_trait]
impl Shop for Garbles {
    async fn list(&self, tenant: TenantId, span: &Span) -> Result<Listed, Fault> {
        self.operations.list(tenant, span).await
    }

    async fn order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault> {
        if order_id == self.order_id && self.answers.load(Ordering::SeqCst) > 0 {
            self.answers.fetch_sub(1, Ordering::SeqCst);
            return Err(Fault::new(Class::Unreadable, Sent::Answered, "not JSON"));
        }
        self.operations.order(tenant, order_id).await
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_read_holds_up_no_pass_and_comes_again() {
    let mut rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let orders: Vec<String> =
        (0..3).map(|_| rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap()).collect();
    let shop = Arc::new(Garbles {
        operations: rig.operations.clone(),
        order_id: orders[0].clone(),
        answers: AtomicU32::new(3),
    });
    rig.reconciler =
        Reconciler::new(rig.journal.clone(), rig.tenants.clone(), shop.clone(), rig.clock.clone(), rig.config.clone());
    let standing = rig.next_pass().await;
    let last = standing.incremental.last.unwrap();
    assert_eq!((last.outcome.as_str(), last.read, last.failed), ("done", 2, 1));
    assert_eq!(shop.answers.load(Ordering::SeqCst), 0, "three tries");
    assert!(rig.reconciled(&orders[0]).await.is_empty());
    assert!(!rig.reconciled(&orders[1]).await.is_empty() && !rig.reconciled(&orders[2]).await.is_empty());
    assert_eq!(standing.later.iter().map(|(_, id)| id).collect::<Vec<_>>(), [&orders[0]]);
    for _ in 0..5 {
        rig.next_pass().await;
    }
    assert!(!rig.reconciled(&orders[0]).await.is_empty(), "it was read in the end");
    assert!(rig.standing().await.later.is_empty());
}

#[tokio::test]
async fn an_order_that_is_gone_is_not_looked_for_in_every_pass() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let order = LaneKey::new(rig.tenant, "3705115058471208928");
    let look_at = Some(rig.clock.now());
    let known = KnownOrder { status: 20, update_time: START, read_at: 0, seen: None, look_at, facts: json!({}) };
    let reading = Reading { order: order.clone(), known, found: Vec::new(), transition: None };
    rig.journal.note_reading(reading).await.unwrap();
    let reads = || rig.platform.ledger().calls_of("getorder").len();
    let before = reads();
    for _ in 0..3 {
        rig.next_pass().await;
    }
    assert_eq!(reads(), before + 1);
    let look_at = rig.journal.known_order(&order).await.unwrap().unwrap().look_at.unwrap();
    assert!(look_at > rig.clock.now() && look_at <= rig.clock.now() + 86_400_000, "tomorrow");
}

#[tokio::test]
async fn a_row_that_does_not_open_costs_its_own_order_alone() {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let orders: Vec<String> =
        (0..2).map(|_| rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap()).collect();
    rig.next_pass().await;
    let damaged = orders[0].clone();
    let written: Result<(), fangshi_database::WriteError> = rig
        .db
        .writer()
        .submit(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE known_orders SET facts = x'00' WHERE order_id = $1")
                    .bind(damaged)
                    .execute(c)
                    .await?;
                Ok(())
            })
        })
        .await;
    written.unwrap();
    for order in &orders {
        rig.platform.drive(order, Step::Pay).unwrap();
    }
    let last = rig.next_pass().await.incremental.last.unwrap();
    assert_eq!((last.outcome.as_str(), last.read, last.failed), ("done", 1, 1));
    assert_eq!(rig.reconciled(&orders[0]).await.len(), 1, "it can't be compared");
    assert!(rig.reconciled(&orders[1]).await.len() > 1);
}

/// A platform whose list of updates has a first page, and a second one that never comes.
struct Paged {
    operations: Operations,
    first: Vec<String>,
    /// What the first page shows of a second one.
    next_key: &'static str,
    /// What the second one ends with.
    fault: Fault,
    /// When pages were asked for, whether it was the first, whether of the incremental pass.
    asked: Mutex<Vec<(i64, bool, bool)>>,
    clock: fangshi_journal::Clock,
}

#[async_trait::async_trait]
impl Shop for Paged {
    async fn list(&self, tenant: TenantId, span: &Span) -> Result<Listed, Fault> {
        let is_first = span.next_key.is_empty();
        self.asked.lock().unwrap().push((self.clock.now_s(), is_first, !span.created));
        match (span.created, is_first) {
            (true, _) => self.operations.list(tenant, span).await,
            (_, true) => {
                Ok(Listed { order_ids: self.first.clone(), next_key: self.next_key.to_owned(), has_more: true })
            }
            (_, false) => Err(self.fault.clone()),
        }
    }

    async fn order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault> {
        self.operations.order(tenant, order_id).await
    }
}

impl Paged {
    /// In the place of the rig's platform.
    fn at(rig: &mut Rig, first: Vec<String>, next_key: &'static str, class: Class) -> Arc<Paged> {
        let mut fault = Fault::new(class, Sent::Answered, "no such page");
        fault.retry_after = (class == Class::TooOften).then_some(420);
        let (operations, clock) = (rig.operations.clone(), rig.clock.clone());
        let asked = Mutex::default();
        let shop = Arc::new(Paged { operations, first, next_key, fault, asked, clock });
        let (journal, tenants, config) = (rig.journal.clone(), rig.tenants.clone(), rig.config.clone());
        rig.reconciler = Reconciler::new(journal, tenants, shop.clone(), rig.clock.clone(), config);
        shop
    }

    /// When a page of the incremental pass was asked for.
    fn asked(&self, first: bool) -> Vec<i64> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, is_first, incremental)| *is_first == first && *incremental).map(|it| it.0).collect()
    }
}

/// A shop that is known, with orders placed since then.
async fn with_orders(orders: usize) -> (Rig, Vec<String>) {
    let rig = Rig::new(START, plenty()).await;
    rig.settle().await;
    let orders = (0..orders).map(|_| rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap()).collect();
    (rig, orders)
}

#[tokio::test]
async fn a_page_that_is_always_refused_ends_its_pass_and_is_told() {
    for class in [Class::Invalid, Class::NotFound, Class::Conflict, Class::Other] {
        let (mut rig, orders) = with_orders(3).await;
        let done = rig.standing().await.incremental.done_until_s;
        let shop = Paged::at(&mut rig, orders.clone(), "k", class);
        let incremental = rig.next_pass().await.incremental;
        assert_eq!((shop.asked(true).len(), shop.asked(false).len()), (2, 2), "{class:?}: once more, and no more");
        let last = incremental.last.unwrap();
        assert_eq!((last.outcome.as_str(), last.read, last.made), (class.name(), 6, 3), "{class:?}");
        assert_eq!(incremental.done_until_s, done, "{class:?}: what was not listed is not done");
        assert!(incremental.due_at > rig.clock.now(), "{class:?}");
    }
}

#[tokio::test]
async fn a_list_that_shows_no_way_on_is_no_end() {
    let (mut rig, orders) = with_orders(2).await;
    let done = rig.standing().await.incremental.done_until_s;
    Paged::at(&mut rig, orders[..1].to_vec(), "", Class::Invalid);
    let incremental = rig.next_pass().await.incremental;
    assert_eq!(incremental.last.unwrap().outcome, "cursor");
    assert_eq!(incremental.done_until_s, done);
    assert_eq!(rig.reconciled(&orders[0]).await.len(), 1, "what was listed is read");
    // The platform finds its way again, and what it did not list is listed.
    rig.restart();
    let incremental = rig.next_pass().await.incremental;
    assert_eq!(incremental.last.unwrap().outcome, "done");
    assert_eq!(rig.reconciled(&orders[1]).await.len(), 1);
}

#[tokio::test]
async fn a_page_that_fails_again_and_again_holds_up_neither_pass_for_ever() {
    for class in [Class::Unreadable, Class::Busy, Class::TooOften] {
        let (mut rig, orders) = with_orders(1).await;
        let shop = Paged::at(&mut rig, orders, "k", class);
        // Both passes are due.
        rig.pass(86_400).await;
        rig.reconciler.round().await;
        let standing = rig.standing().await;
        assert!(standing.incremental.walk.is_some(), "{class:?}: it waits");
        let full = standing.full.last.unwrap();
        assert_eq!((full.outcome.as_str(), full.ended_at), ("done", rig.clock.now()), "{class:?}: the other went on");
        let last = rig.settle().await.incremental.last.unwrap();
        assert_eq!(last.outcome, class.name(), "and it ends");
        let asked = shop.asked(false);
        assert_eq!((asked.len(), shop.asked(true).len()), (5, 1), "{class:?}: from the same place");
        let wished = if class == Class::TooOften { 420 } else { 60 };
        assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= wished), "{class:?}: {asked:?}");
        assert!(asked[4] - asked[3] >= 480, "{class:?}: waits grow: {asked:?}");
    }
}

async fn write(rig: &Rig, statement: &'static str) {
    let written: Result<(), fangshi_database::WriteError> = rig
        .db
        .writer()
        .submit(move |c| {
            Box::pin(async move {
                sqlx::query(statement).execute(c).await?;
                Ok(())
            })
        })
        .await;
    written.unwrap();
}

#[tokio::test]
async fn an_order_that_is_too_busy_to_be_compared_is_read_again() {
    let (rig, orders) = with_orders(1).await;
    rig.callback(&orders[0], "ext_info_update", Some(99), START).await;
    // Whenever a reading is to be written down, the order has an event that nobody has seen.
    write(&rig, "CREATE TEMP VIEW events AS SELECT seq + 1 AS seq, order_id, tenant_id FROM main.events").await;
    rig.pass(850).await;
    // It shows that the clock is right, so that the pass has looked at all before.
    rig.platform.add_order(&rig.appid, NewOrder::default()).unwrap();
    rig.pass(60).await;
    let standing = rig.settle().await;
    assert_eq!(standing.later.iter().map(|(_, id)| id).collect::<Vec<_>>(), [&orders[0]]);
    write(&rig, "DROP VIEW temp.events").await;
    // Its update is older than what is listed now.
    rig.pass(3_600).await;
    rig.next_pass().await;
    assert_eq!(rig.reconciled(&orders[0]).await.len(), 1, "it was compared in the end");
}

#[tokio::test]
async fn what_another_version_of_the_host_kept_is_compared_all_the_same() {
    let (rig, orders) = with_orders(3).await;
    rig.next_pass().await;
    let keep = async |order: &String, change: &dyn Fn(&mut Value)| {
        let order = LaneKey::new(rig.tenant, order);
        let mut known = rig.journal.known_order(&order).await.unwrap().unwrap();
        change(&mut known.facts);
        known.seen = rig.events().await.iter().rev().find(|event| event.order_id == *order.order_id).map(|it| it.seq);
        let reading = Reading { order, known, found: Vec::new(), transition: None };
        assert_eq!(rig.journal.note_reading(reading).await.unwrap(), Noted::Written(0));
    };
    let parts = |facts: &Value| facts.as_object().unwrap().keys().map(String::clone).collect::<Vec<_>>();
    let known = rig.journal.known_order(&LaneKey::new(rig.tenant, &orders[0])).await.unwrap().unwrap();
    // An older version knew less, a newer one knows more; the third is none that anybody knows.
    keep(&orders[0], &|facts: &mut Value| {
        facts.as_object_mut().unwrap().retain(|name, _| !["dropship", "rest", "skus"].contains(&name.as_str()))
    })
    .await;
    keep(&orders[1], &|facts: &mut Value| facts["newer"] = json!({"a": 1})).await;
    keep(&orders[2], &|facts: &mut Value| *facts = json!({"status": {}, "create_time": 1, "update_time": 1})).await;
    for order in &orders {
        rig.platform.drive(order, Step::Pay).unwrap();
    }
    rig.next_pass().await;
    let made = async |order: &String| rig.reconciled(order).await.len();
    assert_eq!((made(&orders[0]).await, made(&orders[1]).await), (3, 3), "order, payment, shipping");
    assert_eq!(made(&orders[2]).await, 1, "taken as it is found");
    let now = rig.journal.known_order(&LaneKey::new(rig.tenant, &orders[0])).await.unwrap().unwrap();
    assert_eq!(parts(&now.facts), parts(&known.facts), "and kept anew");
}
