//! A run's wait for an outside host: it needs a place among those that wait, and its time is the tenant's to pay.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fangshi_journal::{Clock, TenantId};
use fangshi_operations::{Class, Fault, Sent};

use super::host::Left;
use crate::decide::outside::Outside;

/// Seconds after which a run that found no room comes back.
const AGAIN_S: u32 = 5;

/// The runs of this process that wait for outside hosts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Waiting(Arc<Mutex<Outside>>);

/// One of them. However its wait ends, a deadline included, its place is free then and its time is noted.
pub(crate) struct Wait {
    waiting: Waiting,
    tenant: TenantId,
    left: Left,
    clock: Clock,
    began: i64,
}

impl Waiting {
    pub(crate) fn of_runs(runs: usize) -> Waiting {
        Waiting(Arc::new(Mutex::new(Outside::of_runs(runs))))
    }

    /// Lets a run wait, or says why nothing is sent.
    pub(crate) fn enter(&self, tenant: TenantId, left: &Left, clock: &Clock) -> Result<Wait, Fault> {
        if !self.lock().enter(tenant) {
            metrics::counter!("fangshi_http_without_place_total").increment(1);
            let text = "too many plugins of this shop, or of all, wait for outside hosts now: nothing was sent";
            let fault = Fault::new(Class::TooOften, Sent::NotSent, text);
            return Err(Fault { retry_after: Some(AGAIN_S), ..fault });
        }
        let (left, clock) = (left.clone(), clock.clone());
        Ok(Wait { waiting: self.clone(), tenant, left, began: clock.now(), clock })
    }

    fn lock(&self) -> MutexGuard<'_, Outside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waiting.lock().leave(self.tenant);
        let waited = self.clock.now().saturating_sub(self.began).max(0);
        self.left.with(|left| left.outside_ms = left.outside_ms.saturating_add(waited as u64));
    }
}
