//! Which version hears which hook, by place in the sequence of events (table `subscriptions`): so a run is
//! pinned to what was active at its event, and an event that nobody hears costs nothing but its row.

use sqlx::SqliteConnection;

use super::records::{Installation, InstallationState};
use crate::RegistryError;

/// Writes what follows from an installation as it is now. Within the change's own write, so that no event can be
/// recorded between the two.
pub(super) async fn follow(c: &mut SqliteConnection, installation: &Installation) -> Result<(), RegistryError> {
    let id = installation.id.0;
    let gone = installation.state == InstallationState::Removed;
    let heard: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT version FROM subscriptions WHERE installation_id = $1 AND until_seq IS NULL LIMIT 1",
    )
    .bind(id)
    .fetch_optional(&mut *c)
    .await?;
    let version = installation.version.as_bytes().as_slice();
    if !gone && heard.as_deref() == Some(version) {
        return Ok(());
    }
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM events").fetch_one(&mut *c).await?;
    sqlx::query("UPDATE subscriptions SET until_seq = $2 WHERE installation_id = $1 AND until_seq IS NULL")
        .bind(id)
        .bind(last)
        .execute(&mut *c)
        .await?;
    // One that ended is needed until the runs of its last events exist; one that heard nothing is not.
    sqlx::query(
        "DELETE FROM subscriptions WHERE tenant_id = $1 AND until_seq IS NOT NULL AND (until_seq <= from_seq OR \
         NOT EXISTS (SELECT 1 FROM events WHERE state = 0 AND tenant_id = $1 AND seq <= until_seq))",
    )
    .bind(installation.tenant.0)
    .execute(&mut *c)
    .await?;
    if gone {
        return Ok(());
    }
    for hook in &installation.hooks {
        sqlx::query(
            "INSERT INTO subscriptions (tenant_id, hook, installation_id, version, from_seq) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(installation.tenant.0)
        .bind(hook)
        .bind(id)
        .bind(version)
        .bind(last)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}
