//! Refused callbacks, counted per tenant and reason.
//!
//! Anyone can send bad callbacks, so a refusal must not cost a write: counts gather in memory and are added to the
//! store every few seconds. A crash loses at most those seconds of counts, never an event.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fangshi_database::{Database, TenantId, WriteError};
use serde::Serialize;

/// How often one tenant was refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The code of the refusal.
    pub reason: String,
    /// How often, since the tenant was made.
    pub count: i64,
    /// The last time, unix ms.
    pub last_at: i64,
}

/// What was counted since the last flush. Reasons are few and static, so the map is as large as the tenants.
#[derive(Debug)]
pub(crate) struct Refusals {
    db: Database,
    counted: Mutex<HashMap<(TenantId, &'static str), Counted>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    count: i64,
    last_at: i64,
}

impl Counted {
    fn add(&mut self, other: Counted) {
        self.count += other.count;
        self.last_at = self.last_at.max(other.last_at);
    }
}

impl Refusals {
    pub(crate) fn new(db: Database) -> Refusals {
        Refusals { db, counted: Mutex::default() }
    }

    pub(crate) fn count(&self, tenant: TenantId, reason: &'static str, now: i64) {
        self.lock().entry((tenant, reason)).or_default().add(Counted { count: 1, last_at: now });
    }

    /// Adds what was counted to the store.
    pub(crate) async fn flush(&self) -> Result<(), WriteError> {
        let taken: Vec<_> = std::mem::take(&mut *self.lock()).into_iter().collect();
        if taken.is_empty() {
            return Ok(());
        }
        let written = taken.clone();
        let outcome: Result<(), WriteError> = self
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    for ((tenant, reason), counted) in written {
                        sqlx::query(
                            "INSERT INTO refusals (tenant_id, reason, count, last_at) VALUES ($1, $2, $3, $4) \
                             ON CONFLICT (tenant_id, reason) DO UPDATE \
                             SET count = count + excluded.count, last_at = max(last_at, excluded.last_at)",
                        )
                        .bind(tenant.0)
                        .bind(reason)
                        .bind(counted.count)
                        .bind(counted.last_at)
                        .execute(&mut *c)
                        .await?;
                    }
                    Ok(())
                })
            })
            .await;
        if let Err(error) = outcome {
            // Counted again with the next flush.
            let mut counted = self.lock();
            for (key, count) in taken {
                counted.entry(key).or_default().add(count);
            }
            return Err(error);
        }
        Ok(())
    }

    /// What was counted for a deleted tenant is not written any more.
    pub(crate) fn forget(&self, tenant: TenantId) {
        self.lock().retain(|(of, _), _| *of != tenant);
    }

    /// The tenant's refusals, most frequent first.
    pub(crate) async fn of(&self, tenant: TenantId) -> Result<Vec<Refusal>, sqlx::Error> {
        let mut all: HashMap<String, Counted> =
            sqlx::query_as("SELECT reason, count, last_at FROM refusals WHERE tenant_id = $1")
                .bind(tenant.0)
                .fetch_all(self.db.reader())
                .await?
                .into_iter()
                .map(|(reason, count, last_at): (String, i64, i64)| (reason, Counted { count, last_at }))
                .collect();
        for ((_, reason), counted) in self.lock().iter().filter(|((of, _), _)| *of == tenant) {
            all.entry((*reason).to_owned()).or_default().add(*counted);
        }
        let mut all: Vec<Refusal> = all
            .into_iter()
            .map(|(reason, counted)| Refusal { reason, count: counted.count, last_at: counted.last_at })
            .collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reason.cmp(&b.reason)));
        Ok(all)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(TenantId, &'static str), Counted>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
