//! Approvals: whether the operator let a version be installed, and whether they took that back. What the operator uploads is
//! approved by that; the same bytes are approved, and revoked, once a tenant, whatever the plugins are called.

use fangshi_database::{Digest, PluginId, TenantId};
use serde_json::json;
use sqlx::SqliteConnection;

use super::Registry;
use super::records::{Installation, Terms, VersionRecord};
use crate::audit::{self, Action, Actor, Entry};
use crate::{RegistryError, Vault};

/// Versions that are approved in one write: others wait for it.
const AT_ONCE: i64 = 50;

impl Registry {
    /// Approves a version, and with it all of the tenant's with the same bytes. One that is approved stays as it is; one
    /// whose approval was taken back goes on.
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
        let approved = self.commit(tenant, move |c| {
            Box::pin(async move { approve(c, &vault, (tenant, plugin, digest), actor, now, 0).await })
        });
        approved.await?;
        self.version_of(tenant, plugin, digest).await?.ok_or_else(unknown)
    }

    /// Approves all versions of a tenant (of one plugin, if named) that wait, each with an entry of its own. What was revoked
    /// stays so: that is for somebody who looks at it. Gives those that were approved, in the order of their uploads.
    ///
    /// # Errors
    /// The store refused; what was approved before that stays approved.
    pub async fn approve_all(
        &self,
        tenant: TenantId,
        plugin: Option<PluginId>,
    ) -> Result<Vec<(PluginId, Digest)>, RegistryError> {
        self.known(tenant)?;
        let (actor, now) = (self.actor, self.directory.clock.now());
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let vault = self.directory.vault.clone();
            let step = self.directory.db.writer().submit(move |c| {
                Box::pin(async move {
                    let rows = waiting(c, tenant, plugin, after).await?;
                    for (_, plugin, digest) in &rows {
                        approve(c, &vault, (tenant, *plugin, *digest), actor, now, 0).await?;
                    }
                    Ok::<_, RegistryError>(rows)
                })
            });
            let rows = step.await?;
            let Some((last, ..)) = rows.last() else { return Ok(all) };
            after = *last;
            all.extend(rows.into_iter().map(|(_, plugin, digest)| (plugin, digest)));
        }
    }

    /// Takes back what the operator approved, of all of the tenant's versions with the same bytes: installations of them hold,
    /// and their runs wait. One that was never approved is barred in the same way.
    ///
    /// # Errors
    /// No such version, or the store refused.
    pub async fn revoke(
        &self,
        tenant: TenantId,
        plugin: PluginId,
        digest: Digest,
    ) -> Result<VersionRecord, RegistryError> {
        let unknown = || RegistryError::UnknownVersion(digest);
        self.version_of(tenant, plugin, digest).await?.ok_or_else(unknown)?;
        let (actor, vault, now) = (self.actor, self.directory.vault.clone(), self.directory.clock.now());
        let revoked = self.commit(tenant, move |c| {
            Box::pin(async move {
                if bar(c, tenant, digest, now).await? > 0 {
                    let entry = Entry::new(actor, Action::VersionRevoked, tenant).about(plugin).about(digest);
                    audit::append(c, &vault, now, entry.with(json!({"version": digest}))).await?;
                }
                Ok(())
            })
        });
        revoked.await?;
        self.version_of(tenant, plugin, digest).await?.ok_or_else(unknown)
    }

    /// Up to `limit` versions of all tenants that are not approved, after a [`VersionRecord::number`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unapproved(&self, after: Option<i64>, limit: u32) -> Result<Vec<VersionRecord>, RegistryError> {
        self.unapproved_after(after.unwrap_or(0), limit).await
    }
}

/// What follows from an upload: bytes that were revoked stay so, the operator's own are approved, and so are bytes that were.
/// The entry of the upload says so of a `fresh` version.
pub(super) async fn follow(
    c: &mut SqliteConnection,
    vault: &Vault,
    (tenant, plugin, digest): (TenantId, PluginId, Digest),
    (actor, fresh): (Actor, bool),
    now: i64,
) -> Result<(), RegistryError> {
    let revoked: Option<i64> = sqlx::query_scalar(
        "SELECT revoked_at FROM versions WHERE tenant_id = $1 AND digest = $2 AND revoked_at IS NOT NULL LIMIT 1",
    )
    .bind(tenant.0)
    .bind(digest.as_bytes().as_slice())
    .fetch_optional(&mut *c)
    .await?;
    if let Some(revoked_at) = revoked {
        bar(c, tenant, digest, revoked_at).await?;
        return Ok(());
    }
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

/// Versions that wait and were not revoked, by their number after one.
async fn waiting(
    c: &mut SqliteConnection,
    tenant: TenantId,
    plugin: Option<PluginId>,
    after: i64,
) -> Result<Vec<(i64, PluginId, Digest)>, RegistryError> {
    let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT id, plugin_id, digest FROM versions WHERE tenant_id = $1 AND ($2 IS NULL OR plugin_id = $2) \
         AND id > $3 AND approved_at IS NULL AND revoked_at IS NULL ORDER BY id LIMIT $4",
    )
    .bind(tenant.0)
    .bind(plugin.map(|plugin| plugin.0))
    .bind(after)
    .bind(AT_ONCE)
    .fetch_all(c)
    .await?;
    let damaged = |_| RegistryError::Damaged("versions");
    let read = |(id, plugin, digest): (i64, i64, Vec<u8>)| {
        Ok((id, PluginId(plugin), Digest::from_slice(&digest).map_err(damaged)?))
    };
    rows.into_iter().map(read).collect()
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
        "UPDATE versions SET approved_at = $3, approved_by = $4, revoked_at = NULL \
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

/// Gives how many versions were not revoked before.
async fn bar(c: &mut SqliteConnection, tenant: TenantId, digest: Digest, at: i64) -> Result<u64, RegistryError> {
    let barred = sqlx::query(
        "UPDATE versions SET approved_at = NULL, approved_by = NULL, revoked_at = $3 \
         WHERE tenant_id = $1 AND digest = $2 AND revoked_at IS NULL",
    )
    .bind(tenant.0)
    .bind(digest.as_bytes().as_slice())
    .bind(at)
    .execute(c)
    .await?;
    Ok(barred.rows_affected())
}

/// Refuses the version of an installation if it was revoked, or if an approval or a signature is asked for that it does not have.
pub(super) async fn check(
    c: &mut SqliteConnection,
    installation: &Installation,
    terms: &Terms,
) -> Result<(), RegistryError> {
    let row: Option<(Option<i64>, Option<i64>, Option<String>)> = sqlx::query_as(
        "SELECT approved_at, revoked_at, signed_by FROM versions WHERE tenant_id = $1 AND plugin_id = $2 AND digest = $3",
    )
    .bind(installation.tenant.0)
    .bind(installation.plugin.0)
    .bind(installation.version.as_bytes().as_slice())
    .fetch_optional(c)
    .await?;
    let version = installation.version;
    let Some((approved_at, revoked_at, signed_by)) = row else { return Err(RegistryError::NotApproved(version)) };
    if revoked_at.is_some() {
        return Err(RegistryError::Revoked(version));
    }
    if terms.signers.as_ref().is_some_and(|signers| !signed_by.is_some_and(|key| signers.contains(&key))) {
        return Err(RegistryError::NotSigned(version));
    }
    if terms.approval && approved_at.is_none() {
        return Err(RegistryError::NotApproved(version));
    }
    Ok(())
}
