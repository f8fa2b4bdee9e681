//! The handle, and the few lines through which every step reaches the store.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, RwLock};

use fangshi_database::{BoxFuture, Clock, Database, Recent, Rows, TenantId};
use fangshi_tenants::{Place, Tenants};
use sqlx::{SqliteConnection, SqlitePool};

use crate::JournalError;
use crate::intake::EventRow;
use crate::lane::{Executor, LaneKey};
use crate::salt::Salt;
use crate::views::Backlog;
use crate::views::backlog::GOOD_MS;

/// The journal of one host. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    pub(crate) db: Database,
    pub(crate) tenants: Tenants,
    pub(crate) clock: Clock,
    pub(crate) salts: Arc<RwLock<HashMap<TenantId, Arc<Salt>>>>,
    pub(crate) events: Rows<EventRow>,
    pub(crate) backlog: Recent<Result<Backlog, Arc<JournalError>>>,
    executor: Arc<OnceLock<Arc<dyn Executor>>>,
}

impl Journal {
    /// A journal over an open database, whose migrations have run.
    pub fn open(db: Database, tenants: Tenants, clock: Clock) -> Journal {
        let events = db.writer().rows();
        let backlog = Recent::new(GOOD_MS);
        Journal { db, tenants, clock, salts: Arc::default(), events, backlog, executor: Arc::default() }
    }

    /// Tells the journal whom to poke when an event was recorded. The first call counts.
    pub fn attach_executor(&self, executor: Arc<dyn Executor>) {
        let _ = self.executor.set(executor);
    }

    /// The clock that stamps rows.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether events can be recorded at all: what writes the store lives.
    pub fn is_writable(&self) -> bool {
        self.db.writer().is_alive()
    }

    pub(crate) fn poke(&self, lane: &LaneKey) {
        if let Some(executor) = self.executor.get() {
            executor.poke(lane);
        }
    }

    pub(crate) fn reader(&self) -> &SqlitePool {
        self.db.reader()
    }

    /// One all-or-nothing step in the writer's next batch; returns after the commit.
    pub(crate) async fn write<R, F>(&self, job: F) -> Result<R, JournalError>
    where
        R: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<R, JournalError>> + Send + 'static,
    {
        self.db.writer().submit(job).await
    }

    pub(crate) fn seal(
        &self,
        tenant: TenantId,
        place: Place,
        row: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, JournalError> {
        Ok(self.tenants.vault().seal(tenant, place, row, plain)?)
    }

    pub(crate) fn unseal(
        &self,
        tenant: TenantId,
        place: Place,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, JournalError> {
        Ok(std::mem::take(&mut *self.tenants.vault().unseal(tenant, place, row, sealed)?))
    }
}
