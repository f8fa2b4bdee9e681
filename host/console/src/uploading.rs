//! Whose upload is being looked at. One at a time a tenant: each holds a whole component in memory and waits for the one
//! compiler, which nobody shall keep busy with a pile of its own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fangshi_tenants::TenantId;

use crate::refusal::Refusal;

/// The tenants with an upload under way. Cheap to clone.
#[derive(Clone, Default)]
pub struct Uploading(Arc<Mutex<HashSet<TenantId>>>);

/// The tenant's upload; over when it is dropped.
pub(crate) struct Turn {
    uploading: Uploading,
    tenant: TenantId,
}

impl Uploading {
    pub(crate) fn begin(&self, tenant: TenantId) -> Result<Turn, Refusal> {
        if self.lock().insert(tenant) {
            return Ok(Turn { uploading: self.clone(), tenant });
        }
        Err(Refusal::conflict(
            "upload-under-way",
            format!("an earlier upload of {tenant} is being compiled"),
            "send the next one when the one before is answered",
        ))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.uploading.lock().remove(&self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_one_upload_at_a_time() {
        let uploading = Uploading::default();
        let first = uploading.begin(TenantId(1)).ok().unwrap();
        assert_eq!(uploading.begin(TenantId(1)).err().unwrap().code(), "upload-under-way");
        assert!(uploading.begin(TenantId(2)).is_ok(), "others have their own turn");
        drop(first);
        assert!(uploading.begin(TenantId(1)).is_ok());
    }
}
