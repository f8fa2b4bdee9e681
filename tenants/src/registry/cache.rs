//! The installations of each tenant in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fangshi_database::TenantId;

use super::records::{Installation, InstallationState};

/// The installations of a tenant that are not removed, by id.
pub(super) type Listed = Arc<Vec<Arc<Installation>>>;

#[derive(Default)]
pub(super) struct Cache {
    tenants: Mutex<HashMap<TenantId, Entry>>,
}

#[derive(Default)]
struct Entry {
    /// Raised by every change: what was read before it may not be kept after it.
    generation: u64,
    /// Changes under way: from before the write until after it nothing is kept, so that whoever sees the change's
    /// effects in the store sees the change too.
    changing: u32,
    kept: Option<Kept>,
}

#[derive(Clone)]
pub(super) struct Kept {
    pub(super) installed: Listed,
    pub(super) active: Listed,
}

impl Kept {
    pub(super) fn new(installed: Vec<Arc<Installation>>) -> Kept {
        let active = installed.iter().filter(|i| i.state == InstallationState::Active).cloned().collect();
        Kept { installed: Arc::new(installed), active: Arc::new(active) }
    }
}

impl Cache {
    /// What is kept, or the generation that a reader must bring back with what it read.
    pub(super) fn get(&self, tenant: TenantId) -> Result<Kept, u64> {
        let mut tenants = self.lock();
        let entry = tenants.entry(tenant).or_default();
        entry.kept.clone().ok_or(entry.generation)
    }

    /// Keeps what was read, unless something changed since.
    pub(super) fn keep(&self, tenant: TenantId, generation: u64, kept: Kept) {
        let mut tenants = self.lock();
        let entry = tenants.entry(tenant).or_default();
        if entry.generation == generation && entry.changing == 0 {
            entry.kept = Some(kept);
        }
    }

    /// Something of the tenant is about to change.
    pub(super) fn change(&self, tenant: TenantId) {
        let mut tenants = self.lock();
        let entry = tenants.entry(tenant).or_default();
        entry.changing += 1;
        entry.kept = None;
    }

    /// The same as long as the answer lives: for a change whose end is somebody else's.
    pub(super) fn changing(self: &Arc<Self>, tenant: TenantId) -> Changing {
        self.change(tenant);
        Changing { cache: Arc::clone(self), tenant }
    }

    /// Nothing of the tenant is kept.
    pub(super) fn forget(&self, tenant: TenantId) {
        let mut tenants = self.lock();
        let entry = tenants.entry(tenant).or_default();
        entry.generation += 1;
        entry.kept = None;
    }

    /// The change is in the store, or was refused.
    pub(super) fn changed(&self, tenant: TenantId) {
        let mut tenants = self.lock();
        let entry = tenants.entry(tenant).or_default();
        entry.changing = entry.changing.saturating_sub(1);
        entry.generation += 1;
        entry.kept = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Entry>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change under way.
pub(super) struct Changing {
    cache: Arc<Cache>,
    tenant: TenantId,
}

impl Drop for Changing {
    fn drop(&mut self) {
        self.cache.changed(self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let cache = Cache::default();
        let tenant = TenantId(1);
        let Err(before) = cache.get(tenant) else { panic!("empty") };
        cache.change(tenant);
        let Err(during) = cache.get(tenant) else { panic!("empty") };
        cache.keep(tenant, during, Kept::new(vec![]));
        assert!(cache.get(tenant).is_err(), "kept while a change was under way");
        cache.changed(tenant);
        cache.keep(tenant, before, Kept::new(vec![]));
        cache.keep(tenant, during, Kept::new(vec![]));
        let Err(after) = cache.get(tenant) else { panic!("a stale list was kept") };
        cache.keep(tenant, after, Kept::new(vec![]));
        assert!(cache.get(tenant).is_ok());
    }
}
