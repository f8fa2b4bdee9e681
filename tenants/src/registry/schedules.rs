//! The rows of schedules (table `schedules`), written with their installation.

use sqlx::SqliteConnection;

use super::records::{Installation, InstallationState};
use super::schedule::{ScheduleRecord, Timetable};
use crate::RegistryError;

/// Writes what follows from an installation as it is now. `afresh`: ticks that were due before now are not made up for,
/// since it did not work then.
pub(super) async fn follow(
    c: &mut SqliteConnection,
    installation: &mut Installation,
    afresh: bool,
) -> Result<(), RegistryError> {
    if installation.state == InstallationState::Removed {
        installation.schedules.clear();
    }
    let names: Vec<&str> = installation.schedules.iter().map(|one| one.schedule.name.as_str()).collect();
    sqlx::query("DELETE FROM schedules WHERE installation_id = $1 AND name NOT IN (SELECT value FROM json_each($2))")
        .bind(installation.id.0)
        .bind(super::versions::json(&names)?)
        .execute(&mut *c)
        .await?;
    let now = installation.updated_at;
    for one in &mut installation.schedules {
        let ScheduleRecord { schedule, .. } = one;
        let timetable = Timetable::of(schedule).map_err(|_| RegistryError::Damaged("schedules"))?;
        let next_at = timetable.next_after(now.div_euclid(1_000)).unwrap_or(i64::MAX);
        // One that stays as it is goes on from where it stands.
        let row: (i64, i64) = sqlx::query_as(
            "INSERT INTO schedules (installation_id, name, tenant_id, cron, time_zone, next_at, planned_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (installation_id, name) DO UPDATE SET \
             next_at = CASE WHEN $8 OR cron <> excluded.cron OR time_zone <> excluded.time_zone \
             THEN excluded.next_at ELSE next_at END, planned_at = excluded.planned_at, \
             cron = excluded.cron, time_zone = excluded.time_zone RETURNING next_at, skipped",
        )
        .bind(installation.id.0)
        .bind(schedule.name.as_str())
        .bind(installation.tenant.0)
        .bind(schedule.cron.as_str())
        .bind(schedule.time_zone.as_str())
        .bind(next_at)
        .bind(now)
        .bind(afresh)
        .fetch_one(&mut *c)
        .await?;
        (one.next_at, one.skipped) = row;
    }
    Ok(())
}
