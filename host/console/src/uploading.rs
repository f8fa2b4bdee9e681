//! Uploads under way, from before a byte of their bodies is read until they are answered. One at a time a tenant: each holds a
//! whole component in memory and waits for the one compiler, which nobody shall keep busy with a pile of its own. All together
//! hold so many bytes at most. Whose uploads the compiler refused waits before the next one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use fangshi_tenants::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// A component is held twice while it is compiled: kept, and on its way to the compiler.
const COPIES: usize = 2;
/// What the room is counted in, bytes.
const UNIT: usize = 1 << 10;
/// Seconds after which there may be room again.
const AGAIN: u64 = 30;
/// Uploads that the compiler may refuse in a row before there is a pause: who tries a plugin out makes mistakes.
const FREE: u32 = 2;
/// The pause after one more, milliseconds; doubled with each.
const FIRST_PAUSE: i64 = 60_000;
/// The longest pause, milliseconds.
const LONGEST_PAUSE: i64 = 30 * 60_000;

/// The uploads under way. Cheap to clone.
#[derive(Clone)]
pub struct Uploading(Arc<Inner>);

struct Inner {
    /// Free room, in units.
    room: Arc<Semaphore>,
    /// All of it.
    units: u32,
    /// Of tenants with an upload under way, or one that failed.
    tenants: Mutex<HashMap<TenantId, Tries>>,
}

/// How a tenant's uploads stand.
#[derive(Clone, Copy, Default)]
struct Tries {
    under_way: bool,
    /// Refused by the compiler in a row.
    failures: u32,
    /// Unix milliseconds.
    paused_until: i64,
}

/// The tenant's upload; over when it is dropped.
pub(crate) struct Turn {
    uploading: Uploading,
    tenant: TenantId,
    _room: OwnedSemaphorePermit,
}

impl Default for Uploading {
    fn default() -> Self {
        Uploading::within(256 << 20)
    }
}

impl Uploading {
    /// With room for so many bytes in memory.
    pub fn within(bytes: u64) -> Uploading {
        let units = u32::try_from(bytes / UNIT as u64).unwrap_or(u32::MAX).max(1);
        let room = Arc::new(Semaphore::new(units as usize));
        Uploading(Arc::new(Inner { room, units, tenants: Mutex::default() }))
    }

    /// Begins an upload of at most so many bytes. `now`: unix milliseconds.
    pub(crate) fn begin(&self, tenant: TenantId, bytes: usize, now: i64) -> Result<Turn, Refusal> {
        let mut tenants = self.lock();
        let tries = tenants.get(&tenant).copied().unwrap_or_default();
        if tries.under_way {
            return Err(Refusal::conflict(
                "upload-under-way",
                format!("an earlier upload of {tenant} is under way"),
                "send the next one when the one before is answered",
            ));
        }
        // A clock that was set back must not make it longer.
        let left = tries.paused_until.saturating_sub(now);
        if (1..=LONGEST_PAUSE).contains(&left) {
            return Err(paused(tenant, tries.failures, (left as u64).div_ceil(1_000)));
        }
        // One alone always has room.
        let units = u32::try_from(bytes.saturating_mul(COPIES).div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.0.units);
        let Ok(room) = Arc::clone(&self.0.room).try_acquire_many_owned(units) else { return Err(full()) };
        tenants.insert(tenant, Tries { under_way: true, ..tries });
        Ok(Turn { uploading: self.clone(), tenant, _room: room })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Tries>> {
        self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Whose upload it is.
    pub(crate) fn of(&self) -> TenantId {
        self.tenant
    }

    /// The compiler took the component, or refused it. `now`: unix milliseconds.
    pub(crate) fn compiled(&self, taken: bool, now: i64) {
        if let Some(tries) = self.uploading.lock().get_mut(&self.tenant) {
            (tries.failures, tries.paused_until) = match taken {
                true => (0, 0),
                false => {
                    let pause = match tries.failures.checked_sub(FREE) {
                        Some(more) => FIRST_PAUSE.saturating_mul(1 << more.min(20)).min(LONGEST_PAUSE),
                        None => 0,
                    };
                    (tries.failures.saturating_add(1), now.saturating_add(pause))
                }
            };
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut tenants = self.uploading.lock();
        match tenants.get_mut(&self.tenant) {
            Some(tries) if tries.failures > 0 => tries.under_way = false,
            _ => drop(tenants.remove(&self.tenant)),
        }
    }
}

fn paused(tenant: TenantId, failures: u32, seconds: u64) -> Refusal {
    let refusal = Refusal::new(
        StatusCode::TOO_MANY_REQUESTS,
        "uploads-paused",
        format!("the last upload of {tenant} did not compile, {failures} in a row"),
        format!("mend what it was refused for, and send it in {seconds} s"),
    );
    refusal.after(seconds)
}

fn full() -> Refusal {
    metrics::counter!("fangshi_uploads_without_room_total").increment(1);
    let refusal = Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "uploads-full",
        "other uploads fill the memory that this host has for them",
        "send it again in a while; the operator may raise memory_bytes in [uploads] of the host's config",
    );
    refusal.after(AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId(1);
    const TWO: TenantId = TenantId(2);

    fn refused(uploading: &Uploading, tenant: TenantId, bytes: usize, now: i64) -> &'static str {
        uploading.begin(tenant, bytes, now).err().unwrap().code()
    }

    #[test]
    fn a_tenant_has_one_upload_at_a_time() {
        let uploading = Uploading::default();
        let first = uploading.begin(ONE, 1, 0).ok().unwrap();
        assert_eq!(refused(&uploading, ONE, 1, 0), "upload-under-way");
        assert!(uploading.begin(TWO, 1, 0).is_ok(), "others have their own turn");
        drop(first);
        assert!(uploading.begin(ONE, 1, 0).is_ok());
        assert!(uploading.lock().is_empty(), "nothing is kept of whom there is nothing to know");
    }

    #[test]
    fn all_together_hold_so_many_bytes() {
        let uploading = Uploading::within(100 << 10);
        let first = uploading.begin(ONE, 30 << 10, 0).ok().unwrap();
        assert_eq!(refused(&uploading, TWO, 21 << 10, 0), "uploads-full");
        let small = uploading.begin(TWO, 20 << 10, 0).ok().unwrap();
        assert_eq!(refused(&uploading, TenantId(3), 1, 0), "uploads-full");
        drop((first, small));
        assert!(uploading.begin(TWO, 1 << 30, 0).is_ok(), "one alone always has room");
    }

    #[test]
    fn who_did_not_compile_waits_longer_each_time_until_it_does() {
        let uploading = Uploading::default();
        let mut now = 1_000_000;
        for _ in 0..FREE {
            uploading.begin(ONE, 1, now).ok().unwrap().compiled(false, now);
        }
        for minutes in [1, 2, 4, 8, 16, 30, 30] {
            uploading.begin(ONE, 1, now).ok().unwrap().compiled(false, now);
            now += minutes * 60_000;
            assert_eq!(refused(&uploading, ONE, 1, now - 1), "uploads-paused", "{minutes}");
            assert!(uploading.begin(TWO, 1, now - 1).is_ok(), "it is nobody else's pause");
        }
        uploading.begin(ONE, 1, now).ok().unwrap().compiled(false, now);
        assert!(uploading.begin(ONE, 1, 0).is_ok(), "the clock was set back");
        uploading.begin(ONE, 1, now + LONGEST_PAUSE).ok().unwrap().compiled(true, now);
        assert!(uploading.begin(ONE, 1, now).is_ok());
        assert!(uploading.lock().is_empty());
    }
}
