//! The door to this crate.

mod deletions;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fangshi_database::{Clock, Database, TenantId, WriteError};
use tokio::sync::Mutex;

use crate::access::Access;
use crate::audit::{Actor, Audit};
use crate::custody::{ComponentCredentials, Custody};
use crate::decodes::Decodes;
use crate::directory::Directory;
use crate::flights::Flights;
use crate::kek;
use crate::onboarding::Onboarding;
use crate::refusals::{Refusal, Refusals};
use crate::registry::Registry;
use crate::tenant::{Allotment, NewTenant, StateChange, Tenant, TenantPatch};
use crate::{ErasedList, KeyWrap, Retention, TenantsError, Vault, life};

/// How often counted refusals go to the store.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// The tenants and everything that belongs to one. Clones are the same.
#[derive(Clone)]
pub struct Tenants {
    directory: Arc<Directory>,
    custody: Custody,
    decodes: Decodes,
    registry: Registry,
    onboarding: Onboarding,
    refusals: Arc<Refusals>,
    flights: Flights,
    erased: Arc<OnceLock<ErasedList>>,
    /// Held from a deletion's first line to its last.
    noting: Arc<Mutex<()>>,
    actor: Actor,
}

impl Tenants {
    /// Opens the tenants of a store. At the first start the store is sealed under `kek`; later any other key is refused.
    /// `component` is needed for authorized tenants.
    ///
    /// # Errors
    /// [`TenantsError::WrongKey`], naming the key wanted; damaged rows; a store that cannot be read.
    pub async fn open(
        db: Database,
        kek: impl KeyWrap + 'static,
        component: Option<ComponentCredentials>,
        clock: Clock,
    ) -> Result<Tenants, TenantsError> {
        let kek: Arc<dyn KeyWrap> = Arc::new(kek);
        kek::check(&db, &kek, &clock).await?;
        let vault = Vault::load(db.reader(), &kek).await?;
        first_key(&db, &kek, &vault, &clock).await?;
        let directory = Arc::new(Directory::load(db.clone(), kek, vault, clock).await?);
        let refusals = Arc::new(Refusals::new(db));
        flush_now_and_then(&refusals);
        let flights = Flights::default();
        let custody = Custody::new(Arc::clone(&directory), component, Arc::clone(&refusals), flights.clone());
        Ok(Tenants {
            onboarding: Onboarding::new(Arc::clone(&directory), custody.clone(), flights.clone()),
            custody,
            decodes: Decodes::new(Arc::clone(&directory)),
            registry: Registry::open(Arc::clone(&directory)).await?,
            directory,
            refusals,
            flights,
            erased: Arc::default(),
            noting: Arc::default(),
            actor: Actor::System,
        })
    }

    /// The same tenants, with everything changed through it (the registry and access included) audited as `actor`'s.
    /// Without this, changes are the system's.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Tenants {
        Tenants { registry: self.registry.by(actor), actor, ..self.clone() }
    }

    /// The tenant of an appid of WeChat Store, from memory.
    pub fn by_appid(&self, appid: &str) -> Option<Arc<Tenant>> {
        self.directory.by_appid(appid)
    }

    /// A tenant, from memory.
    pub fn get(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.directory.get(id)
    }

    /// Makes a tenant, with a data key of its own.
    ///
    /// # Errors
    /// [`TenantsError::DuplicateAppid`], [`TenantsError::Invalid`], or the store refused.
    pub async fn create(&self, new: NewTenant) -> Result<Arc<Tenant>, TenantsError> {
        self.create_with(new, Allotment::default()).await
    }

    /// The same for a tenant that is to have a plan or limits of its own from the first moment on.
    ///
    /// # Errors
    /// As [`Tenants::create`].
    pub async fn create_with(&self, new: NewTenant, allotted: Allotment) -> Result<Arc<Tenant>, TenantsError> {
        self.directory.create(self.actor, new, allotted).await
    }

    /// Changes a tenant.
    ///
    /// # Errors
    /// [`TenantsError::Unknown`], [`TenantsError::Invalid`], or the store refused.
    pub async fn update(&self, id: TenantId, patch: TenantPatch) -> Result<Arc<Tenant>, TenantsError> {
        // What a person does about a refusal is tried at once; another name is no reason to ask the platform again.
        let cured = patch.state == Some(StateChange::Active) || patch.appsecret.is_some();
        let (tenant, version) = self.directory.update(self.actor, id, patch).await?;
        if version.is_some() || cured {
            self.custody.planted(id, version);
        }
        Ok(tenant)
    }

    /// Tenants whose data is to be deleted by now (unix ms).
    pub fn expired(&self, retention: Retention, now: i64) -> Vec<Arc<Tenant>> {
        let all = self.directory.list(None, usize::MAX);
        all.into_iter().filter(|tenant| retention.ends(&tenant.state).is_some_and(|end| end <= now)).collect()
    }

    /// Deletions that are not finished, with the time when they began, unix ms.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn deletions(&self) -> Result<Vec<(TenantId, i64)>, TenantsError> {
        life::begun(self.directory.db.reader()).await
    }

    /// One small step of a deletion: takes some rows of this crate, and says how many; 0 when none is left. The rows of
    /// the journal go before.
    ///
    /// # Errors
    /// The store refused.
    pub async fn erase(&self, deleted: TenantId) -> Result<u64, TenantsError> {
        let write = self.directory.db.writer();
        write.submit(move |c| Box::pin(async move { life::erase(c, deleted).await })).await
    }

    /// Ends a deletion whose rows are gone.
    ///
    /// # Errors
    /// The store refused.
    pub async fn finish_deletion(&self, deleted: TenantId) -> Result<(), TenantsError> {
        let now = self.directory.clock.now();
        let write = self.directory.db.writer();
        write.submit(move |c| Box::pin(async move { life::finish(c, deleted, now).await })).await
    }

    /// Up to `limit` tenants after one, by id, from memory.
    pub async fn list(&self, after: Option<TenantId>, limit: u32) -> Vec<Arc<Tenant>> {
        self.directory.list(after, limit as usize)
    }

    /// Whether the host has a component: without one no authorized tenant gets a token, and none of its callbacks opens.
    pub fn has_component(&self) -> bool {
        self.custody.has_component()
    }

    /// Seals and opens columns.
    pub fn vault(&self) -> &Vault {
        &self.directory.vault
    }

    /// The platform's tokens.
    pub fn custody(&self) -> &Custody {
        &self.custody
    }

    /// Decoded buyer data.
    pub fn decodes(&self) -> &Decodes {
        &self.decodes
    }

    /// How shops come through the component, and leave.
    pub fn onboarding(&self) -> &Onboarding {
        &self.onboarding
    }

    /// What an orderly stop waits for: refreshes of tokens, decodes, and questions about authorization codes.
    pub fn flights(&self) -> &Flights {
        &self.flights
    }

    /// Plugins, versions, installations, grants.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Tokens of the admin API, and links to the merchant page.
    pub fn access(&self) -> Access {
        Access::new(Arc::clone(&self.directory), self.actor)
    }

    /// Who did what.
    pub fn audit(&self) -> Audit {
        Audit::new(Arc::clone(&self.directory))
    }

    /// The clock that all of this goes by.
    pub fn clock(&self) -> &Clock {
        &self.directory.clock
    }

    /// Counts a refused callback, in memory; the store learns it within seconds. `reason` is a code.
    pub fn count_refusal(&self, tenant: TenantId, reason: &'static str) {
        self.refusals.count(tenant, reason, self.directory.clock.now());
    }

    /// The tenant's refused callbacks by reason, most frequent first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn refusals(&self, tenant: TenantId) -> Result<Vec<Refusal>, TenantsError> {
        Ok(self.refusals.of(tenant).await?)
    }

    /// Brings counted refusals to the store now; for the end of the process.
    ///
    /// # Errors
    /// The store refused; the counts stay in memory.
    pub async fn flush_refusals(&self) -> Result<(), WriteError> {
        self.refusals.flush().await
    }
}

impl std::fmt::Debug for Tenants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenants").finish_non_exhaustive()
    }
}

/// The host's own data key, for the component's ticket and token.
async fn first_key(db: &Database, kek: &dyn KeyWrap, vault: &Vault, clock: &Clock) -> Result<(), TenantsError> {
    if vault.has_key(TenantId::HOST) {
        return Ok(());
    }
    let (vault, now) = (vault.clone(), clock.now());
    let new = vault.new_key(kek, TenantId::HOST).await?;
    db.writer().submit(move |c| Box::pin(async move { vault.keep_key(c, new, now).await })).await
}

/// Flushes refusals until the last `Tenants` is gone.
fn flush_now_and_then(refusals: &Arc<Refusals>) {
    let refusals = Arc::downgrade(refusals);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(FLUSH_EVERY).await;
            let Some(refusals) = refusals.upgrade() else { break };
            match refusals.flush().await {
                Ok(()) => {}
                Err(WriteError::Closed) => break,
                Err(error) => tracing::warn!(%error, "refused callbacks are counted in memory only for now"),
            }
        }
    });
}
