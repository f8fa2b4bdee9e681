//! What the operator is told of a tenant once, and again after a change that did not help.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fangshi_tenants::{Tenant, TenantId};

/// Of whom the operator was told one thing. Bounded by the number of tenants.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<TenantId, Weak<Tenant>>>);

impl Told {
    /// Whether the operator has not heard of it since the tenant was made, last changed, or loaded at the start.
    pub(crate) fn is_news(&self, tenant: Option<Arc<Tenant>>) -> bool {
        let Some(tenant) = tenant else { return false };
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A changed tenant is another snapshot. The old one's memory can't be taken by the new one while we hold on to it.
        let before = told.insert(tenant.id, Arc::downgrade(&tenant));
        before.is_none_or(|before| !std::ptr::eq(before.as_ptr(), Arc::as_ptr(&tenant)))
    }
}
