//! The end of a tenant: stopped because its authorization ended, kept for the time of the retention, deleted.
//!
//! A deletion begins with one transaction that destroys the tenant's data key and its secrets, frees its appid and notes
//! the deletion: from its commit on, nothing that was sealed for the tenant can be read, backups with their key apart.
//! What is left are rows without meaning; they go in small steps of the writer, so that acknowledgements do not wait
//! ([`Tenants::erase`](crate::Tenants::erase) here, the journal its own), and a start goes on with what a crash left.
//!
//! Backups from before still hold the key. So a deletion is noted outside of the store as well ([`ErasedList`]), and a
//! restore repeats it.

mod erase;
mod erased;
mod export;
mod retention;
mod stop;

use fangshi_database::TenantId;
use sqlx::SqliteConnection;

pub use self::erased::{Deletion, Erased, ErasedList};
pub use self::retention::Retention;

pub(crate) use self::erase::{all, begun, erase, finish};

use crate::{TenantsError, onboarding};

/// Destroys what makes a tenant's data readable, and frees its appid.
pub(crate) async fn destroy(c: &mut SqliteConnection, tenant: TenantId, now: i64) -> Result<(), TenantsError> {
    // Zeros over what goes, freed pages included; the connection's own setting leaves those as they are.
    sqlx::query("PRAGMA secure_delete = ON").execute(&mut *c).await?;
    let outcome = destroy_rows(c, tenant, now).await;
    sqlx::query("PRAGMA secure_delete = FAST").execute(&mut *c).await?;
    outcome
}

async fn destroy_rows(c: &mut SqliteConnection, tenant: TenantId, now: i64) -> Result<(), TenantsError> {
    const SECRETS: [&str; 4] = [
        // Written over where it stands before the row goes.
        "UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE tenant_id = $1",
        "DELETE FROM data_keys WHERE tenant_id = $1",
        "DELETE FROM tokens WHERE tenant_id = $1",
        // Links hold codes, sealed under the host's key.
        "DELETE FROM authorizations WHERE appid = (SELECT appid FROM tenants WHERE id = $1)",
    ];
    const NAMES: [&str; 2] = [
        "UPDATE tenants SET state = 'deleted', permission_sets = NULL, appid = 'deleted-' || id, user_name = NULL, \
         name = x'', suspended_by = NULL, suspended_reason = NULL, suspended_since = NULL, appsecret = NULL, callback_token = NULL, \
         encoding_aes_key = NULL, previous_encoding_aes_key = NULL WHERE id = $1",
        "DELETE FROM refusals WHERE tenant_id = $1",
    ];
    for step in SECRETS {
        sqlx::query(step).bind(tenant.0).execute(&mut *c).await?;
    }
    // These need the appid, which goes next.
    onboarding::forget(c, tenant, now).await?;
    sqlx::query(
        "INSERT INTO deletions (tenant_id, appid, begun_at) VALUES ($1, (SELECT appid FROM tenants WHERE id = $1), $2)",
    )
    .bind(tenant.0)
    .bind(now)
    .execute(&mut *c)
    .await?;
    for step in NAMES {
        sqlx::query(step).bind(tenant.0).execute(&mut *c).await?;
    }
    Ok(())
}
