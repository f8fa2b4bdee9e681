//! Approvals: whether the operator let a version be installed. What the operator uploads is approved by that; the same bytes
//! are approved once a tenant, whatever the plugins are called.

use fangshi_database::{Digest, PluginId, TenantId};
use serde_json::json;
use sqlx::SqliteConnection;

use super::Registry;
use super::records::VersionRecord;
use crate::audit::{self, Action, Actor, Entry};
use crate::{RegistryError, Vault};

impl Registry {
    /// Approves a version, and with it all of the tenant's with the same bytes. One that is approved stays as it is.
    ///
    /// # Errors
    /// No such version, or the store refused.
    pub async fn approve(
        &self,
        tenant: TenantId,
        plugin: PluginId,
        digest: Digest,
    ) -> Result<VersionRecord, RegistryError> {
        let unknown = || RegistryError::UnknownVersion(digest);
        self.version_of(tenant, plugin, digest).await?.ok_or_else(unknown)?;
        let (actor, vault, now) = (self.actor, self.directory.vault.clone(), self.directory.clock.now());
        let approved = self.directory.db.writer().submit(move |c| {
            Box::pin(async move { approve(c, &vault, (tenant, plugin, digest), actor, now, 0).await })
        });
        approved.await?;
        self.version_of(tenant, plugin, digest).await?.ok_or_else(unknown)
    }

    /// Up to `limit` versions of all tenants that nobody approved, after a [`VersionRecord::number`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unapproved(&self, after: Option<i64>, limit: u32) -> Result<Vec<VersionRecord>, RegistryError> {
        self.unapproved_after(after.unwrap_or(0), limit).await
    }
}

/// What follows from an upload: the operator's own is approved, and so are bytes that were. The entry of the upload says so of
/// a `fresh` version.
pub(super) async fn follow(
    c: &mut SqliteConnection,
    vault: &Vault,
    (tenant, plugin, digest): (TenantId, PluginId, Digest),
    (actor, fresh): (Actor, bool),
    now: i64,
) -> Result<(), RegistryError> {
    if matches!(actor, Actor::Merchant(_)) {
        sqlx::query(
            "UPDATE versions SET (approved_at, approved_by) = (SELECT other.approved_at, other.approved_by FROM versions \
             AS other WHERE other.tenant_id = $1 AND other.digest = $2 AND other.approved_at IS NOT NULL LIMIT 1) \
             WHERE tenant_id = $1 AND digest = $2 AND approved_at IS NULL",
        )
        .bind(tenant.0)
        .bind(digest.as_bytes().as_slice())
        .execute(c)
        .await?;
        return Ok(());
    }
    approve(c, vault, (tenant, plugin, digest), actor, now, fresh.into()).await
}

/// `told`: so many of them need no entry of their own.
async fn approve(
    c: &mut SqliteConnection,
    vault: &Vault,
    (tenant, plugin, digest): (TenantId, PluginId, Digest),
    actor: Actor,
    now: i64,
    told: u64,
) -> Result<(), RegistryError> {
    let approved = sqlx::query(
        "UPDATE versions SET approved_at = $3, approved_by = $4 \
         WHERE tenant_id = $1 AND digest = $2 AND approved_at IS NULL",
    )
    .bind(tenant.0)
    .bind(digest.as_bytes().as_slice())
    .bind(now)
    .bind(actor.to_string())
    .execute(&mut *c)
    .await?;
    if approved.rows_affected() <= told {
        return Ok(());
    }
    let entry = Entry::new(actor, Action::VersionApproved, tenant).about(plugin).about(digest);
    audit::append(c, vault, now, entry.with(json!({"version": digest}))).await?;
    Ok(())
}

/// Refuses a version that nobody approved.
pub(super) async fn check(
    c: &mut SqliteConnection,
    tenant: TenantId,
    plugin: PluginId,
    digest: Digest,
) -> Result<(), RegistryError> {
    let approved: Option<Option<i64>> =
        sqlx::query_scalar("SELECT approved_at FROM versions WHERE tenant_id = $1 AND plugin_id = $2 AND digest = $3")
            .bind(tenant.0)
            .bind(plugin.0)
            .bind(digest.as_bytes().as_slice())
            .fetch_optional(c)
            .await?;
    match approved.flatten() {
        Some(_) => Ok(()),
        None => Err(RegistryError::NotApproved(digest)),
    }
}
