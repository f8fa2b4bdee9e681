//! The door to this crate.

use std::sync::Arc;
use std::time::Duration;

use fangshi_database::{Clock, Database, TenantId, WriteError};

use crate::custody::{ComponentCredentials, Custody};
use crate::directory::Directory;
use crate::kek;
use crate::refusals::{Refusal, Refusals};
use crate::registry::Registry;
use crate::tenant::{NewTenant, Tenant, TenantPatch};
use crate::{Kek, TenantsError, Vault};

/// What the key check seals: whoever opens it has the right key.
const CHECK: &[u8] = b"fangshi key check";
/// How often counted refusals go to the store.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// The tenants and everything that belongs to one. Clones are the same.
#[derive(Clone)]
pub struct Tenants {
    directory: Arc<Directory>,
    custody: Custody,
    registry: Registry,
    refusals: Arc<Refusals>,
}

impl Tenants {
    /// Opens the tenants of a store. At the first start the store is sealed under `kek`; later any other key is refused.
    /// `component` is needed for authorized tenants.
    ///
    /// # Errors
    /// [`TenantsError::WrongKey`], naming the key wanted; damaged rows; a store that cannot be read.
    pub async fn open(
        db: Database,
        kek: Kek,
        component: Option<ComponentCredentials>,
        clock: Clock,
    ) -> Result<Tenants, TenantsError> {
        check_key(&db, &kek, &clock).await?;
        let vault = Vault::load(db.reader(), &kek).await?;
        first_key(&db, &kek, &vault, &clock).await?;
        let directory = Arc::new(Directory::load(db.clone(), kek, vault, clock).await?);
        let refusals = Arc::new(Refusals::new(db));
        flush_now_and_then(&refusals);
        Ok(Tenants {
            custody: Custody::new(Arc::clone(&directory), component),
            registry: Registry::new(Arc::clone(&directory)),
            directory,
            refusals,
        })
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
        self.directory.create(new).await
    }

    /// Changes a tenant.
    ///
    /// # Errors
    /// [`TenantsError::Unknown`], [`TenantsError::Invalid`], or the store refused.
    pub async fn update(&self, id: TenantId, patch: TenantPatch) -> Result<Arc<Tenant>, TenantsError> {
        let (tenant, version) = self.directory.update(id, patch).await?;
        self.custody.planted(id, version);
        Ok(tenant)
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

    /// Plugins, versions, installations, grants.
    pub fn registry(&self) -> &Registry {
        &self.registry
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

/// Refuses a key that is not the store's; a store without a key gets this one.
async fn check_key(db: &Database, kek: &Kek, clock: &Clock) -> Result<(), TenantsError> {
    if kek::wanted(db).await?.is_none() {
        let check_value = kek
            .key
            .seal(&[b"key_check"], CHECK)
            .map_err(|_| TenantsError::DamagedKeys { what: "no random bytes".into() })?;
        let (id, now) = (kek.id(), clock.now());
        db.writer()
            .submit(move |c| {
                Box::pin(async move {
                    // Another process may have been first; then the check below decides.
                    sqlx::query(
                        "INSERT INTO key_check (kek_id, check_value, created_at) SELECT $1, $2, $3 \
                         WHERE NOT EXISTS (SELECT 1 FROM key_check)",
                    )
                    .bind(id)
                    .bind(check_value)
                    .bind(now)
                    .execute(c)
                    .await?;
                    Ok::<_, TenantsError>(())
                })
            })
            .await?;
    }
    let (wanted, check_value): (String, Vec<u8>) =
        sqlx::query_as("SELECT kek_id, check_value FROM key_check").fetch_one(db.reader()).await?;
    if wanted != kek.id() {
        return Err(TenantsError::WrongKey { wanted, given: kek.id() });
    }
    match kek.key.open(&[b"key_check"], &check_value) {
        Ok(text) if text.as_slice() == CHECK => Ok(()),
        _ => Err(TenantsError::DamagedKeys { what: "key_check".into() }),
    }
}

/// The host's own data key, for the component's ticket and token.
async fn first_key(db: &Database, kek: &Kek, vault: &Vault, clock: &Clock) -> Result<(), TenantsError> {
    if vault.has_key(TenantId::HOST) {
        return Ok(());
    }
    let (vault, now) = (vault.clone(), clock.now());
    let new = vault.new_key(kek, TenantId::HOST)?;
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
