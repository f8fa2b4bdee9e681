//! How many installations of a tenant hear a hook: each of them may have a run of one event.

use fangshi_database::TenantId;
use sqlx::SqliteConnection;

use super::records::Installation;
use crate::RegistryError;

/// Refuses an installation, as it was just written, that is one too many for a hook. What it heard `before` it goes on
/// hearing. Within the change's own write: of two at once the second sees the first.
pub(super) async fn check(
    c: &mut SqliteConnection,
    installation: &Installation,
    before: &[String],
    allowed: u64,
) -> Result<(), RegistryError> {
    for hook in installation.hooks.iter().filter(|hook| !before.contains(hook)) {
        let hearing = others(c, installation, hook).await?;
        if hearing >= allowed {
            let (tenant, hook) = (installation.tenant, hook.clone());
            return Err(RegistryError::HooksPerEvent { tenant, hook, hearing, allowed });
        }
    }
    Ok(())
}

async fn others(c: &mut SqliteConnection, installation: &Installation, hook: &str) -> Result<u64, RegistryError> {
    let TenantId(tenant) = installation.tenant;
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM subscriptions WHERE tenant_id = $1 AND hook = $2 AND until_seq IS NULL \
         AND installation_id <> $3",
    )
    .bind(tenant)
    .bind(hook)
    .bind(installation.id.0)
    .fetch_one(c)
    .await?;
    Ok(count.unsigned_abs())
}
