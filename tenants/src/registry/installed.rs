//! Installations as they are read: one, in pages, and from memory by every event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fangshi_database::{Digest, InstallationId, PluginId, TenantId};
use sqlx::Row;
use sqlx::sqlite::{SqliteExecutor, SqliteRow};

use super::cache::{self, Listed};
use super::records::{Installation, InstallationState, PausedBy};
use super::versions::{json, schema};
use super::{Registry, quarantine};
use crate::{Place, RegistryError, Vault};

pub(super) const SETTINGS: Place = Place { table: "installations", column: "settings" };

macro_rules! select_installations {
    ($rest:literal) => {
        concat!(
            "SELECT i.id, i.tenant_id, i.plugin_id, p.name AS plugin_name, i.digest, v.hooks, v.settings_schema, i.state, \
             i.settings, i.secrets, i.limits, i.created_at, i.updated_at, i.removed_at, i.faults, \
             i.paused_by, i.quarantined_at, i.fault_outcome, i.fault_figure, i.fault_run, i.quarantined_versions, \
             (SELECT json_group_array(lower(hex(r.digest))) FROM versions r WHERE r.plugin_id = i.plugin_id \
             AND r.revoked_at IS NOT NULL) AS revoked, \
             (SELECT json_group_array(name) FROM grants g WHERE g.installation_id = i.id) AS grants, \
             (SELECT json_group_array(json_object('name', name, 'cron', cron, 'time_zone', time_zone, 'next_at', \
             next_at, 'skipped', skipped)) FROM (SELECT * FROM schedules s WHERE s.installation_id = i.id \
             ORDER BY name)) AS schedules \
             FROM installations i JOIN plugins p ON p.id = i.plugin_id \
             JOIN versions v ON v.plugin_id = i.plugin_id AND v.digest = i.digest ",
            $rest
        )
    };
}

impl Registry {
    /// An installation, removed ones included.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn get(&self, tenant: TenantId, id: InstallationId) -> Result<Option<Installation>, RegistryError> {
        find(self.directory.db.reader(), &self.directory.vault, tenant, id).await
    }

    /// Up to `limit` installations of the tenant after one, by id, removed ones included.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(
        &self,
        tenant: TenantId,
        after: Option<InstallationId>,
        limit: u32,
    ) -> Result<Vec<Installation>, RegistryError> {
        let rows = sqlx::query(select_installations!("WHERE i.tenant_id = $1 AND i.id > $2 ORDER BY i.id LIMIT $3"))
            .bind(tenant.0)
            .bind(after.map_or(0, |id| id.0))
            .bind(limit)
            .fetch_all(self.directory.db.reader())
            .await?;
        rows.iter().map(|row| read(row, &self.directory.vault)).collect()
    }

    /// The active installations of a tenant, by id; from memory.
    ///
    /// # Errors
    /// The store cannot be read. (Never an empty list instead: that would drop events in silence.)
    pub async fn active(&self, tenant: TenantId) -> Result<Arc<Vec<Arc<Installation>>>, RegistryError> {
        Ok(self.kept(tenant).await?.active)
    }

    /// The installations of a tenant that are not removed, by id; from memory.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn installed(&self, tenant: TenantId) -> Result<Arc<Vec<Arc<Installation>>>, RegistryError> {
        Ok::<Listed, _>(self.kept(tenant).await?.installed)
    }

    /// Up to `limit` installations of the tenant after one, by id, those that are not removed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn at_work(
        &self,
        tenant: TenantId,
        after: Option<InstallationId>,
        limit: u32,
    ) -> Result<Vec<Installation>, RegistryError> {
        let rows = sqlx::query(select_installations!(
            "WHERE i.tenant_id = $1 AND i.id > $2 AND i.state <> 'removed' ORDER BY i.id LIMIT $3"
        ))
        .bind(tenant.0)
        .bind(after.map_or(0, |id| id.0))
        .bind(limit)
        .fetch_all(self.directory.db.reader())
        .await?;
        rows.iter().map(|row| read(row, &self.directory.vault)).collect()
    }

    /// The names of the plugins of some of a tenant's installations, removed ones included.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn plugin_names(
        &self,
        tenant: TenantId,
        installations: &BTreeSet<InstallationId>,
    ) -> Result<BTreeMap<InstallationId, String>, RegistryError> {
        let ids: Vec<i64> = installations.iter().map(|id| id.0).collect();
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT i.id, p.name FROM installations i JOIN plugins p ON p.id = i.plugin_id \
             WHERE i.tenant_id = $1 AND i.id IN (SELECT value FROM json_each($2))",
        )
        .bind(tenant.0)
        .bind(json(&ids)?)
        .fetch_all(self.directory.db.reader())
        .await?;
        Ok(rows.into_iter().map(|(id, name)| (InstallationId(id), name)).collect())
    }

    async fn kept(&self, tenant: TenantId) -> Result<cache::Kept, RegistryError> {
        let generation = match self.cache.get(tenant) {
            Ok(kept) => return Ok(kept),
            Err(generation) => generation,
        };
        let rows = sqlx::query(select_installations!("WHERE i.tenant_id = $1 AND i.state <> 'removed' ORDER BY i.id"))
            .bind(tenant.0)
            .fetch_all(self.directory.db.reader())
            .await?;
        let installed: Result<Vec<_>, _> =
            rows.iter().map(|row| read(row, &self.directory.vault).map(Arc::new)).collect();
        let kept = cache::Kept::new(installed?);
        self.cache.keep(tenant, generation, kept.clone());
        Ok(kept)
    }
}

/// An installation, removed ones included.
pub(super) async fn find<'e>(
    db: impl SqliteExecutor<'e>,
    vault: &Vault,
    tenant: TenantId,
    id: InstallationId,
) -> Result<Option<Installation>, RegistryError> {
    let row = sqlx::query(select_installations!("WHERE i.tenant_id = $1 AND i.id = $2"))
        .bind(tenant.0)
        .bind(id.0)
        .fetch_optional(db)
        .await?;
    row.map(|row| read(&row, vault)).transpose()
}

fn read(row: &SqliteRow, vault: &Vault) -> Result<Installation, RegistryError> {
    let id = InstallationId(row.try_get("id")?);
    let tenant = TenantId(row.try_get("tenant_id")?);
    let settings = vault.unseal(tenant, SETTINGS, &row_name(id), row.try_get("settings")?)?;
    let damaged = || RegistryError::Damaged("installations");
    let state: &str = row.try_get("state")?;
    let grants: BTreeSet<String> = serde_json::from_str(row.try_get("grants")?).map_err(|_| damaged())?;
    let paused_by: Option<&str> = row.try_get("paused_by")?;
    let version = Digest::from_slice(row.try_get("digest")?).map_err(|_| damaged())?;
    Ok(Installation {
        id,
        tenant,
        plugin: PluginId(row.try_get("plugin_id")?),
        plugin_name: row.try_get("plugin_name")?,
        version,
        hooks: serde_json::from_str(row.try_get("hooks")?).map_err(|_| damaged())?,
        grants,
        settings: Arc::new(serde_json::from_slice(&settings).map_err(|_| damaged())?),
        secrets: serde_json::from_str(row.try_get("secrets")?).map_err(|_| damaged())?,
        schema: schema(row, vault, tenant, &version)?,
        limits: serde_json::from_str(row.try_get("limits")?).map_err(|_| damaged())?,
        schedules: serde_json::from_str(row.try_get("schedules")?).map_err(|_| damaged())?,
        state: InstallationState::from_code(state).ok_or_else(damaged)?,
        paused_by: paused_by.map(|by| PausedBy::from_code(by).ok_or_else(damaged)).transpose()?,
        quarantine: quarantine::read(row)?,
        quarantined: quarantine::versions(row.try_get("quarantined_versions")?).ok_or_else(damaged)?,
        revoked: quarantine::versions(row.try_get("revoked")?).ok_or_else(damaged)?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        removed_at: row.try_get("removed_at")?,
    })
}

/// What the settings of an installation are sealed for.
pub(super) fn row_name(id: InstallationId) -> [u8; 8] {
    id.0.to_be_bytes()
}
