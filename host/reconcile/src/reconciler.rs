//! The task that visits every active tenant when something of it is due.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fangshi_journal::{Clock, Journal};
use fangshi_tenants::{Platform, Tenant, TenantId, TenantKind, Tenants};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bucket::Bucket;
use crate::config::ReconcileConfig;
use crate::seams::Shop;
use crate::visit::Visit;

/// Visits at one time.
const AT_ONCE: usize = 8;
/// Between looks for tenants that are due.
const LOOK: Duration = Duration::from_millis(250);
/// After a failure of the store, milliseconds.
const AGAIN_MS: i64 = 10_000;
/// Tenants of one page of the directory.
const PAGE: u32 = 200;

/// Reconciliation of this process.
pub struct Reconciler {
    journal: Journal,
    tenants: Tenants,
    shop: Arc<dyn Shop>,
    clock: Clock,
    config: ReconcileConfig,
    /// What is known of each tenant beside its standing: lost at a restart, and made anew.
    places: Mutex<HashMap<TenantId, Place>>,
}

/// A tenant's budget, and when to visit it again, unix milliseconds.
struct Place {
    bucket: Bucket,
    due_at: i64,
}

/// The running task.
pub struct Running {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Reconciler {
    /// Reconciliation of these tenants; [`Reconciler::start`] lets it run.
    pub fn new(journal: Journal, tenants: Tenants, shop: Arc<dyn Shop>, clock: Clock, config: ReconcileConfig) -> Self {
        Reconciler { journal, tenants, shop, clock, config, places: Mutex::default() }
    }

    /// Lets it run by itself.
    pub fn start(self) -> Running {
        let (stopping, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            while !*stopped.borrow() {
                self.round().await;
                tokio::select! {
                    _ = stopped.wait_for(|stopped| *stopped) => break,
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        });
        Running { stopping, task }
    }

    /// Visits every active tenant that is due, once each.
    pub async fn round(&self) {
        let due = self.due().await;
        stream::iter(due).for_each_concurrent(AT_ONCE, |tenant| async move { self.visit(&tenant).await }).await;
    }

    async fn due(&self) -> Vec<Arc<Tenant>> {
        let now = self.clock.now();
        let (mut served, mut after) = (Vec::new(), None);
        loop {
            let page = self.tenants.list(after, PAGE).await;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            served.extend(page.into_iter().filter(|tenant| is_served(tenant)));
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // Of tenants that are gone nothing is kept.
        let ids: HashSet<TenantId> = served.iter().map(|tenant| tenant.id).collect();
        places.retain(|id, _| ids.contains(id));
        served.retain(|tenant| places.get(&tenant.id).is_none_or(|place| place.due_at <= now));
        served
    }

    async fn visit(&self, tenant: &Tenant) {
        let now = self.clock.now();
        let place = self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant.id);
        let mut place =
            place.unwrap_or_else(|| Place { bucket: Bucket::full(self.config.calls_per_minute, now), due_at: now });
        let visit = Visit {
            journal: &self.journal,
            shop: &*self.shop,
            clock: &self.clock,
            config: &self.config,
            tenant,
            bucket: &mut place.bucket,
        };
        place.due_at = match visit.pay().await {
            Ok(due_at) => due_at,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(tenant = %tenant.id, %error, cause, "reconciliation of a tenant waits");
                now + AGAIN_MS
            }
        };
        self.places.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.id, place);
    }
}

impl Running {
    /// Ends it between two visits, or in the midst of one that takes too long: what it did not keep is done again.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(Duration::from_secs(2), &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Shops of WeChat that may be called for.
fn is_served(tenant: &Tenant) -> bool {
    tenant.is_active() && tenant.platform == Platform::Weixin && tenant.kind != TenantKind::CardShop
}
