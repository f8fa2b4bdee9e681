//! The task that visits every active tenant when something of it is due.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fangshi_journal::{Clock, Journal};
use fangshi_tenants::{Platform, Tenant, TenantId, TenantKind, Tenants};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

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

/// A tenant's budget, and when to visit it again. Times in unix milliseconds.
struct Place {
    bucket: Bucket,
    due_at: i64,
    /// When the last visit ended; none while there is one.
    left_at: Option<i64>,
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
        let (stopping, stopped) = watch::channel(false);
        let task = tokio::spawn(async move { self.run(stopped).await });
        Running { stopping, task }
    }

    /// Goes on until it is stopped: a place that a visit leaves is the next tenant's, so that a long visit holds up no other.
    async fn run(&self, mut stopped: watch::Receiver<bool>) {
        let mut due: VecDeque<Arc<Tenant>> = VecDeque::new();
        let mut visits = FuturesUnordered::new();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while visits.len() < AT_ONCE
                && let Some(tenant) = due.pop_front()
            {
                visits.push(self.visit(tenant));
            }
            let looks = tokio::select! {
                _ = stopped.changed() => break,
                Some(()) = visits.next() => false,
                _ = look.tick(), if due.is_empty() => true,
            };
            if looks {
                due = self.due().await.into();
            }
        }
        while visits.next().await.is_some() {}
    }

    /// Visits every active tenant that is due, once each.
    pub async fn round(&self) {
        let due = self.due().await;
        stream::iter(due).for_each_concurrent(AT_ONCE, |tenant| self.visit(tenant)).await;
    }

    /// Who is due and not visited now, the longest due first.
    async fn due(&self) -> Vec<Arc<Tenant>> {
        let now = self.clock.now();
        let (mut served, mut after) = (Vec::new(), None);
        loop {
            let page = self.tenants.list(after, PAGE).await;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            served.extend(page.into_iter().filter(|tenant| is_served(tenant)));
        }
        let mut places = self.places();
        // Of tenants that are gone nothing is kept.
        let ids: HashSet<TenantId> = served.iter().map(|tenant| tenant.id).collect();
        places.retain(|id, _| ids.contains(id));
        served.retain(|tenant| places.get(&tenant.id).is_none_or(|place| place.is_due(now)));
        served.sort_by_key(|tenant| places.get(&tenant.id).map(|place| place.due_at));
        served
    }

    async fn visit(&self, tenant: Arc<Tenant>) {
        let now = self.clock.now();
        let fresh = || Place { bucket: Bucket::full(self.config.calls_per_minute, now), due_at: now, left_at: None };
        let mut bucket = {
            let mut places = self.places();
            let place = places.entry(tenant.id).or_insert_with(fresh);
            place.left_at = None;
            place.bucket.clone()
        };
        let visit = Visit {
            journal: &self.journal,
            shop: &*self.shop,
            clock: &self.clock,
            config: &self.config,
            tenant: &tenant,
            bucket: &mut bucket,
        };
        let due_at = match visit.pay().await {
            Ok(due_at) => due_at,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(tenant = %tenant.id, %error, cause, "reconciliation of a tenant waits");
                now + AGAIN_MS
            }
        };
        self.places().insert(tenant.id, Place { bucket, due_at, left_at: Some(self.clock.now()) });
    }

    fn places(&self) -> MutexGuard<'_, HashMap<TenantId, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether the tenant is to be visited. Of a clock that was set back since the last visit, nobody knows how far its
    /// times are off.
    fn is_due(&self, now: i64) -> bool {
        self.left_at.is_some_and(|left_at| self.due_at <= now || now < left_at)
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
