//! The vault: seals and opens columns under the tenant's data key, in memory and in microseconds.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use fangshi_database::TenantId;
use sqlx::{Row, SqliteConnection};
use zeroize::Zeroizing;

use crate::envelope::{SealKey, key_version};
use crate::{CustodyError, KekError, KeyWrap, TenantsError};

/// The version of a tenant's first data key.
const FIRST_KEY: u32 = 1;

/// A column of the store: a sealed value is bound to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
}

/// Seals columns. Clones share the keys.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<RwLock<HashMap<TenantId, Arc<Keys>>>>,
}

/// The data keys of one tenant; the newest seals.
struct Keys {
    newest: SealKey,
    older: Vec<SealKey>,
}

/// A fresh data key, wrapped for its row.
pub(crate) struct NewKey {
    tenant: TenantId,
    wrapped: Vec<u8>,
    kek_id: String,
    key: SealKey,
}

impl NewKey {
    /// Whose it is.
    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }
}

impl Vault {
    /// Every data key of the store, unwrapped.
    ///
    /// # Errors
    /// The key is not the store's, its key rows are damaged, or the store cannot be read.
    pub async fn load(db: &sqlx::SqlitePool, kek: &dyn KeyWrap) -> Result<Vault, TenantsError> {
        let rows = sqlx::query("SELECT tenant_id, key_version, wrapped, kek_id FROM data_keys ORDER BY key_version")
            .fetch_all(db)
            .await?;
        let mut keys: HashMap<TenantId, Vec<SealKey>> = HashMap::with_capacity(rows.len());
        for row in rows {
            let tenant = TenantId(row.try_get(0)?);
            let version: u32 = row.try_get(1)?;
            let wrapped: &[u8] = row.try_get(2)?;
            let kek_id: String = row.try_get(3)?;
            if kek_id != kek.id() {
                return Err(TenantsError::WrongKey { wanted: kek_id, given: kek.id() });
            }
            let key = match kek.open(&wrapping(tenant, version), wrapped).await {
                Ok(bytes) => bytes.as_slice().try_into().ok().map(|bytes| SealKey::new(version, bytes)),
                Err(unreached @ KekError::Unreached { .. }) => return Err(unreached.into()),
                Err(_) => None,
            };
            let key =
                key.ok_or_else(|| TenantsError::DamagedKeys { what: format!("data key {version} of {tenant}") })?;
            keys.entry(tenant).or_default().push(key);
        }
        let keys = keys.into_iter().filter_map(|(tenant, mut older)| {
            let newest = older.pop()?;
            Some((tenant, Arc::new(Keys { newest, older })))
        });
        Ok(Vault { keys: Arc::new(RwLock::new(keys.collect())) })
    }

    /// Seals `plain` for the row named `row` of a column. The name must be known before the row is written and never
    /// change: an id, a dedup digest.
    ///
    /// # Errors
    /// The tenant has no data key, or the system gives no random bytes.
    pub fn seal(&self, tenant: TenantId, place: Place, row: &[u8], plain: &[u8]) -> Result<Vec<u8>, CustodyError> {
        let keys = self.keys(tenant)?;
        let belongs = [place.table.as_bytes(), place.column.as_bytes(), &tenant.0.to_be_bytes(), row];
        keys.newest
            .seal(&belongs, plain)
            .map_err(|_| CustodyError::Seal("the cipher or the random source refused".into()))
    }

    /// Opens what [`Vault::seal`] made with the same tenant, place and row.
    ///
    /// # Errors
    /// The value was damaged or moved, or the tenant has no data key.
    pub fn unseal(
        &self,
        tenant: TenantId,
        place: Place,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CustodyError> {
        let refused = CustodyError::Unsealable { table: place.table, column: place.column, tenant };
        let keys = self.keys(tenant)?;
        let belongs = [place.table.as_bytes(), place.column.as_bytes(), &tenant.0.to_be_bytes(), row];
        let Ok(version) = key_version(sealed) else { return Err(refused) };
        let key = std::iter::once(&keys.newest).chain(&keys.older).find(|key| key.version == version);
        key.and_then(|key| key.open(&belongs, sealed).ok()).ok_or(refused)
    }

    fn keys(&self, tenant: TenantId) -> Result<Arc<Keys>, CustodyError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&tenant).cloned().ok_or(CustodyError::NoKey { tenant })
    }

    /// How many data keys there are.
    pub(crate) fn count(&self) -> usize {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().map(|keys| 1 + keys.older.len()).sum()
    }

    pub(crate) fn has_key(&self, tenant: TenantId) -> bool {
        self.keys(tenant).is_ok()
    }

    /// Drops a tenant's keys; whoever seals or opens just now still ends.
    pub(crate) fn forget(&self, tenant: TenantId) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }

    /// Makes the first data key of a tenant.
    pub(crate) async fn new_key(&self, kek: &dyn KeyWrap, tenant: TenantId) -> Result<NewKey, TenantsError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| CustodyError::Seal(error.to_string()))?;
        let wrapped = kek.wrap(&wrapping(tenant, FIRST_KEY), bytes.as_slice()).await?;
        Ok(NewKey { tenant, wrapped, kek_id: kek.id(), key: SealKey::new(FIRST_KEY, &bytes) })
    }

    /// Writes the row of a new data key; values can be sealed under it at once. If the row does not become durable, the
    /// tenant's number goes to the next one made, whose key replaces this one.
    pub(crate) async fn keep_key(
        &self,
        connection: &mut SqliteConnection,
        new: NewKey,
        now: i64,
    ) -> Result<(), TenantsError> {
        sqlx::query(
            "INSERT INTO data_keys (tenant_id, key_version, wrapped, kek_id, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(new.tenant.0)
        .bind(new.key.version)
        .bind(new.wrapped)
        .bind(new.kek_id)
        .bind(now)
        .execute(connection)
        .await?;
        let keys = Arc::new(Keys { newest: new.key, older: Vec::new() });
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(new.tenant, keys);
        Ok(())
    }
}

/// What a wrapped data key belongs to.
pub(crate) fn wrapping(tenant: TenantId, version: u32) -> Vec<u8> {
    let mut belongs = b"data_keys.wrapped\0".to_vec();
    belongs.extend_from_slice(&tenant.0.to_be_bytes());
    belongs.extend_from_slice(&version.to_be_bytes());
    belongs
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}
