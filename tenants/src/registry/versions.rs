//! Versions: uploaded, listed, read back.

use std::collections::HashSet;

use fangshi_database::{Digest, PluginId, TenantId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteExecutor};

use super::records::{Declared, ManifestRecord, PluginRecord, VersionRecord};
use super::settings::SettingsSchema;
use super::{Registry, UploadLimits, approvals};
use crate::audit::{self, Action, Entry};
use crate::{Place, RegistryError, Vault};

const WASM: Place = Place { table: "components", column: "wasm" };
const SCHEMA: Place = Place { table: "versions", column: "settings_schema" };

macro_rules! select_versions {
    ($rest:literal) => {
        concat!(
            "SELECT v.id AS number, v.digest, v.tenant_id, v.plugin_id, p.name AS plugin_name, v.size, v.hooks, \
             v.grants, v.settings_schema, v.uploaded_at, v.approved_at, v.approved_by, v.revoked_at, v.signed_by \
             FROM versions v JOIN plugins p ON p.id = v.plugin_id ",
            $rest
        )
    };
}

impl Registry {
    /// Keeps an upload as a version of the named plugin, which is made with its first version. `digest` is the sha256 of
    /// `wasm`, `declared` what it says of itself
    /// (its type alone, or its type and its settings). The same bytes again give the version that is there, and false.
    ///
    /// # Errors
    /// No such tenant, a name that is not 1 to 64 of `a-z 0-9 - _ .` (or is `.` or `..`), a digest of other bytes, or the store refused;
    /// [`RegistryError::UploadsUsedUp`]: the tenant's [`UploadLimits`](super::UploadLimits) have no room for it.
    pub async fn add_version(
        &self,
        tenant: TenantId,
        plugin: &str,
        digest: Digest,
        declared: impl Into<Declared>,
        wasm: &[u8],
    ) -> Result<(PluginId, VersionRecord, bool), RegistryError> {
        self.known(tenant)?;
        check_name(plugin)?;
        let Declared { manifest, settings, signed_by } = declared.into();
        let details = serde_json::json!({"name": plugin, "size": wasm.len(), "manifest": &manifest});
        let hooks = json(&manifest.hooks)?;
        let grants = json(&manifest.grants)?;
        let size = i64::try_from(wasm.len()).unwrap_or(i64::MAX);
        // Hashing and sealing megabytes takes milliseconds: not on a worker of the runtime.
        let vault = self.directory.vault.clone();
        let wasm = wasm.to_vec();
        let (sealed, schema) = blocking(move || {
            if Digest::of(&wasm) != digest {
                let problem = "is not the sha256 of these bytes".to_owned();
                return Err(RegistryError::Invalid { member: "version", problem });
            }
            let schema =
                settings.map(|schema| vault.seal(tenant, SCHEMA, digest.as_bytes(), schema.source().as_bytes()));
            Ok((vault.seal(tenant, WASM, digest.as_bytes(), &wasm)?, schema.transpose()?))
        })
        .await?;
        let now = self.directory.clock.now();
        let name = plugin.to_owned();
        let (actor, vault, limits) = (self.actor, self.directory.vault.clone(), self.uploads);
        let (plugin, fresh): (PluginId, bool) = self
            .directory
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    // Also updates nothing, so that RETURNING tells the id of a plugin that was there.
                    let plugin: i64 = sqlx::query_scalar(
                        "INSERT INTO plugins (tenant_id, name, created_at) VALUES ($1, $2, $3) \
                         ON CONFLICT (tenant_id, name) DO UPDATE SET name = excluded.name RETURNING id",
                    )
                    .bind(tenant.0)
                    .bind(name)
                    .bind(now)
                    .fetch_one(&mut *c)
                    .await?;
                    sqlx::query(
                        "INSERT INTO components (tenant_id, digest, wasm) VALUES ($1, $2, $3) \
                         ON CONFLICT (tenant_id, digest) DO NOTHING",
                    )
                    .bind(tenant.0)
                    .bind(digest.as_bytes().as_slice())
                    .bind(sealed)
                    .execute(&mut *c)
                    .await?;
                    let inserted = sqlx::query(
                        "INSERT INTO versions (tenant_id, plugin_id, digest, size, hooks, grants, uploaded_at, \
                         settings_schema, signed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, (SELECT signed_by FROM \
                         versions WHERE tenant_id = $1 AND digest = $3 LIMIT 1)) ON CONFLICT (plugin_id, digest) DO NOTHING",
                    )
                    .bind(tenant.0)
                    .bind(plugin)
                    .bind(digest.as_bytes().as_slice())
                    .bind(size)
                    .bind(hooks)
                    .bind(grants)
                    .bind(now)
                    .bind(schema)
                    .execute(&mut *c)
                    .await?;
                    let fresh = inserted.rows_affected() == 1;
                    if fresh {
                        Used::of(&mut *c, tenant).await?.within(limits)?;
                        let entry = Entry::new(actor, Action::PluginUploaded, tenant).about(PluginId(plugin));
                        audit::append(c, &vault, now, entry.about(digest).with(details)).await?;
                    }
                    if let Some(key) = signed_by {
                        // Of bytes that were there without one as well: the same bytes are signed once a tenant.
                        sqlx::query("UPDATE versions SET signed_by = $3 WHERE tenant_id = $1 AND digest = $2")
                            .bind(tenant.0)
                            .bind(digest.as_bytes().as_slice())
                            .bind(key)
                            .execute(&mut *c)
                            .await?;
                    }
                    approvals::follow(c, &vault, (tenant, PluginId(plugin), digest), (actor, fresh), now).await?;
                    Ok::<_, RegistryError>((PluginId(plugin), fresh))
                })
            })
            .await?;
        let version = self.version_of(tenant, plugin, digest).await?;
        Ok((plugin, version.ok_or(RegistryError::UnknownVersion(digest))?, fresh))
    }

    /// Whether [`Registry::add_version`] would find room for an upload of `size` bytes; to be asked before compiling it, since
    /// the compiled code lies on the disk of the store as well. A version that is there needs none.
    ///
    /// # Errors
    /// As [`Registry::add_version`], without the store's refusals to write.
    pub async fn room_for(
        &self,
        tenant: TenantId,
        plugin: &str,
        digest: Digest,
        size: usize,
    ) -> Result<(), RegistryError> {
        self.known(tenant)?;
        check_name(plugin)?;
        let (is_version, is_kept): (bool, bool) = sqlx::query_as(
            "SELECT EXISTS (SELECT 1 FROM versions v JOIN plugins p ON p.id = v.plugin_id \
             WHERE v.tenant_id = $1 AND v.digest = $2 AND p.name = $3), \
             EXISTS (SELECT 1 FROM versions WHERE tenant_id = $1 AND digest = $2)",
        )
        .bind(tenant.0)
        .bind(digest.as_bytes().as_slice())
        .bind(plugin)
        .fetch_one(self.directory.db.reader())
        .await?;
        if is_version {
            return Ok(());
        }
        let used = Used::of(self.directory.db.reader(), tenant).await?;
        used.and_one_of(if is_kept { 0 } else { size as u64 }).within(self.uploads)
    }

    /// The digests of all versions of all tenants.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn digests(&self) -> Result<HashSet<Digest>, RegistryError> {
        let rows: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT DISTINCT digest FROM versions").fetch_all(self.directory.db.reader()).await?;
        rows.iter().map(|row| Digest::from_slice(row).map_err(|_| RegistryError::Damaged("versions"))).collect()
    }

    /// A version by its digest; if several plugins of the tenant have these bytes, the one uploaded first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn version(&self, tenant: TenantId, digest: Digest) -> Result<Option<VersionRecord>, RegistryError> {
        let row = sqlx::query(select_versions!("WHERE v.tenant_id = $1 AND v.digest = $2 ORDER BY v.id LIMIT 1"))
            .bind(tenant.0)
            .bind(digest.as_bytes().as_slice())
            .fetch_optional(self.directory.db.reader())
            .await?;
        row.map(|row| read(&row, &self.directory.vault)).transpose()
    }

    /// A version of one plugin.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn version_of(
        &self,
        tenant: TenantId,
        plugin: PluginId,
        digest: Digest,
    ) -> Result<Option<VersionRecord>, RegistryError> {
        let row = sqlx::query(select_versions!("WHERE v.tenant_id = $1 AND v.plugin_id = $2 AND v.digest = $3"))
            .bind(tenant.0)
            .bind(plugin.0)
            .bind(digest.as_bytes().as_slice())
            .fetch_optional(self.directory.db.reader())
            .await?;
        row.map(|row| read(&row, &self.directory.vault)).transpose()
    }

    /// The bytes of a version.
    ///
    /// # Errors
    /// [`RegistryError::UnknownVersion`], bytes that were damaged, or a store that cannot be read.
    pub async fn wasm(&self, tenant: TenantId, digest: Digest) -> Result<Vec<u8>, RegistryError> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT wasm FROM components WHERE tenant_id = $1 AND digest = $2")
                .bind(tenant.0)
                .bind(digest.as_bytes().as_slice())
                .fetch_optional(self.directory.db.reader())
                .await?;
        let sealed = sealed.ok_or(RegistryError::UnknownVersion(digest))?;
        let vault = self.directory.vault.clone();
        blocking(move || {
            let mut wasm = vault.unseal(tenant, WASM, digest.as_bytes(), &sealed)?;
            Ok(std::mem::take(&mut *wasm))
        })
        .await
    }

    /// Up to `limit` plugins of the tenant after one, by id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn plugins(
        &self,
        tenant: TenantId,
        after: Option<PluginId>,
        limit: u32,
    ) -> Result<Vec<PluginRecord>, RegistryError> {
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(
            "SELECT id, name, created_at FROM plugins WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(tenant.0)
        .bind(after.map_or(0, |id| id.0))
        .bind(limit)
        .fetch_all(self.directory.db.reader())
        .await?;
        let record = |(id, name, created_at)| PluginRecord { id: PluginId(id), tenant, name, created_at };
        Ok(rows.into_iter().map(record).collect())
    }

    /// A plugin by its name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn plugin_named(&self, tenant: TenantId, name: &str) -> Result<Option<PluginRecord>, RegistryError> {
        let row: Option<(i64, String, i64)> =
            sqlx::query_as("SELECT id, name, created_at FROM plugins WHERE tenant_id = $1 AND name = $2")
                .bind(tenant.0)
                .bind(name)
                .fetch_optional(self.directory.db.reader())
                .await?;
        Ok(row.map(|(id, name, created_at)| PluginRecord { id: PluginId(id), tenant, name, created_at }))
    }

    /// Up to `limit` versions of the tenant (of one plugin, if named) after a [`VersionRecord::number`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn versions(
        &self,
        tenant: TenantId,
        plugin: Option<PluginId>,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<VersionRecord>, RegistryError> {
        let rows = sqlx::query(select_versions!(
            "WHERE v.tenant_id = $1 AND v.id > $2 AND ($3 IS NULL OR v.plugin_id = $3) ORDER BY v.id LIMIT $4"
        ))
        .bind(tenant.0)
        .bind(after.unwrap_or(0))
        .bind(plugin.map(|id| id.0))
        .bind(limit)
        .fetch_all(self.directory.db.reader())
        .await?;
        rows.iter().map(|row| read(row, &self.directory.vault)).collect()
    }

    /// The newest versions of the tenant that never were installed, up to `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn never_installed(&self, tenant: TenantId, limit: u32) -> Result<Vec<VersionRecord>, RegistryError> {
        let rows = sqlx::query(select_versions!(
            "WHERE v.tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM installations i WHERE i.tenant_id = v.tenant_id \
             AND i.plugin_id = v.plugin_id AND i.digest = v.digest) ORDER BY v.id DESC LIMIT $2"
        ))
        .bind(tenant.0)
        .bind(limit)
        .fetch_all(self.directory.db.reader())
        .await?;
        rows.iter().map(|row| read(row, &self.directory.vault)).collect()
    }

    pub(super) async fn unapproved_after(&self, after: i64, limit: u32) -> Result<Vec<VersionRecord>, RegistryError> {
        let rows = sqlx::query(select_versions!("WHERE v.approved_at IS NULL AND v.id > $1 ORDER BY v.id LIMIT $2"))
            .bind(after)
            .bind(limit)
            .fetch_all(self.directory.db.reader())
            .await?;
        rows.iter().map(|row| read(row, &self.directory.vault)).collect()
    }

    pub(super) fn known(&self, tenant: TenantId) -> Result<(), RegistryError> {
        self.directory.get(tenant).map(|_| ()).ok_or(RegistryError::UnknownTenant(tenant))
    }
}

/// What a tenant's uploads take up.
struct Used {
    versions: u64,
    bytes: u64,
}

impl Used {
    async fn of(store: impl SqliteExecutor<'_>, tenant: TenantId) -> Result<Used, RegistryError> {
        let (versions, bytes): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM versions WHERE tenant_id = $1), (SELECT coalesce(sum(size), 0) FROM \
             (SELECT DISTINCT digest, size FROM versions WHERE tenant_id = $1))",
        )
        .bind(tenant.0)
        .fetch_one(store)
        .await?;
        Ok(Used { versions: versions.unsigned_abs(), bytes: bytes.unsigned_abs() })
    }

    fn and_one_of(self, bytes: u64) -> Used {
        Used { versions: self.versions + 1, bytes: self.bytes.saturating_add(bytes) }
    }

    fn within(&self, limits: UploadLimits) -> Result<(), RegistryError> {
        if self.versions > limits.versions.into() {
            return Err(RegistryError::UploadsUsedUp { most: limits.versions.into(), of: "versions" });
        }
        if self.bytes > limits.bytes {
            return Err(RegistryError::UploadsUsedUp { most: limits.bytes, of: "bytes of components" });
        }
        Ok(())
    }
}

fn read(row: &SqliteRow, vault: &Vault) -> Result<VersionRecord, RegistryError> {
    let digest: &[u8] = row.try_get("digest")?;
    let damaged = RegistryError::Damaged("versions");
    let hooks = serde_json::from_str(row.try_get("hooks")?);
    let grants = serde_json::from_str(row.try_get("grants")?);
    let (Ok(digest), Ok(hooks), Ok(grants)) = (Digest::from_slice(digest), hooks, grants) else { return Err(damaged) };
    let tenant = TenantId(row.try_get("tenant_id")?);
    Ok(VersionRecord {
        number: row.try_get("number")?,
        digest,
        tenant,
        plugin: PluginId(row.try_get("plugin_id")?),
        plugin_name: row.try_get("plugin_name")?,
        size: row.try_get::<i64, _>("size")?.unsigned_abs(),
        manifest: ManifestRecord { hooks, grants },
        settings_schema: schema(row, vault, tenant, &digest)?,
        uploaded_at: row.try_get("uploaded_at")?,
        approved_at: row.try_get("approved_at")?,
        approved_by: row.try_get("approved_by")?,
        revoked_at: row.try_get("revoked_at")?,
        signed_by: row.try_get("signed_by")?,
    })
}

/// The schema of a row of versions, or of one joined with it.
pub(super) fn schema(
    row: &SqliteRow,
    vault: &Vault,
    tenant: TenantId,
    digest: &Digest,
) -> Result<Option<SettingsSchema>, RegistryError> {
    let Some(sealed) = row.try_get::<Option<&[u8]>, _>("settings_schema")? else { return Ok(None) };
    let source = vault.unseal(tenant, SCHEMA, digest.as_bytes(), sealed)?;
    SettingsSchema::stored(&source).map(Some).map_err(|_| RegistryError::Damaged("versions"))
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    // Two names mean a folder wherever a plugin's name becomes a part of a path.
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) && name != "." && name != ".." {
        return Ok(());
    }
    Err(RegistryError::Invalid {
        member: "name",
        problem: "must be 1 to 64 of a-z, 0-9, `-`, `_` and `.`, and not `.` or `..`".into(),
    })
}

pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, RegistryError> {
    serde_json::to_string(value).map_err(|_| RegistryError::Damaged("a JSON value"))
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, RegistryError> + Send + 'static,
) -> Result<R, RegistryError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| RegistryError::Damaged("a component"))?
}
