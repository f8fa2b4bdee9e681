//! How many requests of one merchant are under way at a time, through the API and on the page together. Each may hold a body in
//! memory and a connection; none shall leave others without. An answer that is not written yet is under way still.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use fangshi_tenants::TenantId;

use crate::held::hold;
use crate::refusal::Refusal;

/// Requests of one merchant at a time.
pub(crate) const AT_ONCE: usize = 16;
/// Seconds after which another try is worth it.
const AGAIN: u64 = 1;

/// The merchants' requests under way. Cheap to clone.
#[derive(Clone, Default)]
pub struct Crowd(Arc<Mutex<HashMap<TenantId, usize>>>);

/// A request under way; over when it is dropped.
pub(crate) struct Place {
    crowd: Crowd,
    tenant: TenantId,
}

impl Crowd {
    pub(crate) fn enter(&self, tenant: TenantId) -> Result<Place, Refusal> {
        let mut inside = self.lock();
        let count = inside.entry(tenant).or_default();
        if *count < AT_ONCE {
            *count += 1;
            return Ok(Place { crowd: self.clone(), tenant });
        }
        let refusal = Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-at-once",
            format!("{AT_ONCE} requests of {tenant} are under way, which is as many as one merchant may have"),
            "send the next one when one of those is answered",
        );
        Err(refusal.after(AGAIN))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an extractor leaves the place that it took, so that the answer goes on holding it.
#[derive(Clone, Default)]
pub(crate) struct Seat(Arc<OnceLock<Place>>);

impl Seat {
    /// Keeps a place for this request; one that has a place needs no other.
    pub(crate) fn keep(&self, place: Place) {
        let _ = self.0.set(place);
    }
}

/// Gives every request a [`Seat`], which its answer holds until it was written.
pub(crate) async fn seated(mut request: Request, next: Next) -> Response {
    let seat = Seat::default();
    request.extensions_mut().insert(seat.clone());
    hold(next.run(request).await, seat)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.crowd.lock();
        if let Some(count) = inside.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merchant_has_so_many_at_a_time_and_leaves_no_trace() {
        let crowd = Crowd::default();
        let mut places: Vec<_> = (0..AT_ONCE).map(|_| crowd.enter(TenantId(1)).ok().unwrap()).collect();
        assert_eq!(crowd.enter(TenantId(1)).err().unwrap().code(), "too-many-at-once");
        assert!(crowd.enter(TenantId(2)).is_ok(), "others have their own");
        places.pop();
        assert!(crowd.enter(TenantId(1)).is_ok());
        places.clear();
        assert!(crowd.lock().is_empty());
    }
}
