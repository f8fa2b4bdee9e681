//! Schedules of installations: what may be set, and how they stand.

use fangshi_tenants::{Installation, Schedule, ScheduleRecord, USUAL_ZONE};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When `on-schedule` is called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSchedule)]
pub(crate) struct ScheduleBody {
    /// Unique in the installation, 1 to 32 of a-z, 0-9, `-`, `_`; the plugin is told it.
    name: String,
    /// Minute, hour, day of the month, month, day of the week: `30 9 * * 1-5`.
    cron: String,
    /// In whose time the fields are read; Asia/Shanghai if absent.
    time_zone: Option<String>,
}

/// A schedule as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleView {
    /// Unique in the installation.
    name: String,
    /// Minute, hour, day of the month, month, day of the week.
    cron: String,
    /// A name of the tz database.
    time_zone: String,
    /// The next tick, unix seconds.
    next_at: i64,
    /// Ticks that were due and called nothing: the host was down (the latest is made up for), the installation or its tenant
    /// did not work, or the tick before was not done.
    skipped: i64,
}

impl From<ScheduleBody> for Schedule {
    fn from(body: ScheduleBody) -> Self {
        let time_zone = body.time_zone.unwrap_or_else(|| USUAL_ZONE.to_owned());
        Schedule { name: body.name, cron: body.cron, time_zone }
    }
}

impl From<ScheduleRecord> for ScheduleView {
    fn from(record: ScheduleRecord) -> Self {
        let Schedule { name, cron, time_zone } = record.schedule;
        ScheduleView { name, cron, time_zone, next_at: record.next_at, skipped: record.skipped }
    }
}

/// The whole list of a body.
pub(crate) fn given(bodies: Vec<ScheduleBody>) -> Vec<Schedule> {
    bodies.into_iter().map(Schedule::from).collect()
}

/// What whoever looks at an installation should know.
pub(crate) fn warnings(installation: &Installation) -> Vec<String> {
    if hears(installation) && installation.schedules.is_empty() {
        return vec!["the version exports `on-schedule` and has no `schedules`: the clock never calls it".to_owned()];
    }
    Vec::new()
}

/// Whether it can have schedules.
pub(crate) fn hears(installation: &Installation) -> bool {
    installation.hooks.iter().any(|hook| hook == "on-schedule")
}
