//! Orders that can't be read or compared: a pass goes on with the others, counts them, and comes back to them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fangshi_journal::{KnownOrder, LaneKey, Reading};
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
